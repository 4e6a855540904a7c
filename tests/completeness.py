"""
Which tests run, how long they may, and whether any was skipped that could have run.

A skipped test proves nothing. On a developer's machine a missing part (a browser, a GPU) is skipped with its reason and
counted; where `CI` is set, a skip fails the run unless words of its reason stand in `MAY_BE_MISSING`.
"""

from __future__ import annotations

import os

import pytest

# Words in the reason of a skip, for what a machine may honestly lack.
MAY_BE_MISSING = (
    "no NVIDIA GPU",
    "no Node.js",
    "not on this operating system",
    "only root",
    "no node with npm",
    "no Go compiler",
)

#: For a test marked `long`; what the others may take stands in pyproject.toml.
LONG_SECONDS = 6 * 3600

_skipped: dict[str, list[str]] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests marked `long` too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the long tests out, unless asked for: deselected, so that they do not count as skipped."""
    left_out = [item for item in items if item.get_closest_marker("long")]
    if config.getoption("--long"):
        for item in left_out:
            item.add_marker(pytest.mark.timeout(LONG_SECONDS))
    elif left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("long")]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _note(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    _note(report)


def _note(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    _skipped.setdefault(reason.removeprefix("Skipped: "), []).append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails a complete run under CI for a skip that nothing excuses."""
    if _inexcusable(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    inexcusable = _inexcusable(config)
    if inexcusable:
        terminalreporter.section("skipped, though this machine could have run them", red=True)
        for reason, tests in inexcusable.items():
            terminalreporter.line(f"{len(tests)} × {reason}: {tests[0]}")


def _inexcusable(config: pytest.Config) -> dict[str, list[str]]:
    # A worker of -n only reports; the process that collects the reports judges.
    if hasattr(config, "workerinput") or os.environ.get("CI", "").lower() not in {"1", "true", "yes"}:
        return {}
    return {reason: tests for reason, tests in _skipped.items() if not any(words in reason for words in MAY_BE_MISSING)}
