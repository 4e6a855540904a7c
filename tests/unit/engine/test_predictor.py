from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qstore_appliance.engine import archive
from qstore_appliance.engine.datasets import load_builtin, split
from qstore_appliance.engine.plan import Trained
from qstore_appliance.engine.predictor import Predictor
from qstore_appliance.engine.training import Plan, Training
from qstore_appliance.errors import ArtifactCorrupt, BackendUnavailable, NotFound, ValidationFailed

GATES = [
    *({"type": "RY", "targets": [q], "parameters": {"theta": f"x_{q}"}} for q in range(2)),
    *({"type": "RY", "targets": [q], "parameters": {"theta": f"theta_{q}"}} for q in range(2)),
    {"type": "CNOT", "targets": [0, 1]},
    {"type": "RX", "targets": [1], "parameters": {"theta": "theta_2"}},
]


@pytest.fixture(scope="module")
def trained() -> Trained:
    training = Training(
        Plan(
            circuit={"n_qubits": 2, "gates": GATES},
            config={
                "epochs": 5,
                "learning_rate": 0.1,
                "dataset": {"features": {"method": "pca"}},
                "readout": {"observables": "z+zz"},
            },
            backend="native",
            backend_options={},
            dataset={"kind": "builtin", "name": "iris"},
            seed=0,
        )
    )
    for _ in training.epochs():
        pass
    return training.finish()


@pytest.fixture(scope="module")
def predictor(trained: Trained) -> Predictor:
    return Predictor(trained.artifact)


def test_raw_rows_of_the_test_part_are_answered_as_training_scored_them(trained: Trained, predictor: Predictor) -> None:
    """The answers to the raw test rows give exactly the confusion matrix of the model's metrics."""
    iris = load_builtin("iris")
    rows = split(iris, seed=0).test

    prediction = predictor.predict(iris.x[rows])

    matrix = np.zeros((3, 3), int)
    np.add.at(matrix, (iris.y[rows], prediction.class_indices), 1)
    assert matrix.tolist() == trained.metrics["confusion_matrix"]
    assert prediction.labels == [iris.classes[index] for index in prediction.class_indices]


def test_probabilities_sum_to_one_and_name_the_answer(predictor: Predictor) -> None:
    """Every row is a distribution whose largest entry is the answer; one circuit is counted per input."""
    prediction = predictor.predict(load_builtin("iris").x[:20])

    assert prediction.probabilities.shape == (20, 3)
    assert np.allclose(prediction.probabilities.sum(axis=1), 1.0)
    assert prediction.probabilities.argmax(axis=1).tolist() == prediction.class_indices
    assert (prediction.circuits, prediction.shots) == (20, 0)
    assert prediction.duration_ms > 0


def test_one_input_is_answered_as_in_a_batch(predictor: Predictor) -> None:
    """The company of other inputs does not change an answer."""
    x = load_builtin("iris").x[:9]

    together = predictor.predict(x).probabilities
    alone = np.concatenate([predictor.predict(x[index : index + 1]).probabilities for index in range(9)])

    assert np.allclose(together, alone, atol=1e-6)


def test_more_inputs_than_one_call_takes_are_answered_in_order(predictor: Predictor) -> None:
    """Five thousand inputs run in two calls and come back in their places."""
    x = np.resize(load_builtin("iris").x, (5000, 4))

    prediction = predictor.predict(x)

    assert len(prediction.labels) == 5000
    assert np.allclose(prediction.probabilities[4950:], prediction.probabilities[:50], atol=1e-6)


def test_shots_are_noisy_counted_and_reproducible(predictor: Predictor) -> None:
    """With a seed the same answer comes twice; with many shots it approaches the exact one."""
    x = load_builtin("iris").x[:8]

    exact = predictor.predict(x).probabilities
    few, again = (predictor.predict(x, shots=20, seed=5) for _ in range(2))
    many = predictor.predict(x, shots=200_000, seed=5)

    assert np.array_equal(few.probabilities, again.probabilities)
    assert few.shots == 160
    assert np.abs(few.probabilities - exact).max() > np.abs(many.probabilities - exact).max()
    assert np.abs(many.probabilities - exact).max() < 0.02


def test_the_model_says_what_it_reads(predictor: Predictor) -> None:
    """Raw columns, their names, and the classes."""
    assert predictor.n_inputs == 4
    assert len(predictor.feature_names) == 4
    assert predictor.classes == ("setosa", "versicolor", "virginica")


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ([], "inputs:"),
        ([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0]], r"inputs\[1\]:"),
        ([[1.0, 2.0, 3.0, float("nan")]], r"inputs\[0\]\[3\]:"),
        ([[1.0, 2.0, float("inf"), 4.0]], r"inputs\[0\]\[2\]:"),
        ([["1", "2", "3", "4"]], r"inputs\[0\]:"),
        ([[1.0, 2.0, 3.0, [4.0]]], r"inputs\[0\]:"),
        ([1.0, 2.0, 3.0, 4.0], r"inputs\[0\]:"),
        ([[True, False, True, False]], r"inputs\[0\]:"),
        (np.ones((3, 5)), r"inputs\[0\]:"),
        (np.ones(4), r"inputs\[0\]:"),
    ],
)
def test_inputs_that_do_not_fit_name_their_place(predictor: Predictor, inputs: Any, field: str) -> None:
    """Too few numbers, no numbers, NaN and infinity are refused by index."""
    with pytest.raises(ValidationFailed, match=field):
        predictor.predict(inputs)


@pytest.mark.parametrize("shots", [0, -1, True, 1.5])
def test_shots_must_be_a_positive_whole_number(predictor: Predictor, shots: Any) -> None:
    """Anything else is a fault of `shots`."""
    with pytest.raises(ValidationFailed, match="shots"):
        predictor.predict([[1.0, 2.0, 3.0, 4.0]], shots=shots)


def test_backends_are_asked_for_by_name_with_their_options(trained: Trained, predictor: Predictor) -> None:
    """An unknown backend is NOT_FOUND, and options reach the one that is loaded."""
    with pytest.raises(NotFound):
        predictor.predict([[1.0, 2.0, 3.0, 4.0]], backend="abacus")
    with pytest.raises(BackendUnavailable, match="threads"):
        Predictor(trained.artifact, {"native": {"threads": -1}})


def test_a_model_whose_parts_do_not_fit_is_corrupt(trained: Trained) -> None:
    """A head for other classes, an unknown gate or a missing weight is ARTIFACT_CORRUPT when it is opened."""
    arrays, document = archive.read(trained.artifact)

    for change in (
        {"classes": ["a", "b"]},
        {"circuit": {"n_qubits": 2, "gates": [{"type": "WARP", "targets": [0]}]}},
        {"weight_names": ["theta_0", "theta_1", "omega"]},
        {"observables": ["Q7"]},
    ):
        with pytest.raises(ArtifactCorrupt):
            Predictor(archive.pack(arrays, document | change))
