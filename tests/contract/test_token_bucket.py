"""Token buckets: in memory and in Redis, one behaviour."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from qstore_appliance.errors import Unavailable
from qstore_appliance.limits import memory
from qstore_appliance.limits.memory import MemoryBucket
from qstore_appliance.limits.redis import RedisBucket
from tests.servers import Redis

Bucket = MemoryBucket | RedisBucket


@pytest_asyncio.fixture(params=["memory", "redis"])
async def bucket(request: pytest.FixtureRequest) -> AsyncIterator[Bucket]:
    made: Bucket = MemoryBucket() if request.param == "memory" else RedisBucket(request.getfixturevalue("redis_url"))
    yield made
    await made.close()


async def test_a_full_bucket_gives_its_size(bucket: Bucket) -> None:
    """A bucket of three gives three tokens and says how many are left."""
    taken = [await bucket.take("k", 3) for _ in range(4)]

    assert [one.allowed for one in taken] == [True, True, True, False]
    assert [one.remaining for one in taken] == [2, 1, 0, 0]
    assert {one.limit for one in taken} == {3}


async def test_a_refusal_says_when(bucket: Bucket) -> None:
    """A bucket of 10 refills by a tenth of a token a second: the next one is there in ten."""
    await bucket.take("k", 10, 10)

    refused = await bucket.take("k", 10)

    assert refused.retry_after == pytest.approx(10, abs=0.5)
    assert refused.reset_after == pytest.approx(100, abs=1)


async def test_buckets_are_apart(bucket: Bucket) -> None:
    """An empty bucket takes nothing from another."""
    await bucket.take("one", 1)

    assert (await bucket.take("other", 1)).allowed


async def test_a_burst_gets_exactly_the_bucket(bucket: Bucket) -> None:
    """Of 60 requests at once against a bucket of 20, exactly 20 pass."""
    taken = await asyncio.gather(*(bucket.take("burst", 20) for _ in range(60)))

    assert sum(one.allowed for one in taken) == 20


async def test_it_refills(bucket: Bucket) -> None:
    """A bucket of 2,000 gives 20 tokens a second."""
    await bucket.take("k", 2000, 2000)
    assert not (await bucket.take("k", 2000, 2)).allowed

    await asyncio.sleep(0.25)

    assert (await bucket.take("k", 2000, 2)).allowed


async def test_asking_for_more_than_there_is_takes_nothing(bucket: Bucket) -> None:
    """A refused request leaves the tokens where they are."""
    assert not (await bucket.take("k", 5, 6)).allowed

    assert (await bucket.take("k", 5, 5)).allowed


async def test_without_redis_each_process_limits_by_itself(redis_server: Redis, redis_url: str) -> None:
    """While Redis is away, requests are limited all the same; afterwards it is used again."""
    bucket = RedisBucket(redis_url)
    redis_server.stop()

    taken = [await bucket.take("k", 2) for _ in range(3)]
    with pytest.raises(Unavailable):
        await bucket.ping()
    redis_server.start()

    assert [one.allowed for one in taken] == [True, True, False]
    assert (await bucket.take("k", 2)).allowed
    await bucket.ping()
    await bucket.close()


async def test_memory_forgets_what_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses that came once do not stay in memory for ever, and those in use stay."""
    now = 0.0
    bucket = MemoryBucket(lambda: now)
    monkeypatch.setattr(memory, "MOST", 10)
    for number in range(10):
        await bucket.take(f"old{number}", 1)

    now = 500.0
    for _ in range(2):
        await bucket.take("busy", 1)
    await bucket.take("new", 1)

    assert set(bucket._buckets) == {"busy", "new"}
