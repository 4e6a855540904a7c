"""What an organization allows, over REST."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from qstore_appliance.domain.accounts import ApiKeyDraft
from tests.api.conftest import Client, Served

CIRCUIT = {"name": "c", "n_qubits": 1, "gates": [{"type": "H", "targets": [0]}]}
SETTINGS = {"max_concurrent_jobs": 10, "allowed_backends": None, "enable_hardware": False, "max_storage_bytes": None}


async def settings_of(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/v1/organization")).json()["data"]
    return found["settings"]


async def test_only_what_is_sent_changes(client: Client) -> None:
    """Name and settings change one by one; null takes the list of backends away; the audit log has before and after."""
    admin = client("admin")
    assert await settings_of(admin) == SETTINGS
    for patch, expected in (
        ({"settings": {"max_concurrent_jobs": 3}}, {"max_concurrent_jobs": 3}),
        ({"settings": {"allowed_backends": ["native", "native"]}}, {"allowed_backends": ["native"]}),
        ({"settings": {"enable_hardware": True}}, {"enable_hardware": True}),
        ({"settings": {"allowed_backends": None, "enable_hardware": None}}, {"allowed_backends": None}),
    ):
        before = await settings_of(admin)
        answer = await admin.patch("/v1/organization", json=patch)
        assert answer.json()["data"]["settings"] == before | expected

    renamed = (await admin.patch("/v1/organization", json={"name": "Acme Quantum Labs"})).json()["data"]

    assert (renamed["name"], renamed["members"], renamed["settings"]["max_concurrent_jobs"]) == (
        "Acme Quantum Labs", 4, 3,
    )  # fmt: skip
    entries = (await admin.get("/v1/audit", params={"action": "organization.updated"})).json()["data"]
    assert len(entries) == 5
    assert (entries[0]["details"]["before"]["name"], entries[0]["details"]["after"]["name"]) == (
        "Analytical Engines",
        "Acme Quantum Labs",
    )
    await admin.patch("/v1/organization", json={"name": "Acme Quantum Labs"})
    again = await admin.get("/v1/audit", params={"action": "organization.updated"})
    assert again.json()["meta"]["total"] == 5


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"plan": "enterprise"},
        {"settings": {"max_concurrent_jobs": 0}},
        {"settings": {"max_concurrent_jobs": True}},
        {"settings": {"allowed_backends": []}},
        {"settings": {"allowed_backends": ["native", "abacus"]}},
        {"settings": {"allowed_backends": "native"}},
        {"settings": {"enable_hardware": "yes"}},
        {"settings": {"budget": 1}},
    ],
)
async def test_bad_settings(client: Client, body: dict[str, Any]) -> None:
    """A backend that there is not, a number out of range, or what nobody sets here: 422, and nothing has changed."""
    answer = await client("admin").patch("/v1/organization", json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR")
    assert await settings_of(client("admin")) == SETTINGS


@pytest.mark.parametrize("role", ["viewer", "developer"])
async def test_not_for_everybody(client: Client, role: str) -> None:
    """Who does not administer changes nothing; nor does an API key of an owner without that scope."""
    assert (await client(role).patch("/v1/organization", json={"name": "Mine"})).status_code == 403


async def test_a_backend_that_is_not_allowed(served: Served, client: Client) -> None:
    """Jobs, estimates, sweeps and runs that name it are refused with 403; "auto" does without it."""
    served.appliance.backends._names = ["lightning", "native"]
    admin = client("admin")
    circuit = (await admin.post("/v1/circuits", json=CIRCUIT)).json()["data"]["id"]
    await admin.patch("/v1/organization", json={"settings": {"allowed_backends": ["lightning"]}})
    config = {"backend": "native", "epochs": 1, "task": "sampling", "shots": 10}
    job = {"circuit_id": circuit, "config": config}
    sweep = {"circuit_id": circuit, "config": config | {"shots": [10, 20]}}
    for path, body in (
        ("/v1/jobs", job),
        ("/v1/jobs/estimate", job),
        ("/v1/sweeps", sweep),
        (f"/v1/circuits/{circuit}/run", {"backend": "native", "shots": 10}),
    ):
        answer = await client("developer").post(path, json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN"), path
        assert "native" in answer.json()["error"]["message"]


async def test_a_key_for_tests_is_one(served: Served) -> None:
    """The environment of a key goes with whoever uses it: nothing else tells a key for tests from another."""
    owner, accounts = await served.caller("owner"), served.appliance.accounts
    for environment, for_tests in (("test", True), ("live", False), ("dev", False)):
        made = await accounts.create_key(owner, ApiKeyDraft(name="k", scopes=["jobs:submit"], environment=environment))
        assert (await served.appliance.sessions.by_api_key(made.key)).for_tests is for_tests
