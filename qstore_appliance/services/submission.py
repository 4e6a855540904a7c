"""
What is checked before a job is accepted: circuit, data, readout, backend, memory; and what it will take.

Everything that can be known without opening the data is refused here, with its field, rather than by a failed job.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from qstore_appliance.database.tables.accounts import OrganizationRow
from qstore_appliance.database.tables.circuits import CircuitRow
from qstore_appliance.database.tables.datasets import DatasetRow
from qstore_appliance.domain.accounts import Caller, OrganizationSettings
from qstore_appliance.domain.jobs import ConfigDraft, JobDraft
from qstore_appliance.engine import observables
from qstore_appliance.engine.backend import Capabilities
from qstore_appliance.engine.circuit import Circuit
from qstore_appliance.engine.dataset_names import BUILTIN, IMPORTABLE
from qstore_appliance.engine.encoding import encode
from qstore_appliance.engine.estimate import Estimate, Interval, estimate
from qstore_appliance.engine.formats import unified
from qstore_appliance.errors import BackendCannot, InsufficientMemory, NotFound, ValidationFailed
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.datasets import Datasets
from qstore_appliance.services.initial_values import groups_of
from qstore_appliance.services.machine import memory_available

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


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """A draft that can be run: `circuit` and `config` as the job's row keeps them."""

    circuit: dict[str, Any]
    config: dict[str, Any]
    backend: str
    auto_backend: str
    estimate: Estimate
    cost: Interval
    organization: OrganizationSettings


class Submission:
    def __init__(self, backends: Backends, datasets: Datasets) -> None:
        self._backends = backends
        self._datasets = datasets

    async def check(self, caller: Caller, draft: JobDraft) -> Accepted:
        """
        Raises:
            NotFound: No such circuit, data set or backend for the caller's organization.
            DatasetMissing: With the command that brings it.
            ValidationFailed: Of the config, with the field.
            BackendCannot, BackendUnavailable, Forbidden: Of the backend.
            InsufficientMemory: With the bytes needed and available.
        """
        row = await CircuitRow.get_or_none(id=draft.circuit_id, organization_id=caller.organization_id, deleted_at=None)
        if row is None:
            raise NotFound.of("circuit", draft.circuit_id)
        definition = {"n_qubits": row.n_qubits, **row.circuit_definition}
        stored = await _read(definition, row.gate_count)
        config = draft.config.model_dump(mode="json")
        circuit = encode(stored, config["encoding"])
        await self._datasets.resolve(caller.organization_id, draft.config.dataset.type)
        facts = await self._facts(caller.organization_id, draft.config.dataset.type)
        _check_readout(draft.config, circuit)
        n_classes = _check_data(draft.config, facts)
        config["initial_parameters"] = _start(draft.config, circuit, row.parameters)
        config["seed"] = draft.config.seed if draft.config.seed is not None else secrets.randbelow(2**53)

        organization = await settings_of(caller.organization_id)
        backend, auto = await self._backends.pick(
            organization, draft.config.backend, caller.preferences, circuit, draft.config.shots
        )
        found = await self._backends.description(backend)
        if found.capabilities is None:
            raise BackendCannot(f"{backend} states no capabilities.")
        _check_backend(draft.config, backend, found.capabilities)
        taken = estimate(
            circuit,
            _sized(config, facts, n_classes),
            n_samples=_samples(facts, n_classes),
            n_inputs=facts.n_features,
            n_classes=n_classes,
            capabilities=found.capabilities,
            backend=backend,
            kind=found.kind,
            n_reference=facts.n_reference if n_classes == len(facts.classes) else 0,
        )
        needed, available = int(taken.memory_bytes.expected), memory_available()
        if needed > available:
            raise InsufficientMemory(
                f"This needs about {needed:,} bytes of memory; {available:,} are available.",
                details={"needed_bytes": needed, "available_bytes": available},
            )
        return Accepted(
            circuit={"name": row.name, "version": row.version, **definition},
            config=config,
            backend=backend,
            auto_backend=auto,
            estimate=taken,
            cost=Interval(
                *(
                    float(self._backends.price(backend, round(circuits), round(shots)))
                    for circuits, shots in zip(
                        msgspec.structs.astuple(taken.circuits), msgspec.structs.astuple(taken.shots), strict=True
                    )
                )
            ),
            organization=organization,
        )

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


async def settings_of(organization_id: str) -> OrganizationSettings:
    """The organization's settings as they are now."""
    row = await OrganizationRow.get_or_none(id=organization_id)
    return row.to_domain().settings if row is not None else OrganizationSettings()


async def _read(definition: Mapping[str, Any], gate_count: int) -> Circuit:
    if gate_count < _MANY_GATES:
        return unified.read(definition)
    return await asyncio.to_thread(unified.read, definition)


def _check_readout(config: ConfigDraft, circuit: Circuit) -> None:
    try:
        observables.readout(config.readout.observables, circuit.n_qubits)
    except ValueError as error:
        raise ValidationFailed.field("config.readout.observables", f"{error}") from error


def _check_data(config: ConfigDraft, facts: Facts) -> int:
    """Returns: how many classes take part."""
    features = config.dataset.features
    if features.method == "pca" and features.count is not None and features.count > facts.n_features:
        raise ValidationFailed.field(
            "config.dataset.features.count",
            f"the data set has {facts.n_features} features, fewer than {features.count}",
        )
    if config.dataset.classes is None:
        return len(facts.classes)
    chosen = {str(name) for name in config.dataset.classes}
    for name in sorted(chosen - set(facts.classes)):
        known = ", ".join(facts.classes[:20])
        raise ValidationFailed.field(
            "config.dataset.classes", f"there is no class {name[:60]!r}; the data set has {known}"
        )
    if len(chosen) < 2:
        raise ValidationFailed.field("config.dataset.classes", "name at least two different classes")
    return len(chosen)


def _check_backend(config: ConfigDraft, backend: str, can: Capabilities) -> None:
    if config.gradient == "adjoint" and not can.adjoint:
        raise BackendCannot(f"{backend} has no adjoint gradients; use gradient auto or parameter_shift.")
    if config.gradient == "adjoint" and config.shots is not None:
        raise BackendCannot("Adjoint gradients are exact; they cannot be had from shots.")
    if config.precision not in can.precisions:
        raise BackendCannot(f"{backend} computes in {', '.join(can.precisions)} precision only.")


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
    return max(n_classes, facts.n_samples * n_classes // max(1, len(facts.classes)))


def _sized(config: dict[str, Any], facts: Facts, n_classes: int) -> dict[str, Any]:
    """The config for the estimate: where rows per class are only guessed, sizes are not refused by the guess."""
    if n_classes == len(facts.classes):
        return config
    most = _samples(facts, n_classes)
    dataset = dict(config["dataset"])
    if dataset["train_size"] is not None:
        dataset["train_size"] = max(n_classes, min(dataset["train_size"], most - most // 10))
    if dataset["val_size"] is not None:
        dataset["val_size"] = min(dataset["val_size"], most - (dataset["train_size"] or most // 2))
    return {**config, "dataset": dataset}
