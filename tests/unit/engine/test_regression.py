from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from qstore_appliance.engine import artifact, recipe
from qstore_appliance.engine.plan import EpochReport
from qstore_appliance.engine.predictor import Predictor
from qstore_appliance.engine.samples import Samples
from qstore_appliance.engine.tasks.regression import Regression, Target, measures
from qstore_appliance.engine.training import Plan, Trained, Training
from qstore_appliance.errors import ValidationFailed


def make_plan(**config: Any) -> Plan:
    """The width of iris petals from the other three lengths, on three qubits."""
    dataset = {"type": "iris", "target": "petal width (cm)"}
    return Plan(
        circuit={"n_qubits": 3, "gates": recipe.gates(3, 2)},
        config={
            "task": "regression",
            "epochs": 15,
            "batch_size": 16,
            "learning_rate": 0.1,
            "dataset": dataset,
            **config,
        },
        backend="native",
        backend_options={},
        dataset={"kind": "builtin", "name": "iris"},
        seed=3,
    )


def with_file(plan: Plan, samples: Samples, folder: Path) -> Plan:
    digest, path = samples.keep(folder)
    return msgspec.structs.replace(plan, dataset={"kind": "file", "path": str(path), "digest": digest})


def train(plan: Plan) -> tuple[list[EpochReport], Trained]:
    training = Training(plan)
    return list(training.epochs()), training.finish()


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(make_plan())[1]


@pytest.mark.parametrize("head", ["linear", "none"])
def test_gradients_equal_finite_differences(head: str) -> None:
    """Cotangents and the head's gradient are the derivatives of the loss to eight digits."""
    random = np.random.default_rng(0)
    expectations, y = random.uniform(-1, 1, (7, 4)), random.normal(size=7)
    task = Regression(4, head, Target("y", 0.0, 1.0))
    parameters = task.initial(random)

    found = task.differentiate(expectations, y, parameters)

    for array, gradient in ((expectations, found.cotangents), (parameters, found.head_gradient)):
        for index in np.ndindex(array.shape):
            losses = []
            for step in (1e-5, -1e-5):
                array[index] += step
                losses.append(task.score(expectations, y, parameters)[0])
                array[index] -= step
            assert gradient[index] == pytest.approx((losses[0] - losses[1]) / 2e-5, abs=1e-8)
    assert found.loss == pytest.approx(task.score(expectations, y, parameters)[0])


def test_measures_agree_with_scikit_learn() -> None:
    """R², mean absolute and root mean squared error are scikit-learn's."""
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    random = np.random.default_rng(0)
    y = random.normal(size=30)
    answers = y + 0.3 * random.normal(size=30)

    found = measures(y, answers)

    assert found["r2"] == pytest.approx(r2_score(y, answers))
    assert found["mae"] == pytest.approx(mean_absolute_error(y, answers))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(y, answers))
    assert measures(np.ones(3), answers[:3])["r2"] is None


def test_a_quantity_is_learnt_beside_its_baselines(trained: Trained) -> None:
    """On the test part the circuit explains most of the variance; ridge and the mean stand beside it."""
    metrics = trained.metrics

    assert metrics["r2"] == metrics["test_r2"] > 0.8
    assert metrics["mae"] < 0.4
    assert metrics["baseline"]["ridge"] > 0.8 > 0.1 > metrics["baseline"]["mean"]
    assert metrics["baseline"]["mean_mae"] > metrics["mae"]
    assert metrics["baseline"]["features"] == 3
    assert metrics["scored_on"] == "test"
    assert "accuracy" not in metrics
    assert msgspec.json.decode(msgspec.json.encode(metrics)) == metrics


def test_the_column_that_is_learnt_is_not_an_input(trained: Trained) -> None:
    """Three columns are left, targets are scaled by the training part alone and come back in centimetres."""
    assert trained.artifact is not None
    model = artifact.read(trained.artifact)

    assert model.feature_names == ("sepal length (cm)", "sepal width (cm)", "petal length (cm)")
    assert model.target is not None
    assert model.target.name == "petal width (cm)"
    assert model.target.offset == pytest.approx(1.2, abs=0.1)
    assert all(0.05 < example["label"] < 2.6 for example in trained.test_examples)


def test_the_model_answers_values(trained: Trained) -> None:
    """Predictions are in the data's units; with shots they come with a standard error that covers the exact answer."""
    assert trained.artifact is not None
    predictor = Predictor(trained.artifact)
    inputs = [example["input"] for example in trained.test_examples]

    exact = predictor.predict(inputs)
    sampled = predictor.predict(inputs, shots=500, seed=1)

    labels = np.array([example["label"] for example in trained.test_examples])
    assert exact.values is not None
    assert sampled.values is not None
    assert exact.std_errors is None
    assert sampled.std_errors is not None
    assert np.abs(exact.values - labels).mean() < 0.4
    assert np.abs((sampled.values - exact.values) / sampled.std_errors).max() < 5.0
    assert exact.labels == []
    assert exact.probabilities.shape == (10, 0)


def test_without_a_head_the_first_expectation_is_the_answer() -> None:
    """Targets are scaled into [-1, 1], so that an expectation can reach all of them."""
    _, trained = train(make_plan(readout={"head": "none"}, epochs=5))

    assert trained.artifact is not None
    model = artifact.read(trained.artifact)
    assert len(model.head_parameters) == 0
    assert model.target is not None
    assert model.target.offset - model.target.scale == pytest.approx(0.1)
    assert trained.metrics["r2"] > 0.5


def test_reports_have_no_accuracy() -> None:
    """Nothing is right or wrong; loss and validation loss are the log line."""
    reports, _ = train(make_plan(epochs=1))

    assert reports[0].accuracy is None
    assert reports[0].val_accuracy is None
    assert reports[0].val_loss is not None
    assert reports[0].message.startswith("Epoch 1/1 - loss: ")
    assert "accuracy" not in reports[0].message


def test_labels_that_are_numbers_are_learnt() -> None:
    """Without a column to learn, the digits 0 to 9 are quantities."""
    plan = make_plan(dataset={"type": "digits", "train_size": 100, "val_size": 0}, epochs=1)

    _, trained = train(msgspec.structs.replace(plan, dataset={"kind": "builtin", "name": "digits"}))

    assert {example["label"] for example in trained.test_examples} <= {float(digit) for digit in range(10)}


def test_measured_labels_of_a_file_are_learnt(tmp_path: Path) -> None:
    """An upload whose labels are measurements: its noise-free line is found by ridge and by the circuit."""
    x = np.random.default_rng(0).uniform(-1, 1, size=(120, 3))
    y = x @ np.array([1.0, -2.0, 0.5]) + 7.0
    samples = Samples(x, np.zeros(120, np.int64), (), ("a", "b", "c"), targets=y)
    plan = with_file(make_plan(dataset={"type": "dataset_1"}, epochs=30), samples, tmp_path)

    _, trained = train(plan)

    assert trained.metrics["baseline"]["ridge"] > 0.99
    assert trained.metrics["r2"] > 0.9


class TestWhatCannotBeLearnt:
    @pytest.mark.parametrize(
        ("config", "field"),
        [
            ({"dataset": {"type": "iris"}}, "config.dataset.target"),
            ({"dataset": {"type": "iris", "target": "colour"}}, "config.dataset.target"),
            ({"dataset": {"type": "iris", "target": "petal width (cm)", "classes": [0, 1]}}, "config.dataset.classes"),
            ({"class_weights": "balanced"}, "config.class_weights"),
            ({"readout": {"head": "deep"}}, "config.readout.head"),
        ],
    )
    def test_faults_name_their_field(self, config: dict[str, Any], field: str) -> None:
        """Labels that are names, unknown columns, classes, and an unknown head."""
        with pytest.raises(ValidationFailed) as refused:
            Training(make_plan(**config))

        assert refused.value.details["errors"][0]["field"] == field

    @pytest.mark.parametrize("values", [np.ones(60), np.r_[np.nan, np.arange(59.0)], 1e200 * np.arange(60.0)])
    def test_targets_must_vary_and_be_finite(self, values: np.ndarray, tmp_path: Path) -> None:
        """One value, a NaN, and numbers whose squares overflow are refused before the first step."""
        x = np.random.default_rng(0).normal(size=(60, 3))
        samples = Samples(x, np.zeros(60, np.int64), (), ("a", "b", "c"), targets=values)

        with pytest.raises(ValidationFailed, match=r"config\.dataset\.target"):
            Training(with_file(make_plan(dataset={"type": "dataset_1"}), samples, tmp_path))

    def test_measurements_are_no_classes(self, tmp_path: Path) -> None:
        """A classification of measured labels is refused, with what to do instead."""
        x = np.random.default_rng(0).normal(size=(60, 3))
        samples = Samples(x, np.zeros(60, np.int64), (), ("a", "b", "c"), targets=x[:, 0])
        plan = make_plan(task="classification", dataset={"type": "dataset_1"})

        with pytest.raises(ValidationFailed, match="use regression"):
            Training(with_file(plan, samples, tmp_path))
