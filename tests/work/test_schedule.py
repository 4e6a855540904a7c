"""The reaper: wakes what waits, survives a bad look, and stops when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from qstore_appliance.errors import Unavailable
from qstore_appliance.work.schedule import Reaper


class Waiting:
    """Both sides of the reaper: jobs that wait (`Runs`), and messages that are sent (`Queue`)."""

    def __init__(self) -> None:
        self.jobs: list[tuple[str, int]] = []
        self.woken: list[str] = []
        self.looks = 0
        self.faults: list[Exception] = []

    async def bury(self, directory: str) -> list[str]:
        return []

    async def reap(self, pending: Collection[str]) -> list[tuple[str, int]]:
        self.looks += 1
        if self.faults:
            raise self.faults.pop()
        return [(job_id, rank) for job_id, rank in self.jobs if job_id not in pending]

    async def pending(self) -> set[str]:
        return set(self.woken)

    async def wake(self, job_id: str, rank: int) -> None:
        self.woken.append(job_id)


def reaper_of(waiting: Any) -> Reaper:
    return Reaper(waiting, waiting, directory="directory")


async def look(waiting: Waiting, reaper: Reaper) -> None:
    """Let the reaper look once more."""
    before = waiting.looks
    reaper.tell()
    async with asyncio.timeout(20):
        while waiting.looks == before:
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.001)


async def test_what_waits_without_a_message_is_woken_once() -> None:
    """A job without a message gets one; one whose message waits does not get a second."""
    waiting = Waiting()
    waiting.jobs = [("job_a", 5)]
    reaper = reaper_of(waiting)
    await reaper.start()

    await look(waiting, reaper)
    await look(waiting, reaper)
    await reaper.close()

    assert waiting.woken == ["job_a"]


async def test_a_look_that_fails_is_not_the_last() -> None:
    """A database that is away, or any other fault, costs one look."""
    waiting = Waiting()
    waiting.faults = [RuntimeError("a fault of ours"), Unavailable("The database is away.")]
    reaper = reaper_of(waiting)
    await reaper.start()
    await look(waiting, reaper)

    waiting.jobs = [("job_a", 5)]
    await look(waiting, reaper)
    await look(waiting, reaper)
    await reaper.close()

    assert waiting.woken == ["job_a"]


async def test_stopping_wins_over_being_told() -> None:
    """A slot that becomes free in the moment of closing does not keep the reaper alive."""
    for _ in range(50):
        reaper = reaper_of(Waiting())
        await reaper.start()
        await asyncio.sleep(0.001)

        reaper.tell()
        async with asyncio.timeout(20):
            await reaper.close()
