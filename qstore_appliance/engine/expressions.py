"""
Gate parameters as arithmetic: numbers, `pi`, names, `+ - * /`, unary minus, parentheses, `sin cos sqrt`.

An expression is a postfix tape, so that parsing, evaluating and printing are loops: hostile nesting cannot exhaust the
stack, and nothing is ever handed to `eval`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

MAX_LENGTH: Final = 1_000
"""Longest text, in characters, that is read as one expression."""

MAX_DEPTH: Final = 64
"""Deepest nesting of parentheses and function calls."""

FUNCTIONS: Final[Mapping[str, Callable[[float], float]]] = {"sin": math.sin, "cos": math.cos, "sqrt": math.sqrt}
CONSTANTS: Final[Mapping[str, float]] = {"pi": math.pi}
NO_NUMBERS: Final = frozenset(("nan", "inf", "infinity"))
"""What programs print where a number should be, in any case; no symbol is called so."""

_TOKEN = re.compile(r"[ \t]*(?:((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|([A-Za-z_][A-Za-z0-9_]*)|([-+*/()]))")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PRECEDENCE: Final = {"+": 1, "-": 1, "*": 2, "/": 2, "neg": 3}
_OPERATORS: Final = frozenset(_PRECEDENCE)

Step = float | str
"""One step of a tape: a number pushes itself; `+ - * / neg` and a function act on the stack; any other text is a symbol,
and `pi` stays a word so that it prints as one."""


class Expression(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """
    An immutable, hashable expression.

    Attributes:
        text: Canonical spelling; parsing it gives an equal expression.
        symbols: Names in order of first appearance.
        tape: The expression in postfix order.
    """

    text: str
    symbols: tuple[str, ...]
    tape: tuple[Step, ...]

    def evaluate(self, values: Mapping[str, float]) -> float:
        """
        The value for given symbols.

        Raises:
            ValueError: A symbol has no value, or the result is not a finite number.
        """
        stack: list[float] = []
        try:
            for step in self.tape:
                if isinstance(step, float):
                    stack.append(step)
                elif step in _OPERATORS:
                    right = stack.pop()
                    stack.append(-right if step == "neg" else _apply(step, stack.pop(), right))
                elif step in FUNCTIONS:
                    stack.append(FUNCTIONS[step](stack.pop()))
                elif step in CONSTANTS:
                    stack.append(CONSTANTS[step])
                else:
                    stack.append(float(values[step]))
        except KeyError as missing:
            raise ValueError(f"the symbol {missing.args[0]} has no value") from None
        except (ZeroDivisionError, OverflowError, ValueError):
            raise ValueError(f"{self.text} has no finite value here") from None
        if not math.isfinite(stack[-1]):
            raise ValueError(f"{self.text} has no finite value here")
        return stack[-1]

    def affine(self) -> tuple[dict[str, float], float] | None:
        """Coefficients by symbol and the offset, or None where the expression is not linear in its symbols."""
        stack: list[tuple[dict[str, float], float]] = []
        for step in self.tape:
            if isinstance(step, float):
                stack.append(({}, step))
            elif step == "neg":
                stack.append(_scaled(stack.pop(), -1.0))
            elif step in _OPERATORS:
                right, left = stack.pop(), stack.pop()
                combined = _combined(step, left, right)
                if combined is None:
                    return None
                stack.append(combined)
            elif step in FUNCTIONS:
                slopes, offset = stack.pop()
                if slopes:
                    return None
                try:
                    stack.append(({}, FUNCTIONS[step](offset)))
                except ValueError:
                    return None
            elif step in CONSTANTS:
                stack.append(({}, CONSTANTS[step]))
            else:
                stack.append(({step: 1.0}, 0.0))
        slopes, offset = stack[-1]
        finite = math.isfinite(offset) and all(map(math.isfinite, slopes.values()))
        return (slopes, offset) if finite else None

    def plus(self, other: Expression) -> Expression:
        """The sum of two expressions."""
        return of_tape((*self.tape, *other.tape, "+"))

    def times(self, factor: float) -> Expression:
        """This expression multiplied by a number."""
        return of_tape((*constant(factor).tape, *self.tape, "*"))

    def __str__(self) -> str:
        return self.text


def symbol(name: str) -> Expression:
    """The expression that is one symbol."""
    return Expression(name, (name,), (name,))


def constant(value: float) -> Expression:
    """The expression that is one number."""
    return of_tape((float(value),) if value >= 0 else (float(-value), "neg"))


def parse(text: str) -> Expression:
    """
    Read an expression.

    Raises:
        ValueError: With a sentence that says what is wrong and where.
    """
    if not isinstance(text, str):
        raise ValueError("an expression is a text")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"the expression is longer than {MAX_LENGTH} characters")
    if _NAME.fullmatch(text) and text not in FUNCTIONS and text not in CONSTANTS:
        _check_names((text,))
        return symbol(text)
    expression = of_tape(_postfix(_tokens(text)))
    _check_names(expression.symbols)
    _check_constants(expression.tape)
    if len(expression.text) > MAX_LENGTH:
        raise ValueError(f"the expression is longer than {MAX_LENGTH} characters when written out")
    return expression


def _check_names(symbols: tuple[str, ...]) -> None:
    for name in symbols:
        if name.lower() in NO_NUMBERS:
            raise ValueError(f"{name} is no finite number")


def of_tape(tape: tuple[Step, ...]) -> Expression:
    """The expression of a well-formed postfix tape."""
    symbols: dict[str, None] = {}
    for step in tape:
        if isinstance(step, str) and step not in _OPERATORS and step not in FUNCTIONS and step not in CONSTANTS:
            symbols[step] = None
    return Expression(_spell(tape), tuple(symbols), tape)


def _tokens(text: str) -> list[Step]:
    tokens: list[Step] = []
    position, end = 0, len(text.rstrip(" \t"))
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"unexpected {text[position : position + 10]!r} at character {position + 1}")
        number, name, sign = match.groups()
        if number is not None:
            value = float(number)
            if not math.isfinite(value):
                raise ValueError(f"the number {number[:20]} is too large")
            tokens.append(value)
        else:
            tokens.append(name or sign)
        position = match.end()
    if not tokens:
        raise ValueError("the expression is empty")
    return tokens


def _postfix(tokens: Sequence[Step]) -> tuple[Step, ...]:
    """Dijkstra's shunting yard; `neg` is unary minus, a function waits on the stack below its parenthesis."""
    output: list[Step] = []
    waiting: list[str] = []
    depth = 0
    operand_next = True
    for place, item in enumerate(tokens):
        if isinstance(item, float) or (item not in _OPERATORS and item not in ("(", ")") and item not in FUNCTIONS):
            if not operand_next:
                raise ValueError(f"an operator is missing before {str(item)[:40]}")
            output.append(item)
            operand_next = False
        elif item in FUNCTIONS:
            if not operand_next:
                raise ValueError(f"an operator is missing before {item}")
            if place + 1 == len(tokens) or tokens[place + 1] != "(":
                raise ValueError(f"{item} needs an argument in parentheses")
            waiting.append(item)
        elif item == "(":
            if not operand_next:
                raise ValueError("an operator is missing before (")
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f"the expression is nested more than {MAX_DEPTH} deep")
            waiting.append(item)
        elif item == ")":
            if operand_next:
                raise ValueError("something is missing before )")
            while waiting and waiting[-1] != "(":
                output.append(waiting.pop())
            if not waiting:
                raise ValueError("a closing parenthesis has no partner")
            waiting.pop()
            depth -= 1
            if waiting and waiting[-1] in FUNCTIONS:
                output.append(waiting.pop())
        elif operand_next:
            if item != "-":
                raise ValueError(f"something is missing before {item}")
            waiting.append("neg")
        else:
            while waiting and waiting[-1] != "(" and _PRECEDENCE[waiting[-1]] >= _PRECEDENCE[item]:
                output.append(waiting.pop())
            waiting.append(item)
            operand_next = True
    if operand_next:
        raise ValueError("the expression ends too early")
    while waiting:
        if waiting[-1] == "(":
            raise ValueError("an opening parenthesis has no partner")
        output.append(waiting.pop())
    return tuple(output)


def _check_constants(tape: Sequence[Step]) -> None:
    """Refuse what can have no value whatever its symbols are, such as a division by zero or the root of -1."""
    stack: list[float | None] = []
    for step in tape:
        value: float | None = None
        try:
            if isinstance(step, float):
                value = step
            elif step == "neg" or step in FUNCTIONS:
                inner = stack.pop()
                if inner is not None:
                    value = -inner if step == "neg" else FUNCTIONS[step](inner)
            elif step in _OPERATORS:
                right, left = stack.pop(), stack.pop()
                if right is not None and (left is not None or (step == "/" and right == 0.0)):
                    value = _apply(step, 1.0 if left is None else left, right)
            elif step in CONSTANTS:
                value = CONSTANTS[step]
        except (ZeroDivisionError, OverflowError, ValueError):
            value = math.nan
        if value is not None and not math.isfinite(value):
            raise ValueError("a part of the expression has no finite value")
        stack.append(value)


def _spell(tape: Sequence[Step]) -> str:
    stack: list[tuple[str, int]] = []
    for step in tape:
        if isinstance(step, float):
            stack.append((repr(int(step)) if step.is_integer() and step < 1e15 else repr(step), 4))
        elif step == "neg":
            text, strength = stack.pop()
            stack.append((f"-{text}" if strength >= 3 else f"-({text})", 3))
        elif step in _OPERATORS:
            (right, right_strength), (left, left_strength) = stack.pop(), stack.pop()
            strength = _PRECEDENCE[step]
            left = left if left_strength >= strength else f"({left})"
            right = right if right_strength > strength else f"({right})"
            stack.append((f"{left} {step} {right}" if strength == 1 else f"{left}{step}{right}", strength))
        elif step in FUNCTIONS:
            stack.append((f"{step}({stack.pop()[0]})", 4))
        else:
            stack.append((step, 4))
    return stack[-1][0]


def _apply(operator: str, left: float, right: float) -> float:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    return left * right if operator == "*" else left / right


def _scaled(form: tuple[dict[str, float], float], factor: float) -> tuple[dict[str, float], float]:
    return {name: slope * factor for name, slope in form[0].items()}, form[1] * factor


def _combined(operator: str, left: Any, right: Any) -> tuple[dict[str, float], float] | None:
    if operator in "+-":
        slopes, offset = _scaled(right, 1.0 if operator == "+" else -1.0)
        merged = dict(left[0])
        for name, slope in slopes.items():
            merged[name] = merged.get(name, 0.0) + slope
        return merged, left[1] + offset
    if operator == "*" and not left[0]:
        return _scaled(right, left[1])
    if right[0]:
        return None
    if operator == "*":
        return _scaled(left, right[1])
    if right[1] == 0.0:
        return None
    return {name: slope / right[1] for name, slope in left[0].items()}, left[1] / right[1]
