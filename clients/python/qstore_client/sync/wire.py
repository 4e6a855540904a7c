"""What waits, locks and connects: the one file that is written twice, here without asyncio."""

from __future__ import annotations

import ssl
import threading
import time
from types import TracebackType
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage
from websockets.sync.client import ClientConnection, connect

sleep = time.sleep
Lock = threading.Lock

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
        self._url = url
        self._more: dict[str, Any] = {"ssl": tls} if tls is not None else {}
        self._proxy: Any = True if proxy else None
        self._socket: ClientConnection | None = None

    def __enter__(self) -> Socket:
        try:
            self._socket = connect(
                self._url, open_timeout=PATIENCE, close_timeout=1.0, max_size=None, proxy=self._proxy, **self._more
            ).__enter__()
        except (OSError, TimeoutError, InvalidHandshake, InvalidMessage, EOFError) as error:
            raise Closed(None, str(error) or type(error).__name__) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            self._socket.close()

    def send(self, text: str) -> None:
        assert self._socket is not None
        try:
            self._socket.send(text)
        except ConnectionClosed as error:
            raise _closed(error) from error

    def receive(self, timeout: float | None = None) -> str:
        """
        Raises:
            Closed: It is gone, or `timeout` seconds passed.
        """
        assert self._socket is not None
        try:
            return str(self._socket.recv(timeout))
        except ConnectionClosed as error:
            raise _closed(error) from error
        except TimeoutError as error:
            raise Closed(None, "no answer") from error


def _closed(error: ConnectionClosed) -> Closed:
    return Closed(error.rcvd.code if error.rcvd else None, str(error))
