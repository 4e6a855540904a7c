"""
Outcome probabilities of whole circuits, as IonQ's API answers them. Runs in a calculator process.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from qstore_appliance.engine import discovery, observables
from qstore_appliance.engine.backend import Execution
from qstore_appliance.engine.formats import ionq
from qstore_appliance.engine.program import Program
from qstore_appliance.errors import BackendBadResponse, TooLarge

NEGLIGIBLE: Final = 1e-14
"""What is less probable is rounding, and left out."""

MAX_OUTCOMES: Final = 2**20
"""Of all circuits of a job together: about 30 MB of JSON."""


def metered_ionq_results(
    backend: str,
    options: Mapping[str, object],
    definition: Mapping[str, Any],
    child_ids: Sequence[str],
    shots: int | None,
    seed: int,
) -> tuple[bytes, float]:
    """What `ionq_results` answers, and the seconds of processor time that it took, all threads together."""
    started = time.process_time()
    return ionq_results(backend, options, definition, child_ids, shots, seed), time.process_time() - started


def ionq_results(
    backend: str,
    options: Mapping[str, object],
    definition: Mapping[str, Any],
    child_ids: Sequence[str],
    shots: int | None,
    seed: int,
) -> bytes:
    """
    Run the `input` of an IonQ job.

    Args:
        backend: A simulator with state vectors.
        child_ids: One per circuit of a batch; empty for a single circuit.
        shots: Draw so many outcomes and answer their frequencies; None for exact probabilities.
        seed: Of these draws.

    Returns:
        JSON: probabilities by little-endian outcome; of a batch one such object per child's id.

    Raises:
        TooLarge: More possible outcomes than an answer can hold.
        InvalidCircuit, BackendCannot, BackendUnavailable, InsufficientMemory: The circuits cannot be run.
    """
    circuits = ionq.read_many(definition) if child_ids else [ionq.read(definition)]
    simulator = discovery.load(backend, options)
    precision = simulator.capabilities.precisions[-1]
    draws = np.random.default_rng(seed)
    answers: list[dict[str, float]] = []
    outcomes = 0
    for circuit in circuits:
        execution = Execution(
            program=Program.lower(circuit),
            weights=np.zeros(0),
            features=np.zeros((1, 0)),
            observables=observables.readout("z", 1),
            precision=precision,
        )
        amplitudes = simulator.statevector(execution)[0]
        probabilities = np.square(amplitudes.real, dtype=np.float64) + np.square(amplitudes.imag, dtype=np.float64)
        total = probabilities.sum()
        if not abs(total - 1) < 1e-3:
            raise BackendBadResponse(f"{backend} gave probabilities that add up to {total:.6g}.")
        probabilities /= total
        if shots is not None:
            probabilities = draws.multinomial(shots, probabilities) / shots
        places = np.flatnonzero(probabilities > NEGLIGIBLE)
        outcomes += len(places)
        if outcomes > MAX_OUTCOMES:
            raise TooLarge(f"The job has more than {MAX_OUTCOMES:,} possible outcomes, too many for one answer.")
        keys = ionq.little_endian(places.astype(np.int64), circuit.n_qubits)
        order = np.argsort(keys)
        found = zip(keys[order].tolist(), probabilities[places][order].tolist(), strict=True)
        answers.append({str(key): value for key, value in found})
    if not child_ids:
        return msgspec.json.encode(answers[0])
    return msgspec.json.encode(dict(zip(child_ids, answers, strict=True)))
