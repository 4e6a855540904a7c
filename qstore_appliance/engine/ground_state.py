"""
The lowest energy of a small Hamiltonian by exact diagonalisation: what a variational result is held against.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.hamiltonians import Hamiltonian

#: Beyond so many qubits nobody waits for it; a table may still know the energy.
MAX_QUBITS: Final = 14
_DENSE_QUBITS: Final = 6

Amplitudes = NDArray[np.complex128]


def ground_energy(hamiltonian: Hamiltonian) -> float | None:
    """
    The lowest eigenvalue, by Lanczos above 6 qubits; None above 14. The same Hamiltonian always gives the same bits.
    """
    n_qubits = hamiltonian.n_qubits
    if n_qubits > MAX_QUBITS:
        return None
    terms = _terms(hamiltonian, n_qubits)
    dimension = 2**n_qubits
    if n_qubits <= _DENSE_QUBITS:
        columns = np.stack([_apply(terms, row) for row in np.eye(dimension, dtype=np.complex128)], axis=1)
        return hamiltonian.constant + float(np.linalg.eigvalsh(columns)[0])
    from scipy.sparse.linalg import LinearOperator, eigsh

    operator = LinearOperator(
        (dimension, dimension), matvec=lambda vector: _apply(terms, vector.ravel()), dtype=np.complex128
    )
    start = np.random.Generator(np.random.PCG64(0)).normal(size=dimension).astype(np.complex128)
    lowest = eigsh(operator, k=1, which="SA", v0=start, return_eigenvectors=False, tol=1e-10)
    return hamiltonian.constant + float(lowest[0])


def _terms(hamiltonian: Hamiltonian, n_qubits: int) -> list[tuple[NDArray[np.int64], Amplitudes]]:
    """Each term as (where an amplitude comes from, what it is multiplied by)."""
    indices = np.arange(2**n_qubits, dtype=np.int64)
    found = []
    for observable, coefficient in hamiltonian.terms:
        flip = sum(1 << (n_qubits - 1 - qubit) for qubit, pauli in observable.terms if pauli != "Z")
        sign = sum(1 << (n_qubits - 1 - qubit) for qubit, pauli in observable.terms if pauli != "X")
        n_y = sum(pauli == "Y" for _, pauli in observable.terms)
        # P|b> = i^#Y (-1)^(b & sign) |b ^ flip>, so row a takes its amplitude from b = a ^ flip.
        source = indices ^ flip
        phases = 1.0 - 2.0 * (np.bitwise_count(source & sign) & 1)
        found.append((source, coefficient * 1j**n_y * phases))
    return found


def _apply(terms: list[tuple[NDArray[np.int64], Amplitudes]], vector: Amplitudes) -> Amplitudes:
    out = np.zeros_like(vector, dtype=np.complex128)
    for source, factors in terms:
        out += factors * vector[source]
    return out
