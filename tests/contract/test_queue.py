"""The queue, on its SQLite file and on Redis: wake by priority, nothing but ids, nothing executed that is not ours."""

from __future__ import annotations

import asyncio
import json
import pickle
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from qstore_appliance.domain import ids
from qstore_appliance.errors import Unavailable
from qstore_appliance.settings import Queue, Settings
from qstore_appliance.work import consumer
from qstore_appliance.work.consumer import Slots
from qstore_appliance.work.queue import HueyQueue


@pytest_asyncio.fixture(params=["sqlite", "redis"])
async def queue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[HueyQueue]:
    url = request.getfixturevalue("redis_url") if request.param == "redis" else ""
    queue = HueyQueue(Settings(data_dir=tmp_path, queue=Queue(url=url)))
    yield queue
    await queue.close()


class Taken:
    """What slots have taken, in order; `wait` until there are so many."""

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, job_id: str) -> None:
        with self._changed:
            self.jobs.append(job_id)
            self._changed.notify_all()

    async def wait(self, count: int) -> list[str]:
        def enough() -> bool:
            with self._changed:
                return self._changed.wait_for(lambda: len(self.jobs) >= count, 60)

        assert await asyncio.to_thread(enough)
        return self.jobs


async def test_high_priority_goes_first_and_equals_in_order(queue: HueyQueue) -> None:
    """Slots take the higher number first, and equals in the order in which they came."""
    low, first, second, high = (ids.new("job") for _ in range(4))
    taken = queue.run = Taken()
    for job_id, priority in ((low, 0), (first, 5), (second, 5), (high, 10)):
        await queue.wake(job_id, priority)
    slots = Slots(queue, 1)
    slots.start()

    order = await taken.wait(4)
    await slots.close()

    assert order == [high, first, second, low]


async def test_a_waiting_slot_is_woken_at_once(queue: HueyQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that arrives at an idle slot is taken at once, not at the next look, which here would never come."""
    monkeypatch.setattr(consumer, "LOOK_SECONDS", 3600.0)
    taken = queue.run = Taken()
    slots = Slots(queue, 2)
    slots.start()
    await asyncio.sleep(0.3)

    await queue.wake(ids.new("job"), 5)
    await taken.wait(1)
    await slots.close()


async def test_pending_names_what_waits(queue: HueyQueue) -> None:
    """The reaper can see which jobs have a message, and that a lost one is gone."""
    job_id = ids.new("job")

    await queue.wake(job_id, 5)
    before = await queue.pending()
    queue.huey.storage.flush_queue()

    assert before == {job_id}
    assert await queue.pending() == set()


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return Path.mkdir, (self.place,)


async def test_what_is_not_ours_is_dropped(queue: HueyQueue, tmp_path: Path) -> None:
    """Garbage, pickles, unknown tasks and forged ids are dropped; the slot goes on with the next message."""
    job_id, place = ids.new("job"), tmp_path / "exploded"
    taken = queue.run = Taken()
    for content in (
        b"\x00garbage",
        pickle.dumps(Bomb(place)),
        b"[" * 4_000,
        b"x" * 100_000,
        json.dumps({"job": "../../etc/passwd", "name": "train"}).encode(),
        json.dumps({"job": job_id, "name": "os.system"}).encode(),
        b"[]",
    ):
        queue.huey.storage.enqueue(content, 10)
    await queue.wake(job_id, 5)
    slots = Slots(queue, 1)
    slots.start()

    order = await taken.wait(1)
    await slots.close()

    assert order == [job_id]
    assert not place.exists()


async def test_slot_survives_what_it_runs(queue: HueyQueue) -> None:
    """An error in one job's work leaves the slot alive for the next."""
    broken, good = ids.new("job"), ids.new("job")
    taken = Taken()

    def run(job_id: str) -> None:
        taken(job_id)
        if job_id == broken:
            raise RuntimeError("this job breaks its slot")

    queue.run = run
    slots = Slots(queue, 1)
    slots.start()
    await queue.wake(broken, 5)
    await queue.wake(good, 5)

    assert await taken.wait(2) == [broken, good]
    await slots.ping()
    await slots.close()
    with pytest.raises(Unavailable):
        await slots.ping()


async def test_stop_reaches_the_slot_that_runs_the_job(queue: HueyQueue) -> None:
    """A running job is stopped by its id; an unknown one is nobody's business."""
    stopped = threading.Event()
    queue.running("job_a", stopped.set)

    queue.stop("job_b")
    before = stopped.is_set()
    queue.stop("job_a")
    queue.running("job_a", None)
    queue.stop("job_a")

    assert not before
    assert stopped.is_set()


async def test_message_that_cannot_be_sent_does_not_fail_the_sender(queue: HueyQueue) -> None:
    """A queue that is away costs a wake-up, never the job: the reaper sends another."""
    await queue.ping()
    await queue.close()

    await queue.wake(ids.new("job"), 5)

    with pytest.raises(Unavailable):
        await queue.ping()
