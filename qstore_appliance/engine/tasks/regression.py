"""
Regression: expectation values → one number; mean squared error of standardised targets and its gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.tasks.task import HEADS, Batch
from qstore_appliance.errors import ValidationFailed

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """
    How targets are scaled while training, fitted on the training part: `(y - offset) / scale`.

    Attributes:
        name: of the quantity, where the data name it.
    """

    name: str
    offset: float
    scale: float

    @classmethod
    def fit(cls, name: str, y_train: Floats, head: str) -> Target:
        """
        With a linear head to mean 0 and spread 1; without a head into [-1, 1], where expectation values lie.

        Raises:
            ValidationFailed: `config.dataset.target`: all training targets are the same, or too large to be told apart.
        """
        with np.errstate(all="ignore"):
            if head == "none":
                low, high = float(y_train.min()), float(y_train.max())
                offset, scale = low / 2.0 + high / 2.0, high / 2.0 - low / 2.0
            else:
                offset, scale = float(y_train.mean()), float(y_train.std())
        if not (np.isfinite(offset) and np.isfinite(scale) and scale > 0.0):
            raise ValidationFailed.field("config.dataset.target", "the training part's targets do not vary")
        return cls(name, offset, scale)

    def standardised(self, y: Floats) -> Floats:
        return (y - self.offset) / self.scale

    def restored(self, outputs: Floats) -> Floats:
        return outputs * self.scale + self.offset


@dataclass(frozen=True)
class Regression:
    """
    Attributes:
        n_outputs: expectation values per sample.
        head: `linear` (w e + b, trained with the circuit) or `none` (the first expectation is the answer).
        target: how answers are brought back to the data's units.
    """

    name: ClassVar[str] = "regression"
    counts_hits: ClassVar[bool] = False

    n_outputs: int
    head: str
    target: Target

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise ValidationFailed.field("config.readout.head", f"{self.head[:40]!r} is none of {', '.join(HEADS)}")

    @property
    def n_parameters(self) -> int:
        return self.n_outputs + 1 if self.head == "linear" else 0

    def initial(self, random: np.random.Generator) -> Floats:
        """A small random head: w uniform within ±1/√n_outputs, b = 0."""
        head = np.zeros(self.n_parameters)
        if self.head == "linear":
            bound = 1.0 / np.sqrt(self.n_outputs)
            head[:-1] = random.uniform(-bound, bound, self.n_outputs)
        return head

    def outputs(self, expectations: Floats, head: Floats) -> Floats:
        """[batch, n_outputs] → [batch], in standardised units."""
        return expectations[:, 0] if self.head == "none" else expectations @ head[:-1] + head[-1]

    def values(self, expectations: Floats, head: Floats) -> Floats:
        """[batch, n_outputs] → [batch], in the data's units."""
        return self.target.restored(self.outputs(expectations, head))

    def slopes(self, expectations: Floats, head: Floats) -> Floats:
        """[1, 1, n_outputs]: derivatives of an answer, in the data's units, by the expectation values."""
        factors = head[:-1] if self.head == "linear" else np.eye(1, self.n_outputs)[0]
        return np.asarray(self.target.scale * factors)[None, None, :]

    def score(self, expectations: Floats, y: Floats, head: Floats) -> tuple[float, int]:
        """Mean squared error in standardised units; nothing is right or wrong."""
        return float(np.square(self.outputs(expectations, head) - y).mean()), 0

    def differentiate(self, expectations: Floats, y: Floats, head: Floats) -> Batch:
        residual = self.outputs(expectations, head) - y
        slope = residual * (2.0 / len(y))
        loss = float(residual @ residual) / len(y)
        if self.head == "none":
            cotangents = np.zeros_like(expectations)
            cotangents[:, 0] = slope
            return Batch(loss, 0, cotangents, np.empty(0))
        gradient = np.empty(self.n_parameters)
        np.matmul(slope, expectations, out=gradient[:-1])
        gradient[-1] = slope.sum()
        return Batch(loss, 0, slope[:, None] * head[:-1], gradient)

    def measure(self, expectations: Floats, y: Floats, head: Floats) -> dict[str, Any]:
        """Against standardised targets; errors are in the data's units."""
        return measures(self.target.restored(y), self.values(expectations, head))


def measures(y: Floats, answers: Floats) -> dict[str, Any]:
    """`r2` (None where the targets do not vary), `mae` and `rmse` of answers to `y`."""
    residual, spread = answers - y, y - y.mean()
    total = float(spread @ spread)
    return {
        "r2": 1.0 - float(residual @ residual) / total if total > 0.0 else None,
        "mae": float(np.abs(residual).mean()),
        "rmse": float(np.sqrt(np.square(residual).mean())),
    }
