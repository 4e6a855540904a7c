"""
An independent simulator: every gate as the matrix that textbooks print, multiplied into a dense state.

It shares nothing with the engine but the words of a circuit; it is slow and plain on purpose.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.circuit import Circuit
from qstore_appliance.engine.expressions import Expression
from qstore_appliance.engine.observables import Observable

Matrix = NDArray[np.complex128]

I2 = np.eye(2, dtype=complex)
PAULI = {
    "X": np.array([[0, 1], [1, 0]], complex),
    "Y": np.array([[0, -1j], [1j, 0]], complex),
    "Z": np.array([[1, 0], [0, -1]], complex),
}


def _exponential(generator: Matrix, angle: float) -> Matrix:
    """exp(-i angle G / 2) for a G that squares to one."""
    return math.cos(angle / 2) * np.eye(len(generator)) - 1j * math.sin(angle / 2) * generator


def _controlled(matrix: Matrix, controls: int = 1) -> Matrix:
    full = np.eye(len(matrix) * 2**controls, dtype=complex)
    full[-len(matrix) :, -len(matrix) :] = matrix
    return full


def _equator(phi: float) -> Matrix:
    return np.array([[0, cmath.exp(-1j * phi)], [cmath.exp(1j * phi), 0]])


def _phase(angle: float) -> Matrix:
    return np.diag([1, cmath.exp(1j * angle)])


def _u3(theta: float, phi: float, lam: float) -> Matrix:
    c, s = math.cos(theta / 2), math.sin(theta / 2)
    return np.array(
        [[c, -cmath.exp(1j * lam) * s], [cmath.exp(1j * phi) * s, cmath.exp(1j * (phi + lam)) * c]], complex
    )


SWAP = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], complex)
PLAIN = {
    **PAULI,
    "H": np.array([[1, 1], [1, -1]], complex) / math.sqrt(2),
    "S": _phase(math.pi / 2),
    "SDG": _phase(-math.pi / 2),
    "T": _phase(math.pi / 4),
    "TDG": _phase(-math.pi / 4),
    "SX": np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2,
    "CNOT": _controlled(PAULI["X"]),
    "CZ": _controlled(PAULI["Z"]),
    "SWAP": SWAP,
    "ISWAP": np.array([[1, 0, 0, 0], [0, 0, 1j, 0], [0, 1j, 0, 0], [0, 0, 0, 1]], complex),
    "CCX": _controlled(PAULI["X"], 2),
    "CSWAP": _controlled(SWAP),
}


def matrix(name: str, angles: Sequence[float]) -> Matrix:
    """The unitary of a gate, operands from the most significant bit down."""
    if name in PLAIN:
        return PLAIN[name]
    if name in ("RX", "RY", "RZ"):
        return _exponential(PAULI[name[1]], angles[0])
    if name in ("CRX", "CRY", "CRZ"):
        return _controlled(_exponential(PAULI[name[2]], angles[0]))
    if name in ("RXX", "RYY", "RZZ"):
        return _exponential(np.kron(PAULI[name[1]], PAULI[name[2]]), angles[0])
    if name == "MS":
        return _exponential(np.kron(_equator(angles[0]), _equator(angles[1])), angles[2])
    special = {
        "P": _phase,
        "CP": lambda angle: _controlled(_phase(angle)),
        "U3": _u3,
        "GPI": _equator,
        "GPI2": lambda phi: (I2 - 1j * _equator(phi)) / math.sqrt(2),
    }
    return special[name](*angles)


def state(circuit: Circuit, values: Mapping[str, float]) -> Matrix:
    """The final state [2^n] from all zeros, qubit 0 most significant."""
    tensor = np.zeros((2,) * circuit.n_qubits, complex)
    tensor[(0,) * circuit.n_qubits] = 1
    for gate in circuit.gates:
        angles = [p.evaluate(values) if isinstance(p, Expression) else p for p in gate.parameters]
        k = len(gate.targets)
        unitary = matrix(gate.name, angles).reshape((2,) * (2 * k))
        tensor = np.tensordot(unitary, tensor, axes=(range(k, 2 * k), gate.targets))
        tensor = np.moveaxis(tensor, range(k), gate.targets)
    return tensor.reshape(-1)


def expectation(amplitudes: Matrix, observable: Observable) -> float:
    """<psi| P |psi>, the factors of P applied one after the other."""
    n_qubits = len(amplitudes).bit_length() - 1
    tensor = amplitudes.reshape((2,) * n_qubits)
    for qubit, pauli in observable.terms:
        tensor = np.moveaxis(np.tensordot(PAULI[pauli], tensor, axes=(1, qubit)), 0, qubit)
    return float(np.vdot(amplitudes, tensor.reshape(-1)).real)


def batch_values(circuit: Circuit, weights: Sequence[float], features: NDArray[np.float64]) -> list[dict[str, float]]:
    """One mapping of symbols per sample."""
    shared = dict(zip(circuit.weights, map(float, weights), strict=True))
    return [{**shared, **{f"x_{k}": float(row[k]) for k in circuit.features}} for row in features]
