"""More money for a job: its limit is raised out of the month's budget, and where it was paused it goes on."""

from __future__ import annotations

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.budgets import TopUpDraft
from qstore_appliance.domain.costs import dollars, micros
from qstore_appliance.domain.events import Event
from qstore_appliance.domain.jobs import TERMINAL, Job, Priority, Status
from qstore_appliance.domain.ports import Clock, EventBus, Queue
from qstore_appliance.errors import Conflict, Forbidden, NotFound, ValidationFailed
from qstore_appliance.services.audit import Audit
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.journal import Entry, Journal, Line
from qstore_appliance.services.reservations import Reservations


class TopUps:
    def __init__(
        self,
        database: Database,
        queue: Queue,
        events: EventBus,
        reservations: Reservations,
        backends: Backends,
        clock: Clock,
    ) -> None:
        self._database = database
        self._queue = queue
        self._reservations = reservations
        self._backends = backends
        self._clock = clock
        self._audit = Audit(database, clock)
        self._journal = Journal(events, clock)

    async def top_up(self, caller: Caller, id: str, draft: TopUpDraft) -> Job:
        """
        Raise a live job's `budget_limit`; a paused job goes back into the line, and on from its checkpoint.

        Raises:
            NotFound: No such job in the caller's organization.
            Forbidden: Somebody else's, and the caller may only top up their own.
            HardwareForbidden: It runs on hardware, and the caller's API key is for tests.
            Conflict: It has ended.
            ValidationFailed: The limit is not more than what the job has already.
            BudgetExceeded: The month's budget has no room for the difference; nothing has changed.
        """
        caller.require("jobs:submit")
        limit, now = micros(draft.budget_limit), self._clock.now()
        asked = await JobRow.get_or_none(id=id, organization_id=caller.organization_id)
        if asked is not None:
            # Not inside the transaction: a backend may still be probed.
            await self._backends.refuse_tests(caller, asked.backend)
        async with self._database.transaction():
            # On Postgres the job's row is locked before its reservation, as everywhere.
            mine = JobRow.filter(id=id, organization_id=caller.organization_id)
            row = await mine.select_for_update().first()
            if row is None:
                raise NotFound.of("job", id)
            if row.user_id != caller.user_id and not caller.may("jobs:*"):
                raise Forbidden("This job is somebody else's; only an admin may top it up.")
            if Status(row.status) in TERMINAL:
                raise Conflict(f"The job has {row.status} already.", details={"status": str(row.status)})
            held = await self._reservations.held(id)
            least = held.amount + held.charged
            if limit <= max(least, row.budget_limit or 0):
                more = dollars(max(least, row.budget_limit or 0))
                raise ValidationFailed.field("budget_limit", f"must be more than the {more:g} that the job has")
            await self._reservations.extend(id, row.organization_id, limit - least)
            entries: list[Entry] = [Line(f"Topped up: its budget_limit is {dollars(limit):g} US dollars now.")]
            woken = row.status == Status.PAUSED
            if woken:
                await mine.update(
                    budget_limit=limit,
                    status=Status.QUEUED,
                    reason=None,
                    error_code=None,
                    queued_at=now,
                    updated_at=now,
                )
            else:
                await mine.update(budget_limit=limit, updated_at=now)
            written = await JobRow.get(id=id)
            if woken:
                entries.append(self._journal.progress(written))
            events: list[Event] = await self._journal.record(row.organization_id, id, entries)
            await self._audit.record(
                "job.topped_up",
                organization_id=row.organization_id,
                caller=caller,
                subject=id,
                limit_before=row.budget_limit,
                limit=limit,
            )
        if woken:
            await self._queue.wake(id, Priority(row.priority).rank)
        await self._journal.publish(events)
        return (await JobRow.get(id=id)).to_domain()
