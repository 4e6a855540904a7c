"""
One step of a training up to its gradient, in one call of the backend where it offers that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.backend import Execution
from qstore_appliance.engine.runner import Runner
from qstore_appliance.engine.spsa import Perturbation
from qstore_appliance.engine.tasks.classification import Classification
from qstore_appliance.engine.tasks.task import Batch, Task

Floats = NDArray[np.float64]


class TrainingStep:
    """
    Args:
        runner: What runs the circuits.
        task: What the loss is.
    """

    def __init__(self, runner: Runner, task: Task) -> None:
        self._runner = runner
        self._task = task
        self._shares: Floats | None = None
        if isinstance(task, Classification) and runner.rule == "adjoint":
            weights = task.class_weights
            self._shares = np.ones(task.n_classes) if weights is None else np.array(weights)

    def __call__(
        self, execution: Execution, y: NDArray[Any], head: Floats, perturbation: Perturbation | None = None
    ) -> tuple[Batch, Floats]:
        """
        Args:
            y: [batch], classes or targets.
            head: Its parameters.
            perturbation: For SPSA, and only for it.

        Returns:
            What the batch costs, and the gradient by the circuit's weights.
        """
        if self._shares is not None and not self._runner.too_many(execution.batch):
            found = self._runner.backend.cross_entropy(execution, y, head, self._shares)
            if found is not None:
                return Batch(found.loss, found.hits, found.cotangents, found.head_gradient), found.gradient
        batches: list[Batch] = []

        def pullback(expectations: Floats) -> Floats:
            batches[:] = [self._task.differentiate(expectations, y, head)]
            return batches[0].cotangents

        _, gradient = self._runner.differentiate(execution, pullback, perturbation)
        return batches[0], gradient
