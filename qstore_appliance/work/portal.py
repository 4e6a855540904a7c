"""The door from the threads of the work room to the event loop, which alone reads and writes the database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError as FutureCancelled
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class PortalClosed(Exception):
    """The server is stopping; who waits in a thread gives up. Never an answer to anybody outside."""


class Portal:
    """
    Calls of other threads into one loop.

    Closing it fails the calls that have not begun and lets those that have run to their end, so that a write is never
    cut in the middle; a thread that waits is never left behind by a loop that is gone.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._running: set[Future[Any]] = set()
        self._closed = False

    def call(
        self,
        function: Callable[Arguments, Coroutine[Any, Any, Result]],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """
        Run a coroutine function on the loop and wait for its result. Never from the loop's own thread.

        Raises:
            PortalClosed: The loop takes no more calls.
        """
        with self._lock:
            if self._closed or self._loop.is_closed():
                raise PortalClosed()
            future: Future[Result] = asyncio.run_coroutine_threadsafe(function(*args, **kwargs), self._loop)
            self._running.add(future)
        try:
            return future.result()
        except FutureCancelled as error:
            raise PortalClosed() from error
        finally:
            with self._lock:
                self._running.discard(future)

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Run a plain function on the loop soon; forgotten where the loop is gone."""
        with self._lock:
            if not self._closed and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(function, *args)

    async def close(self, seconds: float = 3.0) -> None:
        """Take no more calls; wait a while for those that run, then give them up."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        if running:
            waiting = [asyncio.wrap_future(future) for future in running]
            done, late = await asyncio.wait(waiting, timeout=seconds)
            for future in done:
                if not future.cancelled():
                    future.exception()
            for future in late:
                future.cancel()
