"""The line of jobs in its rows: who is taken next, where a job stands, what it waits for, and memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import OrganizationRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.jobs import Priority, Status
from qstore_appliance.domain.listing import Page
from qstore_appliance.errors import InsufficientMemory
from qstore_appliance.services import leases, submission
from qstore_appliance.settings import Jobs as JobSettings
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock, make_job_row
from tests.services.laboratory import Laboratory

OWNER = "directory:host:1"
GB = 1_000_000_000


@pytest_asyncio.fixture
async def laboratory(database: Database, settings: Settings, clock: SteppingClock) -> AsyncIterator[Laboratory]:
    """Two slots."""
    two = Settings(data_dir=settings.data_dir, database=settings.database, jobs=JobSettings(slots=2))
    laboratory = Laboratory(database, two, clock)
    yield laboratory
    await laboratory.close()


async def take(laboratory: Laboratory, resident: dict[str, int] | None = None) -> str | None:
    """The id of the job that a free slot takes."""
    taken = await laboratory.runs.take(OWNER, resident)
    return None if taken is None else taken[0].job_id


async def finish(laboratory: Laboratory, job_id: str) -> None:
    row = await JobRow.get(id=job_id)
    await JobRow.filter(id=job_id, fence=row.fence).update(status=Status.COMPLETED, lease_until=None)


async def reason(laboratory: Laboratory, caller: Caller, job_id: str) -> str | None:
    return (await laboratory.jobs.get(caller, job_id)).reason


async def test_a_slot_takes_the_best(laboratory: Laboratory, clock: SteppingClock) -> None:
    """By priority, whatever the order in which they came; several slots at once take different jobs; the turn is noted."""
    caller = await laboratory.caller()
    low, normal, high = [
        (await laboratory.submit(caller, priority=priority)).job_id for priority in ("low", "normal", "high")
    ]

    assert await take(laboratory) == high
    assert set(await asyncio.gather(take(laboratory), take(laboratory), take(laboratory))) == {normal, low, None}
    assert (await OrganizationRow.get(id=caller.organization_id)).job_started_at == clock.now()


async def test_a_flood_does_not_starve_others(laboratory: Laboratory, clock: SteppingClock) -> None:
    """With a hundred jobs of one organization in the line, another's first job is taken next, its second by turns."""
    flood, other = await laboratory.caller(max_concurrent_jobs=50), await laboratory.caller()
    for _ in range(100):
        await make_job_row(flood, queued_at=clock.now(), config={"dataset": {"type": "iris"}, "seed": 1})
    first = await take(laboratory)
    clock.advance(seconds=5)
    mine = [(await laboratory.submit(other)).job_id for _ in range(2)]

    assert first is not None
    assert await take(laboratory) == mine[0]
    await finish(laboratory, mine[0])
    assert await take(laboratory) == mine[1]
    clock.advance(seconds=5)
    third = await take(laboratory)
    assert third not in (None, *mine)


async def test_a_low_job_is_taken_within_an_hour(laboratory: Laboratory, clock: SteppingClock) -> None:
    """Behind an endless stream of high jobs, one a minute, a low one is taken within the stated bound."""
    caller = await laboratory.caller()
    low = (await laboratory.submit(caller, priority="low")).job_id
    circuit_id = await laboratory.circuit(caller)
    await laboratory.submit(caller, priority="high", circuit_id=circuit_id)
    began, taken = clock.now(), None

    while taken != low:
        await laboratory.submit(caller, priority="high", circuit_id=circuit_id)
        taken = await take(laboratory)
        assert taken is not None
        await finish(laboratory, taken)
        clock.advance(minutes=1)

    assert 20 * 60 <= (clock.now() - began).total_seconds() <= 61 * 60


async def test_places_and_starts(laboratory: Laboratory, clock: SteppingClock) -> None:
    """`queue_position` counts organizations' turns; `estimated_start` is now where a slot is free, else later."""
    ada, bob = await laboratory.caller(), await laboratory.caller()
    found = [await laboratory.submit(ada) for _ in range(4)]
    other = await laboratory.submit(bob)

    assert [one.queue_position for one in found] == [1, 2, 3, 4]
    starts = [one.estimated_start for one in found]
    assert starts[:2] == [clock.now()] * 2
    assert clock.now() < starts[2] < starts[3]  # type: ignore[operator]
    assert other.queue_position in (1, 2)


async def test_nobody_can_tell_when_it_starts(laboratory: Laboratory) -> None:
    """Behind the organization's own limit a free slot says nothing of when the job will start."""
    ada = await laboratory.caller(max_concurrent_jobs=1)
    await laboratory.begun(ada)

    assert (await laboratory.submit(ada)).estimated_start is None


async def test_reasons_are_sentences_that_are_true(laboratory: Laboratory, clock: SteppingClock) -> None:
    """A job that waits says for what: its turn, a slot, its organization; and the list says the same."""
    ada, bob = await laboratory.caller(max_concurrent_jobs=1), await laboratory.caller()
    one, two = [(await laboratory.submit(ada)).job_id for _ in range(2)]
    assert await reason(laboratory, ada, one) == "Waits for a free slot to take it."
    assert await reason(laboratory, ada, two) == "Waits for its turn: 1 job is before it."

    assert await take(laboratory) == one
    assert await reason(laboratory, ada, one) is None
    assert await reason(laboratory, ada, two) == "Waits for another job of the organization: 1 of 1 run."

    three, four, five = [(await laboratory.submit(bob)).job_id for _ in range(3)]
    assert await take(laboratory) == three
    assert await reason(laboratory, bob, four) == "Waits for a free slot: 2 of 2 busy."
    assert await reason(laboratory, bob, five) == "Waits for its turn: 1 job is before it."
    listed = {job.id: job.reason for job in (await laboratory.jobs.listed(bob, Page())).items}
    assert listed == {
        three: None,
        four: "Waits for a free slot: 2 of 2 busy.",
        five: "Waits for its turn: 1 job is before it.",
    }


async def test_no_more_than_the_organization_may(laboratory: Laboratory) -> None:
    """A free slot passes over jobs of an organization that runs as many as it may, and takes others."""
    ada, bob = await laboratory.caller(max_concurrent_jobs=1), await laboratory.caller()
    for _ in range(3):
        await laboratory.submit(ada, priority="high")
    other = (await laboratory.submit(bob, priority="low")).job_id
    assert await take(laboratory) is not None

    assert await take(laboratory) == other
    assert await take(laboratory) is None


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What this machine has, in bytes, for a test to change."""
    found = {"available": 8 * GB, "capacity": 10 * GB}
    for module in (leases, submission):
        monkeypatch.setattr(module, "memory_available", lambda: found["available"])
        monkeypatch.setattr(module, "memory_capacity", lambda: found["capacity"])
    return found


async def sized(laboratory: Laboratory, caller: Caller, bytes: int, **overrides: Any) -> str:
    job_id = (await laboratory.submit(caller, **overrides)).job_id
    await JobRow.filter(id=job_id).update(expected_bytes=bytes)
    return job_id


async def test_memory_is_waited_for(laboratory: Laboratory, memory: dict[str, int]) -> None:
    """A job that does not fit beside what runs waits and says so; smaller ones pass it; then it runs."""
    caller = await laboratory.caller()
    large = await sized(laboratory, caller, 5 * GB)
    assert await take(laboratory) == large
    second = await sized(laboratory, caller, 5 * GB)
    small = await sized(laboratory, caller, 2 * GB)

    assert await take(laboratory) == small
    assert await reason(laboratory, caller, second) == "Waits for a free slot: 2 of 2 busy."
    await finish(laboratory, small)
    assert await take(laboratory) is None
    assert await reason(laboratory, caller, second) == (
        "Waits for memory: it needs 5.0 GB, and 3.0 GB are free beside 1 job that runs."
    )
    await finish(laboratory, large)
    assert await take(laboratory) == second


async def test_promised_memory_counts_until_it_is_taken(laboratory: Laboratory, memory: dict[str, int]) -> None:
    """What a worker holds already is missing from what is available, and is not counted twice."""
    caller = await laboratory.caller()
    first = await sized(laboratory, caller, 5 * GB)
    assert await take(laboratory) == first
    second = await sized(laboratory, caller, 3 * GB)
    memory["available"] = 3 * GB

    assert await take(laboratory, {}) is None
    assert await take(laboratory, {first: 5 * GB}) == second


async def test_a_large_job_is_not_passed_for_ever(
    laboratory: Laboratory, memory: dict[str, int], clock: SteppingClock
) -> None:
    """Once it has waited for its bound nothing else starts beside what runs; where nothing runs, nobody is held up."""
    caller = await laboratory.caller()
    first = await sized(laboratory, caller, 5 * GB)
    assert await take(laboratory) == first
    large = await sized(laboratory, caller, 5 * GB)
    clock.advance(minutes=41)
    await JobRow.filter(id=first).update(lease_until=clock.now().replace(year=clock.now().year + 1))
    small = await sized(laboratory, caller, 1 * GB)

    assert await take(laboratory) is None
    memory["capacity"] = 4 * GB
    assert await take(laboratory) == small
    await finish(laboratory, small)
    await finish(laboratory, first)
    assert await take(laboratory) == large


async def test_what_can_never_fit_is_refused(laboratory: Laboratory, memory: dict[str, int]) -> None:
    """Submitting counts the memory of jobs that run as free some day, but no more than the machine has."""
    caller = await laboratory.caller()
    first = await sized(laboratory, caller, 5 * GB)
    memory["available"] = 100_000_000
    with pytest.raises(InsufficientMemory):
        await laboratory.submit(caller)

    memory["available"] = 6 * GB
    assert await take(laboratory) == first
    memory["available"] = 100_000_000
    assert (await laboratory.submit(caller)).queue_position == 1

    memory["capacity"] = 200_000_000
    with pytest.raises(InsufficientMemory) as refused:
        await laboratory.submit(caller)
    assert refused.value.details["available_bytes"] == 200_000_000


async def test_a_job_that_came_back_says_how(laboratory: Laboratory, clock: SteppingClock) -> None:
    """What brought a job back into the line stands before what it waits for."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    await laboratory.runs.release(lease)

    assert await reason(laboratory, caller, lease.job_id) == (
        "The server stops; the job goes on when it is back. Waits for a free slot to take it."
    )


async def test_a_long_line(laboratory: Laboratory, clock: SteppingClock, database: Database) -> None:
    """Of a long line a slot reads the heads alone, and a place is found by counting."""
    caller, other = await laboratory.caller(), await laboratory.caller()
    template = await make_job_row(caller, queued_at=clock.now(), priority=Priority.LOW.value)
    rows = [
        JobRow(**{**{name: getattr(template, name) for name in template._meta.fields_db_projection},
                  "id": f"{template.id[:-5]}{number:05}"})
        for number in range(3_000)
    ]  # fmt: skip
    await JobRow.bulk_create(rows, batch_size=500)

    heads = await laboratory.runs.lines.heads()
    submitted = await laboratory.submit(other, priority="low")

    assert len(heads) == 16
    assert submitted.queue_position <= 2
    clock.advance(seconds=3)
    assert (await laboratory.submit(caller, priority="low")).queue_position == 3_003
    assert (await OrganizationRow.get(id=caller.organization_id)).job_started_at is None
