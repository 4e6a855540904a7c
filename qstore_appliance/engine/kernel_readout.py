"""
Reading observables from rows of amplitudes, and laying their weighted sum on them for the way back.

Products of Z are read by a Walsh-Hadamard transform of the probabilities, one small chunk of rows at a time; the bits
that number the chunks only turn signs. Chunks depend on the size of a state alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qstore_appliance.engine.kernel_gates import MATHS, signs_of, turned
from qstore_appliance.engine.kernel_lanes import WIDTH, converted, load, mirrored, njit, parity, store

Array = Any


@njit(fastmath=MATHS, error_model="numpy")
def walsh(values: Array, lane_bits: int, signs: Array) -> None:
    """
    The Walsh-Hadamard transform, in place, over rows and where they are amplitudes over lanes.

    Of probabilities it gives every product of Z at once, at the index whose ones are its qubits; of coefficients stored
    that way, their sum for every bit string.
    """
    stride = 1
    while stride < values.shape[0]:
        for base in range(0, values.shape[0], 2 * stride):
            for i in range(base, base + stride):
                a = load(values, i)
                b = load(values, i + stride)
                store(values, i, a + b)
                store(values, i + stride, a - b)
        stride *= 2
    if lane_bits:
        for i in range(values.shape[0]):
            a = load(values, i)
            a = a * load(signs, 1) + mirrored(a, 1)
            a = a * load(signs, 2) + mirrored(a, 2)
            a = a * load(signs, 4) + mirrored(a, 4)
            if lane_bits > 3:
                a = a * load(signs, 8) + mirrored(a, 8)
            store(values, i, a)


@njit(fastmath=MATHS, error_model="numpy")
def expect(
    re: Array,
    im: Array,
    first: int,
    last: int,
    chunk: int,
    lane_bits: int,
    observables: Array,
    signs: Array,
    out: Array,
) -> None:
    """
    What rows first..last-1 add to the expectation values.

    Args:
        chunk: Rows that are transformed, or added up in the states' precision, together; a power of two.
        observables: [n, 3 or more] of `KernelPlan.masks`.
        out: float64[n, lanes], added to; where lanes are amplitudes, their sum is the value.
    """
    diagonal = False
    for k in range(observables.shape[0]):
        diagonal |= observables[k, 0] == 0
    zero = load(signs, 0) - load(signs, 0)
    lanes = (1 << lane_bits) - 1
    if diagonal:
        work = np.empty((chunk, WIDTH), re.dtype)
        for start in range(first, last, chunk):
            for i in range(chunk):
                a = load(re, start + i)
                b = load(im, start + i)
                store(work, i, a * a + b * b)
            walsh(work, lane_bits, signs)
            for k in range(observables.shape[0]):
                if observables[k, 0] == 0:
                    sign = observables[k, 1] >> lane_bits
                    odd = parity(start & sign)
                    if lane_bits:
                        value = work[sign & (chunk - 1), observables[k, 1] & lanes]
                        out[k, 0] += -value if odd else value
                    else:
                        found = converted(load(work, sign & (chunk - 1)), 1.0)
                        store(out, k, load(out, k) - found if odd else load(out, k) + found)
    for k in range(observables.shape[0]):
        flip, mask, turns = observables[k, 0], observables[k, 1], observables[k, 2]
        if flip == 0:
            continue
        lane = flip & lanes
        for start in range(first, last, chunk):
            plus = zero
            for i in range(start, start + chunk):
                j = i ^ (flip >> lane_bits)
                s = signs_of(signs, i, mask >> lane_bits, mask & lanes, turns >> 1)
                pr = turned(load(re, j), lane)
                pi = turned(load(im, j), lane)
                if turns & 1:
                    plus = plus + s * (pi * load(re, i) - pr * load(im, i))
                else:
                    plus = plus + s * (pr * load(re, i) + pi * load(im, i))
            store(out, k, load(out, k) + converted(plus, 1.0))


@njit(fastmath=MATHS, error_model="numpy")
def observe(
    re: Array, im: Array, lre: Array, lim: Array, first: int, last: int, chunk: int, lane_bits: int,
    observables: Array, signs: Array, cotangents: Array,
) -> None:  # fmt: skip
    """Rows first..last-1 of the costate: the sum over k of cotangent k times Pauli string k, applied to the state."""
    lanes = (1 << lane_bits) - 1
    zero = load(signs, 0) - load(signs, 0)
    work = np.empty((chunk, WIDTH), re.dtype)
    for start in range(first, last, chunk):
        for i in range(chunk):
            store(work, i, zero)
        for k in range(observables.shape[0]):
            if observables[k, 0] == 0:
                sign = observables[k, 1] >> lane_bits
                odd = parity(start & sign)
                row = sign & (chunk - 1)
                if lane_bits:
                    weight = cotangents[k, 0]
                    work[row, observables[k, 1] & lanes] += -weight if odd else weight
                else:
                    found = load(cotangents, k)
                    store(work, row, load(work, row) - found if odd else load(work, row) + found)
        walsh(work, lane_bits, signs)
        for i in range(chunk):
            weight = load(work, i)
            store(lre, start + i, weight * load(re, start + i))
            store(lim, start + i, weight * load(im, start + i))
    for k in range(observables.shape[0]):
        flip, mask, turns = observables[k, 0], observables[k, 1], observables[k, 2]
        if flip == 0:
            continue
        lane = flip & lanes
        row_flip, row_mask = flip >> lane_bits, mask >> lane_bits
        # The sign is that of the amplitude that is fetched, not of the place where it goes.
        turn = parity(flip & mask) ^ (turns >> 1)
        for i in range(first, last):
            j = i ^ row_flip
            weight = load(cotangents, k) * signs_of(signs, i, row_mask, mask & lanes, turn)
            pr = turned(load(re, j), lane)
            pi = turned(load(im, j), lane)
            if turns & 1:
                store(lre, i, load(lre, i) - weight * pi)
                store(lim, i, load(lim, i) + weight * pr)
            else:
                store(lre, i, load(lre, i) + weight * pr)
                store(lim, i, load(lim, i) + weight * pi)
