"""People of an organization over REST."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import Client


def people(answer: httpx.Response) -> dict[str, dict[str, Any]]:
    """By the name in front of their address."""
    return {row["email"].partition("@")[0]: row for row in answer.json()["data"]}


async def test_a_life_in_an_organization(client: Client) -> None:
    """Listed, found, given another role, kept out, let in again, removed: each counts for the very next request."""
    admin, developer = client("admin"), client("developer")
    found = people(await admin.get("/v1/users", params={"role": "developer"}))
    assert list(found) == ["developer"]
    assert set(found["developer"]) == {"id", "email", "name", "role", "disabled", "last_active", "created_at"}
    own = f"/v1/users/{found['developer']['id']}"
    assert (await admin.get(own)).json()["data"] == found["developer"]

    assert (await admin.patch(own, json={"role": "viewer"})).json()["data"]["role"] == "viewer"
    assert (await developer.post("/v1/circuits", json={})).status_code == 403
    assert (await admin.patch(own, json={"disabled": True})).json()["data"]["disabled"] is True
    assert (await developer.get("/v1/users/me")).status_code == 401
    assert (await admin.patch(own, json={"disabled": False, "role": "developer"})).status_code == 200
    assert (await admin.get("/v1/organization")).json()["data"]["members"] == 4
    assert (await admin.delete(own)).status_code == 204
    assert (await admin.get(own)).status_code == 404
    assert (await admin.get("/v1/organization")).json()["data"]["members"] == 3


async def test_ownership(client: Client) -> None:
    """The last owner stays (LAST_OWNER); the organization is handed over, and only by its owner."""
    owner = client("owner")
    found = people(await owner.get("/v1/users"))
    refused = await owner.patch(f"/v1/users/{found['owner']['id']}", json={"role": "admin"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "LAST_OWNER")
    heir = {"user_id": found["admin"]["id"]}
    assert (await client("admin").post("/v1/organization/transfer", json=heir)).status_code == 403

    assert (await owner.post("/v1/organization/transfer", json=heir)).json()["data"]["role"] == "owner"

    assert people(await owner.get("/v1/users"))["owner"]["role"] == "admin"
    assert (await owner.delete(f"/v1/users/{found['admin']['id']}")).status_code == 403
    assert (await owner.delete(f"/v1/users/{found['owner']['id']}")).status_code == 204
    assert (await owner.get("/v1/users/me")).status_code == 401


@pytest.mark.parametrize(
    "body",
    [{"role": "emperor"}, {"role": 1}, {"disabled": "yes"}, {"operator": True}, {"organization_id": "org_1"}, []],
)
async def test_bad_changes(client: Client, body: Any) -> None:
    """A role that there is not, another type, and what nobody changes here are refused with their field."""
    admin = client("admin")
    found = people(await admin.get("/v1/users"))

    answer = await admin.patch(f"/v1/users/{found['viewer']['id']}", json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR")


@pytest.mark.parametrize("query", [{"role": "emperor"}, {"sort": "password_hash"}, {"limit": "0"}])
async def test_bad_lists(client: Client, query: dict[str, str]) -> None:
    """Another role or order than those that there are is refused."""
    assert (await client("admin").get("/v1/users", params=query)).status_code == 422
