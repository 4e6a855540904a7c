"""The WebSocket: who gets in, what they hear, in which order, and when they have to leave."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from qstore_appliance.api import assembler
from qstore_appliance.api.live import socket
from qstore_appliance.api.live.subscriptions import MAX_SUBSCRIPTIONS
from qstore_appliance.database.tables.jobs import JobEventRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import ApiKeyDraft
from qstore_appliance.domain.events import COST_UPDATES, CostUpdate, Event
from qstore_appliance.domain.members import MemberPatch
from tests.api.conftest import Served
from tests.api.listening import tell
from tests.factories import PASSWORD, make_job_row

PATIENCE = 5.0


class Client:
    """A WebSocket client that speaks JSON and does not wait for ever."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._waiting: list[dict[str, Any]] = []

    async def say(self, **frame: Any) -> None:
        await self.connection.send(json.dumps(frame))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            return json.loads(await self.connection.recv())

    async def ask(self, **frame: Any) -> dict[str, Any]:
        await self.say(**frame)
        return await self.hear()

    async def events(self, count: int) -> list[dict[str, Any]]:
        while len(self._waiting) < count:
            frame = await self.hear()
            assert frame["type"] in ("event", "events"), frame
            self._waiting += frame["events"] if frame["type"] == "events" else [frame]
        found, self._waiting = self._waiting[:count], self._waiting[count:]
        return found

    async def closed(self) -> int:
        """The code with which the server closes, whatever it says before."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionClosed):
                async for _ in self.connection:
                    pass
        assert self.connection.close_code is not None
        return self.connection.close_code


Open = Callable[..., Any]


@pytest_asyncio.fixture
async def open_socket(served: Served) -> AsyncIterator[Open]:
    """`await open_socket("owner")`: a connection that has authenticated; `open_socket(None)`: one that has not."""
    async with AsyncExitStack() as stack:

        async def opened(role: str | None = "owner", **more: Any) -> Client:
            address = served.url.replace("http", "ws") + "/v1/ws"
            client = Client(await stack.enter_async_context(connect(address, proxy=None, **more)))
            if role is not None:
                answer = await client.ask(type="auth", token=served.token(role))
                assert answer["type"] == "authenticated"
            return client

        yield opened


@pytest_asyncio.fixture
async def job(served: Served) -> str:
    row = await make_job_row(await served.caller("owner"))
    return str(row.id)


# Getting in ------------------------------------------------------------------------------------------------------


async def test_a_token_or_a_key_opens_the_door(served: Served, open_socket: Open) -> None:
    """The first frame authenticates: an access token, also with the word Bearer, or an API key."""
    key = await served.appliance.accounts.create_key(
        await served.caller("owner"), ApiKeyDraft(name="k", scopes=["jobs:read"])
    )
    for frame in ({"token": f"Bearer {served.token('viewer')}"}, {"api_key": key.key}, {"token": key.key}):
        client = await open_socket(None)

        answer = await client.ask(type="auth", **frame)

        assert answer["type"] == "authenticated"
        assert answer["organization_id"] == (await served.caller("owner")).organization_id


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "auth", "token": "nonsense"},
        {"type": "auth", "api_key": "qsk_live_" + "a" * 24},
        {"type": "auth"},
        {"type": "auth", "token": "a", "api_key": "b"},
        {"type": "subscribe", "channel": "job.progress", "job_id": "job_x"},
        {"type": "nothing"},
    ],
)
async def test_anything_else_first_is_the_end(open_socket: Open, frame: dict[str, Any]) -> None:
    """Wrong credentials, or another frame before them: an error, then 4401."""
    client = await open_socket(None)

    answer = await client.ask(**frame)

    assert answer["type"] == "error"
    assert await client.closed() == 4401


async def test_who_says_nothing_is_sent_away(open_socket: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials in time the connection closes with 4408."""
    monkeypatch.setattr(socket, "AUTH_SECONDS", 0.1)

    client = await open_socket(None)

    assert await client.closed() == 4408


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1.evil.example", "https://127.0.0.1"]
)
async def test_other_pages_are_kept_out(open_socket: Open, origin: str) -> None:
    """A browser that comes from another page gets 403 at the handshake, whatever it would say then."""
    with pytest.raises(InvalidStatus) as refused:
        await open_socket(None, origin=origin)

    assert refused.value.response.status_code == 403


async def test_the_dashboard_comes_in_by_its_cookie(served: Served, open_socket: Open) -> None:
    """With the session's cookie and our own origin no auth frame is needed; with the cookie alone it is 403."""
    value, _ = await served.appliance.sessions.sign_in_cookie(
        "owner@example.org", PASSWORD, address="127.0.0.1", agent="tests"
    )
    cookie = {"Cookie": f"__Host-qstore={value}"}

    client = await open_socket(None, origin=served.url, additional_headers=cookie)
    with pytest.raises(InvalidStatus) as refused:
        await open_socket(None, additional_headers=cookie)

    assert (await client.hear())["type"] == "authenticated"
    assert refused.value.response.status_code == 403


# Hearing ---------------------------------------------------------------------------------------------------------


async def test_events_come_in_order_with_their_numbers(served: Served, open_socket: Open, job: str) -> None:
    """Progress and metrics of a job arrive as the specification prints them, each with a growing number."""
    client = await open_socket("viewer")
    assert (await client.ask(type="subscribe", channel="job.progress", job_id=job))["seq"] == 0
    assert (await client.ask(type="subscribe", channel="job.metrics", job_id=job))["type"] == "subscribed"

    await tell(served, job, range(1, 6))
    events = await client.events(10)

    progress = [event for event in events if event["channel"] == "job.progress"]
    metrics = [event for event in events if event["channel"] == "job.metrics"]
    assert [event["data"]["current_epoch"] for event in progress] == [1, 2, 3, 4, 5]
    assert [event["seq"] for event in progress] == [2, 5, 8, 11, 14]
    assert [event["seq"] for event in metrics] == [3, 6, 9, 12, 15]
    assert set(progress[0]["data"]) >= {"job_id", "status", "total_epochs", "current_loss", "eta_seconds", "timestamp"}
    assert metrics[0]["data"]["metrics"] == {"loss": 1.0, "accuracy": 0.5, "val_loss": None, "val_accuracy": None}


async def test_who_returns_misses_nothing_and_hears_nothing_twice(served: Served, open_socket: Open, job: str) -> None:
    """With `last_seq` the missed events come first, then the live ones, without a gap or a repetition."""
    first = await open_socket()
    await first.ask(type="subscribe", channel="job.progress", job_id=job)
    await tell(served, job, range(1, 4))
    last_seq = (await first.events(3))[-1]["seq"]
    await first.connection.close()
    await tell(served, job, range(4, 8))

    again = await open_socket()
    telling = asyncio.create_task(tell(served, job, range(8, 30)))
    answer = await again.ask(type="subscribe", channel="job.progress", job_id=job, last_seq=last_seq)
    events = await again.events(26)
    await telling

    assert (answer["type"], answer["stream"]) == ("subscribed", job)
    assert [event["data"]["current_epoch"] for event in events] == list(range(4, 30))


async def test_a_lost_window_is_told(served: Served, open_socket: Open, job: str) -> None:
    """Where the missed events are gone, or the number is from elsewhere, a reset says where the stream is now."""
    await tell(served, job, range(1, 4))
    await JobEventRow.filter(job_id=job, seq__lt=8).delete()
    for last_seq in (2, 999):
        client = await open_socket()
        await client.ask(type="subscribe", channel="job.progress", job_id=job, last_seq=last_seq)

        answer = await client.hear()

        assert (answer["type"], answer["seq"], answer["job_id"]) == ("reset", 9, job)


async def test_a_slow_reader_is_caught_up(
    served: Served, open_socket: Open, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events that the bus dropped for a slow subscriber come from the stored ones, in order."""
    client = await open_socket()
    await client.ask(type="subscribe", channel="job.progress", job_id=job)
    monkeypatch.setattr("qstore_appliance.events.memory.WAITING", 3)

    publish = served.appliance.events.publish
    kept: list[Event] = []

    async def hold(event: Event) -> None:
        kept.append(event)

    monkeypatch.setattr(served.appliance.events, "publish", hold)
    await tell(served, job, range(1, 31))
    # All at once, without a moment for the subscription to read.
    for coroutine in [publish(event) for event in kept]:
        await coroutine

    assert [event["data"]["current_epoch"] for event in await client.events(30)] == list(range(1, 31))


async def test_unsubscribed_is_silent(served: Served, open_socket: Open, job: str) -> None:
    """After unsubscribing nothing more comes from the channel."""
    client = await open_socket()
    await client.ask(type="subscribe", channel="job.progress", job_id=job)
    assert (await client.ask(type="unsubscribe", channel="job.progress", job_id=job))["type"] == "unsubscribed"

    await tell(served, job, range(1, 3))

    assert await client.ask(type="ping", id=7) == {"type": "pong", "id": 7}


async def test_cost_updates_have_a_stream_of_their_own(served: Served, open_socket: Open) -> None:
    """A channel without stored events counts in a stream; whoever returns to another stream is told to start again."""
    caller = await served.caller("owner")
    client = await open_socket()
    answer = await client.ask(type="subscribe", channel="cost.updates", stream="stream_old", last_seq=4)
    again = await client.hear()
    update = CostUpdate(current_spend=1.5, budget_limit=None, percentage_used=None, timestamp=datetime.now(UTC))

    await served.appliance.events.publish(
        Event(organization_id=caller.organization_id, channel=COST_UPDATES, subject="", seq=77, data=update)
    )
    event = (await client.events(1))[0]

    assert answer["stream"] == again["stream"] != "stream_old"
    assert again["type"] == "reset"
    assert (event["seq"], event["data"]["current_spend"]) == (1, 1.5)


# What is refused -------------------------------------------------------------------------------------------------


async def test_jobs_of_others_do_not_exist(open_socket: Open, job: str) -> None:
    """A job of another organization, no job and nonsense are answered alike."""
    client = await open_socket("stranger")
    for id in (job, ids.new("job"), "x' OR 1=1"):
        answer = await client.ask(type="subscribe", channel="job.progress", job_id=id)

        assert (answer["type"], answer["error"]["code"], answer["job_id"]) == ("error", "NOT_FOUND", id)
        assert answer["error"]["message"] == "No job with this id."


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "MALFORMED"),
        ("[]", "VALIDATION_ERROR"),
        ('{"type": "subscribe", "channel": "job.secrets", "job_id": "x"}', "VALIDATION_ERROR"),
        ('{"type": "subscribe", "channel": "job.progress"}', "VALIDATION_ERROR"),
        ('{"type": "subscribe", "channel": "cost.updates", "job_id": "x"}', "VALIDATION_ERROR"),
        ('{"type": "ping", "more": 1}', "VALIDATION_ERROR"),
        ('{"type": "auth", "token": "x"}', "CONFLICT"),
        ('{"type": "ping", "id": ' + "[" * 9000, "VALIDATION_ERROR"),
    ],
    ids=["half", "list", "no such channel", "no job", "a job too many", "unknown field", "auth again", "deep"],
)
async def test_bad_frames_leave_the_connection(open_socket: Open, text: str, code: str) -> None:
    """A frame that makes no sense is answered with an error, and the connection goes on."""
    client = await open_socket()
    await client.connection.send(text)

    assert (await client.hear())["error"]["code"] == code
    assert (await client.ask(type="ping"))["type"] == "pong"


async def test_without_the_scope_there_is_nothing_to_hear(served: Served, open_socket: Open, job: str) -> None:
    """A key without jobs:read may connect and not listen."""
    key = await served.appliance.accounts.create_key(
        await served.caller("owner"), ApiKeyDraft(name="k", scopes=["circuits:read"])
    )
    client = await open_socket(None)
    await client.ask(type="auth", api_key=key.key)

    answer = await client.ask(type="subscribe", channel="job.progress", job_id=job)

    assert answer["error"]["code"] == "FORBIDDEN"


async def test_a_hundred_subscriptions_and_no_more(
    served: Served, open_socket: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hundred and first subscription is refused; another look at an open one is not."""
    monkeypatch.setattr(assembler, "MESSAGES_PER_SECOND", 1000)
    caller = await served.caller("owner")
    jobs = [str((await make_job_row(caller)).id) for _ in range(MAX_SUBSCRIPTIONS + 1)]
    client = await open_socket()
    for id in jobs:
        await client.say(type="subscribe", channel="job.progress", job_id=id)
    answers = [await client.hear() for _ in jobs]

    assert sum(answer["type"] == "subscribed" for answer in answers) == MAX_SUBSCRIPTIONS
    assert [answer["error"]["code"] for answer in answers if answer["type"] == "error"] == ["CONFLICT"]
    assert (await client.ask(type="subscribe", channel="job.progress", job_id=jobs[0]))["type"] == "subscribed"


async def test_floods_and_giants_are_cut_off(open_socket: Open) -> None:
    """More than 50 messages a second: 1008. A frame above 64 KB: 1009. A binary frame: 1003."""
    flood, giant, binary = await open_socket(), await open_socket(), await open_socket()
    for _ in range(60):
        await flood.say(type="ping")
    await giant.connection.send("x" * 70_000)
    await binary.connection.send(b"{}")

    assert await flood.closed() == 1008
    assert await giant.closed() == 1009
    assert await binary.closed() == 1003


async def test_text_that_is_none(open_socket: Open) -> None:
    """Bytes that are not UTF-8 in a text frame: 1007."""
    client = await open_socket()
    await client.connection.send(b"\xff\xfe", text=True)

    assert await client.closed() == 1007


# Having to leave -------------------------------------------------------------------------------------------------


async def test_authority_lost_is_noticed_within_a_second(served: Served, open_socket: Open) -> None:
    """Signing out, or revoking the key, closes its open connections with 4401."""
    owner = await served.caller("owner")
    key = await served.appliance.accounts.create_key(owner, ApiKeyDraft(name="k", scopes=["jobs:read"]))
    by_token, by_key = await open_socket("developer"), await open_socket(None)
    await by_key.ask(type="auth", api_key=key.key)

    await served.appliance.sessions.sign_out(await served.caller("developer"))
    await served.appliance.accounts.revoke_key(owner, key.id)
    start = asyncio.get_running_loop().time()

    assert [await by_token.closed(), await by_key.closed()] == [4401, 4401]
    assert asyncio.get_running_loop().time() - start < 2.2


async def test_who_is_kept_out_hears_no_more(served: Served, open_socket: Open) -> None:
    """Who is kept out of the organization, or removed, loses open connections within a second, those by key too."""
    admin, developer = await served.caller("admin"), await served.caller("developer")
    key = await served.appliance.accounts.create_key(developer, ApiKeyDraft(name="k", scopes=["jobs:read"]))
    by_token, by_key, viewer = await open_socket("developer"), await open_socket(None), await open_socket("viewer")
    await by_key.ask(type="auth", api_key=key.key)

    await served.appliance.members.change(admin, developer.user_id, MemberPatch(disabled=True))
    await served.appliance.members.remove(admin, (await served.caller("viewer")).user_id)

    assert [await one.closed() for one in (by_token, by_key, viewer)] == [4401, 4401, 4401]


async def test_the_servers_end_is_said(served: Served, open_socket: Open, job: str) -> None:
    """A server that stops closes its connections with 1001, at once."""
    client = await open_socket()
    await client.ask(type="subscribe", channel="job.progress", job_id=job)
    start = asyncio.get_running_loop().time()
    stopping = asyncio.create_task(served.server.stop())

    assert await client.closed() == 1001
    await stopping
    assert asyncio.get_running_loop().time() - start < 2
