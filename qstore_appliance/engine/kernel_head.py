"""
The softmax head inside the kernels: from a block's expectation values to loss, cotangents and the head's own gradient.

The arithmetic is that of `tasks/classification.py`, in double precision; a training step needs no Python in its middle.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from qstore_appliance.engine.kernel_lanes import WIDTH, at_least, load, njit, power_of_two, splat, store

Array = Any


# The natural logarithm of 2 in two parts, the first of them short enough that its multiples are exact.
_LOG_2, _LOG_2_HIGH, _LOG_2_LOW = math.log(2.0), 0.693359375, -2.12194440054690582768e-4
_ROUND = 1.5 * 2.0**52
_LOWEST = -708.0


@njit(error_model="numpy")
def exponential(x: Any) -> Any:
    """
    e to the power of every lane, for numbers up to 0, to a unit or two of the last digit; never below e^-708.

    No branch and no table: ln 2 is taken out as often as it goes in, and Taylor's series does the rest.
    """
    x = at_least(x, splat(_LOWEST))
    n = (x * splat(1.0 / _LOG_2) + splat(_ROUND)) - splat(_ROUND)
    r = (x - n * splat(_LOG_2_HIGH)) - n * splat(_LOG_2_LOW)
    y = splat(1.0 / 6227020800.0)
    y = y * r + splat(1.0 / 479001600.0)
    y = y * r + splat(1.0 / 39916800.0)
    y = y * r + splat(1.0 / 3628800.0)
    y = y * r + splat(1.0 / 362880.0)
    y = y * r + splat(1.0 / 40320.0)
    y = y * r + splat(1.0 / 5040.0)
    y = y * r + splat(1.0 / 720.0)
    y = y * r + splat(1.0 / 120.0)
    y = y * r + splat(1.0 / 24.0)
    y = y * r + splat(1.0 / 6.0)
    y = y * r + splat(0.5)
    y = y * r + splat(1.0)
    y = y * r + splat(1.0)
    return y * power_of_two(n)


@njit(error_model="numpy")
def cross_entropy(
    values: Array, count: int, batch: int, head: Array, linear: int, labels: Array, shares: Array,
    cotangents: Array, head_gradient: Array, score: Array,
) -> None:  # fmt: skip
    """
    Args:
        values: float64[n_outputs, WIDTH], of `count` samples in as many lanes.
        batch: Samples of the whole step.
        head: W [n_classes, n_outputs] and b [n_classes], one after the other; unused unless `linear`.
        labels: int64[count].
        shares: [n_classes], how much a sample of each class counts.
        cotangents: [n_outputs, WIDTH], written; 0 in the other lanes.
        head_gradient: Added to.
        score: [loss, hits], added to.
    """
    n_outputs, n_classes = values.shape[0], shares.shape[0]
    logits = np.zeros((n_classes, WIDTH))
    for c in range(n_classes):
        if linear:
            bias = head[n_classes * n_outputs + c]
            for lane in range(WIDTH):
                logits[c, lane] = bias
            for k in range(n_outputs):
                weight = head[c * n_outputs + k]
                for lane in range(WIDTH):
                    logits[c, lane] += weight * values[k, lane]
        else:
            for lane in range(WIDTH):
                logits[c, lane] = values[c, lane]
    most = np.zeros((1, WIDTH))
    for lane in range(count):
        best = 0
        for c in range(1, n_classes):
            if logits[c, lane] > logits[best, lane]:
                best = c
        most[0, lane] = logits[best, lane]
        score[1] += best == labels[lane]
        score[0] -= shares[labels[lane]] / batch * (logits[labels[lane], lane] - most[0, lane])
    top, total = load(most, 0), splat(0.0)
    for c in range(n_classes):
        power = exponential(load(logits, c) - top)
        total = total + power
        store(logits, c, power)
    store(most, 0, total)
    for lane in range(WIDTH):
        if lane >= count:
            for c in range(n_classes):
                logits[c, lane] = 0.0
            continue
        label = labels[lane]
        share = shares[label] / batch
        score[0] += share * math.log(most[0, lane])
        for c in range(n_classes):
            logits[c, lane] = share * (logits[c, lane] / most[0, lane] - (c == label))
    if not linear:
        for k in range(n_outputs):
            for lane in range(WIDTH):
                cotangents[k, lane] = logits[k, lane] if k < n_classes else 0.0
        return
    for k in range(n_outputs):
        sums = np.zeros(WIDTH)
        for c in range(n_classes):
            weight = head[c * n_outputs + k]
            dot = 0.0
            for lane in range(WIDTH):
                sums[lane] += weight * logits[c, lane]
                dot += logits[c, lane] * values[k, lane]
            head_gradient[c * n_outputs + k] += dot
        for lane in range(WIDTH):
            cotangents[k, lane] = sums[lane]
    for c in range(n_classes):
        for lane in range(count):
            head_gradient[n_classes * n_outputs + c] += logits[c, lane]
