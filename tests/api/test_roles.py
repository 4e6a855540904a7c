"""Roles of an organization's own over REST, and at every other door that asks who may do what."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect

from qstore_appliance.domain.accounts import Role
from tests.api.conftest import Client, Served
from tests.factories import PASSWORD, make_job_row

SHIFT = {"name": "night-shift", "description": "Stops jobs at night.", "permissions": ["jobs:cancel", "jobs:read"]}
PATIENCE = 30.0


async def test_a_life_of_a_role(client: Client) -> None:
    """Made, given, changed and deleted; each change counts for the next request of whoever has it."""
    admin, developer = client("admin"), client("developer")
    made = await admin.post("/v1/roles", json=SHIFT)
    assert made.status_code == 201
    role = made.json()["data"]
    assert {**role, "created_at": None, "updated_at": None} == {
        **SHIFT,
        "built_in": False,
        "members": 0,
        "created_at": None,
        "updated_at": None,
    }
    listed = (await admin.get("/v1/roles")).json()["data"]
    assert [one["name"] for one in listed] == [*Role, "night-shift"]
    assert [one["built_in"] for one in listed] == [True] * 4 + [False]
    me = (await developer.get("/v1/users/me")).json()["data"]["id"]

    given = await admin.patch(f"/v1/users/{me}", json={"role": "night-shift"})
    assert given.json()["data"]["role"] == "night-shift"
    profile = (await developer.get("/v1/users/me")).json()["data"]
    assert (profile["role"], profile["scopes"]) == ("night-shift", ["jobs:cancel", "jobs:read"])
    assert (await developer.get("/v1/circuits")).status_code == 403
    assert (await developer.get("/v1/jobs")).status_code == 200
    assert [one["id"] for one in (await admin.get("/v1/users?role=night-shift")).json()["data"]] == [me]
    assert (await admin.delete("/v1/roles/night-shift")).json()["error"]["code"] == "CONFLICT"

    wider = await admin.patch("/v1/roles/night-shift", json={"permissions": ["circuits:read"]})
    assert wider.json()["data"]["members"] == 1
    assert (await developer.get("/v1/circuits")).status_code == 200
    assert (await developer.get("/v1/jobs")).status_code == 403

    assert (await admin.patch(f"/v1/users/{me}", json={"role": "developer"})).status_code == 200
    assert (await admin.delete("/v1/roles/night-shift")).status_code == 204
    assert (await admin.get("/v1/roles/night-shift")).status_code == 404
    acts = [entry["action"] for entry in (await admin.get("/v1/audit?action=role")).json()["data"]]
    assert acts == ["role.deleted", "role.updated", "role.created"]


async def test_every_door(served: Served, client: Client) -> None:
    """A new sign-in, its token's claims, GraphQL and a channel go by the role as REST does."""
    owner = client("owner")
    await owner.post("/v1/roles", json=SHIFT)
    link = (await owner.post("/v1/invitations", json={"email": "g@example.org", "role": "night-shift"})).json()["data"]
    nobody = client(None)
    token = link["link"].partition("#")[2]
    joined = await nobody.post("/v1/invitations/accept", json={"token": token, "password": PASSWORD})
    assert joined.json()["data"]["role"] == "night-shift"
    grant = {"grant_type": "password", "email": "g@example.org", "password": PASSWORD}
    access = (await nobody.post("/v1/auth/token", json=grant)).json()["data"]["access_token"]
    guest = client(None, Authorization=f"Bearer {access}")
    assert (await guest.get("/v1/organizations")).json()["data"][0]["role"] == "night-shift"

    answer = (await guest.post("/graphql", json={"query": "{ currentUser { role scopes } }"})).json()
    assert answer["data"]["currentUser"] == {"role": "night-shift", "scopes": ["jobs:cancel", "jobs:read"]}
    refused = (await guest.post("/graphql", json={"query": "{ circuits { id } }"})).json()
    assert refused["errors"][0]["extensions"]["code"] == "FORBIDDEN"

    job = (await make_job_row(await served.caller("owner"))).id
    async with connect(served.url.replace("http", "ws") + "/v1/ws", proxy=None) as socket:
        await socket.send(json.dumps({"type": "auth", "token": access}))
        assert json.loads(await socket.recv())["type"] == "authenticated"
        await socket.send(json.dumps({"type": "subscribe", "channel": "job.progress", "job_id": job}))
        assert json.loads(await socket.recv())["type"] == "subscribed"
        await socket.send(json.dumps({"type": "subscribe", "channel": "cost.updates"}))
        assert json.loads(await socket.recv())["error"]["code"] == "FORBIDDEN"

        await owner.patch("/v1/roles/night-shift", json={"permissions": ["usage:read"]})

        async with asyncio.timeout(PATIENCE):
            assert json.loads(await socket.recv()) == {
                "type": "unsubscribed",
                "channel": "job.progress",
                "job_id": job,
            }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "r2"}, "permissions"),
        ({"name": "r2", "permissions": []}, "permissions"),
        ({"name": "r2", "permissions": ["jobs:read", "jobs:fly"]}, "permissions[1]"),
        ({"name": "r2", "permissions": ["organization:*"]}, "permissions[0]"),
        ({"name": "r2", "permissions": [5]}, "permissions[0]"),
        ({"name": "r2", "permissions": ["jobs:read"] * 101}, "permissions"),
        ({"name": "admin", "permissions": ["jobs:read"]}, "name"),
        ({"name": "Night", "permissions": ["jobs:read"]}, "name"),
        ({"name": "night shift", "permissions": ["jobs:read"]}, "name"),
        ({"name": "a/b", "permissions": ["jobs:read"]}, "name"),
        ({"name": "n", "permissions": ["jobs:read"]}, "name"),
        ({"name": "n" * 41, "permissions": ["jobs:read"]}, "name"),
        ({"name": "nïght", "permissions": ["jobs:read"]}, "name"),
        ({"name": "r2", "permissions": ["jobs:read"], "built_in": True}, "built_in"),
        ({"name": "r2", "permissions": ["jobs:read"], "description": "x" * 256}, "description"),
    ],
)
async def test_bad_roles(client: Client, body: dict[str, Any], field: str) -> None:
    """What no role can be is refused with its field."""
    answer = await client("admin").post("/v1/roles", json=body)

    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["errors"][0]["field"] == field


@pytest.mark.parametrize(
    "name", ["night-shift", "%00", "..%2f..%2fetc", "x" * 40, "x" * 64, "NIGHT-SHIFT", "%F0%9F%91%BB"]
)
async def test_what_is_not_here(client: Client, name: str) -> None:
    """A role that there is not, and another organization's, are absent in the same words, whatever is asked."""
    await client("stranger").post("/v1/roles", json=SHIFT)
    admin = client("admin")
    for method, body in (("GET", None), ("PATCH", {"permissions": ["jobs:read"]}), ("DELETE", None)):
        answer = await admin.request(method, f"/v1/roles/{name}", json=body)

        assert answer.status_code == 404, (method, name)
    assert "night-shift" not in (await admin.get("/v1/roles")).text
