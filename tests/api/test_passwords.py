"""New passwords over HTTP, mail included."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from qstore_appliance.settings import Settings, Smtp
from tests.api.conftest import Client, House, Served, serving
from tests.api.test_auth import sign_in
from tests.deliveries.receiving import Mail, MailServer, mail_server
from tests.factories import PASSWORD

NEW = "a brand new password"
#: Hang guard.
PATIENCE = 30


async def test_changing_it(client: Client) -> None:
    """With the present password a new one is set, and only the session that asked goes on."""
    owner = client(None)
    headers = {"Authorization": f"Bearer {(await sign_in(owner)).json()['data']['access_token']}"}

    wrong = await owner.post(
        "/v1/users/me/password", json={"current_password": "wrong", "password": NEW}, headers=headers
    )
    easy = await owner.post(
        "/v1/users/me/password", json={"current_password": PASSWORD, "password": "password1"}, headers=headers
    )
    changed = await owner.post(
        "/v1/users/me/password", json={"current_password": PASSWORD, "password": NEW}, headers=headers
    )

    assert [answer.status_code for answer in (wrong, easy, changed)] == [422, 422, 204]
    assert wrong.json()["error"]["details"]["errors"][0]["field"] == "current_password"
    assert easy.json()["error"]["details"]["errors"][0]["field"] == "password"
    assert (await owner.get("/v1/users/me", headers=headers)).status_code == 200
    assert (await client("owner").get("/v1/users/me")).status_code == 401
    assert (await sign_in(owner, password=PASSWORD)).status_code == 401
    assert (await sign_in(owner, password=NEW)).status_code == 200


async def test_links_need_a_mail_server(client: Client) -> None:
    """Without one the answer says whom to ask, to everybody alike, and an invented link is gone."""
    answers = [
        await client(None).post("/v1/auth/password-reset", json={"email": email})
        for email in ("owner@example.org", "nobody@example.org")
    ]
    forged = await client(None).post("/v1/auth/password-reset/confirm", json={"token": "x.y", "password": NEW})

    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in answers] == [(409, "REFUSED")] * 2
    assert (forged.status_code, forged.json()["error"]["code"]) == (410, "GONE")


@pytest.fixture
def mails() -> Iterator[MailServer]:
    with mail_server("none") as server:
        yield server


@pytest_asyncio.fixture
async def mailing(settings: Settings, house: House, mails: MailServer) -> AsyncIterator[Served]:
    """A house that sends mail; its outbox is emptied."""
    smtp = Smtp(host="127.0.0.1", port=mails.port, tls="none", sender="lab@example.org")
    async with serving(dataclasses.replace(settings, smtp=smtp), house) as running:
        await running.appliance.outbox.start()
        try:
            yield running
        finally:
            await running.appliance.outbox.close()


async def arrived(mails: MailServer, count: int) -> list[Mail]:
    async with asyncio.timeout(PATIENCE):
        while len(mails.mails) < count:
            await asyncio.sleep(0.05)
    return list(mails.mails)


async def test_a_link_by_mail(mailing: Served, mails: MailServer) -> None:
    """Asking answers the same for everybody; who exists gets a link in a mail, which works once."""
    async with httpx.AsyncClient(base_url=mailing.url, trust_env=False) as client:
        asked = [
            await client.post("/v1/auth/password-reset", json={"email": email})
            for email in ("nobody@example.org", "developer@example.org")
        ]
        (mail,) = await arrived(mails, 1)
        found = re.search(rf"{re.escape(mailing.url)}/app/reset#(\S+)", mail.message.get_content())
        assert found is not None, mail.message.get_content()
        body = {"token": found[1], "password": NEW}
        reset, again = [await client.post("/v1/auth/password-reset/confirm", json=body) for _ in range(2)]

        assert [(answer.status_code, answer.content) for answer in asked] == [(204, b"")] * 2
        assert mail.recipients == ["developer@example.org"]
        assert (reset.status_code, again.status_code) == (204, 410)
        assert (await sign_in(client, "developer", NEW)).status_code == 200
        _, told = await arrived(mails, 2)
        assert "was changed" in told.message["Subject"]
