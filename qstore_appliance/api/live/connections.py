"""
Who is connected to this process, through whichever door, and whether they may stay.

One task looks for all of them, once for each credential: a thousand tabs of one session cost as much as one. Whoever
signs out, loses a role, revokes a key or lets a token expire is gone within a second, also where another process did it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Protocol

import structlog
from sanic import Request

from qstore_appliance.api import identity
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.errors import QStoreError, RateLimited, Unauthenticated

log = structlog.get_logger(__name__)

#: Callers are remembered for half a second at the most, so that both together stay below a second.
CHECK_SECONDS = 0.4
#: Credentials that are looked up at the same time.
LOOKING = 8
#: A client that takes nothing for so long is dropped.
STUCK_SECONDS = 10.0
#: Streams of one caller at a time.
MAX_STREAMS = 16

LEAVING, NO_AUTHORITY = 1001, 4401

Again = Callable[[], Awaitable[Caller | None]]


class Guest(Protocol):
    """Somebody who is connected."""

    @property
    def caller(self) -> Caller: ...

    @property
    def credential(self) -> Hashable:
        """The same for all that came with the same credential."""

    @property
    def again(self) -> Again:
        """Asks again who that is; None or Unauthenticated: nobody any more."""

    def check(self, caller: Caller) -> None:
        """They may stay; their permissions may have changed."""

    def leave(self, code: int, reason: str) -> None:
        """They may not. Idempotent."""

    def stuck_for(self) -> float:
        """Seconds since the client took something that waits for it; 0 where nothing waits."""

    def abort(self) -> None:
        """Cut the connection: nothing reaches this client, a farewell neither."""


class Connections:
    def __init__(self) -> None:
        self._guests: set[Guest] = set()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def add(self, guest: Guest) -> None:
        self._guests.add(guest)
        if self._stopping:
            guest.leave(LEAVING, "the server stops")

    def remove(self, guest: Guest) -> None:
        self._guests.discard(guest)

    def __len__(self) -> int:
        return len(self._guests)

    def start(self) -> None:
        self._task = asyncio.create_task(self._watch(), name="live.connections")

    def stop(self) -> None:
        """Send everybody away; who comes now is sent away too."""
        self._stopping = True
        for guest in tuple(self._guests):
            guest.leave(LEAVING, "the server stops")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                await self.look()
            except Exception:
                log.exception("live.not_checked")

    async def look(self) -> None:
        """Send away who may not stay, and drop who takes nothing."""
        by_credential: dict[Hashable, list[Guest]] = {}
        for guest in self._guests:
            by_credential.setdefault(guest.credential, []).append(guest)
        looking = asyncio.Semaphore(LOOKING)
        await asyncio.gather(*(self._look_at(guests, looking) for guests in by_credential.values()))
        for guest in tuple(self._guests):
            if guest.stuck_for() > STUCK_SECONDS:
                guest.abort()

    async def _look_at(self, guests: list[Guest], looking: asyncio.Semaphore) -> None:
        async with looking:
            try:
                caller = await guests[0].again()
            except Unauthenticated:
                caller = None
            except QStoreError:
                # The database did not answer; that says nothing about the caller.
                return
        for guest in guests:
            if guest not in self._guests:
                continue
            if caller is None or caller.organization_id != guest.caller.organization_id:
                guest.leave(NO_AUTHORITY, "signed out")
            elif caller is not guest.caller:
                guest.check(caller)


def proof(sessions: object, token: str | None, api_key: str | None) -> tuple[Hashable, Callable[[], Awaitable[Caller]]]:
    """
    What somebody showed at the door, and how to ask again who that is; raises Unauthenticated when it is asked.

    Args:
        token: An access token or an API key, with or without the word Bearer.
    """
    if api_key is not None:
        return ("key", api_key), lambda: identity.by_key(sessions, api_key)
    bare = (token or "").removeprefix("Bearer ").strip()
    return ("token", bare), lambda: identity.by_token(sessions, bare)


class Listener:
    """A guest that came with a request and is answered by a stream: `gone` is set once it has to end."""

    def __init__(self, request: Request) -> None:
        self.caller: Caller = request.ctx.caller
        self.gone = asyncio.Event()
        self.reason = ""
        self.waits_since: float | None = None
        self.on_check: Callable[[Caller], None] | None = None
        self._request = request
        headers = request.headers
        self.credential: Hashable = (
            headers.get("authorization"),
            headers.get("x-api-key"),
            None if "authorization" in headers or "x-api-key" in headers else identity.cookie(request),
        )

    async def again(self) -> Caller | None:
        return await identity.identify(self._request)

    def check(self, caller: Caller) -> None:
        self.caller = caller
        if self.on_check is not None:
            self.on_check(caller)

    def leave(self, code: int, reason: str) -> None:
        self.reason = self.reason or reason
        self.gone.set()

    def stuck_for(self) -> float:
        return 0.0 if self.waits_since is None else time.monotonic() - self.waits_since

    def abort(self) -> None:
        self.gone.set()
        if self._request.transport is not None:
            self._request.transport.abort()  # type: ignore[attr-defined]


@asynccontextmanager
async def listening(request: Request, listener: Listener) -> AsyncIterator[None]:
    """
    A stream's place among the connections, as long as it lasts.

    Raises:
        RateLimited: The caller has so many already.
    """
    streams, bucket = request.app.ctx.streams, listener.caller.bucket
    if streams[bucket] >= MAX_STREAMS:
        raise RateLimited(f"You follow {MAX_STREAMS} streams already.", details={"limit": MAX_STREAMS}, retry_after=10)
    connections: Connections = request.app.ctx.connections
    streams[bucket] += 1
    connections.add(listener)
    try:
        yield
    finally:
        connections.remove(listener)
        streams[bucket] -= 1
        with contextlib.suppress(KeyError):
            if not streams[bucket]:
                del streams[bucket]
