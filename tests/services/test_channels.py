"""Channels: in order, without a gap or a repetition, whatever the bus does; and told where that cannot be."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.jobs import JobEventRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller, Role
from qstore_appliance.domain.events import (
    CHANNELS,
    COST_UPDATES,
    DEPLOYMENT_STATUS,
    JOB_LOGS,
    JOB_METRICS,
    JOB_PROGRESS,
    NOTIFICATIONS,
    CostUpdate,
    Event,
)
from qstore_appliance.domain.jobs import Lease
from qstore_appliance.domain.models import DeploymentDraft
from qstore_appliance.errors import Conflict, Forbidden, NotFound, ValidationFailed
from qstore_appliance.events.redis import RedisEvents
from qstore_appliance.services import feeds, windows
from qstore_appliance.services.channels import Channels, Reader, checked
from qstore_appliance.services.journal import Journal, Line
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock
from tests.servers import Redis
from tests.services.laboratory import Laboratory, make_report

PATIENCE = 10.0


class Listening:
    """A reader, and what it has been told."""

    def __init__(self, channels: Channels) -> None:
        self.channels = channels
        self.news = asyncio.Event()
        self.reader: Reader | None = None

    async def open(
        self, caller: Caller, name: str, subject: str | None = None, last: int | None = None, stream: str | None = None
    ) -> tuple[int, bool]:
        opened = await self.channels.open(caller, name, subject, lambda _: self.news.set(), last, stream)
        self.reader = opened.reader
        return opened.seq, opened.anew

    async def hear(self, count: int) -> list[tuple[int, dict[str, object]]]:
        """So many events; a reset is told as an event with the number -1."""
        assert self.reader is not None
        found: list[tuple[int, dict[str, object]]] = []
        async with asyncio.timeout(PATIENCE):
            while len(found) < count:
                entries = self.reader.take()
                if entries is None:
                    entries = await self.reader.earlier()
                if entries is None:
                    found.append((-1, {}))
                elif entries:
                    found += [(entry.seq, msgspec.json.decode(entry.data)) for entry in entries]
                else:
                    await self.news.wait()
                    self.news.clear()
        return found

    async def numbers(self, count: int) -> list[int]:
        return [seq for seq, _ in await self.hear(count)]


@pytest_asyncio.fixture
async def laboratory(database: Database, settings: Settings, clock: SteppingClock) -> AsyncIterator[Laboratory]:
    laboratory = Laboratory(database, settings, clock)
    yield laboratory
    await laboratory.close()


@pytest_asyncio.fixture
async def channels(laboratory: Laboratory) -> AsyncIterator[Channels]:
    opened = feeds.Feeds(laboratory.events)
    yield Channels(opened, laboratory.jobs, laboratory.models, laboratory.backends)
    await opened.close()


@pytest.fixture
def listening(channels: Channels) -> Listening:
    return Listening(channels)


@pytest_asyncio.fixture
async def ada(laboratory: Laboratory) -> Caller:
    return await laboratory.caller()


@pytest_asyncio.fixture
async def lease(laboratory: Laboratory, ada: Caller) -> Lease:
    return (await laboratory.begun(ada))[0]


@pytest.fixture
def job(lease: Lease) -> str:
    return lease.job_id


async def lines(laboratory: Laboratory, ada: Caller, job: str, count: int) -> list[Event]:
    """Lines that are saved and not published."""
    journal = Journal(laboratory.events, laboratory.clock)
    async with laboratory.database.transaction():
        return await journal.record(ada.organization_id, job, [Line(f"line {number}") for number in range(count)])


async def spend(laboratory: Laboratory, ada: Caller, *amounts: float) -> None:
    for amount in amounts:
        data = CostUpdate(
            current_spend=amount, budget_limit=None, percentage_used=None, timestamp=laboratory.clock.now()
        )
        await laboratory.events.publish(
            Event(organization_id=ada.organization_id, channel=COST_UPDATES, subject="", seq=0, data=data)
        )


# Jobs ------------------------------------------------------------------------------------------------------------


async def test_events_in_any_order_are_heard_in_order(
    laboratory: Laboratory, listening: Listening, ada: Caller, job: str
) -> None:
    """Two tasks of a server may publish in another order than they wrote, and an event may come twice."""
    now, _ = await listening.open(ada, JOB_LOGS, job)
    events = await lines(laboratory, ada, job, 30)
    shuffled = [*events, *events[3:7]]
    random.Random(7).shuffle(shuffled)

    for event in shuffled:
        await laboratory.events.publish(event)

    assert await listening.numbers(30) == [now + 1 + number for number in range(30)]


async def test_what_the_bus_lost_is_read_from_the_rows(
    laboratory: Laboratory, listening: Listening, ada: Caller, job: str
) -> None:
    """An event that was never published shows by the next one, also when that belongs to another channel."""
    now, _ = await listening.open(ada, JOB_LOGS, job)
    await lines(laboratory, ada, job, 300)
    events = await lines(laboratory, ada, job, 1)

    await laboratory.events.publish(events[-1])

    assert await listening.numbers(301) == [now + 1 + number for number in range(301)]


async def test_a_feed_that_lagged_is_caught_up(
    laboratory: Laboratory, listening: Listening, ada: Caller, lease: Lease, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events that the bus dropped are found without any further event."""
    now, _ = await listening.open(ada, JOB_METRICS, job)
    monkeypatch.setattr("qstore_appliance.events.memory.WAITING", 2)
    await laboratory.runs.record_epochs(lease, [make_report(epoch) for epoch in range(1, 21)])

    heard = await listening.hear(20)

    assert [data["epoch"] for _, data in heard] == list(range(1, 21))
    assert heard[0][0] > now


async def test_a_reader_behind_the_window_reads_the_rows(
    laboratory: Laboratory, listening: Listening, ada: Caller, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window holds a few events; who takes its time gets all of them, in order, and so does who comes back."""
    monkeypatch.setattr(windows, "MOST_EVENTS", 4)
    now, _ = await listening.open(ada, JOB_LOGS, job)
    back = Listening(listening.channels)
    for event in await lines(laboratory, ada, job, 200):
        await laboratory.events.publish(event)
    await listening.news.wait()

    assert await listening.numbers(200) == [now + 1 + number for number in range(200)]
    assert await back.open(ada, JOB_LOGS, job, last=now + 150) == (now + 200, False)
    assert await back.numbers(50) == [now + 151 + number for number in range(50)]


async def test_a_window_holds_no_more_bytes_than_it_may(
    laboratory: Laboratory, listening: Listening, ada: Caller, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large events push older ones out sooner, and the last one stays whatever its size."""
    monkeypatch.setattr(windows, "MOST_BYTES", 100)
    now, _ = await listening.open(ada, JOB_LOGS, job)
    for event in await lines(laboratory, ada, job, 3):
        await laboratory.events.publish(event)
    await listening.news.wait()
    reader = listening.reader
    assert reader is not None

    assert reader.is_behind
    assert await listening.numbers(3) == [now + 1, now + 2, now + 3]


async def test_a_window_that_is_lost_is_told(
    laboratory: Laboratory, listening: Listening, ada: Caller, lease: Lease, job: str
) -> None:
    """Where the rows are forgotten too, or the number is from elsewhere, the reader begins anew and knows it."""
    await laboratory.runs.record_epochs(lease, [make_report(epoch) for epoch in range(1, 9)])
    newest = await laboratory.jobs.position(ada, job)
    await JobEventRow.filter(job_id=job, seq__lt=newest - 3).delete()
    for last in (newest + 1, -1, 10**15):
        assert await listening.open(ada, JOB_PROGRESS, job, last=last) == (newest, True)

    assert await listening.open(ada, JOB_PROGRESS, job, last=2) == (newest, False)
    assert await listening.numbers(1) == [-1]
    await laboratory.runs.record_epochs(lease, [make_report(9)])
    assert [data["current_epoch"] for _, data in await listening.hear(1)] == [9]


async def test_who_comes_and_goes_while_events_flow_misses_nothing(
    laboratory: Laboratory, listening: Listening, ada: Caller, job: str
) -> None:
    """A connection that is cut again and again, with `last_seq` each time: no gap and no repetition."""
    now, _ = await listening.open(ada, JOB_LOGS, job)

    async def telling() -> None:
        for _ in range(60):
            for event in await lines(laboratory, ada, job, 2):
                await laboratory.events.publish(event)

    flowing = asyncio.create_task(telling())
    heard: list[int] = []
    draw = random.Random(11)
    while len(heard) < 120:
        heard += await listening.numbers(1)
        if draw.random() < 0.5:
            assert listening.reader is not None
            listening.reader.close()
            await listening.open(ada, JOB_LOGS, job, last=heard[-1])
    await flowing

    assert heard == [now + 1 + number for number in range(120)]


# Channels that are numbered here ---------------------------------------------------------------------------------


async def test_a_stream_outlives_its_last_reader_for_a_while(
    laboratory: Laboratory, listening: Listening, ada: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes back to the same stream gets what it missed; once the stream is gone it is told to begin anew."""
    await listening.open(ada, COST_UPDATES)
    await spend(laboratory, ada, 1.0, 2.0)
    assert await listening.numbers(2) == [1, 2]
    assert listening.reader is not None
    stream = listening.reader.stream
    listening.reader.close()
    await spend(laboratory, ada, 3.0)
    async with asyncio.timeout(PATIENCE):
        # Nobody listens, so nobody tells when it has arrived.
        while (await listening.open(ada, COST_UPDATES, last=2, stream=stream)) != (3, False):
            listening.reader.close()
            await asyncio.sleep(0)

    assert [data["current_spend"] for _, data in await listening.hear(1)] == [3.0]
    assert await listening.open(ada, COST_UPDATES, last=2, stream="stream_old") == (3, True)
    assert await listening.open(ada, COST_UPDATES, last=2) == (3, True)


async def test_feeds_that_nobody_wants_end(
    listening: Listening, ada: Caller, monkeypatch: pytest.MonkeyPatch, laboratory: Laboratory
) -> None:
    """A feed without readers ends after its time, and the oldest ends sooner where there are too many."""
    monkeypatch.setattr(feeds, "LINGERING", 1)
    first = await laboratory.begun(ada)
    for name, subject in ((JOB_LOGS, first[0].job_id), (COST_UPDATES, None)):
        await listening.open(ada, name, subject)
        assert listening.reader is not None
        listening.reader.close()
        listening.reader.close()
    async with asyncio.timeout(PATIENCE):
        while len(laboratory.events._readers) > 1:
            await asyncio.sleep(0.01)

    assert [channel for _, channel, _ in laboratory.events._readers] == [COST_UPDATES]


async def test_a_stream_that_lagged_begins_anew(
    laboratory: Laboratory, listening: Listening, ada: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no row keeps and the bus dropped is gone, and every reader is told."""
    await listening.open(ada, COST_UPDATES)
    monkeypatch.setattr("qstore_appliance.events.memory.WAITING", 2)
    await spend(laboratory, ada, 1.0, 2.0, 3.0, 4.0)

    heard = await listening.hear(3)

    assert heard[0][0] == -1
    assert [data["current_spend"] for _, data in heard[1:]] == [3.0, 4.0]
    assert [seq for seq, _ in heard[1:]] == [2, 3]


# What is told ----------------------------------------------------------------------------------------------------


async def test_the_end_of_a_job_is_a_notification(
    laboratory: Laboratory, listening: Listening, ada: Caller, lease: Lease, job: str
) -> None:
    """Everybody in the organization hears of a job that has failed; nobody of one that is cancelled by a person."""
    await listening.open(ada, NOTIFICATIONS)
    other, _ = await laboratory.begun(ada)
    await laboratory.runs.cancelled(other)
    await laboratory.runs.fail(lease, Conflict("The data set is empty."))

    (_, data), *_ = await listening.hear(1)

    assert (data["kind"], data["about"]) == ("job.failed", job)
    assert "The data set is empty." in str(data["message"])


async def test_a_deployment_tells_its_states(laboratory: Laboratory, listening: Listening, ada: Caller) -> None:
    """From deploying to deployed to retired, each with the model; and a notification once it answers."""
    model_id = await laboratory.trained_model(ada)
    notified = Listening(listening.channels)
    await notified.open(ada, NOTIFICATIONS)
    deployment = await laboratory.models.deploy(ada, model_id, DeploymentDraft())
    await listening.open(ada, DEPLOYMENT_STATUS, deployment.id)
    await laboratory.models.retire(ada, model_id)

    (_, retired), *_ = await listening.hear(1)
    (_, deployed), *_ = await notified.hear(1)

    assert (retired["status"], retired["model_id"], retired["replicas"]) == ("retired", model_id, 0)
    assert (deployed["kind"], deployed["about"]) == ("deployment.deployed", deployment.id)


# Who may ---------------------------------------------------------------------------------------------------------


async def test_others_and_strangers_hear_nothing(
    laboratory: Laboratory, listening: Listening, ada: Caller, job: str
) -> None:
    """A job of another organization is absent like one that never was; without the scope every channel is closed."""
    bob = await laboratory.caller(Role.OWNER)
    for id in (job, ids.new("job"), "job_x", "x' OR 1=1"):
        with pytest.raises(NotFound) as missing:
            await listening.open(bob, JOB_PROGRESS, id)
        assert missing.value.message == "No job with this id."
    nobody = msgspec.structs.replace(ada, scopes=frozenset())
    for channel in CHANNELS.values():
        with pytest.raises(Forbidden):
            await listening.open(nobody, channel.name, job if channel.subject else None)


@pytest.mark.parametrize(
    ("name", "subject", "field"),
    [
        ("job.secrets", None, "channel"),
        ("job.progress", None, "job_id"),
        ("job.progress", "", "job_id"),
        ("backend.status", None, "backend_id"),
        ("deployment.status", "x" * 65, "deployment_id"),
        ("cost.updates", "x", "channel"),
    ],
)
def test_what_no_channel_is(name: str, subject: str | None, field: str) -> None:
    """An unknown channel, a subject too few or too many is named."""
    with pytest.raises(ValidationFailed) as wrong:
        checked(name, subject)

    assert [error["field"] for error in wrong.value.details["errors"]] == [field]


# Between processes -----------------------------------------------------------------------------------------------


async def test_another_process_is_heard_and_a_redis_that_was_away_costs_nothing(
    laboratory: Laboratory, ada: Caller, job: str, redis_server: Redis, redis_url: str
) -> None:
    """What a worker publishes over Redis is heard here; what it could not publish is read once Redis is back."""
    here, there = RedisEvents(redis_url), RedisEvents(redis_url)
    opened = feeds.Feeds(here)
    listening = Listening(Channels(opened, laboratory.jobs, laboratory.models, laboratory.backends))
    now, _ = await listening.open(ada, JOB_LOGS, job)
    for event in await lines(laboratory, ada, job, 5):
        await there.publish(event)
    assert await listening.numbers(5) == [now + 1 + number for number in range(5)]

    redis_server.stop()
    for event in await lines(laboratory, ada, job, 5):
        await there.publish(event)
    redis_server.start()

    assert await listening.numbers(5) == [now + 6 + number for number in range(5)]
    await opened.close()
    await here.close()
    await there.close()
