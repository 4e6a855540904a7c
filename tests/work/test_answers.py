"""Several questions answered in one call: as if each had been asked alone."""

from __future__ import annotations

import numpy as np
import pytest

from qstore_appliance.engine.predictor import Predictor
from qstore_appliance.work import answers, wire
from qstore_appliance.work.wire import Question
from tests.work.bench import small_artifact

FLOWERS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3], [5.9, 3.0, 4.2, 1.5]]


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor(small_artifact(tmp_path_factory.mktemp("model")).read_bytes())


def asked(*inputs: list[list[float]], shots: int | None = None, seed: int | None = None) -> list[Question]:
    return [Question(rows, shots, None, seed) for rows in inputs]


def answered(reply: wire.Reply) -> dict[str, object]:
    assert reply.answer is not None, reply.fault
    return reply.answer


def test_together_as_alone(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exact questions go through one prediction, and each gets the rows, labels and circuits that are its own."""
    questions = asked(FLOWERS[:1], FLOWERS, FLOWERS[1:])
    alone = [answered(answers.of(predictor, [question], wire.fault)[0]) for question in questions]
    calls, predict = [], predictor.predict
    monkeypatch.setattr(predictor, "predict", lambda rows, **more: calls.append(len(rows)) or predict(rows, **more))

    together = [answered(reply) for reply in answers.of(predictor, questions, wire.fault)]

    assert calls == [6]
    for one, other in zip(alone, together, strict=True):
        assert np.allclose(one["probabilities"], other["probabilities"], atol=1e-6)  # type: ignore[arg-type]
        for name in ("labels", "class_indices", "circuits", "shots"):
            assert one[name] == other[name]


def test_a_wrong_question_spoils_no_other(predictor: Predictor) -> None:
    """Of three at once the one with a row that is too short gets its fault, by its own index; the others their answers."""
    replies = answers.of(predictor, asked(FLOWERS, [FLOWERS[0], [1.0]], FLOWERS[:1]), wire.fault)

    assert [reply.fault is None for reply in replies] == [True, False, True]
    assert replies[1].fault is not None
    assert replies[1].fault.details["errors"][0]["field"] == "inputs[1]"


def test_shots_are_drawn_for_each(predictor: Predictor) -> None:
    """Questions with shots are not mixed: each draws by its own seed, whoever is asked beside it."""
    alone = answered(answers.of(predictor, asked(FLOWERS, shots=20, seed=5), wire.fault)[0])

    company = answers.of(predictor, asked(FLOWERS) + asked(FLOWERS, shots=20, seed=5), wire.fault)

    assert answered(company[1])["probabilities"] == alone["probabilities"]
    assert answered(company[1])["shots"] == 60


def test_an_unknown_backend_is_that_questions_fault(predictor: Predictor) -> None:
    """A backend that cannot be had is a fault of who names it."""
    replies = answers.of(predictor, [*asked(FLOWERS), Question(FLOWERS, None, "no_such", None)], wire.fault)

    assert replies[0].fault is None
    assert replies[1].fault is not None
    assert replies[1].answer is None
