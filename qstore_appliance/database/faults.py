"""
What a driver's error means to everybody above: the one place where SQLite's and asyncpg's errors become ours.

A broken uniqueness stays Tortoise's IntegrityError: only the service knows what collided.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
from tortoise.exceptions import DBConnectionError, OperationalError, TransactionManagementError

from qstore_appliance.errors import ConfigurationInvalid, QStoreError, StorageFull, Unavailable, ValidationFailed

Kind = TypeVar("Kind", bound=type)

_DOORS = (
    "create_connection",
    "execute_insert",
    "execute_many",
    "execute_query",
    "execute_query_dict",
    "execute_script",
    "begin",
    "commit",
    "savepoint",
    "release_savepoint",
)

_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.QueryCanceledError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    OSError,
    TimeoutError,
)
_MISCONFIGURED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)


def translated(error: Exception) -> QStoreError | None:
    """The error of ours that a driver's error means, or None where it is a fault of the program."""
    cause: BaseException = error
    while isinstance(cause, (OperationalError, DBConnectionError, TransactionManagementError)):
        inner = cause.args[0] if cause.args and isinstance(cause.args[0], BaseException) else cause.__cause__
        if inner is None:
            break
        cause = inner
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(cause)
    if isinstance(cause, (asyncpg.DiskFullError, asyncpg.OutOfMemoryError)):
        return StorageFull("The database has no room left.")
    if isinstance(cause, (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)):
        return ValidationFailed.field("body", "a text contains a NUL character")
    if isinstance(cause, UnicodeEncodeError) or isinstance(cause.__cause__, UnicodeEncodeError):
        return ValidationFailed.field("body", "a text contains half a surrogate pair")
    if isinstance(cause, _MISCONFIGURED):
        return ConfigurationInvalid(f"database.url: {cause}")
    if isinstance(cause, _LOST):
        return Unavailable("The database does not answer right now.", details={"reason": type(cause).__name__})
    return None


def _of_sqlite(error: sqlite3.Error) -> QStoreError | None:
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary in _FULL:
        return StorageFull(f"The database cannot be written: {error}.")
    if primary in _BUSY:
        return Unavailable("The database is busy.", details={"reason": str(error)})
    if primary in _DAMAGED:
        return ConfigurationInvalid(f"The database file is damaged ({error}). Restore a backup.")
    if primary == sqlite3.SQLITE_READONLY:
        return StorageFull("The database file cannot be written: it is read-only.")
    if primary == sqlite3.SQLITE_CANTOPEN:
        return Unavailable(f"The database file cannot be opened ({error}).")
    if isinstance(error, sqlite3.ProgrammingError) and "closed database" in str(error).lower():
        return Unavailable("The database is closed.")
    return None


def translating(client: Kind) -> Kind:
    """Class decorator for a Tortoise client: its doors raise our errors."""
    for name in _DOORS:
        door = getattr(client, name, None)
        if door is not None:
            setattr(client, name, _translating_door(door))
    return client


def _translating_door(door: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(door)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return await door(*args, **kwargs)
        except QStoreError:
            raise
        except Exception as error:
            ours = translated(error)
            if ours is None:
                raise
            raise ours from error

    return guarded
