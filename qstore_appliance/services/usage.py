"""Reports of the ledger. The database adds up: an organization's year may have millions of events."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from qstore_appliance.database.connection import Database
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.ports import Clock
from qstore_appliance.domain.usage import MOST_DAYS, GroupBy, Usage, Used
from qstore_appliance.errors import ValidationFailed

_DAY = {"sqlite": "substr(created_at, 1, 10)", "postgres": "to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')"}
_KEYS = {GroupBy.BACKEND: "backend", GroupBy.USER: "user_id", GroupBy.PROJECT: "coalesce(project, '')"}
_SUMS = ("amount", "circuits", "shots", "cpu_microseconds", "gpu_microseconds")


class UsageReports:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def report(
        self, caller: Caller, start: date | None = None, end: date | None = None, group_by: GroupBy = GroupBy.DAY
    ) -> Usage:
        """
        Sums over the days from `start` to `end`, both included, in UTC; by default the month so far.

        Raises:
            ValidationFailed: The range is backwards, or longer than a year.
        """
        caller.require("usage:read")
        today = self._clock.now().astimezone(UTC).date()
        last = end or max(today, start or today)
        first = start or last.replace(day=1)
        if last < first:
            raise ValidationFailed.field("end_date", f"is before start_date, {first}")
        if (last - first).days >= MOST_DAYS:
            raise ValidationFailed.field("start_date", f"is more than {MOST_DAYS} days before end_date")
        if last == date.max:
            raise ValidationFailed.field("end_date", "must be an earlier day")
        dialect = self._database.dialect
        key = _DAY[dialect] if group_by == GroupBy.DAY else _KEYS[group_by]
        sums = ", ".join(f"sum({column}) AS {column}" for column in _SUMS)
        mark = ("?", "?", "?") if dialect == "sqlite" else ("$1", "$2", "$3")
        query = (
            f"SELECT {key} AS key, backend, {sums} FROM cost_events"  # noqa: S608 - all of it ours
            f" WHERE organization_id = {mark[0]} AND created_at >= {mark[1]} AND created_at < {mark[2]}"
            f" GROUP BY {key}, backend ORDER BY 1, 2"
        )
        bounds = [self._midnight(first), self._midnight(last + timedelta(days=1))]
        rows = await self._database.connection.execute_query_dict(query, [caller.organization_id, *bounds])
        return Usage(start=first, end=last, group_by=group_by, lines=[_line(row) for row in rows])

    def _midnight(self, day: date) -> str | datetime:
        # SQLite keeps times as text, and the day alone sorts before every time of that day.
        return day.isoformat() if self._database.dialect == "sqlite" else datetime.combine(day, time(), UTC)


def _line(row: dict[str, Any]) -> Used:
    # Sums of bigints are decimals on Postgres.
    return Used(
        key=str(row["key"]),
        backend=str(row["backend"]),
        cost=int(row["amount"]),
        circuits=int(row["circuits"]),
        shots=int(row["shots"]),
        cpu_microseconds=int(row["cpu_microseconds"]),
        gpu_microseconds=int(row["gpu_microseconds"]),
    )
