"""
Angles as optimisation sees them: numbers, or expressions whose symbols are kept; and the axis that a gate turns about.

Two gates commute where, on every qubit that both touch, both are diagonal in the same one of the three Pauli bases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from qstore_appliance.engine import expressions
from qstore_appliance.engine.circuit import Gate
from qstore_appliance.engine.expressions import Expression, Step

Parameter = float | Expression

#: Angles in magnitude below it are nothing: far above rounding, far below what any certificate could see.
NOTHING: Final = 1e-11

_QUARTER = math.pi / 2
#: Gates without parameters that are rotations up to a phase: axis and angle.
FIXED: Final[Mapping[str, tuple[str, float]]] = {
    "Z": ("Z", math.pi), "S": ("Z", _QUARTER), "SDG": ("Z", -_QUARTER), "T": ("Z", _QUARTER / 2),
    "TDG": ("Z", -_QUARTER / 2), "X": ("X", math.pi), "SX": ("X", _QUARTER), "Y": ("Y", math.pi),
}  # fmt: skip
TURNS: Final[Mapping[str, str]] = {"RX": "X", "RY": "Y", "RZ": "Z", "P": "Z"}
#: Gates of two qubits with an angle that adds up, and after which angle they are nothing again.
PAIR_TURNS: Final[Mapping[str, float]] = {
    "RXX": 2 * math.pi, "RYY": 2 * math.pi, "RZZ": 2 * math.pi, "CP": 2 * math.pi, "CRX": 4 * math.pi,
    "CRY": 4 * math.pi, "CRZ": 4 * math.pi,
}  # fmt: skip
SYMMETRIC: Final = frozenset(("CZ", "SWAP", "ISWAP", "CP", "RXX", "RYY", "RZZ"))
INVOLUTIONS: Final = frozenset(("H", "CNOT", "CZ", "SWAP", "CCX", "CSWAP"))

#: The basis in which a gate is diagonal, qubit by qubit; None where it is in none.
AXES: Final[Mapping[str, tuple[str | None, ...]]] = {
    **{name: (axis,) for name, (axis, _) in FIXED.items()},
    **{name: (axis,) for name, axis in TURNS.items()},
    **dict.fromkeys(("H", "U3", "GPI", "GPI2"), (None,)),
    "CNOT": ("Z", "X"), "CZ": ("Z", "Z"), "CP": ("Z", "Z"), "CRX": ("Z", "X"), "CRY": ("Z", "Y"), "CRZ": ("Z", "Z"),
    "RXX": ("X", "X"), "RYY": ("Y", "Y"), "RZZ": ("Z", "Z"), "CCX": ("Z", "Z", "X"), "CSWAP": ("Z", None, None),
    **dict.fromkeys(("SWAP", "ISWAP", "MS"), (None, None)),
}  # fmt: skip
_NAMED: Final[Mapping[tuple[str, int], str]] = {
    ("Z", 1): "T", ("Z", 2): "S", ("Z", 4): "Z", ("Z", -4): "Z", ("Z", -2): "SDG", ("Z", -1): "TDG", ("X", 4): "X",
    ("X", -4): "X", ("Y", 4): "Y", ("Y", -4): "Y",
}  # fmt: skip


def commute(one: Gate, other: Gate) -> bool:
    """Whether two gates may change places. False may also mean that it is not known."""
    axes, theirs = AXES[one.name], AXES[other.name]
    for place, qubit in enumerate(one.targets):
        if qubit in other.targets:
            axis = axes[place]
            if axis is None or axis != theirs[other.targets.index(qubit)]:
                return False
    return True


def turn_of(gate: Gate) -> tuple[str, Parameter] | None:
    """A gate of one qubit as axis and angle, up to a phase; None where it is no rotation about one of the three axes."""
    fixed = FIXED.get(gate.name)
    if fixed is not None:
        return fixed
    axis = TURNS.get(gate.name)
    return None if axis is None else (axis, gate.parameters[0])


def turn(axis: str, qubit: int, angle: Parameter) -> Gate | None:
    """The gate that turns about an axis, under its own name if it has one; None where it is nothing."""
    if isinstance(angle, Expression):
        return Gate(f"R{axis}", (qubit,), (angle,))
    angle = math.remainder(angle, 2 * math.pi)
    if abs(angle) < NOTHING:
        return None
    eighths = round(angle / (math.pi / 4))
    if abs(angle - eighths * math.pi / 4) < NOTHING and (name := _NAMED.get((axis, eighths))):
        return Gate(name, (qubit,))
    return Gate(f"R{axis}", (qubit,), (angle,))


def total(one: Parameter, other: Parameter) -> Parameter | None:
    """
    The sum of two angles, with what cancels gone; None where it would be too long to write down.

    Sums that are linear in their symbols are written as such: `2*a + b`.
    """
    if isinstance(one, float) and isinstance(other, float):
        return one + other
    joined = _as_expression(one).plus(_as_expression(other))
    found = simplified(joined)
    if isinstance(found, Expression) and len(found.text) > expressions.MAX_LENGTH // 2:
        return None
    return found


def scaled(angle: Parameter, factor: float) -> Parameter:
    return angle * factor if isinstance(angle, float) else simplified(angle.times(factor))


def negated(angle: Parameter) -> Parameter:
    return scaled(angle, -1.0)


def simplified(expression: Expression) -> Parameter:
    """An expression that is linear, written shortly; others as they are."""
    form = expression.affine()
    if form is None:
        return expression
    slopes = {name: slope for name, slope in form[0].items() if abs(slope) > 1e-14}
    if not slopes:
        return form[1]
    tape: list[Step] = []
    for name, slope in slopes.items():
        first = not tape
        tape.extend((name,) if abs(slope) == 1.0 else (float(abs(slope)), name, "*"))
        if not first:
            tape.append("+" if slope > 0 else "-")
        elif slope < 0:
            tape.append("neg")
    if abs(form[1]) > NOTHING:
        tape.extend((float(abs(form[1])), "+" if form[1] > 0 else "-"))
    return expressions.of_tape(tuple(tape))


def _as_expression(angle: Parameter) -> Expression:
    return angle if isinstance(angle, Expression) else expressions.constant(angle)
