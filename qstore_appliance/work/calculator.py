"""Warm engine processes for short work: each call has a deadline, and a process that misses it is replaced."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from qstore_appliance.errors import DeadlineExceeded, Unavailable, WorkerCrash, WorkerOutOfMemory
from qstore_appliance.services.machine import memory_available
from qstore_appliance.work import children, wire

log = structlog.get_logger(__name__)


class Calculator:
    """
    Implements `ports.Calculator`. Processes start when first needed, so one that is never asked costs nothing.

    Args:
        processes: How many calls run at the same time; further ones wait.
        keep: Whether a process serves the next call too. A probe of a plugin gets one of its own: what it imports, and
            what it breaks, goes with it.
        nice: Added to the processes' priority value.
    """

    def __init__(self, processes: int = 2, *, keep: bool = True, nice: int = 1) -> None:
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="calculator")
        self._keep = keep
        self._nice = nice
        self._idle: list[children.Child] = []
        self._busy: set[children.Child] = set()
        self._closed = False

    async def call(self, function: str, /, *args: Any, timeout: float = 30.0, **kwargs: Any) -> Any:
        """
        Run `package.module:function` of the engine or of a backend plugin.

        The deadline counts from the moment that a process takes the call.

        Raises: the function's own error of our family; DeadlineExceeded; WorkerCrash, WorkerOutOfMemory; INTERNAL for
            any other error, with its class and text.
        """
        question = wire.dump_value((function, args, kwargs))
        if self._closed:
            raise Unavailable("The server is stopping.")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._call, function, question, timeout)

    async def warm(self) -> None:
        """Have one process ready."""
        if self._keep and not self._closed:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._rest_one)

    async def close(self) -> None:
        self._closed = True
        for child in list(self._busy):
            child.kill()
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        while self._idle:
            self._idle.pop().close()

    def _rest_one(self) -> None:
        if not self._idle:
            self._idle.append(self._take())

    def _take(self) -> children.Child:
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            child.close()
        return children.start("calculate", nice=self._nice, memory_bytes=memory_available())

    def _call(self, function: str, question: bytes, timeout: float) -> Any:
        started = time.monotonic()
        try:
            return self._ask(question, timeout)
        except WorkerCrash as error:
            if self._closed:
                raise Unavailable("The server is stopping.") from None
            if not error.details.get("unread"):
                raise
            # It had died while it was idle, and the question was never read.
            return self._ask(question, timeout)
        finally:
            log.debug("calculator.called", function=function, seconds=round(time.monotonic() - started, 3))

    def _ask(self, question: bytes, timeout: float) -> Any:
        child = self._take()
        self._busy.add(child)
        good = False
        try:
            if self._closed:
                raise Unavailable("The server is stopping.")
            child.send(question)
            if not child.poll(timeout):
                raise DeadlineExceeded(
                    f"The calculation took longer than {timeout:g} s and was stopped.", details={"seconds": timeout}
                )
            message = wire.unpack(child.receive())
            if message.kind == "value":
                value = wire.load_value(wire.body(message, bytes))
                good = True
                return value
            found = wire.error_of(wire.body(message, wire.Fault))
            # After running out of memory a process is not to be trusted with the next call.
            good = not isinstance(found, WorkerOutOfMemory)
            raise found
        finally:
            self._busy.discard(child)
            if good and self._keep and not self._closed:
                self._idle.append(child)
            else:
                child.close()
