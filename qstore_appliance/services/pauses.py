"""What the alerts of a budget hold up: `pause_jobs` those that run and wait, `pause_new_jobs` those that come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.alerts import FiredAlertRow
from qstore_appliance.database.tables.costs import BudgetRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain.alerts import Action
from qstore_appliance.domain.backends import spoken
from qstore_appliance.domain.costs import month_of
from qstore_appliance.domain.events import Event
from qstore_appliance.domain.jobs import Status
from qstore_appliance.domain.ports import Clock, EventBus
from qstore_appliance.errors import BudgetExceeded
from qstore_appliance.services.alerts import Spend, reached
from qstore_appliance.services.journal import Entry, Journal, Line

#: How the reason begins of jobs that a budget's alert holds up; those with it go on when the alert no longer does.
BEGINNING = "Waits for the budget: "
#: Paused jobs that one look lets go on.
MAX_RESUMED = 1_000


class Pauses:
    """
    A fired alert says that something may be held up, and the budget as it is now says whether it is: a limit that was
    raised, an alert that was taken away or a new month needs nobody who takes a pause back.
    """

    def __init__(self, database: Database, events: EventBus, clock: Clock, spend: Spend) -> None:
        self._database = database
        self._journal = Journal(events, clock)
        self._clock = clock
        self._spend = spend

    async def admit(self, organization_id: str) -> None:
        """
        Raises:
            BudgetExceeded: An alert admits no new jobs.
        """
        threshold = await self._lowest(organization_id, Action.PAUSE_NEW_JOBS)
        if threshold is not None:
            until = spoken(self._end())
            raise BudgetExceeded(
                f"The budget's alert at {threshold} % admits no new jobs until the limit is raised, or {until}.",
                details={"threshold": threshold, "until": until},
            )

    async def hold(self, organization_id: str) -> str | None:
        """The sentence that says why no job of the organization may run now; None where they may."""
        threshold = await self._lowest(organization_id, Action.PAUSE_JOBS)
        if threshold is None:
            return None
        return f"{BEGINNING}its alert at {threshold} % pauses all jobs until the limit is raised, or {spoken(self._end())}."

    async def held(self) -> dict[str, str]:
        """Organizations whose jobs may not run now, each with that sentence."""
        fired = FiredAlertRow.filter(month=month_of(self._clock.now()), action=Action.PAUSE_JOBS)
        found: dict[str, str] = {}
        for organization_id in await fired.distinct().values_list("organization_id", flat=True):
            reason = await self.hold(str(organization_id))
            if reason is not None:
                found[str(organization_id)] = reason
        return found

    async def look(self) -> dict[str, str]:
        """
        Jobs that wait for a budget say so; those that do so no longer go on.

        Returns: what `held` does.
        """
        held = await self.held()
        await self._tell_why(held)
        paused = JobRow.filter(status=Status.PAUSED, reason__startswith=BEGINNING).exclude(
            organization_id__in=list(held)
        )
        for row in await paused.order_by("created_at").limit(MAX_RESUMED).only("id", "organization_id", "fence"):
            await self._resume(row)
        return held

    async def _tell_why(self, held: Mapping[str, str]) -> None:
        queued = JobRow.filter(status=Status.QUEUED)
        changes: list[tuple[QuerySet[JobRow], str | None]] = [
            (queued.filter(organization_id=id).filter(Q(reason__isnull=True) | ~Q(reason=reason)), reason)
            for id, reason in held.items()
        ]
        changes.append((queued.filter(reason__startswith=BEGINNING).exclude(organization_id__in=list(held)), None))
        for rows, reason in changes:
            # On SQLite a transaction makes everybody wait, and mostly there is nothing to write.
            if await rows.exists():
                async with self._database.transaction():
                    await rows.update(reason=reason, updated_at=self._clock.now())

    async def _resume(self, row: JobRow) -> None:
        events: list[Event] = []
        async with self._database.transaction():
            mine = JobRow.filter(id=row.id, fence=row.fence, status=Status.PAUSED, reason__startswith=BEGINNING)
            now = self._clock.now()
            if await mine.update(status=Status.QUEUED, reason=None, queued_at=now, updated_at=now):
                written = await JobRow.get(id=row.id)
                said = f"The budget allows it again; it goes on after epoch {written.checkpoint_epoch}."
                entries: list[Entry] = [Line(said), self._journal.progress(written)]
                events = await self._journal.record(row.organization_id, row.id, entries)
        await self._journal.publish(events)

    async def _lowest(self, organization_id: str, action: Action) -> int | None:
        """The lowest threshold with that action that is in force now."""
        fired = FiredAlertRow.filter(organization_id=organization_id, month=month_of(self._clock.now()), action=action)
        if not await fired.exists():
            return None
        budget = await BudgetRow.get_or_none(organization_id=organization_id)
        if budget is None or budget.monthly_limit is None:
            return None
        spend = await self._spend(organization_id)
        thresholds = [int(one["threshold"]) for one in budget.alerts if one["action"] == action]
        return min((one for one in thresholds if reached(one, spend, budget.monthly_limit)), default=None)

    def _end(self) -> datetime:
        """When the month ends, in UTC."""
        now = self._clock.now()
        year, month = (now.year, now.month + 1) if now.month < 12 else (now.year + 1, 1)
        return now.replace(year=year, month=month, day=1, hour=0, minute=0, second=0, microsecond=0)
