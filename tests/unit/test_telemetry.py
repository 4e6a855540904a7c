"""Log lines: one event is one line, whatever is in it, and secrets in variables stay there."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from qstore_appliance import telemetry


@pytest.fixture(params=["json", "console"])
def style(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stream(style: str) -> Iterator[io.StringIO]:
    before = logging.getLogger().level
    text = io.StringIO()
    telemetry.configure("info", style, text)
    yield text
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if getattr(handler, "qstore", False)]:
        root.removeHandler(handler)
    root.setLevel(before)
    structlog.reset_defaults()


def test_a_value_cannot_forge_a_line(stream: io.StringIO) -> None:
    """Line breaks, terminal escapes and bidirectional marks in values come out escaped, on one line."""
    structlog.get_logger("x").info("thing.happened", name="a\nb\r\x1b[31mred\u202e\u2028")

    assert stream.getvalue().count("\n") == 1
    assert not any(c in stream.getvalue().rstrip("\n") for c in "\r\x1b\u202e\u2028")


def test_a_value_has_an_end(stream: io.StringIO) -> None:
    """A text of a megabyte is cut."""
    structlog.get_logger("x").info("thing.happened", text="y" * 1_000_000)

    assert len(stream.getvalue()) < 10_000


def test_a_traceback_keeps_the_values_of_variables(stream: io.StringIO) -> None:
    """An exception is logged with its place and not with what its variables held."""
    secret_in_a_variable = "hunter" + "2"
    try:
        raise RuntimeError(f"it broke after {len(secret_in_a_variable)}")
    except RuntimeError:
        structlog.get_logger("x").exception("thing.failed")

    assert "it broke after 7" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_other_libraries_come_out_alike(stream: io.StringIO, style: str) -> None:
    """What is logged through the standard library has the same form; chatter below its level is left out."""
    logging.getLogger("some.library").warning("disk %s", "full")
    logging.getLogger("sanic.root").info("chatter")
    structlog.get_logger("x").debug("chatter")

    line = stream.getvalue()
    assert "disk full" in line
    assert "chatter" not in line
    if style == "json":
        event = json.loads(line)
        assert (event["event"], event["level"], event["logger"]) == ("disk full", "warning", "some.library")
