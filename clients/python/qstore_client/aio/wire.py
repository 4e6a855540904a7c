"""What waits, locks and connects: the one file that is written twice, here for asyncio."""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

sleep = asyncio.sleep
Lock = asyncio.Lock

#: Seconds for a connection, and for the answer to something that was said.
PATIENCE = 10.0


class Closed(Exception):
    """The connection is gone, or was never made; `code` is the close code where there was one."""

    def __init__(self, code: int | None, reason: str) -> None:
        self.code = code
        super().__init__(reason)


class Socket:
    """
    A WebSocket for text.

    Raises:
        Closed: From everything, once it is gone.
    """

    def __init__(self, url: str, *, tls: ssl.SSLContext | None, proxy: bool) -> None:
        more: dict[str, Any] = {"ssl": tls} if tls is not None else {}
        self._connecting = connect(
            url, open_timeout=PATIENCE, close_timeout=1.0, max_size=None, proxy=True if proxy else None, **more
        )
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> Socket:
        try:
            # Not `async with`: that of websockets tries again by itself, and we do that.
            self._socket = await self._connecting
        except (OSError, TimeoutError, asyncio.TimeoutError, InvalidHandshake, InvalidMessage, EOFError) as error:
            raise Closed(None, str(error) or type(error).__name__) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def send(self, text: str) -> None:
        assert self._socket is not None
        try:
            await self._socket.send(text)
        except ConnectionClosed as error:
            raise _closed(error) from error

    async def receive(self, timeout: float | None = None) -> str:
        """
        Raises:
            Closed: It is gone, or `timeout` seconds passed.
        """
        assert self._socket is not None
        try:
            return str(await asyncio.wait_for(self._socket.recv(), timeout))
        except ConnectionClosed as error:
            raise _closed(error) from error
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise Closed(None, "no answer") from error


def _closed(error: ConnectionClosed) -> Closed:
    return Closed(error.rcvd.code if error.rcvd else None, str(error))
