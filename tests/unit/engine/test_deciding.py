"""Shots until the class is decided."""

from __future__ import annotations

import numpy as np
import pytest

from qstore_appliance.engine.deciding import FIRST_SHOTS, MOST_SHOTS, leads
from qstore_appliance.engine.predictor import Predictor
from qstore_appliance.errors import ValidationFailed
from qstore_appliance.services import predictions
from tests.work.bench import small_artifact

CLEAR, CLOSE = [5.1, 3.5, 1.4, 0.2], [6.0, 2.7, 5.1, 1.6]


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor(small_artifact(tmp_path_factory.mktemp("model"), epochs=30).read_bytes())


def test_a_lead_is_more_than_both_may_err() -> None:
    """Far ahead, within the errors, and level: only the first is decided."""
    probabilities = np.array([[0.9, 0.1], [0.55, 0.45], [0.5, 0.5]])
    errors = np.full((3, 2), 0.03)

    assert leads(probabilities, errors).tolist() == [True, False, False]


def test_what_is_reserved_is_the_most() -> None:
    """Money is held for as many shots as may be drawn."""
    assert predictions.MOST_SHOTS == MOST_SHOTS


def test_what_is_clear_takes_fewer_shots(predictor: Predictor) -> None:
    """Each input stops for itself: what is decided at once takes the first round alone, and all shots are counted."""
    exact = predictor.predict([CLEAR, CLOSE])
    gaps = np.sort(exact.probabilities, axis=1)
    assert gaps[0, -1] - gaps[0, -2] > gaps[1, -1] - gaps[1, -2]

    found = predictor.predict([CLEAR, CLOSE], shots="auto", seed=4)

    assert found.shots_each is not None
    assert found.decided is not None
    assert FIRST_SHOTS <= found.shots_each[0] <= found.shots_each[1] <= MOST_SHOTS
    assert found.shots >= found.shots_each.sum()
    assert found.class_indices[0] == exact.class_indices[0]


def test_what_is_decided_is_what_exact_answers(predictor: Predictor) -> None:
    """Of flowers whose class was decided at most one in twenty is another than without shots."""
    rng = np.random.default_rng(1)
    flowers = rng.uniform([4.3, 2.0, 1.0, 0.1], [7.9, 4.4, 6.9, 2.5], (120, 4))
    exact = predictor.predict(flowers)

    found = predictor.predict(flowers, shots="auto", seed=2)

    assert found.decided is not None
    right = np.array(found.class_indices) == np.array(exact.class_indices)
    assert found.decided.sum() > 60
    assert right[found.decided].mean() >= 0.95


def test_errors_are_those_of_all_shots(predictor: Predictor) -> None:
    """The probabilities lie within five of their standard errors, which come from all rounds together."""
    exact = predictor.predict([CLEAR, CLOSE])

    found = predictor.predict([CLEAR, CLOSE], shots="auto", seed=9)

    assert found.std_errors is not None
    assert (np.abs(found.probabilities - exact.probabilities) < 5 * found.std_errors + 0.02).all()


def test_the_same_seed_decides_the_same(predictor: Predictor) -> None:
    """With a seed the rounds can be repeated."""
    first, second = (predictor.predict([CLOSE], shots="auto", seed=3) for _ in range(2))

    assert first.probabilities.tolist() == second.probabilities.tolist()
    assert first.shots == second.shots


def test_other_words_are_no_shots(predictor: Predictor) -> None:
    """Only `auto` is a word for a number of shots."""
    with pytest.raises(ValidationFailed):
        predictor.predict([CLEAR], shots="many")  # type: ignore[arg-type]
