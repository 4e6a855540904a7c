# ruff: noqa: F811 - fixtures of another room, by their names.
"""A47: getting more out of a bucket than is in it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import pytest_asyncio

from qstore_appliance.limits.memory import MemoryBucket
from qstore_appliance.limits.redis import RedisBucket
from qstore_appliance.settings import Limits, Queue, Settings
from qstore_appliance.settings import Server as ServerSettings
from tests.api.conftest import House, Served, house, serving, settings  # noqa: F401
from tests.servers import Redis

pytestmark = pytest.mark.attack("A47")

SIZE = 100
BURST = 1_000


@pytest.fixture(params=["memory", "redis"])
def queue(request: pytest.FixtureRequest) -> Queue:
    return Queue(url=request.getfixturevalue("redis_url") if request.param == "redis" else "")


@pytest_asyncio.fixture
async def tight(settings: Settings, house: House, queue: Queue) -> AsyncIterator[Served]:
    """A server with small buckets, in memory or in Redis."""
    small = dataclasses.replace(settings, limits=Limits(key=SIZE, user=SIZE, address=SIZE), queue=queue)
    async with serving(small, house) as running:
        yield running


async def statuses(served: Served, count: int, path: str, headers: dict[str, str]) -> list[httpx.Response]:
    """The answers to this many requests, two hundred of them at any moment, each on a connection of its own."""
    gate = asyncio.Semaphore(200)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    sent = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}Connection: close\r\n\r\n".encode()

    async def one() -> httpx.Response:
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.settings.server.port)
            with contextlib.closing(writer):
                writer.write(sent)
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        pairs = [tuple(line.split(": ", 1)) for line in rest]
        return httpx.Response(int(first.split(" ")[1]), headers=pairs, content=body)

    return list(await asyncio.gather(*(one() for _ in range(count))))


@pytest.mark.parametrize("kind", ["memory", "redis"])
async def test_a_thousand_at_once_on_a_bucket(
    request: pytest.FixtureRequest, kind: str, record_property: Callable[[str, object], None]
) -> None:
    """Of a thousand takers of the same moment exactly the bucket's size gets something, but for what refills meanwhile."""
    bucket = MemoryBucket(clock=lambda: 0.0) if kind == "memory" else RedisBucket(request.getfixturevalue("redis_url"))
    try:
        # A bucket of 50 refills by half a token a second.
        loop = asyncio.get_running_loop()
        began = loop.time()
        taken = await asyncio.gather(*(bucket.take("k", 50) for _ in range(BURST)))
        refilled = 0.0 if kind == "memory" else (loop.time() - began) / 2
        allowed = sum(one.allowed for one in taken)
        assert 50 <= allowed <= 50 + int(refilled)
        assert {one.limit for one in taken} == {50}
        assert all(one.retry_after > 0 for one in taken if not one.allowed)
        record_property("report", f"limiter, {BURST} takers at once, {kind}: {allowed} of 50 allowed")
    finally:
        await bucket.close()


async def test_a_thousand_requests_at_once(tight: Served) -> None:
    """Through the whole server: the bucket and what refills meanwhile (a token a second), headers and all."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    answers = await statuses(tight, BURST, "/v1/users/me", {"Authorization": f"Bearer {tight.token('viewer')}"})
    seconds = loop.time() - began
    allowed = [answer for answer in answers if answer.status_code == 200]

    assert SIZE <= len(allowed) <= SIZE + int(seconds) + 1
    for answer in answers:
        assert answer.headers["X-RateLimit-Limit"] == str(SIZE)
        if answer.status_code != 200:
            assert answer.status_code == 429
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.headers["X-RateLimit-Remaining"] == "0"


async def test_nobody_signs_in_while_redis_is_away(
    settings: Settings,
    house: House,
    redis_server: Redis,
    redis_url: str,
) -> None:
    """Taking Redis away gives no further guesses: signing in is 503 until it is back, and who is in goes on."""
    there = dataclasses.replace(settings, queue=Queue(url=redis_url))
    grant = {"grant_type": "password", "email": "viewer@example.org", "password": "correct horse battery"}
    async with serving(there, house) as served:
        async with httpx.AsyncClient(base_url=served.url, trust_env=False, timeout=60) as client:
            before = await client.post("/v1/auth/token", json=grant)
            redis_server.stop()
            away = await client.post("/v1/auth/token", json=grant)
            reading = await client.get("/v1/circuits", headers={"Authorization": f"Bearer {served.token('viewer')}"})
            redis_server.start()
            back = await client.post("/v1/auth/token", json=grant)

    assert (before.status_code, away.status_code, reading.status_code, back.status_code) == (200, 503, 200, 200)
    assert int(away.headers["Retry-After"]) > 0


@pytest.mark.parametrize("trusted", [(), ("192.0.2.0/24",), ("127.0.0.1",), ("127.0.0.0/8", "192.0.2.0/24")])
async def test_claimed_addresses(settings: Settings, house: House, trusted: tuple[str, ...]) -> None:
    """Addresses in X-Forwarded-For count where the operator trusts the proxy, and then the last one that is no proxy."""
    server = ServerSettings(trusted_proxies=trusted)
    small = dataclasses.replace(settings, server=server, limits=Limits(address=5))
    found = []
    async with serving(small, house) as served:
        for number in range(8):
            headers = {"X-Forwarded-For": f"198.51.100.{number}, 203.0.113.{number}, 192.0.2.1"}
            found += [answer.status_code for answer in await statuses(served, 1, "/v1/users/me", headers)]

    # With the whole chain trusted each claim is a client of its own; else all are the proxy, or whoever is connected.
    assert found.count(429) == (0 if len(trusted) == 2 else 3)


@pytest.mark.parametrize(
    "path", ["/v1/users/me", "/V1/users/me", "//v1/users/me", "/v1/users/me/", "/app", "/v1/ws", "/x"]
)
async def test_spellings_share_a_bucket(settings: Settings, house: House, path: str) -> None:
    """Another spelling, another page, another kind of wrong key: all of it is the address's one bucket."""
    small = dataclasses.replace(settings, limits=Limits(address=5))
    async with serving(small, house) as served:
        first = await statuses(served, 6, "/v1/circuits", {"X-API-Key": "qsk_live_" + "a" * 24})
        then = await statuses(served, 1, path, {"X-API-Key": "qsk_test_" + "b" * 24})

    assert [answer.status_code for answer in first].count(429) == 1
    assert then[0].status_code == 429
