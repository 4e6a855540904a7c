"""
Counters of what backends really did, kept in the database: for their status, and for limits by the hour.

Each is one UPSERT, so that it fits into the transaction of the epoch that it counts; it comes last in there, since on
Postgres every server waits for the row of the same backend and day.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from tortoise.functions import Sum

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.backends import BackendDayRow, BackendMinuteRow
from qstore_appliance.domain.backends import Measured
from qstore_appliance.domain.ports import Clock

#: Latency, throughput, waiting time and uptime are those of so many days, today included.
WINDOW_DAYS = 30
HOUR = timedelta(hours=1)
#: A minute counts as a whole, so it counts until its last moment is an hour ago.
MINUTE = timedelta(minutes=1)

_COUNTERS = ("circuits", "seconds", "checks", "checks_good", "jobs_started", "wait_seconds")
_KINDS = {"seconds": float, "wait_seconds": float}


class Measurements:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    # Counting: inside the caller's transaction -------------------------------------------------------------------

    async def ran(self, backend: str, circuits: int, seconds: float) -> None:
        """So many circuits took so long together."""
        if circuits:
            await self._count(backend, circuits=circuits, seconds=seconds)

    async def started(self, backend: str, wait_seconds: float) -> None:
        """A job has begun that waited so long."""
        await self._count(backend, jobs_started=1, wait_seconds=max(0.0, wait_seconds))

    async def checked(self, backend: str, good: bool) -> None:
        """A probe is over."""
        await self._count(backend, checks=1, checks_good=int(good))

    async def used(self, backend: str, circuits: int) -> None:
        """So many circuits count against the limit of the hour. Minutes that count no more go."""
        if not circuits:
            return
        minute = _minute(self._clock.now())
        columns = ("id", "backend", "minute", "circuits")
        values = [f"{minute}:{backend}", backend, minute, circuits]
        await self._upsert("backend_minutes", columns, values, ("circuits",))
        await BackendMinuteRow.filter(minute__lt=_minute(self._clock.now() - 2 * HOUR)).delete()

    async def tidy(self) -> None:
        """Delete the days that are too old to count."""
        first = self._first_day()
        if await BackendDayRow.filter(day__lt=first).exists():
            async with self._database.transaction():
                await BackendDayRow.filter(day__lt=first).delete()

    # Reading -----------------------------------------------------------------------------------------------------

    async def of_all(self) -> dict[str, Measured]:
        """By backend, what was counted over the window; nothing of a backend that nobody has used."""
        sums = {f"sum_{name}": Sum(name) for name in _COUNTERS}
        rows = BackendDayRow.filter(day__gte=self._first_day()).annotate(**sums).group_by("backend")
        return {
            # Sums of bigints are decimals on Postgres.
            str(row["backend"]): msgspec.convert(
                {name: _KINDS.get(name, int)(row[f"sum_{name}"] or 0) for name in _COUNTERS}, Measured
            )
            for row in await rows.values("backend", *sums)
        }

    async def last_hour(self, backend: str, most: int) -> tuple[int, datetime | None]:
        """
        Circuits of the last hour, and when fewer than `most` will have been of the last hour; None where that is now.

        A minute counts until its end is an hour ago: rather a few seconds too long than a moment too short.
        """
        oldest = _minute(self._clock.now() - HOUR)
        rows = BackendMinuteRow.filter(backend=backend, minute__gte=oldest).order_by("minute")
        minutes = [(str(minute), int(circuits)) for minute, circuits in await rows.values_list("minute", "circuits")]
        used = left = sum(circuits for _, circuits in minutes)
        free_at = None
        for minute, circuits in minutes:
            if left < most:
                break
            left -= circuits
            free_at = datetime.fromisoformat(f"{minute}:00+00:00") + HOUR + MINUTE
        return used, free_at

    # Inside ------------------------------------------------------------------------------------------------------

    async def _count(self, backend: str, **counts: float) -> None:
        day = _day(self._clock.now())
        given = [_KINDS.get(name, int)(counts.get(name, 0)) for name in _COUNTERS]
        values = [f"{day}:{backend}", backend, day, *given]
        await self._upsert("backend_days", ("id", "backend", "day", *_COUNTERS), values, _COUNTERS)

    async def _upsert(self, table: str, columns: tuple[str, ...], values: list[Any], added: tuple[str, ...]) -> None:
        """Insert the row, or add to these columns of the one that is there."""
        postgres = self._database.dialect == "postgres"
        places = ", ".join(f"${place}" if postgres else "?" for place in range(1, len(columns) + 1))
        names = ", ".join(f'"{column}"' for column in columns)
        sums = ", ".join(f'"{column}" = "{table}"."{column}" + excluded."{column}"' for column in added)
        await self._database.connection.execute_query(
            f'INSERT INTO "{table}" ({names}) VALUES ({places}) ON CONFLICT ("id") DO UPDATE SET {sums}',  # noqa: S608
            values,
        )

    def _first_day(self) -> str:
        return _day(self._clock.now() - timedelta(days=WINDOW_DAYS - 1))


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M}"
