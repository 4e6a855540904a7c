"""
Natural gradient: steepest descent where distance is measured between states, not between angles.

Source: Stokes, Izaac, Killoran and Carleo 2020 (arXiv:1909.02108). The metric is their block-diagonal approximation, see
`metric.py`; parameters of the head, which no state depends on, take a plain step.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.descent import Optimizer, Surroundings

Floats = NDArray[np.float64]


class NaturalGradient(Optimizer):
    """
    Steps along (G + damping)^-1 times the gradient.

    The damping keeps directions that do not change the state from being followed for ever; a rotation of one qubit alone
    has a metric of 1/4.
    """

    name = "natural"
    asks = True
    damping: ClassVar[float] = 1e-3

    def step(self, parameters: Floats, gradient: Floats, around: Surroundings | None = None) -> None:
        if around is None:
            raise ValueError("the natural gradient needs the metric")
        metric = around.metric(parameters)
        n_weights = len(metric)
        curved = gradient.copy()
        if n_weights:
            damped = metric + self.damping * np.eye(n_weights)
            curved[:n_weights] = np.linalg.solve(damped, gradient[:n_weights])
        super().step(parameters, curved)

    def _direction(self, gradient: Floats, rate: float) -> Floats:
        return rate * gradient
