"""
Walking a state forward and back, gate by gate where it fits into the cache, else coset by coset.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qstore_appliance.engine.kernel_gates import (
    MATHS,
    controlled_z,
    highest,
    measure,
    phase,
    phase_back,
    rotate,
    rotate_back,
    spread,
    toffoli,
)
from qstore_appliance.engine.kernel_lanes import WIDTH, load, njit, parity, store

Array = Any


@njit(fastmath=MATHS, error_model="numpy")
def _forward(gates: Array, first: int, last: int, turns: Array, signs: Array, base: int, re: Array, im: Array) -> None:
    """Gates first..last-1 on local rows that belong to the representative `base`."""
    for k in range(first, last):
        code = gates[k, 0]
        u, u_lane, rows = gates[k, 3], gates[k, 4], gates[k, 12]
        outside = parity(base & gates[k, 7])
        if code == 0:
            w = load(turns, 4 * k)
            x = load(turns, 4 * k + 1)
            y = load(turns, 4 * k + 2)
            z = load(turns, 4 * k + 3)
            rotate(re, im, rows, gates[k, 1], gates[k, 2], u, u_lane, outside, signs, w, x, y, z)
        elif code == 1:
            phase(re, im, rows, u, u_lane, outside, signs, load(turns, 4 * k), load(turns, 4 * k + 3))
        else:
            second = (gates[k, 5], gates[k, 6], parity(base & gates[k, 8]))
            if code == 2:
                controlled_z(re, im, rows, (u, u_lane, outside), second, signs)
            else:
                toffoli(re, im, rows, gates[k, 1], gates[k, 2], (u, u_lane, outside), second, signs)


@njit(fastmath=MATHS, error_model="numpy")
def _back(
    gates: Array, first: int, last: int, turns: Array, signs: Array, base: int,
    re: Array, im: Array, lre: Array, lim: Array, vectors: Array,
) -> None:  # fmt: skip
    """The way back over the same gates; what is measured is added to `vectors`."""
    rows = re.shape[0]
    for k in range(last - 1, first - 1, -1):
        back = gates[k, 11]
        if back == 0:
            continue
        code = gates[k, 0]
        v, v_lane, u, u_lane = gates[k, 1], gates[k, 2], gates[k, 3], gates[k, 4]
        outside = parity(base & gates[k, 7])
        if code == 0:
            w = load(turns, 4 * k)
            x = load(turns, 4 * k + 1)
            y = load(turns, 4 * k + 2)
            z = load(turns, 4 * k + 3)
            if back == 2:
                vx, vy, vz = measure(re, im, lre, lim, v, v_lane, u, u_lane, outside, signs)
            elif back == 3:
                vx, vy, vz = rotate_back(re, im, lre, lim, v, v_lane, u, u_lane, outside, signs, w, x, y, z)
            else:
                rotate(re, im, rows, v, v_lane, u, u_lane, outside, signs, w, -x, -y, -z)
                rotate(lre, lim, rows, v, v_lane, u, u_lane, outside, signs, w, -x, -y, -z)
                continue
            store(vectors, 3 * k, load(vectors, 3 * k) + vx)
            store(vectors, 3 * k + 1, load(vectors, 3 * k + 1) + vy)
            store(vectors, 3 * k + 2, load(vectors, 3 * k + 2) + vz)
        elif code == 1:
            w = load(turns, 4 * k)
            z = load(turns, 4 * k + 3)
            vz = phase_back(re, im, lre, lim, u, u_lane, outside, signs, w, z)
            store(vectors, 3 * k + 2, load(vectors, 3 * k + 2) + vz)
        else:
            one = (u, u_lane, outside)
            two = (gates[k, 5], gates[k, 6], parity(base & gates[k, 8]))
            if code == 2:
                controlled_z(re, im, rows, one, two, signs)
                controlled_z(lre, lim, rows, one, two, signs)
            else:
                toffoli(re, im, rows, v, v_lane, one, two, signs)
                toffoli(lre, lim, rows, v, v_lane, one, two, signs)


@njit
def _representative(coset: int, sweep: Array) -> int:
    for k in range(sweep[2]):
        coset = spread(coset, highest(sweep[5 + k]))
    return coset


@njit
def _span(sweep: Array) -> Array:
    """A coset's rows relative to its representative."""
    offsets = np.zeros(1 << sweep[2], np.int64)
    for k in range(sweep[2]):
        for row in range(1 << k):
            offsets[row | (1 << k)] = offsets[row] ^ sweep[5 + k]
    return offsets


@njit(error_model="numpy")
def fetch(source: Array, base: int, offsets: Array, local: Array) -> None:
    for row in range(local.shape[0]):
        store(local, row, load(source, base ^ offsets[row]))


@njit(error_model="numpy")
def put(local: Array, base: int, offsets: Array, target: Array) -> None:
    for row in range(local.shape[0]):
        store(target, base ^ offsets[row], load(local, row))


@njit(fastmath=MATHS, error_model="numpy")
def sweep_forward(
    gates: Array, sweep: Array, start: int, stop: int, turns: Array, signs: Array,
    re: Array, im: Array,
) -> None:  # fmt: skip
    """One sweep over its cosets start..stop-1."""
    first, last = sweep[0], sweep[1]
    rows = 1 << sweep[2]
    if rows == re.shape[0]:
        _forward(gates, first, last, turns, signs, 0, re, im)
        return
    offsets = _span(sweep)
    local_re = np.empty((rows, WIDTH), re.dtype)
    local_im = np.empty((rows, WIDTH), re.dtype)
    for coset in range(start, stop):
        base = _representative(coset, sweep)
        fetch(re, base, offsets, local_re)
        fetch(im, base, offsets, local_im)
        _forward(gates, first, last, turns, signs, base, local_re, local_im)
        put(local_re, base, offsets, re)
        put(local_im, base, offsets, im)


@njit(fastmath=MATHS, error_model="numpy")
def sweep_back(
    gates: Array, sweep: Array, start: int, stop: int, turns: Array, signs: Array,
    re: Array, im: Array, lre: Array, lim: Array, vectors: Array,
) -> None:  # fmt: skip
    """The way back over one sweep's cosets start..stop-1; what is measured is added to `vectors`."""
    first, last = sweep[0], sweep[1]
    rows = 1 << sweep[2]
    if rows == re.shape[0]:
        _back(gates, first, last, turns, signs, 0, re, im, lre, lim, vectors)
        return
    needed = False
    for k in range(first, last):
        needed |= gates[k, 11] != 0
    if not needed:
        return
    offsets = _span(sweep)
    local_re = np.empty((rows, WIDTH), re.dtype)
    local_im = np.empty((rows, WIDTH), re.dtype)
    local_lre = np.empty((rows, WIDTH), re.dtype)
    local_lim = np.empty((rows, WIDTH), re.dtype)
    for coset in range(start, stop):
        base = _representative(coset, sweep)
        fetch(re, base, offsets, local_re)
        fetch(im, base, offsets, local_im)
        fetch(lre, base, offsets, local_lre)
        fetch(lim, base, offsets, local_lim)
        _back(gates, first, last, turns, signs, base, local_re, local_im, local_lre, local_lim, vectors)
        put(local_re, base, offsets, re)
        put(local_im, base, offsets, im)
        put(local_lre, base, offsets, lre)
        put(local_lim, base, offsets, lim)
