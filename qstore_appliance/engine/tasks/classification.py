"""
Classification: expectation values → logits → softmax; cross entropy and its gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.errors import ValidationFailed

Floats = NDArray[np.float64]
HEADS = ("linear", "none")


@dataclass(frozen=True, eq=False)
class Batch:
    """
    What one batch of expectation values costs.

    Attributes:
        loss: mean cross entropy in nats.
        correct: samples whose most probable class is right.
        cotangents: [batch, n_outputs] d loss / d expectation.
        head_gradient: [n_parameters] d loss / d head.
    """

    loss: float
    correct: int
    cotangents: Floats
    head_gradient: Floats


@dataclass(frozen=True)
class Classification:
    """
    Attributes:
        n_outputs: expectation values per sample.
        n_classes: classes to tell apart.
        head: `linear` (logits = W e + b, trained with the circuit) or `none` (the first expectations are the logits).
    """

    n_outputs: int
    n_classes: int
    head: str = "linear"

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

    def score(self, expectations: Floats, y: NDArray[np.int64], head: Floats) -> tuple[float, int]:
        """Mean cross entropy and number of right answers."""
        logits = self.logits(expectations, head)
        _, logarithms = _softmax(logits)
        loss = -float(logarithms[np.arange(len(y)), y].mean())
        return loss, int(np.count_nonzero(logits.argmax(axis=1) == y))

    def differentiate(self, expectations: Floats, y: NDArray[np.int64], head: Floats) -> Batch:
        """Loss, hits and gradients of one batch."""
        rows = np.arange(len(y))
        logits = self.logits(expectations, head)
        slope, logarithms = _softmax(logits)
        loss = -float(logarithms[rows, y].sum()) / len(y)
        correct = int(np.count_nonzero(logits.argmax(axis=1) == y))
        slope[rows, y] -= 1.0
        slope /= len(y)
        if self.head == "none":
            cotangents = np.zeros_like(expectations)
            cotangents[:, : self.n_classes] = slope
            return Batch(loss, correct, cotangents, np.empty(0))
        weights, _ = self.split(head)
        gradient = np.empty(self.n_parameters)
        into_weights, into_bias = self.split(gradient)
        np.matmul(slope.T, expectations, out=into_weights)
        slope.sum(axis=0, out=into_bias)
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
