"""
Answers kept under their `Idempotency-Key` for a day: a client that lost an answer asks again and gets the same one.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta
from typing import NamedTuple

from tortoise.exceptions import IntegrityError
from tortoise.expressions import Q

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.idempotency import IdempotencyRow
from qstore_appliance.domain.ports import Clock
from qstore_appliance.errors import Conflict, ValidationFailed

KEPT = timedelta(hours=24)
#: A request that has not answered for so long died with its server.
IN_FLIGHT = timedelta(minutes=15)
SWEEP_EVERY = timedelta(minutes=10)
#: In place of an answer's status: what was asked for is done, and its answer is not kept yet.
DONE = 0
_KEY = re.compile(r"[!-~]{1,128}")


class StoredAnswer(NamedTuple):
    status: int
    content_type: str
    body: bytes


class Idempotency:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._swept: datetime | None = None

    async def reopen(self) -> None:
        """At start, where no other server shares the database: nothing can be in flight any more."""
        async with self._database.transaction():
            await IdempotencyRow.filter(status=None).delete()

    async def begin(self, bucket: str, method: str, path: str, key: str, body_hash: str) -> StoredAnswer | None:
        """
        Claim a key, or get the answer that was given under it.

        Args:
            bucket: `Caller.bucket`: keys of different callers never meet.
            body_hash: SHA-256 of the body, in hexadecimal.

        Raises:
            ValidationFailed: Not 1 to 128 visible characters.
            Conflict: Used with another body, or still in flight (`retry_after`).
        """
        if _KEY.fullmatch(key) is None:
            raise ValidationFailed.field("Idempotency-Key", "must be 1 to 128 visible ASCII characters")
        await self._sweep()
        id = _id(bucket, method, path, key)
        now = self._clock.now()
        for _ in range(3):
            try:
                async with self._database.transaction():
                    await IdempotencyRow.create(id=id, body_hash=body_hash, created_at=now)
                return None
            except IntegrityError:
                row = await IdempotencyRow.get_or_none(id=id)
            if row is None:
                continue
            if row.created_at <= now - (KEPT if row.status is not None else IN_FLIGHT):
                await self._remove(id, row.created_at)
                continue
            return _answer_of(row, body_hash)
        raise Conflict("Another request with this Idempotency-Key is in flight.", retry_after=1)

    def mark(self, bucket: str, method: str, path: str, key: str) -> None:
        """
        Have the next transaction of this task, which does what was asked for, say so under the key as well.

        A server that is killed before the answer is kept leaves that behind: nobody does it a second time.
        """
        id = _id(bucket, method, path, key)
        self._database.with_next_commit(lambda: IdempotencyRow.filter(id=id, status=None).update(status=DONE))

    async def finish(
        self, bucket: str, method: str, path: str, key: str, *, status: int, content_type: str, body: bytes
    ) -> None:
        """Keep the answer of a key that was claimed."""
        async with self._database.transaction():
            await IdempotencyRow.filter(id=_id(bucket, method, path, key)).update(
                status=status, content_type=content_type[:100], answer=body
            )

    async def forget(self, bucket: str, method: str, path: str, key: str) -> None:
        """Give the key back: the request failed in a way that a repetition may cure."""
        async with self._database.transaction():
            mine = IdempotencyRow.filter(id=_id(bucket, method, path, key))
            await mine.filter(Q(status=None) | Q(status=DONE)).delete()

    async def _remove(self, id: str, created_at: datetime) -> None:
        async with self._database.transaction():
            await IdempotencyRow.filter(id=id, created_at=created_at).delete()

    async def _sweep(self) -> None:
        now = self._clock.now()
        if self._swept is not None and now - self._swept < SWEEP_EVERY:
            return
        self._swept = now
        async with self._database.transaction():
            await IdempotencyRow.filter(created_at__lte=now - KEPT).delete()


def _id(bucket: str, method: str, path: str, key: str) -> str:
    # None of the four holds a line feed.
    return hashlib.sha256("\n".join((bucket, method, path, key)).encode("utf-8", "surrogatepass")).hexdigest()


def _answer_of(row: IdempotencyRow, body_hash: str) -> StoredAnswer:
    if row.body_hash != body_hash:
        raise Conflict("This Idempotency-Key was used with another body.")
    if row.status == DONE:
        raise Conflict(
            "What was asked for under this Idempotency-Key is done. Its answer is on its way, or was lost with the server: "
            "look for what was made.",
            details={"done": True},
            retry_after=1,
        )
    if row.status is None:
        raise Conflict("Another request with this Idempotency-Key is in flight.", retry_after=1)
    return StoredAnswer(row.status, row.content_type or "application/json", bytes(row.answer or b""))
