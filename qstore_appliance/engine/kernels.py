"""
The compiled kernels: run a program forward, read observables, walk it backward, or all of a training step at once.

Blocks (samples side by side, or one large sample) go to the cores; of a few very large samples, parts of one state
do. What is summed is summed in an order that depends on sizes alone, so results depend neither on the schedule nor on the
number of threads. The reverse pass is adjoint differentiation (Jones and Gacon, arXiv:2009.02823) with one effective
observable per sample. Importing this module costs numba: only children do. `python -m qstore_appliance.engine.kernels`
compiles everything into the cache.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import numba
import numpy as np

from qstore_appliance.engine.kernel_angles import (
    half_turns,
    quaternions,
    sample_angles,
    shared_angles,
    slot_derivatives,
)
from qstore_appliance.engine.kernel_head import cross_entropy
from qstore_appliance.engine.kernel_lanes import WIDTH, load, most_threads, njit, prange, set_threads, store, total
from qstore_appliance.engine.kernel_readout import expect, observe
from qstore_appliance.engine.kernel_sweeps import sweep_back, sweep_forward

Array = Any

SERIAL, BLOCKS, INSIDE = 0, 1, 2
"""How the work is spread: not at all, blocks over the cores, or the parts of one state after the other over the cores."""

# Which part of a plan's table, between two entries of its first row, and of its numbers.
_GATES, _SWEEPS, _SLOTS, _OWN_SLOTS, _SHARED, _OWN, _OBSERVABLES = range(7)

_CHUNK = 256
_TASKS = 32
_thread: Any = numba.get_thread_id


@njit
def _signed(index: int) -> Any:
    """The number of a parallel loop's turn: numba makes it unsigned, and mixed with others a floating number."""
    return np.int64(index)


@njit(error_model="numpy")
def _part(plan: Any, which: int) -> Array:
    """Some rows of the table that `kernel_plan.table` made."""
    return plan[0][plan[0][0, which] : plan[0][0, which + 1]]


@njit(error_model="numpy")
def _numbers(plan: Any, which: int) -> Array:
    """The offsets of all slots, or the factors of the terms that all samples share or that are a sample's own."""
    slots, shared, own = _part(plan, _SLOTS), _part(plan, _SHARED), _part(plan, _OWN)
    start = 0 if which == _SLOTS else slots.shape[0]
    if which == _OWN:
        start += shared.shape[0]
    count = slots.shape[0] if which == _SLOTS else shared.shape[0] if which == _SHARED else own.shape[0]
    return plan[1][start : start + count]


@njit(error_model="numpy")
def _shared(plan: Any, weights: Array) -> Any:
    """Half-angle cosines and sines of what the samples share, and the angles."""
    offsets = _numbers(plan, _SLOTS)
    angles = np.empty(offsets.shape[0])
    shared_angles(weights, offsets, _part(plan, _SHARED), _numbers(plan, _SHARED), angles)
    cosines, sines = np.empty_like(angles), np.empty_like(angles)
    for slot in range(angles.shape[0]):
        cosines[slot], sines[slot] = math.cos(0.5 * angles[slot]), math.sin(0.5 * angles[slot])
    return angles, cosines, sines


@njit(error_model="numpy")
def _prepared(plan: Any, shared: Any, features: Array, block: int, lane_bits: int) -> Any:
    """Half-angle cosines and sines of a block's own slots, and its quaternions."""
    gates, own_slots, signs = _part(plan, _GATES), _part(plan, _OWN_SLOTS), plan[2]
    angles = np.empty((own_slots.shape[0], WIDTH))
    cosines, sines = np.empty_like(angles), np.empty_like(angles)
    first, step = (block, 0) if lane_bits else (WIDTH * block, 1)
    sample_angles(shared[0], own_slots, features, _part(plan, _OWN), _numbers(plan, _OWN), first, step, angles)
    half_turns(angles, cosines, sines)
    turns = np.empty((4 * gates.shape[0], WIDTH), signs.dtype)
    quaternions(gates, _part(plan, _SLOTS), shared[1], shared[2], cosines, sines, turns)
    return cosines, sines, turns


@njit(error_model="numpy")
def _start(signs: Array, re: Array, im: Array, first: int, last: int) -> None:
    one = load(signs, 0)
    nothing = one - one
    for i in range(first, last):
        store(re, i, nothing)
        store(im, i, nothing)


@njit(error_model="numpy")
def _first(signs: Array, re: Array, lane_bits: int) -> None:
    if lane_bits:
        re[0, 0] = signs.dtype.type(1.0)
    else:
        store(re, 0, load(signs, 0))


@njit(error_model="numpy")
def _tasks(count: int) -> int:
    """In how many parts so many things are done; never more than there are things."""
    return min(count, _TASKS)


@njit(error_model="numpy")
def _blank(plan: Any) -> Array:
    """Room for a block's expectation values."""
    return np.zeros((_part(plan, _OBSERVABLES).shape[0], WIDTH))


@njit(error_model="numpy")
def _run(plan: Any, turns: Array, lane_bits: int, re: Array, im: Array) -> None:
    gates, sweeps, signs = _part(plan, _GATES), _part(plan, _SWEEPS), plan[2]
    _start(signs, re, im, 0, re.shape[0])
    _first(signs, re, lane_bits)
    for k in range(sweeps.shape[0]):
        sweep_forward(gates, sweeps[k], 0, sweeps[k, 3], turns, signs, re, im)


@njit(error_model="numpy")
def _read_part(plan: Any, lane_bits: int, re: Array, im: Array, task: int, tasks: int) -> Any:
    observables, signs = _part(plan, _OBSERVABLES), plan[2]
    rows = re.shape[0]
    chunk = min(rows, _CHUNK)
    chunks = rows // chunk
    part = np.zeros((observables.shape[0], WIDTH), signs.dtype)
    first, last = chunks * task // tasks * chunk, chunks * (task + 1) // tasks * chunk
    expect(re, im, first, last, chunk, lane_bits, observables, signs, part)
    return part


@njit(error_model="numpy")
def _gather(part: Array, lane_bits: int, values: Array) -> None:
    """Add a part's expectation values, in double precision; of amplitudes in lanes, all to the first lane."""
    for k in range(part.shape[0]):
        if lane_bits:
            values[k, 0] += total(load(part, k))
        else:
            for lane in range(WIDTH):
                values[k, lane] += part[k, lane]


@njit(error_model="numpy")
def _read(plan: Any, lane_bits: int, re: Array, im: Array, values: Array) -> None:
    tasks = _tasks(re.shape[0] // min(re.shape[0], _CHUNK))
    for task in range(tasks):
        _gather(_read_part(plan, lane_bits, re, im, task, tasks), lane_bits, values)


@njit(error_model="numpy")
def _lay_part(
    plan: Any, lane_bits: int, re: Array, im: Array, lre: Array, lim: Array, cotangents: Array, task: int, tasks: int
) -> None:
    rows = re.shape[0]
    chunk = min(rows, _CHUNK)
    chunks = rows // chunk
    first, last = chunks * task // tasks * chunk, chunks * (task + 1) // tasks * chunk
    observe(re, im, lre, lim, first, last, chunk, lane_bits, _part(plan, _OBSERVABLES), plan[2], cotangents)


@njit(error_model="numpy")
def _back_part(
    plan: Any, k: int, turns: Array, re: Array, im: Array, lre: Array, lim: Array, part: Array, task: int, tasks: int
) -> None:
    """One task of one sweep; what it measures goes to its own rows."""
    gates, sweeps, signs = _part(plan, _GATES), _part(plan, _SWEEPS), plan[2]
    zero = load(signs, 0) - load(signs, 0)
    for row in range(3 * sweeps[k, 0], 3 * sweeps[k, 1]):
        store(part, row, zero)
    cosets = sweeps[k, 4]
    start, stop = cosets * task // tasks, cosets * (task + 1) // tasks
    sweep_back(gates, sweeps[k], start, stop, turns, signs, re, im, lre, lim, part)


@njit(error_model="numpy")
def _collect(plan: Any, k: int, part: Array, fresh: bool, vectors: Array) -> None:
    sweeps = _part(plan, _SWEEPS)
    for row in range(3 * sweeps[k, 0], 3 * sweeps[k, 1]):
        store(vectors, row, load(part, row) if fresh else load(vectors, row) + load(part, row))


@njit(error_model="numpy")
def _back(plan: Any, turns: Array, re: Array, im: Array, lre: Array, lim: Array) -> Array:
    """The way back over all sweeps. Returns: [3 n_gates, WIDTH], what was measured."""
    sweeps = _part(plan, _SWEEPS)
    vectors = np.empty((3 * _part(plan, _GATES).shape[0], WIDTH), plan[2].dtype)
    part = np.empty_like(vectors)
    for k in range(sweeps.shape[0] - 1, -1, -1):
        tasks = _tasks(sweeps[k, 4])
        for task in range(tasks):
            _back_part(plan, k, turns, re, im, lre, lim, part, task, tasks)
            _collect(plan, k, part, task == 0, vectors)
    return vectors


@njit(error_model="numpy")
def _lanes(cotangents: Array, lane_bits: int, signs: Array) -> Array:
    """Cotangents [n, WIDTH] in the states' precision; one sample's in every lane."""
    out = np.empty(cotangents.shape, signs.dtype)
    for k in range(cotangents.shape[0]):
        for lane in range(WIDTH):
            out[k, lane] = cotangents[k, 0 if lane_bits else lane]
    return out


@njit(error_model="numpy")
def _derivatives(plan: Any, shared: Any, own: Any, vectors: Array, n_rows: int) -> Array:
    gradient = np.empty((n_rows, WIDTH), plan[2].dtype)
    slot_derivatives(_part(plan, _GATES), _part(plan, _SLOTS), shared[1], shared[2], own[0], own[1], vectors, gradient)
    return gradient


@njit(error_model="numpy")
def _count(features: Array, block: int, lane_bits: int) -> int:
    return 1 if lane_bits else min(WIDTH, features.shape[0] - WIDTH * block)


@njit(error_model="numpy")
def _answer(values: Array, block: int, lane_bits: int, out: Array) -> None:
    first = block if lane_bits else WIDTH * block
    for lane in range(min(1 if lane_bits else WIDTH, out.shape[0] - first)):
        for k in range(values.shape[0]):
            out[first + lane, k] = values[k, lane]


@njit(error_model="numpy")
def _forward_block(
    plan: Any, lane_bits: int, shared: Any, features: Array, block: int, re: Array, im: Array, out: Array
) -> None:
    own = _prepared(plan, shared, features, block, lane_bits)
    _run(plan, own[2], lane_bits, re, im)
    values = _blank(plan)
    _read(plan, lane_bits, re, im, values)
    _answer(values, block, lane_bits, out)


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
    shared = _shared(plan, weights)
    if mode == SERIAL:
        for block in range(re.shape[0]):
            _forward_block(plan, lane_bits, shared, features, block, re[block], im[block], out)
    elif mode == BLOCKS:
        for index in prange(re.shape[0]):
            block = _signed(index)
            _forward_block(plan, lane_bits, shared, features, block, re[block], im[block], out)
    else:
        for block in range(re.shape[0]):
            own = _prepared(plan, shared, features, block, lane_bits)
            _run_inside(plan, own[2], lane_bits, re[block], im[block])
            values = _blank(plan)
            _read_inside(plan, lane_bits, re[block], im[block], values)
            _answer(values, block, lane_bits, out)


@njit(parallel=True, error_model="numpy")
def _run_inside(plan: Any, turns: Array, lane_bits: int, re: Array, im: Array) -> None:
    gates, sweeps, signs = _part(plan, _GATES), _part(plan, _SWEEPS), plan[2]
    rows = re.shape[0]
    parts = _tasks(rows)
    for index in prange(parts):
        part = _signed(index)
        _start(signs, re, im, rows * part // parts, rows * (part + 1) // parts)
    _first(signs, re, lane_bits)
    for k in range(sweeps.shape[0]):
        cosets = sweeps[k, 3]
        tasks = _tasks(cosets)
        for index in prange(tasks):
            task = _signed(index)
            start, stop = cosets * task // tasks, cosets * (task + 1) // tasks
            sweep_forward(gates, sweeps[k], start, stop, turns, signs, re, im)


@njit(parallel=True, error_model="numpy")
def _read_inside(plan: Any, lane_bits: int, re: Array, im: Array, values: Array) -> None:
    tasks = _tasks(re.shape[0] // min(re.shape[0], _CHUNK))
    parts = np.empty((tasks, _part(plan, _OBSERVABLES).shape[0], WIDTH), plan[2].dtype)
    for index in prange(tasks):
        task = _signed(index)
        parts[task] = _read_part(plan, lane_bits, re, im, task, tasks)
    for task in range(tasks):
        _gather(parts[task], lane_bits, values)


@njit(parallel=True, error_model="numpy")
def _back_inside(
    plan: Any, lane_bits: int, turns: Array, re: Array, im: Array, lre: Array, lim: Array, cotangents: Array
) -> Array:
    laid = _tasks(re.shape[0] // min(re.shape[0], _CHUNK))
    for index in prange(laid):
        task = _signed(index)
        _lay_part(plan, lane_bits, re, im, lre, lim, cotangents, task, laid)
    sweeps = _part(plan, _SWEEPS)
    vectors = np.empty((3 * _part(plan, _GATES).shape[0], WIDTH), plan[2].dtype)
    parts = np.empty((_TASKS, 3 * _part(plan, _GATES).shape[0], WIDTH), plan[2].dtype)
    for k in range(sweeps.shape[0] - 1, -1, -1):
        tasks = _tasks(sweeps[k, 4])
        for index in prange(tasks):
            task = _signed(index)
            _back_part(plan, k, turns, re, im, lre, lim, parts[task], task, tasks)
        for task in range(tasks):
            _collect(plan, k, parts[task], task == 0, vectors)
    return vectors


@njit(error_model="numpy")
def _cotangents_of(cotangents: Array, block: int, lane_bits: int, signs: Array) -> Array:
    """A block's cotangents in lanes, from [samples, n_observables]; 0 beyond the last sample."""
    found = np.zeros((cotangents.shape[1], WIDTH))
    first = block if lane_bits else WIDTH * block
    for lane in range(min(1 if lane_bits else WIDTH, cotangents.shape[0] - first)):
        for k in range(cotangents.shape[1]):
            found[k, lane] = cotangents[first + lane, k]
    return _lanes(found, lane_bits, signs)


@njit(error_model="numpy")
def _deliver(gradient: Array, block: int, lane_bits: int, slot_gradient: Array) -> None:
    first = block if lane_bits else WIDTH * block
    for row in range(gradient.shape[0]):
        if lane_bits:
            slot_gradient[row, first] = total(load(gradient, row))
        else:
            for lane in range(min(WIDTH, slot_gradient.shape[1] - first)):
                slot_gradient[row, first + lane] = gradient[row, lane]


@njit(error_model="numpy")
def _backward_block(
    plan: Any, lane_bits: int, shared: Any, features: Array, block: int, cotangents: Array,
    re: Array, im: Array, lre: Array, lim: Array, slot_gradient: Array,
) -> None:  # fmt: skip
    own = _prepared(plan, shared, features, block, lane_bits)
    weights = _cotangents_of(cotangents, block, lane_bits, plan[2])
    tasks = _tasks(re.shape[0] // min(re.shape[0], _CHUNK))
    for task in range(tasks):
        _lay_part(plan, lane_bits, re, im, lre, lim, weights, task, tasks)
    vectors = _back(plan, own[2], re, im, lre, lim)
    _deliver(_derivatives(plan, shared, own, vectors, slot_gradient.shape[0]), block, lane_bits, slot_gradient)


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
    shared = _shared(plan, weights)
    if mode == SERIAL:
        for block in range(re.shape[0]):
            _backward_block(
                plan, lane_bits, shared, features, block, cotangents, re[block], im[block], lre[0], lim[0],
                slot_gradient,
            )  # fmt: skip
    elif mode == BLOCKS:
        for index in prange(re.shape[0]):
            block = _signed(index)
            own = _thread()
            _backward_block(
                plan, lane_bits, shared, features, block, cotangents, re[block], im[block], lre[own], lim[own],
                slot_gradient,
            )  # fmt: skip
    else:
        for block in range(re.shape[0]):
            prepared = _prepared(plan, shared, features, block, lane_bits)
            lanes = _cotangents_of(cotangents, block, lane_bits, plan[2])
            vectors = _back_inside(plan, lane_bits, prepared[2], re[block], im[block], lre[0], lim[0], lanes)
            found = _derivatives(plan, shared, prepared, vectors, slot_gradient.shape[0])
            _deliver(found, block, lane_bits, slot_gradient)


@njit(error_model="numpy")
def _head(
    values: Array, block: int, lane_bits: int, count: int, batch: int, head: Array, linear: int, labels: Array,
    shares: Array, signs: Array, given: Array, head_gradient: Array, score: Array,
) -> Array:  # fmt: skip
    first = block if lane_bits else WIDTH * block
    cotangents = np.zeros(values.shape)
    cross_entropy(
        values, count, batch, head, linear, labels[first : first + count], shares, cotangents, head_gradient, score
    )
    _answer(cotangents, block, lane_bits, given)
    return _lanes(cotangents, lane_bits, signs)


@njit(error_model="numpy")
def _sum_lanes(gradient: Array, out: Array) -> None:
    for row in range(gradient.shape[0]):
        sums = 0.0
        for lane in range(WIDTH):
            sums += gradient[row, lane]
        out[row] = sums


@njit(error_model="numpy")
def _step_block(
    plan: Any, lane_bits: int, shared: Any, features: Array, block: int, head: Array, linear: int, labels: Array,
    shares: Array, states: Array, given: Array, slot_gradient: Array, head_gradient: Array, score: Array,
) -> None:  # fmt: skip
    own = _prepared(plan, shared, features, block, lane_bits)
    re, im, lre, lim = states[0], states[1], states[2], states[3]
    _run(plan, own[2], lane_bits, re, im)
    values = _blank(plan)
    _read(plan, lane_bits, re, im, values)
    cotangents = _head(
        values, block, lane_bits, _count(features, block, lane_bits), features.shape[0], head, linear, labels, shares,
        plan[2], given, head_gradient, score,
    )  # fmt: skip
    tasks = _tasks(re.shape[0] // min(re.shape[0], _CHUNK))
    for task in range(tasks):
        _lay_part(plan, lane_bits, re, im, lre, lim, cotangents, task, tasks)
    vectors = _back(plan, own[2], re, im, lre, lim)
    _sum_lanes(_derivatives(plan, shared, own, vectors, slot_gradient.shape[0]), slot_gradient)


# Whatever fills or adds arrays stands in functions like these two: written into a parallel one, each line of it would wake
# the other cores.
@njit(error_model="numpy")
def _sums(plan: Any, n_blocks: int, n_head: int) -> Any:
    """Room for what each block adds: by gradient slot, by entry of the head, loss and hits."""
    table, n_slots = _part(plan, _SLOTS), 0
    for slot in range(table.shape[0]):
        n_slots = max(n_slots, table[slot, 2] + 1)
    return np.zeros((n_blocks, n_slots)), np.zeros((n_blocks, n_head)), np.zeros((n_blocks, 2))


@njit(error_model="numpy")
def _total(plan: Any, slots: Array, heads: Array, scores: Array, out: Array) -> None:
    """Add the blocks up in their order, and go from slots to weights."""
    out[:] = 0.0
    n_head = heads.shape[1]
    n_weights = out.shape[0] - n_head - 2
    for block in range(slots.shape[0]):
        for place in range(n_head):
            out[n_weights + place] += heads[block, place]
        for place in range(2):
            out[n_weights + n_head + place] += scores[block, place]
        if block:
            for row in range(slots.shape[1]):
                slots[0, row] += slots[block, row]
    table, places, factors = _part(plan, _SLOTS), _part(plan, _SHARED), _numbers(plan, _SHARED)
    for term in range(places.shape[0]):
        row = table[places[term, 0], 2]
        if row >= 0:
            out[places[term, 1]] += factors[term] * slots[0, row]


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
    shared = _shared(plan, weights)
    n_blocks = features.shape[0] if lane_bits else (features.shape[0] + WIDTH - 1) // WIDTH
    slots, heads, scores = _sums(plan, n_blocks, head.shape[0])
    if mode == SERIAL:
        for block in range(n_blocks):
            _step_block(
                plan, lane_bits, shared, features, block, head, linear, labels, shares, states[0], given, slots[block],
                heads[block], scores[block],
            )  # fmt: skip
    elif mode == BLOCKS:
        for index in prange(n_blocks):
            block = _signed(index)
            _step_block(
                plan, lane_bits, shared, features, block, head, linear, labels, shares, states[_thread()],
                given, slots[block], heads[block], scores[block],
            )  # fmt: skip
    else:
        re, im, lre, lim = states[0, 0], states[0, 1], states[0, 2], states[0, 3]
        for block in range(n_blocks):
            own = _prepared(plan, shared, features, block, lane_bits)
            _run_inside(plan, own[2], lane_bits, re, im)
            values = _blank(plan)
            _read_inside(plan, lane_bits, re, im, values)
            cotangents = _head(
                values, block, lane_bits, _count(features, block, lane_bits), features.shape[0], head, linear, labels,
                shares, plan[2], given, heads[block], scores[block],
            )  # fmt: skip
            vectors = _back_inside(plan, lane_bits, own[2], re, im, lre, lim, cotangents)
            _sum_lanes(_derivatives(plan, shared, own, vectors, slots.shape[1]), slots[block])
    _total(plan, slots, heads, scores, out)


_chosen = threading.local()


def use_threads(count: int) -> int:
    """How many threads the next calls of this thread may use; 0 means all. Returns: how many those are."""
    threads = min(count or most_threads, most_threads)
    if getattr(_chosen, "threads", 0) != threads:
        set_threads(threads)
        _chosen.threads = threads
    return threads


def warm() -> float:
    """Run every kernel once in both precisions, compiling what the cache lacks. Returns the seconds it took."""
    start = time.perf_counter()
    # One RY by a weight on one qubit, and Z of it.
    table = np.zeros((6, 13), np.int64)
    table[0, :8] = 1, 2, 3, 4, 4, 5, 5, 6
    table[1] = 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 1, 3, 2
    table[2, :6] = 0, 1, 1, 1, 1, 1
    table[3, :3] = 1, -1, 0
    table[5, 1] = 1
    features, labels = np.zeros((1, 1)), np.zeros(1, np.int64)
    for kind in (np.float32, np.float64):
        plan = (table, np.array([0.3, 1.0]), np.ones((2 * WIDTH, WIDTH), kind))
        re, im, lre, lim = (np.zeros((1, 2, WIDTH), kind) for _ in range(4))
        weights, values = np.ones(1), np.zeros((1, 1))
        forward(plan, 0, SERIAL, weights, features, re, im, values)
        backward(plan, 0, SERIAL, weights, features, values, re, im, lre, lim, np.zeros((1, 1)))
        states = np.zeros((1, 4, 2, WIDTH), kind)
        train(plan, 0, SERIAL, weights, features, np.zeros(4), 1, labels, np.ones(2), states, values, np.zeros(7))
    return time.perf_counter() - start


if __name__ == "__main__":
    # Run as a script this file is `__main__`, and kernels cached under that name would never be found again.
    from qstore_appliance.engine import kernels, machine_speed

    print(f"kernels ready after {kernels.warm():.1f} s")
    if machine_speed.load() is None:
        machine_speed.measure()
