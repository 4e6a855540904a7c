"""
The optimisers by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qstore_appliance.engine.descent import Adam, Optimizer, RmsProp, Sgd
from qstore_appliance.engine.lbfgs import Lbfgs
from qstore_appliance.engine.natural_gradient import NaturalGradient
from qstore_appliance.engine.schedules import schedule as read_schedule
from qstore_appliance.engine.spsa import Spsa
from qstore_appliance.errors import ValidationFailed

__all__ = ["OPTIMIZERS", "Optimizer", "create"]

OPTIMIZERS: Mapping[str, type[Optimizer]] = {
    kind.name: kind for kind in (Adam, Sgd, RmsProp, Spsa, NaturalGradient, Lbfgs)
}


def create(
    name: str,
    size: int,
    learning_rate: float,
    schedule: str | Mapping[str, Any] | None = None,
    total_steps: int = 1,
    momentum: float | None = None,
    steps_per_epoch: int = 1,
) -> Optimizer:
    """
    Args:
        schedule: see `schedules.schedule`; None takes the optimiser's own, which is the cosine for most.

    Raises:
        ValidationFailed: `config.optimizer`, `config.learning_rate`, `config.schedule` or `config.momentum`.
    """
    if name not in OPTIMIZERS:
        raise ValidationFailed.field("config.optimizer", f"{name[:40]!r} is none of {', '.join(OPTIMIZERS)}")
    kind = OPTIMIZERS[name]
    factors = read_schedule(kind.default_schedule if schedule is None else schedule, total_steps, steps_per_epoch)
    optimizer = kind(size, learning_rate, factors)
    if momentum is not None:
        if not isinstance(optimizer, Sgd):
            raise ValidationFailed.field("config.momentum", f"only sgd takes it, not {name}")
        if not 0.0 <= momentum < 1.0:
            raise ValidationFailed.field("config.momentum", "must be at least 0 and below 1")
        optimizer.momentum = momentum
    return optimizer
