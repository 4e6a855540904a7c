"""
What a job tells: log lines and events, numbered by the job's row, written with the change that they tell of.

`record` belongs inside the transaction, `publish` after it: nobody hears of a change that was not saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from tortoise.expressions import F

from qstore_appliance.database.tables.jobs import JobEventRow, JobLogRow, JobRow
from qstore_appliance.domain.events import JOB_METRICS, JOB_PROGRESS, Event, JobMetrics, JobProgress
from qstore_appliance.domain.jobs import Progress
from qstore_appliance.domain.ports import Clock, EventBus

#: Events of a job that can be asked for again; older ones are forgotten.
WINDOW = 2_000
MAX_MESSAGE = 4_000
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


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

        Returns: the events among them, to be published once the transaction is committed.
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
                continue
            channel = JOB_PROGRESS if isinstance(entry, JobProgress) else JOB_METRICS
            events.append(Event(organization_id=organization_id, channel=channel, subject=job_id, seq=seq, data=entry))
        if lines:
            await JobLogRow.bulk_create(lines)
        if events:
            rows = [
                JobEventRow(
                    job_id=job_id,
                    seq=event.seq,
                    channel=event.channel,
                    data=msgspec.to_builtins(event.data),
                    created_at=now,
                )
                for event in events
            ]
            await JobEventRow.bulk_create(rows)
            if events[-1].seq // 500 != (events[0].seq - 1) // 500:
                await JobEventRow.filter(job_id=job_id, seq__lte=events[-1].seq - WINDOW).delete()
        return events

    async def publish(self, events: Sequence[Event]) -> None:
        for event in events:
            await self._events.publish(event)

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
