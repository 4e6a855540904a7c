"""
What tests have measured and do not assert, in the summary at the end: `record_property("report", line)`; and how many
cases of each family of attacks were tried: `@pytest.mark.attack("A41")`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        families = {family for marker in item.iter_markers("attack") for family in marker.args}
        item.user_properties += [("attack", family) for family in sorted(families)]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    lines = [
        str(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "teardown"
        for name, value in report.user_properties
        if name == "report"
    ]
    if lines:
        terminalreporter.section("reports")
        for line in lines:
            terminalreporter.write_line(line)
    cases = Counter(
        str(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name == "attack"
    )
    if cases:
        terminalreporter.section(f"{cases.total()} attacks of {len(cases)} families")
        terminalreporter.write_line(", ".join(f"{family}: {cases[family]}" for family in sorted(cases)))
