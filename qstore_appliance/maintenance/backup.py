"""
A backup: the database as it was at one moment and every blob that it refers to, in one file, while everybody writes on.

The database is copied by SQLite itself, in one read transaction, which in WAL mode keeps no writer waiting. Blobs never
change but are deleted, a checkpoint after each epoch; so they get a second name (a hard link) before the copy and, those
that came meanwhile, after it. What was stored and deleted in between is noticed, and the copy is made again.

`secret.key`, the key that signs archives, those that are trusted, the certificate and `qstore.toml` are inside: without
the first nobody's second factor works afterwards. Keep a backup as safe as the directory itself. The queue's file is not
inside: rows say what waits.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gzip
import hashlib
import io
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from qstore_appliance.database.migrations.runner import copy_file
from qstore_appliance.errors import Conflict, Refused, StorageFull, Unavailable
from qstore_appliance.maintenance.manifest import DATABASE, FORMAT, MANIFEST, Content, Manifest, is_ours
from qstore_appliance.settings import Settings

#: Blobs are compressed already, or numbers that hardly can be; more would cost time and gain nothing.
LEVEL = 1
#: Bytes that are read at once.
CHUNK = 1 << 20
#: A blob that is away from so many copies in a row was lost before.
ATTEMPTS = 4
REFERENCES = (("training_jobs", "checkpoint"), ("models", "artifact_digest"), ("datasets", "digest"))
_NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP})
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


class Made(msgspec.Struct, frozen=True):
    """A backup that is whole and on the disk. `missing` counts blobs that the installation had lost before."""

    file: str
    bytes: int
    files: int
    missing: int
    created_at: str


def default_file(settings: Settings, now: datetime) -> Path:
    return settings.data_dir / "backups" / f"qstore-{now:%Y%m%dT%H%M%SZ}.tar.gz"


def make(settings: Settings, target: Path | None = None) -> Made:
    """
    Make a backup; it has its name only when it is whole. Takes long: call it in a thread.

    Raises:
        Refused: The database is a Postgres, whose own tools make its backups.
        Conflict: Another backup is being made, or there is a file of that name.
        StorageFull: There is no room for it; nothing is left of it.
    """
    if settings.is_postgres:
        raise Refused(
            "The database is a Postgres, blobs included: back it up with pg_dump -Fc, and keep a copy of "
            f"{settings.secret_file}."
        )
    now = datetime.now(UTC)
    target = target or default_file(settings, now)
    with _alone(settings):
        if target.exists():
            raise Conflict(f"{target}: is there already.")
        unfinished = target.with_name(f".{target.name}.part")
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _stage(settings) as stage:
                missing = _collect(settings, stage)
                manifest = Manifest(
                    format=FORMAT,
                    version=version("qstore-appliance"),
                    created_at=now.isoformat(timespec="seconds"),
                    schema=_schema(stage / DATABASE),
                    files=[_described(path, stage) for path in sorted(stage.rglob("*")) if path.is_file()],
                    missing=missing,
                )
                _pack(manifest, stage, unfinished)
            _name(unfinished, target)
        except FileExistsError as error:
            raise Conflict(f"{target}: is there already.") from error
        except OSError as error:
            if error.errno in FULL:
                raise StorageFull(f"The backup was not made: {error.strerror}.") from error
            raise Unavailable(f"{error.filename or target}: {error.strerror}; the backup was not made.") from error
        except sqlite3.Error as error:
            raise StorageFull(f"The backup was not made: {error}.") from error
        finally:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
    return Made(str(target), target.stat().st_size, len(manifest.files), len(missing), manifest.created_at)


def _name(unfinished: Path, target: Path) -> None:
    """Give a whole file its name, without ever replacing another one where the disk knows hard links."""
    try:
        os.link(unfinished, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        unfinished.rename(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    descriptor = os.open(settings.data_dir / "backup.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict("Another backup is being made.", retry_after=10) from error
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _stage(settings: Settings) -> Iterator[Path]:
    """A folder beside the blobs, so that links can be made; what a killed backup left goes first."""
    for left in settings.data_dir.glob(".backup-*"):
        shutil.rmtree(left, ignore_errors=True)
    stage = Path(tempfile.mkdtemp(prefix=".backup-", dir=settings.data_dir))
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _collect(settings: Settings, stage: Path) -> list[str]:
    """Put together what goes in. Returns the digests of lost blobs."""
    keys = (settings.secret_file, settings.signing_key_file, *sorted(settings.trusted_keys_dir.glob("*")))
    for path in (*keys, settings.data_dir / "qstore.toml", *sorted(settings.tls_dir.glob("*"))):
        # A name that is not ours would make the whole backup somebody else's.
        if path.is_file() and is_ours(str(path.relative_to(settings.data_dir))):
            _second_name(path, stage / path.relative_to(settings.data_dir), copied=True)
    homes = {"blobs": settings.blob_dir, "datasets": settings.dataset_dir}
    for _ in range(ATTEMPTS):
        for name, home in homes.items():
            for place in home.glob("??/*.bin"):
                _second_name(place, stage / name / place.parent.name / place.name)
        copy_file(settings.database_file, stage / DATABASE)
        wanted = _referred(stage / DATABASE)
        lost = {digest for digest in wanted if not _found(digest, homes, stage)}
        if not lost:
            break
    for name in homes:
        for place in (stage / name).glob("??/*.bin"):
            if place.stem not in wanted:
                place.unlink()
    return sorted(f"sha256:{digest}" for digest in lost)


def _found(digest: str, homes: dict[str, Path], stage: Path) -> bool:
    """Whether the blob has a second name, which it may get now."""
    name = f"{digest}.bin"
    for kind, home in homes.items():
        if (stage / kind / digest[:2] / name).exists():
            return True
        if _second_name(home / digest[:2] / name, stage / kind / digest[:2] / name):
            return True
    return False


def _second_name(source: Path, target: Path, *, copied: bool = False) -> bool:
    """A link, or a copy where the file may change or lies on another disk; False when it is gone."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        if not copied:
            try:
                os.link(source, target)
                return True
            except FileExistsError:
                return True
            except FileNotFoundError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
        shutil.copyfile(source, target)
    except FileNotFoundError:
        target.unlink(missing_ok=True)
        return False
    return True


def _referred(database: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return {
            str(digest).removeprefix("sha256:")
            for table, column in REFERENCES
            for (digest,) in connection.execute(
                f'SELECT DISTINCT "{column}" FROM "{table}" WHERE "{column}" LIKE \'sha256:%\''  # noqa: S608 - ours
            )
        }


def _schema(database: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("SELECT version FROM schema_versions ORDER BY version")]


def _described(path: Path, stage: Path) -> Content:
    with path.open("rb") as reading:
        digest = hashlib.file_digest(reading, "sha256").hexdigest()
    name = path.relative_to(stage).as_posix()
    return Content(name=name, size=path.stat().st_size, sha256=digest)


def _pack(manifest: Manifest, stage: Path, unfinished: Path) -> None:
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as writing:
        with gzip.GzipFile(fileobj=writing, mode="wb", compresslevel=LEVEL, filename="") as packed:
            with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
                listing = msgspec.json.encode(manifest)
                tar.addfile(_member(MANIFEST, len(listing)), io.BytesIO(listing))
                for file in manifest.files:
                    with (stage / file.name).open("rb") as reading:
                        tar.addfile(_member(file.name, file.size), reading)
        writing.flush()
        os.fsync(writing.fileno())


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member
