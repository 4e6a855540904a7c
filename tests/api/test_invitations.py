"""Invitations and several organizations over REST."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import httpx
import pytest

from qstore_appliance.database.tables.idempotency import IdempotencyRow
from qstore_appliance.domain.invitations import InvitationDraft
from qstore_appliance.settings import Settings, Smtp
from tests.api.conftest import Client, House, Served, serving
from tests.deliveries.receiving import mail_server
from tests.factories import PASSWORD

NEW = "a phrase of Grace's own"


async def invited(client: httpx.AsyncClient, email: str = "grace@example.org", role: str = "developer") -> str:
    """The token of a new link."""
    answer = await client.post("/v1/invitations", json={"email": email, "role": role})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return str(answer.json()["data"]["link"]).partition("#")[2]


async def signed_in(client: Client, email: str, password: str) -> httpx.AsyncClient:
    grant = {"grant_type": "password", "email": email, "password": password}
    tokens = (await client(None).post("/v1/auth/token", json=grant)).json()["data"]
    return client(None, Authorization=f"Bearer {tokens['access_token']}")


async def test_from_link_to_member(served: Served, client: Client) -> None:
    """Invited, told what it is about, joined, signed in: once; and the administrator sees that it was accepted."""
    admin, nobody = client("admin"), client(None)
    token = await invited(admin, " Grace@Example.org ")

    offer = (await nobody.post("/v1/invitations/offer", json={"token": token})).json()["data"]
    assert (offer["organization"], offer["email"], offer["role"]) == (
        "Analytical Engines", "grace@example.org", "developer",
    )  # fmt: skip
    body = {"token": token, "name": "Grace", "password": NEW}
    accepted = await nobody.post("/v1/invitations/accept", json=body)
    assert accepted.status_code == 201
    again = await nobody.post("/v1/invitations/accept", json=body)
    assert (again.status_code, again.json()["error"]["code"]) == (410, "GONE")

    grace = await signed_in(client, "grace@example.org", NEW)
    me = (await grace.get("/v1/users/me")).json()["data"]
    assert (me["id"], me["role"], me["operator"]) == (accepted.json()["data"]["user_id"], "developer", False)
    rows = (await admin.get("/v1/invitations")).json()["data"]
    assert [(row["status"], row["link"]) for row in rows] == [("accepted", None)]
    assert (await admin.get("/v1/invitations", params={"status": "pending"})).json()["data"] == []


async def test_a_second_organization(served: Served, client: Client) -> None:
    """Somebody with an account joins, switches, and is somebody else there; the old tokens are over."""
    stranger = client("stranger")
    token = await invited(client("admin"), "stranger@example.org", "viewer")
    assert (await client("developer").post("/v1/invitations/join", json={"token": token})).status_code == 403
    joined = (await stranger.post("/v1/invitations/join", json={"token": token})).json()["data"]
    listed = (await stranger.get("/v1/organizations")).json()["data"]
    assert [(row["name"], row["role"], row["current"]) for row in listed] == [
        ("Difference Engines", "owner", True),
        ("Analytical Engines", "viewer", False),
    ]

    answer = await stranger.post("/v1/auth/switch", json={"organization_id": joined["organization_id"]})

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    there = client(None, Authorization=f"Bearer {answer.json()['data']['access_token']}")
    me = (await there.get("/v1/users/me")).json()["data"]
    assert (me["organization_id"], me["role"]) == (joined["organization_id"], "viewer")
    assert (await there.get("/v1/users")).status_code == 403
    assert (await stranger.get("/v1/users/me")).status_code == 401


async def test_a_repetition_has_no_link(served: Served, client: Client) -> None:
    """What is kept for an idempotent repetition holds nothing that opens: no link, and no tokens of another organization."""
    admin, stranger = client("admin"), client("stranger")
    body, key = {"email": "stranger@example.org", "role": "viewer"}, {"Idempotency-Key": "once"}
    first = (await admin.post("/v1/invitations", json=body, headers=key)).json()["data"]
    again = (await admin.post("/v1/invitations", json=body, headers=key)).json()["data"]
    token = first["link"].partition("#")[2]
    joined = (await stranger.post("/v1/invitations/join", json={"token": token}, headers=key)).json()["data"]
    there = {"organization_id": joined["organization_id"]}
    switched = (await stranger.post("/v1/auth/switch", json=there, headers=key)).json()["data"]

    assert again == first | {"link": None}
    stored = [bytes(row.answer or b"") for row in await IdempotencyRow.all()]
    assert len(stored) == 2
    for secret in (token, switched["access_token"], switched["refresh_token"]):
        assert not any(secret.encode() in one for one in stored)


async def test_the_link_that_is_mailed(settings: Settings, house: House) -> None:
    """Where there is a mail server the invited person gets the very link that opens, once the outbox runs."""
    with mail_server("none") as server:
        smtp = Smtp(host="localhost", port=server.port, tls="none", sender="lab@example.org")
        async with serving(dataclasses.replace(settings, smtp=smtp), house) as served:
            await served.appliance.outbox.start()
            draft = InvitationDraft(email="grace@example.org", role="viewer")
            made = await served.appliance.invitations.create(await served.caller("admin"), draft)
            async with asyncio.timeout(60):
                while not server.mails:
                    await asyncio.sleep(0.02)
            await served.appliance.outbox.close()
            (mail,) = server.mails
            (link,) = [line for line in mail.message.get_content().splitlines() if "/app/invitation#" in line]

            assert made.mailed
            assert mail.recipients == ["grace@example.org"]
            assert link == made.link
            assert (await served.appliance.invitations.offer(link.partition("#")[2])).email == "grace@example.org"


async def test_a_link_taken_back(client: Client) -> None:
    """A revoked link is gone, and cannot be revoked twice."""
    admin = client("admin")
    token = await invited(admin)
    (row,) = (await admin.get("/v1/invitations")).json()["data"]

    assert (await admin.delete(f"/v1/invitations/{row['id']}")).status_code == 204

    assert (await admin.delete(f"/v1/invitations/{row['id']}")).status_code == 404
    assert (await client(None).post("/v1/invitations/offer", json={"token": token})).status_code == 410


@pytest.mark.parametrize(
    "body",
    [
        {"email": "grace", "role": "viewer"},
        {"email": "grace@example.org", "role": "emperor"},
        {"email": "grace@example.org"},
        {"email": "grace@example.org", "role": "viewer", "operator": True},
        {"email": "gr\u0000ace@example.org", "role": "viewer"},
        {"email": ["grace@example.org"], "role": "viewer"},
    ],
)
async def test_bad_invitations(client: Client, body: dict[str, Any]) -> None:
    """No address, another role, or a field that is not for them to set: 422."""
    answer = await client("admin").post("/v1/invitations", json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR")


def cookie_of(answer: httpx.Response) -> str:
    return answer.headers["Set-Cookie"].partition(";")[0]


async def test_a_page_switches(served: Served, client: Client) -> None:
    """The dashboard's cookie is changed for another, from our own pages alone; programs' switch is not for it."""
    token = await invited(client("admin"), "stranger@example.org", "viewer")
    entrance, here = client(None), {"Origin": served.url}
    signed = await entrance.post(
        "/app/sign-in", json={"email": "stranger@example.org", "password": PASSWORD}, headers=here
    )
    here |= {"Cookie": cookie_of(signed)}
    joined = await entrance.post("/v1/invitations/join", json={"token": token}, headers=here)
    body = {"organization_id": joined.json()["data"]["organization_id"]}
    assert (await entrance.post("/v1/auth/switch", json=body, headers=here)).status_code == 409
    foreign = here | {"Origin": "http://evil.example"}
    assert (await entrance.post("/app/organization", json=body, headers=foreign)).status_code == 403

    switched = await entrance.post("/app/organization", json=body, headers=here)

    assert switched.json()["data"]["role"] == "viewer"
    me = await entrance.get("/v1/users/me", headers={"Cookie": cookie_of(switched)})
    assert me.json()["data"]["organization_id"] == body["organization_id"]
    assert (await entrance.post("/app/organization", json=body, headers=here)).status_code == 401
