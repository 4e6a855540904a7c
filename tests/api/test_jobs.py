"""Jobs over HTTP: submit, look, estimate, cancel; and their logs, also followed."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from qstore_appliance.api.live import connections
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.events import JobProgress
from qstore_appliance.services import choices, submission
from qstore_appliance.services.journal import Entry, Journal, Line
from tests.api.conftest import Client, Served
from tests.factories import make_job_row

CIRCUIT = {
    "name": "two qubits",
    "n_qubits": 2,
    "gates": [
        {"type": "RY", "targets": [0], "parameters": {"theta": "x_0"}},
        {"type": "RY", "targets": [1], "parameters": {"theta": "x_1"}},
        {"type": "RY", "targets": [0], "parameters": {"theta": "theta_0"}},
        {"type": "CNOT", "targets": [0, 1]},
    ],
}


async def draft(owner: httpx.AsyncClient, **config: Any) -> dict[str, Any]:
    """A valid submit body; the circuit is stored."""
    circuit = (await owner.post("/v1/circuits", json=CIRCUIT)).json()["data"]["id"]
    dataset = {"type": "iris", "features": {"count": 2}}
    return {"circuit_id": circuit, "config": {"backend": "native", "epochs": 2, "dataset": dataset, **config}}


async def tell(served: Served, job: str, *entries: Entry) -> None:
    caller = await served.caller("owner")
    journal = Journal(served.appliance.events, served.appliance.clock)
    async with served.appliance.database.transaction():
        events = await journal.record(caller.organization_id, job, entries)
    await journal.publish(events)


async def end(served: Served, job: str) -> None:
    """What a run does at its end: the row, a last line, an event."""
    await JobRow.filter(id=job).update(status="completed", completed_at=datetime.now(UTC))
    row = await JobRow.get(id=job)
    journal = Journal(served.appliance.events, served.appliance.clock)
    await tell(served, job, Line("Completed"), journal.progress(row))


@pytest.fixture
async def job(served: Served) -> str:
    return str((await make_job_row(await served.caller("owner"))).id)


async def test_submitting_is_accepted(owner: httpx.AsyncClient) -> None:
    """POST answers 202 with the specification's fields; the job waits and can be looked at."""
    answer = await owner.post("/v1/jobs", json=await draft(owner) | {"priority": "high", "budget_limit": 1.25})
    data = answer.json()["data"]

    shown = (await owner.get(answer.headers["Location"])).json()["data"]

    assert answer.status_code == 202
    assert (data["status"], data["queue_position"]) == ("queued", 1)
    assert data["estimated_start"] >= shown["created_at"]
    assert data["estimated_cost"] == 0.0
    assert (shown["id"], shown["priority"], shown["budget_limit"]) == (data["job_id"], "high", 1.25)
    assert shown["progress"]["percentage"] == 0
    assert {"current_loss", "best_loss", "cost_so_far"} <= set(shown["metrics"])
    assert {"backend_used", "circuits_executed", "total_shots", "cpu_seconds", "gpu_hours"} == set(shown["resources"])


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"dataset": {"type": "nothing"}}, 422, "VALIDATION_ERROR"),
        ({"dataset": {"type": "mnist"}}, 422, "DATASET_MISSING"),
        ({"backend": "nothing"}, 404, "NOT_FOUND"),
        ({"epochs": 0}, 422, "VALIDATION_ERROR"),
        ({"epochs": 1.5}, 422, "VALIDATION_ERROR"),
        ({"learning_rate": 1e999}, 422, "VALIDATION_ERROR"),
        ({"shots": True}, 422, "VALIDATION_ERROR"),
        ({"hardware_config": {"nodes": 4}}, 422, "VALIDATION_ERROR"),
    ],
    ids=str,
)
async def test_jobs_that_cannot_be(owner: httpx.AsyncClient, change: dict[str, Any], status: int, code: str) -> None:
    """A job that could not run is refused when it is submitted, with its reason."""
    content = json.dumps(await draft(owner, **change)).encode()

    answer = await owner.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize("n_qubits", [28, 30])
@pytest.mark.parametrize("backend", ["native", "auto"])
async def test_states_that_do_not_fit(
    owner: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, backend: str, n_qubits: int
) -> None:
    """On a machine with a gigabyte to spare, 28 and 30 qubits are refused with the bytes needed and those available."""
    for room in (choices, submission):
        monkeypatch.setattr(room, "memory_available", lambda: 2**30)
    gates = [{"type": "RY", "targets": [q], "parameters": {"theta": f"theta_{q}"}} for q in range(n_qubits)]
    circuit = {"name": "large", "n_qubits": n_qubits, "gates": gates}
    body = {
        "circuit_id": (await owner.post("/v1/circuits", json=circuit)).json()["data"]["id"],
        "config": {"task": "energy", "hamiltonian": {"model": "ising"}, "backend": backend},
    }

    for path in ("/v1/jobs", "/v1/jobs/estimate"):
        answer = await owner.post(path, json=body)
        error = answer.json()["error"]

        assert (answer.status_code, error["code"]) == (422, "INSUFFICIENT_MEMORY"), path
        assert error["details"] == {"needed_bytes": 8 * 2**n_qubits, "available_bytes": 2**30}
        assert f"{8 * 2**n_qubits:,} bytes" in error["message"]


async def test_gradients_that_do_not_fit(owner: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the state would fit and its costate would not, a gradient by adjoint pass is refused and one by shifts is taken."""
    for room in (choices, submission):
        monkeypatch.setattr(room, "memory_available", lambda: 5 * 2**30)
    gates = [{"type": "RY", "targets": [q], "parameters": {"theta": f"theta_{q}"}} for q in range(28)]
    stored = await owner.post("/v1/circuits", json={"name": "large", "n_qubits": 28, "gates": gates})
    energy = {"task": "energy", "hamiltonian": {"model": "ising"}, "backend": "native", "precision": "double"}

    refused = await owner.post("/v1/jobs", json={"circuit_id": stored.json()["data"]["id"], "config": energy})
    shifted = await owner.post(
        "/v1/jobs/estimate",
        json={
            "circuit_id": stored.json()["data"]["id"],
            "config": energy | {"precision": "single", "gradient": "parameter_shift"},
        },
    )

    assert refused.json()["error"]["code"] == "INSUFFICIENT_MEMORY"
    assert refused.json()["error"]["details"]["needed_bytes"] > 32 * 2**28
    assert shifted.status_code == 200


async def test_missing_data_names_the_command(owner: httpx.AsyncClient) -> None:
    """A data set that nobody imported is answered with the command that brings it."""
    answer = await owner.post("/v1/jobs", json=await draft(owner, dataset={"type": "mnist"}))

    assert "qstore dataset import" in answer.json()["error"]["message"]


async def test_circuits_of_others_cannot_be_trained(client: Client) -> None:
    """A circuit of another organization, none at all and nonsense are all 404."""
    body = await draft(client("owner"))
    stranger = client("stranger")
    for circuit in (body["circuit_id"], ids.new("circuit"), "x" * 40):
        assert (await stranger.post("/v1/jobs", json=body | {"circuit_id": circuit})).status_code == 404


async def test_the_list_filters_by_status(served: Served, owner: httpx.AsyncClient) -> None:
    """The list takes states separated by commas, and shows progress as a percentage."""
    caller = await served.caller("owner")
    progress = {"current_epoch": 45, "total_epochs": 100}
    await make_job_row(caller, status="running", progress=progress)
    await make_job_row(caller, status="failed")
    await make_job_row(caller, status="queued")

    answer = (await owner.get("/v1/jobs", params={"status": "running,failed", "sort": "-status"})).json()
    wrong = await owner.get("/v1/jobs", params={"status": "running,asleep"})

    assert [row["status"] for row in answer["data"]] == ["running", "failed"]
    assert answer["data"][0]["progress"] == 45
    assert answer["meta"]["total"] == 2
    assert wrong.status_code == 422


@pytest.mark.parametrize(
    ("noise", "field"),
    [
        ({}, "config.noise"),
        ({"depolarizing": None}, "config.noise"),
        ({"depolarizing": 1.01}, "config.noise.depolarizing"),
        ({"amplitude_damping": "much"}, "config.noise.amplitude_damping"),
        ({"readout": -0.1}, "config.noise.readout"),
        ({"readout": {"p01": 2}}, "config.noise.readout.p01"),
        ({"readout": {"p11": 0.1}}, "config.noise.readout.p11"),
        ({"thermal": 0.1}, "config.noise.thermal"),
        ({"model": "aria-1", "depolarizing": 0.1}, "config.noise"),
        ({"depolarizing": 0.1}, "config.shots"),
    ],
)
async def test_noise_that_makes_no_sense_names_its_field(owner: httpx.AsyncClient, noise: object, field: str) -> None:
    """422 with the place in the config, for a draft that is wrong and for noise without shots."""
    body = await draft(owner)
    body["config"]["noise"] = noise

    answer = await owner.post("/v1/jobs", json=body)

    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["details"]["errors"][0]["field"] == field


async def test_noise_is_taken_where_it_can_be_had(owner: httpx.AsyncClient) -> None:
    """A backend lists the channels that it has; those run, and for others nobody here can be found."""
    body = await draft(owner)
    body["config"] |= {"backend": "auto", "shots": 10, "noise": {"readout": {"p10": 0.05}}}

    submitted = await owner.post("/v1/jobs", json=body)
    job = await owner.get(f"/v1/jobs/{submitted.json()['data']['job_id']}")
    body["config"]["noise"] = {"depolarizing": 0.01}
    refused = await owner.post("/v1/jobs", json=body)
    (listed,) = (await owner.get("/v1/backends")).json()["data"]

    assert submitted.status_code == 202, submitted.text
    assert job.json()["data"]["config"]["noise"] == {"readout": {"p01": 0.0, "p10": 0.05}}
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "BACKEND_CANNOT")
    assert listed["capabilities"]["supports_noise"] == ["readout"]
    assert listed["capabilities"]["noise_models"] == []


async def test_an_estimate_promises_nothing_away(owner: httpx.AsyncClient) -> None:
    """An estimate has low, expected and high of time, memory and cost, and submits nothing."""
    data = (await owner.post("/v1/jobs/estimate", json=await draft(owner))).json()["data"]

    for quantity in ("time_seconds", "memory_bytes", "cost"):
        assert 0 <= data[quantity]["low"] <= data[quantity]["expected"] <= data[quantity]["high"]
    assert data["time_seconds"]["high"] > 0
    assert data["backend"] == "native"
    assert (await owner.get("/v1/jobs")).json()["meta"]["total"] == 0


async def test_cancelling_twice_is_cancelling_once(owner: httpx.AsyncClient, client: Client) -> None:
    """A waiting job is cancelled at once; again is the same answer; another's job needs an administrator."""
    job = (await owner.post("/v1/jobs", json=await draft(owner))).json()["data"]["job_id"]

    others = await client("developer").post(f"/v1/jobs/{job}/cancel")
    first, second = await owner.post(f"/v1/jobs/{job}/cancel"), await owner.post(f"/v1/jobs/{job}/cancel")

    assert others.status_code == 403
    assert first.status_code == second.status_code == 200
    assert first.json()["data"] == second.json()["data"]
    assert first.json()["data"] == {"job_id": job, "status": "cancelled", "cost_incurred": 0.0, "epochs_completed": 0}


async def test_an_ended_job_cannot_be_cancelled(served: Served, owner: httpx.AsyncClient) -> None:
    """A completed job is 409."""
    job = str((await make_job_row(await served.caller("owner"), status="completed")).id)

    assert (await owner.post(f"/v1/jobs/{job}/cancel")).status_code == 409


async def test_the_last_lines_of_a_log(served: Served, owner: httpx.AsyncClient, job: str) -> None:
    """`lines` takes the last ones, oldest first; `level` those of that weight and above."""
    await tell(served, job, *(Line(f"Epoch {n}") for n in range(1, 6)), Line("No GPU", "WARNING"))

    last = (await owner.get(f"/v1/jobs/{job}/logs", params={"lines": 2})).json()["data"]
    loud = (await owner.get(f"/v1/jobs/{job}/logs", params={"level": "warning"})).json()["data"]

    assert [line["message"] for line in last["logs"]] == ["Epoch 5", "No GPU"]
    assert last["streaming"] is False
    assert set(last["logs"][0]) == {"seq", "timestamp", "level", "message"}
    assert [(line["level"], line["message"]) for line in loud["logs"]] == [("WARNING", "No GPU")]


@pytest.mark.parametrize("query", ["lines=0", "lines=10001", "level=loud", "follow=maybe"])
async def test_logs_out_of_range(owner: httpx.AsyncClient, job: str, query: str) -> None:
    """A log's parameters are judged, also when it is to be followed."""
    assert (await owner.get(f"/v1/jobs/{job}/logs?{query}")).status_code == 422


async def read_events(answer: httpx.Response) -> list[dict[str, Any]]:
    """Every event of a stream until it ends: the JSON of its data, its id beside it."""
    found: list[dict[str, Any]] = []
    id = None
    async for line in answer.aiter_lines():
        if line.startswith("id: "):
            id = int(line[4:])
        elif line.startswith("data: "):
            found.append(json.loads(line[6:]) | {"id": id})
    return found


def progress(job: str, epoch: int) -> JobProgress:
    return JobProgress(
        job_id=job,
        status="running",
        current_epoch=epoch,
        total_epochs=4,
        current_loss=0.5,
        best_loss=0.5,
        eta_seconds=0.0,
        reason=None,
        model_id=None,
        timestamp=datetime.now(UTC),
    )


async def test_a_followed_log_ends_with_its_job(served: Served, owner: httpx.AsyncClient, job: str) -> None:
    """A followed log sends what is there, then what comes, one object per event, and ends when the job does."""
    await tell(served, job, Line("Epoch 1"), Line("Epoch 2"))
    async with owner.stream("GET", f"/v1/jobs/{job}/logs", params={"follow": "true", "lines": 1}) as answer:
        reading = asyncio.create_task(read_events(answer))
        await asyncio.sleep(0.1)
        for epoch in (3, 4):
            await tell(served, job, Line(f"Epoch {epoch}"), progress(job, epoch))
        await end(served, job)
        async with asyncio.timeout(5):
            events = await reading

    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["Cache-Control"] == "no-store"
    assert [event["message"] for event in events] == ["Epoch 2", "Epoch 3", "Epoch 4", "Completed"]
    assert [event["id"] for event in events] == [event["seq"] for event in events]


async def test_a_followed_log_of_an_ended_job_ends_at_once(served: Served, owner: httpx.AsyncClient, job: str) -> None:
    """The log of a job that has ended is sent and closed."""
    await tell(served, job, Line("Epoch 1"))
    await end(served, job)

    async with asyncio.timeout(2), owner.stream("GET", f"/v1/jobs/{job}/logs?follow=true") as answer:
        assert [event["message"] for event in await read_events(answer)] == ["Epoch 1", "Completed"]


async def test_a_followed_log_needs_a_job(client: Client, job: str) -> None:
    """Before a stream begins, a wrong address is an ordinary 404."""
    answer = await client("stranger").get(f"/v1/jobs/{job}/logs?follow=true")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_a_stop_ends_streams(served: Served, owner: httpx.AsyncClient, job: str) -> None:
    """A server that stops ends its streams first, so that they do not hold it up."""
    async with owner.stream("GET", f"/v1/jobs/{job}/logs?follow=true") as answer:
        reading = asyncio.create_task(read_events(answer))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(2):
            await served.server.stop()
            await reading


async def test_a_lost_session_ends_streams(served: Served, owner: httpx.AsyncClient, job: str) -> None:
    """Who is signed out stops hearing within a second."""
    async with owner.stream("GET", f"/v1/jobs/{job}/logs?follow=true") as answer:
        reading = asyncio.create_task(read_events(answer))
        await asyncio.sleep(0.1)
        await served.appliance.sessions.sign_out(await served.caller("owner"))
        async with asyncio.timeout(2.5):
            await reading


async def test_a_lost_session_ends_a_busy_stream(served: Served, client: Client, job: str) -> None:
    """A job that never falls silent does not go on talking to who is signed out."""

    async def chatter() -> None:
        while True:
            await tell(served, job, Line("Still at it"), progress(job, 1))
            await asyncio.sleep(0.02)

    async with client("viewer").stream("GET", f"/v1/jobs/{job}/logs?follow=true") as answer:
        talking = asyncio.create_task(chatter())
        reading = asyncio.create_task(read_events(answer))
        await asyncio.sleep(0.1)
        await served.appliance.sessions.sign_out(await served.caller("viewer"))
        try:
            async with asyncio.timeout(3):
                assert await reading
        finally:
            talking.cancel()


async def test_a_caller_follows_so_many(
    served: Served, client: Client, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody follows any number of logs at a time; a stream that ends makes room, and others have room of their own."""
    monkeypatch.setattr(connections, "MAX_STREAMS", 1)
    viewer, address = client("viewer"), f"/v1/jobs/{job}/logs?follow=true"

    async with viewer.stream("GET", address):
        refused = await viewer.get(address)
        async with client("owner").stream("GET", address) as answer:
            assert answer.status_code == 200
    await end(served, job)
    async with asyncio.timeout(5):
        while served.server.app.ctx.streams:
            await asyncio.sleep(0.02)

    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "RATE_LIMITED")
    assert (await viewer.get(address)).status_code == 200
