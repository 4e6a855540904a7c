"""Receivers on loopback that really receive: an HTTP server that behaves as badly as its path says, and a mail server."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ssl
import threading
import time
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

TLS = Path(__file__).parent / "tls"
AUTHORITY = str(TLS / "certificate.pem")
#: Names in the certificate, beside localhost and 127.0.0.1.
MAIL_NAME, HOOK_NAME = "mail.example", "hooks.example"


def tls_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    return context


class Received(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class Receiver(ThreadingHTTPServer):
    """
    Answers 200, or what its path asks for: `/status/503`, `/redirect`, `/hang`, `/close`, `/drip`, `/bomb`, `/gzip`,
    `/garbage`. Keeps what it gets, and counts who connects.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, *, tls: bool = False, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.received: list[Received] = []
        self.connections = 0
        #: Bytes that a client took of `/bomb`, buffers on the way included.
        self.taken = 0
        #: Set: whatever hangs goes on.
        self.stopping = threading.Event()
        #: What `/redirect` leads to.
        self.location = "http://169.254.169.254/latest/meta-data/"
        #: Paths answer 503 as long as they stand here.
        self.broken: set[str] = set()
        #: What clients said in their TLS hello.
        self.names: list[str | None] = []
        if tls:
            context = tls_context()
            context.sni_callback = lambda connection, name, context: self.names.append(name)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.port = int(self.server_address[1])
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def get_request(self) -> Any:
        found = super().get_request()
        self.connections += 1
        return found

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that break off are what some tests are about."""

    def close(self) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()
        self._thread.join()

    def wait_for(self, count: int, seconds: float = 60.0) -> list[Received]:
        """What came, once that many have; the time is only a guard."""
        deadline = time.monotonic() + seconds
        while len(self.received) < count:
            assert time.monotonic() < deadline, self.received
            time.sleep(0.02)
        return list(self.received)


@contextlib.contextmanager
def receiving(*, tls: bool = False, port: int = 0) -> Iterator[Receiver]:
    receiver = Receiver(tls=tls, port=port)
    try:
        yield receiver
    finally:
        receiver.close()


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.received.append(Received(self.path, dict(self.headers.items()), body))
        what = self.path.strip("/").partition("?")[0].split("/")
        if self.path in self.server.broken:
            self._answer(503)
        elif what[0] == "status":
            self._answer(int(what[1]), b"the secrets of the receiver")
        elif what[0] == "redirect":
            self._answer(int(what[1]) if len(what) > 1 else 302, Location=self.server.location)
        elif what[0] == "hang":
            self.server.stopping.wait(60)
            self._answer(200)
        elif what[0] == "close":
            self.connection.close()
        elif what[0] == "garbage":
            self.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
        elif what[0] == "gzip":
            self._answer(200, gzip.compress(bytes(10_000_000)), **{"Content-Encoding": "gzip"})
        elif what[0] == "bomb":
            self._answer(200, length=1 << 30)
            with contextlib.suppress(OSError):
                for _ in range(1 << 14):
                    self.wfile.write(bytes(65_536))
                    self.server.taken += 65_536
        elif what[0] == "drip":
            self._answer(200, length=1_000_000)
            with contextlib.suppress(OSError):
                while not self.server.stopping.wait(0.05):
                    self.wfile.write(b"x")
        else:
            self._answer(200, b"thanks")

    def _answer(self, status: int, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what came is kept."""


class Mail(NamedTuple):
    sender: str
    recipients: list[str]
    message: EmailMessage
    tls: bool
    user: str | None


class MailServer:
    """
    A mail server on loopback. Recipients at refused.example are refused for good, those at busy.example for now.

    Args:
        tls: "starttls", "implicit" or "none".
        password: Whoever signs in as "lab" needs it; nobody sends anything without.
    """

    def __init__(self, tls: str = "starttls", *, password: str | None = None, port: int = 0) -> None:
        self.mails: list[Mail] = []
        self.password = password
        options: dict[str, Any] = {"hostname": MAIL_NAME}
        if password is not None:
            options |= {
                "authenticator": self._authenticate,
                "auth_required": True,
                "auth_require_tls": tls == "starttls",
            }
        if tls == "starttls":
            options |= {"tls_context": tls_context(), "require_starttls": True}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        listening = self._loop.create_server(
            # The loop of the thread, not of the test that makes this.
            lambda: SMTP(self, loop=self._loop, **options),
            "127.0.0.1",
            port,
            ssl=tls_context() if tls == "implicit" else None,
        )
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result(30)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        async def end() -> None:
            self._server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and data.login == b"lab" and data.password == self.password.encode()  # type: ignore[union-attr]
        return AuthResult(success=right, handled=False, auth_data="lab" if right else None)

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Envelope, address: str, options: Any) -> str:
        if address.endswith("@refused.example"):
            return "550 5.1.1 no such user on server7.internal.example"
        if address.endswith("@busy.example"):
            return "451 4.7.1 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:
        message = message_from_bytes(envelope.content, policy=policy.default)  # type: ignore[arg-type]
        encrypted = server.transport.get_extra_info("sslcontext") is not None  # type: ignore[union-attr]
        self.mails.append(
            Mail(str(envelope.mail_from), list(envelope.rcpt_tos), message, encrypted, session.auth_data)  # type: ignore[arg-type]
        )
        return "250 OK"


@contextlib.contextmanager
def mail_server(tls: str = "starttls", *, password: str | None = None, port: int = 0) -> Iterator[MailServer]:
    server = MailServer(tls, password=password, port=port)
    try:
        yield server
    finally:
        server.close()
