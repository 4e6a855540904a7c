"""
Whether another job may start on a backend now: not in a maintenance window, not beside more jobs than it takes, and not
once its circuits of the hour are used up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from tortoise.functions import Count

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.circuit_jobs import CircuitJobRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain.backends import spoken
from qstore_appliance.domain.circuit_jobs import CircuitJobStatus
from qstore_appliance.domain.jobs import Status
from qstore_appliance.domain.ports import Clock
from qstore_appliance.engine.backend import Limits
from qstore_appliance.services.maintenance import Maintenance
from qstore_appliance.services.measurements import Measurements

_MAINTENANCE = "Waits for the maintenance of "
_JOBS = "Waits for another job on "
_CIRCUITS = "Waits for circuits on "
#: How the reasons begin that a backend gives; whoever waits for nothing of that any more loses them.
BEGINNINGS = (_MAINTENANCE, _JOBS, _CIRCUITS)


class Admission:
    """
    Args:
        limits: Of a backend, as they are in force.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        measurements: Measurements,
        maintenance: Maintenance,
        limits: Callable[[str], Limits],
    ) -> None:
        self._database = database
        self._clock = clock
        self._measurements = measurements
        self._maintenance = maintenance
        self._limits = limits

    async def held(self, names: Iterable[str]) -> dict[str, str]:
        """Those of the backends that take no further job now, each with the sentence that says why."""
        now = self._clock.now()
        windows, running = await self._maintenance.next_of_all(), await self._running(now)
        found: dict[str, str] = {}
        for name in names:
            window, limits = windows.get(name), self._limits(name)
            if window is not None and window.covers(now):
                found[name] = f"{_MAINTENANCE}{name} to end at {spoken(window.end)}."
            elif running.get(name, 0) >= limits.max_concurrent_jobs:
                found[name] = f"{_JOBS}{name}: {running[name]} of {limits.max_concurrent_jobs} run."
            elif (used_up := await self.used_up(name)) is not None:
                found[name] = used_up
        return found

    async def hold(self, name: str) -> str | None:
        """
        Inside the transaction that takes a job: why it may not start on this backend, or None.

        Until that is over nobody else counts the backend's jobs: two that start at once would both see a free place.
        """
        await self._database.one_at_a_time(f"backend:{name}")
        return (await self.held([name])).get(name)

    async def used_up(self, name: str) -> str | None:
        """The sentence that says when a backend has circuits again; None while there are some left of this hour."""
        most = self._limits(name).rate_limit_per_hour
        if most is None:
            return None
        used, free_at = await self._measurements.last_hour(name, most)
        if free_at is None:
            return None
        return f"{_CIRCUITS}{name}: {used} of {most} of the last hour are used up until {spoken(free_at)}."

    async def seconds_until_free(self, name: str) -> float | None:
        """Seconds until a backend has circuits again; None while there are some left of this hour."""
        most = self._limits(name).rate_limit_per_hour
        free_at = None if most is None else (await self._measurements.last_hour(name, most))[1]
        return None if free_at is None else max(1.0, (free_at - self._clock.now()).total_seconds())

    async def _running(self, now: datetime) -> dict[str, int]:
        """Jobs of both kinds by backend; one whose worker is gone counts no more."""
        found: dict[str, int] = {}
        for rows in (
            JobRow.filter(status=Status.RUNNING, lease_until__gt=now),
            CircuitJobRow.filter(status=CircuitJobStatus.RUNNING, lease_until__gt=now),
        ):
            counted = rows.annotate(running=Count("id")).group_by("backend")
            for name, count in await counted.values_list("backend", "running"):
                found[str(name)] = found.get(str(name), 0) + int(count)
        return found
