"""
Blocking calls beside the loop, a few at once, in threads that nobody waits for when the process ends.

An executor's threads are joined at the end of the process: a name server that is silent would hold up a server that stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


class Threads:
    """
    Args:
        most: Calls at once; a call that nobody waits for any more takes its place until it returns.
    """

    def __init__(self, most: int, name: str) -> None:
        self._places = asyncio.Semaphore(most)
        self._name = name

    async def call(self, function: Callable[[], Result]) -> Result:
        """What the function returns or raises."""
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Result] = loop.create_future()

        def settle(set: Callable[[Any], None], value: Any) -> None:
            self._places.release()
            if not done.done():
                set(value)

        def work() -> None:
            end: tuple[Callable[[Any], None], Any]
            try:
                end = done.set_result, function()
            except Exception as error:
                end = done.set_exception, error
            # The loop may be over by now, and with it whoever waited.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, *end)

        threading.Thread(target=work, name=self._name, daemon=True).start()
        return await done
