"""
What a server does for its installation when it starts and once a day: the ledger's partitions are made ahead, what was
deleted more than a day ago is forgotten, and blobs that nobody wants are deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from qstore_appliance.database.connection import Database
from qstore_appliance.database.partitions import make_ahead
from qstore_appliance.domain.ports import Clock
from qstore_appliance.errors import QStoreError
from qstore_appliance.services.leftovers import Leftovers

log = structlog.get_logger(__name__)

DAY_SECONDS = 24 * 3600.0
#: After something that did not work.
AGAIN_SECONDS = 600.0


class Upkeep:
    """
    Args:
        purges: Each forgets what was deleted of one noun so long ago that it cannot be restored.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        leftovers: Leftovers,
        purges: Mapping[str, Callable[[], Awaitable[int]]] | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._leftovers = leftovers
        self._purges = dict(purges or {})
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """
        Look now, then daily. What does not work is told to the log and tried again. Only the partitions are waited for:
        they come before the first charge.
        """
        pause = await self._tried(self._partitions)
        self._task = asyncio.create_task(self._look_daily(pause), name="upkeep")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    # Inside ------------------------------------------------------------------------------------------------------

    async def _look_daily(self, pause: float) -> None:
        while True:
            # First what refers to blobs, then the blobs to which nothing refers any more.
            pause = min(pause, await self._tried(self._purge), await self._tried(self._leftovers.sweep))
            await asyncio.sleep(pause)
            pause = await self._tried(self._partitions)

    async def _partitions(self) -> None:
        made = await make_ahead(self._database, self._clock.now())
        if made:
            log.info("upkeep.partitions_made", partitions=made)

    async def _purge(self) -> None:
        for noun, purge in self._purges.items():
            gone = await purge()
            if gone:
                log.info("upkeep.purged", noun=noun, count=gone)

    async def _tried(self, work: Callable[[], Awaitable[object]]) -> float:
        """Returns: seconds until the next look."""
        try:
            await work()
        except QStoreError as error:
            log.warning("upkeep.skipped", error=error.message)
            return AGAIN_SECONDS
        except Exception:
            # One look that breaks must not be the last.
            log.exception("upkeep.broke")
            return AGAIN_SECONDS
        return DAY_SECONDS
