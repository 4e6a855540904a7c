"""
A backup put back: looked at in whole before anything is touched, brought to this version's tables, then put in place.

The old files stay in `before-restore-…/` of the data directory until somebody deletes them.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import fcntl
import gzip
import hashlib
import os
import shutil
import sqlite3
import tarfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from qstore_appliance.database.connection import Database
from qstore_appliance.errors import DataDirectoryInUse, Refused, StorageFull, Unavailable
from qstore_appliance.maintenance import manifest as manifests
from qstore_appliance.maintenance.backup import CHUNK, FULL, sync_folder
from qstore_appliance.maintenance.manifest import DATABASE, MANIFEST, Content, Manifest
from qstore_appliance.maintenance.replacement import PREPARED, Decision, decide, finish
from qstore_appliance.settings import Settings


class Restored(msgspec.Struct, frozen=True):
    """What is in place now. `kept` is the folder of what was there before; `migrated` the versions that were applied."""

    created_at: str
    version: str
    files: int
    missing: int
    migrated: list[str]
    kept: str


def put_back(settings: Settings, source: Path) -> Restored:
    """
    Put a backup in the place of what the data directory holds; one that does not exist is made.

    Raises:
        Refused: It is no backup, is damaged, or was made by a newer version; nothing was touched.
        DataDirectoryInUse: A server has the data directory.
        StorageFull: There is no room to unpack it; nothing was touched.
        Unavailable: A file cannot be read or written; nothing was touched.
    """
    if settings.is_postgres:
        raise Refused("database.url is a Postgres: put its dump back with pg_restore, and secret.key by hand.")
    data_dir = settings.data_dir
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(settings):
            finish(data_dir)
            prepared = data_dir / PREPARED
            try:
                prepared.mkdir(mode=0o700)
                found = unpack(source, prepared)
                migrated = asyncio.run(_migrate(settings, prepared))
                _spread(settings, prepared)
                _sync(prepared)
                kept = f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
                names = sorted(path.name for path in prepared.iterdir())
            except BaseException:
                shutil.rmtree(prepared, ignore_errors=True)
                raise
            decide(data_dir, Decision(names=names, kept=kept))
            finish(data_dir)
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull(f"The backup cannot be unpacked: {error.strerror}.") from error
        raise Unavailable(f"{error.filename or data_dir}: {error.strerror}.") from error
    return Restored(
        created_at=found.created_at,
        version=found.version,
        files=len(found.files),
        missing=len(found.missing),
        migrated=migrated,
        kept=str(data_dir / kept),
    )


def unpack(source: Path, target: Path) -> Manifest:
    """
    Unpack a backup into an empty folder; every byte is compared with what the manifest says.

    Raises:
        Refused: It is not whole, or not ours.
        StorageFull: There is no room.
    """
    try:
        with gzip.open(source) as packed, tarfile.open(fileobj=packed, mode="r|", bufsize=CHUNK) as tar:
            first = tar.next()
            if first is None or first.name != MANIFEST or not first.isreg() or first.size > manifests.MAX_BYTES:
                raise Refused(f"{source} is not a backup of Q-Store: it does not begin with {MANIFEST}.")
            found = manifests.read(_listing(tar, first))
            free = shutil.disk_usage(target).free
            if found.size > free:
                raise StorageFull(f"The backup needs {found.size:,} bytes, and {free:,} are free in {target.parent}.")
            waiting = {file.name: file for file in found.files}
            while (member := tar.next()) is not None:
                file = waiting.pop(member.name, None)
                if file is None or not member.isreg() or member.size != file.size:
                    raise Refused(f"The backup is damaged: {member.name[:200]!r} is not in its list.")
                _write(tar, member, file, target / file.name)
            if waiting:
                raise Refused(f"The backup is damaged: {min(waiting)} is missing.")
            # What follows the last member is checked, too: the checksum of the whole.
            while packed.read(CHUNK):
                pass
    except (gzip.BadGzipFile, EOFError, zlib.error, tarfile.TarError) as error:
        raise Refused(f"{source} is not a backup of Q-Store, or is damaged: {error}.") from error
    _check(target / DATABASE)
    return found


def _listing(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    reading = tar.extractfile(member)
    assert reading is not None
    return reading.read()


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, file: Content, place: Path) -> None:
    reading = tar.extractfile(member)
    assert reading is not None
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as writing:
        while chunk := reading.read(CHUNK):
            digest.update(chunk)
            writing.write(chunk)
    if digest.hexdigest() != file.sha256:
        raise Refused(f"The backup is damaged: {file.name} does not match its digest.")


def _check(database: Path) -> None:
    try:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        answer = str(error)
    if answer != "ok":
        raise Refused(f"The database of the backup is damaged: {answer}.")


async def _migrate(settings: Settings, prepared: Path) -> list[str]:
    """Bring the unpacked database to this version's tables, where it lies."""
    database = await Database.open(dataclasses.replace(settings, data_dir=prepared))
    try:
        applied = await database.migrate()
    finally:
        await database.close()
    for left in prepared.glob("qstore.*"):
        if left.name not in (DATABASE, "qstore.toml"):
            left.unlink()
    return applied


def _spread(settings: Settings, prepared: Path) -> None:
    """Imported data sets go where the settings want them; a blob there is the same blob, whoever stored it."""
    if not settings.datasets.folder:
        return
    for place in (prepared / "datasets").glob("??/*.bin"):
        target = settings.dataset_dir / place.parent.name / place.name
        if not target.exists():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished = target.with_name(f".unfinished-{target.name}")
            shutil.copyfile(place, unfinished)
            unfinished.rename(target)
    shutil.rmtree(prepared / "datasets", ignore_errors=True)


def _sync(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            sync_folder(path)
        else:
            with path.open("rb") as reading:
                os.fsync(reading.fileno())


@contextlib.contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """
    Hold the lock that a server holds.

    Raises:
        DataDirectoryInUse: Somebody has it.
    """
    descriptor = os.open(settings.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataDirectoryInUse(f"{settings.data_dir} is in use; stop the server first.") from error
        yield
    finally:
        os.close(descriptor)
