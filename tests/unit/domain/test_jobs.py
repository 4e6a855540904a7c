"""Jobs: the transition table and what a submission may say."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from qstore_appliance.api.inputs import validated
from qstore_appliance.domain.configs import subject
from qstore_appliance.domain.jobs import LIVE, TERMINAL, TRANSITIONS, JobDraft, Priority, Progress
from qstore_appliance.errors import ValidationFailed


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


H2 = {"molecule": "H2", "bond_length": 0.735}


@pytest.mark.parametrize(
    "config",
    [
        {"task": "energy", "hamiltonian": H2},
        {"task": "energy", "hamiltonian": [{"pauli": "Z0 Z1", "coeff": -0.47}], "optimizer": "lbfgs"},
        {"task": "energy", "hamiltonian": {"model": "ising", "j": 1.0, "h": 0.5, "periodic": True}},
        {"task": "sampling", "shots": 100},
    ],
)
def test_tasks_without_data_need_no_data_set(config: dict[str, Any]) -> None:
    """An energy needs its Hamiltonian, a sampling not even that."""
    job = JobDraft.model_validate({"circuit_id": "circuit_1", "config": config})

    assert job.config.dataset is None


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({}, "config.dataset"),
        ({"dataset": None}, "config.dataset"),
        ({"task": "regression"}, "config.dataset"),
        ({"task": "energy"}, "config.hamiltonian"),
        ({"task": "energy", "hamiltonian": H2, "dataset": {"type": "iris"}}, "config.dataset"),
        ({"task": "sampling", "dataset": {"type": "iris"}}, "config.dataset"),
        ({"dataset": {"type": "iris"}, "hamiltonian": H2}, "config.hamiltonian"),
        ({"task": "energy", "hamiltonian": {"model": "hubbard"}}, "config.hamiltonian.model"),
        ({"task": "energy", "hamiltonian": {"molecule": "H2", "bond_length": 0.0}}, "config.hamiltonian.bond_length"),
        ({"task": "energy", "hamiltonian": [{"pauli": "Z0", "coeff": "1"}]}, "config.hamiltonian[0].coeff"),
        ({"task": "energy", "hamiltonian": []}, "config.hamiltonian"),
        ({"task": "energy", "hamiltonian": "H2"}, "config.hamiltonian"),
        ({"dataset": {"type": "iris"}, "schedule": "staircase"}, "config.schedule"),
        ({"dataset": {"type": "iris"}, "schedule": {"type": "cosine", "every": 3}}, "config.schedule.every"),
        ({"dataset": {"type": "iris"}, "class_weights": {"setosa": 0.0}}, "config.class_weights.setosa"),
        ({"dataset": {"type": "iris"}, "class_weights": "heavy"}, "config.class_weights"),
        ({"dataset": {"type": "iris"}, "encoding": {"type": "iqp", "gate": "RX"}}, "config.encoding.gate"),
        ({"dataset": {"type": "iris"}, "gradient_clip": 0.0}, "config.gradient_clip"),
    ],
)
def test_what_a_task_lacks_or_cannot_use_is_named_where_it_is(config: dict[str, Any], field: str) -> None:
    """One fault each, at the place that has to change."""
    document = {"circuit_id": "circuit_1", "config": config}

    with pytest.raises(ValidationFailed) as refused:
        validated(JobDraft, document)

    assert [error["field"] for error in refused.value.details["errors"]] == [field]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"dataset": {"type": "digits"}}, "digits"),
        ({"task": "energy", "hamiltonian": {"molecule": "H2"}}, "H2"),
        ({"task": "energy", "hamiltonian": {"model": "ising"}}, "ising"),
        ({"task": "energy", "hamiltonian": [{"pauli": "Z0", "coeff": 1.0}]}, "hamiltonian"),
        ({"task": "sampling"}, ""),
    ],
)
def test_a_list_says_what_a_job_is_about(config: dict[str, Any], expected: str) -> None:
    """Its data set, or its Hamiltonian in a word."""
    assert subject(config) == expected


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
