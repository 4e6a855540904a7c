"""How the API answers while a job trains."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import httpx
import pytest

from tests.acceptance.processes import data, long_job, serving, small_circuit, wait_for_epoch

REQUESTS = 200


def read_times(client: httpx.Client, path: str, count: int = REQUESTS) -> list[float]:
    """Milliseconds of each of so many reads."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        data(client.get(path))
        times.append(1000 * (time.perf_counter() - began))
    return times


def p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def test_reads_while_a_job_trains(tmp_path: Path, record_property: pytest.RecordProperty) -> None:
    """Circuits are read while a job trains at full speed; the figures are reported, machines differ."""
    with serving(tmp_path / "data") as server, server.client() as client:
        circuit_id = small_circuit(client)
        path = f"/v1/circuits/{circuit_id}"
        idle = p95(read_times(client, path))
        job_id = long_job(client, circuit_id)
        wait_for_epoch(client, job_id, 2)
        before = data(client.get(f"/v1/jobs/{job_id}"))["progress"]["current_epoch"]
        busy = p95(read_times(client, path))
        after = wait_for_epoch(client, job_id, before + 1)
        data(client.post(f"/v1/jobs/{job_id}/cancel"))

        assert after["status"] == "running"

    record_property("p95_idle_ms", round(idle, 2))
    record_property("p95_training_ms", round(busy, 2))
    print(f"\nGET /v1/circuits/{{id}} p95: idle {idle:.1f} ms, while training {busy:.1f} ms")
