"""
What a backend is: one required method, `expectations`; the rest is derived from it or offered on top.

A backend is found through the entry point group `qstore.backends` and made with its options, a plain mapping. It knows
the engine and the errors and nothing else. Importing this module costs no numpy: the serving process reads capabilities.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final
from weakref import WeakSet

import msgspec

from qstore_appliance.engine import pieces
from qstore_appliance.engine.noise import needs_shots
from qstore_appliance.engine.remote_jobs import RemoteJob, RemoteJobs
from qstore_appliance.errors import BackendBadResponse, BackendCannot, ConfigurationInvalid, ValidationFailed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qstore_appliance.engine.circuit import Circuit
    from qstore_appliance.engine.noise import Noise
    from qstore_appliance.engine.observables import Observable
    from qstore_appliance.engine.program import Program

    Floats = NDArray[np.float64]
    Pullback = Callable[[Floats], Floats]

MAX_SHIFTED_SAMPLES: Final = 1_024
"""Samples that the shift rule hands to `expectations` at once."""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a backend can do.

    Attributes:
        max_qubits: Largest circuit.
        max_depth: Deepest circuit, None without a bound.
        gates: Canonical names of gates that it takes.
        exact: Expectations without sampling noise.
        shots: Expectations from a number of measurements.
        adjoint: Gradients at the price of one more pass instead of two executions per parameter.
        statevector: Can return amplitudes.
        gpu: Runs on a graphics card.
        precisions: Of "single" and "double".
        remote: Circuits leave this machine; `auto` never takes such a backend.
        noise: Channels of `noise.CHANNELS` that it can apply.
        noise_models: Names of noise models of its own.
        state_bytes: Memory that running one circuit takes for each of its 2**n amplitudes, in the order of `precisions`;
            empty where the size of a state does not matter here.
        gradient_bytes: The same with its gradient; empty where that takes no more.
        memory_bytes: Of a memory of its own that states lie in, such as a graphics card's; None where it is the machine's.
    """

    max_qubits: int
    max_depth: int | None
    gates: tuple[str, ...]
    exact: bool
    shots: bool
    adjoint: bool
    statevector: bool
    gpu: bool = False
    precisions: tuple[str, ...] = ("single",)
    remote: bool = False
    noise: tuple[str, ...] = ()
    noise_models: tuple[str, ...] = ()
    state_bytes: tuple[int, ...] = ()
    gradient_bytes: tuple[int, ...] = ()
    memory_bytes: int | None = None

    def memory_needed(self, n_qubits: int, precision: str | None = None, *, gradient: bool = False) -> int:
        """
        Bytes that one circuit of this size takes while it runs; 0 where nothing is known of that.

        Args:
            precision: None for the one that takes least.
        """
        each = (gradient and self.gradient_bytes) or self.state_bytes
        known = [size for size, name in zip(each, self.precisions, strict=False) if precision in (None, name)]
        return min(known, default=0) << n_qubits


class Prices(msgspec.Struct, frozen=True):
    """Integer micro-dollars."""

    per_circuit: int = 0
    per_shot: int = 0
    minimum_charge: int = 0
    per_cpu_second: int = 0
    per_gpu_second: int = 0


class Limits(msgspec.Struct, frozen=True):
    """
    How hard a backend may be driven.

    Attributes:
        max_circuits_per_request: Samples that one call of `expectations` or `differentiate` is given.
        max_concurrent_jobs: Jobs of the whole installation that run on it at once.
        rate_limit_per_hour: Circuits of the whole installation in any hour; None without a bound.
    """

    max_circuits_per_request: int = 1_000_000
    max_concurrent_jobs: int = 64
    rate_limit_per_hour: int | None = None

    def tightened(self, options: Mapping[str, object]) -> Limits:
        """
        With what the operator wrote in `[backends.<name>]`; never looser than before.

        Raises:
            ConfigurationInvalid: Naming the key.
        """
        found: dict[str, int] = {}
        for key in LIMIT_KEYS & options.keys():
            value, own = options[key], getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1_000_000_000:
                raise ConfigurationInvalid(f"{key}: expects a whole number from 1 to 1000000000, not {value!r}")
            found[key] = value if own is None else min(own, value)
        return msgspec.structs.replace(self, **found)


LIMIT_KEYS: Final = frozenset(Limits.__struct_fields__)
"""Options of `[backends.<name>]` that the door of the plugins takes for itself, see `discovery`."""


@dataclass(frozen=True, eq=False)
class Execution:
    """
    A program with everything bound that it needs to run.

    Attributes:
        program: The lowered circuit.
        weights: float64[n_weights], shared by the batch, in the order of `program.weight_names`.
        features: float64[batch, n_features]; [batch, 0] for a circuit without features.
        observables: What to read out.
        shots: Measurements per sample and group of observables; None for exact expectations.
        seed: Makes shots reproducible; None draws fresh ones.
        precision: "single" or "double".
        noise: What it suffers, with shots only; None for nothing.
    """

    program: Program
    weights: Floats
    features: Floats
    observables: tuple[Observable, ...]
    shots: int | None = None
    seed: int | None = None
    precision: str = "single"
    noise: Noise | None = None

    @property
    def batch(self) -> int:
        return len(self.features)


@dataclass(slots=True, eq=False)
class CrossEntropy:
    """
    A classifier's training step up to its gradient.

    Attributes:
        loss: Mean cross entropy in nats.
        hits: Right answers.
        cotangents: float64[batch, n_observables], the loss's derivatives by the expectations.
        gradient: float64[n_weights].
        head_gradient: As long as the head.
    """

    loss: float
    hits: int
    cotangents: Floats
    gradient: Floats
    head_gradient: Floats


class Backend(ABC):
    """
    A place where circuits run.

    Args:
        options: From `[backends.<name>]` of the settings, secrets resolved.
    """

    name: ClassVar[str]
    kind: ClassVar[str] = "simulator"
    provider: ClassVar[str]

    capabilities: Capabilities
    prices: Prices = Prices()
    limits: Limits = Limits()

    #: What it runs on where that is not always the same, in words, for the receipts of its jobs: a graphics card's name,
    #: or why there is none.
    device: str | None = None

    #: A backend that waits for something asks this every moment: True ends the wait with `Cancelled`, and being asked
    #: shows that it is not stuck. A training puts its own here.
    should_stop: Callable[[], bool] = staticmethod(lambda: False)

    #: A backend of a provider calls this with a sentence when the provider is left alone for a while, and with None when
    #: it works (again). A training puts its own here.
    on_degraded: Callable[[str | None], None] = staticmethod(lambda reason: None)

    def __init__(self, options: Mapping[str, object]) -> None:
        self.options = dict(options)
        #: Where a backend of a provider writes down what it sends. A training puts its own here.
        self.remote_jobs = RemoteJobs()
        self._checked: WeakSet[Program] = WeakSet()

    @abstractmethod
    def expectations(self, execution: Execution) -> Floats:
        """
        Expectation values, [batch, n_observables].

        Raises:
            BackendCannot: The execution asks for what `capabilities` excludes.
            BackendUnavailable: The service behind it does not answer.
        """

    def differentiate(self, execution: Execution, pullback: Pullback) -> tuple[Floats, Floats]:
        """
        Expectations and the gradient of a loss by the weights.

        This one shifts every rotation that depends on a weight by plus and minus pi/2 (Schuld et al.,
        arXiv:1811.11184); controlled and several-angle gates are made of such rotations, a weight that occurs more than
        once sums up, and expressions follow the chain rule.

        Args:
            execution: What to run.
            pullback: From expectations [batch, n_observables] to the loss's derivatives by them, same shape.

        Returns:
            Expectations [batch, n_observables] and the gradient [n_weights].
        """
        import numpy as np

        expectations = pieces.expectations(self, execution)
        cotangents = checked_cotangents(pullback(expectations), expectations)
        program = execution.program
        n_slots = len(program.gradient_slots)
        slot_gradient = np.zeros((n_slots, execution.batch))
        per_call = max(1, MAX_SHIFTED_SAMPLES // max(1, 2 * execution.batch))
        own = execution.features[:, : program.n_features]
        for first in range(0, n_slots, per_call):
            slots = range(first, min(first + per_call, n_slots))
            shifts = np.zeros((len(slots), 2, execution.batch, n_slots))
            for row, slot in enumerate(slots):
                shifts[row, 0, :, slot] = np.pi / 2
                shifts[row, 1, :, slot] = -np.pi / 2
            repeated = np.broadcast_to(own, (len(slots), 2, *own.shape))
            features = np.concatenate([repeated, shifts], axis=-1)
            shifted = replace(
                execution,
                program=program.shifted,
                features=features.reshape(-1, features.shape[-1]),
                # The same draws for every slot would add their noise up instead of averaging it out.
                seed=None if execution.seed is None else execution.seed + 1 + first,
            )
            values = pieces.expectations(self, shifted).reshape(len(slots), 2, *expectations.shape)
            slot_gradient[slots.start : slots.stop] = np.einsum(
                "sbo,bo->sb", (values[:, 0] - values[:, 1]) / 2, cotangents
            )
        return expectations, program.weight_gradient(execution.weights, execution.features, slot_gradient)

    def cross_entropy(
        self, execution: Execution, labels: NDArray[np.int64], head: Floats, shares: Floats
    ) -> CrossEntropy | None:
        """
        A softmax classifier's whole step at once, for a backend that has something faster than `differentiate`.

        Args:
            labels: [batch], the class of each sample.
            head: W [n_classes, n_observables] and b [n_classes], one after the other; empty where the first expectations
                are the logits.
            shares: [n_classes], how much a sample of each class counts in the mean.

        Returns:
            None where only `differentiate` will do; here always.
        """
        return None

    def statevector(self, execution: Execution) -> NDArray[np.complexfloating]:
        """
        Amplitudes, complex[batch, 2**n_qubits]; qubit 0 is the most significant bit of the index.

        Raises:
            BackendCannot: This backend has no amplitudes to give.
        """
        raise BackendCannot(f"The backend {self.name} has no state vectors.")

    def sample(self, execution: Execution) -> list[dict[str, int]]:
        """
        Counts of `execution.shots` measurements of all qubits, one mapping for each sample of the batch.

        A backend that measures for itself overrides this; this one draws from its amplitudes.

        Returns:
            Bit string (qubit 0 leftmost) to how often it was measured.

        Raises:
            BackendCannot: This backend has neither counts nor amplitudes to give, or not with this noise.
        """
        from qstore_appliance.engine.shots import counts

        self._check_noise(execution)
        return counts(execution, self.statevector)

    def probe(self) -> None:  # noqa: B027 - a backend that cannot fail has nothing to find out
        """
        Find out whether the backend works now; may take seconds, so it runs in a child process.

        Raises:
            BackendUnavailable: With the reason.
        """

    def end_remote(self, job: RemoteJob) -> RemoteJob:
        """
        Cancel what is left at the provider of a training that is over, with what it was charged.

        Raises:
            BackendUnavailable: The provider does not answer now.
            BackendCannot: Nothing leaves this machine.
        """
        raise BackendCannot(f"The backend {self.name} has no jobs elsewhere.")

    def estimated_cost(self, program: Program, shots: int) -> float | None:
        """
        US dollars that a provider estimates for one circuit; None where prices have to do.

        Raises:
            BackendUnavailable, BackendBadResponse: It does not say.
        """
        return None

    def circuits_for(self, batch: int, differentiate: bool, program: Program, shots: int | None = None) -> int:
        """How many circuits one call really runs: what metering and prices count."""
        if not differentiate or (self.capabilities.adjoint and shots is None):
            return batch
        return batch * (1 + 2 * len(program.gradient_slots))

    def check(self, execution: Execution) -> None:
        """
        Refuse what the capabilities exclude and what does not fit together.

        Raises:
            BackendCannot: Too many qubits, an unknown gate, exact values, shots or noise where there are none.
            ValidationFailed: Shapes of weights or features that do not fit the program; noise without shots.
        """
        able = self.capabilities
        if execution.program not in self._checked:
            # A training job asks thousands of times with one program; its gates are looked through once.
            self.check_circuit(execution.program.circuit)
            self._checked.add(execution.program)
        execution.program.check(execution.weights, execution.features)
        if execution.precision not in able.precisions:
            raise BackendCannot(f"The backend {self.name} has no {execution.precision[:20]} precision.")
        if execution.shots is None and not able.exact:
            raise BackendCannot(f"The backend {self.name} needs a number of shots.")
        if execution.shots is not None:
            if not able.shots:
                raise BackendCannot(f"The backend {self.name} takes no shots: it computes exact values.")
            if execution.shots < 1:
                raise ValidationFailed.field("shots", "must be at least 1.")
        self._check_noise(execution)
        for observable in execution.observables:
            if observable.last_qubit >= execution.program.n_qubits:
                raise ValidationFailed.field("observables", f"{observable.text} acts on a qubit that is not there.")

    def _check_noise(self, execution: Execution) -> None:
        if execution.noise is not None:
            execution.noise.check(f"The backend {self.name}", self.capabilities.noise, self.capabilities.noise_models)
            if execution.shots is None:
                raise needs_shots()

    def check_circuit(self, circuit: Circuit) -> None:
        """
        Refuse a circuit that is too large, too deep, or has a gate that is not taken.

        Raises:
            BackendCannot: With the first reason.
        """
        able = self.capabilities
        if circuit.n_qubits > able.max_qubits:
            raise BackendCannot(
                f"The backend {self.name} takes at most {able.max_qubits} qubits, not {circuit.n_qubits}."
            )
        if able.max_depth is not None and circuit.depth > able.max_depth:
            raise BackendCannot(f"The backend {self.name} takes a depth of at most {able.max_depth}.")
        unknown = {gate.name for gate in circuit.gates}.difference(able.gates)
        if unknown:
            raise BackendCannot(f"The backend {self.name} has no gate {', '.join(sorted(unknown))}.")


def checked_cotangents(cotangents: Floats, expectations: Floats) -> Floats:
    """
    What a pullback returned, as float64 of the right shape.

    Raises:
        BackendBadResponse: The shape is not that of the expectations.
    """
    import numpy as np

    checked = np.asarray(cotangents, np.float64)
    if checked.shape != expectations.shape:
        raise BackendBadResponse(f"The loss gave derivatives of shape {checked.shape}, not {expectations.shape}.")
    return checked
