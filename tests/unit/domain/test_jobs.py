"""Jobs: the transition table and what a submission may say."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from qstore_appliance.domain.jobs import LIVE, TERMINAL, TRANSITIONS, JobDraft, Priority, Progress


def test_terminal_states_lead_nowhere_and_live_ones_do() -> None:
    """A job ends once; from every live state there is a way to the end."""
    assert all(TRANSITIONS[status] == frozenset() for status in TERMINAL)
    assert all(TRANSITIONS[status] & TERMINAL for status in LIVE)


def test_priorities_are_ordered() -> None:
    """High goes before normal, normal before low."""
    assert Priority.HIGH.rank > Priority.NORMAL.rank > Priority.LOW.rank


def test_percentage_of_nothing_is_nothing() -> None:
    """A job that has not learned its number of epochs is at 0 %."""
    assert Progress().percentage == 0
    assert Progress(current_epoch=45, total_epochs=100).percentage == 45


def draft(**config: Any) -> dict[str, Any]:
    return {"circuit_id": "circuit_1", "config": {"dataset": {"type": "digits"}, **config}}


def test_the_least_a_submission_needs() -> None:
    """Circuit and data set suffice; the rest has defaults."""
    job = JobDraft.model_validate(draft())

    assert job.config.shots is None
    assert job.priority is Priority.NORMAL


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("epochs", True),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", -0.1),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("shots", 0),
        ("shots", -1),
        ("shots", 1.5),
        ("shots", "1e3"),
        ("shots", 2**63),
        ("shots", True),
        ("task", "divination"),
        ("backend", "../native"),
        ("hardware_config", {"nodes": 2}),
        ("price_override", 0),
    ],
)
def test_nonsense_is_refused_with_its_field(field: str, value: Any) -> None:
    """Zero, negative, fractional, boolean, textual, huge and non-finite numbers, and unknown fields."""
    with pytest.raises(ValidationError) as raised:
        JobDraft.model_validate(draft(**{field: value}))

    assert field in str(raised.value)


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), -1, 1e308, True, "5"])
def test_a_budget_is_a_finite_number_of_dollars(limit: Any) -> None:
    """NaN does not pass a budget."""
    with pytest.raises(ValidationError):
        JobDraft.model_validate({**draft(), "budget_limit": limit})
