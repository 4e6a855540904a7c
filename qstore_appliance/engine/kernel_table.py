"""
The table that `kernel_plan.py` makes of a program and a readout, as the kernels look into it.
"""

from __future__ import annotations

from typing import Any

from qstore_appliance.engine.kernel_lanes import njit

Array = Any

# Which part of a plan's table, between two entries of its first row, and of its numbers.
GATES, SWEEPS, SLOTS, OWN_SLOTS, SHARED, OWN, OBSERVABLES = range(7)


@njit(error_model="numpy")
def part_of(plan: Any, which: int) -> Array:
    """Some rows of the table that `kernel_plan.table` made."""
    return plan[0][plan[0][0, which] : plan[0][0, which + 1]]


@njit(error_model="numpy")
def numbers_of(plan: Any, which: int) -> Array:
    """The offsets of all slots, or the factors of the terms that all samples share or that are a sample's own."""
    slots, shared, own = part_of(plan, SLOTS), part_of(plan, SHARED), part_of(plan, OWN)
    start = 0 if which == SLOTS else slots.shape[0]
    if which == OWN:
        start += shared.shape[0]
    count = slots.shape[0] if which == SLOTS else shared.shape[0] if which == SHARED else own.shape[0]
    return plan[1][start : start + count]
