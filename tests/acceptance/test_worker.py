"""`qstore worker` beside a server, as two machines would have them: one Postgres, one Redis, two data directories."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.processes import (
    Served,
    Worker,
    data,
    descendants,
    free_port,
    listening,
    long_job,
    only_line,
    qstore,
    small_circuit,
    wait_for_epoch,
    wait_until_gone,
)
from tests.plugins import fake_ionq as wrong
from tests.plugins.fake_ionq import FakeIonQ

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="not on this operating system: needs /proc"),
    pytest.mark.xdist_group("worker"),
]

CSV = b"a,b,label\n" + b"".join(b"%d.5,%d.25,%s\n" % (n % 7, n % 5, b"yes" if n % 7 > 3 else b"no") for n in range(80))


@pytest.fixture
def shared(postgres_url: str, redis_url: str) -> dict[str, str]:
    """The environment of every machine of one installation."""
    return {"QSTORE_DATABASE__URL": postgres_url, "QSTORE_QUEUE__URL": redis_url}


@pytest.fixture
def served(shared: dict[str, str], tmp_path: Path) -> Iterator[Served]:
    """A server that takes no jobs itself."""
    server = Served(tmp_path / "server", **shared, QSTORE_JOBS__SLOTS="0")
    yield server
    server.stop()


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def until(fact: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := fact()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
    return found


def ended(client: httpx.Client, job_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        job: dict[str, Any] = data(client.get(f"/v1/jobs/{job_id}"))
        return job if job["status"] in {"completed", "failed", "cancelled"} else None

    return dict(until(look))


def works(client: httpx.Client, kind: str) -> set[str]:
    """Backends that work on the machines of this kind, as they say with their heartbeats."""
    rows = [row for row in data(client.get("/v1/workers")) if row["kind"] == kind]
    return {found["name"] for row in rows for found in row["backends"] if found["available"]}


def test_jobs_run_elsewhere(served: Served, client: httpx.Client, shared: dict[str, str], tmp_path: Path) -> None:
    """
    A job of a server without slots trains on another machine, uploaded data included; told to stop, that machine gives
    its job back at its checkpoint and leaves with 0, and the next one goes on from there.
    """
    circuit = small_circuit(client)
    upload = data(client.post("/v1/datasets", files={"file": ("yes.csv", CSV)}, data={"label": "label"}))
    config = {"epochs": 2, "seed": 1, "dataset": {"type": upload["id"]}}
    first = data(client.post("/v1/jobs", json={"circuit_id": circuit, "config": config}))["job_id"]
    assert data(client.get(f"/v1/jobs/{first}"))["status"] == "queued"
    worker = Worker(tmp_path / "worker", "--slots", 1, **shared)
    try:
        assert ended(client, first)["status"] == "completed"

        second = long_job(client, circuit)
        wait_for_epoch(client, second, 2)
        machines = {row["kind"]: row for row in data(client.get("/v1/workers"))}
        assert machines["worker"]["pid"] == worker.process.pid
        assert machines["worker"]["jobs"] == [second]
        assert machines["worker"]["state"] == machines["server"]["state"] == "alive"
        assert machines["server"]["jobs"] == []
        assert (machines["worker"]["slots"], machines["server"]["slots"]) == (1, 0)
        until(lambda: "native" in works(client, "worker"))
        shown = qstore("worker", "list", "--json", "--data-dir", served.data_dir)
        listed = {row["kind"]: row for row in json.loads(shown.stdout)["items"]}
        for kind, row in listed.items():
            same = ("id", "host", "pid", "slots", "cores", "memory_bytes", "gpus", "jobs", "version", "started_at")
            assert {key: row[key] for key in same} == {key: machines[kind][key] for key in same}
        assert (listed["worker"]["state"], "native" in listed["worker"]["backends"]) == ("alive", True)
        # Asked at the worker it is the same list, for a person.
        lines = qstore("worker", "list", "--data-dir", worker.data_dir).stdout.splitlines()
        assert lines[0].split()[:5] == ["HOST", "PROCESS", "KIND", "STATE", "HEARTBEAT"]
        assert {line.split()[2] for line in lines[1:]} == {"server", "worker"}
        assert any(f" {worker.process.pid} " in line and "1 of 1" in line for line in lines)
        children = descendants(worker.process.pid)
        began = time.monotonic()

        assert worker.stop() == 0
        assert time.monotonic() - began < 150
    finally:
        worker.stop()
    wait_until_gone(children)
    job = data(client.get(f"/v1/jobs/{second}"))
    assert job["status"] == "queued"
    done = job["progress"]["current_epoch"]
    assert done >= 2
    assert [row["kind"] for row in data(client.get("/v1/workers"))] == ["server"]
    assert not (tmp_path / "worker" / "secret.key").exists()

    again = Worker(tmp_path / "worker", **shared)
    try:
        assert wait_for_epoch(client, second, done + 1)["status"] == "running"
        assert data(client.post(f"/v1/jobs/{second}/cancel"))["status"] == "cancelled"
    finally:
        assert again.stop() == 0


def test_a_machine_that_dies(served: Served, client: httpx.Client, shared: dict[str, str], tmp_path: Path) -> None:
    """A machine that is killed is lost; another one takes its job over when the lease has run out, from its checkpoint."""
    first = Worker(tmp_path / "first", **shared, QSTORE_JOBS__LEASE_SECONDS="3")
    second = None
    try:
        job_id = long_job(client, small_circuit(client))
        wait_for_epoch(client, job_id, 2)
        second = Worker(tmp_path / "second", **shared, QSTORE_JOBS__LEASE_SECONDS="3")
        first.stop(signal.SIGKILL)
        done = data(client.get(f"/v1/jobs/{job_id}"))["progress"]["current_epoch"]

        assert wait_for_epoch(client, job_id, done + 1)["status"] == "running"
        running = {row["pid"]: row["jobs"] for row in data(client.get("/v1/workers"))}
        assert running[second.process.pid] == [job_id]
        lost = until(lambda: [row for row in data(client.get("/v1/workers")) if row["state"] == "lost"])
        assert [row["pid"] for row in lost] == [first.process.pid]
        messages = [line["message"] for line in data(client.get(f"/v1/jobs/{job_id}/logs?lines=10000"))["logs"]]
        epochs = [int(line.split("/")[0][6:]) for line in messages if line.startswith("Epoch ")]
        assert epochs == list(range(1, len(epochs) + 1))
        assert sum(line.startswith("Its worker is gone") for line in messages) == 1
    finally:
        first.stop()
        if second is not None:
            assert second.stop() == 0


@pytest.mark.parametrize("missing", ["QSTORE_DATABASE__URL", "QSTORE_QUEUE__URL"])
def test_nothing_to_share(missing: str, tmp_path: Path) -> None:
    """Without a Postgres, or without a Redis, there is no server to work for: exit code 78, and nothing is created."""
    shared = {"QSTORE_DATABASE__URL": "postgres://127.0.0.1:1/none", "QSTORE_QUEUE__URL": "redis://127.0.0.1:1/0"}
    left = {name: value for name, value in shared.items() if name != missing}

    refused = qstore("worker", "--data-dir", tmp_path / "data", **left)

    assert refused.returncode == 78
    key = "database.url" if "DATABASE" in missing else "queue.url"
    assert f" {key}: a worker shares" in only_line(refused.stderr)
    assert not (tmp_path / "data").exists()


def test_two_servers_on_one_database(postgres_url: str, redis_url: str, tmp_path: Path) -> None:
    """A second server on a Postgres is refused with 73 unless both have a Redis; when the first is killed it is free."""
    alone = {"QSTORE_DATABASE__URL": postgres_url}
    shared = {**alone, "QSTORE_QUEUE__URL": redis_url}
    first = Served(tmp_path / "first", **alone)
    try:
        for environment in (alone, shared):
            refused = qstore("serve", "--data-dir", tmp_path / "second", "--port", free_port(), **environment)
            assert refused.returncode == 73, refused.stderr
            line = refused.stderr.strip().splitlines()[-1]
            assert str(first.process.pid) in line
            assert "queue.url" in line
        assert httpx.get(f"{first.address}/ready", trust_env=False).status_code == 200
    finally:
        first.stop(signal.SIGKILL)
    one = Served(tmp_path / "second", **shared)
    try:
        other = Served(tmp_path / "third", **shared)
        other.stop()
    finally:
        one.stop()


def test_one_data_directory(served: Served, shared: dict[str, str]) -> None:
    """A worker on a server's data directory is refused with 73, and names the server."""
    refused = qstore("worker", "--data-dir", served.data_dir, **shared)

    assert refused.returncode == 73
    assert str(served.process.pid) in only_line(refused.stderr)


@pytest.mark.long
def test_a_backend_that_only_another_machine_has(
    served: Served, client: httpx.Client, shared: dict[str, str], tmp_path: Path
) -> None:
    """A machine without a backend leaves its jobs alone, says what they wait for, and one that has it takes them."""
    # A plugin that finds its device on one of the two machines only.
    plugin = tmp_path / "plugin"
    (plugin / "elsewhere-1.dist-info").mkdir(parents=True)
    (plugin / "elsewhere-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1\n")
    (plugin / "elsewhere-1.dist-info" / "entry_points.txt").write_text(
        "[qstore.backends]\nelsewhere = elsewhere:Elsewhere\n"
    )
    (plugin / "elsewhere.py").write_text(
        "import os\nfrom qstore_backends.native import Native\nfrom qstore_appliance.errors import BackendUnavailable\n"
        "class Elsewhere(Native):\n    name = 'elsewhere'\n"
        "    def probe(self):\n"
        "        if not os.environ.get('HAS_DEVICE'): raise BackendUnavailable('there is no device')\n"
    )
    served.stop()
    plugged = {**shared, "PYTHONPATH": str(plugin)}
    again = Served(served.data_dir, port=served.port, **plugged, QSTORE_JOBS__SLOTS="0")
    poor = rich = None
    try:
        poor = Worker(tmp_path / "poor", **plugged)
        circuit = small_circuit(client)
        features = {"method": "pca", "count": 2}
        config = {"epochs": 2, "backend": "elsewhere", "seed": 1, "dataset": {"type": "iris", "features": features}}
        body = {"circuit_id": circuit, "config": config}
        rich = Worker(tmp_path / "rich", **plugged, HAS_DEVICE="1")
        # The server hears of it with the next heartbeats.
        job_id = until(lambda: client.post("/v1/jobs", json=body, timeout=90).json().get("data"))["job_id"]
        assert ended(client, job_id)["status"] == "completed"

        assert rich.stop() == 0
        waiting = until(lambda: client.post("/v1/jobs", json=body, timeout=90).json().get("data"))["job_id"]
        reason = until(lambda: data(client.get(f"/v1/jobs/{waiting}"))["reason"])
        assert reason == "Waits for a machine where elsewhere works; none that runs has it."
        rich = Worker(tmp_path / "rich", **plugged, HAS_DEVICE="1")
        assert ended(client, waiting)["status"] == "completed"
        assert "training.child_started" not in poor.log.read_text()
    finally:
        for worker in (poor, rich):
            if worker is not None:
                worker.stop()
        again.stop()


def test_a_provider_that_fails_elsewhere_is_degraded_here(shared: dict[str, str], tmp_path: Path) -> None:
    """A job on another machine finds its provider failing: who listens to the server hears it, and its list says so too."""
    fake = FakeIonQ()
    fake.simulates = True
    for name in ("server", "worker"):
        (tmp_path / name).mkdir(mode=0o700)
        file = tmp_path / name / "qstore.toml"
        file.write_text(
            f'[backends.ionq_simulator]\napi_key = "a-key"\nbase_url = "{fake.url}"\n'
            "poll_interval = 0.05\nretry_pause = 0.02\ncall_timeout = 1\nconnect_timeout = 1\n"
        )
        file.chmod(0o600)
    server = Served(tmp_path / "server", **shared, QSTORE_JOBS__SLOTS="0")
    worker = Worker(tmp_path / "worker", "--slots", 1, **shared)
    try:
        with server.client() as client:
            # Both have asked the provider while it still answers.
            until(lambda: all("ionq_simulator" in works(client, kind) for kind in ("server", "worker")))
            circuit = small_circuit(client)
            fake.plan("POST /jobs", *[wrong.status(500)] * 50)
            fake.plan("GET /jobs", *[wrong.status(500)] * 50)
            config = {
                "backend": "ionq_simulator",
                "epochs": 2,
                "seed": 1,
                "dataset": {"type": "iris", "train_size": 8, "val_size": 4, "features": {"method": "pca", "count": 2}},
            }
            with listening(client, channel="backend.status", backend_id="backend_ionq_simulator_001") as hear:
                answer = client.post("/v1/jobs", json={"circuit_id": circuit, "config": config}, timeout=90)
                job = ended(client, data(answer)["job_id"])
                while hear()["status"] != "degraded":
                    pass

            def listed() -> bool:
                rows = {row["name"]: row for row in data(client.get("/v1/backends?limit=100"))}
                return bool(rows["ionq_simulator"]["status"] == "degraded")

            until(listed, 15)
    finally:
        worker.stop()
        server.stop()
        fake.close()

    assert (job["status"], job["error_code"]) == ("failed", "BACKEND_UNAVAILABLE")
