"""
L-BFGS for losses without noise: curvature from the last steps, and a line search, as a state machine that serialises.

Sources: Liu & Nocedal 1989 (two loops); Lewis & Overton 2013 (the bisection that finds a step with Wolfe's conditions).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.descent import Optimizer, Surroundings
from qstore_appliance.engine.schedules import Schedule
from qstore_appliance.errors import ValidationFailed

Floats = NDArray[np.float64]


class Lbfgs(Optimizer):
    """
    One step is one line search of a few evaluations. The first goes at most `learning_rate` far; afterwards the curvature
    says how far.
    """

    name = "lbfgs"
    default_schedule = "constant"
    asks = True
    memory: ClassVar[int] = 10
    most_evaluations: ClassVar[int] = 20
    sufficient, curvature = 1e-4, 0.9  # Wolfe's two constants

    def __init__(self, size: int, learning_rate: float, schedule: Schedule) -> None:
        super().__init__(size, learning_rate, schedule)
        self._size = size
        self._moves = np.zeros((0, size))
        self._changes = np.zeros((0, size))

    def step(self, parameters: Floats, gradient: Floats, around: Surroundings | None = None) -> None:
        if around is None:
            raise ValueError("L-BFGS needs the loss around the parameters")
        direction = -self._direction(gradient, self.rate())
        slope = float(direction @ gradient)
        if slope >= 0.0:  # rounding has the better of the curvature: begin anew
            self._forget()
            direction = -self._direction(gradient, self.rate())
            slope = float(direction @ gradient)
        self.steps += 1
        if not -slope > around.rounding * max(1.0, abs(around.loss)):
            return  # what is left to gain is less than rounding shows
        found = self._searched(parameters, direction, slope, around)
        if found is None:
            self._forget()
            return
        length, new_gradient = found
        move, change = length * direction, new_gradient - gradient
        parameters += move
        if move @ change > 1e-10 * float(np.linalg.norm(move) * np.linalg.norm(change)):
            self._moves = np.concatenate([self._moves, move[None]])[-self.memory :]
            self._changes = np.concatenate([self._changes, change[None]])[-self.memory :]

    def _direction(self, gradient: Floats, rate: float) -> Floats:
        """The inverse Hessian's guess times the gradient."""
        if not len(self._moves):
            return gradient * (min(1.0, rate / max(float(np.linalg.norm(gradient)), 1e-300)))
        result = gradient.copy()
        curvatures = np.einsum("ij,ij->i", self._moves, self._changes)
        shares = np.empty(len(self._moves))
        for k in reversed(range(len(self._moves))):
            shares[k] = self._moves[k] @ result / curvatures[k]
            result -= shares[k] * self._changes[k]
        result *= curvatures[-1] / (self._changes[-1] @ self._changes[-1])
        for k in range(len(self._moves)):
            result += (shares[k] - self._changes[k] @ result / curvatures[k]) * self._moves[k]
        return result

    def _searched(
        self, parameters: Floats, direction: Floats, slope: float, around: Surroundings
    ) -> tuple[float, Floats] | None:
        """A step length with the gradient at its end; None where no length lowers the loss."""
        low, high, length = 0.0, np.inf, 1.0
        best: tuple[float, float, Floats] | None = None
        for _ in range(self.most_evaluations):
            loss, gradient = around.evaluate(parameters + length * direction)
            if np.isfinite(loss) and loss < around.loss and (best is None or loss < best[0]):
                best = loss, length, gradient
            if not loss <= around.loss + self.sufficient * length * slope:
                high = length
            elif gradient @ direction < self.curvature * slope:
                low = length
            else:
                return length, gradient
            length = (low + high) / 2.0 if np.isfinite(high) else 2.0 * low
        return None if best is None else best[1:]

    def _forget(self) -> None:
        self._moves = self._changes = np.zeros((0, self._size))

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        return {"moves": self._moves, "changes": self._changes}, {"name": self.name, "steps": self.steps}

    def restore(self, arrays: Mapping[str, NDArray[Any]], document: Mapping[str, Any]) -> None:
        super().restore(arrays, document)
        empty = np.zeros((0, 0))
        moves, changes = arrays.get("moves", empty), arrays.get("changes", empty)
        if moves.shape != changes.shape or moves.shape[1:] != (self._size,) or len(moves) > self.memory:
            raise ValidationFailed.field("config.optimizer", "the checkpoint was not made by lbfgs on this circuit")
        self._moves, self._changes = np.array(moves, np.float64), np.array(changes, np.float64)
