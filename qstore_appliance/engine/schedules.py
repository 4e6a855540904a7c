"""
Learning rates over time.

Sources: Loshchilov & Hutter 2017 (cosine, arXiv:1608.03983); Goyal et al. 2017 (linear warm-up, arXiv:1706.02677).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qstore_appliance.errors import ValidationFailed

SCHEDULES = ("cosine", "constant", "step", "exponential")
_FIELD = "config.schedule"


@dataclass(frozen=True)
class Schedule:
    """
    A factor of the peak rate for each step.

    Attributes:
        name: `cosine` falls to zero over `total_steps`; `constant` stays; `step` multiplies by `factor` every `every`
            epochs; `exponential` multiplies by `factor` an epoch, evenly.
        total_steps: of the whole run; steps_per_epoch: of these in one epoch.
        warmup: epochs at the front over which the factor rises from zero to where the schedule begins.
    """

    name: str
    total_steps: int
    steps_per_epoch: int = 1
    every: int = 1
    factor: float = 1.0
    warmup: int = 0

    def at(self, step: int) -> float:
        """The factor of the step with this number, from 0."""
        warm = self.warmup * self.steps_per_epoch
        if step < warm:
            return (step + 1) / (warm + 1)
        step -= warm
        if self.name == "constant":
            return 1.0
        if self.name == "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * min(step / max(self.total_steps - warm, 1), 1.0)))
        epochs = step / self.steps_per_epoch
        return float(self.factor ** (math.floor(epochs / self.every) if self.name == "step" else epochs))


def schedule(config: str | Mapping[str, Any], total_steps: int, steps_per_epoch: int = 1) -> Schedule:
    """
    Args:
        config: a name, or `{"type": "step", "every"?: 10, "factor"?: 0.5, "warmup"?: 0}`; an exponential's factor is 0.95
            unless given. Epochs are meant.

    Raises:
        ValidationFailed: `config.schedule…`
    """
    given: Mapping[str, Any] = {"type": config} if isinstance(config, str) else config
    name = given.get("type")
    if name not in SCHEDULES:
        raise ValidationFailed.field(_FIELD, f"{str(name)[:40]!r} is none of {', '.join(SCHEDULES)}")
    for key, only in (("every", ("step",)), ("factor", ("step", "exponential"))):
        if given.get(key) is not None and name not in only:
            raise ValidationFailed.field(
                f"{_FIELD}.{key}", f"belongs to the schedules {' and '.join(only)} only, not to {name}"
            )
    factor = given.get("factor")
    factor = (0.5 if name == "step" else 0.95) if factor is None else factor
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0.0 < factor <= 1.0:
        raise ValidationFailed.field(f"{_FIELD}.factor", "must be above 0 and at most 1")
    return Schedule(
        name=name,
        total_steps=max(total_steps, 1),
        steps_per_epoch=max(steps_per_epoch, 1),
        every=_whole(given, "every", 10, 1),
        factor=float(factor),
        warmup=_whole(given, "warmup", 0, 0),
    )


def _whole(given: Mapping[str, Any], key: str, default: int, least: int) -> int:
    value = default if given.get(key) is None else given[key]
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValidationFailed.field(f"{_FIELD}.{key}", f"must be a whole number of at least {least}")
    return value
