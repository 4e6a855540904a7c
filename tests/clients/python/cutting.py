"""A wire that can be cut: what lies between a client and its server in tests of what the client does about it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque


class Cutter:
    """
    A port that leads to another. `cut` ends what is connected, `close` lets nobody in any more.

    Attributes:
        connections: How many there were.
        mute: As many of the next answers never arrive: the server has acted, its client does not hear of it.
        instead: What the next requests are answered with, in the server's place.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.connections = 0
        self.mute = 0
        self.instead: deque[bytes] = deque()
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Cutter:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.address  # noqa: B018 - asked for while it listens
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        while self._open:
            await asyncio.sleep(0.01)

    def cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    def close(self) -> None:
        self._server.close()
        self.cut()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._open |= {writer, there_writer}
        try:
            await asyncio.gather(self._ask(reader, there_writer, writer), self._answer(there_reader, writer))
        except (ConnectionError, OSError):
            self.cut_one(writer, there_writer)
        finally:
            self.cut_one(writer, there_writer)
            self._open -= {writer, there_writer}

    async def _ask(self, reader: asyncio.StreamReader, there: asyncio.StreamWriter, here: asyncio.StreamWriter) -> None:
        while content := await reader.read(65_536):
            if self.instead:
                here.write(self.instead.popleft())
                await here.drain()
                continue
            there.write(content)
            await there.drain()
        there.close()

    async def _answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while content := await there.read(65_536):
            if self.mute:
                self.mute -= 1
                writer.transport.abort()
                return
            writer.write(content)
            await writer.drain()
        writer.close()

    @staticmethod
    def cut_one(*writers: asyncio.StreamWriter) -> None:
        for writer in writers:
            with contextlib.suppress(OSError):
                writer.transport.abort()
