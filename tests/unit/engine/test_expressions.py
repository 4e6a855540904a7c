"""The grammar of gate parameters: what it reads, what it refuses, and what it keeps."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qstore_appliance.engine import expressions
from qstore_appliance.engine.expressions import Expression, parse

VALUES = {"a": 0.7, "b": -1.3, "theta_0": 2.5, "x_1": 0.25}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2*theta_0 + pi/2", 5 + math.pi / 2),
        ("-x_1", -0.25),
        ("a - b - 1", 1.0),
        ("a - (b - 1)", 3.0),
        ("8/2/2", 2.0),
        ("8/(2/2)", 8.0),
        ("-a*b", 0.91),
        ("a*-b", 0.91),
        ("--a", 0.7),
        ("2 - -3", 5.0),
        ("sin(a)*cos(b) + sqrt(4)", math.sin(0.7) * math.cos(-1.3) + 2),
        ("1.5e-3*theta_0", 0.00375),
        (".5", 0.5),
        (" ( a ) ", 0.7),
        ("-(a + b)*2", 1.2),
    ],
)
def test_expressions_mean_what_arithmetic_says(text: str, value: float) -> None:
    """Precedence, associativity, unary minus and functions give the usual value."""
    assert parse(text).evaluate(VALUES) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "2x",
        "x x",
        "x 2",
        "1 2",
        "+x",
        "a +",
        "a + * b",
        "()",
        "(a",
        "a)",
        "a(b)",
        "sin",
        "sin a",
        "sin()",
        "a ** 2",
        "a % 2",
        "a, b",
        "1e400",
        "nan(1)",
        "__import__('os').system('true')",
        "a.__class__",
        "lambda: 0",
        "[a]",
        "a\n+ b",
        "θ",
        "١",
        "1_000",
        "0x10",
        "1j",
        "1/0",
        "a/0",
        "a/(1 - 1)",
        "sqrt(-1)*a",
        "1e300*1e300 + a",
        "\x00",
    ],
)
def test_what_is_not_arithmetic_is_refused(text: str) -> None:
    """Anything outside the grammar is a ValueError with a sentence, and never runs."""
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    ["(" * 10_000, "(" * 400 + "a" + ")" * 400, "-" * 10_000 + "a", "sin(" * 100 + "a" + ")" * 100, "1" * 1_000_000],
)
def test_hostile_size_is_refused_at_once(text: str) -> None:
    """Deep nesting and a million characters are refused within milliseconds, without exhausting the stack."""
    start = time.process_time()
    with pytest.raises(ValueError, match=r"nested|longer"):
        parse(text)

    assert time.process_time() - start < 0.1


def test_long_negation_is_a_loop() -> None:
    """Nine hundred minus signs are read, evaluated and printed: nothing about an expression recurses."""
    expression = parse("-" * 900 + "a")

    assert expression.evaluate(VALUES) == 0.7
    assert parse(expression.text) == expression


def _texts() -> st.SearchStrategy[str]:
    atoms = st.sampled_from(["a", "b", "pi", "2", "0.5", "x_1", "1e-3", "theta_0"])
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
            inner.map(lambda t: f"-({t})"),
            st.tuples(st.sampled_from(["sin", "cos"]), inner).map(lambda t: f"{t[0]}({t[1]})"),
        ),
        max_leaves=12,
    )


def _parsed(text: str) -> Expression:
    """What can have no value, such as a/(pi - pi), is refused, and rightly: no example."""
    try:
        return parse(text)
    except ValueError as error:
        assume("no finite value" not in str(error))
        raise


def _value(expression: Expression) -> float:
    try:
        return expression.evaluate(VALUES)
    except ValueError as error:
        assume("no finite value" not in str(error))
        raise


@given(_texts())
def test_the_canonical_text_reads_back_equal(text: str) -> None:
    """Printing and parsing gives an equal expression with an equal hash."""
    expression = _parsed(text)

    again = parse(expression.text)

    assert again == expression
    assert hash(again) == hash(expression)
    assert again.text == expression.text


@given(_texts())
def test_an_affine_form_gives_the_same_value(text: str) -> None:
    """Where an expression is linear, coefficients and offset evaluate to what the tree does."""
    expression = _parsed(text)
    form = expression.affine()
    if form is not None:
        slopes, offset = form
        value = sum(slope * VALUES[name] for name, slope in slopes.items()) + offset
        assert value == pytest.approx(_value(expression), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("a", ({"a": 1.0}, 0.0)),
        ("2*a - b/4 + 1", ({"a": 2.0, "b": -0.25}, 1.0)),
        ("(a + b)*3", ({"a": 3.0, "b": 3.0}, 0.0)),
        ("sin(0)*a", ({"a": 0.0}, 0.0)),
        ("a*b", None),
        ("1/a", None),
        ("sin(a)", None),
    ],
)
def test_linear_expressions_are_recognised(text: str, form: object) -> None:
    """Affine forms have their coefficients, the rest has none."""
    assert parse(text).affine() == form


def test_symbols_come_in_order_of_appearance() -> None:
    """Each name once, as first met; pi and functions are not symbols."""
    assert parse("b + sin(a)*pi - b/x_1").symbols == ("b", "a", "x_1")


@pytest.mark.parametrize(("text", "reason"), [("1/(a - a)", "no finite"), ("sqrt(b)", "no finite"), ("c", "no value")])
def test_a_value_that_does_not_exist_is_an_error(text: str, reason: str) -> None:
    """Division by zero, roots of negative numbers and missing symbols are told apart from numbers."""
    with pytest.raises(ValueError, match=reason):
        parse(text).evaluate(VALUES)


def test_expressions_can_be_combined() -> None:
    """Sums, multiples and constants print as text that reads back."""
    combined = parse("a - b").times(-0.5).plus(expressions.constant(-2.0)).plus(expressions.symbol("x_1"))

    assert combined.evaluate(VALUES) == pytest.approx(-0.5 * 2.0 - 2.0 + 0.25)
    assert parse(combined.text) == combined
