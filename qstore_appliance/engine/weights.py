"""
The trainable symbols of a circuit by name: where they start, how they are grouped for people.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.errors import ValidationFailed

_NUMBERED = re.compile(r"(.+)_(\d+)", re.ASCII)
_FIELD = "config.initial_parameters"
SPREAD = 0.1  # of the normal distribution around zero that weights start from, in radians


def groups(names: Sequence[str]) -> dict[str, list[int]]:
    """Positions by prefix, in order of their number: `theta_0, theta_1, bias` → `{"theta": [0, 1], "bias": [2]}`."""
    found: dict[str, list[tuple[int, int]]] = {}
    for position, name in enumerate(names):
        match = _NUMBERED.fullmatch(name)
        prefix, number = (match[1], int(match[2])) if match else (name, -1)
        found.setdefault(prefix, []).append((number, position))
    return {prefix: [position for _, position in sorted(members)] for prefix, members in found.items()}


def by_prefix(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, list[float]]:
    """The model entity's `parameters`."""
    return {prefix: [float(values[position]) for position in members] for prefix, members in groups(names).items()}


def initial(names: Sequence[str], given: object, random: np.random.Generator) -> NDArray[np.float64]:
    """
    Where training starts.

    Args:
        names: the program's weights in order.
        given: None; or a list for all weights; or a mapping of names or prefixes to a number or a list. What is not
            given is drawn at random, the same whatever else is given.
        random: the stream to draw from.

    Raises:
        ValidationFailed: an unknown name, a wrong length, or a value that is not a finite number.
    """
    values = random.normal(0.0, SPREAD, len(names))
    if given is None:
        return values
    if isinstance(given, Mapping):
        members = groups(names)
        for key, entry in given.items():
            place = f"{_FIELD}.{str(key)[:60]}"
            positions = [names.index(key)] if key in names else members.get(str(key))
            if positions is None:
                raise ValidationFailed.field(place, "the circuit has no such weight")
            values[positions] = _numbers(entry if isinstance(entry, list | tuple) else [entry], len(positions), place)
        return values
    if isinstance(given, list | tuple):
        return np.array(_numbers(given, len(names), _FIELD))
    raise ValidationFailed.field(_FIELD, "give a list, or an object of names with their values")


def missing(names: Sequence[str], given: object) -> list[str]:
    """Weights to which nothing is given; what is given is judged by `initial`."""
    if given is None:
        return list(names)
    if not isinstance(given, Mapping):
        return []
    members = groups(names)
    found = {position for key in given for position in members.get(str(key), ())}
    return [name for position, name in enumerate(names) if name not in given and position not in found]


def _numbers(entries: Sequence[Any], expected: int, place: str) -> list[float]:
    if len(entries) != expected:
        raise ValidationFailed.field(place, f"{len(entries)} values for {expected} weights")
    for index, entry in enumerate(entries):
        if isinstance(entry, bool) or not isinstance(entry, int | float) or not math.isfinite(entry):
            raise ValidationFailed.field(f"{place}[{index}]", "must be a finite number")
    return [float(entry) for entry in entries]
