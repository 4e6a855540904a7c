"""What a killed process leaves behind goes: `qstore serve` on the data directory of one that was killed at that moment."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.acceptance.processes import data, environment, long_job, serving, small_circuit, wait_for_epoch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="not on this operating system: needs /proc")

#: Stores the next epoch's checkpoint of a job, and is killed before it says so.
KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from qstore_appliance.appliance import Appliance
from qstore_appliance.settings import Settings

async def main():
    async with Appliance.open(Settings(data_dir=Path(sys.argv[1])), work=False) as appliance:
        print(await appliance.runs._keep_checkpoint(sys.argv[2], b"of an epoch that is never saved"), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def file_of(data_dir: Path, digest: str) -> Path:
    name = digest.removeprefix("sha256:")
    return data_dir / "blobs" / name[:2] / f"{name}.bin"


def checkpoint_of(data_dir: Path, job_id: str) -> str:
    with sqlite3.connect(f"file:{data_dir / 'qstore.sqlite3'}?mode=ro", uri=True) as connection:
        return str(connection.execute("SELECT checkpoint FROM training_jobs WHERE id = ?", (job_id,)).fetchone()[0])


def test_a_killed_servers_checkpoint_goes_and_the_jobs_stay(tmp_path: Path) -> None:
    """
    An old checkpoint that was stored and never referred to is gone soon after the next start, one of today stays; a job of
    the killed server that waits since yesterday goes on from its own.
    """
    folder = tmp_path / "data"
    with serving(folder) as server, server.client() as client:
        job = long_job(client, small_circuit(client))
        wait_for_epoch(client, job, 2)
        server.stop(signal.SIGKILL)
    mine = checkpoint_of(folder, job)
    killed = [
        subprocess.run(
            [sys.executable, "-c", KILLED, str(folder), name], capture_output=True, text=True, env=environment()
        )
        for name in ("job_yesterday", "job_today")
    ]
    assert [one.returncode for one in killed] == [-signal.SIGKILL] * 2
    orphan, young = (one.stdout.strip() for one in killed)
    for digest in (orphan, mine):
        os.utime(file_of(folder, digest), (time.time() - 25 * 3600,) * 2)

    with serving(folder) as server, server.client() as client:
        began = time.monotonic()
        while file_of(folder, orphan).exists():
            assert time.monotonic() - began < 60, "it was not swept"
            time.sleep(0.05)
        found = data(client.get(f"/v1/jobs/{job}"))
        lines = [line["message"] for line in data(client.get(f"/v1/jobs/{job}/logs?lines=10000"))["logs"]]
        data(client.post(f"/v1/jobs/{job}/cancel"))

    assert file_of(folder, young).exists()
    assert found["status"] in {"queued", "running"}
    assert not [line for line in lines if "is lost" in line]
