"""Huey's consumer inside the server: one thread for each slot, no signal handlers, no polling while the doorbell rings."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from huey.consumer import Consumer, Scheduler, Worker
from huey.exceptions import HueyException

from qstore_appliance.errors import Unavailable
from qstore_appliance.work.queue import HueyQueue

log = structlog.get_logger(__name__)

#: Seconds between two looks into an empty queue file, for messages that another process put there.
LOOK_SECONDS = 2.0
#: Seconds to wait for a queue that does not answer.
AWAY_SECONDS = 1.0


class _SlotWorker(Worker):  # type: ignore[misc]
    doorbell: Any = None

    def loop(self, now: Any = None) -> None:
        try:
            content = self.huey.storage.dequeue()
        except Exception as error:
            log.warning("queue.away", error=str(error))
            self.stop_flag.wait(AWAY_SECONDS)
            return
        if content is None:
            if not self.huey.storage.blocking:
                self.sleep()
            return
        try:
            task = self.huey.deserialize_task(content)
        except (ValueError, HueyException) as error:
            log.warning("queue.message_dropped", error=str(error))
            return
        self.huey.execute(task, now)

    def sleep(self) -> None:
        if not self.stop_flag.is_set():
            self.doorbell.wait(LOOK_SECONDS)
            self.doorbell.clear()


class _NoScheduler(Scheduler):  # type: ignore[misc]
    """Nothing is ever scheduled through the queue, so nothing is looked for each second."""

    def loop(self, now: Any = None) -> None:
        self.stop_flag.wait()


class Slots(Consumer):  # type: ignore[misc]
    """
    Threads that take jobs from the queue.

    Args:
        queue: Where messages come from; its `run` is what a slot does with one.
        slots: How many at a time.
    """

    worker_class = _SlotWorker
    scheduler_class = _NoScheduler

    def __init__(self, queue: HueyQueue, slots: int, *, stop_seconds: float = 8.0) -> None:
        self._doorbell = queue.doorbell
        super().__init__(
            queue.huey,
            workers=slots,
            periodic=False,
            worker_type="thread",
            scheduler_interval=60,
            shutdown_timeout=stop_seconds,
        )

    def _create_worker(self) -> _SlotWorker:
        worker = super()._create_worker()
        worker.doorbell = self._doorbell
        return worker  # type: ignore[no-any-return]

    def _set_signal_handlers(self) -> None:
        """The server's handlers stay: SIGTERM and SIGINT are for the whole house."""

    async def ping(self) -> None:
        """
        Raises:
            Unavailable: A slot's thread has ended.
        """
        dead = sum(not thread.is_alive() for _, thread in self.worker_threads)
        if dead:
            raise Unavailable(f"{dead} of {len(self.worker_threads)} slots have stopped.")

    async def close(self) -> None:
        """Take no more messages and wait for the slots, which were told to stop before."""
        self.stop_flag.set()
        self._doorbell.set()
        await asyncio.to_thread(self._join_workers)
