"""
Queries are worked out in a thread of their own, beside the loop that serves everybody.

A query of thousands of values is a tenth of a second of Python. In the loop everybody would wait for it; in a thread the
interpreter takes turns. What a query reads is read by the services in the loop where they live, one thing at a time for each
caller. Where more of them wait than run, both rest several times as long as they worked, so that whoever asks for something
small meanwhile finds the interpreter free.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

Answer = TypeVar("Answer")

#: How long the interpreter stays with a thread while another waits for it. An answer changes threads a dozen times.
SWITCH_SECONDS = 0.0005
#: Queries rest after so much work, ...
WORK_SECONDS = 0.0005
#: ... so many times as long.
REST_TIMES = 4
#: Reads rest longer: one holds the loop for milliseconds, and of a hundred others' requests few shall meet one.
READ_REST_TIMES = 10


class Aside:
    """
    A thread with a loop, from the first query on.

    Args:
        crowded: Whether queries wait.
    """

    def __init__(self, crowded: Callable[[], bool]) -> None:
        self.is_crowded = crowded
        self._loop: asyncio.AbstractEventLoop | None = None
        #: When what runs there has worked for long enough.
        self._until = 0.0

    async def run(self, work: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """What `work` answers there. Where nobody waits for it any more, it is cancelled."""
        if self._loop is None:
            sys.setswitchinterval(SWITCH_SECONDS)
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._turn, args=(self._loop,), name="graphql", daemon=True).start()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), self._loop))

    def rest(self) -> None:
        """Called there, often: a moment for the others, when it is time for one."""
        now = time.perf_counter()
        if now < self._until:
            return
        # What came after a pause has not worked yet.
        if self.is_crowded() and now < self._until + WORK_SECONDS * (1 + REST_TIMES):
            time.sleep(REST_TIMES * WORK_SECONDS)
            now = time.perf_counter()
        self._until = now + WORK_SECONDS

    def close(self) -> None:
        """What still runs there is cancelled: nobody is left who would wait for it."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None

    @staticmethod
    def _turn(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()


class Across:
    """
    The services, for resolvers in the other thread: what is asynchronous there runs in the loop `home`.

    Args:
        turn: Held by each of them.
    """

    def __init__(self, target: Any, aside: Aside, home: asyncio.AbstractEventLoop, turn: asyncio.Semaphore) -> None:
        self._target = target
        self._aside = aside
        self._home = home
        self._turn = turn

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if inspect.iscoroutinefunction(found):
            return functools.partial(self._ask, found)
        return found if callable(found) else Across(found, self._aside, self._home, self._turn)

    async def _ask(self, method: Callable[..., Awaitable[Any]], *args: Any, **more: Any) -> Any:
        async def asked() -> Any:
            async with self._turn:
                began = time.perf_counter()
                try:
                    return await method(*args, **more)
                finally:
                    if self._aside.is_crowded():
                        await asyncio.sleep(READ_REST_TIMES * (time.perf_counter() - began))

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asked(), self._home))
