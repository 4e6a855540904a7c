"""
One large sample whose parts the cores share, sweep by sweep; the same sums in the same order as on one core.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qstore_appliance.engine.kernel_block import (
    CHUNK,
    TASKS,
    back_part,
    clear,
    collect,
    gather,
    lay_part,
    read_part,
    set_first,
    tasks_of,
)
from qstore_appliance.engine.kernel_lanes import WIDTH, njit, prange, signed
from qstore_appliance.engine.kernel_sweeps import sweep_forward
from qstore_appliance.engine.kernel_table import GATES, OBSERVABLES, SWEEPS, part_of

Array = Any


@njit(parallel=True, error_model="numpy")
def run_inside(plan: Any, turns: Array, lane_bits: int, re: Array, im: Array) -> None:
    gates, sweeps, signs = part_of(plan, GATES), part_of(plan, SWEEPS), plan[2]
    rows = re.shape[0]
    parts = tasks_of(rows)
    for index in prange(parts):
        part = signed(index)
        clear(signs, re, im, rows * part // parts, rows * (part + 1) // parts)
    set_first(signs, re, lane_bits)
    for k in range(sweeps.shape[0]):
        cosets = sweeps[k, 3]
        tasks = tasks_of(cosets)
        for index in prange(tasks):
            task = signed(index)
            start, stop = cosets * task // tasks, cosets * (task + 1) // tasks
            sweep_forward(gates, sweeps[k], start, stop, turns, signs, re, im)


@njit(parallel=True, error_model="numpy")
def read_inside(plan: Any, lane_bits: int, re: Array, im: Array, values: Array) -> None:
    tasks = tasks_of(re.shape[0] // min(re.shape[0], CHUNK))
    parts = np.empty((tasks, part_of(plan, OBSERVABLES).shape[0], WIDTH))
    for index in prange(tasks):
        task = signed(index)
        parts[task] = read_part(plan, lane_bits, re, im, task, tasks)
    for task in range(tasks):
        gather(parts[task], lane_bits, values)


@njit(parallel=True, error_model="numpy")
def back_inside(
    plan: Any, lane_bits: int, turns: Array, re: Array, im: Array, lre: Array, lim: Array, cotangents: Array
) -> Array:
    laid = tasks_of(re.shape[0] // min(re.shape[0], CHUNK))
    for index in prange(laid):
        task = signed(index)
        lay_part(plan, lane_bits, re, im, lre, lim, cotangents, task, laid)
    sweeps = part_of(plan, SWEEPS)
    vectors = np.empty((3 * part_of(plan, GATES).shape[0], WIDTH), plan[2].dtype)
    parts = np.empty((TASKS, 3 * part_of(plan, GATES).shape[0], WIDTH), plan[2].dtype)
    for k in range(sweeps.shape[0] - 1, -1, -1):
        tasks = tasks_of(sweeps[k, 4])
        for index in prange(tasks):
            task = signed(index)
            back_part(plan, k, turns, re, im, lre, lim, parts[task], task, tasks)
        for task in range(tasks):
            collect(plan, k, parts[task], task == 0, vectors)
    return vectors
