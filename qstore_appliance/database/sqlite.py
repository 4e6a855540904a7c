"""
Tortoise's SQLite engine with transactions that can be trusted.

Three differences to the stock engine: a transaction starts with BEGIN IMMEDIATE (a deferred one that reads first loses
to "database is locked" in spite of the busy timeout); a cancelled request neither leaves a transaction open nor the lock
held; every driver error passes `faults`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Coroutine
from typing import Any, TypeVar

from tortoise.backends.base.client import NestedTransactionContext, TransactionalDBClient, TransactionContext
from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionContext, SqliteTransactionWrapper
from tortoise.connection import get_connections

from qstore_appliance.database.faults import translating

Result = TypeVar("Result")


async def unbroken(work: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end even when our task is cancelled meanwhile; the cancellation is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:  # noqa: S112 - raised by `task.result()` below
            continue
    if cancelled is not None:
        task.exception()
        raise cancelled
    return task.result()


@translating
class Client(SqliteClient):
    def _in_transaction(self) -> TransactionContext:
        return ImmediateTransaction(Transaction(self), self._lock)

    async def create_connection(self, with_db: bool) -> None:
        try:
            await super().create_connection(with_db)
        except BaseException:
            # A connection is a thread: one that failed half-way would keep the process alive.
            await self.close()
            raise


@translating
class Transaction(SqliteTransactionWrapper):
    def _in_transaction(self) -> TransactionContext:
        return NestedTransactionContext(Transaction(self))

    async def begin(self) -> None:
        await self._connection.execute("BEGIN IMMEDIATE")

    async def commit(self) -> None:
        try:
            await super().commit()
        except sqlite3.Error:
            # A full disk at commit may leave the transaction open; the next one must not find it.
            await self._connection.rollback()
            self._finalized = True
            raise


class ImmediateTransaction(SqliteTransactionContext):
    __slots__ = ()

    async def __aenter__(self) -> TransactionalDBClient:
        await self._trxlock.acquire()
        try:
            await self.ensure_connection()
            try:
                await unbroken(self.connection.begin())
            except asyncio.CancelledError:
                await unbroken(self.connection.rollback())
                raise
        except BaseException:
            self._trxlock.release()
            raise
        self.token = get_connections().set(self.connection_name, self.connection)
        return self.connection

    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        try:
            if not self.connection._finalized:
                await unbroken(self.connection.rollback() if exc_type else self.connection.commit())
        finally:
            get_connections().reset(self.token)
            self._trxlock.release()


client_class = Client
