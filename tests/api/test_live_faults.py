"""Live doors under fault: storms, restarts, stalled and vanished clients, floods of subscriptions."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from qstore_appliance.api.live import connections
from qstore_appliance.domain import ids
from qstore_appliance.services import feeds, tokens
from tests.api.conftest import Client, House, Served, serving
from tests.api.listening import tell, written
from tests.factories import make_job_row

PATIENCE = 30.0


class Follower:
    """A client that follows a job's progress, and comes back with its last number however often it is cut off."""

    def __init__(self, served: Served, job: str) -> None:
        self.address = served.url.replace("http", "ws") + "/v1/ws"
        self.token = served.token("viewer")
        self.job = job
        self.last: int | None = None
        self.epochs: list[int] = []
        self.resets = 0

    async def open(self, stack: AsyncExitStack) -> ClientConnection:
        connection = await stack.enter_async_context(connect(self.address, proxy=None))
        await connection.send(json.dumps({"type": "auth", "token": self.token}))
        frame = {"type": "subscribe", "channel": "job.progress", "job_id": self.job}
        await connection.send(json.dumps(frame if self.last is None else {**frame, "last_seq": self.last}))
        return connection

    def hear(self, text: str | bytes) -> None:
        frame = json.loads(text)
        if frame["type"] == "subscribed" and self.last is None:
            self.last = frame["seq"]
        self.resets += frame["type"] == "reset"
        for event in frame.get("events", [frame]):
            if event["type"] == "event":
                self.last = event["seq"]
                self.epochs.append(event["data"]["current_epoch"])

    async def follow(self, until: int, cut_after: int) -> None:
        """Until an epoch; the connection is cut, without a word, after every so many frames."""
        while not self.epochs or self.epochs[-1] < until:
            with contextlib.suppress(ConnectionClosed, OSError):
                async with AsyncExitStack() as stack:
                    connection = await self.open(stack)
                    heard = 0
                    async for text in connection:
                        self.hear(text)
                        heard += 1
                        if self.epochs and self.epochs[-1] >= until:
                            return
                        if heard >= cut_after:
                            connection.transport.abort()


@pytest_asyncio.fixture
async def job(served: Served) -> str:
    return str((await make_job_row(await served.caller("owner"))).id)


async def open_socket(served: Served, **more: Any) -> ClientConnection:
    connection = await connect(served.url.replace("http", "ws") + "/v1/ws", proxy=None, **more)
    await connection.send(json.dumps({"type": "auth", "token": served.token("owner")}))
    assert json.loads(await connection.recv())["type"] == "authenticated"
    return connection


async def closed(connection: ClientConnection) -> int | None:
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionClosed):
            async for _ in connection:
                pass
    return connection.close_code


async def test_a_storm_of_reconnections(served: Served, job: str) -> None:
    """Twenty clients that are cut off again and again while events flow: none misses one, none hears one twice."""
    followers = [Follower(served, job) for _ in range(20)]
    async with asyncio.timeout(PATIENCE * 4):
        storm = [asyncio.create_task(follower.follow(80, 3 + number)) for number, follower in enumerate(followers)]
        while any(follower.last is None for follower in followers):
            await asyncio.sleep(0.01)
        await tell(served, job, range(1, 81))
        await asyncio.gather(*storm)

    for follower in followers:
        assert follower.epochs == list(range(1, 81))
        assert follower.resets == 0


async def test_a_restart_in_the_middle_of_a_stream(served: Served, house: House, job: str) -> None:
    """The server goes while events flow, some of them saved and never sent; who comes back gets every one."""
    follower = Follower(served, job)
    follower.last = 0
    async with asyncio.timeout(PATIENCE):
        following = asyncio.create_task(follower.follow(40, 10_000))
        await tell(served, job, range(1, 21))
        await written(served, job, range(21, 26))
        await served.server.stop()
    async with serving(served.settings, house, port=served.settings.server.port) as again, asyncio.timeout(PATIENCE):
        await tell(again, job, range(26, 41))
        await following

    assert follower.epochs == list(range(1, 41))


async def test_a_stalled_reader_harms_nobody(served: Served, job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes nothing holds a bounded amount, is passed over, and is dropped; the others hear everything."""
    monkeypatch.setattr(connections, "STUCK_SECONDS", 0.5)
    small = sockets.socket()
    small.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    small.setblocking(False)
    await asyncio.get_running_loop().sock_connect(small, ("127.0.0.1", served.settings.server.port))
    stalled = await open_socket(served, sock=small, max_queue=1)
    healthy = await open_socket(served)
    for connection in (stalled, healthy):
        await connection.send(json.dumps({"type": "subscribe", "channel": "job.logs", "job_id": job}))
        assert json.loads(await connection.recv())["type"] == "subscribed"
    stalled.transport.pause_reading()

    heard, count = 0, 0
    guests = served.server.app.ctx.connections
    async with asyncio.timeout(PATIENCE):
        while len(guests) > 1 or heard < count:
            if len(guests) > 1:
                await shout(served, job)
                count += 1
            while heard < count:
                frame = json.loads(await healthy.recv())
                heard += len(frame.get("events", [frame]))

    assert count == heard
    stalled.transport.abort()
    await healthy.close()


async def shout(served: Served, job: str) -> None:
    """A line as long as lines may be."""
    from qstore_appliance.services.journal import MAX_MESSAGE, Journal, Line

    caller = await served.caller("owner")
    journal = Journal(served.appliance.events, served.appliance.clock)
    async with served.appliance.database.transaction():
        events = await journal.record(caller.organization_id, job, [Line("x" * MAX_MESSAGE)])
    await journal.publish(events)


async def test_a_reader_that_was_slow_goes_on_where_it_was(
    served: Served, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who takes nothing for a while, and then again, gets all of it, in order, from window and rows."""
    monkeypatch.setattr("qstore_appliance.services.windows.MOST_EVENTS", 8)
    small = sockets.socket()
    small.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    small.setblocking(False)
    await asyncio.get_running_loop().sock_connect(small, ("127.0.0.1", served.settings.server.port))
    slow = await open_socket(served, sock=small, max_queue=1)
    await slow.send(json.dumps({"type": "subscribe", "channel": "job.logs", "job_id": job}))
    assert json.loads(await slow.recv())["type"] == "subscribed"
    slow.transport.pause_reading()
    for _ in range(150):
        await shout(served, job)
    slow.transport.resume_reading()

    numbers: list[int] = []
    async with asyncio.timeout(PATIENCE):
        while len(numbers) < 150:
            frame = json.loads(await slow.recv())
            numbers += [event["seq"] for event in frame.get("events", [frame])]

    assert numbers == list(range(1, 151))
    await slow.close()


async def test_ten_thousand_subscriptions_are_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for thousands gets a hundred, an error for each further one, and is cut off for flooding."""
    connection = await open_socket(served)
    caller = await served.caller("owner")
    jobs = [str((await make_job_row(caller)).id) for _ in range(120)]

    async def flood() -> None:
        with contextlib.suppress(ConnectionClosed):
            for number in range(10_000):
                frame = {"type": "subscribe", "channel": "job.progress", "job_id": jobs[number % 120]}
                await connection.send(json.dumps(frame))

    flooding = asyncio.create_task(flood())
    assert await closed(connection) == 1008
    await flooding

    monkeypatch.setattr("qstore_appliance.api.assembler.MESSAGES_PER_SECOND", 100_000)
    monkeypatch.setattr("qstore_appliance.api.assembler.FRAMES_PER_SECOND", 100_000)
    patient = await open_socket(served)
    answers = {"subscribed": 0, "error": 0}
    for job in jobs:
        await patient.send(json.dumps({"type": "subscribe", "channel": "job.progress", "job_id": job}))
        answers[json.loads(await patient.recv())["type"]] += 1

    assert answers == {"subscribed": 100, "error": 20}
    await patient.close()


async def test_subscriptions_to_what_is_not_there_leave_nothing_behind(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guessed and foreign ids are answered alike, and cost the server no feed."""
    monkeypatch.setattr("qstore_appliance.api.assembler.MESSAGES_PER_SECOND", 100_000)
    connection = await open_socket(served)
    foreign = str((await make_job_row(await served.caller("stranger"))).id)
    for id in [foreign, *(ids.new("job") for _ in range(200))]:
        await connection.send(json.dumps({"type": "subscribe", "channel": "job.progress", "job_id": id}))
        answer = json.loads(await connection.recv())
        assert (answer["type"], answer["error"]["code"], answer["error"]["message"]) == (
            "error",
            "NOT_FOUND",
            "No job with this id.",
        )

    assert not served.appliance.feeds._feeds
    await connection.close()


async def test_a_megabyte_in_one_frame_or_in_many(served: Served) -> None:
    """A frame of a megabyte, or fragments that add up to one, close the connection with 1009; a flood of bits with 1008."""
    for size, count, code in ((1_000_000, 1, {1009}), (60_000, 17, {1009}), (1, 1000, {1008})):
        connection = await open_socket(served, write_limit=2_000_000)

        async def parts(size: int = size, count: int = count) -> AsyncIterator[str]:
            for _ in range(count):
                yield "x" * size

        with contextlib.suppress(ConnectionClosed):
            await connection.send("x" * size if count == 1 else parts())
        assert await closed(connection) in code


async def test_half_open_connections_go(settings: Any, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that vanished without a word answers no ping, and its connection and subscriptions end by themselves."""
    from qstore_appliance.api import app

    assert (app.LIMITS["WEBSOCKET_PING_INTERVAL"], app.LIMITS["WEBSOCKET_PING_TIMEOUT"]) == (20, 20)
    monkeypatch.setitem(app.LIMITS, "WEBSOCKET_PING_INTERVAL", 0.2)
    monkeypatch.setitem(app.LIMITS, "WEBSOCKET_PING_TIMEOUT", 0.2)
    monkeypatch.setattr(feeds, "LINGER_SECONDS", 0.1)
    async with serving(settings, house) as served:
        job = str((await make_job_row(await served.caller("owner"))).id)
        connection = await open_socket(served)
        await connection.send(json.dumps({"type": "subscribe", "channel": "job.progress", "job_id": job}))
        await connection.recv()
        # Packets of a machine that lost its network go nowhere: nothing is read, nothing is answered.
        connection.transport.pause_reading()
        guests = served.server.app.ctx.connections
        assert len(guests) == 1
        async with asyncio.timeout(PATIENCE):
            while len(guests) or served.appliance.feeds._feeds:
                await asyncio.sleep(0.05)
        connection.transport.abort()


async def test_a_role_that_shrinks_ends_its_subscriptions(served: Served, job: str) -> None:
    """What a key may not hear any more is unsubscribed; the connection stays for the rest."""
    from qstore_appliance.database.tables.accounts import ApiKeyRow
    from qstore_appliance.domain.accounts import ApiKeyDraft

    owner = await served.caller("owner")
    key = await served.appliance.accounts.create_key(owner, ApiKeyDraft(name="k", scopes=["jobs:read", "usage:read"]))
    connection = await connect(served.url.replace("http", "ws") + "/v1/ws", proxy=None)
    await connection.send(json.dumps({"type": "auth", "api_key": key.key}))
    await connection.recv()
    for frame in ({"channel": "job.progress", "job_id": job}, {"channel": "cost.updates"}):
        await connection.send(json.dumps({"type": "subscribe", **frame}))
        await connection.recv()

    # As another process does it: nothing here is told.
    await ApiKeyRow.filter(id=key.id).update(scopes=["usage:read"])
    async with asyncio.timeout(PATIENCE):
        assert json.loads(await connection.recv()) == {
            "type": "unsubscribed",
            "channel": "job.progress",
            "job_id": job,
        }
        await ApiKeyRow.filter(id=key.id).update(revoked_at=served.appliance.clock.now())
        assert await closed(connection) == 4401


async def test_an_expired_token_closes_every_door(
    served: Served, client: Client, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that expires while its connections are open ends them: WebSocket, Socket.IO, event stream and log."""
    socket = await open_socket(served)
    address = served.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    visitor = await connect(address, proxy=None)
    await visitor.recv()
    await visitor.send("40" + json.dumps({"token": served.token("owner")}))
    assert str(await visitor.recv()).startswith("40")
    owner = client("owner")
    async with (
        owner.stream("GET", f"/v1/events?channels=job.progress:{job}") as events,
        owner.stream("GET", f"/v1/jobs/{job}/logs?follow=true") as log,
    ):
        # Nobody may be that late.
        monkeypatch.setattr(tokens, "LEEWAY_SECONDS", -(10**9))

        assert await closed(socket) == 4401
        assert await closed(visitor) is not None
        async with asyncio.timeout(PATIENCE):
            said = [line async for line in events.aiter_lines()]
            assert "event: bye" in said
            assert not [line async for line in log.aiter_lines() if line.startswith("data:")]
    assert len(served.server.app.ctx.connections) == 0
