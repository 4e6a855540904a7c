"""
What a task is to a training: from expectation values to a loss, and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
HEADS = ("linear", "none")


@dataclass(frozen=True, eq=False)
class Batch:
    """
    What one batch of expectation values costs.

    Attributes:
        loss: the mean over the batch.
        correct: samples answered rightly; 0 where there is no right or wrong.
        cotangents: [batch, n_outputs] d loss / d expectation.
        head_gradient: [n_parameters] d loss / d head.
    """

    loss: float
    correct: int
    cotangents: Floats
    head_gradient: Floats


class Task(Protocol):
    """
    Attributes:
        name: as in `config.task`.
        head: `linear` or `none`.
        counts_hits: whether an answer is right or wrong, so that there is an accuracy.
        n_parameters: of the head.
    """

    @property
    def name(self) -> str: ...

    @property
    def head(self) -> str: ...

    @property
    def counts_hits(self) -> bool: ...

    @property
    def n_parameters(self) -> int: ...

    def initial(self, random: np.random.Generator) -> Floats:
        """Where the head starts."""

    def differentiate(self, expectations: Floats, y: NDArray[Any], head: Floats) -> Batch:
        """Loss, hits and gradients of one batch."""

    def score(self, expectations: Floats, y: NDArray[Any], head: Floats) -> tuple[float, int]:
        """Loss and number of right answers."""

    def measure(self, expectations: Floats, y: NDArray[Any], head: Floats) -> Mapping[str, Any]:
        """The metrics of samples that nothing was trained on, ready for JSON."""
