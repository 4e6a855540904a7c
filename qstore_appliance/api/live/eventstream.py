"""Server-sent events (HTML Living Standard §9.2): what every stream of them has in common, whatever it tells."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

from sanic import Request
from sanic.response import BaseHTTPResponse

from qstore_appliance.api.live.connections import Listener

#: A comment after so much silence keeps proxies from closing the connection, and finds clients that are gone.
SILENCE_SECONDS = 15.0
#: Longer ones are none of ours.
LONGEST_ID = 4_096


class EventStream:
    """
    One answer that goes on until its listener has to leave.

    A client that takes nothing holds up this stream alone; the connections drop it.
    """

    def __init__(self, request: Request, listener: Listener) -> None:
        self._request = request
        self._listener = listener
        self._response: BaseHTTPResponse | None = None
        self._sent = time.monotonic()

    async def open(self) -> None:
        self._response = await self._request.respond(
            content_type="text/event-stream; charset=utf-8", headers={"X-Accel-Buffering": "no"}
        )
        if self._request.method != "HEAD":
            await self.send(": following\n\n")

    async def send(self, text: str) -> None:
        assert self._response is not None
        self._sent = self._listener.waits_since = time.monotonic()
        try:
            await self._response.send(text)
        finally:
            self._listener.waits_since = None

    async def wait(self, news: Awaitable[object]) -> bool:
        """
        Wait for news, and break the silence meanwhile.

        Returns: whether they came; else the listener has to leave.
        """
        waiting = asyncio.ensure_future(news)
        gone = asyncio.ensure_future(self._listener.gone.wait())
        try:
            while not waiting.done() and not gone.done():
                left = self._sent + SILENCE_SECONDS - time.monotonic()
                await asyncio.wait((waiting, gone), timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done() and not gone.done() and time.monotonic() - self._sent >= SILENCE_SECONDS:
                    await self.send(": still here\n\n")
            return waiting.done() and not self._listener.gone.is_set()
        finally:
            gone.cancel()
            if not waiting.done():
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)

    async def close(self, *, farewell: bool = False) -> None:
        """
        Args:
            farewell: Say why the listener has to leave, where that is why. `EventSource` comes back by itself, unless it is
                refused then.
        """
        if self._response is None:
            return
        if farewell and self._listener.reason:
            await self.send(f'event: bye\ndata: {{"reason":"{self._listener.reason}"}}\n\n')
        await self._response.send(end_stream=True)


def last_event_id(request: Request) -> str | None:
    """What a client that comes back has seen last."""
    value = request.headers.get("last-event-id", "")
    return value if 0 < len(value) <= LONGEST_ID else None
