"""Jobs that are stopped and gone on from, and sweeps, over HTTP: the shapes that the documents promise."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from qstore_appliance.domain.jobs import Status
from tests.api.conftest import Client, Served
from tests.factories import make_job_row

GATES = [
    {"type": "RY", "targets": [0], "parameters": {"theta": "x_0"}},
    {"type": "RY", "targets": [0], "parameters": {"theta": "theta_0"}},
]


async def body(owner: httpx.AsyncClient, **config: Any) -> dict[str, Any]:
    circuit = await owner.post("/v1/circuits", json={"name": "c", "n_qubits": 1, "gates": GATES})
    features = {"method": "pca", "count": 1}
    return {
        "circuit_id": circuit.json()["data"]["id"],
        "config": {"epochs": 2, "dataset": {"type": "iris", "features": features}, **config},
    }


async def test_a_sweep(owner: httpx.AsyncClient) -> None:
    """202 with its address and its jobs; a look and a cancel answer the same shape, and the list has it."""
    submitted = await owner.post("/v1/sweeps", json=await body(owner, seed=[1, 2], learning_rate=[0.1, 0.2]))

    assert submitted.status_code == 202
    sweep = submitted.json()["data"]
    assert submitted.headers["Location"] == f"/v1/sweeps/{sweep['id']}"
    assert sweep["n_jobs"] == sum(sweep["states"].values()) == len(sweep["best"]) == 4
    cancelled = await owner.post(f"/v1/sweeps/{sweep['id']}/cancel")
    assert cancelled.status_code == 200
    assert cancelled.json()["data"]["progress"] == 100
    looked = (await owner.get(f"/v1/sweeps/{sweep['id']}")).json()["data"]
    assert looked.keys() == sweep.keys()
    assert looked["best"][0]["parameters"].keys() == {"seed", "learning_rate"}
    assert [one["id"] for one in (await owner.get("/v1/sweeps")).json()["data"]] == [sweep["id"]]


@pytest.mark.parametrize(
    ("config", "field"),
    [({"learning_rate": [0.1, -1.0]}, "config.learning_rate"), ({"seeds": [1, 2]}, "config.seeds"), ({}, "body")],
)
async def test_a_sweep_with_a_fault(owner: httpx.AsyncClient, config: dict[str, Any], field: str) -> None:
    """One bad value, an unknown key, or no list at all is refused with its field."""
    answer = await owner.post("/v1/sweeps", json=await body(owner, **config))

    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["errors"][0]["field"] == field


async def test_stopping_and_going_on(served: Served, client: Client) -> None:
    """Pause, resume and cancel answer a job's state; continue and replay are refused where they make no sense."""
    owner = client("owner")
    job_id = (await make_job_row(await served.caller("owner"), status=Status.PAUSED.value)).id

    paused = await owner.post(f"/v1/jobs/{job_id}/pause")
    assert paused.status_code == 200
    assert paused.json()["data"] == {
        "job_id": job_id, "status": "paused", "cost_incurred": 0.0, "epochs_completed": 0
    }  # fmt: skip
    for verb in ("continue", "replay"):
        answer = await owner.post(f"/v1/jobs/{job_id}/{verb}", json={})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "CONFLICT")
    assert (await owner.post(f"/v1/jobs/{job_id}/cancel")).json()["data"]["status"] == "cancelled"
    for verb in ("pause", "resume"):
        answer = await owner.post(f"/v1/jobs/{job_id}/{verb}")
        assert (answer.status_code, answer.json()["error"]["details"]) == (409, {"status": "cancelled"})
    more = await owner.post(f"/v1/jobs/{job_id}/continue", json={"epochs": 0})
    assert more.status_code == 422


async def test_going_on_over_http(owner: httpx.AsyncClient) -> None:
    """Continue answers as submit does; the new job says from which it goes on."""
    submitted = (await owner.post("/v1/jobs", json=await body(owner, epochs=100_000))).json()["data"]
    await owner.post(f"/v1/jobs/{submitted['job_id']}/cancel")

    answer = await owner.post(f"/v1/jobs/{submitted['job_id']}/continue", json={"epochs": 3})

    assert answer.status_code == 202, answer.text
    again = answer.json()["data"]
    assert again.keys() == submitted.keys()
    assert answer.headers["Location"] == f"/v1/jobs/{again['job_id']}"
    job = (await owner.get(f"/v1/jobs/{again['job_id']}")).json()["data"]
    assert job["continued_from"] == submitted["job_id"]
    await owner.post(f"/v1/jobs/{again['job_id']}/cancel")
