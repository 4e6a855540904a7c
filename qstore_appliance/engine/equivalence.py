"""
Whether two circuits do the same up to a global phase, or a state that tells them apart.

Up to `EXACT` qubits the whole unitary matrices are compared, above that what they make of random product states. Symbols
are bound to several sets of random numbers, each kept in the answer. Runs in a calculator process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine import discovery
from qstore_appliance.engine.backend import Execution
from qstore_appliance.engine.circuit import Circuit, Gate
from qstore_appliance.engine.expressions import symbol
from qstore_appliance.engine.program import Program
from qstore_appliance.errors import InvalidCircuit

#: Qubits up to which whole matrices are compared.
EXACT: Final = 10
#: Sets of numbers for the symbols, and random states above `EXACT` qubits.
BINDINGS: Final = 3
STATES: Final = 3
#: An overlap that is farther from one than this is another circuit; both circuits' rounding stays far below it.
TOLERANCE: Final = 1e-9
#: Amplitudes times gates that may be computed: beyond it (about ten seconds) there is no certificate.
MOST_WORK: Final = 3e10

States = NDArray[np.complex128]


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """
    Attributes:
        equivalent: The same up to a global phase, as far as was looked; None where it was too much to look.
        method: `unitary`, `random_states` or `none`.
        overlap: The least that was found: |tr(A†B)| / 2^n of matrices, |<a|b>| of states; None with `none`.
        bindings: The numbers that the symbols had.
        states: How many random states were looked at; 0 for whole matrices.
        counter_example: `parameters`, `preparation` (gates from |0…0>) and `overlap` of what the two make of that state.
    """

    equivalent: bool | None
    method: str
    overlap: float | None
    bindings: list[dict[str, float]]
    states: int
    counter_example: dict[str, Any] | None = None

    def told(self) -> dict[str, Any]:
        return dict(msgspec.structs.asdict(self))


def compare(one: Circuit, other: Circuit, seed: int) -> Certificate:
    """
    Args:
        seed: Of the numbers for symbols and of the random states.

    Raises:
        InvalidCircuit: An expression has no finite value for any numbers that were tried.
    """
    n_qubits = max(one.n_qubits, other.n_qubits)
    names = list(dict.fromkeys((*one.symbols, *other.symbols)))
    random = np.random.default_rng(seed)
    bindings = [_numbers(one, other, names, random) for _ in range(BINDINGS if names else 1)]
    states = 0 if n_qubits <= EXACT else STATES
    columns = 2**n_qubits if n_qubits <= EXACT else states
    work = float(2**n_qubits) * columns * (one.gate_count + other.gate_count)
    if one.gates == other.gates:
        work = 0.0
    bindings = bindings[: max(1, min(len(bindings), int(MOST_WORK / max(1.0, work))))]
    if work > MOST_WORK and n_qubits > EXACT:
        states = int(MOST_WORK / (work / states))
        if states < 1:
            return Certificate(equivalent=None, method="none", overlap=None, bindings=[], states=0)
    method = "random_states" if states else "unitary"
    least, example = 1.0, None
    for numbers in bindings:
        a, b = _bound(one, n_qubits, numbers), _bound(other, n_qubits, numbers)
        if one.gates == other.gates:
            break
        found, preparation, there = _random(a, b, states, random) if states else _exact(a, b)
        if found < least:
            least = found
            example = {"parameters": numbers, "preparation": _rows(preparation), "overlap": there}
    equivalent = least >= 1.0 - TOLERANCE
    return Certificate(
        equivalent=equivalent,
        method=method,
        overlap=least,
        bindings=bindings if names else [],
        states=states,
        counter_example=None if equivalent else example,
    )


def _exact(one: Circuit, other: Circuit) -> tuple[float, list[Gate], float]:
    """The overlap of the matrices, and a state that tells them apart best, prepared, with the overlap of its images."""
    a, b = _matrix(one), _matrix(other)
    inner = np.sum(a.conj() * b, axis=1)
    overlap = min(1.0, float(abs(inner.mean())))
    if overlap >= 1.0 - TOLERANCE:
        return overlap, [], overlap
    worst = int(np.argmin(abs(inner)))
    if abs(inner[worst]) < 0.999:
        return overlap, _basis(worst, one.n_qubits), float(abs(inner[worst]))
    # Every basis state goes to where it should, but for its phase: two of them together tell.
    turned = np.angle(inner / inner[0])
    far = int(np.argmax(abs(turned)))
    gates = _pair(far, one.n_qubits)
    return overlap, gates, _overlap(one, other, gates)


def _random(one: Circuit, other: Circuit, states: int, random: np.random.Generator) -> tuple[float, list[Gate], float]:
    """The least overlap of what two circuits make of random states, with the preparation of that state."""
    least, kept = 1.0, []
    for _ in range(states):
        angles = random.uniform(0, np.pi, one.n_qubits), random.uniform(-np.pi, np.pi, one.n_qubits)
        gates = [Gate("U3", (q,), (float(angles[0][q]), float(angles[1][q]), 0.0)) for q in range(one.n_qubits)]
        found = _overlap(one, other, gates)
        if found < least:
            least, kept = found, gates
    return least, kept, least


def _matrix(circuit: Circuit) -> States:
    """Row k: what becomes of basis state k, all of them in one batch; each up to the same phase in any circuit."""
    n_qubits = circuit.n_qubits
    # A turn by pi about X takes 0 to 1; its phase is the same in both circuits, and falls out.
    flips = tuple(Gate("RX", (qubit,), (symbol(f"x_{qubit}"),)) for qubit in range(n_qubits))
    bits = (np.arange(2**n_qubits)[:, None] >> np.arange(n_qubits)[::-1]) & 1
    return _run(Circuit(n_qubits, flips + circuit.gates), np.pi * bits)


def _overlap(one: Circuit, other: Circuit, preparation: Sequence[Gate]) -> float:
    a, b = (
        _run(Circuit(circuit.n_qubits, (*preparation, *circuit.gates)), np.zeros((1, 0)))[0] for circuit in (one, other)
    )
    return min(1.0, float(abs(np.vdot(a, b)) / (np.linalg.norm(a) * np.linalg.norm(b))))


def _run(circuit: Circuit, features: Any) -> States:
    simulator = discovery.load("native", {})
    execution = Execution(
        program=Program.lower(circuit),
        weights=np.zeros(0),
        features=np.asarray(features, dtype=np.float64),
        observables=(),
        shots=None,
        seed=0,
        precision=simulator.capabilities.precisions[-1],
    )
    return np.asarray(simulator.statevector(execution), dtype=np.complex128)


def _bound(circuit: Circuit, n_qubits: int, numbers: dict[str, float]) -> Circuit:
    own = {name: numbers[name] for name in circuit.symbols}
    return Circuit(n_qubits, circuit.bind(own).gates if own else circuit.gates)


def _numbers(one: Circuit, other: Circuit, names: Sequence[str], random: np.random.Generator) -> dict[str, float]:
    """Numbers for which every expression has a value: of any sign if it can be, else positive ones (for roots)."""
    for low, high in ((-np.pi, np.pi), (0.1, np.pi), (0.05, 0.95)):
        numbers = {name: float(random.uniform(low, high)) for name in names}
        try:
            _bound(one, one.n_qubits, numbers)
            _bound(other, other.n_qubits, numbers)
        except InvalidCircuit as fault:
            last = fault
        else:
            return numbers
    raise last


def _basis(index: int, n_qubits: int) -> list[Gate]:
    return [Gate("X", (qubit,)) for qubit in range(n_qubits) if index >> (n_qubits - 1 - qubit) & 1]


def _pair(index: int, n_qubits: int) -> list[Gate]:
    """Gates that make of |0…0> the sum of it and another basis state."""
    ones = [gate.targets[0] for gate in _basis(index, n_qubits)]
    return [Gate("H", (ones[0],)), *(Gate("CNOT", (ones[0], qubit)) for qubit in ones[1:])]


def _rows(gates: Sequence[Gate]) -> list[dict[str, Any]]:
    from qstore_appliance.engine.formats import unified

    return list(unified.write(Circuit(1, tuple(gates)))["gates"])
