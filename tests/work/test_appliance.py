"""The composition root: opens fast and light, has its directory alone, closes without a trace."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from qstore_appliance.appliance import Appliance
from qstore_appliance.domain.jobs import Status
from qstore_appliance.errors import ConfigurationInvalid, DataDirectoryInUse
from qstore_appliance.settings import Database, Queue, Settings
from tests.servers import Redis
from tests.work.bench import Bench, children_of
from tests.work.processes import ROOT

HEAVY = ("numba", "llvmlite", "cirq", "cirq_ionq", "pennylane", "qsimcirq", "sklearn", "scipy", "pandas")


async def test_second_server_is_refused_by_name(settings: Settings) -> None:
    """A data directory in use names the process, host and address that have it; afterwards it is free."""
    async with Appliance.open(settings, work=False):
        with pytest.raises(DataDirectoryInUse) as refused:
            async with Appliance.open(settings, work=False):
                pass
        held = json.loads(settings.lock_file.read_text(encoding="utf-8"))

    assert held["pid"] == os.getpid() == refused.value.details["pid"]
    assert held["address"] == "http://127.0.0.1:8000"
    assert str(os.getpid()) in refused.value.message
    async with Appliance.open(settings, work=False):
        pass


async def test_everything_private_is_private(settings: Settings) -> None:
    """The data directory and what lies in it are for its owner only; the secret survives a restart."""
    async with Appliance.open(settings):
        first = settings.secret_file.read_bytes()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in settings.data_dir.iterdir() if path.is_file()}
    async with Appliance.open(settings, work=False):
        second = settings.secret_file.read_bytes()

    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700
    assert {name: mode for name, mode in modes.items() if mode & 0o077} == {}
    assert first == second
    assert len(first) == 32


async def test_half_written_files_go(settings: Settings) -> None:
    """What a killed server was just writing is gone when the next one takes jobs; what was whole is there."""
    async with Appliance.open(settings, work=False) as appliance:
        digest = await appliance.blobs.put(b"whole")
    (folder,) = settings.blob_dir.iterdir()
    left = [folder / ".unfinished-abc", settings.data_dir / "incoming" / "upload-abc"]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")

    async with Appliance.open(settings) as appliance:
        assert not any(path.exists() for path in left)
        assert await appliance.blobs.get(digest) == b"whole"


async def test_secret_that_others_can_read(settings: Settings) -> None:
    """A secret that others can read is refused with the command that mends it."""
    async with Appliance.open(settings, work=False):
        pass
    settings.secret_file.chmod(0o644)

    with pytest.raises(ConfigurationInvalid, match="chmod 600"):
        async with Appliance.open(settings, work=False):
            pass


async def test_directory_that_is_a_file(tmp_path: Path) -> None:
    """A data directory that cannot be one is refused by its path."""
    place = tmp_path / "data"
    place.write_text("not a directory")

    with pytest.raises(ConfigurationInvalid, match=str(place)):
        async with Appliance.open(Settings(data_dir=place), work=False):
            pass


async def test_parts_answer_a_ping(settings: Settings) -> None:
    """An open appliance answers for each of its parts; a part that stops is named."""
    async with Appliance.open(settings) as appliance:
        healthy = await appliance.ping()
        await appliance.queue.close()
        broken = await appliance.ping()

    assert healthy == {"database": None, "queue": None, "events": None, "slots": None}
    assert broken["queue"] is not None
    assert broken["database"] is None


async def test_closing_leaves_nothing_running(settings: Settings) -> None:
    """After closing there is no child and none of our threads, however busy it was."""
    async with Appliance.open(settings) as appliance:
        bench = await Bench.at(appliance)
        await bench.ended(await bench.submit())
        await appliance.calculator.call("qstore_appliance.engine.discovery:names")

    left = {thread.name for thread in threading.enumerate()}
    assert [child for target in ("train", "calculate", "predict") for child in children_of(target)] == []
    assert not [name for name in left if name.startswith(("Worker", "Scheduler", "calculator", "replica", "queue"))]


def test_serving_process_stays_light(tmp_path: Path) -> None:
    """A whole job passes through a serving process that has imported none of the heavy libraries, nor numpy."""
    program = """
import asyncio, json, sys, time
from pathlib import Path
began = time.monotonic()
from qstore_appliance import telemetry
from qstore_appliance.appliance import Appliance
from qstore_appliance.settings import Settings
from tests.work.bench import Bench
telemetry.configure("warning")
imported = time.monotonic()
async def main():
    async with Appliance.open(Settings(data_dir=Path(sys.argv[1]))) as appliance:
        opened = time.monotonic()
        bench = await Bench.at(appliance)
        job = await bench.ended(await bench.submit())
        print(json.dumps({"status": job.status, "modules": sorted(sys.modules), "open": opened - imported}))
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "data")],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    print(f"the appliance opened in {said['open']:.2f} s")
    assert said["status"] == "completed"
    assert [name for name in said["modules"] if name.split(".")[0] in (*HEAVY, "numpy")] == []
    assert said["open"] < 1.0


def test_process_ends_soon_after_closing(tmp_path: Path) -> None:
    """A process whose appliance is closed ends at once, with status 0, and takes the forkserver along."""
    program = """
import asyncio, sys
from pathlib import Path
from qstore_appliance.appliance import Appliance
from qstore_appliance.settings import Settings
async def main():
    async with Appliance.open(Settings(data_dir=Path(sys.argv[1]))) as appliance:
        await appliance.calculator.call("qstore_appliance.engine.discovery:names")
        print("ready", flush=True)
asyncio.run(main())
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "data")],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.read(5)
    began = time.monotonic()

    # Ends only when every process that has inherited the pipes has closed them.
    _, errors = process.communicate(timeout=10)

    assert time.monotonic() - began < 30
    assert (process.returncode, errors.decode()) == (0, "")


async def test_several_machines_worth_of_parts(tmp_path: Path, postgres_url: str, redis_server: Redis) -> None:
    """On Postgres and Redis the same job runs, its blobs in the database and its messages in Redis."""
    redis_server.start()
    redis_server.flush()
    settings = Settings(
        data_dir=tmp_path / "data", database=Database(url=postgres_url), queue=Queue(url=redis_server.url())
    )

    async with Appliance.open(settings) as appliance:
        bench = await Bench.at(appliance)
        job = await bench.ended(await bench.submit())
        endless = await bench.submit(epochs=100_000)
        await bench.trained(endless)
        cancelled = await appliance.jobs.cancel(bench.caller, endless)
        pings = await appliance.ping()

    assert job.status == Status.COMPLETED, job.reason
    assert cancelled.status == Status.CANCELLED
    assert set(pings.values()) == {None}
    assert not settings.queue_file.exists()


def test_server_stops_while_the_engine_is_loading(tmp_path: Path) -> None:
    """A server that is stopped while its forkserver still loads does not wait for it."""
    program = """
import asyncio, json, sys, time
from pathlib import Path
from qstore_appliance import telemetry
from qstore_appliance.appliance import Appliance
from qstore_appliance.settings import Settings
from qstore_appliance.work import children
from tests.work.bench import Bench
telemetry.configure("error")
children.PRELOAD = "tests.work.endless"
async def main():
    settings = Settings(data_dir=Path(sys.argv[1]))
    async with Appliance.open(settings) as appliance:
        asyncio.create_task(appliance.calculator.call("qstore_appliance.engine.discovery:names"))
        await asyncio.sleep(1.0)
        began = time.monotonic()
    print(json.dumps(time.monotonic() - began))
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "data")],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) < 2.0
