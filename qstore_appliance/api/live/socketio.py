"""
Socket.IO at `/socket.io/`, by polling and by WebSocket, for clients that say `io(url, {auth: {token}})`.

python-socketio speaks the protocol; who may come in, what they hear and how much waits for them is decided here as it is
for the plain WebSocket. An event carries the payload of the specification, and beside it channel, id and number.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Hashable, Sequence
from typing import Any

import msgspec
import structlog
from engineio import packet
from sanic import Request
from sanic.response import HTTPResponse
from socketio import AsyncNamespace, AsyncServer
from socketio.exceptions import ConnectionRefusedError as Refusal

from qstore_appliance.api import identity
from qstore_appliance.api.assembler import MESSAGES_PER_SECOND, StrictAssembler
from qstore_appliance.api.envelope import fault
from qstore_appliance.api.live import frames
from qstore_appliance.api.live.connections import LEAVING, Again, Connections, proof
from qstore_appliance.api.live.socket import AUTH_SECONDS, Writer
from qstore_appliance.api.live.subscriptions import Subscriptions
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.errors import Malformed, QStoreError, RateLimited, TooLarge, Unauthenticated, ValidationFailed
from qstore_appliance.services.channels import Reader, checked
from qstore_appliance.services.windows import Entry

log = structlog.get_logger(__name__)

PATH = "/socket.io/"
PING_SECONDS = 20
#: Bytes of a message from a client.
LARGEST = 65_536
#: Events that wait for one client.
WAITING = 64
#: Requests of one polling client; each answer carries what has come meanwhile.
REQUESTS_PER_SECOND = 100
FAREWELL_SECONDS = 1.0
#: The client that is told to go closes the connection itself; it would not hear why, if we did so in the same breath.
LEAVE_SECONDS = 0.3
#: What clients do wrong fills no log of ours.
_silent = logging.getLogger("qstore.socketio")
_silent.setLevel(logging.CRITICAL + 1)


class Outgoing(asyncio.Queue[Any]):
    """What waits for one client. Tells when it has all been taken, and counts what the client does."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()
        self.born = time.monotonic()
        self.on_drained: Callable[[], None] | None = None
        self._second = 0
        self._counts: dict[str, int] = {}

    def _get(self) -> Any:
        item = super()._get()
        if self.empty() and self.on_drained is not None:
            asyncio.get_running_loop().call_soon(self.on_drained)
        return item

    def count(self, what: str) -> int:
        """How often in this second."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._counts = second, {}
        self._counts[what] = self._counts.get(what, 0) + 1
        return self._counts[what]


class Transport:
    """A client's WebSocket, as engine.io wants it: with the limits of ours."""

    def __init__(self, handler: Callable[[Transport], Coroutine[Any, Any, None]], server: Any) -> None:
        self._handler = handler
        self._server = server
        self.ws: Any = None
        self.writer: Writer | None = None
        self.environ: dict[str, Any] = {}

    async def __call__(self, environ: dict[str, Any]) -> Any:
        request: Request = environ["sanic.request"]
        assert request.transport is not None
        protocol: Any = request.transport.get_protocol()  # type: ignore[attr-defined]
        self.environ = environ
        self.ws = await protocol.websocket_handshake(request)
        self.ws.assembler = StrictAssembler(self.ws)
        self.writer = Writer(self.ws)
        # The handler is a method of the client's socket.
        self._handler.__self__.ours = self  # type: ignore[attr-defined]
        await self._handler(self)
        return self._server._ok()

    async def send(self, message: str | bytes) -> None:
        await self.ws.send(message)

    async def wait(self) -> str | bytes:
        message = await self.ws.recv()
        if not isinstance(message, str):
            # Nothing that we take is binary; closed connections say None.
            raise OSError
        return message

    async def close(self) -> None:
        await self.ws.close()


class Door(AsyncNamespace):
    """All Socket.IO clients of this process."""

    def __init__(self, appliance: Any, connections: Connections) -> None:
        super().__init__("/")
        self.appliance = appliance
        self.connections = connections
        self._tasks: set[asyncio.Task[Any]] = set()
        self._guests: dict[str, Visitor] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self._server_io = AsyncServer(
            async_mode="sanic",
            async_handlers=False,
            # Whoever comes from another page has been sent away by `admit`.
            cors_allowed_origins=lambda origin, environ: True,
            cors_credentials=False,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            max_http_buffer_size=LARGEST,
            logger=_silent,
            engineio_logger=_silent,
        )
        self._engine: Any = self._server_io.eio
        self._engine._async = {**self._engine._async, "websocket": Transport}
        self._engine.create_queue = Outgoing
        self._engine.start_background_task = self._started
        self._server_io.register_namespace(self)

    # The HTTP side -----------------------------------------------------------------------------------------------

    def admit(self, request: Request) -> bool:
        """
        Whether this request belongs to a client that is here already and pays no further token.

        Raises:
            Forbidden: From another page, or with a cookie and not from a page at all.
            RateLimited: A client that polls as if there were no answer to wait for.
        """
        if request.headers.getall("origin", []) or identity.cookie(request):
            identity.require_same_origin(request)
        socket = self._engine.sockets.get(request.args.get("sid") or "")
        if socket is None:
            return False
        if socket.queue.count("requests") > REQUESTS_PER_SECOND:
            raise RateLimited("Too many requests of this session.", retry_after=1)
        return True

    async def handle(self, request: Request) -> HTTPResponse:
        """
        Raises:
            Malformed: A body that is not text.
            TooLarge: More than a WebSocket's message may be.
        """
        if len(request.body) > LARGEST:
            raise TooLarge(f"At most {LARGEST} bytes.")
        try:
            request.body.decode()
        except UnicodeDecodeError:
            raise Malformed("The body is not UTF-8.") from None
        answer: HTTPResponse = await self._engine.handle_request(request)
        return answer

    def start(self) -> None:
        self._sweeper = asyncio.create_task(self._sweep(), name="live.socketio")

    async def stop(self) -> None:
        """Send everybody away, so that no held poll holds up the stop."""
        await asyncio.gather(*(self._close(sid) for sid in list(self._engine.sockets)))
        await self._engine.shutdown()
        tasks = [task for task in (*self._tasks, self._sweeper) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _started(self, target: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any, **more: Any) -> Any:
        task = asyncio.ensure_future(target(*arguments, **more))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _sweep(self) -> None:
        """Who has opened a session and does not say who they are holds a place for nobody."""
        while True:
            await asyncio.sleep(1.0)
            known = {guest.engine_id for guest in self._guests.values()}
            late = time.monotonic() - AUTH_SECONDS
            for sid, socket in list(self._engine.sockets.items()):
                if sid not in known and socket.queue.born < late:
                    self._started(self._close, sid)

    async def _close(self, engine_id: str) -> None:
        """Close a session; a client that takes nothing, or does not close its side, is cut off."""
        socket = self._engine.sockets.get(engine_id)
        if socket is None:
            return
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._engine.disconnect(engine_id)
        except TimeoutError:
            self._engine.sockets.pop(engine_id, None)
        ours: Transport | None = getattr(socket, "ours", None)
        if ours is not None:
            ours.ws.fail_connection(1001)

    # The Socket.IO side ------------------------------------------------------------------------------------------

    async def trigger_event(self, event: Any, *arguments: Any) -> Any:
        """Names come from clients, those of our own events too."""
        sid = arguments[0]
        try:
            if event == "connect":
                return await self._enter(sid, *arguments[1:])
            if event == "disconnect":
                return self.forget(sid)
            guest = self._guests.get(sid)
            if guest is None:
                return None
            return await guest.hear(event, arguments[1] if len(arguments) > 1 else None)
        except Refusal:
            raise
        except Exception:
            log.exception("socketio.failed", event_name=str(event)[:40])
            return {"type": "error", "error": fault(QStoreError())}

    async def _enter(self, sid: str, environ: Any, auth: Any = None) -> None:
        """
        Raises:
            Refusal: No credential, or a wrong one: the client's `connect_error`.
        """
        request = environ.get("sanic.request") if isinstance(environ, dict) else None
        # A client may send an event of this name: nothing of its own making is a request.
        if not isinstance(request, Request) or sid in self._guests:
            raise Refusal("Already connected.")
        try:
            credential, again = self._proof(request, auth)
            caller = await again()
            if caller is None:
                raise Unauthenticated
        except QStoreError as error:
            raise Refusal(error.message, fault(error)) from None
        guest = Visitor(self, sid, self._server_io.manager.eio_sid_from_sid(sid, "/"), caller, credential, again)
        self._guests[sid] = guest
        self.connections.add(guest)

    def _proof(self, request: Request, auth: Any) -> tuple[Hashable, Again]:
        sessions = self.appliance.sessions
        if auth is None or auth == {}:
            value = identity.cookie(request)
            if not value or request.ctx.caller is None:
                raise Unauthenticated("Send auth: {token: …} or {api_key: …}.")
            return ("cookie", value), lambda: sessions.by_cookie(value)
        token, api_key = (auth.get("token"), auth.get("api_key")) if isinstance(auth, dict) else (None, None)
        if (token is None) == (api_key is None) or not isinstance(token or api_key, str):
            raise Unauthenticated("Send auth: {token: …} or {api_key: …}.")
        return proof(sessions, token, api_key)

    def forget(self, sid: str) -> None:
        guest = self._guests.pop(sid, None)
        if guest is not None:
            guest.close()
            self.connections.remove(guest)

    def engine_socket(self, engine_id: str) -> Any:
        return self._engine.sockets.get(engine_id)

    def send_away(self, guest: Visitor, code: int) -> None:
        self.forget(guest.sid)
        self._started(self._sent_away, guest, code)

    async def _sent_away(self, guest: Visitor, code: int) -> None:
        if code != LEAVING:
            # Told to go, a client does not come back by itself; a server that only stops is waited for.
            await self._server_io.disconnect(guest.sid)
            await asyncio.sleep(LEAVE_SECONDS)
        await self._close(guest.engine_id)


class Visitor:
    """One client. Implements `connections.Guest` and `subscriptions.Outlet`."""

    def __init__(
        self, door: Door, sid: str, engine_id: str, caller: Caller, credential: Hashable, again: Again
    ) -> None:
        self.sid = sid
        self.engine_id = engine_id
        self.caller = caller
        self.credential = credential
        self.again = again
        self._door = door
        self._subscriptions = Subscriptions(door.appliance.channels, self, caller)
        self._socket = door.engine_socket(engine_id)
        self._queue: Outgoing = self._socket.queue
        self._queue.on_drained = self._subscriptions.go_on

    async def hear(self, event: Any, data: Any) -> Any:
        """What the client says; the answer goes to its acknowledgement, if it asked for one."""
        if self._queue.count("messages") > MESSAGES_PER_SECOND:
            self._door.send_away(self, 1008)
            return None
        if event not in ("subscribe", "unsubscribe", "ping"):
            return None
        about: dict[str, Any] = {}
        try:
            if event == "ping":
                return {"type": "pong"}
            if not isinstance(data, dict):
                raise ValidationFailed.field(event, "takes an object: {channel, …}")
            frame = frames.read(msgspec.json.encode({**data, "type": event}).decode())
            assert isinstance(frame, frames.Subscribe | frames.Unsubscribe)
            about = frames.named(frame)
            subject = frames.subject(frame)
            if isinstance(frame, frames.Subscribe):
                return await self._subscriptions.open(frame.channel, subject, frame.last_seq, frame.stream)
            self._subscriptions.end(checked(frame.channel, subject).name, subject)
            done = frames.unsubscribed(frame.channel, subject or "")
            self.say(done)
            return done
        except QStoreError as error:
            wrong = frames.error(error, about)
            self.say(wrong)
            return wrong

    def close(self) -> None:
        self._queue.on_drained = None
        self._subscriptions.close()

    # A guest -----------------------------------------------------------------------------------------------------

    def check(self, caller: Caller) -> None:
        self.caller = caller
        self._subscriptions.check(caller)

    def leave(self, code: int, reason: str) -> None:
        if code != LEAVING:
            self.say(frames.error(Unauthenticated(f"You are {reason}.")))
        self._door.send_away(self, code)

    def stuck_for(self) -> float:
        ours: Transport | None = getattr(self._socket, "ours", None)
        return ours.writer.stuck_for() if ours is not None and ours.writer is not None else 0.0

    def abort(self) -> None:
        ours: Transport | None = getattr(self._socket, "ours", None)
        if ours is not None and ours.writer is not None:
            ours.writer.abort()

    # An outlet ---------------------------------------------------------------------------------------------------

    def takes(self) -> bool:
        return self._queue.qsize() < WAITING and not self._socket.closed

    def say(self, frame: dict[str, Any]) -> None:
        self._put('2["' + frame["type"] + '",' + frames.written(frame).decode() + "]")

    def deliver(self, reader: Reader, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._put(reader.frame("socket.io", (entry,), lambda entry=entry: event(reader, entry)).decode())  # type: ignore[misc]

    def _put(self, text: str) -> None:
        if not self._socket.closed:
            self._queue.put_nowait(packet.Packet(packet.MESSAGE, text))


def event(reader: Reader, entry: Entry) -> bytes:
    """An event packet of Socket.IO (protocol 5): the payload as specified, then what else there is to know."""
    beside = {**frames.about(reader.channel.name, reader.subject), "stream": reader.stream, "seq": entry.seq}
    return b'2["%b",%b,%b]' % (reader.channel.spoken.encode(), entry.data, frames.written(beside))
