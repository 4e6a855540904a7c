"""
The compiled kernels: run a program forward, read observables, walk it backward, or all of a training step at once.

Blocks (samples side by side, or one large sample) go to the cores; of a few very large samples, parts of one state
do. What is summed is summed in an order that depends on sizes alone, so results depend neither on the schedule nor on the
number of threads. The reverse pass is adjoint differentiation (Jones and Gacon, arXiv:2009.02823) with one effective
observable per sample. Importing this module costs numba: only children do. `python -m qstore_appliance.engine.kernels`
compiles everything into the cache.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from qstore_appliance.engine.kernel_block import (
    answer,
    backward_block,
    blank,
    cotangents_of,
    count_of,
    deliver,
    derivatives,
    forward_block,
    loss_of,
    own_turns,
    shared_turns,
    step_block,
    sum_lanes,
    sums,
    total_up,
)
from qstore_appliance.engine.kernel_descent import adam
from qstore_appliance.engine.kernel_inside import back_inside, read_inside, run_inside
from qstore_appliance.engine.kernel_lanes import WIDTH, most_threads, njit, prange, set_threads, signed, this_thread

Array = Any

SERIAL, BLOCKS, INSIDE = 0, 1, 2
"""How the work is spread: not at all, blocks over the cores, or the parts of one state after the other over the cores."""


@njit(cache=True, parallel=True, error_model="numpy")
def forward(
    plan: Any, lane_bits: int, mode: int, weights: Array, features: Array, re: Array, im: Array, out: Array
) -> None:
    """
    Run samples and read their observables.

    Args:
        plan: `kernel_plan.table` of a program and a readout.
        lane_bits: Of `KernelPlan`.
        mode: SERIAL, BLOCKS or INSIDE; the same result.
        weights: float64[n_sources].
        features: float64[samples, n_sources].
        re, im: [blocks, rows, WIDTH], receive the states.
        out: float64[samples, n_observables], written.
    """
    shared = shared_turns(plan, weights)
    if mode == SERIAL:
        for block in range(re.shape[0]):
            forward_block(plan, lane_bits, shared, features, block, re[block], im[block], out)
    elif mode == BLOCKS:
        for index in prange(re.shape[0]):
            block = signed(index)
            forward_block(plan, lane_bits, shared, features, block, re[block], im[block], out)
    else:
        for block in range(re.shape[0]):
            own = own_turns(plan, shared, features, block, lane_bits)
            run_inside(plan, own[2], lane_bits, re[block], im[block])
            values = blank(plan)
            read_inside(plan, lane_bits, re[block], im[block], values)
            answer(values, block, lane_bits, out)


@njit(cache=True, parallel=True, error_model="numpy")
def backward(
    plan: Any, lane_bits: int, mode: int, weights: Array, features: Array, cotangents: Array,
    re: Array, im: Array, lre: Array, lim: Array, slot_gradient: Array,
) -> None:  # fmt: skip
    """
    Derivatives of sum over k of cotangent k times expectation k, by every gradient slot's angle, per sample.

    Args:
        cotangents: float64[samples, n_observables].
        re, im: The states that `forward` left; used up.
        lre, lim: [blocks or threads, rows, WIDTH], scratch for the costates.
        slot_gradient: float64[n_gradient_slots, samples], written.
    """
    shared = shared_turns(plan, weights)
    if mode == SERIAL:
        for block in range(re.shape[0]):
            backward_block(
                plan, lane_bits, shared, features, block, cotangents, re[block], im[block], lre[0], lim[0],
                slot_gradient,
            )  # fmt: skip
    elif mode == BLOCKS:
        for index in prange(re.shape[0]):
            block = signed(index)
            own = this_thread()
            backward_block(
                plan, lane_bits, shared, features, block, cotangents, re[block], im[block], lre[own], lim[own],
                slot_gradient,
            )  # fmt: skip
    else:
        for block in range(re.shape[0]):
            prepared = own_turns(plan, shared, features, block, lane_bits)
            lanes = cotangents_of(cotangents, block, lane_bits, plan[2])
            vectors = back_inside(plan, lane_bits, prepared[2], re[block], im[block], lre[0], lim[0], lanes)
            found = derivatives(plan, shared, prepared, vectors, slot_gradient.shape[0])
            deliver(found, block, lane_bits, slot_gradient)


@njit(cache=True, parallel=True, error_model="numpy")
def train(
    plan: Any, lane_bits: int, mode: int, weights: Array, features: Array, head: Array, linear: int, labels: Array,
    shares: Array, states: Array, given: Array, out: Array,
) -> None:  # fmt: skip
    """
    One training step of a classifier up to its gradient: expectations, cross entropy, adjoint pass, chain rule.

    Args:
        weights: float64[n_weights]: programs whose angles are linear in them.
        head, linear, labels, shares: See `cross_entropy`.
        states: [threads, 4, rows, WIDTH], scratch.
        given: float64[samples, n_observables], written: the loss's derivatives by the expectations.
        out: float64[n_weights + len(head) + 2], written: both gradients, mean cross entropy, hits.
    """
    shared = shared_turns(plan, weights)
    n_blocks = features.shape[0] if lane_bits else (features.shape[0] + WIDTH - 1) // WIDTH
    slots, heads, scores = sums(plan, n_blocks, head.shape[0])
    if mode == SERIAL:
        for block in range(n_blocks):
            step_block(
                plan, lane_bits, shared, features, block, head, linear, labels, shares, states[0], given, slots[block],
                heads[block], scores[block],
            )  # fmt: skip
    elif mode == BLOCKS:
        for index in prange(n_blocks):
            block = signed(index)
            step_block(
                plan, lane_bits, shared, features, block, head, linear, labels, shares, states[this_thread()],
                given, slots[block], heads[block], scores[block],
            )  # fmt: skip
    else:
        re, im, lre, lim = states[0, 0], states[0, 1], states[0, 2], states[0, 3]
        for block in range(n_blocks):
            own = own_turns(plan, shared, features, block, lane_bits)
            run_inside(plan, own[2], lane_bits, re, im)
            values = blank(plan)
            read_inside(plan, lane_bits, re, im, values)
            cotangents = loss_of(
                values, block, lane_bits, count_of(features, block, lane_bits), features.shape[0], head, linear, labels,
                shares, plan[2], given, heads[block], scores[block],
            )  # fmt: skip
            vectors = back_inside(plan, lane_bits, own[2], re, im, lre, lim, cotangents)
            sum_lanes(derivatives(plan, shared, own, vectors, slots.shape[1]), slots[block])
    total_up(plan, slots, heads, scores, out)


_chosen = threading.local()


def use_threads(count: int) -> int:
    """How many threads the next calls of this thread may use; 0 means all. Returns: how many those are."""
    threads = min(count or most_threads, most_threads)
    if getattr(_chosen, "threads", 0) != threads:
        set_threads(threads)
        _chosen.threads = threads
    return threads


KINDS: Final = ("float32", "float64")


def warm(kinds: Sequence[str] = KINDS) -> float:
    """Run every kernel once, compiling what the cache lacks. Returns the seconds it took."""
    start = time.perf_counter()
    # One RY by a weight on one qubit, and Z of it.
    table = np.zeros((6, 13), np.int64)
    table[0, :8] = 1, 2, 3, 4, 4, 5, 5, 6
    table[1] = 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 1, 3, 2
    table[2, :6] = 0, 1, 1, 1, 1, 1
    table[3, :3] = 1, -1, 0
    table[5, 1] = 1
    features, labels = np.zeros((1, 1)), np.zeros(1, np.int64)
    for kind in map(np.dtype, kinds):
        plan = (table, np.array([0.3, 1.0]), np.ones((2 * WIDTH, WIDTH), kind))
        re, im, lre, lim = (np.zeros((1, 2, WIDTH), kind) for _ in range(4))
        weights, values = np.ones(1), np.zeros((1, 1))
        forward(plan, 0, SERIAL, weights, features, re, im, values)
        backward(plan, 0, SERIAL, weights, features, values, re, im, lre, lim, np.zeros((1, 1)))
        states = np.zeros((1, 4, 2, WIDTH), kind)
        train(plan, 0, SERIAL, weights, features, np.zeros(4), 1, labels, np.ones(2), states, values, np.zeros(7))
    adam(np.zeros(1), np.zeros(1), np.zeros(1), 0.1, 0.9, 0.999, 1e-8, np.zeros(1))
    return time.perf_counter() - start


def compile_all() -> float:
    """Fill the cache, each precision in a process of its own: compiling takes a minute of a core. Returns the seconds."""
    start = time.perf_counter()
    compilers = [multiprocessing.get_context("spawn").Process(target=warm, args=((kind,),)) for kind in KINDS]
    for compiler in compilers:
        compiler.start()
    for compiler in compilers:
        compiler.join()
    # Two that end at the same moment can lose an entry of each other's; it is made up for here.
    warm()
    return time.perf_counter() - start


if __name__ == "__main__":
    # Run as a script this file is `__main__`, and kernels cached under that name would never be found again.
    from qstore_appliance.engine import kernels, machine_speed

    print(f"kernels ready after {kernels.compile_all():.1f} s")
    if machine_speed.load() is None:
        machine_speed.measure()
