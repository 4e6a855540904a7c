"""A job's log: the last lines as an answer, or followed as server-sent events until the job ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from typing import cast

import msgspec
from sanic import Request
from sanic.response import BaseHTTPResponse, HTTPResponse

from qstore_appliance.api import identity
from qstore_appliance.api.envelope import success
from qstore_appliance.api.inputs import one, whole, yes
from qstore_appliance.api.registry import Query, Routes
from qstore_appliance.domain.jobs import LogLine
from qstore_appliance.errors import QStoreError, RateLimited, Unauthenticated, ValidationFailed

routes = Routes("jobs")

MAX_LINES = 10_000
LEVELS = ("debug", "info", "warning", "error")
#: The caller's authority is looked at this often.
CHECK_SECONDS = 1.0
#: A comment after so much silence keeps proxies from closing the connection.
SILENCE_SECONDS = 15.0
#: A client that takes nothing for so long is dropped.
STUCK_SECONDS = 10.0
#: Of one caller at a time.
MAX_STREAMS = 16

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
    streams: Counter[str] = request.app.ctx.streams
    if streams[caller.bucket] >= MAX_STREAMS:
        raise RateLimited(f"You follow {MAX_STREAMS} logs already.", details={"limit": MAX_STREAMS}, retry_after=10)
    streams[caller.bucket] += 1
    try:
        await follow(request, jobs.follow(caller, id, lines, level))
    finally:
        streams[caller.bucket] -= 1
        if not streams[caller.bucket]:
            del streams[caller.bucket]
    return None


async def follow(request: Request, batches: AsyncIterator[list[LogLine]]) -> None:
    """Send lines as they come; end with the job, with the caller's authority, or with the server."""
    response = await request.respond(
        content_type="text/event-stream; charset=utf-8", headers={"X-Accel-Buffering": "no"}
    )
    if request.method == "HEAD":
        await response.eof()
        return
    stopping = asyncio.create_task(request.app.ctx.stopping.wait())
    waiting: asyncio.Task[list[LogLine]] | None = None
    checked = sent = time.monotonic()
    try:
        await send(request, response, ": following\n\n")
        while True:
            waiting = waiting or asyncio.ensure_future(anext(batches))
            await asyncio.wait((waiting, stopping), timeout=CHECK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            now = time.monotonic()
            # By the clock: a job that writes many lines a second leaves no silence to look in.
            if stopping.done() or (now - checked >= CHECK_SECONDS and not await may_stay(request)):
                break
            checked = now if now - checked >= CHECK_SECONDS else checked
            if waiting.done():
                try:
                    lines = waiting.result()
                except StopAsyncIteration:
                    break
                waiting = None
                sent = now
                await send(request, response, "".join(map(written, lines)))
            elif now - sent >= SILENCE_SECONDS:
                sent = now
                await send(request, response, ": still here\n\n")
        await response.eof()
    except TimeoutError:
        # Nothing reaches this client, the stream's end neither.
        cast(asyncio.Transport, request.transport).abort()
    finally:
        stopping.cancel()
        if waiting is not None:
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, QStoreError):
                await waiting
        if hasattr(batches, "aclose"):
            await batches.aclose()


def written(line: LogLine) -> str:
    return f"id: {line.seq}\ndata: {msgspec.json.encode(shown(line)).decode()}\n\n"


async def send(request: Request, response: BaseHTTPResponse, text: str) -> None:
    """
    Raises:
        TimeoutError: The client takes nothing.
    """
    async with asyncio.timeout(STUCK_SECONDS):
        await response.send(text)


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
