"""
The subscriptions of one connection.

Each first listens to the bus and only then reads where its job stands, so that nothing falls between the two; what comes
twice is told by its sequence number and sent once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from qstore_appliance.api.live import frames
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.events import BACKEND_STATUS, EVERYBODY, JOB_CHANNELS, BackendUpdate, Event
from qstore_appliance.errors import NotFound, QStoreError

log = structlog.get_logger(__name__)

MAX_SUBSCRIPTIONS = 100
#: A quiet subscription looks this often whether it missed something.
LOOK_SECONDS = 1.0

Send = Callable[[dict[str, Any]], Awaitable[None]]


def permission(channel: str) -> str:
    if channel in JOB_CHANNELS:
        return "jobs:read"
    return "backends:read" if channel == BACKEND_STATUS else "usage:read"


class Subscriptions:
    """Args: send: takes frames for the client, and waits when the client is slow."""

    caller: Caller

    def __init__(self, appliance: Any, send: Send) -> None:
        self._appliance = appliance
        self._send = send
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    def is_full(self, channel: str, subject: str) -> bool:
        return len(self._tasks) >= MAX_SUBSCRIPTIONS and (channel, subject) not in self._tasks

    async def open(self, channel: str, subject: str, last_seq: int | None, stream: str | None) -> None:
        """
        Subscribe, or subscribe anew from another place.

        Raises:
            Forbidden: The caller may not listen to this channel.
            NotFound: There is no such backend.
        """
        self.caller.require(permission(channel))
        await self.end(channel, subject)
        follow = self._follow_job if channel in JOB_CHANNELS else self._follow_stream
        if channel == BACKEND_STATUS:
            self._appliance.backends.id_of(subject)
        task = asyncio.create_task(self._guarded(follow, channel, subject, last_seq, stream))
        self._tasks[channel, subject] = task

    async def end(self, channel: str, subject: str) -> None:
        task = self._tasks.pop((channel, subject), None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def check(self) -> None:
        """End what the caller may not listen to any more."""
        for channel, subject in list(self._tasks):
            if not self.caller.may(permission(channel)):
                await self.end(channel, subject)
                await self._send(frames.unsubscribed(channel, subject))

    async def close(self) -> None:
        for channel, subject in list(self._tasks):
            await self.end(channel, subject)

    async def _guarded(
        self,
        follow: Callable[[str, str, int | None, str | None], Awaitable[None]],
        channel: str,
        subject: str,
        last_seq: int | None,
        stream: str | None,
    ) -> None:
        """An error ends this subscription with a frame that says so, and leaves the connection alone."""
        try:
            await follow(channel, subject, last_seq, stream)
            return
        except QStoreError as error:
            fault = error
        except Exception:
            log.exception("socket.subscription_failed", channel=channel, subject=subject)
            fault = QStoreError()
        if self._tasks.get((channel, subject)) is asyncio.current_task():
            del self._tasks[channel, subject]
        await self._send(frames.error(fault, frames.about(channel, subject)))

    async def _follow_job(self, channel: str, job_id: str, last_seq: int | None, stream: str | None) -> None:
        """The stream of a job is the job itself: its row counts the events."""
        if not ids.is_id("job", job_id):
            raise NotFound.of("job", job_id)
        bus = self._appliance.events
        async with bus.subscribe(self.caller.organization_id, channel, job_id) as subscription:
            job = await self._appliance.jobs.get(self.caller, job_id)
            await self._send(frames.subscribed(channel, job_id, job_id, job.seq))
            seen = job.seq
            if last_seq is not None:
                seen = await self._catch_up(channel, job_id, last_seq, job.seq)
            events = aiter(subscription)
            while True:
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        event: Event | None = await anext(events)
                except TimeoutError:
                    event = None
                if subscription.lagged:
                    # Cleared first: whatever is dropped from here on is found by the next look.
                    subscription.lagged = False
                    seen = await self._catch_up(channel, job_id, seen, None)
                if event is not None and event.seq > seen:
                    seen = event.seq
                    await self._send(frames.event(event))

    async def _catch_up(self, channel: str, job_id: str, after: int, now: int | None) -> int:
        """Send the stored events after a number; where they are gone, tell the client to read the job again."""
        missed = None
        if now is None or 0 <= after <= now:
            missed = await self._appliance.jobs.events_since(self.caller, job_id, channel, after)
        if missed is None:
            job = await self._appliance.jobs.get(self.caller, job_id)
            await self._send(frames.reset(channel, job_id, job_id, job.seq))
            return int(job.seq)
        seen = max(after, now or 0)
        for event in missed:
            await self._send(frames.event(event))
            seen = max(seen, event.seq)
        return seen

    async def _follow_stream(self, channel: str, subject: str, last_seq: int | None, stream: str | None) -> None:
        """A channel without stored events: numbers count from 1 in a stream that lives as long as the subscription."""
        own = ids.new("stream")
        organization_id = EVERYBODY if channel == BACKEND_STATUS else self.caller.organization_id
        async with self._appliance.events.subscribe(organization_id, channel, subject) as subscription:
            await self._send(frames.subscribed(channel, subject, own, 0))
            if last_seq is not None or stream is not None:
                await self._send(frames.reset(channel, subject, own, 0))
            seq, told = 0, None
            events = aiter(subscription)
            while True:
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        event: Event | None = await anext(events)
                except TimeoutError:
                    event = None
                if subscription.lagged:
                    subscription.lagged, told = False, None
                    await self._send(frames.reset(channel, subject, own, seq))
                if event is None:
                    continue
                if isinstance(event.data, BackendUpdate):
                    if event.data.status == told:
                        # Each server of an installation says so when a maintenance window begins.
                        continue
                    told = event.data.status
                seq += 1
                await self._send(frames.event(event, seq))
