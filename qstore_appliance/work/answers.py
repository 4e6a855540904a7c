"""
Answers to several questions at once: those that draw nothing are computed in one call of the kernel.

Runs in the predictor process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from qstore_appliance.errors import QStoreError
from qstore_appliance.work import wire

if TYPE_CHECKING:
    from qstore_appliance.engine.predictor import Prediction, Predictor

FaultOf = Callable[[BaseException], wire.Fault]


def of(predictor: Predictor, questions: Sequence[wire.Question], fault: FaultOf) -> list[wire.Reply]:
    """
    One reply for each question, in their order. A question that is wrong spoils nobody else's answer.

    Args:
        fault: What the server shall know of an error.
    """
    replies: dict[int, wire.Reply] = {}
    for together in _companies(predictor, questions):
        if len(together) > 1:
            try:
                replies.update(_jointly(predictor, together, questions))
                continue
            except (QStoreError, MemoryError):
                # One of them is wrong, or all are too many: each finds out for itself.
                pass
        for index in together:
            try:
                replies[index] = wire.Reply(answer=_whole(_asked(predictor, questions[index], questions[index].inputs)))
            except Exception as error:
                replies[index] = wire.Reply(fault=fault(error))
    return [replies[index] for index in range(len(questions))]


def _companies(predictor: Predictor, questions: Sequence[wire.Question]) -> list[list[int]]:
    """Indices of questions that go together."""
    found: list[list[int]] = []
    by_backend: dict[str | None, list[int]] = {}
    for index, question in enumerate(questions):
        try:
            exact = predictor.is_exact(question.shots, question.backend)
        except QStoreError:
            exact = False
        if exact and question.backend in by_backend:
            by_backend[question.backend].append(index)
        else:
            found.append([index])
            if exact:
                by_backend[question.backend] = found[-1]
    return found


def _jointly(
    predictor: Predictor, together: Sequence[int], questions: Sequence[wire.Question]
) -> dict[int, wire.Reply]:
    rows = [row for index in together for row in questions[index].inputs]
    found = _whole(_asked(predictor, questions[together[0]], rows))
    replies, start = {}, 0
    for index in together:
        n = len(questions[index].inputs)
        replies[index] = wire.Reply(answer=_part(found, start, n, len(rows)))
        start += n
    return replies


def _asked(predictor: Predictor, question: wire.Question, rows: Sequence[Sequence[float]]) -> Prediction:
    return predictor.predict(rows, shots=question.shots, backend=question.backend, seed=question.seed)


def _whole(found: Prediction) -> dict[str, Any]:
    return {
        "labels": [str(label) for label in found.labels],
        "class_indices": [int(index) for index in found.class_indices],
        "probabilities": found.probabilities.tolist(),
        "values": None if found.values is None else found.values.tolist(),
        "std_errors": None if found.std_errors is None else found.std_errors.tolist(),
        "shots_each": None if found.shots_each is None else found.shots_each.tolist(),
        "decided": None if found.decided is None else found.decided.tolist(),
        "duration_ms": float(found.duration_ms),
        "encode_ms": float(found.encode_ms),
        "simulate_ms": float(found.simulate_ms),
        "read_out_ms": float(found.read_out_ms),
        "circuits": int(found.circuits),
        "shots": int(found.shots),
        "cpu_seconds": float(found.cpu_seconds),
        "gpu_seconds": float(found.gpu_seconds),
    }


def _part(found: dict[str, Any], start: int, n: int, total: int) -> dict[str, Any]:
    """
    What n rows of a joint answer are: of rows their own, of times all of it, for that long they took, and of what is paid
    for their share.
    """
    own = dict(found)
    for name in ("labels", "class_indices", "probabilities", "values"):
        own[name] = None if found[name] is None else found[name][start : start + n]
    own["circuits"] = found["circuits"] * (start + n) // total - found["circuits"] * start // total
    for name in ("cpu_seconds", "gpu_seconds"):
        own[name] = found[name] * n / total
    return own
