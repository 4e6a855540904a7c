"""
Simultaneous perturbation: one random direction, two executions, an unbiased guess at the whole gradient.

Source: Spall 1992 and, for the gains, Spall 1998 (IEEE Trans. Aerospace and Electronic Systems 34, 817).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine import pieces
from qstore_appliance.engine.backend import Backend, Execution, checked_cotangents
from qstore_appliance.engine.descent import Optimizer

Floats = NDArray[np.float64]

#: Radians by which weights are moved to and fro, unless an optimiser says otherwise.
SIZE: Final = 0.1


@dataclass(frozen=True, eq=False)
class Perturbation:
    """A direction [n_weights] of plus and minus ones, and how far to go along it."""

    direction: Floats
    size: float = SIZE

    @classmethod
    def draw(cls, n_weights: int, random: np.random.Generator, size: float = SIZE) -> Perturbation:
        return cls(np.asarray(2 * random.integers(0, 2, n_weights) - 1, np.float64), size)


def differentiate(
    backend: Backend, execution: Execution, pullback: Callable[[Floats], Floats], perturbation: Perturbation
) -> tuple[Floats, Floats]:
    """
    Expectations [batch, n_observables] and an estimate of the gradient [n_weights], from two executions.

    The loss is followed exactly from the expectations on (their derivative along the direction is what is measured), so
    the estimate is Spall's for the circuit and has none of the noise that two evaluations of the loss would add. The
    expectations are the mean of both sides, off by the square of the size.
    """
    offset = perturbation.size * perturbation.direction
    ahead = pieces.expectations(backend, replace(execution, weights=execution.weights + offset))
    seed = None if execution.seed is None else execution.seed + 1
    behind = pieces.expectations(backend, replace(execution, weights=execution.weights - offset, seed=seed))
    middle = (ahead + behind) / 2.0
    cotangents = checked_cotangents(pullback(middle), middle)
    slope = float(np.vdot(cotangents, ahead - behind)) / (2.0 * perturbation.size)
    # Each entry of the direction is its own reciprocal.
    return middle, slope * perturbation.direction


class Spsa(Optimizer):
    """Steepest descent by such guesses, with Spall's falling gains; its first step has the whole learning rate."""

    name = "spsa"
    default_schedule = "constant"  # the gains fall by themselves
    alpha, gamma = 0.602, 0.101

    def rate(self) -> float:
        settled = 1.0 + 0.1 * self.schedule.total_steps
        return super().rate() * float((settled / (settled + self.steps)) ** self.alpha)

    @property
    def perturbation_size(self) -> float:
        """How far the next step looks to either side."""
        return float(SIZE / (self.steps + 1) ** self.gamma)

    def _direction(self, gradient: Floats, rate: float) -> Floats:
        return rate * gradient
