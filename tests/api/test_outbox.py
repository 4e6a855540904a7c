"""Over HTTP: test messages, the outbox, and the secret that webhooks are signed with."""

from __future__ import annotations

import dataclasses
from typing import Any

import httpx
import pytest

from qstore_appliance.database.tables.costs import BudgetRow
from qstore_appliance.database.tables.outbox import OutboxRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.outbox import Channel
from qstore_appliance.services.webhooks import signature
from qstore_appliance.settings import Settings, Smtp, Webhooks
from tests.api.conftest import Client, House, Served, serving
from tests.deliveries.receiving import AUTHORITY, mail_server, receiving

SLACK = "https://hooks.slack.com/services/T000/B000/secret"


async def budget(served: Served, *alerts: dict[str, Any]) -> None:
    caller = await served.caller("owner")
    await BudgetRow.create(organization_id=caller.organization_id, monthly_limit=100_000_000, alerts=list(alerts))


def data(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()["data"]


async def test_a_test_message_to_everybody(settings: Settings, house: House) -> None:
    """A test arrives as mail over TLS, at Slack's shape and signed at a webhook, and the outbox has its ids and ends."""
    with receiving() as receiver, mail_server(password="open sesame") as mail:
        url = f"http://127.0.0.1:{receiver.port}/budget"
        settings = dataclasses.replace(
            settings,
            webhooks=Webhooks(allow=(f"127.0.0.1:{receiver.port}",)),
            smtp=Smtp(
                host="localhost",
                port=mail.port,
                sender="lab@example.org",
                authority=AUTHORITY,
                user="lab",
                password="open sesame",
            ),
        )
        async with (
            serving(settings, house) as served,
            httpx.AsyncClient(
                base_url=served.url, headers={"Authorization": f"Bearer {served.token('admin')}"}, trust_env=False
            ) as admin,
        ):
            await budget(
                served,
                {"threshold": 75, "action": "email", "recipients": ["ada@example.com"]},
                {"threshold": 90, "action": "slack", "webhook": url + "/slack"},
                {"threshold": 90, "action": "webhook", "webhook": url},
                {"threshold": 100, "action": "pause_jobs"},
            )
            secret = data(await admin.get("/v1/webhooks/secret"))["secret"]
            sent = data(await admin.post("/v1/budget/alerts/test"), 202)
            await served.appliance.outbox.start()
            while data(await admin.get("/v1/outbox", params={"status": "pending"})):
                pass
            letters = data(await admin.get("/v1/outbox"))
            await served.appliance.outbox.close()

    assert [(one["kind"], one["destination"]) for one in sent] == [
        ("email", "ada@example.com"),
        ("slack", f"http://127.0.0.1:{receiver.port}/…"),
        ("webhook", f"http://127.0.0.1:{receiver.port}/…"),
    ]
    assert {one["id"] for one in letters} == {one["id"] for one in sent}
    for letter in letters:
        assert (letter["status"], letter["attempts"], letter["event"]) == ("delivered", 1, "budget.test")
        assert letter["next_attempt_at"] is None
        assert letter["delivered_at"]
    got = {one.path: one for one in receiver.received}
    assert httpx.Response(200, content=got["/budget/slack"].body).json()["text"].startswith("This is a test of")
    hook = got["/budget"]
    assert hook.headers["X-QStore-Event"] == "budget.test"
    assert hook.headers["X-QStore-Delivery"] == sent[2]["id"]
    assert hook.headers["X-QStore-Signature"] == signature(secret, hook.headers["X-QStore-Timestamp"], hook.body)
    (mailed,) = mail.mails
    assert (mailed.tls, mailed.user, mailed.recipients) == (True, "lab", ["ada@example.com"])
    assert mailed.message["Subject"] == "Test of the budget alerts of Analytical Engines"
    assert "0.00 of 100.00 US dollars (0 %) are spent" in mailed.message.get_content()


async def test_nothing_to_test(owner: httpx.AsyncClient) -> None:
    """Without an alert that tells anybody a test is 409."""
    assert (await owner.post("/v1/budget/alerts/test")).status_code == 409


async def test_dead_letters(served: Served, client: Client) -> None:
    """A dead letter is listed with its reason and without the address's path, and tried again on request."""
    caller, admin = await served.caller("admin"), client("admin")
    outbox, dead = served.appliance.outbox, ids.new("outbox")
    await outbox.put(caller.organization_id, Channel.SLACK, SLACK, "budget.alert", {}, dead)
    await outbox.put(caller.organization_id, Channel.EMAIL, "a@b.example", "budget.alert", {}, ids.new("outbox"))
    await OutboxRow.filter(id=dead).update(status="dead", attempts=12, last_error="The receiver answered 404.")

    answer = await admin.get("/v1/outbox", params={"status": "dead"})

    (letter,) = data(answer)
    assert answer.json()["meta"]["total"] == 1
    assert (letter["id"], letter["destination"]) == (dead, "https://hooks.slack.com/…")
    assert (letter["attempts"], letter["last_error"]) == (12, "The receiver answered 404.")
    assert "secret" not in answer.text
    again = data(await admin.post(f"/v1/outbox/{dead}/retry"))
    assert (again["status"], again["attempts"]) == ("pending", 0)
    assert (await admin.get("/v1/outbox", params={"status": "lost"})).status_code == 422


@pytest.mark.parametrize("role", ["viewer", "developer"])
async def test_who_may_not(client: Client, role: str) -> None:
    """Messages, secrets and tests are for administrators."""
    for method, path in (
        ("GET", "/v1/outbox"),
        ("POST", "/v1/outbox/x/retry"),
        ("GET", "/v1/webhooks/secret"),
        ("POST", "/v1/webhooks/secret"),
        ("POST", "/v1/budget/alerts/test"),
    ):
        assert (await client(role).request(method, path)).status_code == 403


async def test_secrets(client: Client) -> None:
    """A secret is an organization's, the same until it is replaced, and then another one."""
    first = data(await client("admin").get("/v1/webhooks/secret"))["secret"]

    assert first.startswith("whsec_")
    assert len(first) == 49
    assert data(await client("owner").get("/v1/webhooks/secret"))["secret"] == first
    assert data(await client("stranger").get("/v1/webhooks/secret"))["secret"] != first
    second = data(await client("admin").post("/v1/webhooks/secret"))["secret"]
    assert second != first
    assert data(await client("owner").get("/v1/webhooks/secret"))["secret"] == second
