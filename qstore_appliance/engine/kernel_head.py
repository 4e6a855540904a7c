"""
The softmax head inside the kernels: from a block's expectation values to loss, cotangents and the head's own gradient.

The arithmetic is that of `tasks/classification.py`, in double precision; a training step needs no Python in its middle.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from qstore_appliance.engine.kernel_lanes import WIDTH, njit

Array = Any


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
    for lane in range(WIDTH):
        if lane >= count:
            for c in range(n_classes):
                logits[c, lane] = 0.0
            continue
        best = 0
        for c in range(1, n_classes):
            if logits[c, lane] > logits[best, lane]:
                best = c
        most, label = logits[best, lane], labels[lane]
        ours = logits[label, lane] - most
        total = 0.0
        for c in range(n_classes):
            power = math.exp(logits[c, lane] - most)
            logits[c, lane] = power
            total += power
        share = shares[label] / batch
        score[0] -= share * (ours - math.log(total))
        score[1] += best == label
        for c in range(n_classes):
            logits[c, lane] = share * (logits[c, lane] / total - (c == label))
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
