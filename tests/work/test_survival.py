"""Killed servers: nothing of them goes on computing, and the next one goes on where they were."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from qstore_appliance.appliance import Appliance
from qstore_appliance.domain.jobs import Status
from qstore_appliance.domain.models import PredictDraft
from qstore_appliance.settings import Settings
from qstore_appliance.work import children
from tests.work.bench import Bench
from tests.work.processes import ROOT, descendants, exists, seconds_until_gone, victim

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")


def watched(appliance: Appliance) -> list[bool]:
    """For each probe of a backend from now on, whether a training ran when it began."""
    found: list[bool] = []
    call = appliance.probes.call

    async def noting(*args: Any, **options: Any) -> Any:
        found.append(any(child.target == "train" for child in children.living()))
        return await call(*args, **options)

    appliance.probes.call = noting  # type: ignore[method-assign]
    return found


async def test_killed_server_takes_everything_along_and_its_successor_goes_on(tmp_path: Path) -> None:
    """
    After SIGKILL every process of a server is gone within a second, one that is stopped too; a new server trains the
    same job on within five seconds of its opening, repeating nothing, and its deployed model answers. Backends are probed
    once the job is under way.
    """
    with victim(tmp_path / "data") as (server, said):
        below = descendants(server.pid)
        assert set(said["children"]) <= below
        assert len(said["children"]) >= 3
        # A stopped process cannot watch a pipe: only the kernel can end it.
        os.kill(said["children"][0], signal.SIGSTOP)
        server.kill()
        seconds = seconds_until_gone(below)
    print(f"children gone {seconds * 1e3:.0f} ms after the kill")
    assert seconds < 10

    async with Appliance.open(Settings(data_dir=tmp_path / "data")) as appliance:
        opened = time.monotonic()
        probed = watched(appliance)
        bench = await Bench.at(appliance)
        before = await bench.job(said["job_id"])
        after = await bench.trained(said["job_id"], before.progress.current_epoch + 1)
        print(f"job goes on {time.monotonic() - opened:.2f} s after the opening, forkserver cold or warm")
        answer = await appliance.models.predict(
            bench.caller, said["model_id"], PredictDraft(inputs=[[5.1, 3.5, 1.4, 0.2]])
        )
        await appliance.jobs.cancel(bench.caller, said["job_id"])

    assert after.status == Status.RUNNING
    assert probed[:1] in ([], [True])
    assert len(after.metrics["loss_history"]) == after.progress.current_epoch
    assert answer.predictions[0].label in {"setosa", "versicolor", "virginica"}


@pytest.mark.parametrize("seconds", [0.02, 0.5])
def test_nothing_goes_on_loading_for_a_dead_server(seconds: float) -> None:
    """A server killed while its forkserver is starting or loads the engine leaves neither behind."""
    program = "from qstore_appliance.work import children; children.preload().result(); print(1, flush=True); input()"
    server = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert server.stdout is not None
    server.stdout.readline()
    time.sleep(seconds)
    below = descendants(server.pid)

    server.kill()

    assert len(below) == 2
    assert seconds_until_gone(below) < 10
    server.communicate()


async def test_ctrl_c_in_the_terminal_spares_the_children(tmp_path: Path) -> None:
    """SIGINT to every process of a server, as a terminal sends it, ends no child and not the forkserver."""
    with victim(tmp_path / "data") as (server, said):
        below = descendants(server.pid)

        for pid in below:
            os.kill(pid, signal.SIGINT)
        time.sleep(0.5)

        assert all(exists(pid) for pid in below)
        assert set(said["children"]) <= below


async def test_orphans_of_a_killed_forkserver_die_too(tmp_path: Path) -> None:
    """Where the forkserver itself is killed its children end, and the server starts another and goes on."""
    async with Appliance.open(Settings(data_dir=tmp_path / "data")) as appliance:
        bench = await Bench.at(appliance)
        await appliance.calculator.call("qstore_appliance.engine.discovery:names")
        # Not one of those that probe backends meanwhile.
        child = appliance.calculator._idle[0].pid
        parent = int(Path(f"/proc/{child}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])

        os.kill(parent, signal.SIGKILL)
        seconds = seconds_until_gone({child})
        names = await appliance.calculator.call("qstore_appliance.engine.discovery:names")

        assert seconds < 10
        assert "native" in names
        assert (await bench.ended(await bench.submit())).status == Status.COMPLETED
