"""
One database: SQLite in the data directory, or Postgres by `database.url`.

Services use Tortoise's rows for reading; every write happens inside `Database.transaction()`, so that grouping commits
can come later without touching a caller.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit
from weakref import WeakKeyDictionary

from tortoise.backends.base.client import BaseDBAsyncClient, NestedTransactionContext
from tortoise.context import TortoiseContext

from qstore_appliance.database.faults import translated
from qstore_appliance.database.migrations import runner
from qstore_appliance.database.tables import MODULES
from qstore_appliance.errors import ConfigurationInvalid, Unavailable
from qstore_appliance.settings import Settings

BUSY_MILLISECONDS = 5_000
STATEMENT_SECONDS = 30
POOL = {"minsize": 1, "maxsize": 10}
#: What is called once the present task's outermost transaction has committed; None outside of one.
_after: ContextVar[list[Callable[[], None]] | None] = ContextVar("after_commit", default=None)


class Database:
    """Made by `Database.open`; one at a time in a process, since Tortoise's rows find it through a global."""

    def __init__(self, context: TortoiseContext, dialect: Literal["sqlite", "postgres"], file: Path | None) -> None:
        self.dialect = dialect
        self.file = file
        self._context = context
        self._beside: WeakKeyDictionary[asyncio.Task[Any], Callable[[], Awaitable[object]]] = WeakKeyDictionary()

    @classmethod
    async def open(cls, settings: Settings) -> Database:
        """
        Connect; tables are made by `migrate()`.

        Raises:
            ConfigurationInvalid: A file that is no database, an address that is none, a user that may not enter.
            Unavailable: The server does not answer.
            StorageFull: The disk is full or read-only.
        """
        if settings.is_postgres:
            connection, dialect, file = _postgres(settings.database.url), "postgres", None
        elif settings.database.url:
            raise ConfigurationInvalid("database.url must be empty or start with postgres://")
        else:
            connection, dialect, file = _sqlite(settings.database_file), "sqlite", settings.database_file
        context = TortoiseContext()
        database = cls(context, dialect, file)  # type: ignore[arg-type]
        with context:
            await context.init(
                config={
                    # Tortoise keeps prepared SQL per connection name: one name for each dialect.
                    "connections": {dialect: connection},
                    "apps": {"qstore": {"models": MODULES, "default_connection": dialect}},
                },
                use_tz=True,
                timezone="UTC",
                _enable_global_fallback=True,
            )
        try:
            await database.connection.create_connection(with_db=True)
            await database.ping()
        except BaseException as error:
            await database.close()
            if isinstance(error, ConfigurationInvalid) and file is not None:
                raise ConfigurationInvalid(f"{file}: {error.message}") from error
            if isinstance(error, Unavailable) and file is None:
                raise Unavailable(f"The database at {_place(settings.database.url)} does not answer.") from error
            raise
        return database

    @property
    def connection(self) -> BaseDBAsyncClient:
        return self._context.connections.get(self.dialect)

    async def migrate(self) -> list[str]:
        """
        Bring the tables up to date; instantly done when they are. Returns the versions that were applied.

        Raises:
            ConfigurationInvalid: The database was written by a newer version of the product.
        """
        return await runner.migrate(self)

    async def close(self) -> None:
        await self._context.close_connections()

    async def ping(self) -> None:
        """
        Raises:
            Unavailable: It does not answer.
        """
        query = "SELECT count(*) FROM sqlite_master" if self.dialect == "sqlite" else "SELECT 1"
        await self.connection.execute_query(query)

    def with_next_commit(self, write: Callable[[], Awaitable[object]]) -> None:
        """This, too, is written by the next transaction of this task that is not inside another: both or neither."""
        task = asyncio.current_task()
        if task is not None:
            self._beside[task] = write

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call this once what the present transaction writes is there, and never where it is undone; at once outside."""
        waiting = _after.get()
        if waiting is None:
            call()
        else:
            waiting.append(call)

    @asynccontextmanager
    async def transaction(self, *, aside: bool = False) -> AsyncIterator[BaseDBAsyncClient]:
        """
        The one door of writes; inside another transaction it is a savepoint.

        Never await anything slow inside: on SQLite everybody waits.

        Args:
            aside: It only prepares what the task is about; see `with_next_commit`, which waits for that.

        Raises:
            StorageFull: The disk is full; nothing was written.
            Unavailable: The database is busy or gone; nothing was written, unless the answer to the commit was lost.
        """
        block = self.connection._in_transaction()
        try:
            connection = await block.__aenter__()
        except Exception as error:
            raise translated(error) or error from error
        outermost = not isinstance(block, NestedTransactionContext)
        waiting: list[Callable[[], None]] = []
        token = _after.set(waiting) if outermost else None
        try:
            yield connection
            task = asyncio.current_task()
            if task is not None and task in self._beside and not aside and outermost:
                await self._beside.pop(task)()
        except BaseException as error:
            try:
                await block.__aexit__(type(error), error, error.__traceback__)
            except Exception as fault:
                # Without a connection there is nothing left to undo; the first error tells more.
                if translated(fault) is None:
                    raise
            raise
        finally:
            if token is not None:
                _after.reset(token)
        try:
            await block.__aexit__(None, None, None)
        except Exception as error:
            raise translated(error) or error from error
        for call in waiting:
            call()

    async def one_at_a_time(self, subject: str) -> None:
        """
        Inside a transaction: nobody else gets past this with the same subject until the transaction is over.

        For rules that count rows before they add one. SQLite has one writer, so nothing is to be done there.
        """
        if self.dialect == "postgres":
            await self.connection.execute_query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [subject])


def _sqlite(file: Path) -> dict[str, Any]:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its -wal and -shm files the permissions of the database.
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise ConfigurationInvalid(f"{file}: {error.strerror}") from error
    return {
        "engine": "qstore_appliance.database.sqlite",
        "credentials": {
            "file_path": str(file),
            # busy_timeout first: switching to WAL already needs a lock.
            "busy_timeout": BUSY_MILLISECONDS,
            "journal_mode": "WAL",
            "synchronous": "FULL",
            "foreign_keys": "ON",
        },
    }


def _postgres(url: str) -> dict[str, Any]:
    return {"engine": "qstore_appliance.database.postgres", "credentials": {**credentials(url), **POOL}}


def credentials(url: str) -> dict[str, Any]:
    """
    What asyncpg takes for one connection to `database.url`.

    Raises:
        ConfigurationInvalid: It is no such address.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 5432
    except ValueError as error:
        raise ConfigurationInvalid("database.url: the port is not a number") from error
    name = unquote(parts.path.lstrip("/"))
    if not parts.hostname or not name:
        raise ConfigurationInvalid("database.url must look like postgres://user:password@host:5432/name")
    found: dict[str, Any] = {
        "host": parts.hostname,
        "port": port,
        "user": unquote(parts.username or "postgres"),
        "password": unquote(parts.password) if parts.password else None,
        "database": name,
        "timeout": 10,
        "command_timeout": STATEMENT_SECONDS + 5,
        "server_settings": {
            "application_name": "qstore",
            "timezone": "UTC",
            "statement_timeout": f"{STATEMENT_SECONDS}s",
            "idle_in_transaction_session_timeout": "60s",
        },
    }
    for key, value in parse_qsl(parts.query):
        if key != "sslmode":
            raise ConfigurationInvalid(f"database.url: {key} is not understood; only sslmode is")
        found["ssl"] = value
    return found


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 5432}{parts.path}"
