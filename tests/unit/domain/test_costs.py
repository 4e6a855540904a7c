"""Money: whole micro-dollars, rounded up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qstore_appliance.domain.costs import dollars, micros, price


def test_the_smallest_price_is_not_lost() -> None:
    """A hundred-thousandth of a dollar for one shot is ten micro-dollars, and less than a micro-dollar is one."""
    assert micros("0.00001") == 10
    assert micros("0.0000001") == 1


@given(st.integers(min_value=0, max_value=999_999_999_999_999))
def test_micros_and_dollars_are_inverse(amount: int) -> None:
    """What goes out as decimal dollars comes back as the same micro-dollars, up to a billion dollars."""
    assert micros(dollars(amount)) == amount


def test_the_minimum_charge_applies_only_where_something_costs() -> None:
    """A free backend stays free; a cheap job on a paid one costs the minimum."""
    assert price(100, 0, per_circuit=0, per_shot=0, minimum_charge=10_000) == 0
    assert price(1, 4, per_circuit=0, per_shot=10, minimum_charge=10_000) == 10_000
    assert price(144_000, 0, per_circuit=1_000, per_shot=0, minimum_charge=10_000) == 144_000_000
