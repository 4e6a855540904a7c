"""
What the kernels do to rows of amplitudes: rotations about Pauli strings, phases, and the two entanglers that are left.

Entanglers that only permute basis states are never carried out: `kernel_plan.py` follows them and says instead which
amplitudes a gate mixes (index and index ^ v) and which of the two is its |1> (an odd number of ones in index & u). An
index is a row number and, where the lanes of a row are amplitudes, a lane number; masks come in the same two parts. A run
of rotations is a unit quaternion (w, x, y, z), the matrix w - i (xX + yY + zZ).
"""

from __future__ import annotations

from typing import Any

from qstore_appliance.engine.kernel_lanes import LANE_BITS, load, mirrored, njit, parity, splat, store

Array = Any

# Everything but the assumptions that NaN and infinity never occur: a diverged job must see its NaN.
MATHS = {"contract", "reassoc", "nsz", "arcp"}


@njit
def spread(k: int, bit: int) -> int:
    """Insert a 0 into the binary number k at the place of `bit`."""
    low = k & (bit - 1)
    return ((k - low) << 1) | low


@njit
def highest(mask: int) -> int:
    """The highest one of a positive number, as a mask."""
    bit = 1
    while bit <= mask >> 1:
        bit <<= 1
    return bit


@njit
def turned(lanes: Any, mask: int) -> Any:
    """Every lane with the one whose number differs by `mask`."""
    if mask & 1:
        lanes = mirrored(lanes, 1)
    if mask & 2:
        lanes = mirrored(lanes, 2)
    if mask & 4:
        lanes = mirrored(lanes, 4)
    if mask & 8:
        lanes = mirrored(lanes, 8)
    return lanes


@njit
def signs_of(signs: Array, row: int, mask: int, lane_mask: int, base: int) -> Any:
    """+1 where an index has an even number of ones under a mask, else -1; `signs` is `kernel_plan.SIGNS`."""
    return load(signs, ((parity(row & mask) ^ base) << LANE_BITS) | lane_mask)


@njit(fastmath=MATHS, error_model="numpy")
def rotate(
    re: Array, im: Array, rows: int, v: int, v_lane: int, u: int, u_lane: int, base: int, signs: Array,
    w: Any, x: Any, y: Any, z: Any,
) -> None:  # fmt: skip
    """Apply a quaternion to the first `rows` rows."""
    if v == 0:
        for i in range(rows):
            s = signs_of(signs, i, u, u_lane, base)
            ys = y * s
            zs = z * s
            ar = load(re, i)
            ai = load(im, i)
            br = turned(ar, v_lane)
            bi = turned(ai, v_lane)
            store(re, i, w * ar + zs * ai - ys * br + x * bi)
            store(im, i, w * ai - zs * ar - ys * bi - x * br)
        return
    top = highest(v)
    for first in range(0, rows, 2 * top):
        for i in range(first, first + top):
            j = i ^ v
            s = signs_of(signs, i, u, u_lane, base)
            ys = y * s
            zs = z * s
            ar = load(re, i)
            ai = load(im, i)
            br = load(re, j)
            bi = load(im, j)
            if v_lane == 0:
                # Then the other row's signs are the opposite ones.
                store(re, i, w * ar + zs * ai - ys * br + x * bi)
                store(im, i, w * ai - zs * ar - ys * bi - x * br)
                store(re, j, ys * ar + x * ai + w * br - zs * bi)
                store(im, j, ys * ai - x * ar + w * bi + zs * br)
            else:
                t = signs_of(signs, j, u, u_lane, base)
                yt = y * t
                zt = z * t
                pr = turned(br, v_lane)
                pi = turned(bi, v_lane)
                qr = turned(ar, v_lane)
                qi = turned(ai, v_lane)
                store(re, i, w * ar + zs * ai - ys * pr + x * pi)
                store(im, i, w * ai - zs * ar - ys * pi - x * pr)
                store(re, j, w * br + zt * bi - yt * qr + x * qi)
                store(im, j, w * bi - zt * br - yt * qi - x * qr)


@njit(fastmath=MATHS, error_model="numpy")
def measure(
    re: Array, im: Array, lre: Array, lim: Array, v: int, v_lane: int, u: int, u_lane: int, base: int, signs: Array,
) -> Any:  # fmt: skip
    """Im <costate| P |state> for P = X, Y, Z of the rotated qubit: all that the derivatives of a run need."""
    zero = load(signs, 0) - load(signs, 0)
    vx = zero
    vy = zero
    vz = zero
    for i in range(re.shape[0]):
        j = i ^ v
        s = signs_of(signs, i, u, u_lane, base)
        ar = load(re, i)
        ai = load(im, i)
        br = turned(load(re, j), v_lane)
        bi = turned(load(im, j), v_lane)
        cr = load(lre, i)
        ci = load(lim, i)
        vx = vx + (cr * bi - ci * br)
        vy = vy - s * (cr * br + ci * bi)
        vz = vz + s * (cr * ai - ci * ar)
    return vx, vy, vz


@njit(fastmath=MATHS, error_model="numpy")
def rotate_back(
    re: Array, im: Array, lre: Array, lim: Array, v: int, v_lane: int, u: int, u_lane: int, base: int, signs: Array,
    w: Any, x: Any, y: Any, z: Any,
) -> Any:  # fmt: skip
    """Undo a quaternion on state and costate; measure first, as `measure` does."""
    zero = w - w
    vx = zero
    vy = zero
    vz = zero
    rows = re.shape[0]
    if v == 0:
        for i in range(rows):
            s = signs_of(signs, i, u, u_lane, base)
            ys = y * s
            zs = z * s
            ar = load(re, i)
            ai = load(im, i)
            cr = load(lre, i)
            ci = load(lim, i)
            br = turned(ar, v_lane)
            bi = turned(ai, v_lane)
            dr = turned(cr, v_lane)
            di = turned(ci, v_lane)
            vx = vx + (cr * bi - ci * br)
            vy = vy - s * (cr * br + ci * bi)
            vz = vz + s * (cr * ai - ci * ar)
            store(re, i, w * ar - zs * ai + ys * br - x * bi)
            store(im, i, w * ai + zs * ar + ys * bi + x * br)
            store(lre, i, w * cr - zs * ci + ys * dr - x * di)
            store(lim, i, w * ci + zs * cr + ys * di + x * dr)
        return vx, vy, vz
    top = highest(v)
    for first in range(0, rows, 2 * top):
        for i in range(first, first + top):
            j = i ^ v
            s = signs_of(signs, i, u, u_lane, base)
            ys = y * s
            zs = z * s
            ar = load(re, i)
            ai = load(im, i)
            br = load(re, j)
            bi = load(im, j)
            cr = load(lre, i)
            ci = load(lim, i)
            dr = load(lre, j)
            di = load(lim, j)
            if v_lane == 0:
                vx = vx + (cr * bi - ci * br + dr * ai - di * ar)
                vy = vy + s * (dr * ar + di * ai - cr * br - ci * bi)
                vz = vz + s * (cr * ai - ci * ar - dr * bi + di * br)
                store(re, i, w * ar - zs * ai + ys * br - x * bi)
                store(im, i, w * ai + zs * ar + ys * bi + x * br)
                store(re, j, w * br + zs * bi - ys * ar - x * ai)
                store(im, j, w * bi - zs * br - ys * ai + x * ar)
                store(lre, i, w * cr - zs * ci + ys * dr - x * di)
                store(lim, i, w * ci + zs * cr + ys * di + x * dr)
                store(lre, j, w * dr + zs * di - ys * cr - x * ci)
                store(lim, j, w * di - zs * dr - ys * ci + x * cr)
            else:
                t = signs_of(signs, j, u, u_lane, base)
                yt = y * t
                zt = z * t
                pr = turned(br, v_lane)
                pi = turned(bi, v_lane)
                qr = turned(ar, v_lane)
                qi = turned(ai, v_lane)
                vx = vx + (cr * pi - ci * pr) + (dr * qi - di * qr)
                vy = vy - s * (cr * pr + ci * pi) - t * (dr * qr + di * qi)
                vz = vz + s * (cr * ai - ci * ar) + t * (dr * bi - di * br)
                store(re, i, w * ar - zs * ai + ys * pr - x * pi)
                store(im, i, w * ai + zs * ar + ys * pi + x * pr)
                store(re, j, w * br - zt * bi + yt * qr - x * qi)
                store(im, j, w * bi + zt * br + yt * qi + x * qr)
                pr = turned(dr, v_lane)
                pi = turned(di, v_lane)
                qr = turned(cr, v_lane)
                qi = turned(ci, v_lane)
                store(lre, i, w * cr - zs * ci + ys * pr - x * pi)
                store(lim, i, w * ci + zs * cr + ys * pi + x * pr)
                store(lre, j, w * dr - zt * di + yt * qr - x * qi)
                store(lim, j, w * di + zt * dr + yt * qi + x * qr)
    return vx, vy, vz


@njit(fastmath=MATHS, error_model="numpy")
def phase(re: Array, im: Array, rows: int, u: int, u_lane: int, base: int, signs: Array, w: Any, z: Any) -> None:
    """Apply a quaternion that has only w and z, a diagonal matrix, to the first `rows` rows."""
    for i in range(rows):
        zs = z * signs_of(signs, i, u, u_lane, base)
        ar = load(re, i)
        ai = load(im, i)
        store(re, i, w * ar + zs * ai)
        store(im, i, w * ai - zs * ar)


@njit(fastmath=MATHS, error_model="numpy")
def phase_back(
    re: Array, im: Array, lre: Array, lim: Array, u: int, u_lane: int, base: int, signs: Array, w: Any, z: Any
) -> Any:
    """Undo a diagonal quaternion on state and costate. Returns: Im <costate| Z |state>."""
    vz = w - w
    for i in range(re.shape[0]):
        s = signs_of(signs, i, u, u_lane, base)
        zs = z * s
        ar = load(re, i)
        ai = load(im, i)
        cr = load(lre, i)
        ci = load(lim, i)
        vz = vz + s * (cr * ai - ci * ar)
        store(re, i, w * ar - zs * ai)
        store(im, i, w * ai + zs * ar)
        store(lre, i, w * cr - zs * ci)
        store(lim, i, w * ci + zs * cr)
    return vz


@njit(error_model="numpy")
def controlled_z(re: Array, im: Array, rows: int, first: Any, second: Any, signs: Array) -> None:
    """Change the sign where both masks, each (rows, lanes, parity of what lies outside), have an odd number of ones."""
    u, u_lane, base = first
    v, v_lane, other = second
    one = load(signs, 0)
    half = splat(signs.dtype.type(0.5))
    for i in range(rows):
        s = signs_of(signs, i, u, u_lane, base)
        t = signs_of(signs, i, v, v_lane, other)
        factor = half * (one + s + t - s * t)
        store(re, i, load(re, i) * factor)
        store(im, i, load(im, i) * factor)


@njit(error_model="numpy")
def toffoli(
    re: Array, im: Array, rows: int, v: int, v_lane: int, first: Any, second: Any, signs: Array
) -> None:  # fmt: skip
    """Exchange index and index ^ v where both masks have an odd number of ones."""
    u, u_lane, base = first
    u2, u2_lane, other = second
    one = load(signs, 0)
    quarter = splat(signs.dtype.type(0.25))
    top = highest(v) if v else rows
    for i in range(rows):
        if i & top:
            continue
        j = i ^ v
        a = signs_of(signs, i, u, u_lane, base)
        b = signs_of(signs, i, u2, u2_lane, other)
        take = quarter * (one - a) * (one - b)
        stay = one - take
        ar = load(re, i)
        ai = load(im, i)
        br = load(re, j)
        bi = load(im, j)
        store(re, i, stay * ar + take * turned(br, v_lane))
        store(im, i, stay * ai + take * turned(bi, v_lane))
        if v:
            take = turned(take, v_lane)
            stay = one - take
            store(re, j, stay * br + take * turned(ar, v_lane))
            store(im, j, stay * bi + take * turned(ai, v_lane))
