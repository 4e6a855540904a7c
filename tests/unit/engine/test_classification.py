from __future__ import annotations

import numpy as np
import pytest

from qstore_appliance.engine.tasks.classification import Classification, class_weights, confusion, macro_f1
from qstore_appliance.errors import ValidationFailed


@pytest.fixture
def batch() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.uniform(-1, 1, (7, 5)), random.integers(0, 3, 7)


@pytest.mark.parametrize("weights", [None, (0.5, 1.0, 4.0)])
@pytest.mark.parametrize("head", ["linear", "none"])
def test_gradients_equal_finite_differences(
    head: str, weights: tuple[float, ...] | None, batch: tuple[np.ndarray, np.ndarray]
) -> None:
    """Cotangents and the head's gradient are the derivatives of the loss to nine digits, weighted or not."""
    expectations, y = batch
    task = Classification(5, 3, head, weights)
    parameters = task.initial(np.random.default_rng(1))

    found = task.differentiate(expectations, y, parameters)

    def slope(array: np.ndarray, index: tuple[int, ...]) -> float:
        losses = []
        for step in (1e-5, -1e-5):
            array[index] += step
            losses.append(task.score(expectations, y, parameters)[0])
            array[index] -= step
        return (losses[0] - losses[1]) / 2e-5

    expected = [slope(expectations, index) for index in np.ndindex(expectations.shape)]
    assert np.allclose(found.cotangents.ravel(), expected, atol=1e-9)
    expected = [slope(parameters, index) for index in np.ndindex(parameters.shape)]
    assert np.allclose(found.head_gradient, expected, atol=1e-9)


def test_loss_and_hits_agree_with_scikit_learn(batch: tuple[np.ndarray, np.ndarray]) -> None:
    """The loss is scikit-learn's log loss of the probabilities, and so is the count of right answers."""
    from sklearn.metrics import accuracy_score, log_loss

    expectations, y = batch
    task = Classification(5, 3)
    head = task.initial(np.random.default_rng(1))

    loss, correct = task.score(expectations, y, head)
    probabilities = task.probabilities(expectations, head)
    step = task.differentiate(expectations, y, head)

    assert loss == pytest.approx(log_loss(y, probabilities, labels=[0, 1, 2]))
    assert correct == round(accuracy_score(y, probabilities.argmax(axis=1)) * 7)
    assert (step.loss, step.correct) == (pytest.approx(loss), correct)
    assert np.allclose(probabilities.sum(axis=1), 1.0)


def test_huge_logits_do_not_overflow() -> None:
    """Logits of a thousand give probabilities of zero and one, and a finite loss."""
    task = Classification(2, 2, "linear")
    head = np.array([1000.0, 0.0, 0.0, 1000.0, 0.0, 0.0])

    probabilities = task.probabilities(np.array([[1.0, -1.0]]), head)

    assert probabilities.tolist() == [[1.0, 0.0]]
    assert task.score(np.array([[1.0, -1.0]]), np.array([1]), head)[0] == pytest.approx(2000.0)


def test_without_a_head_the_first_expectations_are_the_logits() -> None:
    """Three classes of five observables use the first three and train nothing."""
    task = Classification(5, 3, "none")
    expectations = np.arange(10.0).reshape(2, 5)

    assert task.n_parameters == 0
    assert np.array_equal(task.logits(expectations, np.empty(0)), expectations[:, :3])


@pytest.mark.parametrize(
    ("arguments", "field"), [((2, 3, "none"), r"readout\.observables"), ((5, 3, "deep"), r"readout\.head")]
)
def test_a_readout_that_cannot_tell_the_classes_apart_is_refused(arguments: tuple[object, ...], field: str) -> None:
    """Two observables without a head cannot name three classes, and there are two kinds of head."""
    with pytest.raises(ValidationFailed, match=rf"config\.{field}"):
        Classification(*arguments)  # type: ignore[arg-type]


def test_confusion_and_f1_agree_with_scikit_learn() -> None:
    """Rows are true classes, columns are answers; the F1 is the macro average."""
    from sklearn.metrics import confusion_matrix, f1_score

    random = np.random.default_rng(0)
    y, answers = random.integers(0, 4, 50), random.integers(0, 4, 50)

    matrix = confusion(y, answers, 4)

    assert np.array_equal(matrix, confusion_matrix(y, answers))
    assert macro_f1(matrix) == pytest.approx(f1_score(y, answers, average="macro"))


def test_measures_of_each_class_agree_with_scikit_learn(batch: tuple[np.ndarray, np.ndarray]) -> None:
    """Precision, recall, F1 and support by class, accuracy and macro F1."""
    from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

    expectations, y = batch
    task = Classification(5, 3)
    head = task.initial(np.random.default_rng(1))

    found = task.measure(expectations, y, head)

    answers = task.logits(expectations, head).argmax(axis=1)
    rows = np.array([list(row.values()) for row in found["per_class"]]).T
    expected = np.array(precision_recall_fscore_support(y, answers, labels=[0, 1, 2], zero_division=0))
    assert rows == pytest.approx(expected)
    assert found["accuracy"] == pytest.approx(accuracy_score(y, answers))
    assert found["f1_score"] == pytest.approx(f1_score(y, answers, average="macro"))


def test_balanced_weights_make_classes_count_the_same() -> None:
    """As scikit-learn balances them: each class has the same sum of weights, and the mean weight is one."""
    from sklearn.utils.class_weight import compute_class_weight

    y = np.array([0] * 6 + [1] * 3 + [2])

    found = class_weights("balanced", y, ("a", "b", "c"))

    assert found == pytest.approx(compute_class_weight("balanced", classes=np.arange(3), y=y))
    assert np.mean(np.array(found)[y]) == pytest.approx(1.0)


def test_weights_by_name_leave_the_others_at_one() -> None:
    """Only the classes that are named change."""
    assert class_weights({"b": 3}, np.array([0, 1, 2]), ("a", "b", "c")) == (1.0, 3.0, 1.0)


def test_a_weight_multiplies_the_loss_of_its_class(batch: tuple[np.ndarray, np.ndarray]) -> None:
    """The weighted loss is the mean over the batch of each sample's loss times its class's weight."""
    expectations, y = batch
    head = Classification(5, 3).initial(np.random.default_rng(1))
    weights = (0.5, 1.0, 4.0)

    found, _ = Classification(5, 3, "linear", weights).score(expectations, y, head)

    alone = [Classification(5, 3).score(expectations[k : k + 1], y[k : k + 1], head)[0] for k in range(len(y))]
    assert found == pytest.approx(np.mean(np.array(weights)[y] * alone))
