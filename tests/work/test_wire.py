"""What crosses a child's pipe: values and errors as they were, and nothing that could be executed."""

from __future__ import annotations

import os
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

from qstore_appliance.engine.plan import EpochReport
from qstore_appliance.errors import (
    BackendUnavailable,
    Conflict,
    InvalidCircuit,
    QStoreError,
    RateLimited,
    WorkerCrash,
    WorkerOutOfMemory,
)
from qstore_appliance.work import wire
from tests.services.laboratory import make_report


def crossed(error: BaseException) -> QStoreError:
    """The error as it arrives on the other side."""
    message = wire.unpack(wire.pack("error", wire.fault(error)))
    return wire.error_of(wire.body(message, wire.Fault))


@pytest.mark.parametrize(
    "error",
    [
        InvalidCircuit.at(3, "FOO", "there is no such gate"),
        BackendUnavailable("It sleeps.", retry_after=7.0),
        RateLimited("Slow down.", retry_after=3.0),
        Conflict("No.", retry_after=None),
    ],
)
def test_error_arrives_as_it_was(error: QStoreError) -> None:
    """Class, message, details and retry_after are the same on both sides."""
    found = crossed(error)

    assert type(found) is type(error)
    assert (found.message, found.details) == (error.message, error.details)
    assert getattr(found, "retry_after", None) == getattr(error, "retry_after", None)


def test_strangers_errors_become_ours() -> None:
    """MemoryError is WORKER_OOM; anything else is INTERNAL with class and text."""
    assert isinstance(crossed(MemoryError()), WorkerOutOfMemory)
    assert (crossed(ZeroDivisionError("1/0")).code, crossed(ZeroDivisionError("1/0")).message) == (
        "INTERNAL",
        "ZeroDivisionError: 1/0",
    )


def test_details_that_are_no_json_are_told_as_text() -> None:
    """An error whose details hold something odd still arrives."""
    assert crossed(QStoreError("odd", details={"what": object})).details["what"].startswith("<class")


def test_report_arrives_exactly() -> None:
    """Floats and bytes of a report are the same to the last bit."""
    report = make_report(3, loss=0.1 + 0.2, checkpoint=bytes(range(256)))

    message = wire.unpack(wire.pack("epoch", report))

    assert wire.body(message, EpochReport) == report


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x93\x01\x02\x03", bytes(range(200, 256))])
def test_garbage_is_a_crash_of_the_child(content: bytes) -> None:
    """Bytes that are no message mean that the child is not to be trusted any more."""
    with pytest.raises(WorkerCrash):
        wire.body(wire.unpack(content), EpochReport)


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, True, "ä", b"\x00"]},
        {1, 2},
        (1 + 2j,),
        datetime(2026, 1, 2, tzinfo=UTC),
        make_report(),
    ],
)
def test_values_survive(value: Any) -> None:
    """Plain values and value types of ours come through."""
    assert wire.load_value(wire.dump_value(value)) == value


class Command:
    """Executes what it holds when it is unpickled."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    "value",
    [
        Command(os.system, "true"),
        Command(eval, "1"),
        Command(getattr, "a", "upper"),
        Command(wire.pack, "epoch"),
        Command(pickle.loads, b""),
    ],
)
def test_nothing_is_executed(value: Command) -> None:
    """A value that names a function, ours or the system's, is refused."""
    with pytest.raises(WorkerCrash, match="not a value"):
        wire.load_value(pickle.dumps(value))


def test_dotted_names_lead_nowhere() -> None:
    """A class of ours is no way to what its module has imported."""
    content = b"\x80\x04\x8c\x22qstore_appliance.work.children\x8c\x09os.system\x93."
    content = content.replace(b"\x8c\x22", b"\x8c" + bytes([len("qstore_appliance.work.children")]))

    with pytest.raises(WorkerCrash, match="not a value"):
        wire.load_value(content)
