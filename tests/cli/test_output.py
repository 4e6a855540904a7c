"""What verbs print of others' texts: a terminal obeys escape sequences, so none reaches it."""

from __future__ import annotations

import pytest

from qstore_appliance.cli import circuit, job
from qstore_appliance.cli.output import complain

EVIL = "\x1b]0;owned\x07\x9b31m\u202etxt"


def assert_harmless(text: str) -> None:
    assert all(character.isprintable() or character == "\n" for character in text)


def test_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """Names and tags of circuits are shown without what a terminal would obey."""
    row = {"id": "circuit_1", "name": EVIL, "n_qubits": 1, "depth": 1, "gate_count": 1, "version": 1, "tags": [EVIL]}

    circuit.SHOW["listed"]({"items": [row], "total": 1, "offset": 0}, {})

    printed = capsys.readouterr().out
    assert "owned" in printed
    assert_harmless(printed)


def test_logs(capsys: pytest.CaptureFixture[str]) -> None:
    """A line of a job's log is one line on the terminal, whatever it holds."""
    job.SHOW["logs"]({"timestamp": "2026-01-31T10:30:00Z", "level": "INFO", "message": f"a\nb{EVIL}"}, {})

    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert_harmless(printed)


def test_complaints(capsys: pytest.CaptureFixture[str]) -> None:
    """An error message names what was sent, and is one line."""
    complain(f"There is no class {EVIL}\nhere")

    printed = capsys.readouterr().err
    assert printed.startswith("qstore: There is no class")
    assert printed.count("\n") == 1
    assert_harmless(printed)
