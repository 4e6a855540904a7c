"""
IonQ's simulator and quantum computers as backends.

Options, under `[backends.ionq_simulator]` and `[backends.ionq_hardware]`: `api_key` (or `api_key_file`), `base_url`,
`target` (hardware: `qpu.forte-1`), `noise_model` and `noise_seed` (simulator), `debiasing` (hardware), `max_qubits`,
and the seconds `connect_timeout`, `call_timeout`, `job_timeout`, `poll_interval`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.backend import Backend, Capabilities, Execution, Limits, Prices
from qstore_appliance.engine.circuit import GATES
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.remote_jobs import RemoteJob
from qstore_appliance.engine.shots import Basis, measurements
from qstore_appliance.errors import BackendBadResponse, BackendCannot, BackendUnavailable, ConfigurationInvalid
from qstore_backends.ionq import wire
from qstore_backends.ionq.calls import Timing
from qstore_backends.ionq.client import IonQ

Floats = NDArray[np.float64]

BASE_URL: Final = "https://api.ionq.co/v0.4"
MAX_SHOTS: Final = 1_000_000
MAX_CIRCUITS: Final = 500
"""Of one job; IonQ takes ten times as many, but a lost answer then costs ten times as much."""

MAX_GATES: Final = 100_000
MAX_OUTCOMES: Final = 200_000
"""Of one job, as far as they can be foreseen: its answer shall fit into what the client reads."""

QUBITS: Final[Mapping[str, int]] = {"simulator": 29, "qpu.aria-1": 25, "qpu.forte-1": 30, "qpu.forte-enterprise-1": 30}
NOISE_MODELS: Final = (
    "ideal",
    "harmony",
    "harmony-1",
    "harmony-2",
    "aria-1",
    "aria-2",
    "forte-1",
    "forte-enterprise-1",
)


class _Remote(Backend):
    """What simulator and hardware share: compile, send, wait, check, read out."""

    provider: ClassVar[str] = "IonQ"
    limits = Limits(max_circuits_per_request=MAX_CIRCUITS, max_concurrent_jobs=4)

    def __init__(self, options: Mapping[str, object]) -> None:
        super().__init__(options)
        self._target = self._text("target", self._default_target)
        if self._target != "simulator" and not self._target.startswith("qpu."):
            raise ConfigurationInvalid(f"backends.{self.name}.target: write a name such as qpu.forte-1.")
        self._noise: dict[str, Any] | None = None
        self._settings: dict[str, Any] | None = None
        self._key = self._text("api_key", "")
        self._client = self._connected() if self._key else None
        if self._client is not None:
            self._client.should_stop = lambda: self.should_stop()
            self._client.breaker.changed = lambda reason: self.on_degraded(reason)
        self._templates: WeakKeyDictionary[Program, wire.Template] = WeakKeyDictionary()
        #: IonQ's ids of the jobs that ran here, in order.
        self.jobs: list[str] = []

    _default_target: ClassVar[str] = "simulator"

    # Running -----------------------------------------------------------------------------------------------------

    def expectations(self, execution: Execution) -> Floats:
        self.check(execution)
        self._check_shots(execution)
        out = np.ones((execution.batch, len(execution.observables)))
        # The identity is one whatever is measured.
        groups = [(basis, members) for basis, members in measurements(execution.observables) if basis]
        if not groups or not execution.batch:
            return out
        found = self._distributions(execution, [basis for basis, _ in groups])
        for number, (_, members) in enumerate(groups):
            for sample in range(execution.batch):
                distribution = found[number * execution.batch + sample]
                for member in members:
                    out[sample, member] = wire.expectation(distribution, execution.observables[member])
        return out

    def sample(self, execution: Execution) -> list[dict[str, int]]:
        self.check(execution)
        self._check_shots(execution)
        shots = execution.shots
        if shots is None:
            raise BackendCannot("Counts need a number of shots.")
        found = self._distributions(execution, [()])
        return [wire.counts(one, shots, execution.program.n_qubits) for one in found]

    def _check_shots(self, execution: Execution) -> None:
        if execution.shots is not None and execution.shots > MAX_SHOTS:
            raise BackendCannot(f"IonQ takes at most {MAX_SHOTS:,} shots, not {execution.shots:,}.")

    def _distributions(self, execution: Execution, bases: Sequence[Basis]) -> list[wire.Distribution]:
        """One for each basis and sample, in that order."""
        template = self._templates.get(execution.program)
        if template is None:
            template = self._templates[execution.program] = wire.Template(execution.program)
        rows = wire.circuits(execution, template, bases)
        return self._measured(execution, self._run_all(rows, execution)) if rows else []

    def _measured(self, execution: Execution, found: list[wire.Distribution]) -> list[wire.Distribution]:
        """What the readout is computed from: what came back, unless there is still to be drawn from it."""
        return found

    def _run_all(self, rows: Sequence[Sequence[Mapping[str, Any]]], execution: Execution) -> list[wire.Distribution]:
        client, n_qubits = self._connection(), execution.program.n_qubits
        found: list[wire.Distribution] = []
        shots = execution.shots if self.kind == "hardware" else None
        for part in _parts(rows, n_qubits, shots, self.limits.max_circuits_per_request):
            payload = wire.payload(
                part, n_qubits, self._target, execution.shots, self._noise_of(execution), self._settings
            )
            job, results = client.run(payload, self.remote_jobs, len(part))
            self.jobs.append(str(job["id"]))
            found.extend(wire.distributions(job, results, len(part), n_qubits))
        return found

    def _noise_of(self, execution: Execution) -> dict[str, Any] | None:
        return self._noise

    # Being there -------------------------------------------------------------------------------------------------

    def probe(self) -> None:
        client = self._connection()
        backends = client.get("/backends")
        if not isinstance(backends, list):
            raise BackendBadResponse("The list of backends is none.")
        known = {row.get("backend"): row for row in backends if isinstance(row, dict)}
        row = known.get(self._target)
        if row is None:
            named = ", ".join(sorted(str(name) for name in known))[:200]
            raise BackendUnavailable(f"{client.base_url} has no backend {self._target}; there are {named}.")
        if row.get("status") != "available":
            raise BackendUnavailable(f"IonQ says that {self._target} is {str(row.get('status'))[:30]}.")
        # The list of backends is public at IonQ; whether the key is right only this says.
        client.get("/jobs", {"limit": 1})

    @property
    def degraded(self) -> str | None:
        """Why the service is left alone at present; None while it works."""
        if self._client is None or self._client.breaker.state == "closed":
            return None
        return self._client.breaker.reason

    # Money -------------------------------------------------------------------------------------------------------

    def actual_cost(self, job_id: str) -> float | None:
        """
        US dollars that IonQ charged for a job, None where it does not say yet.

        Raises:
            BackendBadResponse: It charges in another unit, or what it says is no amount.
        """
        return wire.charge(self._connection().get(f"/jobs/{job_id}/cost"))

    def total_cost(self) -> float:
        """US dollars that IonQ charged for all jobs that ran here, as far as it says."""
        return sum(self.actual_cost(id) or 0.0 for id in self.jobs)

    def estimated_cost(self, program: Program, shots: int) -> float:
        """US dollars that IonQ estimates for one circuit."""
        single = sum(step.angle is not None for step in program.lowered.steps)
        asked = {
            "backend": self._target,
            "type": "ionq.circuit.v1",
            "qubits": program.n_qubits,
            "shots": shots,
            "1q_gates": single,
            "2q_gates": len(program.lowered.steps) - single,
        }
        answer = self._connection().get("/jobs/estimate", asked)
        if not isinstance(answer, dict):
            raise BackendBadResponse("The estimate is none.")
        amount = answer.get("estimated_total_cost", answer.get("estimated_cost"))
        return wire.dollars(amount, answer.get("estimated_unit", answer.get("cost_unit")))

    def end_remote(self, job: RemoteJob) -> RemoteJob:
        return self._connection().end(job)

    # Options -----------------------------------------------------------------------------------------------------

    def _connection(self) -> IonQ:
        if self._client is None:
            raise BackendUnavailable(
                f"There is no API key of IonQ. Write one into a file of mode 0600 and its path into qstore.toml: "
                f'[backends.{self.name}] api_key_file = "…"'
            )
        return self._client

    def _connected(self) -> IonQ:
        timing = Timing(
            connect=self._seconds("connect_timeout", Timing.connect),
            call=self._seconds("call_timeout", Timing.call),
            job=self._seconds("job_timeout", Timing.job),
            poll=self._seconds("poll_interval", Timing.poll),
            pause=self._seconds("retry_pause", Timing.pause),
        )
        if not self._key.isascii() or not self._key.isprintable() or " " in self._key:
            raise ConfigurationInvalid(f"backends.{self.name}.api_key: that is no API key.")
        try:
            return IonQ(self._text("base_url", BASE_URL), self._key, timing)
        except ValueError as error:
            raise ConfigurationInvalid(f"backends.{self.name}.base_url: {error}") from None

    def _text(self, key: str, default: str) -> str:
        value = self.options.get(key, default)
        if not isinstance(value, str):
            raise ConfigurationInvalid(f"backends.{self.name}.{key} must be a text.")
        return value.strip()

    def _seconds(self, key: str, default: float) -> float:
        value = self.options.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.001 <= value <= 1e7:
            raise ConfigurationInvalid(f"backends.{self.name}.{key} must be a number of seconds.")
        return float(value)

    def _qubits(self) -> int:
        most = QUBITS.get(self._target, 30)
        value = self.options.get("max_qubits", most)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 30:
            raise ConfigurationInvalid(f"backends.{self.name}.max_qubits must be a whole number from 1 to 30.")
        return value


class IonQSimulator(_Remote):
    """
    IonQ's simulator: exact where it is ideal, by shots with a noise model, the operator's or that of a job.

    The ideal one ignores shots and answers probabilities; outcomes are then drawn from those here.
    """

    name: ClassVar[str] = "ionq_simulator"
    kind: ClassVar[str] = "simulator"

    def __init__(self, options: Mapping[str, object]) -> None:
        super().__init__(options)
        model = self._text("noise_model", "ideal")
        if model not in NOISE_MODELS:
            raise ConfigurationInvalid(f"backends.{self.name}.noise_model is one of {', '.join(NOISE_MODELS)}.")
        self._noise = {"model": model}
        self.capabilities = Capabilities(
            max_qubits=self._qubits(),
            max_depth=None,
            gates=tuple(GATES),
            exact=model == "ideal",
            shots=True,
            adjoint=False,
            statevector=False,
            remote=True,
            noise_models=NOISE_MODELS,
        )

    def _noise_of(self, execution: Execution) -> dict[str, Any] | None:
        noise = self._noise if execution.noise is None else {"model": execution.noise.model}
        if noise is None or noise["model"] == "ideal":
            return noise
        seed = self.options.get("noise_seed", execution.seed)
        return {**noise, **({"seed": int(seed) % 2**31} if isinstance(seed, int) else {})}

    def _measured(self, execution: Execution, found: list[wire.Distribution]) -> list[wire.Distribution]:
        noise = self._noise_of(execution)
        if execution.shots is None or (noise is not None and noise["model"] != "ideal"):
            return found
        streams = np.random.SeedSequence(execution.seed).spawn(len(found))
        return [wire.drawn(one, execution.shots, stream) for one, stream in zip(found, streams, strict=True)]


class IonQHardware(_Remote):
    """A quantum computer of IonQ; every circuit is measured, and costs."""

    name: ClassVar[str] = "ionq_hardware"
    kind: ClassVar[str] = "hardware"
    _default_target: ClassVar[str] = "qpu.forte-1"
    prices = Prices(per_circuit=300_000)

    def __init__(self, options: Mapping[str, object]) -> None:
        super().__init__(options)
        if self._target == "simulator":
            raise ConfigurationInvalid(f"backends.{self.name}.target: the simulator is the backend ionq_simulator.")
        debiasing = self.options.get("debiasing")
        if debiasing is not None:
            if not isinstance(debiasing, bool):
                raise ConfigurationInvalid(f"backends.{self.name}.debiasing must be true or false.")
            self._settings = {"error_mitigation": {"debiasing": debiasing}}
        self.capabilities = Capabilities(
            max_qubits=self._qubits(),
            max_depth=None,
            gates=tuple(GATES),
            exact=False,
            shots=True,
            adjoint=False,
            statevector=False,
            remote=True,
        )


def _parts(
    rows: Sequence[Sequence[Mapping[str, Any]]], n_qubits: int, shots: int | None, most: int
) -> Iterator[Sequence[Sequence[Mapping[str, Any]]]]:
    """Circuits in jobs that are neither too large to send nor, as far as can be known, to answer."""
    outcomes = min(2**n_qubits, shots or 2**n_qubits)
    size = max(1, min(MAX_CIRCUITS, most, MAX_OUTCOMES // outcomes, MAX_GATES // max(1, max(map(len, rows)))))
    for first in range(0, len(rows), size):
        yield rows[first : first + size]
