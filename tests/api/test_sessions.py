"""Sessions over HTTP: where somebody is signed in, and that an end is an end, on open WebSockets too."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.api.conftest import Client, Served
from tests.api.test_auth import sign_in
from tests.factories import PASSWORD

#: Hang guard: a second is promised.
PATIENCE = 10


def bearer(answer: httpx.Response) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json()['data']['access_token']}"}


async def test_where_i_am_signed_in(client: Client) -> None:
    """The list names the session that asks, and how and from where each began."""
    notebook = client(None, **{"User-Agent": "a notebook"})
    headers = bearer(await sign_in(notebook, "developer"))

    answer = await notebook.get("/v1/sessions", headers=headers)

    assert answer.json()["meta"]["total"] == 2
    mine, other = answer.json()["data"]
    assert (mine["current"], other["current"]) == (True, False)
    assert (mine["kind"], mine["method"], mine["address"]) == ("token", "password", "127.0.0.1")
    assert mine["agent"] == "a notebook"
    assert not any("hash" in name for name in mine)


async def test_ending_one(client: Client) -> None:
    """A session that is ended is 401 at its next request, and 404 when it is ended again."""
    here, there = client(None), client(None)
    mine, theirs = bearer(await sign_in(here)), bearer(await sign_in(there))
    rows = (await here.get("/v1/sessions", headers=theirs)).json()["data"]
    id = next(row["id"] for row in rows if row["current"])

    ended = await here.delete(f"/v1/sessions/{id}", headers=mine)

    assert ended.status_code == 204
    assert (await there.get("/v1/users/me", headers=theirs)).status_code == 401
    assert (await here.delete(f"/v1/sessions/{id}", headers=mine)).status_code == 404


async def test_ending_all_others(served: Served, client: Client) -> None:
    """All others end; the answer says how many."""
    here = client(None)
    mine = bearer(await sign_in(here, "viewer"))

    answer = await here.delete("/v1/sessions", headers=mine)

    assert answer.json()["data"] == {"ended": 1}
    assert (await client("viewer").get("/v1/users/me")).status_code == 401
    assert (await here.get("/v1/users/me", headers=mine)).status_code == 200


async def test_of_others(served: Served, client: Client) -> None:
    """An administrator sees and ends a member's; a member, and another organization, neither."""
    developer = await served.caller("developer")
    address = f"/v1/sessions/{developer.session_id}"
    query = {"user_id": developer.user_id}

    assert (await client("viewer").get("/v1/sessions", params=query)).status_code == 403
    assert (await client("stranger").get("/v1/sessions", params=query)).json()["meta"]["total"] == 0
    found = [await client(role).delete(address) for role in ("viewer", "stranger")]
    absent = await client("stranger").delete("/v1/sessions/session_00000000000000000000000000")
    assert [answer.status_code for answer in (*found, absent)] == [404] * 3
    assert found[1].json()["error"]["message"] == absent.json()["error"]["message"]
    assert (await client("admin").get("/v1/sessions", params=query)).json()["meta"]["total"] == 1
    assert (await client("admin").delete(address)).status_code == 204
    assert (await client("developer").get("/v1/users/me")).status_code == 401


async def test_keys_have_none(client: Client) -> None:
    """An API key does not look at sessions, and ends none."""
    made = await client("developer").post("/v1/api-keys", json={"name": "k", "scopes": ["jobs:read"]})
    machine = client(None, **{"X-API-Key": made.json()["data"]["key"]})

    for method, path in (("GET", "/v1/sessions"), ("DELETE", "/v1/sessions"), ("DELETE", "/v1/sessions/x")):
        assert (await machine.request(method, path)).status_code == 403, (method, path)


async def listening(served: Served, headers: dict[str, str]) -> ClientConnection:
    """An authenticated WebSocket."""
    socket = await connect(f"{served.url.replace('http', 'ws', 1)}/v1/ws", proxy=None)
    await socket.send(json.dumps({"type": "auth", "token": headers["Authorization"].removeprefix("Bearer ")}))
    assert json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))["type"] == "authenticated"
    return socket


async def closed(socket: ClientConnection) -> int:
    """The code with which the server closes."""
    async with asyncio.timeout(PATIENCE):
        await socket.wait_closed()
    assert socket.close_code is not None
    return socket.close_code


async def change_password(served: Served, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    other = bearer(await sign_in(client))
    body = {"current_password": PASSWORD, "password": "a brand new password"}
    assert (await client.post("/v1/users/me/password", json=body, headers=other)).status_code == 204


async def end_by_host(served: Served, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    await served.appliance.accounts.reset_password("owner@example.org", "a brand new password")


async def disable(served: Served, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    await served.appliance.accounts.disable("owner@example.org")


async def sign_out(served: Served, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await client.post("/v1/auth/logout", headers=headers)).status_code == 204


async def end_others(served: Served, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await client.delete("/v1/sessions", headers=bearer(await sign_in(client)))).status_code == 200


@pytest.mark.parametrize("end", [change_password, end_by_host, disable, sign_out, end_others])
async def test_an_end_reaches_everything(served: Served, client: Client, end: Any) -> None:
    """Whatever ends a session: its next request is 401, and its WebSocket is closed with 4401."""
    anonymous = client(None)
    headers = bearer(await sign_in(anonymous))
    socket = await listening(served, headers)

    await end(served, anonymous, headers)

    assert (await anonymous.get("/v1/users/me", headers=headers)).status_code == 401
    assert await closed(socket) == 4401
