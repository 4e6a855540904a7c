"""Backups: whole or not there, one at a time, with every blob that they refer to, and out of nobody's way."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from qstore_appliance.errors import Conflict, Refused
from qstore_appliance.maintenance import backup
from qstore_appliance.maintenance.restore import put_back, unpack
from qstore_appliance.services import leftovers
from qstore_appliance.settings import Database, Settings
from tests.maintenance.conftest import contents, furnish


def killed_at(step: int, work: Callable[[], object], folder: Path) -> bool:
    """Run this in a process that is killed at its so-manieth step on the disk; whether it came that far."""
    child = os.fork()
    if child == 0:
        import sys

        count = 0

        def watch(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal count
            # Only what changes or reads files of ours is a step.
            step_on_disk = event.startswith(("os.", "shutil.")) or event in {"open", "sqlite3.connect"}
            if step_on_disk and any(str(folder) in str(one) for one in arguments):
                count += 1
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


class TestBackup:
    def test_round_trip(self, settings: Settings, tmp_path: Path) -> None:
        """A backup that is put back elsewhere has the rows, the blobs and the secret, and nothing else."""
        made = backup.make(settings, tmp_path / "kept.tar.gz")
        elsewhere = Settings(data_dir=tmp_path / "elsewhere")
        put_back(elsewhere, Path(made.file))

        assert contents(elsewhere) == contents(settings)
        assert (made.files, made.missing) == (3, 0)
        assert Path(made.file).stat().st_mode & 0o077 == 0
        assert [path.name for path in settings.data_dir.glob(".backup-*")] == []

    def test_keys(self, settings: Settings, tmp_path: Path) -> None:
        """The key that signs models and those that are trusted go along; a file that nobody knows stays behind."""
        settings.signing_key_file.write_bytes(b"s" * 32)
        settings.trusted_keys_dir.mkdir()
        for name in ("their lab.pub", "theirs.pub"):
            (settings.trusted_keys_dir / name).write_text(name)
        elsewhere = Settings(data_dir=tmp_path / "elsewhere")

        put_back(elsewhere, Path(backup.make(settings, tmp_path / "kept.tar.gz").file))

        assert elsewhere.signing_key_file.read_bytes() == b"s" * 32
        assert elsewhere.signing_key_file.stat().st_mode & 0o077 == 0
        assert [path.name for path in elsewhere.trusted_keys_dir.iterdir()] == ["theirs.pub"]

    def test_every_reference(self) -> None:
        """What refers to a blob is the same for a backup as for whoever deletes those to which nothing refers."""
        assert set(backup.REFERENCES) == {(table._meta.db_table, column) for table, column in leftovers.REFERENCES}

    @pytest.mark.attack("F36")
    def test_killed(self, settings: Settings, tmp_path: Path) -> None:
        """Killed at whatever step, a backup has its name only if it is whole, and the next one works."""
        folder, step, whole = tmp_path / "kept", 1, 0
        while killed_at(step, lambda: backup.make(settings, folder / "kept.tar.gz"), tmp_path):
            for file in folder.glob("kept*.tar.gz"):
                (target := tmp_path / f"unpacked-{step}").mkdir()
                unpack(file, target)
                whole += 1
                file.unlink()
            # The next one shall have as many steps as this one had.
            for left in settings.data_dir.glob(".backup-*"):
                shutil.rmtree(left)
            step += 1
        assert killed_at(step // 2, lambda: backup.make(settings, folder / "half.tar.gz"), tmp_path)
        assert list(settings.data_dir.glob(".backup-*")) != []
        backup.make(settings, folder / "last.tar.gz")

        assert step > 15
        assert whole >= 1, "nobody was killed after it had its name"
        assert list(settings.data_dir.glob(".backup-*")) == []

    @pytest.mark.attack("F36")
    def test_two_at_once(self, settings: Settings, tmp_path: Path) -> None:
        """The second of two backups at the same time is refused, as is one onto a file that is there."""
        with backup._alone(settings), pytest.raises(Conflict, match="Another backup"):
            backup.make(settings, tmp_path / "second.tar.gz")
        backup.make(settings, tmp_path / "third.tar.gz")
        with pytest.raises(Conflict, match="is there already"):
            backup.make(settings, tmp_path / "third.tar.gz")

        assert not (tmp_path / "second.tar.gz").exists()

    def test_lost_blob(self, settings: Settings, tmp_path: Path) -> None:
        """What the installation had lost before does not keep it from being backed up; it is counted."""
        for blob in settings.blob_dir.glob("*/*.bin"):
            blob.unlink()

        assert backup.make(settings, tmp_path / "kept.tar.gz").missing == 1

    def test_blob_replaced_meanwhile(self, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A blob that was stored after the links and deleted after the copy is noticed, and the copy made again."""
        copy, turns = backup.copy_file, []

        def copied_late(source: Path, target: Path) -> None:
            turns.append(1)
            if len(turns) == 1:
                furnish(settings, "short-lived")
                copy(source, target)
                with contextlib.closing(sqlite3.connect(source)) as connection:
                    (digest,) = connection.execute(
                        "SELECT artifact_digest FROM models WHERE name = 'short-lived'"
                    ).fetchone()
                    connection.execute("DELETE FROM models WHERE name = 'short-lived'")
                    connection.commit()
                name = digest.removeprefix("sha256:")
                (settings.blob_dir / name[:2] / f"{name}.bin").unlink()
            else:
                copy(source, target)

        monkeypatch.setattr(backup, "copy_file", copied_late)
        made = backup.make(settings, tmp_path / "kept.tar.gz")
        put_back(elsewhere := Settings(data_dir=tmp_path / "elsewhere"), Path(made.file))

        assert (len(turns), made.missing) == (2, 0)
        assert set(contents(elsewhere)) == {"first", "secret"}

    def test_postgres(self, settings: Settings) -> None:
        """On a Postgres the backup says which program makes one."""
        shared = dataclasses.replace(settings, database=Database(url="postgres://a@localhost/b"))
        with pytest.raises(Refused, match="pg_dump"):
            backup.make(shared)

    @pytest.mark.attack("F36")
    def test_writes_meanwhile(self, settings: Settings, tmp_path: Path) -> None:
        """Backups while others write have whole transactions: two counters that are raised together are equal."""
        with contextlib.closing(sqlite3.connect(settings.database_file)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE pair (a INTEGER, b INTEGER)")
            connection.execute("INSERT INTO pair VALUES (0, 0)")
            connection.commit()
        stop, written = threading.Event(), []

        def write() -> None:
            with contextlib.closing(sqlite3.connect(settings.database_file, isolation_level=None)) as connection:
                while not stop.is_set():
                    began = time.monotonic()
                    connection.execute("BEGIN IMMEDIATE")
                    connection.execute("UPDATE pair SET a = a + 1")
                    connection.execute("UPDATE pair SET b = b + 1")
                    connection.execute("COMMIT")
                    written.append(time.monotonic() - began)

        writer = threading.Thread(target=write)
        writer.start()
        seen = []
        try:
            for turn in range(5):
                before = len(written)
                made = backup.make(settings, tmp_path / f"{turn}.tar.gz")
                (target := tmp_path / f"unpacked-{turn}").mkdir()
                unpack(Path(made.file), target)
                with contextlib.closing(sqlite3.connect(target / "qstore.sqlite3")) as connection:
                    seen.append(connection.execute("SELECT a, b FROM pair").fetchone())
                assert seen[-1][0] >= before
        finally:
            stop.set()
            writer.join()

        assert all(a == b for a, b in seen)
        assert seen == sorted(seen)
        assert seen[-1][0] > seen[0][0]
