"""Backends over HTTP: the specification's shapes, with what was measured and planned."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.factories import make_caller

ID = "backend_native_001"


async def of(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def count(appliance: Any) -> None:
    """As if two jobs had run 400 circuits in eight seconds, after waiting for six."""
    async with appliance.database.transaction():
        await appliance.backends.ran("native", 400, 8.0)
        await appliance.backends.started("native", 2.0)
        await appliance.backends.started("native", 4.0)


async def test_nothing_is_guessed(owner: httpx.AsyncClient) -> None:
    """What was not measured is null; the one probe that there was is the availability."""
    (native,) = await of(owner, "/v1/backends")
    status = await of(owner, f"/v1/backends/{ID}/status")

    assert native["performance"] == {
        "avg_latency_ms": None,
        "throughput_circuits_per_sec": None,
        "queue_depth": 0,
        "availability": 1.0,
    }
    assert status["queue"] == {"depth": 0, "avg_wait_time_sec": None}
    assert status["performance"] == {
        "circuits_today": 0,
        "avg_latency_ms": None,
        "throughput_circuits_per_sec": None,
    }
    assert (status["status"], status["reason"], status["maintenance_window"]) == ("available", None, None)


async def test_measured_performance(owner: httpx.AsyncClient, appliance: Any) -> None:
    """List, entity and status say the same of what ran."""
    await count(appliance)

    (row,) = await of(owner, "/v1/backends")
    entity, status = await of(owner, f"/v1/backends/{ID}"), await of(owner, f"/v1/backends/{ID}/status")

    assert row == entity
    assert (row["avg_latency_ms"], row["performance"]["throughput_circuits_per_sec"]) == (20.0, 50.0)
    assert status["performance"]["avg_latency_ms"] == 20.0
    assert status["queue"]["avg_wait_time_sec"] == 3.0
    assert status["uptime"] == row["performance"]["availability"] == 1.0
    assert set(row["limits"]) == {"max_circuits_per_request", "max_concurrent_jobs", "rate_limit_per_hour"}


async def test_maintenance_window_is_shown(owner: httpx.AsyncClient, appliance: Any) -> None:
    """The present window has the specification's two keys, and the status is `maintenance` with a reason."""
    now = appliance.clock.now().replace(microsecond=0)
    await appliance.backends.maintain(make_caller("owner", operator=True), "native", now, now + timedelta(hours=1))

    status = await of(owner, f"/v1/backends/{ID}/status")

    assert status["status"] == "maintenance"
    assert set(status["maintenance_window"]) == {"start", "end"}
    assert status["maintenance_window"]["end"].startswith(f"{now + timedelta(hours=1):%Y-%m-%dT%H:%M:%S}")
    assert status["reason"] == f"In maintenance until {now + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}."


@pytest.mark.parametrize("state", ["available", "degraded", "maintenance", "unavailable", "starting"])
async def test_lists_by_status(owner: httpx.AsyncClient, appliance: Any, state: str) -> None:
    """Every state can be asked for, and only backends in it come."""
    await of(owner, "/v1/backends")
    appliance.backends.degrade("native", "Its breaker is open.")

    found = await of(owner, f"/v1/backends?status={state}")

    assert [one["name"] for one in found] == (["native"] if state == "degraded" else [])
    assert all(one["reason"] == "Its breaker is open." for one in found)


async def test_unknown_status_is_refused(owner: httpx.AsyncClient) -> None:
    """Another state is a 422 that names those there are."""
    answer = await owner.get("/v1/backends?status=asleep")

    assert answer.status_code == 422
    assert "degraded, maintenance" in answer.text


async def test_answers_say_why(owner: httpx.AsyncClient) -> None:
    """Submit and estimate say which backend, what auto would have taken, and why; the job's receipt keeps all three."""
    gates = [{"type": "RY", "targets": [0], "parameters": {"theta": "theta_0"}}]
    made = await owner.post("/v1/circuits", json={"name": "one", "n_qubits": 1, "gates": gates})
    draft = {
        "circuit_id": made.json()["data"]["id"],
        "config": {"epochs": 1, "dataset": {"type": "iris"}, "backend": "native"},
    }

    submitted = (await owner.post("/v1/jobs", json=draft)).json()["data"]
    estimate = (await owner.post("/v1/jobs/estimate", json=draft)).json()["data"]
    job = await of(owner, f"/v1/jobs/{submitted['job_id']}")

    expected = {"backend": "native", "auto_backend": "native", "backend_reason": "The job names native."}
    for answer in (submitted, estimate, job["receipt"]):
        assert {key: answer[key] for key in expected} == expected
