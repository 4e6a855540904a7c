"""The reaper: jobs that lost their worker go back in line, jobs that lost their message are woken again."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from qstore_appliance.errors import QStoreError
from qstore_appliance.services.runs import Runs
from qstore_appliance.work.queue import HueyQueue

log = structlog.get_logger(__name__)

#: Seconds between two looks.
LOOK_SECONDS = 4.0


class Reaper:
    """Looks at start, every few seconds, and whenever it is told that a slot has become free."""

    def __init__(self, runs: Runs, queue: HueyQueue, *, directory: str) -> None:
        self._runs = runs
        self._queue = queue
        self._directory = directory
        self._told = asyncio.Event()
        #: Set once it has looked for the first time: what a killed server left stands in line again.
        self.looked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """End the leases of this data directory's former servers, and begin to look."""
        buried = await self._runs.bury(self._directory)
        if buried:
            log.info("reaper.buried", jobs=len(buried))
        self._task = asyncio.create_task(self._look_always(), name="reaper")

    def tell(self) -> None:
        """Look now. From the loop's thread."""
        self._told.set()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _look_always(self) -> None:
        while True:
            try:
                await self._look()
            except QStoreError as error:
                log.warning("reaper.skipped", error=error.message)
            except Exception:
                # Whatever it is, jobs must not wait for ever because one look failed.
                log.exception("reaper.broke")
            self.looked.set()
            # Not `wait_for`: up to Python 3.11 it loses a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._told.wait()
            self._told.clear()

    async def _look(self) -> None:
        for job_id, rank in await self._runs.reap(await self._queue.pending()):
            await self._queue.wake(job_id, rank)
