"""
The optimiser's arithmetic inside the kernels: a dozen numpy calls on short vectors cost more than a small circuit.
"""

from __future__ import annotations

import math
from typing import Any

from qstore_appliance.engine.kernel_lanes import njit

Array = Any


@njit(cache=True, error_model="numpy")
def adam(
    gradient: Array, mean: Array, square: Array, rate: float, beta1: float, beta2: float, epsilon: float, out: Array
) -> None:
    """
    A step of Adam (Kingma and Ba, arXiv:1412.6980).

    Args:
        gradient: float64[n].
        mean, square: float64[n], its running moments; updated.
        rate: With the bias correction in it.
        out: float64[n], written: what to subtract from the parameters.
    """
    for k in range(gradient.shape[0]):
        slope = gradient[k]
        mean[k] = beta1 * mean[k] + (1.0 - beta1) * slope
        square[k] = beta2 * square[k] + (1.0 - beta2) * slope * slope
        out[k] = rate * mean[k] / (math.sqrt(square[k]) + epsilon)
