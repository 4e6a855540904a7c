"""The error family: codes, messages, and the way through a pipe."""

from __future__ import annotations

import pickle

import pytest

from qstore_appliance import errors


def test_every_class_has_its_own_code() -> None:
    """No two members of the family share a code."""
    classes = [errors.QStoreError]
    for kind in classes:
        classes.extend(kind.__subclasses__())

    assert len(errors.family()) == len(set(classes))


def test_the_docstring_is_the_default_message() -> None:
    """An error raised without words speaks its class's first line."""
    assert errors.StorageFull().message == "The disk is full."


@pytest.mark.parametrize("kind", errors.family().values())
def test_an_error_survives_the_pipe_of_a_child(kind: type[errors.QStoreError]) -> None:
    """Message, details and retry time are the same on both sides of a process boundary."""
    error = kind("said", details={"index": 3})
    back = pickle.loads(pickle.dumps(error))

    assert type(back) is kind
    assert (back.message, back.details) == ("said", {"index": 3})
    assert getattr(back, "retry_after", None) == getattr(error, "retry_after", None)


def test_a_gate_error_names_gate_and_index() -> None:
    """The circuit's error details are those that the API promises, however long the name was."""
    error = errors.InvalidCircuit.at(7, "Q" * 500, "unknown gate")

    assert error.details == {"gate": "Q" * 40, "index": 7}
    assert error.message.startswith("Gate 7 (")


def test_field_errors_are_listed_with_their_place() -> None:
    """Every wrong field is in the details, and the message counts them."""
    error = errors.ValidationFailed.of([("gates[3].targets", "missing"), ("name", "too long")])

    assert error.details["errors"][0] == {"field": "gates[3].targets", "message": "missing"}
    assert error.message == "gates[3].targets: missing (and 1 more)"


def test_absent_and_foreign_things_read_the_same() -> None:
    """Nothing in the answer tells whether another organization has that id."""
    assert errors.NotFound.of("circuit", "circuit_1").message == "No circuit with this id."
