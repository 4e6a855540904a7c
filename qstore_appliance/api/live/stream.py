"""A job's log: the last lines as an answer, or followed as server-sent events until the job ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api import identity
from qstore_appliance.api.envelope import success
from qstore_appliance.api.inputs import one, whole, yes
from qstore_appliance.api.registry import Query, Routes
from qstore_appliance.domain.jobs import LogLine
from qstore_appliance.errors import QStoreError, Unauthenticated, ValidationFailed

routes = Routes("jobs")

MAX_LINES = 10_000
LEVELS = ("debug", "info", "warning", "error")
#: The caller's authority is looked at this often.
CHECK_SECONDS = 1.0
#: A comment after so much silence keeps proxies from closing the connection.
SILENCE_SECONDS = 15.0

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
    await follow(request, jobs.follow(caller, id, lines, level))
    return None


async def follow(request: Request, lines: AsyncIterator[LogLine]) -> None:
    """Send lines as they come; end with the job, with the caller's authority, or with the server."""
    response = await request.respond(
        content_type="text/event-stream; charset=utf-8", headers={"X-Accel-Buffering": "no"}
    )
    if request.method == "HEAD":
        await response.eof()
        return
    stopping = asyncio.create_task(request.app.ctx.stopping.wait())
    waiting: asyncio.Task[LogLine] | None = None
    silent = 0.0
    await response.send(": following\n\n")
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(lines))
            await asyncio.wait((waiting, stopping), timeout=CHECK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                try:
                    line = waiting.result()
                except StopAsyncIteration:
                    break
                waiting = None
                silent = 0.0
                await response.send(f"id: {line.seq}\ndata: {msgspec.json.encode(shown(line)).decode()}\n\n")
                continue
            if stopping.done() or not await may_stay(request):
                break
            silent += CHECK_SECONDS
            if silent >= SILENCE_SECONDS:
                silent = 0.0
                await response.send(": still here\n\n")
        await response.eof()
    finally:
        stopping.cancel()
        if waiting is not None:
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, QStoreError):
                await waiting
        if hasattr(lines, "aclose"):
            await lines.aclose()


async def may_stay(request: Request) -> bool:
    try:
        caller = await identity.identify(request)
    except Unauthenticated:
        return False
    except QStoreError:
        # The database did not answer; that says nothing about the caller.
        return True
    return (
        caller is not None and caller.organization_id == request.ctx.caller.organization_id and caller.may("jobs:read")
    )
