"""
Listening, serving, and leaving in good order. One way to run the app, for `qstore serve` and for tests.

Stopping mirrors starting: streams are told, the listener closes, requests in flight finish, sockets say goodbye, and
only then the appliance closes.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog
from sanic import Sanic
from sanic.application.state import ApplicationServerInfo
from sanic.http import Http, Stage
from sanic.http.constants import HTTP
from sanic.server import AsyncioServer
from sanic.server.protocols.websocket_protocol import WebSocketProtocol

from qstore_appliance.errors import ConfigurationInvalid, Refused
from qstore_appliance.settings import Settings

log = structlog.get_logger(__name__)

#: uvloop accepts about one connection a turn; arrivals wait here meanwhile.
BACKLOG = 2_048
#: A WebSocket that we close and whose client does not gets so long. With the pings it stays below 45 s.
CLOSING_SECONDS = 4.0
#: Requests in flight get so long to finish.
GRACE_SECONDS = 10.0


class Protocol(WebSocketProtocol):
    """
    A request's head has one deadline: a client that sends a byte now and then does not move it.

    And who writes to a WebSocket without waiting is told when its client takes nothing, and when it does again.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.websocket_timeout = CLOSING_SECONDS

    def data_received(self, data: bytes) -> None:
        began = self._time if self.http is not None and self.http.stage is Stage.REQUEST else None
        super().data_received(data)
        if began is not None:
            self._time = began

    def pause_writing(self) -> None:
        super().pause_writing()
        if (writer := getattr(self.websocket, "writer", None)) is not None:
            writer.paused()

    def resume_writing(self) -> None:
        super().resume_writing()
        if (writer := getattr(self.websocket, "writer", None)) is not None:
            writer.resumed()


def listen(settings: Settings) -> socket.socket:
    """
    Take the address before anything else is opened.

    Raises:
        Refused: The port is taken, or may not be used.
        ConfigurationInvalid: The address is none of this machine's.
    """
    host, port = settings.server.host, settings.server.port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigurationInvalid(f"server.host: {host}: {error.strerror}") from error
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise Refused(f"Port {port} on {host} cannot be used: {error.strerror}. Choose another with --port.") from error
    return listener


class Server:
    """A served app. `start` answers requests once it returns; `stop` returns when everything is closed."""

    def __init__(self, app: Sanic[Any, Any], settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self._server: AsyncioServer | None = None

    async def start(self, listener: socket.socket) -> None:
        """
        Raises:
            Whatever opening the appliance raises; nothing stays open then.
        """
        context = tls(self.settings)
        # Sanic rewrites its own methods for the app that starts (no calls of signals that nobody hears, no empty Alt-Svc
        # header), which works once in a process; what it made for the first app fits every app of ours.
        self.app.config.TOUCHUP = not getattr(Http, "__touched__", False)
        self.app.state.server_info = [ApplicationServerInfo(settings={"version": HTTP.VERSION_1})]
        self._server = await self.app.create_server(
            sock=listener,
            ssl=context,
            protocol=Protocol,
            backlog=BACKLOG,
            access_log=False,
            return_asyncio_server=True,
            # Whoever knocks before the appliance is open waits in the backlog.
            asyncio_server_kwargs={"start_serving": False},
        )
        assert self._server is not None
        try:
            await self._server.startup()
            await self._server.before_start()
            await self._server.start_serving()
            await self._server.after_start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Idempotent. Requests in flight get `grace` seconds."""
        server, self._server = self._server, None
        if server is None:
            return
        if self.app.state.is_started:
            await server.before_stop()
        await self._drain(server, grace)
        tasks = list(self.app.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.app.state.is_started:
            await server.after_stop()
        Sanic.unregister_app(self.app)

    async def _drain(self, server: AsyncioServer, grace: float) -> None:
        if server.server is not None:
            server.server.close()
        deadline = asyncio.get_running_loop().time() + grace
        for connection in list(server.connections):
            connection.close_if_idle()
        while server.connections and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
            # A keep-alive connection becomes idle when its last answer is out.
            for connection in list(server.connections):
                if getattr(connection, "websocket", None) is None:
                    connection.close_if_idle()
        for connection in list(server.connections):
            if getattr(connection, "websocket", None) is not None:
                connection.websocket.fail_connection(1001)
            else:
                connection.abort()


def tls(settings: Settings) -> ssl.SSLContext | None:
    """
    Raises:
        ConfigurationInvalid: The certificate or its key cannot be used.
    """
    if not settings.server.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Of TLS 1.2 only what keeps recorded traffic closed when the key is lost.
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    try:
        if Path(settings.server.tls_key).stat().st_mode & 0o007:
            file = settings.server.tls_key
            raise ConfigurationInvalid(f"server.tls_key: {file} can be read by everybody here; run: chmod 600 {file}")
        context.load_cert_chain(settings.server.tls_certificate, settings.server.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationInvalid(f"server.tls_certificate, server.tls_key: {error}") from error
    return context


async def serve(
    app: Sanic[Any, Any],
    settings: Settings,
    *,
    ready: Callable[[], Awaitable[None]] | None = None,
    listener: socket.socket | None = None,
) -> None:
    """
    Serve until SIGTERM or SIGINT.

    Args:
        ready: Called once requests are answered.
        listener: From `listen(settings)`, where the caller took the address before.

    Raises:
        Refused: The port is taken. Whatever opening the appliance raises.
    """
    server = Server(app, settings)
    await server.start(listener or listen(settings))
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    try:
        if ready is not None:
            await ready()
        await asked.wait()
        log.info("server.stopping")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        await server.stop()


def run(app: Sanic[Any, Any], settings: Settings, **arguments: Any) -> None:
    """`serve` on a loop of its own: uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(app, settings, **arguments))
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(app, settings, **arguments))
