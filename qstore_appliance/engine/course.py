"""
How a training proceeds, by its config: epochs, batches, optimiser, clipping, early stopping, and what watches over it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine import optimizers, spsa
from qstore_appliance.engine.early_stopping import EarlyStopping
from qstore_appliance.engine.health import Health
from qstore_appliance.engine.problem import Problem
from qstore_appliance.errors import ValidationFailed

Floats = NDArray[np.float64]

#: The natural gradient solves as many equations as there are weights, at every step.
MOST_WEIGHTS_OF_A_METRIC: Final = 2_000


class Course:
    """
    Attributes:
        total_epochs, batch_size: as configured.
        optimizer, early_stopping, health: their states belong into a checkpoint.

    Raises:
        ValidationFailed: naming the field of the config.
    """

    def __init__(self, config: Mapping[str, Any], problem: Problem, n_parameters: int) -> None:
        self.total_epochs = _positive(config, "epochs", 10)
        self.batch_size = _positive(config, "batch_size", 32)
        steps_per_epoch = -(-len(problem.train) // self.batch_size)
        self.optimizer = optimizers.create(
            config.get("optimizer") or "adam",
            n_parameters,
            float(0.01 if config.get("learning_rate") is None else config["learning_rate"]),
            config.get("schedule"),
            total_steps=self.total_epochs * steps_per_epoch,
            momentum=config.get("momentum"),
            steps_per_epoch=steps_per_epoch,
        )
        self._clip_norm = _clip_norm(config)
        _check_optimizer(self.optimizer.name, self._clip_norm, problem)
        stopping = config.get("early_stopping")
        self.early_stopping = EarlyStopping(stopping) if stopping else None
        runner = problem.runner
        by_spsa = runner.gradient == "spsa"
        # An entry of the shift rule is half a difference of two estimates; SPSA divides theirs by twice its size.
        spread = 2.0 / (2.0 * spsa.SIZE) ** 2 if by_spsa else 0.5
        self.health = Health(runner.program.weight_names, runner.shots, runner.precision, spread)

    def clip(self, gradient: Floats) -> None:
        """Shorten a gradient that is longer than allowed, in place."""
        if self._clip_norm is not None:
            norm = math.sqrt(float(gradient @ gradient))
            if norm > self._clip_norm:
                gradient *= self._clip_norm / norm


def _check_optimizer(name: str, clip_norm: float | None, problem: Problem) -> None:
    runner = problem.runner
    if name == "lbfgs":
        if problem.task.name != "energy":
            raise ValidationFailed.field("config.optimizer", "lbfgs is for energies: batches of data are noise to it")
        if runner.shots is not None or runner.gradient == "spsa":
            raise ValidationFailed.field("config.optimizer", "lbfgs needs exact energies: no shots, no spsa gradients")
        if clip_norm is not None:
            raise ValidationFailed.field("config.gradient_clip", "lbfgs finds its step's length itself")
    if name == "natural" and runner.program.n_weights > MOST_WEIGHTS_OF_A_METRIC:
        raise ValidationFailed.field("config.optimizer", f"natural takes at most {MOST_WEIGHTS_OF_A_METRIC:,} weights")


def _clip_norm(config: Mapping[str, Any]) -> float | None:
    value = config.get("gradient_clip")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value > 0):
        raise ValidationFailed.field("config.gradient_clip", "must be a finite number above 0")
    return float(value)


def _positive(config: Mapping[str, Any], key: str, default: int) -> int:
    value = default if config.get(key) is None else config[key]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValidationFailed.field(f"config.{key}", "must be a whole number of at least 1")
    return value
