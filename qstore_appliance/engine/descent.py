"""
Optimisers that need nothing but a gradient, as small state machines over one flat vector. Their state serialises.

Sources: Kingma & Ba 2015 (Adam, arXiv:1412.6980); Tieleman & Hinton 2012 (RMSprop); Sutskever et al. 2013 (momentum).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.kernel_descent import adam
from qstore_appliance.engine.schedules import Schedule
from qstore_appliance.errors import ValidationFailed

Floats = NDArray[np.float64]


class Surroundings(Protocol):
    """What an optimiser may ask about the loss around the present parameters; each answer runs circuits."""

    #: At the present parameters.
    loss: float
    #: By what share of the loss rounding moves it.
    rounding: float

    def evaluate(self, parameters: Floats) -> tuple[float, Floats]:
        """Loss and gradient at other parameters."""

    def metric(self, parameters: Floats) -> Floats:
        """[n_weights, n_weights]: the Fubini-Study metric of the circuit's weights, which come first."""


class Optimizer(ABC):
    """
    Args:
        size: length of the parameter vector.
        learning_rate: the peak of the schedule.
        schedule: factors of it.
    """

    name: ClassVar[str]
    slots: ClassVar[tuple[str, ...]] = ()  # running averages, one vector each
    default_schedule: ClassVar[str] = "cosine"
    asks: ClassVar[bool] = False  # whether `step` needs the surroundings

    def __init__(self, size: int, learning_rate: float, schedule: Schedule) -> None:
        if not (math.isfinite(learning_rate) and learning_rate > 0):
            raise ValidationFailed.field("config.learning_rate", "must be a positive finite number")
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.steps = 0
        self._averages: dict[str, Floats] = {slot: np.zeros(size) for slot in self.slots}

    def rate(self) -> float:
        """The learning rate of the next step."""
        return self.learning_rate * self.schedule.at(self.steps)

    def step(self, parameters: Floats, gradient: Floats, around: Surroundings | None = None) -> None:
        """Move `parameters` in place."""
        rate = self.rate()
        self.steps += 1
        parameters -= self._direction(gradient, rate)

    @abstractmethod
    def _direction(self, gradient: Floats, rate: float) -> Floats:
        """What to subtract; `self.steps` already counts this step."""

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and a JSON document."""
        return {slot: average.copy() for slot, average in self._averages.items()}, {
            "name": self.name,
            "steps": self.steps,
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]], document: Mapping[str, Any]) -> None:
        """
        Go on from a saved state.

        Raises:
            ValidationFailed: the state is of another optimiser or another number of parameters.
        """
        fits = document["name"] == self.name and all(
            slot in arrays and arrays[slot].shape == average.shape for slot, average in self._averages.items()
        )
        if not fits:
            raise ValidationFailed.field(
                "config.optimizer", f"the checkpoint was not made by {self.name} on this circuit"
            )
        self.steps = int(document["steps"])
        self._averages = {slot: np.array(arrays[slot], dtype=np.float64) for slot in self.slots}


class Adam(Optimizer):
    """Moments of the gradient with bias correction."""

    name = "adam"
    slots = ("mean", "square")
    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def __init__(self, size: int, learning_rate: float, schedule: Schedule) -> None:
        super().__init__(size, learning_rate, schedule)
        self._move = np.empty(size)

    def _direction(self, gradient: Floats, rate: float) -> Floats:
        corrected = rate * math.sqrt(1.0 - self.beta2**self.steps) / (1.0 - self.beta1**self.steps)
        averages = self._averages
        adam(
            gradient, averages["mean"], averages["square"], corrected, self.beta1, self.beta2, self.epsilon, self._move
        )
        return self._move


class Sgd(Optimizer):
    """Steepest descent with momentum."""

    name = "sgd"
    slots = ("velocity",)
    momentum = 0.9

    def _direction(self, gradient: Floats, rate: float) -> Floats:
        velocity = self._averages["velocity"]
        velocity *= self.momentum
        velocity += gradient
        return rate * velocity


class RmsProp(Optimizer):
    """The gradient over its running root mean square."""

    name = "rmsprop"
    slots = ("square",)
    decay, epsilon = 0.9, 1e-8

    def _direction(self, gradient: Floats, rate: float) -> Floats:
        square = self._averages["square"]
        square *= self.decay
        square += (1.0 - self.decay) * gradient * gradient
        return rate * gradient / (np.sqrt(square) + self.epsilon)
