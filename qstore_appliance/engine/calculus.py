"""
Expressions over arrays, with their derivatives: what the chain rule of a training step needs where an angle is not linear
in its symbols.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.expressions import Expression

Floats = NDArray[np.float64]


def evaluate(expression: Expression, values: Mapping[str, float | Floats]) -> Floats:
    """An expression over arrays; where it has no finite value the result is not finite either."""
    return _walk(expression, values, differentiate=False)[0]


def derivatives(expression: Expression, values: Mapping[str, float | Floats]) -> dict[str, Floats]:
    """The derivative by each symbol, as arrays like the values."""
    return _walk(expression, values, differentiate=True)[1]


_Pair = tuple[Floats, dict[str, Floats]]


def _walk(expression: Expression, values: Mapping[str, float | Floats], *, differentiate: bool) -> _Pair:
    """Forward mode: every entry of the stack is a value with its derivative by each symbol that it has met."""
    stack: list[_Pair] = []
    for step in expression.tape:
        if isinstance(step, float):
            stack.append((np.asarray(step), {}))
        elif step == "pi":
            stack.append((np.asarray(np.pi), {}))
        elif step in _UNARY:
            value, slopes = stack.pop()
            result, slope = _UNARY[step](value)
            stack.append((result, {name: slope * inner for name, inner in slopes.items()}))
        elif step in ("+", "-", "*", "/"):
            right, left = stack.pop(), stack.pop()
            stack.append(_binary(step, left, right))
        else:
            stack.append((np.asarray(values[step], np.float64), {step: np.asarray(1.0)} if differentiate else {}))
    return stack[-1]


def _sqrt(value: Floats) -> tuple[Floats, Floats]:
    root = np.asarray(np.sqrt(value))
    return root, 0.5 / root


_UNARY: Final = {
    "neg": lambda value: (-value, np.asarray(-1.0)),
    "sin": lambda value: (np.sin(value), np.cos(value)),
    "cos": lambda value: (np.cos(value), -np.sin(value)),
    "sqrt": _sqrt,
}


def _binary(operator: str, left: _Pair, right: _Pair) -> _Pair:
    (a, da), (b, db) = left, right
    if operator == "+":
        value, by_a, by_b = a + b, np.asarray(1.0), np.asarray(1.0)
    elif operator == "-":
        value, by_a, by_b = a - b, np.asarray(1.0), np.asarray(-1.0)
    elif operator == "*":
        value, by_a, by_b = a * b, b, a
    else:
        value = np.divide(a, b)
        by_a, by_b = np.divide(1.0, b), np.divide(-value, b)
    slopes = {name: by_a * slope for name, slope in da.items()}
    for name, slope in db.items():
        slopes[name] = slopes[name] + by_b * slope if name in slopes else by_b * slope
    return value, slopes
