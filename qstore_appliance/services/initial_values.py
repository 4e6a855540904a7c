"""
The `parameters` of a stored circuit: its weights in groups, `{"theta": {"count": 16, "initial_values": […]}}`.

A group is what stands before the last `_<number>` of a symbol, its members in the order of that number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from qstore_appliance.engine.circuit import MAX_ANGLE, Circuit
from qstore_appliance.errors import ValidationFailed

_MEMBER = re.compile(r"(.+)_([0-9]{1,9})", re.ASCII)
_SYMBOLIC = frozenset({"name", "value", "is_symbolic"})


def groups_of(circuit: Circuit) -> dict[str, list[str]]:
    """Group → its symbols; features (`x_0`) are no weights and have no group."""
    found: dict[str, list[tuple[int, str]]] = {}
    for symbol in circuit.weights:
        match = _MEMBER.fullmatch(symbol)
        name, index = (match[1], int(match[2])) if match else (symbol, -1)
        found.setdefault(name, []).append((index, symbol))
    return {name: [symbol for _, symbol in sorted(members)] for name, members in found.items()}


def described(
    circuit: Circuit, sent: Mapping[str, Any] | None, kept: Mapping[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """
    The circuit's groups with the initial values that were sent, or that an earlier version had for a group as large.

    Args:
        sent: `{"theta": {"count"?, "initial_values"?}}`, or by symbol as the version 4 library writes it:
            `{"theta_0": {"name": "theta_0", "value": 0.1, "is_symbolic": false}}`.

    Raises:
        ValidationFailed: An unknown group or symbol, another count, a value that is no angle.
    """
    groups = groups_of(circuit)
    values: dict[str, list[float]] = {}
    single: dict[str, float] = {}
    symbols = set(circuit.symbols)
    for name, entry in (sent or {}).items():
        field = f"parameters.{name[:60]}"
        if isinstance(entry, Mapping) and _SYMBOLIC.issuperset(entry) and "is_symbolic" in entry:
            if name not in symbols:
                raise ValidationFailed.field(field, "the circuit has no such symbol")
            if entry.get("value") is not None:
                single[name] = _angle(entry["value"], field)
        elif name not in groups:
            raise ValidationFailed.field(field, f"the circuit has no such parameters; it has {_spoken(groups)}")
        else:
            given = _values_of(entry, len(groups[name]), field)
            if given is not None:
                values[name] = given
    for name, members in groups.items():
        given_members = [single[symbol] for symbol in members if symbol in single]
        if given_members and len(given_members) != len(members):
            raise ValidationFailed.field(f"parameters.{name[:60]}", "give a value to all of its symbols, or to none")
        if given_members:
            values[name] = given_members
        earlier = (kept or {}).get(name, {})
        if name not in values and earlier.get("count") == len(members) and "initial_values" in earlier:
            values[name] = earlier["initial_values"]
    return {
        name: {"count": len(members), **({"initial_values": values[name]} if name in values else {})}
        for name, members in groups.items()
    }


def _values_of(entry: Any, count: int, field: str) -> list[float] | None:
    if not isinstance(entry, Mapping) or not {"count", "initial_values"}.issuperset(entry):
        raise ValidationFailed.field(field, 'must look like {"count": 2, "initial_values": [0.1, 0.2]}')
    if "count" in entry and (type(entry["count"]) is not int or entry["count"] != count):
        raise ValidationFailed.field(f"{field}.count", f"the circuit has {count}")
    values = entry.get("initial_values")
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != count:
        raise ValidationFailed.field(f"{field}.initial_values", f"must be a list of {count} numbers")
    return [_angle(value, f"{field}.initial_values[{index}]") for index, value in enumerate(values)]


def _angle(value: Any, field: str) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or abs(value) > MAX_ANGLE:
        raise ValidationFailed.field(field, f"must be a number between -{MAX_ANGLE:g} and {MAX_ANGLE:g}")
    return float(value)


def _spoken(groups: Mapping[str, list[str]]) -> str:
    return ", ".join(list(groups)[:20]) or "none"
