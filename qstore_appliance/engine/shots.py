"""
Measurements: which observables one measurement serves, and drawing outcomes from amplitudes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.backend import Execution
from qstore_appliance.engine.circuit import Circuit, Gate
from qstore_appliance.engine.observables import Observable
from qstore_appliance.engine.program import Program
from qstore_appliance.errors import BackendCannot

Basis = tuple[tuple[int, str], ...]
"""Pairs of (qubit, Pauli matrix), ascending; a qubit that is not named may be read in any basis."""


def measurements(observables: Sequence[Observable]) -> list[tuple[Basis, list[int]]]:
    """
    Group observables that one measurement serves: no two of a group disagree about a qubit.

    Returns:
        Pairs of (basis, positions of the members); every observable is in one group.
    """
    groups: list[tuple[dict[int, str], list[int]]] = []
    for position, observable in enumerate(observables):
        for basis, members in groups:
            if all(basis.get(qubit, pauli) == pauli for qubit, pauli in observable.terms):
                basis.update(observable.terms)
                members.append(position)
                break
        else:
            groups.append((dict(observable.terms), [position]))
    return [(tuple(sorted(basis.items())), members) for basis, members in groups]


@lru_cache(maxsize=64)
def turned(program: Program, basis: Basis) -> Program:
    """The program followed by the gates that bring a basis to Z."""
    gates: list[Gate] = []
    for qubit, pauli in basis:
        if pauli == "Y":
            gates.append(Gate("SDG", (qubit,)))
        if pauli != "Z":
            gates.append(Gate("H", (qubit,)))
    circuit = program.circuit
    return Program.lower(Circuit(circuit.n_qubits, circuit.gates + tuple(gates))) if gates else program


def sampled(
    execution: Execution,
    statevector: Callable[[Execution], NDArray[np.complexfloating]],
    chunk_bytes: int,
) -> NDArray[np.float64]:
    """
    Unbiased estimates [batch, n_observables] from `execution.shots` draws per sample and group of observables.

    Every sample draws from a stream of its own, so that an estimate depends on the seed and on its place in the batch,
    not on how the batch is cut. Of noise only errors of the readout are applied; gates that suffer leave no amplitudes.

    Args:
        statevector: Amplitudes of an exact execution.
        chunk_bytes: Roughly how much amplitudes may take at once.
    """
    if execution.shots is None:
        raise ValueError("estimates need a number of shots")
    n_qubits = execution.program.n_qubits
    out = np.empty((execution.batch, len(execution.observables)))
    seeds = np.random.SeedSequence(execution.seed)
    step = max(1, chunk_bytes // (16 * 2**n_qubits))
    for basis, members in measurements(execution.observables):
        streams = seeds.spawn(1)[0].spawn(execution.batch)
        exact = replace(execution, program=turned(execution.program, basis), shots=None, observables=(), noise=None)
        masks = np.array([_parity_mask(execution.observables[k], n_qubits) for k in members])
        for first in range(0, execution.batch, step):
            rows = slice(first, first + step)
            amplitudes = statevector(replace(exact, features=execution.features[rows]))
            probabilities = np.square(amplitudes.real, dtype=np.float64) + np.square(amplitudes.imag, dtype=np.float64)
            probabilities = _read(probabilities, execution)
            for row, stream in enumerate(streams[rows]):
                outcomes, counts = _draw(probabilities[row], execution.shots, stream)
                signs = 1.0 - 2.0 * (np.bitwise_count(outcomes[None, :] & masks[:, None]) & 1)
                out[first + row, members] = signs @ counts / execution.shots
    return out


def counts(
    execution: Execution, statevector: Callable[[Execution], NDArray[np.complexfloating]]
) -> list[dict[str, int]]:
    """
    Bit strings (qubit 0 leftmost) and how often each was drawn, for each sample of the batch; of noise only errors of the
    readout are applied.

    Args:
        statevector: Amplitudes of an exact execution.
    """
    if execution.shots is None:
        raise ValueError("counts need a number of shots")
    n_qubits = execution.program.n_qubits
    found = []
    for row, stream in enumerate(np.random.SeedSequence(execution.seed).spawn(execution.batch)):
        one = replace(execution, features=execution.features[row : row + 1], shots=None, observables=(), noise=None)
        probabilities = _read(np.square(np.abs(statevector(one)).astype(np.float64)), execution)
        outcomes, times = _draw(probabilities[0], execution.shots, stream)
        found.append({f"{outcome:0{n_qubits}b}": int(n) for outcome, n in zip(outcomes, times, strict=True)})
    return found


def _read(probabilities: NDArray[np.float64], execution: Execution) -> NDArray[np.float64]:
    """
    Probabilities [batch, 2^n] of what is read, from those of what is there: each bit errs by itself.

    Raises:
        BackendCannot: Gates suffer too, which amplitudes do not tell of.
    """
    if execution.noise is None:
        return probabilities
    if execution.noise.on_gates or execution.noise.model is not None:
        raise BackendCannot("Noise of gates cannot be drawn from a state vector.")
    error = execution.noise.readout
    if error is None or not (error.p01 or error.p10):
        return probabilities
    misread = np.array([[1.0 - error.p01, error.p10], [error.p01, 1.0 - error.p10]])
    n_qubits = execution.program.n_qubits
    tensor = probabilities.reshape(-1, *(2,) * n_qubits)
    for axis in range(1, n_qubits + 1):
        tensor = np.moveaxis(np.tensordot(misread, tensor, axes=(1, axis)), 0, axis)
    return tensor.reshape(len(probabilities), -1)


def _draw(
    probabilities: NDArray[np.float64], shots: int, stream: np.random.SeedSequence
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Outcomes that occurred, and how often."""
    cumulative = np.cumsum(probabilities)
    # The last entry stands for one: amplitudes in single precision do not sum up to it exactly.
    draws = np.random.Generator(np.random.PCG64(stream)).random(shots) * cumulative[-1]
    places = np.minimum(np.searchsorted(cumulative, draws, side="right"), len(cumulative) - 1)
    outcomes, counts = np.unique(places, return_counts=True)
    return outcomes.astype(np.int64), counts


def _parity_mask(observable: Observable, n_qubits: int) -> int:
    """The bits whose parity is the outcome, once every factor has been turned into Z."""
    return sum(1 << (n_qubits - 1 - qubit) for qubit, _ in observable.terms)
