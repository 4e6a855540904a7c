"""
What a training will take, before it runs: time, memory, circuits, shots. Pure arithmetic, for the serving process.

Speeds are this machine's own where they have been measured (`machine_speed.py`), else those of a two-core machine; other
circuits and other work on the machine make a factor of three either way, which `low` and `high` say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from qstore_appliance.engine import hamiltonians, machine_speed
from qstore_appliance.engine.backend import Capabilities
from qstore_appliance.engine.circuit import Circuit
from qstore_appliance.engine.expressions import Expression
from qstore_appliance.engine.noise import Noise
from qstore_appliance.engine.part_sizes import PartSizes, part_sizes

#: Seconds per gate and amplitude of one circuit run forward on all cores of the machine measured.
FORWARD: Final = 4.0e-11
#: One adjoint pass costs so many forward passes beside the one that it follows.
ADJOINT: Final = 2.5
#: Seconds that a call costs whatever its size; and beside a measured call, what a training step does around it.
CALL: Final = 1.0e-4
OVERHEAD: Final = 3.0e-5
#: What reading an observable costs, in gates.
READ: Final = 0.3
#: Simulators of other providers take so much longer, by their tutorials' ways of calling.
FOREIGN: Final = 40.0
#: Seconds per gate of one trajectory of a noisy circuit, its channels included; and per amplitude beside them.
TRAJECTORY: Final = (1.8e-6, 4.0e-10)
#: Seconds that hardware takes per circuit, waiting not included.
HARDWARE: Final = 1.0
#: Seconds to start; per training row of the baseline; per multiplication of the covariance that PCA needs.
START: Final = 0.3
BASELINE: Final = 5.0e-5
MULTIPLY: Final = 1.0e-10
#: Evaluations of a step of L-BFGS, usually and at most.
LINE_SEARCH: Final = (3.0, 21.0)
#: A child with the engine loaded; and with scikit-learn for the baseline.
PROCESS_BYTES: Final = 260_000_000
#: Bytes for each amplitude where a backend says nothing of it: a state, its costate, and scratch in double precision.
STATE_BYTES: Final = 48
#: Outcomes are drawn from a copy of the amplitudes and from their probabilities.
DRAWN_BYTES: Final = 24
#: Small states are run many at once, within so many bytes.
STATES_AT_ONCE: Final = 256 * 2**20

#: Plain rotations that a gate's angles are made of, where it is not one each (`lowering.py` makes them).
_ROTATIONS: Final[Mapping[str, tuple[int, ...]]] = {
    **dict.fromkeys(("GPI", "GPI2", "CRX", "CRY", "CRZ"), (2,)),
    "CP": (3,),
    "MS": (2, 2, 1),
}


class Interval(msgspec.Struct, frozen=True):
    """An estimate that says how sure it is."""

    low: float
    expected: float
    high: float

    def times(self, low: float, expected: float, high: float) -> Interval:
        return Interval(self.low * low, self.expected * expected, self.high * high)


class Estimate(msgspec.Struct, frozen=True):
    """Of a whole job, scoring of the test part included."""

    seconds: Interval
    memory_bytes: Interval
    circuits: Interval
    shots: Interval


def estimate(
    circuit: Circuit,
    config: Mapping[str, Any],
    *,
    n_samples: int,
    n_inputs: int,
    n_classes: int,
    capabilities: Capabilities,
    backend: str = "native",
    kind: str = "simulator",
    n_reference: int = 0,
) -> Estimate:
    """
    Args:
        circuit: as stored; an encoding in front costs one gate per qubit more.
        config: the job's config; `dataset.train_size` and `.val_size` are checked against the data.
        n_samples, n_inputs, n_classes: of the data set, or of the classes chosen.
        capabilities, backend, kind: where it will run.
        n_reference: rows of the publisher's training part, 0 if there is none.

    Raises:
        ValidationFailed: the parts cannot be had from these samples.
    """
    task = config.get("task") or "classification"
    dataset = config.get("dataset") or {}
    if task in ("energy", "sampling"):
        parts = PartSizes(1, 0, 1, False)
    else:
        parts = part_sizes(n_samples, n_classes, dataset.get("train_size"), dataset.get("val_size"), n_reference)
    epochs = 0 if task == "sampling" else int(config.get("epochs") or 10)
    batch = min(int(config.get("batch_size") or 32), parts.train)
    shots = config.get("shots")
    stopping = config.get("early_stopping")
    fewest = min(epochs, int(stopping.get("patience") or 5) + 1) if stopping else epochs

    rule = _rule(config, capabilities)
    per_sample = _circuits_per_sample(config, circuit, rule)
    circuits = Interval(
        *(
            n * (parts.train * each + parts.validation) + parts.test
            for n, each in zip((fewest, epochs, epochs), msgspec.structs.astuple(per_sample), strict=True)
        )
    )

    gates = circuit.gate_count + (0 if circuit.features else circuit.n_qubits)
    machine = machine_speed.load()
    speed = None if machine is None else machine.speeds.get(backend)
    each = (
        FORWARD * (1.0 if backend == "native" else FOREIGN) if speed is None else speed.per_amplitude(circuit.n_qubits)
    )
    adjoint, call = (ADJOINT, CALL) if speed is None else (speed.adjoint, speed.call + OVERHEAD)
    forward = HARDWARE if kind == "hardware" else each * (gates + READ * _observables(config, circuit.n_qubits))
    if kind != "hardware":
        forward *= 2**circuit.n_qubits
    noise = Noise.of(config.get("noise"))
    if shots is not None:
        forward += 2e-8 * shots
        if noise is not None and noise.on_gates:
            # Every shot runs the whole circuit, with random choices of its own.
            forward += shots * gates * (TRAJECTORY[0] + TRAJECTORY[1] * 2**circuit.n_qubits)
    # An adjoint pass is one circuit that takes longer.
    sample = per_sample.expected + (adjoint * per_sample.expected if rule == "adjoint" else 0.0)
    epoch = parts.train * sample * forward + parts.validation * forward + -(-parts.train // batch) * call
    around = parts.test * forward + START + parts.train * (BASELINE + MULTIPLY * n_inputs**2)
    whole = Interval(*(n * epoch + around for n in (fewest, epochs, epochs)))

    one = _state(config, capabilities, circuit.n_qubits, kind, rule)
    states = min(batch * one, max(STATES_AT_ONCE, one))
    rows = n_samples * n_inputs * (1 if n_reference else 8) + n_samples * circuit.n_qubits * 8
    memory = Interval(*[float(PROCESS_BYTES + states + 2 * rows)] * 3)
    surest = per_sample.expected or 1.0
    return Estimate(
        seconds=whole.times(1 / 3 * per_sample.low / surest, 1.0, 3.0 * per_sample.high / surest),
        memory_bytes=memory.times(0.7, 1.0, 1.8),
        circuits=circuits,
        shots=circuits.times(*[float(shots or 0)] * 3),
    )


def _state(config: Mapping[str, Any], capabilities: Capabilities, n_qubits: int, kind: str, rule: str) -> int:
    """Bytes of this machine that one circuit takes, as it is run in this job."""
    if kind == "hardware" or capabilities.remote or capabilities.memory_bytes is not None:
        return 0
    sampling = config.get("task") == "sampling"
    needed = capabilities.memory_needed(
        n_qubits, str(config.get("precision") or "single"), gradient=rule == "adjoint" and not sampling
    )
    drawn = DRAWN_BYTES if sampling or config.get("shots") is not None else 0
    return (needed or STATE_BYTES << n_qubits) + (drawn << n_qubits)


def _rule(config: Mapping[str, Any], capabilities: Capabilities) -> str:
    """Where gradients will come from, as `runner.Runner.rule` says it."""
    if config.get("optimizer") == "spsa":
        return "spsa"
    asked = str(config.get("gradient") or "auto")
    if asked != "auto":
        return asked
    return "adjoint" if config.get("shots") is None and capabilities.adjoint else "parameter_shift"


def _circuits_per_sample(config: Mapping[str, Any], circuit: Circuit, rule: str) -> Interval:
    """Of one training step; what an optimiser asks beside the gradient is known only within bounds."""
    each = {"adjoint": 1, "spsa": 2}.get(rule) or 1 + 2 * _rotations(circuit)
    if config.get("optimizer") == "natural":
        return Interval(each, each + circuit.depth / 2, each + circuit.depth)
    if config.get("optimizer") == "lbfgs":
        return Interval(each, LINE_SEARCH[0] * each, LINE_SEARCH[1] * each)
    return Interval(each, each, each)


def _rotations(circuit: Circuit) -> int:
    """Plain rotations that depend on a weight: what the shift rule shifts."""
    weights = set(circuit.weights)
    count = 0
    for gate in circuit.gates:
        rotations = _ROTATIONS.get(gate.name, (1,) * len(gate.parameters))
        count += sum(
            n
            for n, angle in zip(rotations, gate.parameters, strict=True)
            if isinstance(angle, Expression) and not weights.isdisjoint(angle.symbols)
        )
    return count


def _observables(config: Mapping[str, Any], n_qubits: int) -> int:
    if config.get("task") == "energy":
        return len(hamiltonians.build(config.get("hamiltonian"), n_qubits).terms)
    spec = (config.get("readout") or {}).get("observables") or "z"
    if isinstance(spec, str):
        return n_qubits if spec == "z" else n_qubits * (n_qubits + 1) // 2
    return len(spec)
