"""Every command in the README runs, in the order in which it stands there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.processes import environment, free_port
from tests.documents.tables import ROOT

PROMPT = "Ctrl-C stops it"


def blocks() -> list[str]:
    return re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like a checkout: its launcher starts the program under test."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    launcher = scripts / "qstore"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m qstore_appliance "$@"\n')
    launcher.chmod(0o755)
    return tmp_path


class Running:
    """A command that goes on, as in a terminal of its own."""

    def __init__(self, command: str, cwd: Path, port: int) -> None:
        self.log = cwd / f"{command.split()[1]}.out"
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                command.split(),
                cwd=cwd,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(QSTORE_SERVER__PORT=str(port)),
            )

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 120
        while text not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(20)


@pytest.fixture
def demo(checkout: Path) -> Iterator[Running]:
    running = Running(blocks()[0].strip(), checkout, free_port())
    yield running
    running.stop()


def test_the_first_command_is_the_demo(demo: Running) -> None:
    """The first command of the README trains a model, shows what it learned and goes on serving."""
    demo.wait_for(PROMPT)

    assert "Test accuracy" in demo.log.read_text()


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here (Debian: apt install curl)")
def test_the_commands_over_curl(checkout: Path) -> None:
    """The second command serves, and everything after it works against that server, in one shell."""
    _, serve, *rest = blocks()
    port = free_port()
    server = Running(serve.strip(), checkout, port)
    try:
        server.wait_for("ready at")
        session = "set -eu\n" + "\necho @@\n".join(rest).replace("127.0.0.1:8000", f"127.0.0.1:{port}")
        ended = subprocess.run(
            ["bash", "-o", "pipefail", "-c", session],
            cwd=checkout,
            capture_output=True,
            text=True,
            timeout=120,
            env=environment(),
        )

        assert ended.returncode == 0, ended.stderr + ended.stdout + server.log.read_text()
        made, me, circuits, trained, answered, keys = ended.stdout.split("@@\n")
        assert "ada@example.org owns Lab" in made
        assert json.loads(me)["data"]["email"] == "ada@example.org"
        assert json.loads(circuits)["meta"]["total"] == 1
        assert "Epoch 20/20" in trained
        job = json.loads(trained.strip().splitlines()[-1])["data"]
        assert job["status"] == "completed"
        assert job["metrics"]["test_accuracy"] > 0.6
        deployed, predicted = (json.loads(line) for line in _documents(answered))
        assert deployed["data"]["replicas"] == 1
        assert [p["label"] for p in predicted["data"]["predictions"]] == ["setosa", "virginica"]
        assert job["id"] in keys
    finally:
        assert server.stop() == 0


def _documents(text: str) -> list[str]:
    """curl ends no line: answers stand one after the other."""
    return text.replace("}{", "}\n{").strip().splitlines()
