"""
The compiled kernels: run a program forward, read observables, walk it backward.

Samples lie side by side in lanes (`kernel_lanes.py`), blocks of lanes go to the cores; every block writes rows of its own, so
results depend neither on the schedule nor on the number of threads. The reverse pass is adjoint differentiation (Jones
and Gacon, arXiv:2009.02823) with one effective observable per sample. Importing this module costs numba: only children
do. `python -m qstore_appliance.engine.kernels` compiles everything into the cache.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from qstore_appliance.engine import kernel_gates
from qstore_appliance.engine.kernel_lanes import WIDTH, load, most_threads, njit, prange, set_threads, splat, store

Array = Any

_entangle, _expect, _observe = kernel_gates.entangle, kernel_gates.expect, kernel_gates.observe
_quaternion, _rotate, _rotate_back = kernel_gates.quaternion, kernel_gates.rotate, kernel_gates.rotate_back


@njit(cache=True, fastmath={"contract", "nsz"}, error_model="numpy")
def _run_block(
    operations: Array, axes: Array, cosines: Array, sines: Array, places: Array,
    cos_lanes: Array, sin_lanes: Array, re: Array, im: Array,
) -> None:  # fmt: skip
    one = cosines.dtype.type(1.0)
    nothing = splat(one - one)
    for i in range(re.shape[0]):
        store(re, i, nothing)
        store(im, i, nothing)
    store(re, 0, splat(one))
    for k in range(operations.shape[0]):
        code, a, b, c = operations[k]
        if code == 0:
            w, x, y, z = _quaternion(axes, b, c, cosines, sines, places, cos_lanes, sin_lanes)
            _rotate(re, im, a, w, x, y, z)
        else:
            _entangle(re, im, code, a, b, c)


@njit(cache=True, fastmath={"contract", "nsz"}, error_model="numpy")
def _back_block(
    operations: Array, axes: Array, cosines: Array, sines: Array, places: Array,
    cos_lanes: Array, sin_lanes: Array, gradient_rows: Array,
    re: Array, im: Array, lre: Array, lim: Array, gradient: Array,
) -> None:  # fmt: skip
    one = cosines.dtype.type(1.0)
    two = splat(one + one)
    for k in range(operations.shape[0] - 1, -1, -1):
        code, a, b, c = operations[k]
        if code != 0:
            _entangle(re, im, code, a, b, c)
            _entangle(lre, lim, code, a, b, c)
            continue
        w, x, y, z = _quaternion(axes, b, c, cosines, sines, places, cos_lanes, sin_lanes)
        vx, vy, vz = _rotate_back(re, im, lre, lim, a, w, x, y, z)
        # Going back over one rotation turns (vx, vy, vz) by its angle: no further pass over the amplitudes.
        for slot in range(c - 1, b - 1, -1):
            place = places[slot]
            if place >= 0:
                half_c = load(cos_lanes, place)
                half_s = load(sin_lanes, place)
            else:
                half_c = splat(cosines[slot])
                half_s = splat(sines[slot])
            cos = half_c * half_c - half_s * half_s
            sin = two * half_c * half_s
            axis = axes[slot]
            row = gradient_rows[slot]
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


@njit(cache=True, parallel=True, fastmath={"contract", "nsz"}, error_model="numpy")
def forward(
    operations: Array, axes: Array, cosines: Array, sines: Array, places: Array,
    cos_lanes: Array, sin_lanes: Array, observables: Array,
    re: Array, im: Array, work: Array, expectations: Array,
) -> None:  # fmt: skip
    """
    Run blocks of samples and read their observables.

    Args:
        operations: int64[n, 4] with bits in place of qubits.
        axes: int32[n_slots].
        cosines, sines: [n_slots], of half the shared angles.
        places: int64[n_slots], row in a block's `cos_lanes` or -1.
        cos_lanes, sin_lanes: [blocks, n_sample_slots, WIDTH].
        observables: int64[n_observables, 3], see `kernel_gates.expect`.
        re, im: [blocks, 2^n, WIDTH], receive the states.
        work: [blocks, 2^n, WIDTH], scratch.
        expectations: [blocks, n_observables, WIDTH], written.
    """
    for block in prange(re.shape[0]):
        _run_block(operations, axes, cosines, sines, places, cos_lanes[block], sin_lanes[block], re[block], im[block])
        _expect(re[block], im[block], work[block], observables, expectations[block])


@njit(cache=True, parallel=True, fastmath={"contract", "nsz"}, error_model="numpy")
def backward(
    operations: Array, axes: Array, cosines: Array, sines: Array, places: Array,
    cos_lanes: Array, sin_lanes: Array, observables: Array, gradient_rows: Array, cotangents: Array,
    re: Array, im: Array, lre: Array, lim: Array, gradient: Array,
) -> None:  # fmt: skip
    """
    Derivatives of sum over k of cotangent k times expectation k, by every gradient slot's angle, per sample.

    Args:
        gradient_rows: int64[n_slots], row of `gradient` or -1.
        cotangents: [blocks, n_observables, WIDTH].
        re, im: The states that `forward` left; walked back to the start.
        lre, lim: [blocks, 2^n, WIDTH], scratch for the costates.
        gradient: [blocks, n_gradient_slots, WIDTH], written.
    """
    for block in prange(re.shape[0]):
        _observe(re[block], im[block], lre[block], lim[block], observables, cotangents[block])
        _back_block(
            operations, axes, cosines, sines, places, cos_lanes[block], sin_lanes[block], gradient_rows,
            re[block], im[block], lre[block], lim[block], gradient[block],
        )  # fmt: skip


def use_threads(count: int) -> None:
    """How many threads the next calls of this thread may use; 0 means all."""
    set_threads(min(count or most_threads, most_threads))


def warm() -> float:
    """Run every kernel once in both precisions, compiling what the cache lacks. Returns the seconds it took."""
    start = time.perf_counter()
    operations = np.array([[0, 1, 0, 1], [1, 2, 1, -1], [0, 2, 1, 2]], np.int64)
    axes, places = np.array([0, 1], np.int32), np.array([-1, 0], np.int64)
    observables, rows = np.array([[0, 3, 0], [3, 1, 1]], np.int64), np.array([0, 1], np.int64)
    for dtype in (np.float32, np.float64):
        shared, lanes = np.full(2, 0.5**0.5, dtype), np.full((2, 1, WIDTH), 0.5**0.5, dtype)
        re, im, lre, lim = (np.empty((2, 4, WIDTH), dtype) for _ in range(4))
        values, gradient = np.zeros((2, 2, WIDTH), dtype), np.zeros((2, 2, WIDTH), dtype)
        program = (operations, axes, shared, shared, places, lanes, lanes, observables)
        forward(*program, re, im, lre, values)
        backward(*program, rows, values, re, im, lre, lim, gradient)
    return time.perf_counter() - start


if __name__ == "__main__":
    # Run as a script this file is `__main__`, and kernels cached under that name would never be found again.
    from qstore_appliance.engine import kernels

    print(f"kernels ready after {kernels.warm():.1f} s")
