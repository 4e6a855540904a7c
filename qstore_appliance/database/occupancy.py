"""
Who has a Postgres database: one server alone, or several that a Redis joins.

SQLite has the data directory's lock for that. Here it is an advisory lock, held as long as one connection lives: the
database frees it with the process, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib

import asyncpg
import structlog

from qstore_appliance.database.connection import credentials
from qstore_appliance.database.faults import translated
from qstore_appliance.errors import DataDirectoryInUse
from qstore_appliance.settings import Settings

log = structlog.get_logger(__name__)

#: Any number that only we use, beside that of the migrations.
KEY = 0x5153544F5246
#: The database notices a moment later that a server was killed.
PATIENCE_TURNS = 20
#: Seconds between two looks at whether the connection still lives.
LOOK_SECONDS = 5.0
#: A machine that lost its power does not say goodbye: after half a minute without an answer its lock is free.
_KEEPALIVE = {"tcp_keepalives_idle": "15", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}


class Occupancy:
    """
    Args:
        settings: With a `queue.url` the database is shared with others that have one too.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: asyncpg.Connection | None = None
        self._task: asyncio.Task[None] | None = None

    async def take(self) -> None:
        """
        Raises:
            DataDirectoryInUse: A server that shares with nobody has the database, or we would be one beside others.
            Unavailable: The database does not answer.
        """
        for _ in range(PATIENCE_TURNS):
            if await self._locked():
                self._task = asyncio.create_task(self._keep(), name="occupancy")
                return
            await asyncio.sleep(0.05)
        holder = await self._holder()
        await self.close()
        raise DataDirectoryInUse(
            f"The database is in use by another server{holder}. Several servers share one only where each has a Redis: "
            "set queue.url."
        )

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._connection is not None:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await self._connection.close(timeout=1.0)
            self._connection = None

    async def _locked(self) -> bool:
        try:
            if self._connection is None or self._connection.is_closed():
                options = credentials(self._settings.database.url)
                options["server_settings"] |= _KEEPALIVE
                self._connection = await asyncpg.connect(**options)
            shared = "_shared" if self._settings.queue.url else ""
            return bool(await self._connection.fetchval(f"SELECT pg_try_advisory_lock{shared}($1)", KEY))
        except Exception as error:
            raise translated(error) or error from error

    async def _holder(self) -> str:
        """Who is known to take jobs here, for the message."""
        assert self._connection is not None
        try:
            row = await self._connection.fetchrow(
                "SELECT host, pid FROM workers WHERE kind = 'server' ORDER BY heartbeat_at DESC LIMIT 1"
            )
        except asyncpg.PostgresError:
            row = None
        return "" if row is None else f": process {row['pid']} on {row['host']}"

    async def _keep(self) -> None:
        """A database that was restarted has forgotten us."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._connection is not None and not self._connection.is_closed():
                continue
            try:
                if not await self._locked():
                    log.error("occupancy.lost", message="Another server has taken the database.")
            except Exception as error:
                log.warning("occupancy.away", error=str(error))
