"""
An independent noisy simulator: density matrices, gates as textbooks print them, channels by their Kraus operators.

The whole 2^n by 2^n matrix is multiplied out; it shares nothing with any backend but the words of a circuit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.backend import Execution
from qstore_appliance.engine.circuit import Circuit
from qstore_appliance.engine.expressions import Expression
from qstore_appliance.engine.noise import Noise
from qstore_appliance.engine.observables import Observable
from tests.contract.backends import oracle
from tests.contract.backends.oracle import PAULI, Matrix

I2 = np.eye(2, dtype=complex)


def depolarizing(p: float) -> list[Matrix]:
    """Nielsen and Chuang, 8.3.4, in the form with three equally likely errors."""
    return [math.sqrt(1 - p) * I2, *(math.sqrt(p / 3) * PAULI[axis] for axis in "XYZ")]


def amplitude_damping(gamma: float) -> list[Matrix]:
    """Nielsen and Chuang, 8.3.5."""
    return [
        np.array([[1, 0], [0, math.sqrt(1 - gamma)]], complex),
        np.array([[0, math.sqrt(gamma)], [0, 0]], complex),
    ]


def embedded(matrix: Matrix, targets: Sequence[int], n_qubits: int) -> Matrix:
    """A matrix on some qubits as one on all of them, entry by entry; qubit 0 is the most significant."""
    k, size = len(targets), 2**n_qubits
    out = np.zeros((size, size), complex)
    for column in range(size):
        bits = [column >> (n_qubits - 1 - q) & 1 for q in range(n_qubits)]
        inner = sum(bits[q] << (k - 1 - place) for place, q in enumerate(targets))
        for row in range(2**k):
            moved = list(bits)
            for place, q in enumerate(targets):
                moved[q] = row >> (k - 1 - place) & 1
            out[sum(bit << (n_qubits - 1 - q) for q, bit in enumerate(moved)), column] = matrix[row, inner]
    return out


def state(circuit: Circuit, values: Mapping[str, float], noise: Noise | None) -> Matrix:
    """The final density matrix from all zeros, every channel after each gate on each qubit that it touches."""
    n = circuit.n_qubits
    rho = np.zeros((2**n, 2**n), complex)
    rho[0, 0] = 1
    channels = []
    if noise is not None and noise.depolarizing is not None:
        channels.append(depolarizing(noise.depolarizing))
    if noise is not None and noise.amplitude_damping is not None:
        channels.append(amplitude_damping(noise.amplitude_damping))
    for gate in circuit.gates:
        angles = [p.evaluate(values) if isinstance(p, Expression) else p for p in gate.parameters]
        unitary = embedded(oracle.matrix(gate.name, angles), gate.targets, n)
        rho = unitary @ rho @ unitary.conj().T
        for qubit in gate.targets:
            for kraus in channels:
                operators = [embedded(one, [qubit], n) for one in kraus]
                rho = sum(one @ rho @ one.conj().T for one in operators)
    return rho


def expectation(rho: Matrix, observable: Observable, noise: Noise | None) -> float:
    """
    Tr(rho P), each factor of P as a faulty meter reads it.

    A meter that reads 0 as 1 with p01 and 1 as 0 with p10 shows (1 - p01 - p10) P + (p10 - p01) on average.
    """
    n = len(rho).bit_length() - 1
    p01, p10 = (0.0, 0.0) if noise is None or noise.readout is None else (noise.readout.p01, noise.readout.p10)
    for qubit, pauli in observable.terms:
        rho = embedded((1 - p01 - p10) * PAULI[pauli] + (p10 - p01) * I2, [qubit], n) @ rho
    return float(np.trace(rho).real)


def probabilities(rho: Matrix, noise: Noise | None) -> NDArray[np.float64]:
    """What is read, by outcome: the sum over what is there of how likely it is to be read so."""
    n = len(rho).bit_length() - 1
    there = np.diag(rho).real
    p01, p10 = (0.0, 0.0) if noise is None or noise.readout is None else (noise.readout.p01, noise.readout.p10)
    chance = {(0, 0): 1 - p01, (0, 1): p01, (1, 0): p10, (1, 1): 1 - p10}
    read = np.zeros(2**n)
    for outcome in range(2**n):
        for real in range(2**n):
            factor = math.prod(chance[real >> q & 1, outcome >> q & 1] for q in range(n))
            read[outcome] += factor * there[real]
    return read


def expectations(execution: Execution) -> NDArray[np.float64]:
    """[batch, n_observables] of an execution."""
    circuit = execution.program.circuit
    rows = oracle.batch_values(circuit, execution.weights, execution.features)
    states = [state(circuit, values, execution.noise) for values in rows]
    return np.array([[expectation(rho, o, execution.noise) for o in execution.observables] for rho in states])
