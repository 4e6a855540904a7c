"""
Between programs and IonQ's words: payloads out, distributions in, checked before a number is believed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.backend import Execution
from qstore_appliance.engine.formats.ionq import little_endian, step_rows
from qstore_appliance.engine.observables import Observable
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.shots import Basis
from qstore_appliance.errors import BackendBadResponse

Floats = NDArray[np.float64]
Distribution = tuple[NDArray[np.int64], Floats]
"""Outcomes with qubit 0 in the lowest bit, ascending, and their probabilities."""

SUM_TOLERANCE: Final = 1e-3
"""IonQ's own exponentials of Pauli terms are only as good as this."""


class Template:
    """
    A program in IonQ's `qis` gates, with holes for its angles: nothing of it is compiled again for each sample.

    Args:
        program: Any; its weights and features are bound by `rows`.
    """

    def __init__(self, program: Program) -> None:
        self._rows: list[dict[str, Any]] = []
        self._holes: list[int] = []
        for step in program.lowered.steps:
            if step.angle is not None:
                self._holes.append(len(self._rows))
            self._rows.extend(step_rows(step.name, step.qubits, None if step.angle is None else 0.0))

    def rows(self, angles: Floats) -> list[dict[str, Any]]:
        """The gates with the angles [n_rotations] of one sample."""
        rows = list(self._rows)
        for place, angle in zip(self._holes, angles.tolist(), strict=True):
            # Beyond a turn the same rotation, up to a sign of the whole state, in numbers that keep their digits.
            rows[place] = {**rows[place], "rotation": math.remainder(angle, 4 * math.pi)}
        return rows


def turned(basis: Basis) -> list[dict[str, Any]]:
    """The gates that bring a measurement basis to Z."""
    rows: list[dict[str, Any]] = []
    for qubit, pauli in basis:
        if pauli == "Y":
            rows.append({"gate": "si", "target": qubit})
        if pauli != "Z":
            rows.append({"gate": "h", "target": qubit})
    return rows


def circuits(execution: Execution, template: Template, bases: Sequence[Basis]) -> list[list[dict[str, Any]]]:
    """One circuit per basis and sample, in that order."""
    angles = execution.program.rotation_angles(execution.weights, execution.features)
    samples = [template.rows(column) for column in angles.T]
    return [[*rows, *turned(basis)] for basis in bases for rows in samples]


def payload(
    rows: Sequence[Sequence[Mapping[str, Any]]],
    n_qubits: int,
    target: str,
    shots: int | None,
    noise: Mapping[str, Any] | None,
    settings: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """A job for one or several circuits, as `POST /jobs` takes it."""
    several = len(rows) > 1
    content: dict[str, Any] = {
        "type": "ionq.multi-circuit.v1" if several else "ionq.circuit.v1",
        "backend": target,
        "shots": shots or 100,
        "input": {
            "gateset": "qis",
            "qubits": n_qubits,
            **({"circuits": [{"circuit": list(circuit)} for circuit in rows]} if several else {"circuit": rows[0]}),
        },
    }
    if noise is not None:
        content["noise"] = dict(noise)
    if settings:
        content["settings"] = dict(settings)
    return content


def distributions(
    job: Mapping[str, Any], results: Mapping[str, Any], n_circuits: int, n_qubits: int
) -> list[Distribution]:
    """
    The answer of a job, circuit by circuit.

    Raises:
        BackendBadResponse: Circuits are missing or are another job's, or a distribution is none.
    """
    if n_circuits == 1:
        return [distribution(results, n_qubits)]
    children = job.get("child_job_ids") or list(results)
    if not isinstance(children, list) or len(children) != n_circuits or set(map(str, children)) != set(results):
        raise BackendBadResponse(f"The results are not those of the {n_circuits} circuits that were sent.")
    return [distribution(results[str(child)], n_qubits) for child in children]


def distribution(found: Any, n_qubits: int) -> Distribution:
    """
    One distribution.

    Raises:
        BackendBadResponse: Outcomes that cannot be, or numbers that are no probabilities.
    """
    if not isinstance(found, Mapping) or not found:
        raise BackendBadResponse("The results hold no distribution.")
    outcomes: list[int] = []
    for key in found:
        if not (isinstance(key, str) and key.isascii() and key.isdigit() and len(key) <= 12 and int(key) < 2**n_qubits):
            raise BackendBadResponse(f"{str(key)[:30]!r} is no outcome of {n_qubits} qubits.")
        outcomes.append(int(key))
    for value in found.values():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1e-9 <= value <= 1 + SUM_TOLERANCE:
            raise BackendBadResponse(f"{str(value)[:30]} is no probability.")
    places = np.array(outcomes, np.int64)
    probabilities = np.maximum(np.array(list(found.values()), np.float64), 0.0)
    total = float(probabilities.sum())
    if len(set(outcomes)) != len(outcomes) or not abs(total - 1) <= SUM_TOLERANCE:
        raise BackendBadResponse(f"The probabilities add up to {total:.6g}, not to 1.")
    order = np.argsort(places)
    return places[order], probabilities[order] / total


def charge(answer: Any) -> float | None:
    """
    US dollars of an answer about a job's cost; None where it does not say yet.

    Raises:
        BackendBadResponse: It is in another unit, or no amount.
    """
    cost = answer.get("cost") if isinstance(answer, Mapping) else None
    if cost is None:
        return None
    return dollars(cost.get("value"), cost.get("unit")) if isinstance(cost, Mapping) else dollars(None, None)


def dollars(value: object, unit: object) -> float:
    """
    Raises:
        BackendBadResponse: That is no amount of US dollars.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1e9 or unit != "usd":
        raise BackendBadResponse(f"{str(value)[:30]} {str(unit)[:20]} is no amount of US dollars.")
    return float(value)


def micros(amount: float | None) -> int | None:
    """US dollars as whole micro-dollars, rounded up."""
    if amount is None:
        return None
    return int((Decimal(str(amount)) * 1_000_000).to_integral_value(rounding=ROUND_CEILING))


def expectation(found: Distribution, observable: Observable) -> float:
    """The mean parity of an observable's qubits, once its factors have been turned into Z."""
    outcomes, probabilities = found
    mask = sum(1 << qubit for qubit, _ in observable.terms)
    signs = 1.0 - 2.0 * (np.bitwise_count(outcomes & mask) & 1)
    return float(signs @ probabilities)


def counts(found: Distribution, shots: int, n_qubits: int) -> dict[str, int]:
    """Frequencies as how often each bit string (qubit 0 leftmost) was measured."""
    times = np.rint(found[1] * shots).astype(np.int64)
    indices = little_endian(found[0], n_qubits)
    return {f"{index:0{n_qubits}b}": int(n) for index, n in zip(indices.tolist(), times, strict=True) if n}


def drawn(found: Distribution, shots: int, stream: np.random.SeedSequence) -> Distribution:
    """Frequencies of so many draws from an exact distribution."""
    outcomes, probabilities = found
    counts = np.random.Generator(np.random.PCG64(stream)).multinomial(shots, probabilities)
    return outcomes, counts / shots
