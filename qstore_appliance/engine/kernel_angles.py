"""
From weights and features to the quaternions of one block of samples, without leaving the kernels.
"""

from __future__ import annotations

import math
from typing import Any

from qstore_appliance.engine.kernel_gates import MATHS
from qstore_appliance.engine.kernel_lanes import WIDTH, converted, load, njit, splat, store

Array = Any

# Beyond this the short reduction below loses digits; the C library takes over.
_LARGE = 1.0e5
_TURN = 1.0 / (2.0 * math.pi)
# 2 pi in three parts; the first two have so few digits that their multiples are exact.
_TURN_1, _TURN_2, _TURN_3 = 6.283185303211212, 3.968374309715195e-09, 9.00696709662487e-18
_ROUND = 1.5 * 2.0**52


@njit(error_model="numpy")
def shared_angles(weights: Array, offsets: Array, places: Array, factors: Array, out: Array) -> None:
    """
    What all samples have in common of every angle.

    Args:
        weights: The sources: weights, then values of expressions of them.
        offsets: [n_slots].
        places, factors: [n_terms, 2 or more] (slot, source) and [n_terms].
        out: [n_slots or more], written.
    """
    for slot in range(offsets.shape[0]):
        out[slot] = offsets[slot]
    for term in range(places.shape[0]):
        out[places[term, 0]] += factors[term] * weights[places[term, 1]]


@njit(error_model="numpy")
def sample_angles(
    shared: Array, own_slots: Array, features: Array, places: Array, factors: Array, first: int, step: int, out: Array
) -> None:
    """
    The angles of a block's own slots in every lane.

    Args:
        features: [samples, n_sources]; lane l has sample first + step * l, and none beyond the last.
        own_slots: [n_sample_slots, 1 or more], which slots these are.
        places, factors: [n_terms, 2 or more] (row among `own_slots`, source) and [n_terms].
        out: [n_sample_slots, WIDTH], written.
    """
    for row in range(own_slots.shape[0]):
        for lane in range(WIDTH):
            out[row, lane] = shared[own_slots[row, 0]]
    last = features.shape[0]
    for term in range(places.shape[0]):
        row, column = places[term, 0], places[term, 1]
        factor = factors[term]
        if step == 0:
            value = factor * features[first, column]
            for lane in range(WIDTH):
                out[row, lane] += value
        else:
            for lane in range(min(WIDTH, last - first)):
                out[row, lane] += factor * features[first + lane, column]


@njit(error_model="numpy")
def half_turns(angles: Array, cosines: Array, sines: Array) -> None:
    """
    Cosine and sine of half of every angle, [n, WIDTH] float64 each, to a few units of the last digit.

    Half an angle is reduced to a period, a quarter of that goes through the polynomials of the Cephes library (Moshier),
    and two doublings bring it back: no branch and no table, so that all lanes go together.
    """
    one = splat(1.0)
    for row in range(angles.shape[0]):
        small = True
        for lane in range(WIDTH):
            small &= abs(angles[row, lane]) < _LARGE
        if not small:
            for lane in range(WIDTH):
                cosines[row, lane] = math.cos(0.5 * angles[row, lane])
                sines[row, lane] = math.sin(0.5 * angles[row, lane])
            continue
        x = load(angles, row) * splat(0.5)
        turns = (x * splat(_TURN) + splat(_ROUND)) - splat(_ROUND)
        x = ((x - turns * splat(_TURN_1)) - turns * splat(_TURN_2)) - turns * splat(_TURN_3)
        x = x * splat(0.25)
        t = x * x
        s = splat(1.58962301576546568060e-10)
        s = s * t - splat(2.50507477628578072866e-8)
        s = s * t + splat(2.75573136213857245213e-6)
        s = s * t - splat(1.98412698295895385996e-4)
        s = s * t + splat(8.33333333332211858878e-3)
        s = s * t - splat(1.66666666666666307295e-1)
        s = x + x * t * s
        c = splat(-1.13585365213876817300e-11)
        c = c * t + splat(2.08757008419747316778e-9)
        c = c * t - splat(2.75573141792967388112e-7)
        c = c * t + splat(2.48015872888517045348e-5)
        c = c * t - splat(1.38888888888730564116e-3)
        c = c * t + splat(4.16666666666665929218e-2)
        c = one - splat(0.5) * t + t * t * c
        s, c = splat(2.0) * s * c, one - splat(2.0) * s * s
        s, c = splat(2.0) * s * c, one - splat(2.0) * s * s
        store(cosines, row, c)
        store(sines, row, s)


@njit(fastmath=MATHS, error_model="numpy")
def quaternions(
    gates: Array, slots: Array, shared_cos: Array, shared_sin: Array, cosines: Array, sines: Array, out: Array
) -> None:
    """
    The product of rotations of every gate that has any.

    Args:
        shared_cos, shared_sin: [n_slots or more], of half the shared angles.
        cosines, sines: [n_sample_slots, WIDTH], of half the block's own.
        out: [4 n_gates, WIDTH], written: w, x, y, z of each gate.
    """
    number = out.dtype.type(1.0)
    one = splat(number)
    zero = one - one
    for gate in range(gates.shape[0]):
        first, last = gates[gate, 9], gates[gate, 10]
        w = one
        x = zero
        y = zero
        z = zero
        for slot in range(first, last):
            place = slots[slot, 1]
            if place >= 0:
                c = converted(load(cosines, place), number)
                s = converted(load(sines, place), number)
            else:
                c = converted(splat(shared_cos[slot]), number)
                s = converted(splat(shared_sin[slot]), number)
            axis = slots[slot, 0]
            if axis == 0:
                w, x, y, z = c * w - s * x, c * x + s * w, c * y - s * z, c * z + s * y
            elif axis == 1:
                w, x, y, z = c * w - s * y, c * x + s * z, c * y + s * w, c * z - s * x
            else:
                w, x, y, z = c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w
        store(out, 4 * gate, w)
        store(out, 4 * gate + 1, x)
        store(out, 4 * gate + 2, y)
        store(out, 4 * gate + 3, z)


@njit(fastmath=MATHS, error_model="numpy")
def slot_derivatives(
    gates: Array, slots: Array, shared_cos: Array, shared_sin: Array, cosines: Array, sines: Array,
    vectors: Array, gradient: Array,
) -> None:  # fmt: skip
    """
    From what was measured at each gate, after all of its rotations, to the derivative by each of them.

    Going back over one rotation turns the vector (x, y, z) by its angle: no further pass over the amplitudes.

    Args:
        vectors: [3 n_gates, WIDTH], used up.
        gradient: [n_gradient_slots, WIDTH], written.
    """
    number = vectors.dtype.type(2.0)
    two = splat(number)
    for gate in range(gates.shape[0]):
        if gates[gate, 11] < 2:
            continue
        vx = load(vectors, 3 * gate)
        vy = load(vectors, 3 * gate + 1)
        vz = load(vectors, 3 * gate + 2)
        first, last = gates[gate, 9], gates[gate, 10]
        for slot in range(last - 1, first - 1, -1):
            place = slots[slot, 1]
            if place >= 0:
                c = converted(load(cosines, place), number)
                s = converted(load(sines, place), number)
            else:
                c = converted(splat(shared_cos[slot]), number)
                s = converted(splat(shared_sin[slot]), number)
            cos = c * c - s * s
            sin = two * c * s
            axis, row = slots[slot, 0], slots[slot, 2]
            if axis == 0:
                if row >= 0:
                    store(gradient, row, vx)
                vy, vz = cos * vy + sin * vz, cos * vz - sin * vy
            elif axis == 1:
                if row >= 0:
                    store(gradient, row, vy)
                vz, vx = cos * vz + sin * vx, cos * vx - sin * vz
            else:
                if row >= 0:
                    store(gradient, row, vz)
                vx, vy = cos * vx + sin * vy, cos * vy - sin * vx
