"""
The control socket: how a command-line verb reaches the server that has the data directory.

`DIR/control.sock` (0600) speaks JSON lines. A request is `{"verb": ["user", "create"], "arguments": {…}}`; each value
that the verb yields comes back as `{"ok": true, "result": …}`, its end as `{"ok": true, "done": true}`, a failure as
`{"ok": false, "error": {"code", "message", "details"}}`. Whoever may open the socket is the operator.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from qstore_appliance.cli.verbs import VERBS
from qstore_appliance.errors import ConfigurationInvalid, Forbidden, Malformed, QStoreError, Unavailable, family
from qstore_appliance.settings import Settings

MAX_LINE = 1 << 20
#: The longest path that `sockaddr_un` takes (Linux 107, macOS 103 bytes).
MAX_PATH = 107 if sys.platform == "linux" else 103


class NoServer(Exception):
    """No server listens on the control socket."""


def plain(value: Any) -> Any:
    """Domain values as JSON can carry them."""
    return msgspec.to_builtins(value)


@contextlib.contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """
    A spelling of the path that fits into a socket address, valid inside the block.

    Raises:
        ConfigurationInvalid: It has none.
    """
    candidates = [str(path), os.path.relpath(path)]
    fitting = next((c for c in candidates if len(os.fsencode(c)) <= MAX_PATH), None)
    if fitting is not None:
        yield fitting
        return
    if not Path("/proc/self/fd").is_dir():
        raise ConfigurationInvalid(
            f"{path}: too long for a socket (at most {MAX_PATH} bytes); use a shorter --data-dir"
        )
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def call(settings: Settings, words: Sequence[str], arguments: dict[str, Any]) -> Iterator[Any]:
    """
    Run a verb in the server and yield its results.

    Raises:
        NoServer: Nobody listens; nothing was sent.
        QStoreError: What the verb raised, or Unavailable when the server went away in between.
    """
    path = settings.control_socket
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with connection:
        try:
            with _reachable(path) as address:
                connection.connect(address)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
            raise NoServer from error
        except PermissionError as error:
            raise Forbidden(f"{path} belongs to another user; run this as the user who runs the server.") from error
        request = json.dumps({"verb": list(words), "arguments": arguments}).encode() + b"\n"
        try:
            connection.sendall(request)
            for line in connection.makefile("rb"):
                answer = json.loads(line)
                if not answer["ok"]:
                    raise _error(answer["error"])
                if answer.get("done"):
                    return
                yield answer["result"]
        except ConnectionError as error:
            raise Unavailable("The server went away.") from error
        raise Unavailable("The server went away.")


def is_served(settings: Settings) -> bool:
    """Whether a server listens on the control socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            with _reachable(settings.control_socket) as address:
                connection.connect(address)
        except PermissionError:
            return True
        except OSError:
            return False
    return True


def _error(body: dict[str, Any]) -> QStoreError:
    kind = family().get(body["code"], QStoreError)
    return kind(body["message"], details=body.get("details"))


class ControlSocket:
    """The server's end, open while the server serves."""

    def __init__(self, settings: Settings, appliance: Any) -> None:
        self.path = settings.control_socket
        self.appliance = appliance
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        # The lock on the data directory is ours, so a socket that lies there was left by a server that was killed.
        self.path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            with _reachable(self.path) as address:
                listening.bind(address)
        finally:
            os.umask(before)
        listening.setblocking(False)
        self._server = await asyncio.start_unix_server(self._converse, sock=listening, limit=MAX_LINE)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self.path.unlink(missing_ok=True)
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        # The client went, or the server stops: either way nobody is left to tell.
        with contextlib.suppress(ConnectionError, asyncio.CancelledError), contextlib.closing(writer):
            try:
                _only_ours(writer)
                await self._answer(reader, writer)
            finally:
                self._running.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def send(message: dict[str, Any]) -> None:
            writer.write(json.dumps(message).encode() + b"\n")
            await writer.drain()

        try:
            # The client says nothing after its request: when its end closes, what it asked for ends too.
            async with contextlib.aclosing(self._results(await _request(reader))) as results:
                leaving = asyncio.ensure_future(reader.read())
                step: asyncio.Future[Any] = asyncio.ensure_future(anext(results))
                try:
                    while True:
                        await asyncio.wait({step, leaving}, return_when=asyncio.FIRST_COMPLETED)
                        if not step.done():
                            return
                        await send({"ok": True, "result": plain(step.result())})
                        step = asyncio.ensure_future(anext(results))
                except StopAsyncIteration:
                    await send({"ok": True, "done": True})
                finally:
                    for task in (step, leaving):
                        task.cancel()
                    await asyncio.gather(step, leaving, return_exceptions=True)
        except QStoreError as error:
            body = {"code": error.code, "message": error.message, "details": plain(error.details)}
            await send({"ok": False, "error": body})
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            await send({"ok": False, "error": {"code": "INTERNAL", "message": f"{type(error).__name__}: {error}"}})

    def _results(self, request: dict[str, Any]) -> AsyncGenerator[Any, None]:
        verb = VERBS.get(tuple(request["verb"]))
        if verb is None or verb.alone:
            raise Malformed(f"This server knows no verb {' '.join(request['verb'])!r}; is it of another version?")
        return verb.start(self.appliance, request["arguments"])


class _Request(msgspec.Struct):
    verb: list[str]
    arguments: dict[str, Any]


async def _request(reader: asyncio.StreamReader) -> dict[str, Any]:
    try:
        line = await asyncio.wait_for(reader.readline(), timeout=10)
        return msgspec.structs.asdict(msgspec.json.decode(line, type=_Request))
    except (ValueError, msgspec.DecodeError, TimeoutError) as error:
        raise Malformed("The request is not a line of JSON with verb and arguments.") from error


def _only_ours(writer: asyncio.StreamWriter) -> None:
    """The mode of the socket keeps others out; where the system tells who is there, ask it as well."""
    if not hasattr(socket, "SO_PEERCRED"):
        return
    peer = writer.get_extra_info("socket")
    _, user, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    if user not in {0, os.geteuid()}:
        raise ConnectionAbortedError(f"user {user} may not use the control socket")
