"""
Power cuts: the data directory lies on an ext4 of its own, in a file, which is shut down without writing anything more.

A SIGKILL leaves what was written in the system's memory, from where it reaches the disk all the same; this does not.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.rigs.invariants import Broken
from tests.acceptance.rigs.test_kills import SEED, Rig

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform != "linux", reason="not on this operating system: needs a loop-mounted ext4"),
    pytest.mark.xdist_group("rig-power"),
]

#: EXT4_IOC_SHUTDOWN, and its flag that leaves the journal unwritten.
SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
CUTS = 30


class Disk:
    """An ext4 in a file that can lose its power."""

    def __init__(self, folder: Path) -> None:
        self.image, self.place = folder / "disk", folder / "mounted"
        self.place.mkdir()
        with self.image.open("wb") as file:
            file.truncate(512 * 2**20)
        subprocess.run(["mkfs.ext4", "-q", str(self.image)], check=True)
        self.mount()

    def mount(self) -> None:
        subprocess.run(["mount", "-o", "loop", str(self.image), str(self.place)], check=True, capture_output=True)

    def unmount(self) -> None:
        for _ in range(100):
            if subprocess.run(["umount", str(self.place)], capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError("the disk cannot be unmounted")

    def cut(self) -> None:
        descriptor = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("power cuts need root, mkfs.ext4 and loop devices")
    try:
        made = Disk(tmp_path)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"power cuts need loop devices: {error}")
    yield made
    with contextlib.suppress(AssertionError):
        made.unmount()


def cut_and_start(rig: Rig, disk: Disk) -> None:
    house, report = rig.house, rig.report
    time.sleep(rig.random.uniform(0.3, 1.5))
    # With its power a machine loses its processes, in the same moment. One that goes on beside a disk that was shut down
    # acknowledges what is lost: a bare SQLite with synchronous=FULL did so in 19 of 200 cuts, each time during or after
    # the cut and never before, and in none of 160 when it was stopped first.
    house.served.process.send_signal(signal.SIGSTOP)
    time.sleep(0.05)
    disk.cut()
    rig.up.clear()
    house.kill()
    report.kills += 1
    disk.unmount()
    disk.mount()
    report.ready.append(house.start())
    rig.look()
    rig.up.set()


def blackout(rig: Rig, disk: Disk, cuts: int) -> None:
    rig.start_writing()
    for _ in range(cuts):
        cut_and_start(rig, disk)
    rig.last_look()


def test_the_rig_for_power_cuts_catches(disk: Disk, tmp_path: Path) -> None:
    """A SQLite that does not wait for the disk loses what it has acknowledged, and that is seen."""
    rig = Rig(disk.place, None, SEED, "normal_synchronous", ledger=tmp_path)
    try:
        with pytest.raises(Broken, match="I1"):
            blackout(rig, disk, CUTS)
    finally:
        rig.close()


def test_power_cuts(disk: Disk, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Whatever the moment the power goes: nothing acknowledged is lost, and no half of anything is there."""
    rig = Rig(disk.place, None, SEED, ledger=tmp_path)
    rig.report.name = "power cuts on SQLite"
    try:
        blackout(rig, disk, CUTS)
        record_property("report", str(rig.report))
    finally:
        rig.close()
