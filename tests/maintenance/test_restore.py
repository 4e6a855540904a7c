"""Backups that are put back: what is bad is refused untouched, and a kill leaves the old or the new."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import tarfile
from pathlib import Path

import msgspec
import pytest

from qstore_appliance.database.migrations import VERSIONS
from qstore_appliance.errors import DataDirectoryInUse, QStoreError, Refused
from qstore_appliance.maintenance import backup
from qstore_appliance.maintenance.manifest import Content, Manifest
from qstore_appliance.maintenance.replacement import finish
from qstore_appliance.maintenance.restore import locked, put_back
from qstore_appliance.settings import Settings
from tests.maintenance.conftest import contents, furnish
from tests.maintenance.test_backup import killed_at


@pytest.fixture
def made(settings: Settings, tmp_path: Path) -> Path:
    """A backup of the first model; afterwards the installation has a second one."""
    file = Path(backup.make(settings, tmp_path / "kept.tar.gz").file)
    furnish(settings, "second")
    return file


def state(folder: Path) -> dict[str, str]:
    """Every file but those that locking makes, by digest."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def forged(target: Path, members: dict[str, bytes], *, schema: list[str] | None = None) -> Path:
    """A backup that lists exactly what it holds, whatever that is."""
    files = [Content(name, len(content), hashlib.sha256(content).hexdigest()) for name, content in members.items()]
    listing = msgspec.json.encode(Manifest(1, "4.1.0", "2026-01-01T00:00:00+00:00", schema or [], files, []))
    with tarfile.open(target, "w:gz") as tar:
        for name, content in {"manifest.json": listing, **members}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return target


class TestRestore:
    def test_back_to_the_moment(self, settings: Settings, made: Path) -> None:
        """What came after the backup is gone from the directory, and lies beside it."""
        before = contents(settings)
        done = put_back(settings, made)

        assert set(before) == {"first", "second", "secret"}
        assert contents(settings) == {"first": before["first"], "secret": b"first"}
        assert (Path(done.kept) / "secret.key").read_bytes().strip() == b"second"
        assert (Path(done.kept) / "qstore.sqlite3").is_file()

    @pytest.mark.attack("F37")
    def test_damaged(self, settings: Settings, made: Path, tmp_path: Path) -> None:
        """A backup that is cut off or has a flipped bit, anywhere, is refused, and nothing is touched."""
        content, before = made.read_bytes(), state(settings.data_dir)
        bad = tmp_path / "bad.tar.gz"
        for at in range(0, len(content), max(1, len(content) // 40)):
            for spoilt in (content[:at], content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]):
                bad.write_bytes(spoilt)
                try:
                    put_back(settings, bad)
                except QStoreError:
                    assert state(settings.data_dir) == before
                else:
                    # A bit of gzip's own that means nothing: the time in its header, or padding.
                    assert gzip.decompress(spoilt) == gzip.decompress(content)
                    shutil.rmtree(settings.data_dir)
                    settings.data_dir.mkdir()
                    put_back(settings, made)
                    before = state(settings.data_dir)

    @pytest.mark.attack("F37", "A45")
    @pytest.mark.parametrize(
        "name",
        [
            "../evil",
            "/etc/evil",
            "blobs/../../evil",
            "tls/../evil",
            "tls/a/b",
            "lock",
            "restore.json",
            "blobs/ab/c.bin",
        ],
    )
    def test_strange_names(self, settings: Settings, made: Path, tmp_path: Path, name: str) -> None:
        """A backup with a file that no backup has is refused, wherever that would lie."""
        before, around = state(settings.data_dir), set(tmp_path.iterdir())
        bad = forged(tmp_path / "bad.tar.gz", {"qstore.sqlite3": b"", name: b"evil"})

        with pytest.raises(Refused):
            put_back(settings, bad)
        assert state(settings.data_dir) == before
        assert set(tmp_path.iterdir()) - around == {bad}

    @pytest.mark.attack("F37", "F38")
    def test_newer(self, settings: Settings, tmp_path: Path) -> None:
        """A backup of a newer version is refused with that version."""
        bad = forged(tmp_path / "bad.tar.gz", {"qstore.sqlite3": b""}, schema=[*VERSIONS, "9999_future"])

        with pytest.raises(Refused, match="9999_future"):
            put_back(settings, bad)

    @pytest.mark.attack("F37")
    def test_not_a_database(self, settings: Settings, tmp_path: Path) -> None:
        """A file that is whole and no database is refused."""
        with pytest.raises(Refused, match="database of the backup is damaged"):
            put_back(settings, forged(tmp_path / "bad.tar.gz", {"qstore.sqlite3": b"x" * 5000}))

    @pytest.mark.attack("F37")
    def test_bomb(self, settings: Settings, tmp_path: Path) -> None:
        """More bytes than the list says are not written."""
        bad = tmp_path / "bad.tar.gz"
        listing = msgspec.json.encode(Manifest(1, "4.1.0", "", [], [Content("qstore.sqlite3", 10, "0" * 64)], []))
        with gzip.open(bad, "wb") as packed, tarfile.open(fileobj=packed, mode="w") as tar:
            for name, content in {"manifest.json": listing, "qstore.sqlite3": b"\0" * 20_000_000}.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))

        with pytest.raises(Refused, match="not in its list"):
            put_back(settings, bad)

    def test_in_use(self, settings: Settings, made: Path) -> None:
        """Nothing is put back while somebody has the directory."""
        with locked(settings), pytest.raises(DataDirectoryInUse):
            put_back(settings, made)

    @pytest.mark.attack("F37")
    def test_killed(self, settings: Settings, made: Path, tmp_path: Path) -> None:
        """Killed at whatever step, whoever opens the directory next finds the old or the new, never a mixture."""
        old = contents(settings)
        template = tmp_path / "template"
        shutil.copytree(settings.data_dir, template)
        new = {"first": old["first"], "secret": b"first"}
        step, seen = 1, []
        while killed_at(step, lambda: put_back(settings, made), tmp_path):
            finish(settings.data_dir)
            found = contents(settings)
            assert found in (old, new)
            seen.append("old" if found == old else "new")
            shutil.rmtree(settings.data_dir)
            shutil.copytree(template, settings.data_dir)
            step += 1

        assert seen == sorted(seen, reverse=True), "once the new counts it stays"
        assert set(seen) == {"old", "new"}
        assert seen.count("new") > 5

    @pytest.mark.attack("F37")
    def test_killed_while_it_is_finished(self, settings: Settings, made: Path, tmp_path: Path) -> None:
        """Who finishes for one that was killed may be killed as well."""
        old = contents(settings)
        new = {"first": old["first"], "secret": b"first"}
        step = 1
        while killed_at(step, lambda: put_back(settings, made), tmp_path):
            if (settings.data_dir / "restore.json").exists():
                break
            step += 1
        turn = 1
        while killed_at(turn, lambda: finish(settings.data_dir), tmp_path):
            turn += 1

        finish(settings.data_dir)

        assert contents(settings) == new
