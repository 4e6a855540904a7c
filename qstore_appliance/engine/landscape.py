"""
The loss around the present parameters, for optimisers that ask for more than a gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.metric import Metric
from qstore_appliance.engine.runner import Runner
from qstore_appliance.engine.tasks.task import Batch, Task

Floats = NDArray[np.float64]


class Landscape:
    """
    Implements `descent.Surroundings` for one batch at a time.

    Args:
        n_weights: of the circuit; the head's parameters come after them.
    """

    def __init__(self, runner: Runner, task: Task, n_weights: int) -> None:
        self._runner = runner
        self._task = task
        self._n_weights = n_weights
        self._metric: Metric | None = None
        self._x: Floats = np.zeros((0, 0))
        self._y: NDArray[Any] = np.zeros(0)
        self._seed: int | None = None
        self.loss = 0.0
        self.rounding = 1e-7 if runner.precision == "single" else 1e-15
        #: Circuits that answers have run since `stand`.
        self.circuits = 0

    def stand(self, x: Floats, y: NDArray[Any], loss: float, seed: int | None) -> None:
        """The batch that is looked at from now on, and the loss where the parameters are."""
        self._x, self._y, self.loss, self._seed, self.circuits = x, y, loss, seed, 0

    def evaluate(self, parameters: Floats) -> tuple[float, Floats]:
        weights, head = parameters[: self._n_weights], parameters[self._n_weights :]
        batch: list[Batch] = []

        def pullback(expectations: Floats) -> Floats:
            batch.append(self._task.differentiate(expectations, self._y, head))
            return batch[0].cotangents

        _, gradient = self._runner.differentiate(self._runner.execution(weights, self._x, self._seed), pullback)
        self.circuits += self._runner.circuits(len(self._x), differentiate=True)
        return batch[0].loss, np.concatenate([gradient, batch[0].head_gradient])

    def metric(self, parameters: Floats) -> Floats:
        if self._metric is None:
            self._metric = Metric(self._runner.program)
        found = self._metric.at(self._runner, parameters[: self._n_weights], self._x, self._seed)
        self.circuits += len(self._x) * self._metric.circuits_per_sample
        return found
