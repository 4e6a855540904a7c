"""
Subscriptions: the events of the bus, each as a value of the schema.

A subscription first listens to the bus and only then reads where its job stands, so that nothing falls between the two;
what comes twice is told by its sequence number and sent once. Events that the bus dropped come from the stored ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
from graphql import GraphQLResolveInfo

from qstore_appliance.api.graphql.context import Context
from qstore_appliance.domain import ids
from qstore_appliance.domain.events import (
    BACKEND_STATUS,
    COST_UPDATES,
    EVERYBODY,
    JOB_METRICS,
    JOB_PROGRESS,
    Event,
    JobProgress,
)
from qstore_appliance.domain.jobs import TERMINAL, Job, Status
from qstore_appliance.errors import Gone, NotFound

#: What listening to each needs.
PERMISSIONS = {"jobProgress": "jobs:read", "trainingMetrics": "jobs:read", "costUpdates": "usage:read",
               "backendStatus": "backends:read"}  # fmt: skip


async def job_progress(
    _: None, info: GraphQLResolveInfo, job_id: str, last_seq: int | None = None
) -> AsyncIterator[dict[str, Any]]:
    await _visible(info.context, job_id)
    return _told(_events(info.context, JOB_PROGRESS, job_id, last_seq))


async def training_metrics(
    _: None, info: GraphQLResolveInfo, job_id: str, last_seq: int | None = None
) -> AsyncIterator[dict[str, Any]]:
    await _visible(info.context, job_id)
    return _told(_events(info.context, JOB_METRICS, job_id, last_seq))


async def cost_updates(_: None, info: GraphQLResolveInfo) -> AsyncIterator[Any]:
    context = info.context
    context.caller.require(PERMISSIONS["costUpdates"])
    return _latest(context, context.caller.organization_id, COST_UPDATES, "")


async def backend_status(_: None, info: GraphQLResolveInfo, backend_id: str) -> AsyncIterator[Any]:
    """
    Raises:
        NotFound: There is no backend with this id.
        Forbidden: The caller may not read backends.
    """
    context = info.context
    context.caller.require(PERMISSIONS["backendStatus"])
    return _latest(context, EVERYBODY, BACKEND_STATUS, context.appliance.backends.id_of(backend_id))


async def _visible(context: Context, job_id: str) -> Job:
    """
    Raises:
        NotFound: No such job in the caller's organization.
        Forbidden: The caller may not read jobs.
    """
    context.caller.require("jobs:read")
    if not ids.is_id("job", job_id):
        raise NotFound.of("job", job_id)
    job: Job = await context.appliance.jobs.get(context.caller, job_id)
    return job


async def _told(events: AsyncIterator[Event]) -> AsyncIterator[dict[str, Any]]:
    async for event in events:
        yield {**msgspec.structs.asdict(event.data), "seq": event.seq}


async def _events(context: Context, channel: str, job_id: str, last_seq: int | None) -> AsyncIterator[Event]:
    """The job's events on a channel until it has ended, which its progress tells."""
    async with AsyncExitStack() as stack:
        sources = [
            await stack.enter_async_context(
                context.appliance.events.subscribe(context.caller.organization_id, name, job_id)
            )
            for name in dict.fromkeys((channel, JOB_PROGRESS))
        ]
        job = await _visible(context, job_id)
        seen = job.seq
        if last_seq is not None:
            seen = max(seen, last_seq)
            for event in await _missed(context, channel, job_id, last_seq):
                yield event
                seen = max(seen, event.seq)
        ended = job.status in TERMINAL
        if ended:
            return
        heard = await stack.enter_async_context(_heard(sources))
        while not ended:
            found = await heard()
            ended = any(
                isinstance(event.data, JobProgress) and Status(event.data.status) in TERMINAL for event in found
            )
            lagged = any(source.lagged for source in sources)
            if ended or lagged:
                # Cleared first: whatever is dropped from here on is found by the next look.
                for source in sources:
                    source.lagged = False
                found = await _missed(context, channel, job_id, seen)
            if lagged:
                ended = ended or (await _visible(context, job_id)).status in TERMINAL
            for event in found:
                if event.channel == channel and event.seq > seen:
                    seen = event.seq
                    yield event


@asynccontextmanager
async def _heard(sources: list[Any]) -> AsyncIterator[Callable[[], Awaitable[list[Event]]]]:
    """Call it for the next events, of whichever subscription has some."""
    listening = {number: aiter(source) for number, source in enumerate(sources)}
    waiting = {number: asyncio.ensure_future(anext(source)) for number, source in listening.items()}

    async def hear() -> list[Event]:
        await asyncio.wait(waiting.values(), return_when=asyncio.FIRST_COMPLETED)
        found = []
        for number, task in list(waiting.items()):
            if task.done():
                found.append(task.result())
                waiting[number] = asyncio.ensure_future(anext(listening[number]))
        return found

    try:
        yield hear
    finally:
        for task in waiting.values():
            task.cancel()
        await asyncio.gather(*waiting.values(), return_exceptions=True)


async def _missed(context: Context, channel: str, job_id: str, after: int) -> list[Event]:
    """
    Raises:
        Gone: They are not all kept any more.
    """
    missed: list[Event] | None = await context.appliance.jobs.events_since(context.caller, job_id, channel, after)
    if missed is None:
        raise Gone("The events after that number are not kept; read the job and subscribe with its seq.")
    return missed


async def _latest(context: Context, organization_id: str, channel: str, subject: str) -> AsyncIterator[Any]:
    """Each event has all that there is to know: of those that a slow reader missed, the last one is enough."""
    told = None
    async with context.appliance.events.subscribe(organization_id, channel, subject) as subscription:
        async for event in subscription:
            status = getattr(event.data, "status", None)
            # Each server of an installation says so when a maintenance window begins.
            if status is None or status != told:
                told = status
                yield event.data


def itself(event: Any, _: GraphQLResolveInfo, **__: Any) -> Any:
    """The event is the value of the subscription's field."""
    return event


SUBSCRIBERS = {
    "jobProgress": job_progress,
    "trainingMetrics": training_metrics,
    "costUpdates": cost_updates,
    "backendStatus": backend_status,
}
RESOLVERS = {f"Subscription.{name}": itself for name in SUBSCRIBERS}
