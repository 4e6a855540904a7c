"""
The health of a training: whether its gradients say anything, and which weights nothing depends on.

A barren plateau is a circuit whose gradients vanish wherever one stands (McClean et al. 2018, arXiv:1803.11173). Gradients
vanish at a minimum too; so the warning is for trainings whose gradients were never above what shots or floating point
resolve, and a training that has once had a direction is not warned later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Rounding error of one expectation's derivative: about ten times the precision's own step.
ROUNDING: Final[Mapping[str, float]] = {"single": 1e-6, "double": 2e-15}
MAX_NAMED: Final = 20
#: Steps after which a weight that never had a gradient is called dead; one gradient may be zero by chance.
STEPS_TO_BE_SURE: Final = 20


class Health:
    """
    Sums over the steps of an epoch, then looks at them.

    Args:
        names: the circuit's weights.
        shots: of one execution; None for exact gradients.
        precision: `single` or `double`.
        spread: by how much a gradient entry's own differences magnify an expectation's error, squared: 1/2 for the
            shift rule, 1/(2 size^2) for SPSA.
    """

    def __init__(self, names: Sequence[str], shots: int | None, precision: str, spread: float = 0.5) -> None:
        self._names = tuple(names)
        self._shots = shots
        self._noise = spread / shots if shots is not None else ROUNDING[precision] ** 2
        self._squares = np.zeros(len(names))
        #: The largest mean square of each entry in any epoch so far, over the resolution then.
        self._peaks = np.zeros(len(names))
        self._seen = 0
        self._cotangents = 0.0
        self._steps = 0
        #: Whether gradients were ever well above the noise, and what has been warned of already.
        self.resolved = False
        self.warned: list[str] = []

    def observe(self, gradient: Floats, cotangents: Floats) -> None:
        """One step: the gradient by the weights, and the loss's derivatives by the expectations."""
        self._squares += gradient * gradient
        self._cotangents += float(np.vdot(cotangents, cotangents))
        self._steps += 1

    def epoch(self) -> tuple[dict[str, Any], list[str]]:
        """
        What the epoch's steps say, and sentences that are worth a warning; the sums begin anew.

        Returns:
            `{"gradient_norm", "gradient_variance", "resolution", "barren_plateau", "dead_parameters"}`: root mean square
            norm; mean square of an entry over weights and steps (their variance about zero, which is their mean
            where nothing can be learned); the variance that noise alone would have; and names of weights that
            nothing depended on.
        """
        steps = max(self._steps, 1)
        squares = self._squares / steps
        resolution = self._noise * self._cotangents / steps
        variance = float(squares.mean()) if len(squares) else 0.0
        found: dict[str, Any] = {
            "gradient_norm": _finite(math.sqrt(float(squares.sum()))),
            "gradient_variance": _finite(variance),
            "resolution": _finite(resolution),
            "barren_plateau": False,
            "dead_parameters": [],
        }
        warnings: list[str] = []
        if len(squares) and resolution > 0.0:
            np.fmax(self._peaks, squares / resolution, out=self._peaks)
            self._seen += self._steps
            self.resolved = self.resolved or variance > 10.0 * resolution
            # Noise alone has the variance `resolution`; up to twice as much is no sign of anything else.
            if not self.resolved and variance <= 2.0 * resolution:
                found["barren_plateau"] = True
                self._warn(warnings, "plateau", self._plateau(variance, resolution))
            elif self.resolved and self._shots is None and self._seen >= STEPS_TO_BE_SURE:
                dead = np.flatnonzero(self._peaks <= 1.0)
                found["dead_parameters"] = [self._names[place] for place in dead[:MAX_NAMED]]
                if len(dead):
                    self._warn(warnings, "dead", _dead(found["dead_parameters"], len(dead)))
        self._squares[:] = 0.0
        self._cotangents, self._steps = 0.0, 0
        return found, warnings

    def _warn(self, warnings: list[str], kind: str, sentence: str) -> None:
        if kind not in self.warned:
            self.warned.append(kind)
            warnings.append(sentence)

    def _plateau(self, variance: float, resolution: float) -> str:
        noise = f"noise of {self._shots:,} shots" if self._shots is not None else "rounding"
        return (
            f"The gradients vanish: their variance of {variance:.1e} is hardly that of {noise}, {resolution:.1e}. "
            "This looks like a barren plateau; fewer qubits or layers, local observables or a start near zero may help."
        )

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and a JSON document."""
        return {"peaks": self._peaks.copy()}, {
            "resolved": self.resolved,
            "warned": list(self.warned),
            "seen": self._seen,
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]], document: Mapping[str, Any]) -> None:
        """Go on from a saved state; one from before there was any is empty."""
        if document:
            self._peaks = np.array(arrays["peaks"], np.float64)
            self.resolved, self.warned = document["resolved"], list(document["warned"])
            self._seen = document["seen"]


def _dead(names: Sequence[str], n: int) -> str:
    listed = ", ".join(names[:5]) + (" and others" if n > 5 else "")
    verb = "weight does" if n == 1 else "weights do"
    return f"{n} {verb} not change the readout and cannot be trained: {listed}."


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
