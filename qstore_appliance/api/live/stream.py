"""A job's log: the last lines as an answer, or followed as server-sent events until the job ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import success
from qstore_appliance.api.inputs import one, whole, yes
from qstore_appliance.api.live.connections import NO_AUTHORITY, Listener, listening
from qstore_appliance.api.live.eventstream import EventStream, last_event_id
from qstore_appliance.api.registry import Query, Routes
from qstore_appliance.domain.jobs import LogLine
from qstore_appliance.errors import ValidationFailed

routes = Routes("jobs")

MAX_LINES = 10_000
LEVELS = ("debug", "info", "warning", "error")

QUERY = (
    Query(name="lines", description="The last so many lines.", schema={"type": "integer", "maximum": MAX_LINES}),
    Query(name="level", description="Lines of this level and above.", schema={"enum": list(LEVELS)}),
    Query(name="follow", description="Stream what comes until the job ends.", schema={"type": "boolean"}),
)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    seq: int
    timestamp: datetime
    level: str
    message: str


class Logs(msgspec.Struct, frozen=True, kw_only=True):
    logs: list[Line]
    streaming: bool


def shown(line: LogLine) -> Line:
    return Line(seq=line.seq, timestamp=line.timestamp, level=line.level.upper(), message=line.message)


@routes.get(
    "/v1/jobs/{id}/logs",
    "jobs:read",
    answer=Logs,
    query=QUERY,
    media=("application/json", "text/event-stream"),
)
async def logs(request: Request, id: str) -> HTTPResponse | None:
    """A job's last log lines; with `follow=true` as a stream, one log object per event, until the job ends."""
    jobs, caller = request.app.ctx.appliance.jobs, request.ctx.caller
    lines = whole(request, "lines", 100, 1, MAX_LINES)
    level = (one(request, "level") or "debug").lower()
    if level not in LEVELS:
        raise ValidationFailed.field("level", f"must be one of {', '.join(LEVELS)}")
    if not yes(request, "follow"):
        found = await jobs.logs(caller, id, lines, level)
        return success(request, Logs(logs=[shown(line) for line in found], streaming=False))
    # Whatever is wrong with the request has to be said before the stream begins.
    await jobs.get(caller, id)
    listener = Listener(request)
    # A key that may not read jobs any more ends the stream.
    listener.on_check = lambda now: None if now.may("jobs:read") else listener.leave(NO_AUTHORITY, "not allowed")
    async with listening(request, listener):
        await follow(
            EventStream(request, listener), jobs.follow(caller, id, lines, level, after=seen(request)), request
        )
    return None


def seen(request: Request) -> int | None:
    """The number of the last line that a client that comes back has; a strange one is none."""
    value = last_event_id(request) or ""
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None


async def follow(stream: EventStream, batches: AsyncIterator[list[LogLine]], request: Request) -> None:
    """Send lines as they come; end with the job, with the caller's authority, or with the server."""
    await stream.open()
    try:
        while request.method != "HEAD":
            waiting = asyncio.ensure_future(anext(batches, None))
            if not await stream.wait(waiting) or (lines := waiting.result()) is None:
                break
            await stream.send("".join(map(written, lines)))
        await stream.close()
    finally:
        if isinstance(batches, AsyncGenerator):
            await batches.aclose()


def written(line: LogLine) -> str:
    return f"id: {line.seq}\ndata: {msgspec.json.encode(shown(line)).decode()}\n\n"
