"""Event buses: in memory and over Redis, one behaviour."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from qstore_appliance.domain.events import (
    BACKEND_STATUS,
    COST_UPDATES,
    DEPLOYMENT_STATUS,
    EVERYBODY,
    JOB_LOGS,
    JOB_METRICS,
    JOB_PROGRESS,
    NOTIFICATIONS,
    BackendUpdate,
    CostUpdate,
    Data,
    DeploymentUpdate,
    Event,
    JobLog,
    JobMetrics,
    JobProgress,
    Metrics,
    Notification,
)
from qstore_appliance.errors import Unavailable
from qstore_appliance.events.memory import MemoryEvents
from qstore_appliance.events.redis import RedisEvents
from tests.servers import Redis

Bus = MemoryEvents | RedisEvents
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def progress(seq: int, organization: str = "org_a", job: str = "job_1") -> Event:
    data = JobProgress(
        job_id=job,
        status="running",
        current_epoch=seq,
        total_epochs=100,
        current_loss=0.198,
        best_loss=None,
        eta_seconds=720.0,
        reason=None,
        model_id=None,
        timestamp=NOW,
    )
    return Event(organization_id=organization, channel=JOB_PROGRESS, subject=job, seq=seq, data=data)


@pytest.fixture(params=["memory", "redis"])
def make(request: pytest.FixtureRequest) -> Callable[[], Bus]:
    """Makes buses that reach each other, as processes of one installation do."""
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        return lambda: RedisEvents(url)
    shared = MemoryEvents()
    return lambda: shared


@pytest_asyncio.fixture
async def bus(make: Callable[[], Bus]) -> AsyncIterator[Bus]:
    made = make()
    yield made
    await made.close()


async def take(subscription: object, count: int) -> list[Event]:
    async with asyncio.timeout(5):
        return [await anext(subscription) for _ in range(count)]  # type: ignore[call-overload]


async def test_a_subscriber_receives_in_order_what_was_published(bus: Bus) -> None:
    """Events arrive equal and in order, from the moment the subscription is open."""
    sent = [progress(seq) for seq in range(1, 6)]
    async with bus.subscribe("org_a", JOB_PROGRESS, "job_1") as subscription:
        for event in sent:
            await bus.publish(event)

        assert await take(aiter(subscription), 5) == sent
        assert not subscription.lagged


async def test_only_the_topic_is_heard(bus: Bus) -> None:
    """Another job, another channel or another organization is not heard."""
    async with bus.subscribe("org_a", JOB_PROGRESS, "job_1") as subscription:
        await bus.publish(progress(1, job="job_2"))
        await bus.publish(progress(2, organization="org_b"))
        await bus.publish(
            Event(
                organization_id="org_a",
                channel=JOB_METRICS,
                subject="job_1",
                seq=3,
                data=JobMetrics(job_id="job_1", epoch=1, metrics=Metrics(loss=0.5), timestamp=NOW),
            )
        )
        await bus.publish(progress(4))

        assert [event.seq for event in await take(aiter(subscription), 1)] == [4]


async def test_channels_of_one_subject_come_in_one_order(bus: Bus) -> None:
    """Who listens to several channels at once hears them in the order in which they were published."""
    metrics = JobMetrics(job_id="job_1", epoch=1, metrics=Metrics(loss=0.5), timestamp=NOW)
    sent = [
        progress(seq)
        if seq % 2
        else Event(organization_id="org_a", channel=JOB_METRICS, subject="job_1", seq=seq, data=metrics)
        for seq in range(1, 21)
    ]
    async with bus.subscribe("org_a", JOB_PROGRESS, "job_1", also=[JOB_METRICS]) as subscription:
        async with bus.subscribe("org_a", JOB_METRICS, "job_1") as other:
            for event in sent:
                await bus.publish(event)

            assert await take(aiter(subscription), 20) == sent
            assert len(await take(aiter(other), 10)) == 10
        await bus.publish(sent[1])
        assert await take(aiter(subscription), 1) == [sent[1]]


@pytest.mark.parametrize(
    ("channel", "subject", "data"),
    [
        (
            JOB_METRICS,
            "job_1",
            JobMetrics(job_id="job_1", epoch=7, metrics=Metrics(loss=0.1, accuracy=0.9), timestamp=NOW),
        ),
        (COST_UPDATES, "", CostUpdate(current_spend=1.5, budget_limit=None, percentage_used=None, timestamp=NOW)),
        (JOB_LOGS, "job_1", JobLog(job_id="job_1", level="INFO", message="ψ", timestamp=NOW)),
        (
            BACKEND_STATUS,
            "backend_native_001",
            BackendUpdate(
                backend_id="backend_native_001", status="available", queue_depth=1, avg_latency_ms=None, timestamp=NOW
            ),
        ),
        (
            DEPLOYMENT_STATUS,
            "deploy_1",
            DeploymentUpdate(
                deployment_id="deploy_1", model_id="model_1", status="deployed", replicas=1, reason=None, timestamp=NOW
            ),
        ),
        (NOTIFICATIONS, "", Notification(kind="job.completed", about="job_1", message="Done.", timestamp=NOW)),
    ],
    ids=["metrics", "cost", "logs", "backend", "deployment", "notification"],
)
async def test_every_channel_keeps_its_shape(bus: Bus, channel: str, subject: str, data: Data) -> None:
    """What is published is what is received, whatever the channel, and where it is for everybody."""
    organization = EVERYBODY if channel == BACKEND_STATUS else "org_a"
    event = Event(organization_id=organization, channel=channel, subject=subject, seq=9, data=data)
    async with bus.subscribe(organization, channel, subject) as subscription:
        await bus.publish(event)

        assert await take(aiter(subscription), 1) == [event]


async def test_every_subscriber_hears_it_until_they_leave(bus: Bus) -> None:
    """Two subscribers both hear; when one leaves, the other goes on hearing."""
    async with bus.subscribe("org_a", JOB_PROGRESS, "job_1") as staying:
        async with bus.subscribe("org_a", JOB_PROGRESS, "job_1") as leaving:
            await bus.publish(progress(1))
            assert (await take(aiter(leaving), 1))[0].seq == 1
        await bus.publish(progress(2))

        assert [event.seq for event in await take(aiter(staying), 2)] == [1, 2]


async def test_a_topic_can_be_left_and_joined_again(bus: Bus) -> None:
    """After the last subscriber has left, a new one hears what is published from then on."""
    async with bus.subscribe("org_a", JOB_PROGRESS, "job_1"):
        pass
    async with bus.subscribe("org_a", JOB_PROGRESS, "job_1") as subscription:
        await bus.publish(progress(5))

        assert (await take(aiter(subscription), 1))[0].seq == 5


async def test_a_slow_subscriber_lags_and_nobody_waits(bus: Bus) -> None:
    """Publishing never waits: who does not read loses the oldest events, keeps the newest, and is told."""
    async with bus.subscribe("org_a", JOB_PROGRESS, "job_1") as slow:
        for seq in range(1, 401):
            await bus.publish(progress(seq))
        async with asyncio.timeout(5):
            while not slow.lagged:
                await asyncio.sleep(0.01)
        kept = await take(aiter(slow), 256)
        if isinstance(bus, RedisEvents):
            # What was still on its way was kept or dropped; the newest is never lost.
            while kept[-1].seq != 400:
                kept += await take(aiter(slow), 1)

        assert kept[-1].seq == 400
        assert kept[0].seq > 1


async def test_processes_hear_each_other(make: Callable[[], Bus]) -> None:
    """What one process publishes, a subscriber of another hears."""
    here, there = make(), make()
    async with there.subscribe("org_a", JOB_PROGRESS, "job_1") as subscription:
        await here.publish(progress(1))

        assert (await take(aiter(subscription), 1))[0].seq == 1
    await here.close()
    await there.close()


async def test_a_break_of_redis_is_told_and_mended(redis_server: Redis, redis_url: str) -> None:
    """After Redis was away, subscribers are lagged, since they may have missed something, and hear again."""
    bus = RedisEvents(redis_url)
    async with bus.subscribe("org_a", JOB_PROGRESS, "job_1") as subscription:
        redis_server.stop()
        with pytest.raises(Unavailable):
            await bus.ping()
        await bus.publish(progress(1))
        redis_server.start()
        async with asyncio.timeout(10):
            while True:
                await bus.publish(progress(2))
                try:
                    async with asyncio.timeout(0.2):
                        event = await anext(aiter(subscription))
                        break
                except TimeoutError:
                    continue

        assert subscription.lagged
        assert event.seq == 2
    await bus.close()
