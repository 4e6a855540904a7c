"""
`/v1/ws`: one connection, its caller, its subscriptions.

Three tasks work side by side: one reads frames, one writes them, one looks each second whether the caller may still be
here. Each subscription is a task of its own that hands events to the writer through a bounded queue: a slow client fills
it, then its bus queue, then misses events there and gets them from the stored ones; a stuck client is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from sanic import Request
from sanic.server.websockets.frame import WebsocketFrameAssembler
from sanic.server.websockets.impl import WebsocketImplProtocol

from qstore_appliance.api import identity
from qstore_appliance.api.live import frames
from qstore_appliance.api.live.subscriptions import MAX_SUBSCRIPTIONS, Subscriptions
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.errors import Conflict, QStoreError, Unauthenticated, Unavailable

log = structlog.get_logger(__name__)

AUTH_SECONDS = 5.0
CHECK_SECONDS = 1.0
#: A client that takes nothing for so long is dropped.
STUCK_SECONDS = 10.0
#: Frames that wait for the writer.
OUTBOX = 256
MESSAGES_PER_SECOND = 50
#: Fragments and control frames count too, apart from whole messages.
FRAMES_PER_SECOND = 500

NORMAL, LEAVING, WRONG_KIND, WRONG_TEXT, POLICY = 1000, 1001, 1003, 1007, 1008
NO_AUTHORITY, NO_AUTH_IN_TIME = 4401, 4408


class Closing(Exception):
    """This connection ends, with this code."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


class StrictAssembler(WebsocketFrameAssembler):
    """Ends connections that flood us with frames or send text that is none, where Sanic would wait or log."""

    def __init__(self, protocol: WebsocketImplProtocol) -> None:
        super().__init__(protocol)
        self._second = 0
        self._frames = 0
        self._messages = 0

    async def put(self, frame: Any) -> None:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._frames, self._messages = second, 0, 0
        self._frames += 1
        self._messages += frame.fin and frame.opcode < 8
        if self._frames > FRAMES_PER_SECOND or self._messages > MESSAGES_PER_SECOND:
            self.protocol.fail_connection(POLICY, "too many messages")
            return
        try:
            await super().put(frame)
        except UnicodeDecodeError:
            self.protocol.fail_connection(WRONG_TEXT, "not UTF-8")


async def serve(request: Request, ws: WebsocketImplProtocol) -> None:
    """The WebSocket: authenticate, subscribe, receive events in order."""
    task = asyncio.ensure_future(Connection(request, ws).run())
    unfinished: set[asyncio.Future[None]] = request.app.ctx.unfinished
    unfinished.add(task)
    task.add_done_callback(unfinished.discard)
    await task


class Connection:
    def __init__(self, request: Request, ws: WebsocketImplProtocol) -> None:
        ws.assembler = StrictAssembler(ws)
        self.request = request
        self.ws = ws
        self.appliance = request.app.ctx.appliance
        self.outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue(OUTBOX)
        self.caller: Caller | None = None
        self._again: Callable[[], Awaitable[Caller | None]] | None = None
        self._subscriptions = Subscriptions(self.appliance, self.outbox.put)

    async def run(self) -> None:
        if self.request.ctx.caller is not None:
            self._enter(self.request.ctx.caller, lambda: identity.by_cookie(self.request))
        tasks = [asyncio.create_task(work()) for work in (self._read, self._write, self._watch)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await self._leave(done)
        finally:
            for task in tasks:
                task.cancel()
            await self._subscriptions.close()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _leave(self, done: set[asyncio.Task[None]]) -> None:
        for task in done:
            # Sanic cancels a reader whose client has closed; there is nobody to say goodbye to.
            cause = None if task.cancelled() else task.exception()
            if isinstance(cause, Closing):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_SECONDS):
                        await self._flush()
                        await self.ws.close(cause.code, cause.reason)
            elif isinstance(cause, Exception) and self.ws.ws_proto.state.name == "OPEN":
                log.error("socket.failed", exc_info=cause)
                self.ws.fail_connection(1011)

    def _enter(self, caller: Caller, again: Callable[[], Awaitable[Caller | None]]) -> None:
        self.caller, self._again = caller, again
        self._subscriptions.caller = caller
        self.outbox.put_nowait(frames.authenticated(caller.user_id, caller.organization_id))

    async def _read(self) -> None:
        if self.caller is None:
            await self._authenticate()
        while True:
            text = await self.ws.recv()
            about: dict[str, Any] = {}
            try:
                frame = frames.read(self._text(text))
                match frame:
                    case frames.Ping():
                        await self.outbox.put(frames.pong(frame.id))
                    case frames.Subscribe():
                        about = frames.named(frame)
                        channel, subject = frames.topic(frame)
                        if self._subscriptions.is_full(channel, subject):
                            raise Conflict(f"A connection has at most {MAX_SUBSCRIPTIONS} subscriptions.")
                        await self._subscriptions.open(channel, subject, frame.last_seq, frame.stream)
                    case frames.Unsubscribe():
                        about = frames.named(frame)
                        channel, subject = frames.topic(frame)
                        await self._subscriptions.end(channel, subject)
                        await self.outbox.put(frames.unsubscribed(channel, subject))
                    case frames.Auth():
                        raise Conflict("This connection is authenticated already.")
            except QStoreError as error:
                await self.outbox.put(frames.error(error, about))

    async def _authenticate(self) -> None:
        """
        Raises:
            Closing: No credential in time, or a wrong one.
        """
        try:
            async with asyncio.timeout(AUTH_SECONDS):
                text = self._text(await self.ws.recv())
        except TimeoutError:
            raise Closing(NO_AUTH_IN_TIME, "authenticate first") from None
        try:
            frame = frames.read(text)
            if not isinstance(frame, frames.Auth) or (frame.token is None) == (frame.api_key is None):
                raise Unauthenticated('Send {"type": "auth", "token": …} or {"type": "auth", "api_key": …} first.')
            sessions = self.appliance.sessions
            key, token = frame.api_key, (frame.token or "").removeprefix("Bearer ").strip()

            async def again() -> Caller:
                return await identity.by_key(sessions, key) if key else await identity.by_token(sessions, token)

            self._enter(await again(), again)
        except Unavailable as error:
            await self.outbox.put(frames.error(error))
            raise Closing(1013, "try again later") from None
        except QStoreError as error:
            await self.outbox.put(frames.error(error))
            raise Closing(NO_AUTHORITY, "not authenticated") from None

    @staticmethod
    def _text(message: str | bytes | bytearray | None) -> str:
        """
        Raises:
            Closing: A binary frame.
        """
        if not isinstance(message, str):
            raise Closing(WRONG_KIND, "text frames only")
        return message

    async def _write(self) -> None:
        while True:
            waiting = [await self.outbox.get()]
            while not self.outbox.empty() and len(waiting) < frames.BATCH:
                waiting.append(self.outbox.get_nowait())
            for text in frames.written(waiting):
                try:
                    async with asyncio.timeout(STUCK_SECONDS):
                        await self.ws.send(text)
                except TimeoutError:
                    # Nothing reaches this client, a closing frame neither.
                    self.ws.fail_connection(1006)
                    if self.ws.io_proto is not None:
                        self.ws.io_proto.abort()
                    raise Closing(POLICY, "reads too slowly") from None

    async def _flush(self) -> None:
        """What explains the end must still go out. The writer may hold frames of its own; order does not matter now."""
        while not self.outbox.empty():
            for text in frames.written([self.outbox.get_nowait()]):
                await self.ws.send(text)

    async def _watch(self) -> None:
        stopping: asyncio.Event = self.request.app.ctx.stopping
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    await stopping.wait()
                raise Closing(LEAVING, "the server stops")
            if self.caller is not None and self._again is not None:
                await self._check(self.caller, self._again)

    async def _check(self, caller: Caller, again: Callable[[], Awaitable[Caller | None]]) -> None:
        try:
            now = await again()
        except Unauthenticated:
            now = None
        except Unavailable:
            return
        if now is None or now.organization_id != caller.organization_id:
            raise Closing(NO_AUTHORITY, "signed out")
        self.caller = self._subscriptions.caller = now
        await self._subscriptions.check()
