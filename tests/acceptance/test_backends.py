"""Backends from the command line beside a real server: maintenance, limits, prices."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.processes import Served, data, only_line, qstore, serving, small_circuit
from tests.acceptance.test_verbs import init, result, verb

SECONDS = 90.0
CONFIG = """
[jobs]
slots = 2

[backends.native]
max_concurrent_jobs = 1
per_circuit = 0.001
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    """With two slots, a price, and room for one job at a time on `native`."""
    (tmp_path / "qstore.toml").write_text(CONFIG)
    with serving(tmp_path / "data", "--config", tmp_path / "qstore.toml") as server:
        yield server


def submit(client: httpx.Client, circuit_id: str, epochs: int = 3) -> dict[str, Any]:
    config = {
        "backend": "native",
        "epochs": epochs,
        "seed": 1,
        "dataset": {"type": "digits", "features": {"method": "pca", "count": 2}},
    }
    # A fresh server on a busy machine may take long to see that the backend works; the answer waits for that.
    draft = {"circuit_id": circuit_id, "config": config}
    return dict(data(client.post("/v1/jobs", json=draft, timeout=SECONDS)))


def wait_until(client: httpx.Client, job_id: str, done: Any) -> dict[str, Any]:
    deadline = time.monotonic() + SECONDS
    while True:
        job: dict[str, Any] = data(client.get(f"/v1/jobs/{job_id}"))
        if done(job):
            return job
        assert job["status"] in {"queued", "running"}, job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


def test_a_job_waits_for_maintenance(server: Served) -> None:
    """A window set while the server runs makes a job wait and say until when; clearing the window lets it run."""
    end = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
    spoken = f"{end:%Y-%m-%dT%H:%M:%SZ}"
    with server.client() as client:
        circuit_id = small_circuit(client)
        set_now = verb(
            "backend", "maintenance", "native", "--end", spoken, "--note", "New kernels.", "--data-dir", server.data_dir
        )
        submitted = submit(client, circuit_id)
        job_id = submitted["job_id"]
        waiting = wait_until(client, job_id, lambda job: job["reason"])
        status = data(client.get("/v1/backends/backend_native_001/status"))
        (shown,) = result("backend", "maintenance", "--data-dir", server.data_dir)
        cleared = verb("backend", "maintenance", "native", "--clear", "--data-dir", server.data_dir)
        ended = wait_until(client, job_id, lambda job: job["status"] == "completed")
        status_after = data(client.get("/v1/backends/backend_native_001/status"))

    assert set_now.returncode == 0, set_now.stderr
    assert spoken in set_now.stdout
    assert "waits for the maintenance" in submitted["backend_reason"]
    assert (waiting["status"], waiting["reason"]) == (
        "queued",
        f"Waits for the maintenance of native to end at {spoken}.",
    )
    assert (status["status"], status["maintenance_window"]["end"]) == ("maintenance", spoken)
    assert [(w["backend"], w["note"]) for w in shown["windows"]] == [("native", "New kernels.")]
    assert "native: 1 maintenance window cleared." in cleared.stdout
    assert ended["reason"] is None
    assert ended["receipt"]["backend_reason"] == submitted["backend_reason"]
    assert status_after["status"] == "available"
    assert status_after["maintenance_window"] is None
    assert status_after["performance"]["throughput_circuits_per_sec"] > 0
    assert status_after["queue"]["avg_wait_time_sec"] > 0


def test_never_two_at_once(server: Served) -> None:
    """With two slots and room for one job on the backend, the second begins when the first has ended."""
    with server.client() as client:
        circuit_id = small_circuit(client)
        ids = [submit(client, circuit_id, epochs=15)["job_id"] for _ in range(3)]
        reasons = set()
        deadline = time.monotonic() + SECONDS
        while True:
            jobs = [data(client.get(f"/v1/jobs/{id}")) for id in ids]
            reasons |= {job["reason"] for job in jobs if job["status"] == "queued"}
            if all(job["status"] == "completed" for job in jobs):
                break
            assert {job["status"] for job in jobs} <= {"queued", "running", "completed"}, jobs
            assert time.monotonic() < deadline, jobs
            time.sleep(0.05)

    spans = sorted((job["started_at"], job["completed_at"]) for job in jobs)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert "Waits for another job on native: 1 of 1 run." in reasons


def test_the_hour_is_used_up(tmp_path: Path) -> None:
    """A running job that has used up its backend's circuits of the hour goes back into the line, and says until when."""
    (tmp_path / "qstore.toml").write_text("[backends.native]\nrate_limit_per_hour = 5000\n")
    with (
        serving(tmp_path / "data", "--config", tmp_path / "qstore.toml") as server,
        server.client() as client,
    ):
        job_id = submit(client, small_circuit(client), epochs=100_000)["job_id"]
        waiting = wait_until(
            client, job_id, lambda job: str(job["reason"]).startswith("Waits for circuits on native: ")
        )
        cancelled = data(client.post(f"/v1/jobs/{job_id}/cancel"))

    assert waiting["status"] == "queued"
    assert " of 5000 of the last hour are used up until " in waiting["reason"]
    assert waiting["resources"]["circuits_executed"] >= 5000
    assert waiting["progress"]["current_epoch"] == cancelled["epochs_completed"] >= 1
    assert cancelled["status"] == "cancelled"


def test_prices(server: Served) -> None:
    """Prices are dollars, each with where it comes from, of one backend or of all."""
    with server.client():
        (one,) = result("backend", "price", "native", "--data-dir", server.data_dir)
        table = verb("backend", "price", "--data-dir", server.data_dir)
        unknown = verb("backend", "price", "abacus", "--data-dir", server.data_dir)

    assert one == [
        {
            "name": "native",
            "per_circuit": 0.001,
            "per_shot": 0.0,
            "minimum_charge": 0.0,
            "per_cpu_second": 0.0,
            "per_gpu_second": 0.0,
            "origins": {
                "per_circuit": "qstore.toml",
                **dict.fromkeys(("per_shot", "minimum_charge", "per_cpu_second", "per_gpu_second"), "plugin"),
            },
        }
    ]
    assert "$0.001 (qstore.toml)" in table.stdout
    assert "$0.3 (plugin)" in table.stdout
    assert unknown.returncode == 1
    assert "abacus" in only_line(unknown.stderr)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["native", "--start", "2025-12-20T02:00:00", "--end", "2999-01-01T00:00:00Z"], "--start"),
        (["native", "--end", "tomorrow"], "--end"),
        (["native", "--start", "2099-12-20T02:00:00Z"], "--end"),
        (["native", "--note", "x"], "--end"),
        (["native", "--clear", "--end", "2099-12-20T02:00:00Z"], "--clear"),
        (["--clear"], "NAME"),
        (["abacus", "--clear"], "abacus"),
        (["native", "--start", "2099-12-20T02:00:00Z", "--end", "2099-12-20T01:00:00Z"], "after the start"),
        (["native", "--end", "2099-12-20T02:00:00Z"], "366 days"),
    ],
)
def test_windows_that_make_no_sense(tmp_path_factory: pytest.TempPathFactory, words: list[str], says: str) -> None:
    """Wrong times, flags that contradict each other and unknown backends are one line and exit code 1."""
    directory = tmp_path_factory.getbasetemp() / "idle" / "data"
    if not directory.exists():
        verb(*init("ada@example.org"), "--data-dir", directory, stdin="a lab of ones own 7")

    ended = verb("backend", "maintenance", *words, "--data-dir", directory)

    assert ended.returncode == 1
    assert says in only_line(ended.stderr)


def test_windows_outlive_the_server(tmp_path: Path) -> None:
    """A window set on an idle directory holds for the server that comes, and only the operator may set one."""
    directory = tmp_path / "data"
    verb(*init("ada@example.org"), "--data-dir", directory, stdin="a lab of ones own 7")
    bob = ["--email", "bob@example.org", "--organization", "Lab", "--role", "owner", "--password-file", "-"]
    verb("user", "create", *bob, "--data-dir", directory, stdin="a lab of ones own 7")
    end = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    words = ("backend", "maintenance", "qsim", "--end", end, "--data-dir", directory)

    refused = verb(*words, "--as", "bob@example.org")
    done = qstore(*words)
    overlapping = verb(*words)
    with serving(directory) as server, server.client() as client:
        listed = data(client.get("/v1/backends?status=maintenance"))

    assert (refused.returncode, done.returncode, overlapping.returncode) == (1, 0, 1)
    assert "operator" in only_line(refused.stderr)
    assert "already" in only_line(overlapping.stderr)
    assert [(one["name"], one["maintenance_window"]["end"]) for one in listed] == [("qsim", end)]
