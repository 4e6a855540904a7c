"""Children of the forkserver: what they inherit, what they must not, and how much they may take."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qstore_appliance.errors import WorkerCrash
from qstore_appliance.work import children, wire
from tests.work.processes import ROOT, seconds_until_gone

NAMES = ("qstore_appliance.engine.discovery:names", (), {})


def asked(child: children.Child, question: object) -> wire.Message:
    child.send(wire.dump_value(question))
    return wire.unpack(child.receive())


def test_memory_has_a_limit() -> None:
    """A child that needs more memory than it may have says so, and this process does not notice."""
    child = children.start("calculate", memory_bytes=500_000)

    message = asked(child, ("qstore_appliance.engine.datasets:load_builtin", ("digits",), {}))

    assert wire.body(message, wire.Fault).code == "WORKER_OOM"
    child.close()


def test_children_are_nicer_than_their_server() -> None:
    """A child computes at the priority that it was given, and is the first to go when memory runs out."""
    child = children.start("calculate", nice=5)
    asked(child, NAMES)

    assert os.getpriority(os.PRIO_PROCESS, child.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 5
    assert int(Path(f"/proc/{child.pid}/oom_score_adj").read_text()) == 700
    child.close()


def test_nothing_of_ours_is_open_in_a_child() -> None:
    """A child inherits no file or socket of the server but its pipe."""
    with (ROOT / "setup.cfg").open(encoding="utf-8") as secret:
        child = children.start("calculate")
        asked(child, NAMES)
        links = [os.readlink(entry) for entry in Path(f"/proc/{child.pid}/fd").iterdir()]
        child.close()

    assert secret.name not in links
    assert sum(link.startswith("socket:") for link in links) == 1


def test_end_is_told_in_words() -> None:
    """A child that was killed, and one that is closed, are gone, and the pipe says how."""
    child = children.start("calculate")
    asked(child, NAMES)
    os.kill(child.pid, signal.SIGSEGV)

    with pytest.raises(WorkerCrash, match="killed by SIGSEGV"):
        child.receive()
    assert (child.alive, child.exit_code) == (False, -signal.SIGSEGV)
    child.close()
    child.close()

    other = children.start("calculate")
    other.close()
    assert seconds_until_gone({other.pid}) < 10
    assert child not in children.living()


def test_main_runs_once_and_the_working_directory_decides_nothing(tmp_path: Path) -> None:
    """
    A program without a guard is not run again in its children, and files of the working directory that are called like
    our libraries are not imported; a working directory that is gone is no obstacle.
    """
    programs, place = tmp_path / "programs", tmp_path / "place"
    programs.mkdir()
    place.mkdir()
    for name in ("numba", "numpy", "sklearn", "msgspec"):
        (place / f"{name}.py").write_text('raise SystemExit("the wrong module was imported")\n')
    (programs / "main.py").write_text(
        "import os, shutil, sys\n"
        "print('main runs', flush=True)\n"
        "from qstore_appliance.work import children, wire\n"
        "def ask():\n"
        "    child = children.start('calculate')\n"
        "    child.send(wire.dump_value(('qstore_appliance.engine.discovery:describe', ('native', {}), {})))\n"
        "    print(wire.unpack(child.receive()).kind, flush=True)\n"
        "    child.close()\n"
        "ask()\n"
        "shutil.rmtree(os.getcwd())\n"
        "ask()\n"
    )

    done = subprocess.run(
        [sys.executable, str(programs / "main.py")],
        cwd=place, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.stdout.split("\n") == ["main runs", "value", "value", ""], done.stderr
    assert done.stderr == ""


def test_the_rest_is_loaded_when_it_is_asked_for() -> None:
    """
    A child begins without scikit-learn; one that is forked after the word has it, and so has every child of a forkserver
    that had to be started anew.
    """
    program = """
import os, signal
from multiprocessing import forkserver
from pathlib import Path
from qstore_appliance.work import children

def has_rest():
    child = children.start("calculate")
    found = "sklearn" in Path(f"/proc/{child.pid}/maps").read_text()
    child.close()
    return found

print(has_rest())
children.preload_rest().result()
print(has_rest())
os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
print(has_rest())
children.preload_rest().result()
print(has_rest())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip

    assert done.stdout.split() == ["False", "True", "True", "True"], done.stderr
    assert done.stderr == ""


def test_the_rest_is_asked_for_before_there_is_a_forkserver() -> None:
    """The word starts one; it may come while that one is still starting, and ends nothing."""
    program = """
from pathlib import Path
from qstore_appliance.work import children
children.preload_rest()
child = children.start("calculate")
print("sklearn" in Path(f"/proc/{child.pid}/maps").read_text())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip

    assert (done.stdout.split(), done.stderr) == (["True"], "")
