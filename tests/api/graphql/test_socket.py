"""`graphql-transport-ws`: who gets in, what they hear, in which order, and when they have to leave."""

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
from websockets.typing import Subprotocol

from qstore_appliance.api.graphql import socket
from qstore_appliance.database.tables.jobs import JobEventRow
from qstore_appliance.domain import events, ids
from qstore_appliance.domain.accounts import ApiKeyDraft
from qstore_appliance.domain.events import COST_UPDATES, CostUpdate, Event, JobMetrics, JobProgress, Metrics
from qstore_appliance.services.journal import Journal, Line
from tests.api.conftest import Served
from tests.factories import PASSWORD, make_job_row

PATIENCE = 10.0
PROGRESS = "subscription($id: ID!, $seq: BigInt) { jobProgress(jobId: $id, lastSeq: $seq) { status currentEpoch seq } }"
METRICS = "subscription($id: ID!) { trainingMetrics(jobId: $id) { epoch metrics { loss valAccuracy } seq timestamp } }"


class Client:
    """A client that speaks the protocol and does not wait for ever."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, type: str, **more: Any) -> None:
        await self.connection.send(json.dumps({"type": type, **more}))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            return json.loads(await self.connection.recv())

    async def subscribe(self, query: str, id: str = "1", **variables: Any) -> None:
        await self.say("subscribe", id=id, payload={"query": query, "variables": variables})

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
    """`await open_socket("owner")`: a connection that was acknowledged; `open_socket(None)`: one that said nothing yet."""
    async with AsyncExitStack() as stack:

        async def opened(role: str | None = "owner", **more: Any) -> Client:
            more.setdefault("subprotocols", [Subprotocol(socket.PROTOCOL)])
            address = served.url.replace("http", "ws") + "/graphql"
            client = Client(await stack.enter_async_context(connect(address, proxy=None, **more)))
            if role is not None:
                await client.say("connection_init", payload={"token": served.token(role)})
                assert await client.hear() == {"type": "connection_ack"}
            return client

        yield opened


@pytest_asyncio.fixture
async def job(served: Served) -> str:
    row = await make_job_row(await served.caller("owner"), status="running")
    return str(row.id)


async def tell(served: Served, job: str, epochs: range, status: str = "running") -> None:
    """Write and publish what a run writes and publishes for each epoch: a log line, metrics, progress."""
    caller = await served.caller("owner")
    journal = Journal(served.appliance.events, served.appliance.clock)
    for epoch in epochs:
        now = datetime.now(UTC)
        progress = JobProgress(
            job_id=job,
            status=status,
            current_epoch=epoch,
            total_epochs=100,
            current_loss=1 / epoch,
            best_loss=1 / epoch,
            eta_seconds=1.0,
            reason=None,
            model_id=None,
            timestamp=now,
        )
        metrics = JobMetrics(job_id=job, epoch=epoch, metrics=Metrics(loss=1 / epoch, val_accuracy=0.5), timestamp=now)
        async with served.appliance.database.transaction():
            events = await journal.record(caller.organization_id, job, [Line(f"Epoch {epoch}"), metrics, progress])
        await journal.publish(events)


async def listening(served: Served, job: str, channel: str = "job.progress") -> None:
    """Until somebody listens to the job's channel."""
    caller = await served.caller("owner")
    async with asyncio.timeout(PATIENCE):
        while (caller.organization_id, channel, job) not in served.appliance.events._readers:
            await asyncio.sleep(0.01)


# Getting in ------------------------------------------------------------------------------------------------------


async def test_tokens_keys_and_cookies_open_the_door(served: Served, open_socket: Open) -> None:
    """An access token, also with the word Bearer; an API key; the dashboard's cookie from our own pages."""
    owner = await served.caller("owner")
    key = (await served.appliance.accounts.create_key(owner, ApiKeyDraft(name="k", scopes=["jobs:read"]))).key
    value, _ = await served.appliance.sessions.sign_in_cookie(
        "owner@example.org", PASSWORD, address="127.0.0.1", agent="tests"
    )
    cookie = {"Cookie": f"__Host-qstore={value}"}
    for payload, more in (
        ({"token": f"Bearer {served.token('owner')}"}, {}),
        ({"apiKey": key}, {}),
        (None, {"origin": served.url, "additional_headers": cookie}),
    ):
        client = await open_socket(None, **more)
        await client.say("connection_init", payload=payload)
        assert await client.hear() == {"type": "connection_ack"}


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        {"token": "nonsense"},
        {"apiKey": "qsk_live_nonsense"},
        {"token": 1},
        "x",
        {"token": "a", "apiKey": "b"},
    ],
)
async def test_strangers_stay_outside(open_socket: Open, payload: Any) -> None:
    """Without a credential, or with a wrong one, the connection is closed with 4403."""
    client = await open_socket(None)
    await client.say("connection_init", payload=payload)

    assert await client.closed() == 4403


async def test_other_pages_stay_outside(served: Served, open_socket: Open) -> None:
    """A handshake that a foreign page makes, or a cookie from no page at all, is 403."""
    for more in ({"origin": "https://evil.example"}, {"additional_headers": {"Cookie": "__Host-qstore=x"}}):
        with pytest.raises(InvalidStatus) as refused:
            await open_socket(None, **more)
        assert refused.value.response.status_code == 403


async def test_the_order_of_messages(open_socket: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another subprotocol, an operation before the greeting, two greetings, one that never comes: each has its code."""
    monkeypatch.setattr(socket, "INIT_SECONDS", 0.05)
    silent = await open_socket(None)
    assert await silent.closed() == 4408
    monkeypatch.setattr(socket, "INIT_SECONDS", 5.0)
    with pytest.raises(InvalidStatus) as other:
        await open_socket(None, subprotocols=None)
    assert other.value.response.status_code == 400
    early = await open_socket(None)
    await early.subscribe("{ __typename }")
    assert await early.closed() == 4401
    twice = await open_socket()
    await twice.say("connection_init")
    assert await twice.closed() == 4429


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("nonsense", 4400),
        ('{"type": "nonsense"}', 4400),
        ("[]", 4400),
        (b"{}", 4400),
        ('{"type": "subscribe", "payload": {"query": "{__typename}"}}', 4400),
        ('{"type": "subscribe", "id": "", "payload": {"query": "{__typename}"}}', 4400),
        ('{"type": "complete"}', 4400),
        ("[" * 1_000, 4400),
        ("x" * 70_000, 1009),
    ],
)
async def test_what_is_no_message_closes(open_socket: Open, sent: str | bytes, code: int) -> None:
    """What the protocol does not know ends the connection."""
    client = await open_socket()
    await client.connection.send(sent)

    assert await client.closed() == code


async def test_floods_are_cut_off(open_socket: Open) -> None:
    """More than fifty messages in a second end the connection."""
    client = await open_socket()
    with contextlib.suppress(ConnectionClosed):
        for _ in range(500):
            await client.say("ping")

    assert await client.closed() == 1008


# Operations ------------------------------------------------------------------------------------------------------


async def test_queries_and_mutations_come_over_the_socket_too(open_socket: Open) -> None:
    """One operation, one answer, and `complete`; refusals are `error`, and the connection goes on."""
    client = await open_socket()

    await client.subscribe("{ currentUser { email } }", "a")
    assert await client.hear() == {
        "id": "a", "type": "next", "payload": {"data": {"currentUser": {"email": "owner@example.org"}}}
    }  # fmt: skip
    assert await client.hear() == {"type": "complete", "id": "a"}
    for query, code in (("{ nothing }", "VALIDATION_ERROR"), ("{ half", "MALFORMED"), ("x" * 65_000, "MALFORMED")):
        await client.subscribe(query, "b")
        heard = await client.hear()
        assert (heard["type"], heard["id"]) == ("error", "b")
        assert heard["payload"][0]["extensions"]["code"] == code
    await client.say("ping")
    assert await client.hear() == {"type": "pong"}


async def test_an_id_is_used_once_at_a_time(open_socket: Open, job: str) -> None:
    """Two operations of one id are 4409; one that was completed frees its id."""
    client = await open_socket()
    await follow(client, PROGRESS, job, "a")
    await client.say("complete", id="a")
    await client.subscribe("{ __typename }", "a")
    assert (await client.hear())["type"] == "next"
    assert (await client.hear())["type"] == "complete"
    for _ in range(2):
        await follow(client, PROGRESS, job, "a")

    assert await client.closed() == 4409


async def follow(client: Client, query: str, job: str, id: str = "1", **more: Any) -> None:
    await client.say("subscribe", id=id, payload={"query": query, "variables": {"id": job, **more}})


async def test_a_job_is_followed_to_its_end(served: Served, open_socket: Open, job: str) -> None:
    """Every epoch in order with its number; `complete` when the job has ended; nobody listens on afterwards."""
    client = await open_socket("viewer")
    await follow(client, PROGRESS, job, "p")
    await follow(client, METRICS, job, "m")
    await listening(served, job)
    await listening(served, job, "job.metrics")

    await tell(served, job, range(1, 6))
    await tell(served, job, range(6, 7), "completed")
    heard: dict[str, list[Any]] = {"p": [], "m": []}
    while not all(messages and messages[-1]["type"] == "complete" for messages in heard.values()):
        message = await client.hear()
        heard[message["id"]].append(message)

    progress = [message["payload"]["data"]["jobProgress"] for message in heard["p"][:-1]]
    metrics = [message["payload"]["data"]["trainingMetrics"] for message in heard["m"][:-1]]
    assert [one["currentEpoch"] for one in progress] == [one["epoch"] for one in metrics] == [1, 2, 3, 4, 5, 6]
    assert [one["status"] for one in progress] == ["RUNNING"] * 5 + ["COMPLETED"]
    assert metrics[3]["metrics"] == {"loss": 0.25, "valAccuracy": 0.5}
    assert metrics[0]["timestamp"].endswith("Z")
    assert sorted(one["seq"] for one in progress) == [one["seq"] for one in progress]
    assert served.appliance.events._readers == {}


async def test_what_was_missed_comes_first(served: Served, open_socket: Open, job: str) -> None:
    """With `lastSeq` what came after it is sent, then what comes, nothing twice; what is not kept any more is GONE."""
    await tell(served, job, range(1, 4))
    rows = await JobEventRow.filter(job_id=job, channel="job.progress").order_by("seq")
    client = await open_socket()

    await follow(client, PROGRESS, job, seq=rows[0].seq)
    seen = [(await client.hear())["payload"]["data"]["jobProgress"]["currentEpoch"] for _ in range(2)]
    await tell(served, job, range(4, 5))
    seen.append((await client.hear())["payload"]["data"]["jobProgress"]["currentEpoch"])
    await JobEventRow.filter(job_id=job, seq__lte=rows[1].seq).delete()
    await follow(client, PROGRESS, job, "late", seq=0)
    late = await client.hear()

    assert seen == [2, 3, 4]
    assert (late["type"], late["payload"][0]["extensions"]["code"]) == ("error", "GONE")


async def test_a_slow_bus_loses_nothing(served: Served, open_socket: Open, job: str) -> None:
    """Events that the bus dropped for a reader that could not keep up come from the stored ones, in order."""
    client = await open_socket()
    await follow(client, PROGRESS, job)
    await listening(served, job)

    (reader,) = served.appliance.events._readers[(await served.caller("owner")).organization_id, "job.progress", job]
    reader.lagged = True
    await tell(served, job, range(1, 4))
    seen = [(await client.hear())["payload"]["data"]["jobProgress"]["currentEpoch"] for _ in range(3)]

    assert seen == [1, 2, 3]


async def test_an_ended_job_completes_at_once(served: Served, open_socket: Open) -> None:
    """There is nothing to wait for: what was missed, if asked for, and `complete`."""
    ended = await make_job_row(await served.caller("owner"), status="failed")
    client = await open_socket()
    await follow(client, PROGRESS, ended.id)

    assert await client.hear() == {"type": "complete", "id": "1"}


async def test_spend_is_told(served: Served, open_socket: Open) -> None:
    """`costUpdates` tells the organization's own spend, and nobody else's."""
    client = await open_socket("viewer")
    await client.subscribe("subscription { costUpdates { currentSpend budgetLimit percentageUsed } }")
    owner, stranger = await served.caller("owner"), await served.caller("stranger")
    async with asyncio.timeout(PATIENCE):
        while (owner.organization_id, COST_UPDATES, "") not in served.appliance.events._readers:
            await asyncio.sleep(0.01)

    for caller, spent in ((stranger, 666.0), (owner, 1.5)):
        update = CostUpdate(current_spend=spent, budget_limit=10.0, percentage_used=15.0, timestamp=datetime.now(UTC))
        event = Event(organization_id=caller.organization_id, channel=COST_UPDATES, subject="", seq=0, data=update)
        await served.appliance.events.publish(event)

    assert (await client.hear())["payload"] == {
        "data": {"costUpdates": {"currentSpend": 1.5, "budgetLimit": 10.0, "percentageUsed": 15.0}}
    }


async def test_a_backends_status_is_told(served: Served, open_socket: Open) -> None:
    """`backendStatus` tells everybody who may read backends; one that there is not is NOT_FOUND."""
    client = await open_socket("stranger")
    query = "subscription($id: ID!) { backendStatus(backendId: $id) { backendId status avgLatencyMs } }"
    await follow(client, query, "backend_native_001")
    await follow(client, query, "backend_none_001", "none")
    assert (await client.hear())["payload"][0]["extensions"]["code"] == "NOT_FOUND"
    async with asyncio.timeout(PATIENCE):
        while (events.EVERYBODY, events.BACKEND_STATUS, "backend_native_001") not in served.appliance.events._readers:
            await asyncio.sleep(0.01)

    update = events.BackendUpdate(
        backend_id="backend_native_001",
        status="degraded",
        queue_depth=1,
        avg_latency_ms=None,
        timestamp=datetime.now(UTC),
    )
    event = Event(
        organization_id=events.EVERYBODY,
        channel=events.BACKEND_STATUS,
        subject="backend_native_001",
        seq=0,
        data=update,
    )
    for _ in range(2):
        await served.appliance.events.publish(event)
    heard = await client.hear()
    while heard["payload"]["data"]["backendStatus"]["status"] != "DEGRADED":
        heard = await client.hear()

    assert heard["payload"]["data"]["backendStatus"] == {
        "backendId": "backend_native_001", "status": "DEGRADED", "avgLatencyMs": None
    }  # fmt: skip


async def test_other_organizations_jobs_are_not_there(served: Served, open_socket: Open, job: str) -> None:
    """A job of others answers as one that does not exist, or as nonsense does."""
    client = await open_socket("stranger")
    heard = []
    for id in (job, ids.new("job"), "x", "x" * 1_000):
        await follow(client, PROGRESS, id)
        heard.append(await client.hear())

    assert {message["type"] for message in heard} == {"error"}
    assert {message["payload"][0]["extensions"]["code"] for message in heard} == {"NOT_FOUND"}
    assert len({message["payload"][0]["message"] for message in heard}) == 1


async def test_who_may_not_listen_hears_so(served: Served, open_socket: Open) -> None:
    """A key without the permission is refused the subscription, not the connection."""
    owner = await served.caller("owner")
    key = (await served.appliance.accounts.create_key(owner, ApiKeyDraft(name="k", scopes=["jobs:read"]))).key
    client = await open_socket(None)
    await client.say("connection_init", payload={"apiKey": key})
    assert await client.hear() == {"type": "connection_ack"}
    await client.subscribe("subscription { costUpdates { currentSpend } }")

    assert (await client.hear())["payload"][0]["extensions"] == {
        "code": "FORBIDDEN", "details": {"permission": "usage:read"}
    }  # fmt: skip


async def test_a_hundred_operations_and_no_more(served: Served, open_socket: Open, job: str, monkeypatch: Any) -> None:
    """The hundred-and-first operation of a connection is refused; the others go on."""
    monkeypatch.setattr(socket, "MAX_OPERATIONS", 3)
    client = await open_socket()
    for number in range(4):
        await follow(client, PROGRESS, job, str(number))
    refused = await client.hear()

    assert (refused["id"], refused["payload"][0]["extensions"]["code"]) == ("3", "FORBIDDEN")
    await listening(served, job)


# Leaving ---------------------------------------------------------------------------------------------------------


async def test_a_revoked_key_ends_the_connection(served: Served, open_socket: Open, job: str) -> None:
    """Whoever loses their authority is out within a second or two: 4401, and nobody listens for them any more."""
    owner = await served.caller("owner")
    made = await served.appliance.accounts.create_key(owner, ApiKeyDraft(name="k", scopes=["jobs:read"]))
    client = await open_socket(None)
    await client.say("connection_init", payload={"apiKey": made.key})
    assert await client.hear() == {"type": "connection_ack"}
    await follow(client, PROGRESS, job)
    await listening(served, job)

    await served.appliance.accounts.revoke_key(owner, made.id)

    assert await client.closed() == 4401
    async with asyncio.timeout(PATIENCE):
        while served.appliance.events._readers:
            await asyncio.sleep(0.01)


async def test_a_client_that_goes_leaves_nothing(served: Served, open_socket: Open, job: str) -> None:
    """When a client disconnects, its subscriptions end."""
    client = await open_socket()
    for id in ("a", "b"):
        await follow(client, METRICS, job, id)
    await listening(served, job, "job.metrics")
    await client.connection.close()

    async with asyncio.timeout(PATIENCE):
        while served.appliance.events._readers:
            await asyncio.sleep(0.01)


async def test_the_server_says_goodbye(served: Served, open_socket: Open, job: str) -> None:
    """A server that stops closes with 1001, which clients answer by connecting again."""
    client = await open_socket()
    await follow(client, PROGRESS, job)
    await listening(served, job)
    served.server.app.ctx.stopping.set()

    assert await client.closed() == 1001
