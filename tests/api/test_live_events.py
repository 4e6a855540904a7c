"""What the WebSocket tells of money and backends, on both databases: the specification's events, soon and seldom enough."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from qstore_appliance.database.tables.costs import BudgetRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import ApiKeyDraft
from qstore_appliance.domain.alerts import Action
from qstore_appliance.domain.budgets import AlertDraft, BudgetDraft
from qstore_appliance.domain.costs import CostEvent
from qstore_appliance.services.spending import PAUSE_SECONDS
from qstore_appliance.settings import Database as DatabaseSettings
from qstore_appliance.settings import Settings
from tests.api.conftest import House, Served, furnish, serving
from tests.api.test_socket import Client

NATIVE = "backend_native_001"
#: What F24 grants; a hang guard here is ten times that.
WITHIN = 1.0
GUARD = 10 * WITHIN

Open = Callable[..., Any]


@pytest.fixture(params=["sqlite", "postgres"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Settings, House]:
    """A furnished house of this test's own on either database."""
    if request.param == "sqlite":
        return request.getfixturevalue("settings"), request.getfixturevalue("house")
    url = request.getfixturevalue("postgres_url")
    settings = Settings(data_dir=tmp_path / "data", database=DatabaseSettings(url=url))
    return settings, House(settings.data_dir, asyncio.run(furnish(settings)))


@pytest_asyncio.fixture
async def served(installation: tuple[Settings, House]) -> AsyncIterator[Served]:
    """Its backend is not probed by itself."""
    async with serving(*installation) as running:
        await running.appliance.announcements.start()
        yield running


@pytest_asyncio.fixture
async def listen(served: Served) -> AsyncIterator[Open]:
    """`await listen("owner", channel="cost.updates")`: a client that is subscribed."""
    async with AsyncExitStack() as stack:

        async def opened(role: str = "owner", api_key: str | None = None, **subscription: Any) -> Client:
            address = served.url.replace("http", "ws") + "/v1/ws"
            client = Client(await stack.enter_async_context(connect(address, proxy=None)))
            who = {"token": served.token(role)} if api_key is None else {"api_key": api_key}
            assert (await client.ask(type="auth", **who))["type"] == "authenticated"
            answer = await client.ask(type="subscribe", **subscription)
            assert answer["type"] == "subscribed", answer
            return client

        yield opened


async def charge(served: Served, amount: int, role: str = "owner") -> None:
    """Spend some micro-dollars, as an epoch that is saved does."""
    caller = await served.caller(role)
    event = CostEvent(
        id=ids.new("cost"),
        organization_id=caller.organization_id,
        user_id=caller.user_id,
        event_type="training",
        backend="native",
        amount=amount,
        circuits=1,
        shots=0,
        job_id=None,
        model_id=None,
        project=None,
    )
    async with served.appliance.database.transaction():
        await served.appliance.costs.record(event)


async def silent(client: Client) -> None:
    """Nothing was sent to this client: the answer to a ping comes next."""
    assert (await client.ask(type="ping"))["type"] == "pong"


# cost.updates ----------------------------------------------------------------------------------------------------


async def test_a_charge_is_heard(served: Served, listen: Open) -> None:
    """Who listens hears the month's spend with the specification's fields, and the limit once it is set."""
    client = await listen(channel="cost.updates")
    await charge(served, 1_234_560_000)
    (first,) = await client.events(1)
    owner = await served.caller("owner")
    await served.appliance.budgets.update(owner, BudgetDraft(monthly_limit=5000))
    (second,) = await client.events(1)

    assert first["channel"] == "cost.updates"
    moment = datetime.fromisoformat(first["data"].pop("timestamp"))
    assert moment.utcoffset() == timedelta(0)
    assert first["data"] == {"current_spend": 1234.56, "budget_limit": None, "percentage_used": None}
    del second["data"]["timestamp"]
    assert second["data"] == {"current_spend": 1234.56, "budget_limit": 5000.0, "percentage_used": 24.69}
    assert (first["seq"], second["seq"]) == (1, 2)


async def test_a_burst_of_charges_is_a_few_events(served: Served, listen: Open) -> None:
    """However often an organization is charged, it hears of it a few times a second, and at last the whole sum."""
    client = await listen(channel="cost.updates")
    began, heard = time.monotonic(), []
    for _ in range(60):
        await charge(served, 10_000)
    while not heard or heard[-1]["data"]["current_spend"] < 0.6:
        heard += await client.events(1)
    seconds = time.monotonic() - began

    spends = [event["data"]["current_spend"] for event in heard]
    assert spends == sorted(set(spends))
    assert spends[-1] == 0.6
    assert len(heard) <= 2 + seconds / PAUSE_SECONDS


async def test_what_is_undone_is_not_told(served: Served, listen: Open) -> None:
    """A charge whose transaction fails is never heard; nor is one inside a savepoint before all of it is saved."""
    client = await listen(channel="cost.updates")
    with contextlib.suppress(ZeroDivisionError):
        async with served.appliance.database.transaction():
            await charge(served, 5_000_000)
            raise ZeroDivisionError
    async with served.appliance.database.transaction():
        await charge(served, 1_000_000)
        await silent(client)
    (event,) = await client.events(1)

    assert (event["seq"], event["data"]["current_spend"]) == (1, 1.0)


async def test_others_hear_nothing_of_it(served: Served, listen: Open) -> None:
    """Another organization's spend is not heard; a viewer may listen, a key without usage:read may not."""
    stranger, viewer = await listen("stranger", channel="cost.updates"), await listen("viewer", channel="cost.updates")
    await charge(served, 1_000_000)
    await viewer.events(1)

    await silent(stranger)
    draft = ApiKeyDraft(name="k", scopes=["jobs:read", "backends:read"])
    key = await served.appliance.accounts.create_key(await served.caller("owner"), draft)
    client = await listen(api_key=key.key, channel="backend.status", backend_id=NATIVE)
    assert (await client.ask(type="subscribe", channel="cost.updates"))["error"]["code"] == "FORBIDDEN"


async def test_a_limit_of_nothing_is_used_up(served: Served, listen: Open) -> None:
    """A limit of 0 is 100 percent used, as GET /v1/budget says."""
    client = await listen(channel="cost.updates")
    await served.appliance.budgets.update(await served.caller("owner"), BudgetDraft(monthly_limit=0))
    (event,) = await client.events(1)

    assert (event["data"]["budget_limit"], event["data"]["percentage_used"]) == (0.0, 100.0)
    assert (await BudgetRow.get(organization_id=(await served.caller("owner")).organization_id)).spent == 0


async def test_an_alert_of_the_budget_is_a_notification(served: Served, listen: Open) -> None:
    """Who listens to notifications hears that a threshold is reached, once, and strangers do not."""
    alert = AlertDraft(threshold=80, action=Action.PAUSE_NEW_JOBS)
    draft = BudgetDraft(monthly_limit=10, alerts=[alert])
    await served.appliance.budgets.update(await served.caller("owner"), draft)
    viewer = await listen("viewer", channel="notifications")
    stranger = await listen("stranger", channel="notifications")
    await charge(served, 8_000_000)
    await charge(served, 1)
    (event,) = await viewer.events(1)

    organization = (await served.caller("owner")).organization_id
    assert (event["data"]["kind"], event["data"]["about"]) == ("budget.alert", organization)
    assert event["data"]["message"] == "The month's spend has reached 80 % of the budget."
    await silent(viewer)
    await silent(stranger)


# backend.status --------------------------------------------------------------------------------------------------


async def heard(client: Client) -> dict[str, Any]:
    async with asyncio.timeout(GUARD):
        (event,) = await client.events(1)
    assert event["channel"] == "backend.status"
    assert event["backend_id"] == NATIVE
    return dict(event["data"])


async def test_every_change_of_status_is_heard(served: Served, listen: Open) -> None:
    """Found working, failing at its provider, answering again, in maintenance and out of it, gone: each is one event."""
    backends, operator = served.appliance.backends, await served.caller("owner")
    client = await listen("viewer", channel="backend.status", backend_id=NATIVE)
    assert await backends.states() == ({"native": "starting"}, None)

    await backends.probed()
    first = await heard(client)
    told = [first["status"]]
    backends.degrade("native", "Its breaker is open.")
    told.append((await heard(client))["status"])
    backends.degrade("native", None)
    told.append((await heard(client))["status"])
    end = served.appliance.clock.now() + timedelta(hours=1)
    await backends.maintain(operator, "native", None, end)
    told.append((await heard(client))["status"])
    await backends.clear_maintenance(operator, "native")
    told.append((await heard(client))["status"])

    assert told == ["available", "degraded", "available", "maintenance", "available"]
    assert set(first) == {"backend_id", "status", "queue_depth", "avg_latency_ms", "timestamp"}
    assert (first["backend_id"], first["queue_depth"], first["avg_latency_ms"]) == (NATIVE, 0, None)
    assert datetime.fromisoformat(first["timestamp"]).utcoffset() == timedelta(0)


async def test_a_failing_provider_is_told_from_a_jobs_thread(served: Served, listen: Open) -> None:
    """Whatever thread finds out that a provider fails: it is heard, in every organization."""
    await served.appliance.backends.probed()
    ours = await listen(channel="backend.status", backend_id=NATIVE)
    theirs = await listen("stranger", channel="backend.status", backend_id=NATIVE)
    # The probe that was just over may be told yet.
    threading.Thread(target=served.appliance.backends.degrade, args=("native", "Its breaker is open.")).start()

    for client in (ours, theirs):
        while (await heard(client))["status"] != "degraded":
            pass


async def test_a_window_that_begins_is_heard(served: Served, listen: Open) -> None:
    """Nobody does anything at the moment at which a planned maintenance begins or ends; it is heard all the same."""
    backends = served.appliance.backends
    await backends.probed()
    owner = await served.caller("owner")
    client = await listen(channel="backend.status", backend_id=NATIVE)
    begin = served.appliance.clock.now() + timedelta(seconds=0.5)
    end = begin + timedelta(seconds=4)
    await backends.maintain(owner, "native", begin, end)
    told: dict[str, datetime] = {}
    while list(told)[-2:] != ["maintenance", "available"]:
        data = await heard(client)
        told.pop(data["status"], None)
        told[data["status"]] = datetime.fromisoformat(data["timestamp"])

    assert begin <= told["maintenance"] < end <= told["available"]


async def test_what_is_told_twice_is_heard_once(served: Served, listen: Open) -> None:
    """Two servers of one installation announce the same maintenance; a subscriber hears of it once."""
    backends, announcements = served.appliance.backends, served.appliance.announcements
    await backends.probed()
    client = await listen(channel="backend.status", backend_id=NATIVE)
    backends.degrade("native", "Its breaker is open.")
    while (await heard(client))["status"] != "degraded":
        pass
    announcements._known.clear()
    announcements.tell()
    await asyncio.sleep(0.1)

    await silent(client)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"channel": "backend.status"}, "VALIDATION_ERROR"),
        ({"channel": "backend.status", "backend_id": "backend_nobody_001"}, "NOT_FOUND"),
        ({"channel": "backend.status", "backend_id": NATIVE, "job_id": "job_1"}, "VALIDATION_ERROR"),
        ({"channel": "cost.updates", "backend_id": NATIVE}, "VALIDATION_ERROR"),
        ({"channel": "job.progress", "backend_id": NATIVE}, "VALIDATION_ERROR"),
    ],
    ids=["no backend", "unknown", "a job too many", "a backend too many", "no job"],
)
async def test_bad_subscriptions(listen: Open, frame: dict[str, str], code: str) -> None:
    """A subscription that makes no sense is refused, and names what it was about."""
    client = await listen(channel="cost.updates")
    answer = await client.ask(type="subscribe", **frame)

    assert (answer["type"], answer["error"]["code"], answer["channel"]) == ("error", code, frame["channel"])
    await silent(client)
