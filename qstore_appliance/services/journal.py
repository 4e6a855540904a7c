"""
What a job tells: log lines and events, numbered by the job's row, written with the change that they tell of.

`record` belongs inside the transaction, `publish` after it: nobody hears of a change that was not saved. `told` reads
again what was told.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from tortoise.expressions import F

from qstore_appliance.database.tables.jobs import JobEventRow, JobLogRow, JobRow
from qstore_appliance.domain.events import (
    CHANNELS,
    JOB_LOGS,
    JOB_METRICS,
    JOB_PROGRESS,
    NOTIFICATIONS,
    Event,
    JobLog,
    JobMetrics,
    JobProgress,
    Notification,
)
from qstore_appliance.domain.jobs import Progress, Status
from qstore_appliance.domain.ports import Clock, EventBus
from qstore_appliance.errors import NotFound

#: Events of a job that can be asked for again; older ones are forgotten.
WINDOW = 2_000
MAX_MESSAGE = 4_000
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
#: Every job begins with a log line and its first event; an older event than any that is kept can only be a forgotten one.
FIRST_EVENT = 2
#: How jobs end that somebody may be waiting for.
_ENDS = {Status.COMPLETED: "has completed", Status.FAILED: "has failed"}


class Line(NamedTuple):
    """A log line. `level` is one of `LEVELS`."""

    message: str
    level: str = "INFO"


Entry = Line | JobProgress | JobMetrics


class Journal:
    def __init__(self, events: EventBus, clock: Clock) -> None:
        self._events = events
        self._clock = clock

    async def record(self, organization_id: str, job_id: str, entries: Sequence[Entry]) -> list[Event]:
        """
        Save entries in their order, inside the caller's transaction.

        Returns: an event for each, to be published once the transaction is committed.
        """
        await JobRow.filter(id=job_id).update(seq=F("seq") + len(entries))
        last = (await JobRow.filter(id=job_id).values_list("seq", flat=True))[0]
        now = self._clock.now()
        events: list[Event] = []
        lines: list[JobLogRow] = []
        for seq, entry in enumerate(entries, start=int(str(last)) - len(entries) + 1):
            if isinstance(entry, Line):
                message = entry.message[:MAX_MESSAGE]
                lines.append(JobLogRow(job_id=job_id, seq=seq, level=entry.level, message=message, created_at=now))
                events.append(_line(organization_id, job_id, seq, entry.level, message, now))
                continue
            channel = JOB_PROGRESS if isinstance(entry, JobProgress) else JOB_METRICS
            events.append(Event(organization_id=organization_id, channel=channel, subject=job_id, seq=seq, data=entry))
        if lines:
            await JobLogRow.bulk_create(lines)
        if len(events) > len(lines):
            rows = [
                JobEventRow(
                    job_id=job_id,
                    seq=event.seq,
                    channel=event.channel,
                    data=msgspec.to_builtins(event.data),
                    created_at=now,
                )
                for event in events
                if event.channel != JOB_LOGS
            ]
            await JobEventRow.bulk_create(rows)
            if events[-1].seq // 500 != (events[0].seq - 1) // 500:
                await JobEventRow.filter(job_id=job_id, seq__lte=events[-1].seq - WINDOW).delete()
        return events

    async def publish(self, events: Sequence[Event]) -> None:
        for event in events:
            await self._events.publish(event)
            if isinstance(event.data, JobProgress) and event.data.status in _ENDS:
                await self._events.publish(_notification(event, event.data))

    def progress(self, row: JobRow) -> JobProgress:
        """How far a job is, as its row says now."""
        progress = msgspec.convert(row.progress, Progress)
        return JobProgress(
            job_id=row.id,
            status=str(row.status),
            current_epoch=progress.current_epoch,
            total_epochs=progress.total_epochs,
            current_loss=progress.current_loss,
            best_loss=progress.best_loss,
            eta_seconds=progress.eta_seconds,
            reason=row.reason,
            model_id=row.model_id,
            timestamp=self._clock.now(),
        )


async def position(organization_id: str, job_id: str) -> int:
    """
    The number of the last thing that a job told.

    Raises:
        NotFound: No such job in this organization.
    """
    found = await JobRow.filter(id=job_id, organization_id=organization_id).values_list("seq", flat=True)
    if not found:
        raise NotFound.of("job", job_id)
    return int(str(found[0]))


async def told(
    organization_id: str, job_id: str, channels: Collection[str], *, after: int, upto: int, most: int
) -> list[Event] | None:
    """
    What a job of this organization told on some channels, `after < seq <= upto`, the oldest first, at the most so many.

    Returns: None where they cannot all be had any more.
    """
    found: list[Event] = []
    numbers = {"job_id": job_id, "seq__gt": after, "seq__lte": upto}
    stored = [channel for channel in channels if channel != JOB_LOGS]
    if stored:
        oldest = await JobEventRow.filter(job_id=job_id).order_by("seq").first()
        if oldest is not None and after < oldest.seq - 1 and oldest.seq > FIRST_EVENT:
            return None
        for row in await JobEventRow.filter(channel__in=stored, **numbers).order_by("seq").limit(most):
            data = msgspec.convert(row.data, CHANNELS[row.channel].shape)
            found.append(
                Event(organization_id=organization_id, channel=row.channel, subject=job_id, seq=row.seq, data=data)
            )
    if JOB_LOGS in channels:
        for line in await JobLogRow.filter(**numbers).order_by("seq").limit(most):
            found.append(_line(organization_id, job_id, line.seq, line.level, line.message, line.created_at))
    return sorted(found, key=lambda event: event.seq)[:most]


def _line(organization_id: str, job_id: str, seq: int, level: str, message: str, timestamp: datetime) -> Event:
    data = JobLog(job_id=job_id, level=level, message=message, timestamp=timestamp)
    return Event(organization_id=organization_id, channel=JOB_LOGS, subject=job_id, seq=seq, data=data)


def _notification(event: Event, end: JobProgress) -> Event:
    message = f"Job {end.job_id} {_ENDS[Status(end.status)]}{f': {end.reason}' if end.reason else '.'}"
    data = Notification(kind=f"job.{end.status}", about=end.job_id, message=message, timestamp=end.timestamp)
    return Event(organization_id=event.organization_id, channel=NOTIFICATIONS, subject="", seq=0, data=data)
