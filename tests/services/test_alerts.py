"""Alerts of a budget: each fires once in a month, when its threshold is reached and not before, whoever charges."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import OrganizationRow
from qstore_appliance.database.tables.alerts import FiredAlertRow
from qstore_appliance.database.tables.costs import BudgetRow
from qstore_appliance.database.tables.outbox import OutboxRow
from qstore_appliance.deliveries.receivers import Receivers
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.alerts import worded
from qstore_appliance.domain.costs import CostEvent
from qstore_appliance.domain.events import Event
from qstore_appliance.domain.outbox import Channel
from qstore_appliance.errors import Conflict, Forbidden, ValidationFailed, WebhookForbidden
from qstore_appliance.services.alerts import Alerts
from qstore_appliance.services.costs import Costs
from qstore_appliance.services.outbox import Outbox
from qstore_appliance.services.webhooks import signature, slack_text
from qstore_appliance.settings import Settings, Webhooks
from tests.deliveries.test_receivers import PUBLIC, Names
from tests.factories import SteppingClock, make_caller

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
DOLLAR = 1_000_000
EMAIL = {"threshold": 75, "action": "email", "recipients": ["admin@example.com", "ada@example.com"]}
SLACK = {"threshold": 90, "action": "slack", "webhook": "https://hooks.slack.com/services/T0/B0/secret"}
WEBHOOK = {"threshold": 90, "action": "webhook", "webhook": "https://hooks.example/budget"}
PAUSE = {"threshold": 100, "action": "pause_new_jobs"}


class Treasury:
    """An organization with a budget of a hundred dollars, and what charges it."""

    def __init__(self, database: Database, settings: Settings, clock: SteppingClock) -> None:
        self.database, self.clock = database, clock
        self.caller: Caller = make_caller("admin")
        self.names = Names(hooks_example=[[PUBLIC]], hooks_slack_com=[[PUBLIC]])
        receivers = Receivers(Webhooks(allow=("10.0.0.0/8:9000",)), self.names)
        self.outbox = Outbox(database, clock, settings, {})

        async def spend(organization_id: str) -> int:
            return await self.costs.month_spend(organization_id)

        #: What whoever listens to notifications hears.
        self.news: list[Event] = []
        self.alerts = Alerts(database, self.outbox, receivers, clock, spend, self.news.append)
        self.costs = Costs(database, clock, self.alerts)

    @property
    def id(self) -> str:
        return self.caller.organization_id

    async def furnish(self, *alerts: dict[str, Any], limit: int | None = 100) -> None:
        await OrganizationRow.create(id=self.id, name="Analytical Engines")
        await BudgetRow.create(
            organization_id=self.id, monthly_limit=None if limit is None else limit * DOLLAR, alerts=list(alerts)
        )

    async def charge(self, micros: int) -> None:
        async with self.database.transaction():
            await self.costs.record(
                CostEvent(
                    id=ids.new("cost"),
                    organization_id=self.id,
                    user_id=self.caller.user_id,
                    event_type="training",
                    backend="native",
                    amount=micros,
                    circuits=1,
                    shots=0,
                )
            )

    async def change(self, **values: Any) -> None:
        """As `PUT /v1/budget` does."""
        async with self.database.transaction():
            await BudgetRow.filter(organization_id=self.id).update(**values)
            await self.alerts.changed(self.id)

    async def told(self) -> list[tuple[str, str, int]]:
        rows = await OutboxRow.filter(organization_id=self.id).order_by("id")
        return [(row.kind, row.destination, row.payload["data"]["threshold"]) for row in rows]


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock(NOON)


@pytest.fixture
def treasury(database: Database, settings: Settings, clock: SteppingClock) -> Treasury:
    return Treasury(database, settings, clock)


async def test_thresholds_fire_when_they_are_reached(treasury: Treasury) -> None:
    """Not a micro-dollar too early, exactly once, and to everybody whom the alert names."""
    await treasury.furnish(EMAIL, SLACK, WEBHOOK, PAUSE)
    await treasury.charge(75 * DOLLAR - 1)
    assert await treasury.told() == []
    await treasury.charge(1)
    mails = [("email", "admin@example.com", 75), ("email", "ada@example.com", 75)]
    assert sorted(await treasury.told()) == sorted(mails)
    await treasury.charge(1)
    assert len(await treasury.told()) == 2
    await treasury.charge(50 * DOLLAR)

    told = await treasury.told()
    called = [("slack", SLACK["webhook"], 90), ("webhook", WEBHOOK["webhook"], 90)]
    assert sorted(told) == sorted([*mails, *called])
    assert await treasury.alerts.fired(treasury.id, "2026-11") == {75, 90, 100}
    assert await treasury.alerts.fired(treasury.id, "2026-12") == set()


async def test_who_listens_hears_of_it(treasury: Treasury) -> None:
    """Each threshold once, whatever its action, once the charge is saved and never where that is undone; no figures."""
    await treasury.furnish(EMAIL, SLACK, PAUSE)

    async def undone() -> None:
        async with treasury.database.transaction():
            await treasury.charge(80 * DOLLAR)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await undone()
    assert treasury.news == []
    async with treasury.database.transaction():
        await treasury.charge(95 * DOLLAR)
        assert treasury.news == []
    assert [one.data.message.split("reached ")[1] for one in treasury.news] == [
        "75 % of the budget.",
        "90 % of the budget.",
    ]
    await treasury.charge(6 * DOLLAR)
    await treasury.charge(1)

    last = treasury.news[2]
    assert len(treasury.news) == 3
    assert (last.organization_id, last.channel, last.data.kind) == (treasury.id, "notifications", "budget.alert")
    assert (last.data.about, last.data.timestamp) == (treasury.id, NOON)


async def test_what_receivers_are_told(treasury: Treasury) -> None:
    """The message has the organization's name and the numbers at that charge; its id is the letter's."""
    await treasury.furnish(WEBHOOK)
    await treasury.charge(91_250_000)

    (row,) = await OutboxRow.all()
    assert row.payload == {
        "id": row.id,
        "event": "budget.alert",
        "created_at": "2026-11-30T12:00:00Z",
        "organization": {"id": treasury.id, "name": "Analytical Engines"},
        "data": {
            "month": "2026-11",
            "threshold": 90,
            "percentage_used": 91.25,
            "current_spend": 91.25,
            "monthly_limit": 100.0,
            "remaining": 8.75,
        },
    }
    subject, text = worded(row.payload)
    assert subject == "Analytical Engines has spent 91.25 % of its monthly budget"
    assert "91.25 of 100.00 US dollars (91.25 %) are spent in 2026-11; 8.75 remain." in text


async def test_each_month_anew(treasury: Treasury, clock: SteppingClock) -> None:
    """At the turn of the month, in UTC, every threshold is armed again."""
    await treasury.furnish(WEBHOOK)
    await treasury.charge(95 * DOLLAR)
    clock.advance(hours=11, minutes=59)
    await treasury.charge(DOLLAR)
    assert len(await treasury.told()) == 1
    clock.advance(minutes=1)
    await treasury.charge(89 * DOLLAR)
    assert len(await treasury.told()) == 1
    await treasury.charge(DOLLAR)

    assert len(await treasury.told()) == 2
    assert await treasury.alerts.fired(treasury.id, "2026-12") == {90}


async def test_a_raised_limit_arms_again(treasury: Treasury) -> None:
    """Raising the limit arms the thresholds above the new percentage, and only those."""
    low = {**WEBHOOK, "threshold": 40}
    await treasury.furnish(low, WEBHOOK)
    await treasury.charge(95 * DOLLAR)
    assert len(await treasury.told()) == 2
    await treasury.change(monthly_limit=200 * DOLLAR)

    assert await treasury.alerts.fired(treasury.id, "2026-11") == {40}
    await treasury.charge(85 * DOLLAR)
    assert sorted(threshold for _, _, threshold in await treasury.told()) == [40, 90, 90]


async def test_a_limit_that_was_raised_unnoticed(treasury: Treasury) -> None:
    """A limit that was raised in the database alone arms again with the next charge."""
    await treasury.furnish(WEBHOOK)
    await treasury.charge(95 * DOLLAR)
    await BudgetRow.filter(organization_id=treasury.id).update(monthly_limit=1_000 * DOLLAR)
    await treasury.charge(1)

    assert await treasury.alerts.fired(treasury.id, "2026-11") == set()


async def test_a_lowered_limit_fires_at_once(treasury: Treasury) -> None:
    """A limit below what is spent already fires without waiting for a further charge."""
    await treasury.furnish(WEBHOOK)
    await treasury.charge(50 * DOLLAR)
    await treasury.change(monthly_limit=50 * DOLLAR)

    assert len(await treasury.told()) == 1


async def test_corrections_make_nobody_hear_twice(treasury: Treasury) -> None:
    """Spend that a correction takes back below a threshold, and that reaches it again, fires no second time."""
    await treasury.furnish(WEBHOOK)
    await treasury.charge(91 * DOLLAR)
    await treasury.charge(-5 * DOLLAR)
    await treasury.charge(5 * DOLLAR)

    assert len(await treasury.told()) == 1


@pytest.mark.parametrize("limit", [None, 0])
async def test_without_a_limit(treasury: Treasury, limit: int | None) -> None:
    """Without a limit nothing is a share of it; of a limit of nothing the first micro-dollar is everything."""
    await treasury.furnish(WEBHOOK, limit=limit)
    await treasury.charge(1)

    assert len(await treasury.told()) == (0 if limit is None else 1)


async def test_an_alert_falls_with_its_charge(treasury: Treasury) -> None:
    """An alert of a charge that was rolled back has not fired, and fires when the charge comes again."""
    await treasury.furnish(WEBHOOK)

    async def charge_for_what_breaks() -> None:
        async with treasury.database.transaction():
            await treasury.charge(95 * DOLLAR)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await charge_for_what_breaks()
    assert await treasury.told() == []
    await treasury.charge(95 * DOLLAR)

    assert len(await treasury.told()) == 1


async def test_two_hundred_charges_at_once(treasury: Treasury) -> None:
    """Two hundred charges of half a percent each, at the same time, fire each of four thresholds exactly once."""
    thresholds = [10, 50, 90, 100]
    await treasury.furnish(*({**WEBHOOK, "threshold": one} for one in thresholds))

    await asyncio.gather(*(treasury.charge(DOLLAR // 2) for _ in range(200)))

    assert await treasury.costs.month_spend(treasury.id) == 100 * DOLLAR
    assert sorted(threshold for _, _, threshold in await treasury.told()) == thresholds
    assert await FiredAlertRow.all().count() == len(thresholds)
    # None was early: the numbers in each message are of a charge that had reached it.
    for row in await OutboxRow.all():
        assert row.payload["data"]["percentage_used"] == row.payload["data"]["threshold"]


async def test_other_organizations_are_not_told(database: Database, settings: Settings, clock: SteppingClock) -> None:
    """A charge moves the budget of its own organization."""
    one, two = Treasury(database, settings, clock), Treasury(database, settings, clock)
    await one.furnish(WEBHOOK)
    await two.furnish(WEBHOOK)
    await one.charge(95 * DOLLAR)

    assert (len(await one.told()), len(await two.told())) == (1, 0)


async def test_saving_checks_addresses(treasury: Treasury) -> None:
    """Addresses are checked when alerts are saved; a name without an address is kept as unverified."""
    unknown = {**WEBHOOK, "webhook": "https://later.example/"}
    kept = await treasury.alerts.checked([EMAIL, SLACK, WEBHOOK, {**PAUSE, "recipients": None}, unknown])

    assert kept == [EMAIL, SLACK, WEBHOOK, PAUSE, {**unknown, "unverified": True}]
    for webhook in ("https://127.0.0.1/", "http://hooks.example/", "https://10.0.0.1/"):
        with pytest.raises(WebhookForbidden, match=r"alerts\[1\]\.webhook") as caught:
            await treasury.alerts.checked([EMAIL, {**WEBHOOK, "webhook": webhook}])
        assert caught.value.details == {"field": "alerts[1].webhook"}
    opened = {**WEBHOOK, "webhook": "http://10.1.2.3:9000/"}
    assert await treasury.alerts.checked([opened]) == [opened]
    with pytest.raises(WebhookForbidden):
        await treasury.alerts.checked([{**opened, "action": "slack"}])
    with pytest.raises(ValidationFailed):
        await treasury.alerts.checked([{**EMAIL, "recipients": ["a@b.example\r\nBcc: c@d.example"]}])


async def test_a_test_message(treasury: Treasury) -> None:
    """A test goes once to each destination, whatever number of alerts names it, and fires nothing."""
    await treasury.furnish(EMAIL, {**EMAIL, "threshold": 80}, SLACK, PAUSE)

    sent = await treasury.alerts.test(treasury.caller)

    assert [(one.kind, one.destination) for one in sent] == [
        (Channel.EMAIL, "admin@example.com"),
        (Channel.EMAIL, "ada@example.com"),
        (Channel.SLACK, SLACK["webhook"]),
    ]
    assert {row.event for row in await OutboxRow.all()} == {"budget.test"}
    assert [row.id for row in await OutboxRow.all().order_by("id")] == sorted(one.id for one in sent)
    assert await FiredAlertRow.all().count() == 0
    with pytest.raises(Forbidden):
        await treasury.alerts.test(make_caller("developer", organization_id=treasury.id))


async def test_nobody_to_test(treasury: Treasury) -> None:
    """Without an alert that tells anybody there is nothing to test."""
    with pytest.raises(Conflict):
        await treasury.alerts.test(treasury.caller)
    await treasury.furnish(PAUSE)
    with pytest.raises(Conflict):
        await treasury.alerts.test(treasury.caller)


def test_names_are_words_in_slack() -> None:
    """An organization's name calls no channel, links nowhere and is no template."""
    name = "<!channel> & <https://evil.example|us>\n{{ 7 * 7 }} {0}"
    content = {
        "event": "budget.alert",
        "organization": {"id": "org_a", "name": name},
        "data": {
            "month": "2026-11",
            "threshold": 80,
            "percentage_used": 81.0,
            "current_spend": 81.0,
            "monthly_limit": 100.0,
            "remaining": 19.0,
        },
    }

    text = slack_text(content)

    assert "&lt;!channel&gt; &amp; &lt;https://evil.example|us&gt; {{ 7 * 7 }} {0}" in text
    assert "<" not in text


def test_the_signature_is_the_documents() -> None:
    """The signature is HMAC-SHA256 over the timestamp, a dot and the body, as `openssl dgst` makes it."""
    # printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_test
    assert signature("whsec_test", "1700000000", b'{"a":1}') == (
        "sha256=38877139021993b830af32feea6e18a8da83eb2f6e49ee50bd9e4cf4ca4d3789"
    )
