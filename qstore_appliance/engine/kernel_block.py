"""
One block, samples side by side or one large sample: from angles to states, expectations, loss, and back to derivatives.

What is summed is summed in an order that depends on sizes alone, part by part, whoever computes the parts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qstore_appliance.engine.kernel_angles import (
    half_turns,
    quaternions,
    sample_angles,
    shared_angles,
    slot_derivatives,
)
from qstore_appliance.engine.kernel_head import cross_entropy
from qstore_appliance.engine.kernel_lanes import WIDTH, load, njit, store, total
from qstore_appliance.engine.kernel_readout import expect, observe
from qstore_appliance.engine.kernel_sweeps import sweep_back, sweep_forward
from qstore_appliance.engine.kernel_table import (
    GATES,
    OBSERVABLES,
    OWN,
    OWN_SLOTS,
    SHARED,
    SLOTS,
    SWEEPS,
    numbers_of,
    part_of,
)

Array = Any

CHUNK = 256
TASKS = 32


@njit(error_model="numpy")
def shared_turns(plan: Any, weights: Array) -> Any:
    """Half-angle cosines and sines of what the samples share, and the angles."""
    offsets = numbers_of(plan, SLOTS)
    rows = np.zeros(((offsets.shape[0] + WIDTH - 1) // WIDTH, WIDTH))
    cosines, sines = np.empty_like(rows), np.empty_like(rows)
    angles = rows.reshape(-1)
    shared_angles(weights, offsets, part_of(plan, SHARED), numbers_of(plan, SHARED), angles)
    half_turns(rows, cosines, sines)
    return angles, cosines.reshape(-1), sines.reshape(-1)


@njit(error_model="numpy")
def own_turns(plan: Any, shared: Any, features: Array, block: int, lane_bits: int) -> Any:
    """Half-angle cosines and sines of a block's own slots, and its quaternions."""
    gates, own_slots, signs = part_of(plan, GATES), part_of(plan, OWN_SLOTS), plan[2]
    angles = np.empty((own_slots.shape[0], WIDTH))
    cosines, sines = np.empty_like(angles), np.empty_like(angles)
    first, step = (block, 0) if lane_bits else (WIDTH * block, 1)
    sample_angles(shared[0], own_slots, features, part_of(plan, OWN), numbers_of(plan, OWN), first, step, angles)
    half_turns(angles, cosines, sines)
    turns = np.empty((4 * gates.shape[0], WIDTH), signs.dtype)
    quaternions(gates, part_of(plan, SLOTS), shared[1], shared[2], cosines, sines, turns)
    return cosines, sines, turns


@njit(error_model="numpy")
def clear(signs: Array, re: Array, im: Array, first: int, last: int) -> None:
    one = load(signs, 0)
    nothing = one - one
    for i in range(first, last):
        store(re, i, nothing)
        store(im, i, nothing)


@njit(error_model="numpy")
def set_first(signs: Array, re: Array, lane_bits: int) -> None:
    if lane_bits:
        re[0, 0] = signs.dtype.type(1.0)
    else:
        store(re, 0, load(signs, 0))


@njit(error_model="numpy")
def tasks_of(count: int) -> int:
    """In how many parts so many things are done; never more than there are things."""
    return min(count, TASKS)


@njit(error_model="numpy")
def blank(plan: Any) -> Array:
    """Room for a block's expectation values."""
    return np.zeros((part_of(plan, OBSERVABLES).shape[0], WIDTH))


@njit(error_model="numpy")
def _run(plan: Any, turns: Array, lane_bits: int, re: Array, im: Array) -> None:
    gates, sweeps, signs = part_of(plan, GATES), part_of(plan, SWEEPS), plan[2]
    clear(signs, re, im, 0, re.shape[0])
    set_first(signs, re, lane_bits)
    for k in range(sweeps.shape[0]):
        sweep_forward(gates, sweeps[k], 0, sweeps[k, 3], turns, signs, re, im)


@njit(error_model="numpy")
def read_part(plan: Any, lane_bits: int, re: Array, im: Array, task: int, tasks: int) -> Any:
    observables, signs = part_of(plan, OBSERVABLES), plan[2]
    rows = re.shape[0]
    chunk = min(rows, CHUNK)
    chunks = rows // chunk
    part = np.zeros((observables.shape[0], WIDTH))
    first, last = chunks * task // tasks * chunk, chunks * (task + 1) // tasks * chunk
    expect(re, im, first, last, chunk, lane_bits, observables, signs, part)
    return part


@njit(error_model="numpy")
def gather(part: Array, lane_bits: int, values: Array) -> None:
    """Add a part's expectation values, in double precision; of amplitudes in lanes, all to the first lane."""
    for k in range(part.shape[0]):
        if lane_bits:
            values[k, 0] += total(load(part, k))
        else:
            for lane in range(WIDTH):
                values[k, lane] += part[k, lane]


@njit(error_model="numpy")
def _read(plan: Any, lane_bits: int, re: Array, im: Array, values: Array) -> None:
    tasks = tasks_of(re.shape[0] // min(re.shape[0], CHUNK))
    for task in range(tasks):
        gather(read_part(plan, lane_bits, re, im, task, tasks), lane_bits, values)


@njit(error_model="numpy")
def lay_part(
    plan: Any, lane_bits: int, re: Array, im: Array, lre: Array, lim: Array, cotangents: Array, task: int, tasks: int
) -> None:
    rows = re.shape[0]
    chunk = min(rows, CHUNK)
    chunks = rows // chunk
    first, last = chunks * task // tasks * chunk, chunks * (task + 1) // tasks * chunk
    observe(re, im, lre, lim, first, last, chunk, lane_bits, part_of(plan, OBSERVABLES), plan[2], cotangents)


@njit(error_model="numpy")
def _lay(plan: Any, lane_bits: int, re: Array, im: Array, lre: Array, lim: Array, cotangents: Array) -> None:
    tasks = tasks_of(re.shape[0] // min(re.shape[0], CHUNK))
    for task in range(tasks):
        lay_part(plan, lane_bits, re, im, lre, lim, cotangents, task, tasks)


@njit(error_model="numpy")
def back_part(
    plan: Any, k: int, turns: Array, re: Array, im: Array, lre: Array, lim: Array, part: Array, task: int, tasks: int
) -> None:
    """One task of one sweep; what it measures goes to its own rows."""
    gates, sweeps, signs = part_of(plan, GATES), part_of(plan, SWEEPS), plan[2]
    zero = load(signs, 0) - load(signs, 0)
    for row in range(3 * sweeps[k, 0], 3 * sweeps[k, 1]):
        store(part, row, zero)
    cosets = sweeps[k, 4]
    start, stop = cosets * task // tasks, cosets * (task + 1) // tasks
    sweep_back(gates, sweeps[k], start, stop, turns, signs, re, im, lre, lim, part)


@njit(error_model="numpy")
def collect(plan: Any, k: int, part: Array, fresh: bool, vectors: Array) -> None:
    sweeps = part_of(plan, SWEEPS)
    for row in range(3 * sweeps[k, 0], 3 * sweeps[k, 1]):
        store(vectors, row, load(part, row) if fresh else load(vectors, row) + load(part, row))


@njit(error_model="numpy")
def _back(plan: Any, turns: Array, re: Array, im: Array, lre: Array, lim: Array) -> Array:
    """The way back over all sweeps. Returns: [3 n_gates, WIDTH], what was measured."""
    sweeps = part_of(plan, SWEEPS)
    vectors = np.empty((3 * part_of(plan, GATES).shape[0], WIDTH), plan[2].dtype)
    part = np.empty_like(vectors)
    for k in range(sweeps.shape[0] - 1, -1, -1):
        tasks = tasks_of(sweeps[k, 4])
        for task in range(tasks):
            back_part(plan, k, turns, re, im, lre, lim, part, task, tasks)
            collect(plan, k, part, task == 0, vectors)
    return vectors


@njit(error_model="numpy")
def _in_lanes(cotangents: Array, lane_bits: int, signs: Array) -> Array:
    """Cotangents [n, WIDTH] in the states' precision; one sample's in every lane."""
    out = np.empty(cotangents.shape, signs.dtype)
    for k in range(cotangents.shape[0]):
        for lane in range(WIDTH):
            out[k, lane] = cotangents[k, 0 if lane_bits else lane]
    return out


@njit(error_model="numpy")
def derivatives(plan: Any, shared: Any, own: Any, vectors: Array, n_rows: int) -> Array:
    gradient = np.empty((n_rows, WIDTH), plan[2].dtype)
    slot_derivatives(
        part_of(plan, GATES), part_of(plan, SLOTS), shared[1], shared[2], own[0], own[1], vectors, gradient
    )
    return gradient


@njit(error_model="numpy")
def count_of(features: Array, block: int, lane_bits: int) -> int:
    return 1 if lane_bits else min(WIDTH, features.shape[0] - WIDTH * block)


@njit(error_model="numpy")
def answer(values: Array, block: int, lane_bits: int, out: Array) -> None:
    first = block if lane_bits else WIDTH * block
    for lane in range(min(1 if lane_bits else WIDTH, out.shape[0] - first)):
        for k in range(values.shape[0]):
            out[first + lane, k] = values[k, lane]


@njit(error_model="numpy")
def forward_block(
    plan: Any, lane_bits: int, shared: Any, features: Array, block: int, re: Array, im: Array, out: Array
) -> None:
    own = own_turns(plan, shared, features, block, lane_bits)
    _run(plan, own[2], lane_bits, re, im)
    values = blank(plan)
    _read(plan, lane_bits, re, im, values)
    answer(values, block, lane_bits, out)


@njit(error_model="numpy")
def cotangents_of(cotangents: Array, block: int, lane_bits: int, signs: Array) -> Array:
    """A block's cotangents in lanes, from [samples, n_observables]; 0 beyond the last sample."""
    found = np.zeros((cotangents.shape[1], WIDTH))
    first = block if lane_bits else WIDTH * block
    for lane in range(min(1 if lane_bits else WIDTH, cotangents.shape[0] - first)):
        for k in range(cotangents.shape[1]):
            found[k, lane] = cotangents[first + lane, k]
    return _in_lanes(found, lane_bits, signs)


@njit(error_model="numpy")
def deliver(gradient: Array, block: int, lane_bits: int, slot_gradient: Array) -> None:
    first = block if lane_bits else WIDTH * block
    for row in range(gradient.shape[0]):
        if lane_bits:
            slot_gradient[row, first] = total(load(gradient, row))
        else:
            for lane in range(min(WIDTH, slot_gradient.shape[1] - first)):
                slot_gradient[row, first + lane] = gradient[row, lane]


@njit(error_model="numpy")
def backward_block(
    plan: Any, lane_bits: int, shared: Any, features: Array, block: int, cotangents: Array,
    re: Array, im: Array, lre: Array, lim: Array, slot_gradient: Array,
) -> None:  # fmt: skip
    own = own_turns(plan, shared, features, block, lane_bits)
    weights = cotangents_of(cotangents, block, lane_bits, plan[2])
    _lay(plan, lane_bits, re, im, lre, lim, weights)
    vectors = _back(plan, own[2], re, im, lre, lim)
    deliver(derivatives(plan, shared, own, vectors, slot_gradient.shape[0]), block, lane_bits, slot_gradient)


@njit(error_model="numpy")
def loss_of(
    values: Array, block: int, lane_bits: int, count: int, batch: int, head: Array, linear: int, labels: Array,
    shares: Array, signs: Array, given: Array, head_gradient: Array, score: Array,
) -> Array:  # fmt: skip
    first = block if lane_bits else WIDTH * block
    cotangents = np.zeros(values.shape)
    cross_entropy(
        values, count, batch, head, linear, labels[first : first + count], shares, cotangents, head_gradient, score
    )
    answer(cotangents, block, lane_bits, given)
    return _in_lanes(cotangents, lane_bits, signs)


@njit(error_model="numpy")
def sum_lanes(gradient: Array, out: Array) -> None:
    for row in range(gradient.shape[0]):
        sums = 0.0
        for lane in range(WIDTH):
            sums += gradient[row, lane]
        out[row] = sums


@njit(error_model="numpy")
def step_block(
    plan: Any, lane_bits: int, shared: Any, features: Array, block: int, head: Array, linear: int, labels: Array,
    shares: Array, re: Array, im: Array, lre: Array, lim: Array, given: Array, slot_gradient: Array,
    head_gradient: Array, score: Array,
) -> None:  # fmt: skip
    own = own_turns(plan, shared, features, block, lane_bits)
    _run(plan, own[2], lane_bits, re, im)
    values = blank(plan)
    _read(plan, lane_bits, re, im, values)
    cotangents = loss_of(
        values, block, lane_bits, count_of(features, block, lane_bits), features.shape[0], head, linear, labels, shares,
        plan[2], given, head_gradient, score,
    )  # fmt: skip
    _lay(plan, lane_bits, re, im, lre, lim, cotangents)
    vectors = _back(plan, own[2], re, im, lre, lim)
    sum_lanes(derivatives(plan, shared, own, vectors, slot_gradient.shape[0]), slot_gradient)


# Whatever fills or adds arrays stands in functions like these two: written into a parallel one, each line of it would wake
# the other cores.
@njit(error_model="numpy")
def sums(plan: Any, n_blocks: int, n_head: int) -> Any:
    """Room for what each block adds: by gradient slot, by entry of the head, loss and hits."""
    table, n_slots = part_of(plan, SLOTS), 0
    for slot in range(table.shape[0]):
        n_slots = max(n_slots, table[slot, 2] + 1)
    return np.zeros((n_blocks, n_slots)), np.zeros((n_blocks, n_head)), np.zeros((n_blocks, 2))


@njit(error_model="numpy")
def total_up(plan: Any, slots: Array, heads: Array, scores: Array, out: Array) -> None:
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
    table, places, factors = part_of(plan, SLOTS), part_of(plan, SHARED), numbers_of(plan, SHARED)
    for term in range(places.shape[0]):
        row = table[places[term, 0], 2]
        if row >= 0:
            out[places[term, 1]] += factors[term] * slots[0, row]
