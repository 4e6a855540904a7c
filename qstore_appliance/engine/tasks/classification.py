"""
Classification: expectation values → logits → softmax; cross entropy and its gradient.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.tasks.task import HEADS, Batch
from qstore_appliance.errors import ValidationFailed

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Classification:
    """
    Attributes:
        n_outputs: expectation values per sample.
        n_classes: classes to tell apart.
        head: `linear` (logits = W e + b, trained with the circuit) or `none` (the first expectations are the logits).
        class_weights: how much a sample of each class counts in the loss; None counts all the same.
    """

    name: ClassVar[str] = "classification"
    counts_hits: ClassVar[bool] = True

    n_outputs: int
    n_classes: int
    head: str = "linear"
    class_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise ValidationFailed.field("config.readout.head", f"{self.head[:40]!r} is none of {', '.join(HEADS)}")
        if self.head == "none" and self.n_outputs < self.n_classes:
            raise ValidationFailed.field(
                "config.readout.observables",
                f"without a head {self.n_classes} classes need as many observables; there are {self.n_outputs}",
            )

    @property
    def n_parameters(self) -> int:
        return self.n_classes * (self.n_outputs + 1) if self.head == "linear" else 0

    def initial(self, random: np.random.Generator) -> Floats:
        """A small random head: W uniform within ±1/√n_outputs, b = 0."""
        head = np.zeros(self.n_parameters)
        if self.head == "linear":
            bound = 1.0 / np.sqrt(self.n_outputs)
            weights = self.n_classes * self.n_outputs
            head[:weights] = random.uniform(-bound, bound, weights)
        return head

    def split(self, head: Floats) -> tuple[Floats, Floats]:
        """Views on W [n_classes, n_outputs] and b [n_classes]."""
        weights = self.n_classes * self.n_outputs
        return head[:weights].reshape(self.n_classes, self.n_outputs), head[weights:]

    def logits(self, expectations: Floats, head: Floats) -> Floats:
        """[batch, n_outputs] → [batch, n_classes]"""
        if self.head == "none":
            return expectations[:, : self.n_classes]
        weights, bias = self.split(head)
        return expectations @ weights.T + bias

    def probabilities(self, expectations: Floats, head: Floats) -> Floats:
        """[batch, n_classes]; each row sums to 1."""
        return _softmax(self.logits(expectations, head))[0]

    def slopes(self, expectations: Floats, head: Floats) -> Floats:
        """[batch, n_classes, n_outputs]: derivatives of the probabilities by the expectation values."""
        probabilities = self.probabilities(expectations, head)[:, :, None]
        weights = np.eye(self.n_classes, self.n_outputs) if self.head == "none" else self.split(head)[0]
        mean = (probabilities * weights).sum(axis=1, keepdims=True)
        return np.asarray(probabilities * (weights - mean))

    def score(self, expectations: Floats, y: NDArray[np.int64], head: Floats) -> tuple[float, int]:
        """Mean cross entropy in nats and number of right answers."""
        logits = self.logits(expectations, head)
        _, logarithms = _softmax(logits)
        losses = logarithms[np.arange(len(y)), y]
        if self.class_weights is not None:
            losses *= self._shares(y)
        return -float(losses.mean()), int(np.count_nonzero(logits.argmax(axis=1) == y))

    def measure(self, expectations: Floats, y: NDArray[np.int64], head: Floats) -> dict[str, Any]:
        """Accuracy, macro F1, confusion matrix, and precision, recall and F1 of each class."""
        logits = self.logits(expectations, head)
        answers = logits.argmax(axis=1)
        matrix = confusion(y, answers, self.n_classes)
        return {
            "accuracy": int(np.trace(matrix)) / len(y),
            "f1_score": macro_f1(matrix),
            "confusion_matrix": matrix.tolist(),
            "per_class": per_class(matrix),
        }

    def _shares(self, y: NDArray[np.int64]) -> Floats:
        return np.array(self.class_weights)[y]

    def differentiate(self, expectations: Floats, y: NDArray[np.int64], head: Floats) -> Batch:
        """Loss, hits and gradients of one batch."""
        # Written with few passes over small arrays: at four qubits this is a good part of a step.
        n = len(y)
        logits = self.logits(expectations, head)
        answers = logits.argmax(axis=1)
        correct = int(np.count_nonzero(answers == y))
        rows = np.arange(0, logits.size, self.n_classes)
        slope = logits - logits.reshape(-1)[rows + answers, None]
        flat = slope.reshape(-1)
        places = rows + y
        chosen = flat[places]
        np.exp(slope, out=slope)
        sums = np.add.reduce(slope, axis=1, keepdims=True)
        losses = np.log(sums[:, 0]) - chosen
        slope /= sums * n
        flat[places] -= 1.0 / n
        if self.class_weights is None:
            loss = float(np.add.reduce(losses)) / n
        else:
            shares = self._shares(y)
            loss = float(shares @ losses) / n
            slope *= shares[:, None]
        if self.head == "none":
            cotangents = np.zeros_like(expectations)
            cotangents[:, : self.n_classes] = slope
            return Batch(loss, correct, cotangents, np.empty(0))
        weights, _ = self.split(head)
        gradient = np.empty(self.n_parameters)
        into_weights, into_bias = self.split(gradient)
        np.matmul(slope.T, expectations, out=into_weights)
        np.add.reduce(slope, axis=0, out=into_bias)
        return Batch(loss, correct, slope @ weights, gradient)


def _softmax(logits: Floats) -> tuple[Floats, Floats]:
    """Probabilities and their logarithms, safe from overflow."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    sums = powers.sum(axis=1, keepdims=True)
    return powers / sums, shifted - np.log(sums)


def confusion(y: NDArray[np.int64], answers: NDArray[np.int64], n_classes: int) -> NDArray[np.int64]:
    """[n_classes, n_classes] counts; row = true class, column = answer."""
    counts = np.bincount(y * n_classes + answers, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes).astype(np.int64)


def macro_f1(matrix: NDArray[Any]) -> float:
    """Mean F1 over the classes that occur or were answered."""
    hits = np.diag(matrix).astype(np.float64)
    sizes = matrix.sum(axis=0) + matrix.sum(axis=1)
    present = sizes > 0
    return float((2.0 * hits[present] / sizes[present]).mean())


def per_class(matrix: NDArray[Any]) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each class in turn, with its number of samples; 0 where nothing was answered."""
    rows = []
    for index, support in enumerate(matrix.sum(axis=1).tolist()):
        hits, answered = int(matrix[index, index]), int(matrix[:, index].sum())
        rows.append(
            {
                "precision": hits / answered if answered else 0.0,
                "recall": hits / support if support else 0.0,
                "f1": 2.0 * hits / (answered + support) if answered + support else 0.0,
                "support": int(support),
            }
        )
    return rows


def class_weights(config: object, y_train: NDArray[np.int64], classes: Sequence[str]) -> tuple[float, ...] | None:
    """
    Args:
        config: None; `balanced`, by which every class counts as much as any other in the training part; or a weight by
            class, 1 for those that are not named.

    Raises:
        ValidationFailed: `config.class_weights…`
    """
    field = "config.class_weights"
    if config is None:
        return None
    if config == "balanced":
        counts = np.bincount(y_train, minlength=len(classes))
        return tuple(float(weight) for weight in len(y_train) / (len(classes) * counts))
    if not isinstance(config, Mapping):
        raise ValidationFailed.field(field, "must be 'balanced' or a weight by class")
    weights = dict.fromkeys(classes, 1.0)
    for name, weight in config.items():
        if str(name) not in weights:
            raise ValidationFailed.field(f"{field}.{str(name)[:60]}", "there is no such class in this job")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0.0 < weight <= 1e6:
            raise ValidationFailed.field(f"{field}.{str(name)[:60]}", "must be above 0 and at most 1000000")
        weights[str(name)] = float(weight)
    if not all(map(math.isfinite, weights.values())):
        raise ValidationFailed.field(field, "must be finite numbers")
    return tuple(weights.values())
