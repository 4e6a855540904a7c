"""
Runs of gates on two qubits become at most three entanglers: Cartan's decomposition, as Cirq has it.

How many CNOTs a block needs follows from its matrix alone (Shende, Bullock and Markov 2004, arXiv:quant-ph/0308045), so
that only a block that has more is taken apart. Runs in a process of the engine: Cirq is imported here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from qstore_appliance.engine.circuit import Gate
from qstore_appliance.engine.optimisation import matrices
from qstore_appliance.engine.optimisation.matrices import Matrix
from qstore_appliance.engine.optimisation.single_qubit import symbolic, written

_CLOSE: Final = 1e-8
_YY: Final = np.array([[0, 0, 0, -1], [0, 0, 1, 0], [0, 1, 0, 0], [-1, 0, 0, 0]], dtype=np.complex128)
#: CNOTs that a gate comes to.
CNOTS: Final = {
    "CNOT": 1, "CZ": 1, "SWAP": 3, "ISWAP": 2, "CP": 2, "CRX": 2, "CRY": 2, "CRZ": 2, "RXX": 2, "RYY": 2, "RZZ": 2,
    "MS": 2, "CCX": 6, "CSWAP": 8,
}  # fmt: skip


def squash(gates: Sequence[Gate]) -> list[Gate]:
    """The gates with every block that needs fewer CNOTs than it has written anew, up to a global phase."""
    out: list[Gate] = []
    for pair, block in blocks(gates):
        has = sum(CNOTS.get(gate.name, 0) for gate in block)
        if pair is None or has < 2:
            out.extend(block)
            continue
        found = matrices.of_pair(block, pair)
        out.extend(block if needed(found) >= has else _taken_apart(found, pair))
    return out


def blocks(gates: Sequence[Gate]) -> list[tuple[tuple[int, int] | None, list[Gate]]]:
    """The gates in an order that is the same circuit, as runs on one pair of qubits each; no pair for what fits none."""
    found: list[tuple[tuple[int, int] | None, list[Gate]]] = []
    current: dict[int, int] = {}
    loose: dict[int, list[Gate]] = {}

    def alone(qubit: int) -> None:
        if run := loose.pop(qubit, None):
            found.append((None, run))

    for gate in gates:
        targets = gate.targets
        if len(targets) == 1 and not symbolic(gate):
            place = current.get(targets[0])
            if place is None:
                loose.setdefault(targets[0], []).append(gate)
            else:
                found[place][1].append(gate)
        elif len(targets) == 2 and not symbolic(gate):
            place = current.get(targets[0])
            if place is not None and place == current.get(targets[1]):
                found[place][1].append(gate)
                continue
            first, second = sorted(targets)
            for qubit in targets:
                current.pop(qubit, None)
            run = [*loose.pop(first, []), *loose.pop(second, []), gate]
            found.append(((first, second), run))
            current[first] = current[second] = len(found) - 1
        else:
            for qubit in targets:
                current.pop(qubit, None)
                alone(qubit)
            found.append((None, [gate]))
    for qubit in sorted(loose):
        alone(qubit)
    return found


def needed(matrix: Matrix) -> int:
    """CNOTs without which a matrix of two qubits cannot be made."""
    unit = matrix / np.linalg.det(matrix) ** 0.25
    gamma = unit @ _YY @ unit.T @ _YY
    trace = np.trace(gamma)
    if abs(abs(trace.real) - 4) < _CLOSE and abs(trace.imag) < _CLOSE:
        return 0
    square = np.trace(gamma @ gamma)
    # det^(1/4) leaves a fourth root of one open: of two of them gamma changes its sign, of the others too.
    if abs(trace) < _CLOSE and abs(square + 4) < _CLOSE:
        return 1
    return 2 if abs(trace.imag) < _CLOSE else 3


def _taken_apart(matrix: Matrix, pair: tuple[int, int]) -> list[Gate]:
    import cirq

    one, other = cirq.LineQubit(0), cirq.LineQubit(1)
    places: dict[cirq.Qid, int] = {one: pair[0], other: pair[1]}
    operations = cirq.two_qubit_matrix_to_cz_operations(one, other, matrix, allow_partial_czs=False, atol=1e-9)
    out: list[Gate] = []
    for operation in operations:
        qubits = tuple(places[qubit] for qubit in operation.qubits)
        if len(qubits) == 1:
            gate = written(np.asarray(cirq.unitary(operation)), qubits[0])
            out.extend([] if gate is None else [gate])
        else:
            out.extend(_cnot(qubits))
    return out


def _cnot(qubits: tuple[int, ...]) -> list[Gate]:
    turn = Gate("H", (qubits[1],))
    return [turn, Gate("CNOT", qubits), turn]
