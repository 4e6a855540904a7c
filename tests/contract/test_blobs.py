"""Blob stores: files, and the database on SQLite and Postgres, one behaviour."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from tortoise import timezone

from qstore_appliance.blobs import FileBlobs
from qstore_appliance.database import blobs as database_blobs
from qstore_appliance.database.blobs import DatabaseBlobs
from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.blobs import BlobPartRow, BlobRow
from qstore_appliance.errors import ArtifactCorrupt, NotFound, StorageFull
from qstore_appliance.settings import Database as DatabaseSettings
from qstore_appliance.settings import Settings

Store = FileBlobs | DatabaseBlobs
ABSENT = "sha256:" + "0" * 64


@pytest.fixture(params=["files", "sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    return Settings(data_dir=tmp_path / "data", database=DatabaseSettings(url=url))


@pytest_asyncio.fixture
async def store(
    request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Store]:
    if request.node.callspec.params["settings"] == "files":
        yield FileBlobs(settings.blob_dir)
        return
    # Small parts, so that a small blob has many.
    monkeypatch.setattr(database_blobs, "PART_BYTES", 10)
    database = await Database.open(settings)
    try:
        await database.migrate()
        yield DatabaseBlobs(database, settings.data_dir / "cache")
    finally:
        await database.close()


@pytest.mark.parametrize("content", [b"", b"\x00", b"0123456789", bytes(range(256)) * 3], ids=len)
async def test_round_trip(store: Store, content: bytes) -> None:
    """What was put comes back under its SHA-256, in memory and as a file."""
    digest = await store.put(content)

    assert digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert await store.get(digest) == content
    assert Path(await store.path(digest)).read_bytes() == content


async def test_same_content_twice(store: Store) -> None:
    """The same content is one blob, also when two put it at the same moment."""
    digests = await asyncio.gather(*(store.put(b"the same bytes") for _ in range(4)))

    assert len(set(digests)) == 1
    await store.delete(digests[0])
    with pytest.raises(NotFound):
        await store.get(digests[0])


async def test_adopt(store: Store, tmp_path: Path) -> None:
    """A file that is taken over becomes the blob of its content, and is gone from where it was."""
    source = tmp_path / "upload"
    source.write_bytes(b"abc" * 1000)

    digest = await store.adopt(source)

    assert digest == f"sha256:{hashlib.sha256(b'abc' * 1000).hexdigest()}"
    assert await store.get(digest) == b"abc" * 1000
    assert not source.exists()


async def test_adopt_what_is_there(store: Store, tmp_path: Path) -> None:
    """Taking over a file whose content is stored already changes nothing but the file."""
    digest = await store.put(b"known")
    source = tmp_path / "again"
    source.write_bytes(b"known")

    assert await store.adopt(source) == digest
    assert not source.exists()
    assert await store.get(digest) == b"known"


@pytest.mark.parametrize("digest", [ABSENT, "", "sha256:", "sha256:../../etc/passwd", "md5:" + "0" * 32, "\x00"])
async def test_absent(store: Store, digest: str) -> None:
    """An unknown digest is not found, and one that is none reaches no file."""
    with pytest.raises(NotFound):
        await store.get(digest)
    with pytest.raises(NotFound):
        await store.path(digest)


async def test_delete_absent(store: Store) -> None:
    """Deleting what is not there is fine, and deleting twice too."""
    digest = await store.put(b"short-lived")
    for _ in range(2):
        await store.delete(digest)

    await store.delete(ABSENT)

    with pytest.raises(NotFound):
        await store.path(digest)


async def test_damaged(store: Store, settings: Settings) -> None:
    """One flipped bit is noticed by every way of reading."""
    digest = await store.put(b"precious bytes")
    if isinstance(store, FileBlobs):
        (file,) = settings.blob_dir.rglob("*.bin")
        file.write_bytes(b"Precious bytes")
    else:
        await BlobPartRow.filter(blob_id=digest, part=0).update(content=b"Precious b")

    with pytest.raises(ArtifactCorrupt):
        await store.get(digest)
    with pytest.raises(ArtifactCorrupt):
        await store.path(digest)


async def test_damaged_copy_is_renewed(store: Store) -> None:
    """A damaged local copy of a blob in the database is unpacked anew; a damaged file itself is refused."""
    digest = await store.put(b"precious bytes")
    Path(await store.path(digest)).write_bytes(b"rubbish")

    if isinstance(store, FileBlobs):
        with pytest.raises(ArtifactCorrupt):
            await store.path(digest)
    else:
        assert Path(await store.path(digest)).read_bytes() == b"precious bytes"


# What nobody wants any more --------------------------------------------------------------------------------------


async def grow_old(store: Store, settings: Settings, digest: str, seconds: float = 3600.0) -> None:
    """Let a blob have been stored so long ago."""
    if isinstance(store, FileBlobs):
        (file,) = settings.blob_dir.rglob(f"{digest.removeprefix('sha256:')}.bin")
        os.utime(file, (time.time() - seconds,) * 2)
    else:
        await BlobRow.filter(digest=digest).update(created_at=timezone.now() - timedelta(seconds=seconds))


async def test_age_is_told(store: Store, settings: Settings) -> None:
    """Of all blobs those are aged that nobody has stored for so long."""
    old, young = await store.put(b"old"), await store.put(b"young")
    await grow_old(store, settings, old)

    assert await store.aged(1800) == [old]
    assert sorted(await store.aged(0)) == sorted([old, young])
    assert await store.aged(7200) == []


async def test_only_the_aged_are_deleted(store: Store, settings: Settings) -> None:
    """What is young stays, whoever says that it is old; what is old goes, and going twice is going once."""
    old, young = await store.put(b"old"), await store.put(b"young")
    await grow_old(store, settings, old)

    assert [await store.delete_aged(digest, 1800) for digest in (old, young, old)] == [True, False, True]

    assert await store.get(young) == b"young"
    with pytest.raises(NotFound):
        await store.path(old)


@pytest.mark.parametrize("way", ["put", "adopt"])
async def test_stored_again_is_young_again(store: Store, settings: Settings, tmp_path: Path, way: str) -> None:
    """Who stores bytes that lie there since long may refer to them: they are not deleted any more."""
    digest = await store.put(b"again")
    await grow_old(store, settings, digest)
    if way == "put":
        await store.put(b"again")
    else:
        source = tmp_path / "source"
        source.write_bytes(b"again")
        os.utime(source, (time.time() - 7200,) * 2)
        await store.adopt(source)

    assert await store.aged(1800) == []
    assert not await store.delete_aged(digest, 1800)
    assert await store.get(digest) == b"again"


async def test_what_was_stored_beside_a_sweep_is_there(store: Store, settings: Settings) -> None:
    """Storing and sweeping the same old bytes at the same moment, many times: what was stored is there afterwards."""
    for turn in range(40):
        digest = await store.put(b"contended")
        await grow_old(store, settings, digest)

        async def sweep(digest: str = digest) -> None:
            await store.delete_aged(digest, 1800)

        tasks = [sweep(), store.put(b"contended"), sweep()]
        await asyncio.gather(*(tasks if turn % 2 else reversed(tasks)))

        assert await store.get(digest) == b"contended"


class TestFiles:
    @pytest.fixture
    def files(self, tmp_path: Path) -> FileBlobs:
        return FileBlobs(tmp_path / "blobs")

    async def test_private(self, files: FileBlobs, tmp_path: Path) -> None:
        """Only the owner reads blobs, and adopted files too."""
        source = tmp_path / "open"
        source.write_bytes(b"b")
        source.chmod(0o644)
        paths = [Path(await files.path(digest)) for digest in (await files.put(b"a"), await files.adopt(source))]

        assert [path.stat().st_mode & 0o777 for path in paths] == [0o600, 0o600]
        assert all(path.parent.stat().st_mode & 0o777 == 0o700 for path in paths)

    @pytest.mark.parametrize("call", ["fsync", "replace"])
    async def test_full_disk(
        self, files: FileBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
    ) -> None:
        """When the disk is full nothing is stored and nothing half-written stays."""

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            with pytest.raises(StorageFull):
                await files.put(b"too much")

        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
        assert await files.get(await files.put(b"too much")) == b"too much"

    async def test_other_file_system(self, files: FileBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file on another disk is copied."""
        source = tmp_path / "far"
        source.write_bytes(b"far away")
        real = os.replace

        def replace(old: object, new: object) -> None:
            if old == source:
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            real(old, new)  # type: ignore[arg-type]

        monkeypatch.setattr(os, "replace", replace)

        assert await files.get(await files.adopt(source)) == b"far away"
        assert not source.exists()


async def test_cancelled_put_leaves_nothing_half(settings: Settings) -> None:
    """A put that is cancelled between its parts stores all or nothing."""
    if not settings.is_postgres:
        settings = Settings(data_dir=settings.data_dir)
    database = await Database.open(settings)
    await database.migrate()
    store = DatabaseBlobs(database, settings.data_dir / "cache")
    content = os.urandom(database_blobs.PART_BYTES * 2)

    task = asyncio.create_task(store.put(content))
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    kept = await BlobRow.all()
    parts = await BlobPartRow.all().count()
    await database.close()
    assert (len(kept), parts) in {(0, 0), (1, 2)}
