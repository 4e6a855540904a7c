"""`qstore demo`: the main job end to end, as someone sees it who has read nothing."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.acceptance.processes import QSTORE, descendants, environment, free_port, qstore, wait_until_gone

linux = pytest.mark.skipif(sys.platform != "linux", reason="not on this operating system: needs /proc")


def number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found is not None, text
    return float(found[1])


def test_everything_in_one_go(tmp_path: Path) -> None:
    """`demo --exit` in an empty directory trains, deploys, predicts and reports, leaves 0 and no process behind."""
    port = free_port()
    ended = qstore("demo", "--exit", "--port", port, cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr + ended.stdout
    said = ended.stdout
    assert f"data directory {tmp_path / 'qstore-demo'}" in said
    assert re.search(r"with demo@qstore\.local and the password \S{12,}", said)
    assert re.search(r"epoch (\d+)/\1  loss", said)
    assert said.count("▀") + said.count("▄") + said.count("█") > 50
    assert len(re.findall(r"\d \(\d+%, (?:right|wrong)", said)) >= 8
    assert number(r"Test accuracy +(\d\.\d+)", said) > 0.8
    assert 0.8 < number(r"Logistic regression +(\d\.\d+)", said) < 0.95
    assert number(r"Time +([\d.]+) s of training", said) < 60
    assert f"http://127.0.0.1:{port}/app/jobs/job_" in said
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False)


@linux
def test_it_goes_on_until_told(tmp_path: Path) -> None:
    """Without --exit it serves on; a second demo on its directory signs in by itself; Ctrl-C ends all of it."""
    data_dir = tmp_path / "demo"
    first = qstore("demo", "--exit", "--epochs", 1, "--data-dir", data_dir, "--port", free_port())

    assert first.returncode == 0, first.stderr

    port = free_port()
    log = tmp_path / "demo.out"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*QSTORE, "demo", "--epochs", "1", "--data-dir", str(data_dir), "--port", str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(),
        )
    deadline = time.monotonic() + 60
    while "Ctrl-C stops it" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    assert "the password" not in log.read_text().replace("Forgot the password?", "")
    assert httpx.get(f"http://127.0.0.1:{port}/ready", trust_env=False).status_code == 200
    keys = qstore("key", "list", "--data-dir", data_dir, "--json")
    below = descendants(process.pid)

    process.send_signal(signal.SIGINT)

    assert process.wait(20) == 0
    wait_until_gone(below)
    assert '"name": "demo"' in keys.stdout
    assert '"total": 0' in qstore("key", "list", "--data-dir", data_dir, "--json").stdout


@linux
def test_killed(tmp_path: Path) -> None:
    """A demo that is killed leaves no server."""
    port = free_port()
    process = subprocess.Popen(
        [*QSTORE, "demo", "--data-dir", str(tmp_path / "demo"), "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/ready", trust_env=False).raise_for_status()
            break
        except httpx.HTTPError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    below = descendants(process.pid)

    assert below

    process.kill()
    process.wait()
    wait_until_gone(below, 15)


def test_the_same_on_postgres_and_redis(tmp_path: Path, postgres_url: str, redis_url: str) -> None:
    """By two settings the whole demo runs on Postgres and Redis, and no SQLite file appears in the data directory."""
    data_dir = tmp_path / "demo"
    urls = {"QSTORE_DATABASE__URL": postgres_url, "QSTORE_QUEUE__URL": redis_url}
    ended = qstore("demo", "--exit", "--data-dir", data_dir, "--port", free_port(), **urls)

    assert ended.returncode == 0, ended.stderr + ended.stdout
    assert number(r"Test accuracy +(\d\.\d+)", ended.stdout) > 0.8
    assert not list(data_dir.glob("*.sqlite3*"))
