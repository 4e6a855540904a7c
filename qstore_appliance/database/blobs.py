"""
Content-addressed bytes in the database, so that every worker machine reaches them: the twin of `qstore_appliance/blobs`.

A blob is cut into parts of 8 MiB: Postgres would hold a whole value in memory several times over.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from tortoise import timezone
from tortoise.exceptions import IntegrityError

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.blobs import BlobPartRow, BlobRow
from qstore_appliance.errors import ArtifactCorrupt, NotFound

PART_BYTES = 8 << 20
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class DatabaseBlobs:
    """A `BlobStore` in the database; `path` unpacks into a directory of this machine, which may be emptied any time."""

    def __init__(self, database: Database, cache: Path) -> None:
        self._database = database
        self._cache = cache

    async def put(self, content: bytes) -> str:
        """
        Store durably before returning; the same content twice is one blob.

        Raises:
            StorageFull: Nothing was stored.
        """
        digest = await asyncio.to_thread(_digest_of, content)
        view = memoryview(content)
        parts = (bytes(view[start : start + PART_BYTES]) for start in range(0, len(content), PART_BYTES))
        await self._store(digest, len(content), parts)
        return digest

    async def adopt(self, source: Path) -> str:
        """
        Take over a file as a blob; the file is gone afterwards.

        Raises:
            StorageFull: Nothing was stored, the file is still there.
        """
        with source.open("rb") as reading:
            found = await asyncio.to_thread(hashlib.file_digest, reading, "sha256")
            reading.seek(0)
            digest = f"sha256:{found.hexdigest()}"
            await self._store(digest, source.stat().st_size, iter(lambda: reading.read(PART_BYTES), b""))
        source.unlink()
        return digest

    async def get(self, digest: str) -> bytes:
        """
        Raises:
            NotFound: There is no such blob.
            ArtifactCorrupt: The bytes do not match the digest.
        """
        content = b"".join([part async for part in self._parts(digest)])
        if await asyncio.to_thread(_digest_of, content) != digest:
            raise ArtifactCorrupt(details={"digest": digest})
        return content

    async def delete(self, digest: str) -> None:
        """Free the space; absent is fine."""
        if _DIGEST.fullmatch(digest) is None:
            return
        async with self._database.transaction():
            await BlobRow.filter(digest=digest).delete()
        self._cached(digest).unlink(missing_ok=True)

    async def aged(self, seconds: float) -> list[str]:
        """Digests of the blobs that nobody has stored, for the first time or again, for so long."""
        rows = BlobRow.filter(created_at__lt=_ago(seconds)).values_list("digest", flat=True)
        return [str(digest) for digest in await rows]

    async def delete_aged(self, digest: str, seconds: float) -> bool:
        """Delete a blob, unless somebody has stored it again meanwhile; whether it is gone."""
        async with self._database.transaction():
            # One statement: who stores it at the same time either makes it young first, or finds it gone.
            await BlobRow.filter(digest=digest, created_at__lt=_ago(seconds)).delete()
        if await BlobRow.exists(digest=digest):
            return False
        self._cached(digest).unlink(missing_ok=True)
        return True

    async def path(self, digest: str) -> str:
        """
        A local file with these bytes, checked.

        Raises:
            NotFound: There is no such blob.
            ArtifactCorrupt: The bytes do not match the digest.
        """
        if _DIGEST.fullmatch(digest) is None:
            raise NotFound.of("blob", digest)
        place = self._cached(digest)
        if not await asyncio.to_thread(_is_whole, place, digest):
            await self._unpack(digest, place)
        return str(place)

    async def _store(self, digest: str, size: int, parts: Iterator[bytes]) -> None:
        try:
            async with self._database.transaction(aside=True):
                # Whoever looks for blobs that nobody wants sees that somebody does.
                if await BlobRow.filter(digest=digest).update(created_at=timezone.now()):
                    return
                await BlobRow.create(digest=digest, size=size)
                for part, content in enumerate(parts):
                    await BlobPartRow.create(blob_id=digest, part=part, content=content)
        except IntegrityError:
            # Another machine stored the same content meanwhile.
            if not await BlobRow.exists(digest=digest):
                raise

    async def _parts(self, digest: str) -> AsyncIterator[bytes]:
        if _DIGEST.fullmatch(digest) is None or not await BlobRow.exists(digest=digest):
            raise NotFound.of("blob", digest)
        part = 0
        while (row := await BlobPartRow.get_or_none(blob_id=digest, part=part)) is not None:
            yield bytes(row.content)
            part += 1

    async def _unpack(self, digest: str, place: Path) -> None:
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, unfinished = tempfile.mkstemp(prefix=".unfinished-", dir=self._cache)
        found = hashlib.sha256()
        try:
            with os.fdopen(descriptor, "wb") as target:
                async for part in self._parts(digest):
                    found.update(part)
                    await asyncio.to_thread(target.write, part)
            if f"sha256:{found.hexdigest()}" != digest:
                raise ArtifactCorrupt(details={"digest": digest})
            os.replace(unfinished, place)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise

    def _cached(self, digest: str) -> Path:
        return self._cache / f"{digest.removeprefix('sha256:')}.bin"


def _ago(seconds: float) -> datetime:
    return timezone.now() - timedelta(seconds=seconds)


def _digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _is_whole(place: Path, digest: str) -> bool:
    try:
        with place.open("rb") as reading:
            return f"sha256:{hashlib.file_digest(reading, 'sha256').hexdigest()}" == digest
    except FileNotFoundError:
        return False
