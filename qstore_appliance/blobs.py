"""
Content-addressed bytes in files: data sets, checkpoints, model artifacts. `database/blobs.py` is the twin in Postgres.

A blob lies at `DIR/ab/abcdef….bin`, named by its SHA-256. It gets that name only when it is whole and on the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import re
import shutil
import tempfile
import threading
import time
from pathlib import Path

from qstore_appliance.errors import ArtifactCorrupt, NotFound, StorageFull

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


class FileBlobs:
    """A `BlobStore` in one directory; the work is done in threads, so that the loop never waits for a disk."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        #: Between looking at a file's age and deleting it nobody may store the same bytes again.
        self._aging = threading.Lock()

    async def put(self, content: bytes) -> str:
        """
        Store durably before returning; the same content twice is one blob.

        Raises:
            StorageFull: Nothing was stored.
        """
        return await asyncio.to_thread(self._put, content)

    async def adopt(self, source: Path) -> str:
        """
        Take over a file as a blob; the file is gone afterwards.

        Raises:
            StorageFull: Nothing was stored, the file is still there.
        """
        return await asyncio.to_thread(self._adopt, source)

    async def get(self, digest: str) -> bytes:
        """
        Raises:
            NotFound: There is no such blob.
            ArtifactCorrupt: The bytes do not match the digest.
        """
        return await asyncio.to_thread(self._get, digest)

    async def delete(self, digest: str) -> None:
        """Free the space; absent is fine."""
        if _DIGEST.fullmatch(digest) is not None:
            await asyncio.to_thread(self._place(digest).unlink, missing_ok=True)

    async def aged(self, seconds: float) -> list[str]:
        """Digests of the blobs that nobody has stored, for the first time or again, for so long."""
        return await asyncio.to_thread(self._aged, seconds)

    async def delete_aged(self, digest: str, seconds: float) -> bool:
        """Delete a blob, unless somebody has stored it again meanwhile; whether it is gone."""
        return await asyncio.to_thread(self._delete_aged, digest, seconds)

    async def path(self, digest: str) -> str:
        """
        The file with these bytes, checked.

        Raises:
            NotFound: There is no such blob.
            ArtifactCorrupt: The bytes do not match the digest.
        """
        return await asyncio.to_thread(self._checked, digest)

    def _place(self, digest: str) -> Path:
        match = _DIGEST.fullmatch(digest)
        if match is None:
            raise NotFound.of("blob", digest)
        name = match[1]
        return self._directory / name[:2] / f"{name}.bin"

    def _put(self, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        place = self._place(digest)
        with self._aging:
            if place.is_file() and place.stat().st_size == len(content):
                # Whoever looks for blobs that nobody wants sees that somebody does.
                os.utime(place)
                return digest
        try:
            descriptor, unfinished = self._unfinished(place)
            try:
                with os.fdopen(descriptor, "wb") as target:
                    target.write(content)
                    target.flush()
                    os.fsync(target.fileno())
                self._settle(Path(unfinished), place)
            except BaseException:
                Path(unfinished).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise _translated(error) from error
        return digest

    def _adopt(self, source: Path) -> str:
        with source.open("rb") as reading:
            digest = f"sha256:{hashlib.file_digest(reading, 'sha256').hexdigest()}"
            os.fsync(reading.fileno())
        place = self._place(digest)
        try:
            descriptor, unfinished = self._unfinished(place)
            os.close(descriptor)
            try:
                try:
                    os.replace(source, unfinished)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                    shutil.copyfile(source, unfinished)
                    with open(unfinished, "rb") as copied:
                        os.fsync(copied.fileno())
                    source.unlink()
                os.chmod(unfinished, 0o600)
                os.utime(unfinished)
                self._settle(Path(unfinished), place)
            except BaseException:
                Path(unfinished).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise _translated(error) from error
        return digest

    def _settle(self, unfinished: Path, place: Path) -> None:
        """Give a whole file its name, and make the name durable too."""
        with self._aging:
            os.replace(unfinished, place)
        for folder in (place.parent, place.parent.parent):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _aged(self, seconds: float) -> list[str]:
        found = []
        for place in self._directory.glob("??/*.bin"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - place.stat().st_mtime >= seconds:
                    found.append(f"sha256:{place.stem}")
        return [digest for digest in found if _DIGEST.fullmatch(digest)]

    def _delete_aged(self, digest: str, seconds: float) -> bool:
        place = self._place(digest)
        with self._aging:
            if place.is_file() and time.time() - place.stat().st_mtime < seconds:
                return False
            place.unlink(missing_ok=True)
            return True

    def _unfinished(self, place: Path) -> tuple[int, str]:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return tempfile.mkstemp(prefix=".unfinished-", dir=place.parent)

    def _get(self, digest: str) -> bytes:
        try:
            content = self._place(digest).read_bytes()
        except FileNotFoundError:
            raise NotFound.of("blob", digest) from None
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise ArtifactCorrupt(details={"digest": digest})
        return content

    def _checked(self, digest: str) -> str:
        place = self._place(digest)
        try:
            with place.open("rb") as reading:
                found = hashlib.file_digest(reading, "sha256").hexdigest()
        except FileNotFoundError:
            raise NotFound.of("blob", digest) from None
        if f"sha256:{found}" != digest:
            raise ArtifactCorrupt(details={"digest": digest})
        return str(place)


def _translated(error: OSError) -> Exception:
    if error.errno in _FULL:
        return StorageFull(f"The bytes could not be stored: {error.strerror}.")
    return error
