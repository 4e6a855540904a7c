"""Reports of the ledger on both databases."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from qstore_appliance.database.connection import Database
from qstore_appliance.domain.usage import GroupBy
from qstore_appliance.errors import Forbidden
from qstore_appliance.services.costs import Costs
from qstore_appliance.services.usage import UsageReports
from tests.factories import SteppingClock, make_caller
from tests.services.test_costs import event


async def test_days_are_those_of_utc_and_the_organizations(database: Database) -> None:
    """The last second of a day and the first of the next are in different lines; others' events in none."""
    caller = make_caller()
    ours = caller.organization_id
    clock = SteppingClock(datetime(2026, 3, 30, 23, 59, 59, 999_000, tzinfo=UTC))
    costs, reports = Costs(database, clock), UsageReports(database, clock)
    await costs.record(event(ours, amount=5))
    await costs.record(event(amount=900))
    clock.advance(seconds=1)
    await costs.record(event(ours, amount=2**60, shots=7, project="p", cpu_microseconds=3))
    await costs.record(event(ours, amount=1, backend="qsim", project="p"))

    days = await reports.report(caller)
    projects = await reports.report(caller, date(2026, 3, 31), date(2026, 3, 31), GroupBy.PROJECT)

    assert [(line.key, line.backend, line.cost) for line in days.lines] == [
        ("2026-03-30", "native", 5),
        ("2026-03-31", "native", 2**60),
        ("2026-03-31", "qsim", 1),
    ]
    assert (days.start, days.end) == (date(2026, 3, 1), date(2026, 3, 31))
    assert [(line.key, line.cost, line.shots, line.cpu_microseconds) for line in projects.lines] == [
        ("p", 2**60, 7, 3),
        ("p", 1, 0, 0),
    ]


async def test_usage_needs_its_scope(database: Database) -> None:
    """A key without `usage:read` sees nothing."""
    caller = make_caller(scopes=frozenset({"jobs:read"}))

    with pytest.raises(Forbidden):
        await UsageReports(database, SteppingClock()).report(caller)
