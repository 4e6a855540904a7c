"""The real program as a subprocess: `qstore serve` and its like, started, watched and stopped."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect

QSTORE = (sys.executable, "-P", "-m", "qstore_appliance")
PASSWORD = "a lab of ones own 7"
READY_SECONDS = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**more: str) -> dict[str, str]:
    """
    Ours, without anything that configures an appliance, and with the compiled modules that an installed one has: without
    them a server compiles three hundred files at each start.
    """
    strange = ("QSTORE_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


def qstore(*words: object, stdin: str = "", cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a verb to its end."""
    return subprocess.run(
        [*QSTORE, *map(str, words)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
        env=environment(**more),
    )


def only_line(text: str) -> str:
    """The one line that there is."""
    (line,) = text.strip().splitlines()
    return line


class Program:
    """A verb that runs until it is stopped, once it has said that it is ready."""

    READY = r"ready at (\S+)"

    def __init__(self, words: Sequence[object], log: Path, **more: str) -> None:
        self.log = log
        self.output = self.log.with_suffix(".out")
        began = time.monotonic()
        with self.log.open("w") as errors, self.output.open("w") as output:
            self.process = subprocess.Popen(
                [*QSTORE, *map(str, words)],
                stdout=output,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                env=environment(**more),
            )
        try:
            self.wait_for(self.READY)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.seconds_to_ready = time.monotonic() - began

    def wait_for(self, pattern: str, seconds: float = READY_SECONDS) -> re.Match[str]:
        """What the server says on standard output, once it says it."""
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.output.read_text())
            if found is not None:
                return found
            code = self.process.poll()
            if code is not None or time.monotonic() > deadline:
                raise AssertionError(f"no {pattern!r} (exit code {code}): {self.log.read_text()[-3000:]}")
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 90.0) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


class Served(Program):
    """A running `qstore serve`."""

    def __init__(self, data_dir: Path, *flags: object, port: int | None = None, **more: str) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        words = ["serve", "--data-dir", data_dir, "--port", self.port, *flags]
        super().__init__(words, data_dir.parent / f"{data_dir.name}-{self.port}.log", **more)

    def client(self) -> httpx.Client:
        """A client, signed in as the owner, whom this makes where there is none."""
        made = qstore(
            "init", "--data-dir", self.data_dir, "--email", "ada@example.org", "--organization", "Lab",
            "--password-file", "-", stdin=PASSWORD,
        )  # fmt: skip
        assert made.returncode in {0, 3}, made.stderr
        grant = {"grant_type": "password", "email": "ada@example.org", "password": PASSWORD}
        token = data(httpx.post(f"{self.address}/v1/auth/token", json=grant, trust_env=False))["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.address, headers=headers, timeout=30, trust_env=False)


@contextlib.contextmanager
def listening(client: httpx.Client, **subscription: str) -> Iterator[Callable[[], dict[str, Any]]]:
    """A WebSocket that is subscribed; each call waits for the next event and returns its data."""
    address = str(client.base_url).replace("http", "ws", 1).rstrip("/") + "/v1/ws"
    waiting: list[dict[str, Any]] = []
    with connect(address, proxy=None) as socket:

        def hear() -> dict[str, Any]:
            while not waiting:
                frame = json.loads(socket.recv(timeout=120))
                assert frame["type"] in ("event", "events"), frame
                waiting.extend(frame["events"] if frame["type"] == "events" else [frame])
            return dict(waiting.pop(0)["data"])

        for frame in (
            {"type": "auth", "token": client.headers["Authorization"]},
            {"type": "subscribe", **subscription},
        ):
            socket.send(json.dumps(frame))
            answer = json.loads(socket.recv(timeout=30))
            assert answer["type"] in ("authenticated", "subscribed"), answer
        yield hear


class Worker(Program):
    """A running `qstore worker`."""

    READY = r"worker is ready on (\S+)"

    def __init__(self, data_dir: Path, *flags: object, **more: str) -> None:
        self.data_dir = data_dir
        super().__init__(["worker", "--data-dir", data_dir, *flags], data_dir.parent / f"{data_dir.name}.log", **more)


@contextlib.contextmanager
def serving(data_dir: Path, *flags: object, **more: str) -> Iterator[Served]:
    served = Served(data_dir, *flags, **more)
    try:
        yield served
    finally:
        served.stop()


def data(response: httpx.Response) -> Any:
    body = response.json()
    assert body["success"], body
    return body["data"]


def small_circuit(client: httpx.Client) -> str:
    """The id of a new circuit on two qubits."""
    gates: list[Mapping[str, Any]] = [
        {"type": "RY", "targets": [0], "parameters": {"theta": "theta_0"}},
        {"type": "CNOT", "targets": [0, 1]},
        {"type": "RY", "targets": [1], "parameters": {"theta": "theta_1"}},
    ]
    return str(data(client.post("/v1/circuits", json={"name": "small", "n_qubits": 2, "gates": gates}))["id"])


def long_job(client: httpx.Client, circuit_id: str, epochs: int = 100_000) -> str:
    """The id of a submitted job that goes on until it is told to stop."""
    config = {
        "epochs": epochs,
        "seed": 1,
        "dataset": {"type": "digits", "features": {"method": "pca", "count": 2}},
    }
    return str(data(client.post("/v1/jobs", json={"circuit_id": circuit_id, "config": config}))["job_id"])


def wait_for_epoch(client: httpx.Client, job_id: str, epoch: int = 1, seconds: float = 60.0) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while True:
        job: dict[str, Any] = data(client.get(f"/v1/jobs/{job_id}"))
        if job["progress"]["current_epoch"] >= epoch:
            return job
        assert job["status"] in {"queued", "running"}, job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


def descendants(pid: int) -> set[int]:
    """Every process below this one, as /proc tells (Linux)."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                parents[int(entry.name)] = int(fields[1])
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        above = waiting.pop()
        below = {child for child, parent in parents.items() if parent == above} - found
        found |= below
        waiting += below
    return found


def alive(pids: set[int]) -> set[int]:
    """Those that still run; a zombie does not."""
    running = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                running.add(pid)
    return running


def wait_until_gone(pids: set[int], seconds: float = 30.0) -> None:
    """A child notices a moment later that its server is gone."""
    deadline = time.monotonic() + seconds
    while alive(pids):
        assert time.monotonic() < deadline, alive(pids)
        time.sleep(0.05)
