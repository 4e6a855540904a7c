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


FORWARD, BACKWARD, TRAIN = 0, 1, 2
"""What is done: run and read; walk back from there; or a classifier's whole step up to its gradient."""


@njit(error_model="numpy")
def _block(
    what: int, plan: Any, lane_bits: int, shared: Any, features: Array, block: int, head: Array, linear: int,
    labels: Array, shares: Array, re: Array, im: Array, lre: Array, lim: Array, cotangents: Array, out: Array,
    slots: Array, heads: Array, scores: Array,
) -> None:  # fmt: skip
    if what == FORWARD:
        forward_block(plan, lane_bits, shared, features, block, re, im, out)
    elif what == BACKWARD:
        backward_block(plan, lane_bits, shared, features, block, cotangents, re, im, lre, lim, out)
    else:
        step_block(
            plan, lane_bits, shared, features, block, head, linear, labels, shares, re, im, lre, lim, cotangents,
            slots[block], heads[block], scores[block],
        )  # fmt: skip


# One function for everything: each that is compiled for itself optimises all that it calls once more.
@njit(cache=True, parallel=True, error_model="numpy")
def work(
    what: int, plan: Any, lane_bits: int, mode: int, weights: Array, features: Array, head: Array, linear: int,
    labels: Array, shares: Array, states: Any, cotangents: Array, out: Array,
) -> None:  # fmt: skip
    """
    Everything that the kernels do; see `forward`, `backward` and `train`.

    Args:
        states: The four of a state and a costate, real and imaginary parts, each [blocks or threads, rows, WIDTH].
    """
    re, im, lre, lim = states
    shared = shared_turns(plan, weights)
    n_blocks = features.shape[0] if lane_bits else (features.shape[0] + WIDTH - 1) // WIDTH
    slots, heads, scores = sums(plan, n_blocks if what == TRAIN else 0, head.shape[0])
    if mode == SERIAL:
        for block in range(n_blocks):
            state = 0 if what == TRAIN else block
            _block(
                what, plan, lane_bits, shared, features, block, head, linear, labels, shares, re[state], im[state],
                lre[0], lim[0], cotangents, out, slots, heads, scores,
            )  # fmt: skip
    elif mode == BLOCKS:
        for index in prange(n_blocks):
            block = signed(index)
            own = this_thread()
            state = own if what == TRAIN else block
            _block(
                what, plan, lane_bits, shared, features, block, head, linear, labels, shares, re[state], im[state],
                lre[own], lim[own], cotangents, out, slots, heads, scores,
            )  # fmt: skip
    else:
        for block in range(n_blocks):
            state = 0 if what == TRAIN else block
            turns = own_turns(plan, shared, features, block, lane_bits)
            if what == BACKWARD:
                given = cotangents_of(cotangents, block, lane_bits, plan[2])
            else:
                run_inside(plan, turns[2], lane_bits, re[state], im[state])
                values = blank(plan)
                read_inside(plan, lane_bits, re[state], im[state], values)
                if what == FORWARD:
                    answer(values, block, lane_bits, out)
                    continue
                given = loss_of(
                    values, block, lane_bits, count_of(features, block, lane_bits), features.shape[0], head, linear,
                    labels, shares, plan[2], cotangents, heads[block], scores[block],
                )  # fmt: skip
            vectors = back_inside(plan, lane_bits, turns[2], re[state], im[state], lre[0], lim[0], given)
            if what == BACKWARD:
                deliver(derivatives(plan, shared, turns, vectors, out.shape[0]), block, lane_bits, out)
            else:
                sum_lanes(derivatives(plan, shared, turns, vectors, slots.shape[1]), slots[block])
    if what == TRAIN:
        total_up(plan, slots, heads, scores, out[0])


_NUMBERS, _LABELS = np.zeros(0), np.zeros(0, np.int64)
_TABLE = np.zeros((0, 0))


def forward(plan: Any, lane_bits: int, mode: int, weights: Array, features: Array, states: Any, out: Array) -> None:
    """
    Run samples and read their observables.

    Args:
        plan: `kernel_plan.table` of a program and a readout.
        lane_bits: Of `KernelPlan`.
        mode: SERIAL, BLOCKS or INSIDE; the same result.
        weights: float64[n_sources].
        features: float64[samples, n_sources].
        states: Four of [blocks, rows, WIDTH]; the first two receive the states.
        out: float64[samples, n_observables], written.
    """
    work(
        FORWARD, plan, lane_bits, mode, weights, features, _NUMBERS, 0, _LABELS, _NUMBERS, states, _TABLE, out
    )  # fmt: skip


def backward(
    plan: Any, lane_bits: int, mode: int, weights: Array, features: Array, cotangents: Array, states: Any, out: Array
) -> None:
    """
    Derivatives of sum over k of cotangent k times expectation k, by every gradient slot's angle, per sample.

    Args:
        cotangents: float64[samples, n_observables].
        states: Those that `forward` left, used up, and [blocks or threads, rows, WIDTH] twice for the costates.
        out: float64[n_gradient_slots, samples], written.
    """
    work(
        BACKWARD, plan, lane_bits, mode, weights, features, _NUMBERS, 0, _LABELS, _NUMBERS, states, cotangents, out
    )  # fmt: skip


def train(
    plan: Any, lane_bits: int, mode: int, weights: Array, features: Array, head: Array, linear: int, labels: Array,
    shares: Array, states: Any, given: Array, out: Array,
) -> None:  # fmt: skip
    """
    One training step of a classifier up to its gradient: expectations, cross entropy, adjoint pass, chain rule.

    Args:
        weights: float64[n_weights]: programs whose angles are linear in them.
        head, linear, labels, shares: See `cross_entropy`.
        states: Four of [threads, rows, WIDTH], scratch.
        given: float64[samples, n_observables], written: the loss's derivatives by the expectations.
        out: float64[1, n_weights + len(head) + 2], written: both gradients, mean cross entropy, hits.
    """
    work(TRAIN, plan, lane_bits, mode, weights, features, head, linear, labels, shares, states, given, out)


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
    """Run the kernels once, compiling what the cache lacks. Returns the seconds it took."""
    start = time.perf_counter()
    # One RY by a weight on one qubit, and Z of it.
    table = np.zeros((6, 13), np.int64)
    table[0, :8] = 1, 2, 3, 4, 4, 5, 5, 6
    table[1] = 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 1, 3, 2
    table[2, :6] = 0, 1, 1, 1, 1, 1
    table[3, :3] = 1, -1, 0
    table[5, 1] = 1
    features = np.zeros((1, 1))
    for kind in map(np.dtype, kinds):
        plan = (table, np.array([0.3, 1.0]), np.ones((2 * WIDTH, WIDTH), kind))
        states = tuple(np.zeros((1, 2, WIDTH), kind) for _ in range(4))
        forward(plan, 0, SERIAL, np.ones(1), features, states, np.zeros((1, 1)))
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
