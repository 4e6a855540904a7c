"""Brings a database to the newest version of the schema: under a lock, in one transaction, after copying the file."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from tortoise.backends.base.client import BaseDBAsyncClient

from qstore_appliance.database.migrations import VERSIONS
from qstore_appliance.errors import ConfigurationInvalid, Unavailable

if TYPE_CHECKING:
    from qstore_appliance.database.connection import Database

RECORD = (
    "CREATE TABLE IF NOT EXISTS schema_versions (version VARCHAR(100) PRIMARY KEY, applied_at VARCHAR(40) NOT NULL)"
)
#: Any number that only we use: the key of the advisory lock in a shared Postgres.
ADVISORY_KEY = 0x5153544F5245
LOCK_SECONDS = 60.0


async def migrate(database: Database, versions: tuple[str, ...] = VERSIONS) -> list[str]:
    """
    Apply what is pending and return its names.

    Raises:
        ConfigurationInvalid: The database has a version that this program does not know.
        Unavailable: Another process has been migrating it for a minute.
    """
    if not await pending(database, versions):
        return []
    async with _alone(database):
        todo = await pending(database, versions)
        if not todo:
            return []
        if database.file is not None and len(todo) < len(versions):
            await asyncio.to_thread(copy_file, database.file, database.file.with_suffix(f".before-{todo[0]}"))
        async with database.transaction() as connection:
            if database.dialect == "postgres":
                await connection.execute_query("SET LOCAL statement_timeout = 0")
            await connection.execute_query(RECORD)
            for version in todo:
                for statement in statements(version, database.dialect):
                    await connection.execute_query(statement)
                await _record(connection, version)
    return todo


async def pending(database: Database, versions: tuple[str, ...] = VERSIONS) -> list[str]:
    connection = database.connection
    if database.dialect == "sqlite":
        known = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_versions'"
    else:
        known = "SELECT 1 WHERE to_regclass('schema_versions') IS NOT NULL"
    count, _ = await connection.execute_query(known)
    if not count:
        return list(versions)
    rows = await connection.execute_query_dict("SELECT version FROM schema_versions")
    applied = {row["version"] for row in rows}
    if unknown := sorted(applied - set(versions)):
        raise ConfigurationInvalid(
            f"The database was written by a newer version of Q-Store (it has {unknown[-1]}). Use that version."
        )
    return [version for version in versions if version not in applied]


def statements(version: str, dialect: str) -> list[str]:
    """The SQL statements of one version, without the comments between them."""
    text = (
        resources.files("qstore_appliance.database.migrations").joinpath(f"{version}.{dialect}.sql").read_text("utf-8")
    )
    found, begun = [], ""
    for line in text.splitlines():
        if not line.lstrip().startswith("--"):
            begun += f"{line}\n"
        if begun.endswith(";\n") and begun.count("$$") % 2 == 0:
            found.append(begun.strip().removesuffix(";"))
            begun = ""
    return [*found, begun.strip()] if begun.strip() else found


async def _record(connection: BaseDBAsyncClient, version: str) -> None:
    # The time is text in both dialects: nothing computes with it.
    now = datetime.now(UTC).isoformat(timespec="seconds")
    await connection.execute_query(
        f"INSERT INTO schema_versions (version, applied_at) VALUES ('{version}', '{now}')"  # noqa: S608 - both ours
    )


@asynccontextmanager
async def _alone(database: Database) -> AsyncIterator[None]:
    """Hold the lock that keeps other processes from migrating the same database."""
    if database.file is None:
        async with database.transaction() as connection:
            await connection.execute_query(f"SET LOCAL lock_timeout = '{int(LOCK_SECONDS)}s'")
            await connection.execute_query(f"SELECT pg_advisory_xact_lock({ADVISORY_KEY})")
            yield
        return
    descriptor = os.open(database.file.with_suffix(".migrating"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for _ in range(int(LOCK_SECONDS * 20)):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(0.05)
        else:
            raise Unavailable("Another process is migrating this database.", retry_after=10)
        yield
    finally:
        os.close(descriptor)


def copy_file(source: Path, target: Path) -> None:
    """A consistent, durable copy of a database in use; an older copy of the same name is replaced when it is whole."""
    unfinished = target.with_name(target.name + ".part")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    reading, writing = sqlite3.connect(source), sqlite3.connect(unfinished)
    try:
        reading.backup(writing)
    finally:
        writing.close()
        reading.close()
    with unfinished.open("rb") as copied:
        os.fsync(copied.fileno())
    unfinished.replace(target)
