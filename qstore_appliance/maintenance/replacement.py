"""
Putting prepared files in the place of those of a data directory, so that whoever is killed on the way leaves the old or
the new.

Everything new lies whole in `.restoring/`. One small file, `restore.json`, decides: before it has its name the old files
count, and what was prepared is thrown away; from then on the new ones do, and whoever opens the data directory next
finishes the moving, which may be begun again at every step. Old files move to `before-restore-…/` and stay there. Unlike
exchanging two directories, this also works where the data directory is a mount point.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from qstore_appliance.errors import ConfigurationInvalid
from qstore_appliance.maintenance.backup import sync_folder

PREPARED = ".restoring"
DECISION = "restore.json"
#: What belongs together and goes together; the settings stay as they are where there are any.
REPLACED = (
    *("qstore.sqlite3", "qstore.sqlite3-wal", "qstore.sqlite3-shm"),
    *("queue.sqlite3", "queue.sqlite3-wal", "queue.sqlite3-shm"),
    *("blobs", "datasets", "secret.key", "signing.key", "trusted-keys", "tls"),
)


class Decision(msgspec.Struct, frozen=True):
    """Args: names: what is new; kept: the folder for what is old."""

    names: list[str]
    kept: str


def decide(data_dir: Path, decision: Decision) -> None:
    """From here on the prepared files count. They have to be on the disk."""
    unfinished = data_dir / f".{DECISION}.part"
    with unfinished.open("wb") as writing:
        writing.write(msgspec.json.encode(decision))
        writing.flush()
        os.fsync(writing.fileno())
    sync_folder(data_dir)
    unfinished.replace(data_dir / DECISION)
    sync_folder(data_dir)


def finish(data_dir: Path) -> bool:
    """
    Finish what a killed restore has decided; else throw away what it prepared. Whether something was decided.

    The caller holds the data directory's lock.

    Raises:
        ConfigurationInvalid: The decision cannot be read or carried out.
    """
    place, prepared = data_dir / DECISION, data_dir / PREPARED
    try:
        decision = msgspec.json.decode(place.read_bytes(), type=Decision)
    except FileNotFoundError:
        if prepared.exists():
            shutil.rmtree(prepared, ignore_errors=True)
        return False
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationInvalid(f"{place}: cannot be read ({error})") from error
    try:
        _move(data_dir, decision)
    except OSError as error:
        raise ConfigurationInvalid(f"{data_dir}: a restore cannot be finished ({error})") from error
    return True


def _move(data_dir: Path, decision: Decision) -> None:
    prepared, kept = data_dir / PREPARED, data_dir / decision.kept
    kept.mkdir(mode=0o700, exist_ok=True)
    for name in (*REPLACED, "qstore.toml"):
        new, present = prepared / name, data_dir / name
        if name == "qstore.toml":
            if new.exists() and not present.exists():
                new.rename(present)
            continue
        # What is new and no longer prepared was moved by whoever was killed.
        if name not in decision.names or new.exists():
            if present.exists() and not (kept / name).exists():
                present.rename(kept / name)
            if new.exists():
                new.rename(present)
    for folder in (kept, data_dir):
        sync_folder(folder)
    (data_dir / DECISION).unlink()
    sync_folder(data_dir)
    shutil.rmtree(prepared, ignore_errors=True)
