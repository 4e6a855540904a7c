"""
`graphql-transport-ws` on `/graphql`: one connection, its caller, its operations.

Three tasks work side by side: one reads messages, one writes them, one looks each second whether the caller may still be
here. Each operation is a task of its own that hands its answers to the writer through a bounded queue: a slow client fills
it, then its bus queue, then gets what it missed from the stored events; a stuck client is dropped.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import structlog
from graphql import OperationType
from sanic import Request
from sanic.server.websockets.impl import WebsocketImplProtocol

from qstore_appliance.api import identity, inputs, middleware
from qstore_appliance.api.assembler import POLICY, StrictAssembler
from qstore_appliance.api.envelope import encode
from qstore_appliance.api.graphql.context import Context
from qstore_appliance.api.graphql.documents import Refused
from qstore_appliance.api.graphql.events import PERMISSIONS
from qstore_appliance.api.graphql.execution import Asked, Engine, Prepared, refused, told, written
from qstore_appliance.api.graphql.view import asked_of
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.errors import Forbidden, QStoreError, Unauthenticated, Unavailable

log = structlog.get_logger(__name__)

PROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 5.0
CHECK_SECONDS = 1.0
#: A client that takes nothing for so long is dropped.
STUCK_SECONDS = 10.0
#: Messages that wait for the writer.
OUTBOX = 256
MAX_OPERATIONS = 100
LONGEST_ID = 128

LEAVING, AGAIN_LATER = 1001, 1013
#: The protocol's own.
BAD, SIGNED_OUT, WRONG_CREDENTIAL, NO_PROTOCOL = 4400, 4401, 4403, 4406
NO_INIT, SAME_ID, TWO_INITS = 4408, 4409, 4429


class Closing(Exception):
    """This connection ends, with this code."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


class Operation(NamedTuple):
    task: asyncio.Task[None]
    #: What a subscription goes on needing.
    permissions: list[str]


Again = Callable[[], Awaitable[Caller | None]]


async def serve(request: Request, ws: WebsocketImplProtocol) -> None:
    """The WebSocket of GraphQL: subscriptions, and queries and mutations for clients that send everything here."""
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
        self.engine: Engine = request.app.ctx.graphql
        self.caller: Caller | None = None
        self._again: Again | None = None
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue(OUTBOX)
        self._operations: dict[str, Operation] = {}

    async def run(self) -> None:
        tasks = [asyncio.create_task(work()) for work in (self._read, self._write, self._watch)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await self._leave(done)
        finally:
            running = [operation.task for operation in self._operations.values()]
            for task in (*tasks, *running):
                task.cancel()
            await asyncio.gather(*tasks, *running, return_exceptions=True)

    async def _leave(self, done: set[asyncio.Task[None]]) -> None:
        for task in done:
            # Sanic cancels a reader whose client has closed; there is nobody to say goodbye to.
            cause = None if task.cancelled() else task.exception()
            if isinstance(cause, Closing):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_SECONDS):
                        await self.ws.close(cause.code, cause.reason)
            elif isinstance(cause, Exception) and self.ws.ws_proto.state.name == "OPEN":
                log.error("graphql.socket_failed", exc_info=cause)
                self.ws.fail_connection(1011)

    # Reading -----------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        if self.ws.subprotocol != PROTOCOL:
            raise Closing(NO_PROTOCOL, "Subprotocol not acceptable")
        try:
            async with asyncio.timeout(INIT_SECONDS):
                message = await self._message()
        except TimeoutError:
            raise Closing(NO_INIT, "Connection initialisation timeout") from None
        if message.get("type") != "connection_init":
            raise Closing(SIGNED_OUT, "Unauthorized")
        await self._init(message.get("payload"))
        while True:
            message = await self._message()
            match message.get("type"):
                case "ping":
                    await self._say({"type": "pong"})
                case "pong":
                    pass  # An answer to nothing we asked; the protocol allows it at any time.
                case "subscribe":
                    await self._subscribe(message)
                case "complete":
                    await self._end(_id(message))
                case "connection_init":
                    raise Closing(TWO_INITS, "Too many initialisation requests")
                case _:
                    raise Closing(BAD, "Unknown message")

    async def _message(self) -> dict[str, Any]:
        """
        Raises:
            Closing: Not a JSON object in a text frame.
        """
        text = await self.ws.recv()
        if not isinstance(text, str):
            raise Closing(BAD, "Text frames only")
        try:
            message = inputs.parsed(text.encode())
        except (QStoreError, UnicodeEncodeError):
            raise Closing(BAD, "Not JSON") from None
        if not isinstance(message, dict):
            raise Closing(BAD, "Not a message")
        return message

    async def _init(self, payload: Any) -> None:
        """
        Let in who sends `{"token"}` or `{"apiKey"}`, or came with the dashboard's cookie.

        Raises:
            Closing: Nobody we know.
        """
        given = payload if isinstance(payload, dict) else {}
        token, key = given.get("token"), given.get("apiKey")
        sessions = self.request.app.ctx.appliance.sessions
        again: Again
        if isinstance(key, str) and token is None:

            async def again() -> Caller | None:
                return await identity.by_key(sessions, key)

        elif isinstance(token, str) and key is None:
            bare = token.removeprefix("Bearer ").strip()

            async def again() -> Caller | None:
                return await identity.by_token(sessions, bare)

        elif token is None and key is None and self.request.ctx.caller is not None:

            async def again() -> Caller | None:
                return await identity.by_cookie(self.request)

        else:
            raise Closing(WRONG_CREDENTIAL, "Forbidden")
        try:
            caller = await again()
        except Unavailable:
            raise Closing(AGAIN_LATER, "Try again later") from None
        except QStoreError:
            caller = None
        if caller is None:
            raise Closing(WRONG_CREDENTIAL, "Forbidden")
        self.caller, self._again = caller, again
        await self._say({"type": "connection_ack"})

    # Operations --------------------------------------------------------------------------------------------------

    async def _subscribe(self, message: dict[str, Any]) -> None:
        """
        Raises:
            Closing: A message that the protocol does not know, or an id that is in use.
        """
        assert self.caller is not None
        id = _id(message)
        if id in self._operations:
            raise Closing(SAME_ID, f"Subscriber for {id} already exists")
        try:
            # An operation costs what a request costs.
            await middleware.limit_caller(self.request, self.caller)
            if len(self._operations) >= MAX_OPERATIONS:
                raise Forbidden(f"A connection has at most {MAX_OPERATIONS} operations at once.")
            asked = asked_of(message.get("payload"))
            prepared = self.engine.prepare(asked)
        except Refused as refusal:
            await self._fail(id, refused(self.request, refusal)["errors"])
            return
        except QStoreError as error:
            await self._fail(id, [told(self.request, error)])
            return
        subscribes = prepared.plan.kind is OperationType.SUBSCRIPTION
        permissions = [PERMISSIONS[name] for name in prepared.plan.fields if name in PERMISSIONS] if subscribes else []
        task = asyncio.create_task(self._operate(id, asked, prepared))
        self._operations[id] = Operation(task, permissions)

    async def _operate(self, id: str, asked: Asked, prepared: Prepared) -> None:
        """An error ends this operation with a message that says so, and leaves the connection alone."""
        assert self.caller is not None
        context = Context(self.request, self.caller)
        try:
            if prepared.plan.kind is OperationType.SUBSCRIPTION:
                async with contextlib.aclosing(self.engine.events(context, asked, prepared)) as events:  # type: ignore[type-var]
                    async for shown in events:
                        await self._next(id, shown)
            else:
                await self._next(id, await self.engine.run(context, asked, prepared))
            await self._say({"type": "complete", "id": id})
        except Refused as refusal:
            await self._fail(id, refused(self.request, refusal)["errors"])
        except Exception as error:
            await self._fail(id, [told(self.request, _of_family(error))])
        finally:
            if self._operations.get(id) is not None and self._operations[id].task is asyncio.current_task():
                del self._operations[id]

    async def _next(self, id: str, shown: dict[str, Any]) -> None:
        # The payload was measured and written as it is over HTTP.
        payload = written(self.request, shown)
        await self._outbox.put(b'{"id":' + encode(id) + b',"type":"next","payload":' + payload + b"}")

    async def _fail(self, id: str, errors: list[dict[str, Any]]) -> None:
        await self._say({"type": "error", "id": id, "payload": errors})

    async def _end(self, id: str) -> None:
        operation = self._operations.pop(id, None)
        if operation is not None:
            operation.task.cancel()
            await asyncio.gather(operation.task, return_exceptions=True)

    # Writing and watching ----------------------------------------------------------------------------------------

    async def _say(self, message: dict[str, Any]) -> None:
        await self._outbox.put(encode(message))

    async def _write(self) -> None:
        while True:
            content = await self._outbox.get()
            try:
                async with asyncio.timeout(STUCK_SECONDS):
                    await self.ws.send(content.decode())
            except TimeoutError:
                # Nothing reaches this client, a closing frame neither.
                self.ws.fail_connection(1006)
                if self.ws.io_proto is not None:
                    self.ws.io_proto.abort()
                raise Closing(POLICY, "Reads too slowly") from None

    async def _watch(self) -> None:
        stopping: asyncio.Event = self.request.app.ctx.stopping
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    await stopping.wait()
                raise Closing(LEAVING, "The server stops")
            if self.caller is not None and self._again is not None:
                await self._check(self.caller, self._again)

    async def _check(self, caller: Caller, again: Again) -> None:
        """
        Raises:
            Closing: Whoever this was may not be here any more.
        """
        try:
            now = await again()
        except Unauthenticated:
            now = None
        except Unavailable:
            return
        if now is None or now.organization_id != caller.organization_id:
            raise Closing(SIGNED_OUT, "Signed out")
        self.caller = now
        for id, operation in list(self._operations.items()):
            lost = next((scope for scope in operation.permissions if not now.may(scope)), None)
            if lost is not None:
                await self._end(id)
                lacking = Forbidden(f"This needs the permission {lost}.", details={"permission": lost})
                await self._fail(id, [told(self.request, lacking)])


def _id(message: dict[str, Any]) -> str:
    """
    Raises:
        Closing: There is none.
    """
    id = message.get("id")
    if not isinstance(id, str) or not 0 < len(id) <= LONGEST_ID:
        raise Closing(BAD, "A message about an operation has its id")
    return id


def _of_family(error: Exception) -> QStoreError:
    if isinstance(error, QStoreError):
        return error
    log.error("graphql.operation_failed", exc_info=error)
    return QStoreError()
