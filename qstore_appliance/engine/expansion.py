"""
What an encoding makes of a sample's numbers before the circuit reads them: angles that prepare a state, or products.

Both are computed once per data set, so that a training step finds ready angles and no expression has to be evaluated per
sample.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.errors import ValidationFailed

Floats = NDArray[np.float64]
EXPANSIONS = ("none", "iqp", "amplitude")


def n_expanded(expansion: str, count: int) -> int:
    """How many numbers the circuit reads for `count` scaled ones; of amplitudes, `count` is the room for them."""
    if expansion == "iqp":
        return count * (count + 1) // 2
    return count - 1 if expansion == "amplitude" else count


def products(z: Floats) -> Floats:
    """[n, count] → [n, count + count (count - 1) / 2]: the numbers, then x_i x_j for i < j."""
    left, right = np.triu_indices(z.shape[1], k=1)
    return np.concatenate([z, z[:, left] * z[:, right]], axis=1)


def preparation_angles(vectors: Floats, room: int) -> Floats:
    """
    Angles of the rotations that prepare real vectors as amplitudes, exactly.

    A binary tree of uniformly controlled RY, written as plain RY and CNOT in the order of a Gray code (Möttönen et al.
    2004, arXiv:quant-ph/0407010). The signs of the amplitudes come out of the last level.

    Args:
        vectors: [n, up to room], filled up with zeros and divided by their length.
        room: 2 to the number of qubits.

    Returns:
        [n, room - 1]: the levels of the tree one after the other, as `encoding.preparation` reads them.

    Raises:
        ValidationFailed: `config.encoding.type`: a vector of zeros is no state.
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    if not largest.all():
        row = int(np.argmin(largest))
        raise ValidationFailed.field("config.encoding.type", f"sample {row} is all zeros and cannot be amplitudes")
    values = np.zeros((len(vectors), room))
    # Divided by the largest first: squares of tiny numbers would vanish.
    values[:, : vectors.shape[1]] = vectors / largest
    levels: list[Floats] = []
    while values.shape[1] > 1:
        pairs = values.reshape(len(values), -1, 2)
        levels.append(_in_gray_order(2.0 * np.arctan2(pairs[:, :, 1], pairs[:, :, 0])))
        values = np.hypot(pairs[:, :, 0], pairs[:, :, 1])
    return np.concatenate(levels[::-1], axis=1)


def _in_gray_order(angles: Floats) -> Floats:
    """
    From the angle for each setting of the controls to the angles of the plain rotations: a Walsh-Hadamard transform,
    read in the order of the Gray code.
    """
    n, size = angles.shape
    transformed = angles
    width = 1
    while width < size:
        pairs = transformed.reshape(n, -1, 2, width)
        transformed = np.stack([pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]], axis=2)
        transformed = transformed.reshape(n, size)
        width *= 2
    order = np.arange(size)
    return np.asarray(transformed[:, order ^ (order >> 1)] / size)
