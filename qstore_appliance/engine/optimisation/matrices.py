"""Gates with numbers as small matrices, the first operand the highest bit."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.circuit import Circuit, Gate
from qstore_appliance.engine.lowering import lower

Matrix = NDArray[np.complexfloating[Any, Any]]

_SWAP: Final = np.eye(4, dtype=np.complex128)[[0, 2, 1, 3]]
_PERMUTED: Final = {
    "CNOT": np.eye(4, dtype=np.complex128)[[0, 1, 3, 2]],
    "CZ": np.diag([1, 1, 1, -1]).astype(np.complex128),
    "SWAP": _SWAP,
}


@lru_cache(maxsize=4096)
def of(gate: Gate) -> Matrix:
    """The matrix of a gate of one or two qubits, up to a global phase; with numbers for parameters."""
    n_qubits = len(gate.targets)
    steps = lower(Circuit(n_qubits, (Gate(gate.name, tuple(range(n_qubits)), gate.parameters),))).steps
    found: Matrix = np.eye(2**n_qubits, dtype=np.complex128)
    for step in steps:
        if step.angle is None:
            matrix = _PERMUTED[step.name]
            found = (matrix if step.qubits == (0, 1) else _SWAP @ matrix @ _SWAP) @ found
            continue
        turned: Matrix = rotation(step.name, step.angle.offset)
        if n_qubits == 2:
            turned = np.kron(turned, np.eye(2)) if step.qubits[0] == 0 else np.kron(np.eye(2), turned)
        found = turned @ found
    found.setflags(write=False)
    return found


def rotation(name: str, angle: float) -> Matrix:
    cos, sin = math.cos(angle / 2), math.sin(angle / 2)
    if name == "RZ":
        return np.array([[cmath.exp(-0.5j * angle), 0], [0, cmath.exp(0.5j * angle)]])
    if name == "RY":
        return np.array([[cos, -sin], [sin, cos]], dtype=np.complex128)
    return np.array([[cos, -1j * sin], [-1j * sin, cos]])


def of_pair(gates: Sequence[Gate], pair: tuple[int, int]) -> Matrix:
    """The matrix of gates on two qubits, the first of the pair the highest bit."""
    found = np.eye(4, dtype=np.complex128)
    for gate in gates:
        matrix = of(gate)
        if len(gate.targets) == 1:
            matrix = np.kron(matrix, np.eye(2)) if gate.targets[0] == pair[0] else np.kron(np.eye(2), matrix)
        elif gate.targets[0] != pair[0]:
            matrix = _SWAP @ matrix @ _SWAP
        found = matrix @ found
    return found
