"""
`/v1/ws`: one connection, its caller, its subscriptions.

One task reads what the client says. Nothing writes: events go to the transport as they come, as frames that all
subscribers share, and a client that does not take them is passed over until it does. One that takes nothing at all is
dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import structlog
from sanic import Request
from sanic.server.websockets.impl import WebsocketImplProtocol
from websockets.protocol import State

from qstore_appliance.api import identity
from qstore_appliance.api.assembler import StrictAssembler
from qstore_appliance.api.live import frames
from qstore_appliance.api.live.connections import NO_AUTHORITY, Again, Connections, proof
from qstore_appliance.api.live.subscriptions import Subscriptions
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.errors import Conflict, QStoreError, Unauthenticated, Unavailable
from qstore_appliance.services.channels import Reader, checked
from qstore_appliance.services.windows import Entry

log = structlog.get_logger(__name__)

AUTH_SECONDS = 5.0
#: Saying goodbye takes no longer.
FAREWELL_SECONDS = 1.0
#: Bytes that wait in the transport before a client counts as slow.
WAITING_BYTES = 65_536

WRONG_KIND, FAILED, LATER = 1003, 1011, 1013
NO_AUTH_IN_TIME = 4408


class Closing(Exception):
    """This connection ends, with this code."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


class Writer:
    """Writes whole frames to a WebSocket without waiting, and knows how long its client has taken nothing."""

    __slots__ = ("_paused_since", "_ws", "on_writable")

    def __init__(self, ws: WebsocketImplProtocol) -> None:
        self._ws = ws
        self._paused_since: float | None = None
        self.on_writable: Callable[[], None] = _nothing
        # The protocol tells when the transport is full, and when it is not any more.
        ws.writer = self  # type: ignore[attr-defined]

    def takes(self) -> bool:
        protocol = self._ws.io_proto
        transport = protocol.transport if protocol is not None else None
        return (
            transport is not None
            and self._ws.ws_proto.state is State.OPEN
            and not transport.is_closing()
            and transport.get_write_buffer_size() < WAITING_BYTES
        )

    def write(self, frame: bytes) -> None:
        protocol = self._ws.io_proto
        if protocol is not None and protocol.transport is not None and self._ws.ws_proto.state is State.OPEN:
            protocol.transport.write(frame)

    def paused(self) -> None:
        self._paused_since = time.monotonic()

    def resumed(self) -> None:
        self._paused_since = None
        self.on_writable()

    def stuck_for(self) -> float:
        return 0.0 if self._paused_since is None else time.monotonic() - self._paused_since

    def abort(self) -> None:
        self._ws.fail_connection(1006)
        if self._ws.io_proto is not None:
            self._ws.io_proto.abort()


def _nothing() -> None:
    return None


def text_frame(content: bytes) -> bytes:
    """A whole message in one frame, as a server sends it: unmasked (RFC 6455 §5.2)."""
    size = len(content)
    if size < 126:
        return b"\x81" + bytes((size,)) + content
    if size < 65_536:
        return b"\x81\x7e" + struct.pack(">H", size) + content
    return b"\x81\x7f" + struct.pack(">Q", size) + content


async def serve(request: Request, ws: WebsocketImplProtocol) -> None:
    """The WebSocket: authenticate, subscribe, receive events in order."""
    connection = Connection(request, ws)
    connection.task = asyncio.ensure_future(connection.run())
    unfinished: set[asyncio.Future[None]] = request.app.ctx.unfinished
    unfinished.add(connection.task)
    connection.task.add_done_callback(unfinished.discard)
    await connection.task


class Connection:
    """Implements `connections.Guest` and `subscriptions.Outlet`."""

    __slots__ = (
        "_appliance", "_connections", "_ending", "_subscriptions", "_writer", "_ws", "again", "caller", "credential",
        "task",
    )  # fmt: skip

    caller: Caller
    credential: Hashable
    again: Again
    task: asyncio.Future[None]

    def __init__(self, request: Request, ws: WebsocketImplProtocol) -> None:
        ws.assembler = StrictAssembler(ws)
        self._ws = ws
        self._writer = Writer(ws)
        self._appliance = request.app.ctx.appliance
        self._connections: Connections = request.app.ctx.connections
        self._ending: Closing | None = None
        self._subscriptions: Subscriptions | None = None
        if request.ctx.caller is not None:
            value = identity.cookie(request) or ""
            sessions = self._appliance.sessions
            self._enter(request.ctx.caller, ("cookie", value), lambda: sessions.by_cookie(value))

    async def run(self) -> None:
        try:
            await self._read()
        except Closing as closing:
            await self._farewell(closing)
        except asyncio.CancelledError:
            # Sanic cancels a reader whose client has closed; there is nobody to say goodbye to.
            if self._ending is None:
                raise
            await self._farewell(self._ending)
        except Exception:
            if self._ws.ws_proto.state is State.OPEN:
                log.exception("socket.failed")
                self._ws.fail_connection(FAILED)
        finally:
            self._connections.remove(self)
            self._writer.on_writable = _nothing
            if self._subscriptions is not None:
                self._subscriptions.close()

    async def _farewell(self, closing: Closing) -> None:
        self._connections.remove(self)
        if self._subscriptions is not None:
            self._subscriptions.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._ws.close(closing.code, closing.reason)

    # A guest -----------------------------------------------------------------------------------------------------

    def check(self, caller: Caller) -> None:
        self.caller = caller
        if self._subscriptions is not None:
            self._subscriptions.check(caller)

    def leave(self, code: int, reason: str) -> None:
        if self._ending is None:
            self._ending = Closing(code, reason)
            self.task.cancel()

    def stuck_for(self) -> float:
        return self._writer.stuck_for()

    def abort(self) -> None:
        self._writer.abort()

    # An outlet ---------------------------------------------------------------------------------------------------

    def takes(self) -> bool:
        return self._writer.takes()

    def say(self, frame: dict[str, Any]) -> None:
        self._writer.write(text_frame(frames.written(frame)))

    def deliver(self, reader: Reader, entries: Sequence[Entry]) -> None:
        self._writer.write(
            reader.frame("ws", entries, lambda: text_frame(frames.events(reader.channel.name, reader.subject, entries)))
        )

    # What the client says ----------------------------------------------------------------------------------------

    def _enter(self, caller: Caller, credential: Hashable, again: Again) -> Subscriptions:
        self.caller, self.credential, self.again = caller, credential, again
        self._subscriptions = Subscriptions(self._appliance.channels, self, caller)
        self._writer.on_writable = self._subscriptions.go_on
        self.say(frames.authenticated(caller.user_id, caller.organization_id))
        return self._subscriptions

    async def _read(self) -> None:
        subscriptions = self._subscriptions or await self._authenticate()
        self._connections.add(self)
        while True:
            text = self._text(await self._ws.recv())
            about: dict[str, Any] = {}
            try:
                frame = frames.read(text)
                match frame:
                    case frames.Ping():
                        self.say(frames.pong(frame.id))
                    case frames.Subscribe():
                        about = frames.named(frame)
                        subject = frames.subject(frame)
                        await subscriptions.open(frame.channel, subject, frame.last_seq, frame.stream)
                    case frames.Unsubscribe():
                        about = frames.named(frame)
                        subject = frames.subject(frame)
                        subscriptions.end(checked(frame.channel, subject).name, subject)
                        self.say(frames.unsubscribed(frame.channel, subject or ""))
                    case frames.Auth():
                        raise Conflict("This connection is authenticated already.")
            except QStoreError as error:
                self.say(frames.error(error, about))
            # Whoever does not read our answers is not asked for more questions.
            if not self._writer.takes() and self._ws.io_proto is not None:
                await self._ws.io_proto._can_write.wait()

    async def _authenticate(self) -> Subscriptions:
        """
        Raises:
            Closing: No credential in time, or a wrong one.
        """
        try:
            async with asyncio.timeout(AUTH_SECONDS):
                text = self._text(await self._ws.recv())
        except TimeoutError:
            raise Closing(NO_AUTH_IN_TIME, "authenticate first") from None
        try:
            frame = frames.read(text)
            if not isinstance(frame, frames.Auth) or (frame.token is None) == (frame.api_key is None):
                raise Unauthenticated('Send {"type": "auth", "token": …} or {"type": "auth", "api_key": …} first.')
            credential, again = proof(self._appliance.sessions, frame.token, frame.api_key)
            return self._enter(await again(), credential, again)
        except Unavailable as error:
            self.say(frames.error(error))
            raise Closing(LATER, "try again later") from None
        except QStoreError as error:
            self.say(frames.error(error))
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
