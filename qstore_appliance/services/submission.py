"""
What is checked before a job is accepted: circuit, data, readout, backend, memory; and what it will take.

Everything that can be known without opening the data is refused here, with its field, rather than by a failed job.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from qstore_appliance.database.tables.accounts import OrganizationRow
from qstore_appliance.database.tables.circuits import CircuitRow
from qstore_appliance.database.tables.datasets import DatasetRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Allowance, Caller, OrganizationSettings
from qstore_appliance.domain.configs import ConfigDraft, DatasetDraft
from qstore_appliance.domain.costs import Metered
from qstore_appliance.domain.jobs import JobDraft, Status
from qstore_appliance.domain.workers import Needs
from qstore_appliance.engine import hamiltonians, observables
from qstore_appliance.engine.backend import Capabilities
from qstore_appliance.engine.circuit import Circuit
from qstore_appliance.engine.dataset_names import BUILTIN, IMPORTABLE
from qstore_appliance.engine.encoding import encode
from qstore_appliance.engine.estimate import Estimate, Interval, estimate
from qstore_appliance.engine.formats import unified
from qstore_appliance.engine.noise import Noise, needs_shots
from qstore_appliance.errors import BackendCannot, InsufficientMemory, NotFound, ValidationFailed
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.datasets import Datasets
from qstore_appliance.services.initial_values import groups_of
from qstore_appliance.services.machine import cores, memory_available, memory_capacity
from qstore_appliance.services.remote_costs import RemoteCosts

#: From so many gates on, reading a circuit would hold up the loop for milliseconds.
_MANY_GATES = 500
#: Rows of the training parts that MNIST's and Fashion-MNIST's publishers drew.
_PUBLISHED = 60_000


class Facts(NamedTuple):
    """What is known of a data set without opening it."""

    n_samples: int
    n_features: int
    classes: tuple[str, ...]
    n_reference: int


#: Of a task that learns from none: one row without columns.
NO_DATA = Facts(1, 0, (), 0)


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """A draft that can be run: `circuit` and `config` as the job's row keeps them."""

    circuit: dict[str, Any]
    config: dict[str, Any]
    backend: str
    auto_backend: str
    backend_reason: str
    not_before: datetime | None
    estimate: Estimate
    needs: Needs
    cost: Interval
    organization: Allowance


class Earlier(NamedTuple):
    """A job that another goes on from or repeats: its circuit, and how many epochs the other runs itself."""

    circuit: dict[str, Any]
    epochs_to_run: int


class Submission:
    def __init__(self, backends: Backends, datasets: Datasets, remote_costs: RemoteCosts | None = None) -> None:
        self._backends = backends
        self._datasets = datasets
        self._remote_costs = remote_costs

    async def check(self, caller: Caller, draft: JobDraft, earlier: Earlier | None = None) -> Accepted:
        """
        Args:
            earlier: The job that this one goes on from or repeats: its circuit counts, not the stored one's newest.

        Raises:
            NotFound: No such circuit, data set or backend for the caller's organization.
            DatasetMissing: With the command that brings it.
            ValidationFailed: Of the config, with the field.
            BackendCannot, BackendUnavailable, Forbidden: Of the backend.
            InsufficientMemory: With the bytes needed and available.
        """
        if earlier is None:
            kept, initial = await _stored_circuit(caller, draft.circuit_id)
        else:
            kept, initial = earlier.circuit, {}
        definition = {key: value for key, value in kept.items() if key not in ("name", "version")}
        stored = await _read(definition, len(definition["gates"]))
        config = draft.config.model_dump(mode="json")
        if draft.config.dataset is None:
            # Left out rather than null: who reads a job finds a data set or none.
            del config["dataset"]
            circuit, facts, n_classes = stored, NO_DATA, 1
            _check_without_data(draft.config, config, circuit)
        else:
            circuit = encode(stored, config["encoding"])
            await self._datasets.resolve(caller.organization_id, draft.config.dataset.type)
            facts = await self._facts(caller.organization_id, draft.config.dataset.type)
            _check_readout(draft.config, circuit)
            n_classes = _check_data(draft.config, draft.config.dataset, facts)
        config["initial_parameters"] = _start(draft.config, circuit, initial)
        if draft.config.task == "sampling":
            _check_all_given(circuit, config["initial_parameters"])
        config["seed"] = draft.config.seed if draft.config.seed is not None else secrets.randbelow(2**53)

        organization = await settings_of(caller)
        choice = await self._backends.choose(
            organization,
            draft.config.backend,
            caller.preferences,
            circuit,
            draft.config.shots,
            draft.config.hardware_config.gpus,
            _noise(draft.config, config),
        )
        backend = choice.backend
        found = await self._backends.description(backend)
        if found.capabilities is None:
            raise BackendCannot(f"{backend} states no capabilities.")
        _check_backend(draft.config, backend, found.capabilities)
        taken = estimate(
            circuit,
            _sized(config if earlier is None else {**config, "epochs": earlier.epochs_to_run}, facts, n_classes),
            n_samples=_samples(facts, n_classes),
            n_inputs=facts.n_features,
            n_classes=n_classes,
            capabilities=found.capabilities,
            backend=backend,
            kind=found.kind,
            n_reference=facts.n_reference if n_classes in (1, len(facts.classes)) else 0,
        )
        most = max(await _memory_once_free(), self._backends.fleet.memory(backend))
        _check_memory(int(taken.memory_bytes.expected), most, "memory")
        if found.capabilities.memory_bytes is not None:
            adjoint = draft.config.task != "sampling" and draft.config.shots is None
            needed = found.capabilities.memory_needed(circuit.n_qubits, draft.config.precision, gradient=adjoint)
            _check_memory(needed, found.capabilities.memory_bytes, f"{backend}'s own memory")
        return Accepted(
            circuit=dict(kept),
            config=config,
            backend=backend,
            auto_backend=choice.auto,
            backend_reason=choice.reason,
            not_before=choice.not_before,
            estimate=taken,
            needs=Needs(
                backend=backend,
                memory_bytes=int(taken.memory_bytes.expected),
                gpu=draft.config.hardware_config.gpus > 0 and self._backends.has_card(backend),
            ),
            cost=await self._cost(backend, found.capabilities, definition, config, taken),
            organization=organization,
        )

    async def confirm(self, caller: Caller, draft: JobDraft) -> None:
        """
        Inside the transaction that saves the job: what it uses was not deleted since it was checked.

        Raises:
            NotFound: It was.
        """
        # Whoever deletes a circuit locks it too: either this job is seen there, or the deletion here.
        circuit = CircuitRow.filter(id=draft.circuit_id, organization_id=caller.organization_id, deleted_at=None)
        if await circuit.select_for_update().only("id").first() is None:
            raise NotFound.of("circuit", draft.circuit_id)
        type = draft.config.dataset.type if draft.config.dataset is not None else None
        if type is not None and ids.is_id("dataset", type):
            uploads = DatasetRow.filter(id=type, organization_id=caller.organization_id, deleted_at=None)
            if not await uploads.exists():
                raise NotFound.of("data set", type)

    async def _cost(
        self, backend: str, can: Capabilities, circuit: Mapping[str, Any], config: Mapping[str, Any], taken: Estimate
    ) -> Interval:
        """Micro-dollars: by the provider's estimate of one execution where it gives one, else by the price list."""
        each = None
        if can.remote and self._remote_costs is not None:
            each = await self._remote_costs.per_execution(backend, circuit, config)
        if each is not None:
            return Interval(
                *(float(math.ceil(circuits * each)) for circuits in msgspec.structs.astuple(taken.circuits))
            )
        # Processor time is not known beforehand: at the least one core is busy, at the most all are.
        busy = (1, cores(), cores())
        found = []
        for name, threads in zip(("low", "expected", "high"), busy, strict=True):
            seconds = getattr(taken.seconds, name)
            ran = Metered(
                circuits=round(getattr(taken.circuits, name)),
                shots=round(getattr(taken.shots, name)),
                cpu_microseconds=round(seconds * 1e6) * threads,
                gpu_microseconds=round(seconds * 1e6) if can.gpu else 0,
            )
            found.append(float(self._backends.price_of(backend, ran)))
        return Interval(*found)

    async def _facts(self, organization_id: str, type: str) -> Facts:
        if type in BUILTIN:
            summary = BUILTIN[type]
            return Facts(summary.n_samples, summary.n_features, summary.classes, 0)
        if type in IMPORTABLE:
            row = await DatasetRow.get_or_none(name=type, source="imported", deleted_at=None)
        else:
            row = await DatasetRow.get_or_none(id=type, organization_id=organization_id, deleted_at=None)
        if row is None:
            raise NotFound.of("data set", type)
        reference = min(_PUBLISHED, row.n_samples) if type in IMPORTABLE else 0
        return Facts(row.n_samples, row.n_features, tuple(row.classes), reference)


async def settings_of(caller: Caller) -> Allowance:
    """The settings of the caller's organization as they are now, and as they count for the caller."""
    row = await OrganizationRow.get_or_none(id=caller.organization_id)
    settings = row.to_domain().settings if row is not None else OrganizationSettings()
    return Allowance(**msgspec.structs.asdict(settings), for_tests=caller.for_tests)


async def _stored_circuit(caller: Caller, id: str) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """The circuit as a job's row keeps it, and what it says of its parameters."""
    row = await CircuitRow.get_or_none(id=id, organization_id=caller.organization_id, deleted_at=None)
    if row is None:
        raise NotFound.of("circuit", id)
    return {
        "name": row.name,
        "version": row.version,
        "n_qubits": row.n_qubits,
        **row.circuit_definition,
    }, row.parameters


async def _memory_once_free() -> int:
    """
    Bytes that will be there once the jobs that run are done: one that only has to wait for them is accepted, and one that
    would wait for ever is not.
    """
    promised = sum(
        int(str(needs or 0))
        for needs in await JobRow.filter(status=Status.RUNNING).values_list("expected_bytes", flat=True)
    )
    available = memory_available()
    return max(available, min(available + promised, memory_capacity()))


async def _read(definition: Mapping[str, Any], gate_count: int) -> Circuit:
    if gate_count < _MANY_GATES:
        return unified.read(definition)
    return await asyncio.to_thread(unified.read, definition)


def _check_memory(needed: int, available: int, where: str) -> None:
    if needed > available:
        raise InsufficientMemory(
            f"This needs about {needed:,} bytes of {where}; {available:,} are available.",
            details={"needed_bytes": needed, "available_bytes": available},
        )


def _check_readout(config: ConfigDraft, circuit: Circuit) -> None:
    try:
        observables.readout(config.readout.observables, circuit.n_qubits)
    except ValueError as error:
        raise ValidationFailed.field("config.readout.observables", f"{error}") from error


def _check_without_data(config: ConfigDraft, written: Mapping[str, Any], circuit: Circuit) -> None:
    """An energy or a sampling: the circuit reads no features, and the Hamiltonian fits it."""
    if circuit.features:
        raise ValidationFailed.field(
            "circuit_id", f"the circuit reads the feature x_{circuit.features[0]}; {config.task} has no data"
        )
    if config.task == "energy":
        if not circuit.weights:
            raise ValidationFailed.field("circuit_id", "the circuit has no weights to minimise an energy with")
        hamiltonians.build(written["hamiltonian"], circuit.n_qubits)


def _check_all_given(circuit: Circuit, values: Mapping[str, float] | None) -> None:
    missing = [name for name in circuit.weights if name not in (values or {})]
    if missing:
        raise ValidationFailed.field("config.initial_parameters", f"give a value to {', '.join(missing[:5])}")


def _check_data(config: ConfigDraft, dataset: DatasetDraft, facts: Facts) -> int:
    """Returns: how many classes take part; one where numbers are learned."""
    features = dataset.features
    if features.count is not None and features.count > facts.n_features:
        raise ValidationFailed.field(
            "config.dataset.features.count",
            f"the data set has {facts.n_features} features, fewer than {features.count}",
        )
    if config.task == "regression":
        for field, value in (("dataset.classes", dataset.classes), ("class_weights", config.class_weights)):
            if value is not None:
                raise ValidationFailed.field(f"config.{field}", "a regression has no classes")
        if dataset.target is None and not all(map(_is_number, facts.classes)):
            words = ", ".join(facts.classes[:3])
            raise ValidationFailed.field(
                "config.dataset.target", f"the labels ({words}, …) are no numbers; name a column to learn"
            )
        return 1
    if dataset.target is not None:
        raise ValidationFailed.field("config.dataset.target", "only a regression learns a column")
    if not facts.classes:
        raise ValidationFailed.field(
            "config.task", "the data set's labels are measurements, not classes; use regression"
        )
    chosen = set(facts.classes)
    if dataset.classes is not None:
        chosen = {str(name) for name in dataset.classes}
        for name in sorted(chosen - set(facts.classes)):
            known = ", ".join(facts.classes[:20])
            raise ValidationFailed.field(
                "config.dataset.classes", f"there is no class {name[:60]!r}; the data set has {known}"
            )
        if len(chosen) < 2:
            raise ValidationFailed.field("config.dataset.classes", "name at least two different classes")
    if isinstance(config.class_weights, Mapping):
        for name in sorted(config.class_weights.keys() - chosen):
            raise ValidationFailed.field(f"config.class_weights.{name[:60]}", "there is no such class in this job")
    return len(chosen)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _noise(config: ConfigDraft, written: dict[str, Any]) -> Noise | None:
    """What the backend has to offer; the job keeps what was asked for, without the channels that were not."""
    if config.noise is None:
        return None
    written["noise"] = config.noise.model_dump(mode="json", exclude_none=True)
    if config.gradient == "adjoint":
        raise BackendCannot("Adjoint gradients are those of states without noise; use auto or parameter_shift.")
    if config.shots is None:
        raise needs_shots()
    return Noise.of(written["noise"])


def _check_backend(config: ConfigDraft, backend: str, can: Capabilities) -> None:
    if config.gradient == "adjoint" and not can.adjoint:
        raise BackendCannot(f"{backend} has no adjoint gradients; use gradient auto or parameter_shift.")
    if config.gradient == "adjoint" and config.shots is not None:
        raise BackendCannot("Adjoint gradients are exact; they cannot be had from shots.")
    if config.optimizer == "spsa" and config.gradient not in ("auto", "spsa"):
        raise ValidationFailed.field("config.gradient", "the optimizer spsa estimates its gradients itself")
    if config.optimizer == "lbfgs":
        _check_lbfgs(config)
    if config.momentum is not None and config.optimizer != "sgd":
        raise ValidationFailed.field("config.momentum", f"only sgd takes it, not {config.optimizer}")
    if config.precision not in can.precisions:
        raise BackendCannot(f"{backend} computes in {', '.join(can.precisions)} precision only.")


def _check_lbfgs(config: ConfigDraft) -> None:
    if config.task != "energy":
        raise ValidationFailed.field("config.optimizer", "lbfgs is for energies: batches of data are noise to it")
    if config.shots is not None or config.gradient == "spsa":
        raise ValidationFailed.field("config.optimizer", "lbfgs needs exact energies: no shots, no spsa gradients")
    if config.gradient_clip is not None:
        raise ValidationFailed.field("config.gradient_clip", "lbfgs finds its step's length itself")


def _start(config: ConfigDraft, circuit: Circuit, parameters: Mapping[str, Any]) -> dict[str, float] | None:
    """The weights' first values: the job's, over those that the circuit keeps; the rest is drawn by seed."""
    groups = groups_of(circuit)
    found: dict[str, float] = {}
    for name, members in groups.items():
        entry = parameters.get(name)
        values = entry.get("initial_values") if isinstance(entry, Mapping) else None
        if isinstance(values, list):
            found.update({m: float(v) for m, v in zip(members, values, strict=False) if v is not None})
    for name, value in (config.initial_parameters or {}).items():
        if name in circuit.weights:
            found[name] = value
        elif len(groups.get(name, ())) == 1:
            found[groups[name][0]] = value
        else:
            raise ValidationFailed.field(f"config.initial_parameters.{name[:60]}", "the circuit has no such weight")
    return found or None


def _samples(facts: Facts, n_classes: int) -> int:
    """Rows that take part; of some classes only, as if all were of the same size."""
    if n_classes == 1 or not facts.classes:
        return facts.n_samples
    return max(n_classes, facts.n_samples * n_classes // len(facts.classes))


def _sized(config: dict[str, Any], facts: Facts, n_classes: int) -> dict[str, Any]:
    """The config for the estimate: where rows per class are only guessed, sizes are not refused by the guess."""
    if n_classes == len(facts.classes) or "dataset" not in config or config["task"] == "regression":
        return config
    most = _samples(facts, n_classes)
    dataset = dict(config["dataset"])
    if dataset["train_size"] is not None:
        dataset["train_size"] = max(n_classes, min(dataset["train_size"], most - most // 10))
    if dataset["val_size"] is not None:
        dataset["val_size"] = min(dataset["val_size"], most - (dataset["train_size"] or most // 2))
    return {**config, "dataset": dataset}
