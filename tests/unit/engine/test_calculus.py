"""Derivatives of expressions over arrays."""

from __future__ import annotations

import numpy as np
import pytest

from qstore_appliance.engine.calculus import derivatives, evaluate
from qstore_appliance.engine.expressions import parse


@pytest.mark.parametrize(
    "text", ["sin(a)*b", "a/b", "sqrt(a + b*b)", "cos(a*b) - -a", "a - b*pi/(2 + a)", "(a - b)*(a + b)"]
)
def test_derivatives_equal_finite_differences(text: str) -> None:
    """The derivative of every operation agrees with a difference quotient, for numbers and arrays."""
    expression = parse(text)
    values = {"a": np.array([0.7, 1.9]), "b": 1.3}

    for name, slope in derivatives(expression, values).items():
        above = evaluate(expression, {**values, name: values[name] + 1e-6})
        below = evaluate(expression, {**values, name: values[name] - 1e-6})
        assert np.broadcast_to(slope, (2,)) == pytest.approx((above - below) / 2e-6, abs=1e-7)
