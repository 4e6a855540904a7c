#!/usr/bin/env python3
"""
What a full queue costs whoever submits, and how many events a second reach a WebSocket.

    .venv/bin/python scripts/bench/jobs.py [--queued 1000] [--submits 300] [--events 20000] [--runs 3] [--only submits,events]

Submits go over HTTP to a `qstore serve` without slots, so that what is queued stays queued; each is cancelled again before
the next. One goes to an empty server, the next to a full one, so that whatever else the machine does falls on both.

Events are published in a server's process and counted by a client in another one, at most 200 on their way. Beside them,
in the same run: the same texts over a bare WebSocket, one and 64 in a frame, the same objects through a bare asyncio queue,
the same bytes through bare Redis pub/sub; the best of a few runs counts. Figures of one call are comparable with each other;
across machines only the ratios are. A database or a queue that is not installed is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import httpx
import msgspec
from redis.asyncio import Redis as RedisClient
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from qstore_appliance.api.live import frames
from qstore_appliance.domain.events import JOB_PROGRESS, Event, JobProgress
from qstore_appliance.services.windows import BATCH, Entry
from qstore_appliance.settings import Limits, Queue, Settings
from tests.acceptance.processes import Served, data, serving, small_circuit
from tests.acceptance.test_latency import p95
from tests.api.conftest import House, furnish
from tests.api.conftest import serving as in_process
from tests.factories import make_job_row
from tests.servers import Postgres, Redis, ServerMissing

#: Events that are on their way at the same time: fewer than any queue of ours holds, so that none is dropped.
WINDOW = 200
PATIENCE = 120.0
ROOMY = {"QSTORE_LIMITS__USER": "100000000", "QSTORE_JOBS__SLOTS": "0", "QSTORE_AUTH__ACCESS_SECONDS": "86400"}

spawning = multiprocessing.get_context("spawn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queued", type=int, default=1000, help="jobs that wait while the others are submitted")
    parser.add_argument("--submits", type=int, default=300, help="measured submits on each server")
    parser.add_argument("--events", type=int, default=20_000, help="events of each measurement")
    parser.add_argument("--runs", type=int, default=3, help="runs of the events, of which the best counts")
    parser.add_argument("--only", default="submits,events")
    asked = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} when it began")
    if "submits" in asked.only:
        submits(asked.queued, asked.submits)
    if "events" in asked.only:
        asyncio.run(events(asked.events, asked.runs))


# Submits ---------------------------------------------------------------------------------------------------------


def submits(queued: int, count: int) -> None:
    print(f"\n| POST /v1/jobs | median, ms | p95, ms | p95 with {queued} queued : with 0 |\n|---|---|---|---|")
    for name, environment in databases():
        with (
            tempfile.TemporaryDirectory() as folder,
            environment() as first,
            environment() as second,
            serving(Path(folder) / "empty", **ROOMY, **first) as empty,
            serving(Path(folder) / "full", **ROOMY, **second) as full,
            laboratory(empty) as (client, body),
            laboratory(full) as (crowded, crowded_body),
        ):
            for _ in range(queued):
                data(crowded.post("/v1/jobs", json=crowded_body))
            submit_times(client, body, 20)
            submit_times(crowded, crowded_body, 20)
            alone: list[float] = []
            beside: list[float] = []
            for _ in range(count):
                alone += submit_times(client, body, 1)
                beside += submit_times(crowded, crowded_body, 1)
            waiting = crowded.get("/v1/jobs", params={"status": "queued", "limit": 1}).json()["meta"]["total"]
        if waiting != queued:
            raise SystemExit(f"{waiting} jobs were queued, not {queued}")
        print(f"| {name}, 0 queued | {statistics.median(alone):.1f} | {p95(alone):.1f} | |")
        print(
            f"| {name}, {queued} queued | {statistics.median(beside):.1f} | {p95(beside):.1f} |"
            f" {p95(beside) / p95(alone):.2f} |",
            flush=True,
        )


def databases() -> Iterator[tuple[str, Callable[[], contextlib.AbstractContextManager[dict[str, str]]]]]:
    yield "SQLite", lambda: contextlib.nullcontext({})
    try:
        server = Postgres()
    except ServerMissing as missing:
        print(f"Postgres is left out: {missing}", file=sys.stderr)
        return
    server.start()

    @contextlib.contextmanager
    def database() -> Iterator[dict[str, str]]:
        name = server.create()
        yield {"QSTORE_DATABASE__URL": server.url(name)}
        server.drop(name)

    try:
        yield "Postgres", database
    finally:
        server.close()


@contextlib.contextmanager
def laboratory(server: Served) -> Iterator[tuple[httpx.Client, dict[str, Any]]]:
    """A client, and a job that it submits."""
    with server.client() as client:
        config = {
            "backend": "native",
            "epochs": 3,
            "dataset": {"type": "iris", "features": {"method": "pca", "count": 2}},
        }
        body = {"circuit_id": small_circuit(client), "config": config}
        # The first waits for the backend's first probe.
        data(client.post(f"/v1/jobs/{data(client.post('/v1/jobs', json=body, timeout=90))['job_id']}/cancel"))
        yield client, body


def submit_times(client: httpx.Client, body: dict[str, Any], count: int) -> list[float]:
    """Milliseconds of each of so many submits."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        job = data(client.post("/v1/jobs", json=body))
        times.append(1000 * (time.perf_counter() - began))
        data(client.post(f"/v1/jobs/{job['job_id']}/cancel"))
    return times


# Events ----------------------------------------------------------------------------------------------------------

Publish = Callable[[int], Awaitable[None]]


class Ear:
    """
    A process that counts what arrives.

    Attributes:
        count: So many have arrived.
        times: When each did, by the clock that all processes of a machine share.
    """

    def __init__(self, listen: Callable[..., None], *about: Any, events: int) -> None:
        self.count = spawning.Value("q", 0, lock=False)
        self.times = spawning.Array("d", events + 1, lock=False)
        self.ready = spawning.Event()
        self.process = spawning.Process(target=listen, args=(*about, events, self.count, self.times, self.ready))
        self.process.start()

    async def measured(self, publish: Publish, count: int, pause: float = 0.0) -> tuple[float, list[float]]:
        """Publish so many. Returns: how many a second arrived, and milliseconds on the way of each."""
        await until(self.ready.is_set, self.process)
        sent = [0.0] * (count + 1)
        began = time.monotonic()
        for number in range(1, count + 1):
            while number - self.count.value > WINDOW:  # noqa: ASYNC110 - another process counts
                await asyncio.sleep(0.0002)
            sent[number] = time.monotonic()
            await publish(number)
            if pause or number % 16 == 0:
                await asyncio.sleep(pause)
        await until(lambda: self.count.value >= count, self.process)
        rate = count / (self.times[count] - began)
        await asyncio.to_thread(self.process.join)
        return rate, [1000 * (self.times[number] - sent[number]) for number in range(1, count + 1)]


async def until(fact: Callable[[], bool], process: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not fact():
            if process.exitcode:
                raise SystemExit("the client ended early")
            await asyncio.sleep(0.001)


def hear_socket(url: str, hello: list[dict[str, Any]], events: int, count: Any, times: Any, ready: Any) -> None:
    """A WebSocket client that says a few frames, then takes events."""

    async def listen() -> None:
        async with connect(url, proxy=None, max_queue=None) as connection:
            for frame in hello:
                await connection.send(json.dumps(frame))
                answer = json.loads(await connection.recv())
                assert answer["type"] in ("authenticated", "subscribed"), answer
            ready.set()
            while count.value < events:
                frame = json.loads(await connection.recv())
                now = time.monotonic()
                assert frame["type"] in ("event", "events"), frame
                for event in frame["events"] if frame["type"] == "events" else [frame]:
                    assert event["seq"] == count.value + 1, event
                    times[count.value + 1] = now
                    count.value += 1

    asyncio.run(listen())


def hear_redis(url: str, topic: str, events: int, count: Any, times: Any, ready: Any) -> None:
    """A bare subscriber of Redis."""

    async def listen() -> None:
        client = RedisClient.from_url(url)
        pubsub = client.pubsub()
        await pubsub.subscribe(topic)
        while count.value < events:
            message = await pubsub.get_message(timeout=30.0)
            if message is None or message["type"] == "subscribe":
                ready.set()
                continue
            times[count.value + 1] = time.monotonic()
            count.value += 1
        await pubsub.aclose()
        await client.aclose()

    asyncio.run(listen())


def progress(organization_id: str, job_id: str, seq: int) -> Event:
    update = JobProgress(
        job_id=job_id,
        status="running",
        current_epoch=seq,
        total_epochs=100_000,
        current_loss=0.198,
        best_loss=0.17,
        eta_seconds=720.0,
        reason=None,
        model_id=None,
        timestamp=datetime.now(UTC),
    )
    return Event(organization_id=organization_id, channel=JOB_PROGRESS, subject=job_id, seq=seq, data=update)


async def events(count: int, runs: int) -> None:
    """The best of a few runs, in which all take their turns."""
    rates: dict[str, float] = {}
    ways: dict[str, tuple[float, float]] = {}

    def keep(name: str, rate: float, way: tuple[float, float] | None = None) -> None:
        rates[name] = max(rate, rates.get(name, 0.0))
        if way is not None:
            ways[name] = min(way, ways.get(name, way))

    with contextlib.ExitStack() as stack:
        redis = None
        try:
            redis = stack.enter_context(contextlib.closing(Redis()))
            redis.start()
        except ServerMissing as missing:
            print(f"Redis is left out: {missing}", file=sys.stderr)
        for _ in range(runs):
            keep("bare asyncio queue, no socket", await bare_queue(count))
            keep("bare WebSocket, an event a frame", await bare_socket(count, 1))
            keep(f"bare WebSocket, {BATCH} events a frame", await bare_socket(count, BATCH))
            keep("bus in memory, to `/v1/ws`", *await through_bus("", count))
            if redis is not None:
                keep("bare Redis pub/sub", await bare_redis(redis.url(), count))
                keep("bus over Redis, to `/v1/ws`", *await through_bus(redis.url(), count))
    print("\n| events to one subscriber | a second | p50, ms | p99, ms |\n|---|---|---|---|")
    for name, rate in rates.items():
        p50, p99 = (f"{way:.2f}" for way in ways[name]) if name in ways else ("", "")
        print(f"| {name} | {rate:,.0f} | {p50} | {p99} |")
    memory, socket = rates["bus in memory, to `/v1/ws`"], rates["bare WebSocket, an event a frame"]
    print(f"\nbus in memory : bare WebSocket with an event a frame = {memory / socket:.2f}")
    if "bare Redis pub/sub" in rates:
        over = rates["bus over Redis, to `/v1/ws`"] / rates["bare Redis pub/sub"]
        print(f"bus over Redis : bare Redis pub/sub = {over:.2f}")


async def through_bus(redis: str, count: int) -> tuple[float, tuple[float, float]]:
    """A second, flat out; and p50 and p99 on the way at 200 a second."""
    async with house(redis) as (served, caller):
        url = served.url.replace("http", "ws") + "/v1/ws"

        async def measured(events: int, pause: float = 0.0) -> Any:
            # A job of its own for each: the numbers of a job never begin anew.
            job_id = str((await make_job_row(caller)).id)
            hello = [
                {"type": "auth", "token": served.token("owner")},
                {"type": "subscribe", "channel": JOB_PROGRESS, "job_id": job_id},
            ]

            async def publish(number: int) -> None:
                await served.appliance.events.publish(progress(caller.organization_id, job_id, number))

            return await Ear(hear_socket, url, hello, events=events).measured(publish, events, pause=pause)

        rate, _ = await measured(count)
        _, ways = await measured(1000, 0.005)
        ways.sort()
    return rate, (statistics.median(ways), ways[-len(ways) // 100])


@contextlib.asynccontextmanager
async def house(redis: str) -> AsyncIterator[tuple[Any, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            data_dir=Path(folder) / "data", limits=Limits(address=100_000, user=100_000), queue=Queue(url=redis)
        )
        tokens = await furnish(settings)
        async with in_process(settings, House(settings.data_dir, tokens)) as served:
            yield served, await served.caller("owner")


async def bare_queue(count: int) -> float:
    waiting: asyncio.Queue[Event] = asyncio.Queue(WINDOW)

    async def take() -> None:
        for _ in range(count):
            await waiting.get()

    taking = asyncio.create_task(take())
    began = time.monotonic()
    for number in range(count):
        await waiting.put(progress("org_1", "job_1", number))
    await taking
    return count / (time.monotonic() - began)


async def bare_socket(count: int, batch: int) -> float:
    """Texts that are written already, so many events in each."""
    opened: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def handle(connection: ServerConnection) -> None:
        opened.put_nowait(connection)
        await connection.wait_closed()

    async with serve(handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        ear = Ear(hear_socket, f"ws://127.0.0.1:{port}", [], events=count)
        connection = await opened.get()
        shown = [Entry(seq, msgspec.json.encode(progress("org_1", "job_1", seq).data)) for seq in range(1, count + 1)]
        # Each with the number of its last event: it is sent when that one is due.
        texts = {
            start + len(part): frames.events(JOB_PROGRESS, "job_1", part).decode()
            for start in range(0, count, batch)
            for part in (shown[start : start + batch],)
        }

        async def send(number: int) -> None:
            if number in texts:
                await connection.send(texts[number])

        rate, _ = await ear.measured(send, count)
    return rate


async def bare_redis(url: str, count: int) -> float:
    client = RedisClient.from_url(url)
    content = msgspec.json.encode(progress("org_1", "job_1", 1))
    ear = Ear(hear_redis, url, "bare", events=count)

    async def publish(number: int) -> None:
        await client.publish("bare", content)

    rate, _ = await ear.measured(publish, count)
    await client.aclose()
    return rate


if __name__ == "__main__":
    main()
