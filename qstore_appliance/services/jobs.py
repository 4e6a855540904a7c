"""Training jobs as people see them: submit, read, cancel, follow. What happens inside a run is in `runs.py`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.jobs import JobLogRow, JobRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.events import JOB_CHANNELS, JOB_PROGRESS, Event
from qstore_appliance.domain.jobs import (
    TERMINAL,
    ContinueDraft,
    Job,
    JobDraft,
    JobSummary,
    Lease,
    LogLine,
    Priority,
    Status,
    Submitted,
)
from qstore_appliance.domain.listing import Listed, Page
from qstore_appliance.domain.ports import Clock, EventBus, Queue
from qstore_appliance.errors import Conflict, Forbidden, NotFound, ValidationFailed
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.datasets import Datasets
from qstore_appliance.services.endings import LeaseLost, is_idle
from qstore_appliance.services.intake import Intake
from qstore_appliance.services.journal import LEVELS, Entry, Journal, Line, position, told
from qstore_appliance.services.pauses import Pauses
from qstore_appliance.services.remote_costs import RemoteCosts
from qstore_appliance.services.runs import Runs
from qstore_appliance.services.sorting import order_of
from qstore_appliance.services.submission import Submission
from qstore_appliance.settings import Settings

SORTS = ("created_at", "updated_at", "status", "priority")
MAX_LINES = 10_000
#: A child has two seconds to stop; then the answer says what is true by then.
CANCEL_SECONDS = 4.0
#: The reason of a job that a person paused.
PAUSED = "Paused; resume it to go on."
#: A follower looks again after so long without an event.
LOOK_SECONDS = 2.0
#: ... and does not look more often than this.
REST_SECONDS = 0.2
PAGE_LINES = 500
_ROW = ("id", "status", "priority", "circuit_id", "backend", "config", "progress", "metrics", "model_id", "reason",
        "created_at", "queued_at", "started_at", "completed_at", "organization_id", "expected_bytes", "needs_gpu")  # fmt: skip


#: A line's columns, read as tuples: a row object for each would cost more than reading it.
_LINE = ("seq", "created_at", "level", "message")


class Jobs:
    def __init__(
        self,
        database: Database,
        queue: Queue,
        backends: Backends,
        datasets: Datasets,
        runs: Runs,
        events: EventBus,
        clock: Clock,
        settings: Settings,
        remote_costs: RemoteCosts | None = None,
        pauses: Pauses | None = None,
    ) -> None:
        self._database = database
        self._queue = queue
        self._backends = backends
        self._runs = runs
        self._events = events
        self._clock = clock
        self._settings = settings
        self._submission = Submission(backends, datasets, remote_costs)
        self._journal = Journal(events, clock)
        self.intake = Intake(database, queue, runs, self._submission, self._journal, clock, settings, pauses)

    # Submitting --------------------------------------------------------------------------------------------------

    async def submit(self, caller: Caller, draft: JobDraft) -> Submitted:
        """
        Accept a job: checked, saved, announced.

        Raises: what `Submission.check` raises; RateLimited: too many jobs of the organization wait already;
            BudgetExceeded: the month's budget has no room for it.
        """
        caller.require("jobs:submit")
        return await self.intake.submit(caller, draft)

    async def go_on(self, caller: Caller, id: str, draft: ContinueDraft) -> Submitted:
        """
        A new job that goes on from an ended one, for so many further epochs: see `Intake.go_on`.

        Raises:
            NotFound: No such job in the caller's organization.
            Conflict: It has not ended, or its checkpoint was not kept.
        """
        caller.require("jobs:submit")
        return await self.intake.go_on(caller, await self._row(caller, id), draft)

    async def replay(self, caller: Caller, id: str) -> Submitted:
        """
        A new job that runs an ended one again and compares: see `Intake.replay`.

        Raises:
            NotFound: No such job in the caller's organization.
            Conflict: It has not ended, or nothing of it can be compared.
        """
        caller.require("jobs:submit")
        return await self.intake.replay(caller, await self._row(caller, id))

    async def estimate(self, caller: Caller, draft: JobDraft) -> dict[str, Any]:
        """
        What a job would take, without submitting it: seconds, bytes and micro-dollars, each low, expected and high.

        Raises: what `Submission.check` raises.
        """
        caller.require("jobs:submit")
        accepted = await self._submission.check(caller, draft)
        return {
            "time_seconds": msgspec.to_builtins(accepted.estimate.seconds),
            "memory_bytes": msgspec.to_builtins(accepted.estimate.memory_bytes),
            "cost": {name: int(amount) for name, amount in msgspec.to_builtins(accepted.cost).items()},
            "backend": accepted.backend,
            "auto_backend": accepted.auto_backend,
            "backend_reason": accepted.backend_reason,
        }

    # Reading -----------------------------------------------------------------------------------------------------

    async def get(self, caller: Caller, id: str) -> Job:
        """
        Raises:
            NotFound: No such job in the caller's organization.
        """
        caller.require("jobs:read")
        row = await self._row(caller, id)
        reasons = await self._runs.lines.reasons([row])
        return msgspec.structs.replace(row.to_domain(), reason=reasons[id])

    async def listed(self, caller: Caller, page: Page, statuses: Sequence[Status] = ()) -> Listed[JobSummary]:
        caller.require("jobs:read")
        found = JobRow.filter(organization_id=caller.organization_id)
        if statuses:
            found = found.filter(status__in=[Status(status).value for status in statuses])
        rows = await found.order_by(*order_of(page.sort, SORTS)).offset(page.offset).limit(page.limit).only(*_ROW)
        reasons = await self._runs.lines.reasons(rows)
        return Listed(
            items=[msgspec.structs.replace(row.to_summary(), reason=reasons[row.id]) for row in rows],
            total=await found.count(),
            limit=page.limit,
            offset=page.offset,
        )

    async def several(self, caller: Caller, wanted: Collection[str]) -> dict[str, Job]:
        """
        Several jobs by id, in one query; what is not the organization's is left out. `reason` is the stored one: what
        the waiting ones wait for now is in `reasons`.
        """
        caller.require("jobs:read")
        rows = JobRow.filter(id__in=_known(wanted), organization_id=caller.organization_id)
        return {row.id: row.to_domain() for row in await rows.only(*_columns())}

    async def paged(self, caller: Caller, page: Page, statuses: Sequence[Status] = ()) -> list[Job]:
        """A page of the organization's jobs as `several` has them, in one query."""
        caller.require("jobs:read")
        found = JobRow.filter(organization_id=caller.organization_id)
        if statuses:
            found = found.filter(status__in=[Status(status).value for status in statuses])
        rows = found.order_by(*order_of(page.sort, SORTS)).offset(page.offset).limit(page.limit)
        return [row.to_domain() for row in await rows.only(*_columns())]

    async def reasons(self, caller: Caller, wanted: Collection[str]) -> dict[str, str | None]:
        """What each of several jobs waits for, or how it ended, as `get` says it."""
        caller.require("jobs:read")
        rows = JobRow.filter(id__in=_known(wanted), organization_id=caller.organization_id)
        return await self._runs.lines.reasons(await rows.only(*_ROW))

    async def logs(self, caller: Caller, id: str, lines: int = 100, level: str | None = None) -> list[LogLine]:
        """The last lines of that level or worse, the oldest first."""
        caller.require("jobs:read")
        await self._row(caller, id)
        return await self._lines(id, lines, _levels(level))

    async def follow(
        self, caller: Caller, id: str, lines: int = 100, level: str | None = None, *, after: int | None = None
    ) -> AsyncIterator[list[LogLine]]:
        """
        The last lines, then every line as it comes, a few at a time, until the job has ended. The rows are the truth.

        Args:
            after: Instead of the last lines, all after this number.
        """
        caller.require("jobs:read")
        levels = _levels(level)
        row = await self._row(caller, id)
        async with self._events.subscribe(row.organization_id, JOB_PROGRESS, id) as subscription:
            ended = Status(row.status) in TERMINAL
            last = await self._before(id, lines, levels) if after is None else after
            wakes = aiter(subscription)
            while True:
                async for found in self._pages(id, last, levels):
                    last = found[-1].seq
                    yield found
                if ended:
                    return
                # A fast job has hundreds of epochs a second, and a hundred people may follow it.
                await asyncio.sleep(REST_SECONDS)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(anext(wakes), LOOK_SECONDS)
                # The status first: lines that are there once it has ended are all lines there will be.
                ended = await JobRow.exists(id=id, status__in=[status.value for status in TERMINAL])

    async def events_since(self, caller: Caller, id: str, channel: str, last_seq: int) -> list[Event] | None:
        """
        The job's events on a channel after a sequence number; None where they cannot all be had any more.

        Raises:
            NotFound: No such job in the caller's organization.
            ValidationFailed: Not a channel of jobs.
        """
        caller.require("jobs:read")
        if channel not in JOB_CHANNELS:
            raise ValidationFailed.field("channel", f"must be one of {', '.join(sorted(JOB_CHANNELS))}")
        row = await self._row(caller, id)
        if not 0 <= last_seq <= row.seq:
            return None
        return await told(row.organization_id, id, (channel,), after=last_seq, upto=row.seq, most=row.seq)

    async def position(self, caller: Caller, id: str) -> int:
        """
        The number of the last thing that the job told.

        Raises:
            NotFound: No such job in the caller's organization.
        """
        caller.require("jobs:read")
        return await position(caller.organization_id, id)

    # Stopping ----------------------------------------------------------------------------------------------------

    async def cancel(self, caller: Caller, id: str) -> Job:
        """
        End a job that has not ended; its last checkpoint is kept. Cancelling twice is cancelling once.

        Returns: the job as it is after at most four seconds: cancelled, unless its worker machine is slower.

        Raises:
            NotFound: No such job in the caller's organization.
            Forbidden: Somebody else's, and the caller may only cancel their own.
            Conflict: It has completed or failed.
        """
        row = await self._own(caller, id, "cancel")
        return await self._stop(caller, row, Status.CANCELLED, self._runs.cancel_waiting, {"cancel_requested": True})

    async def pause(self, caller: Caller, id: str) -> Job:
        """
        Stop a job at its last checkpoint, until it is resumed. Pausing twice is pausing once.

        Returns: the job as it is after at most four seconds: paused, unless its worker machine is slower.

        Raises:
            NotFound: No such job in the caller's organization.
            Forbidden: Somebody else's, and the caller may only pause their own.
            Conflict: It has ended.
        """
        row = await self._own(caller, id, "pause")

        async def pause_waiting(lease: Lease) -> None:
            await self._runs.pause_waiting(lease, PAUSED)

        return await self._stop(caller, row, Status.PAUSED, pause_waiting, {"pause_reason": PAUSED})

    async def resume(self, caller: Caller, id: str) -> Job:
        """
        Put a paused job into the line again, at its end. Resuming twice is resuming once.

        Raises:
            NotFound: No such job in the caller's organization.
            Forbidden: Somebody else's, and the caller may only resume their own.
            HardwareForbidden: It runs on hardware, and the caller's API key is for tests.
            Conflict: It has ended.
            RateLimited: Too many jobs of the organization wait already.
        """
        row = await self._own(caller, id, "resume")
        if Status(row.status) in TERMINAL:
            raise _ended(row)
        await self._backends.refuse_tests(caller, row.backend)
        if row.status == Status.PAUSED:
            await self._resume(row)
        elif row.pause_reason is not None:
            # Its worker has not stopped yet; when it does, the job goes back into the line.
            await JobRow.filter(id=id, status__in=[Status.RUNNING, Status.QUEUED]).update(pause_reason=None)
            if (row := await self._row(caller, id)).status == Status.PAUSED:
                await self._resume(row)
        return await self.get(caller, id)

    # Inside ------------------------------------------------------------------------------------------------------

    async def _own(self, caller: Caller, id: str, verb: str) -> JobRow:
        caller.require("jobs:cancel")
        row = await self._row(caller, id)
        if row.user_id != caller.user_id and not caller.may("jobs:*"):
            raise Forbidden(f"This job is somebody else's; only an admin may {verb} it.")
        return row

    async def _stop(
        self,
        caller: Caller,
        row: JobRow,
        wanted: Status,
        stop_waiting: Callable[[Lease], Awaitable[None]],
        wish: Mapping[str, Any],
    ) -> Job:
        """
        Bring a job into the state that is wanted: through its worker, or directly where nobody runs it.

        Args:
            wish: What its worker finds in the row.
        """
        deadline = asyncio.get_running_loop().time() + CANCEL_SECONDS
        asked = False
        while True:
            if row.status == wanted:
                return row.to_domain()
            if Status(row.status) in TERMINAL:
                raise _ended(row)
            if is_idle(row, self._clock.now()):
                with contextlib.suppress(LeaseLost):
                    await stop_waiting(Lease(job_id=row.id, organization_id=row.organization_id, fence=row.fence))
            elif not asked:
                mine = JobRow.filter(id=row.id, status=Status.RUNNING, fence=row.fence)
                asked = await mine.update(**wish, updated_at=self._clock.now()) == 1
            if asked:
                self._queue.stop(row.id)
            row = await self._row(caller, row.id)
            if row.status == Status.RUNNING and asyncio.get_running_loop().time() > deadline:
                return row.to_domain()
            if row.status != wanted and Status(row.status) not in TERMINAL:
                await asyncio.sleep(0.03)

    async def _resume(self, row: JobRow) -> None:
        async with self._database.transaction():
            await self.intake.check_room(row.organization_id)
            now = self._clock.now()
            resumed = await JobRow.filter(id=row.id, status=Status.PAUSED, fence=row.fence).update(
                status=Status.QUEUED, reason=None, queued_at=now, updated_at=now
            )
            if not resumed:
                return
            written = await JobRow.get(id=row.id)
            entries: list[Entry] = [Line("Resumed."), self._journal.progress(written)]
            events = await self._journal.record(row.organization_id, row.id, entries)
        await self._queue.wake(row.id, Priority(row.priority).rank)
        await self._journal.publish(events)

    async def _row(self, caller: Caller, id: str) -> JobRow:
        row = await JobRow.get_or_none(id=id, organization_id=caller.organization_id)
        if row is None:
            raise NotFound.of("job", id)
        return row

    async def _lines(self, id: str, lines: int, levels: Sequence[str]) -> list[LogLine]:
        last = await self._before(id, lines, levels)
        return [line async for page in self._pages(id, last, levels) for line in page]

    async def _before(self, id: str, lines: int, levels: Sequence[str]) -> int:
        """The number after which the last so many lines begin."""
        if not 1 <= lines <= MAX_LINES:
            raise ValidationFailed.field("lines", f"must be between 1 and {MAX_LINES}")
        found = await JobLogRow.filter(job_id=id, level__in=list(levels)).order_by("-seq").offset(lines).first()
        return found.seq if found is not None else 0

    async def _pages(self, id: str, after: int, levels: Sequence[str]) -> AsyncIterator[list[LogLine]]:
        """Every line after a number. In pages: thousands of rows at once would hold up the loop."""
        found = JobLogRow.filter(job_id=id, level__in=list(levels)).order_by("seq").limit(PAGE_LINES)
        while page := [
            LogLine(seq=seq, timestamp=timestamp, level=name, message=message)
            for seq, timestamp, name, message in await found.filter(seq__gt=after).values_list(*_LINE)
        ]:
            yield page
            if len(page) < PAGE_LINES:
                return
            after = page[-1].seq


def _ended(row: JobRow) -> Conflict:
    status = Status(row.status)
    return Conflict(
        f"The job has {'been ' if status == Status.CANCELLED else ''}{status} already.",
        details={"status": status.value},
    )


def _levels(level: str | None) -> list[str]:
    name = (level or "DEBUG").upper()
    if name not in LEVELS:
        raise ValidationFailed.field("level", f"must be one of {', '.join(LEVELS)}")
    return list(LEVELS[LEVELS.index(name) :])


def _columns() -> list[str]:
    """All but the circuit as it was at the submit: of a hundred jobs that may be a gigabyte."""
    return [name for name in JobRow._meta.db_fields if name != "circuit"]


def _known(wanted: Collection[str]) -> list[str]:
    """Those that can be ids at all."""
    return [id for id in wanted if ids.is_id("job", id)]
