"""Maintenance windows: set by operators, seen by every server, and what waits for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.backends import MaintenanceRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.jobs import Status
from qstore_appliance.errors import Conflict, Forbidden, NotFound, QStoreError, ValidationFailed
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock, make_caller
from tests.services.laboratory import Laboratory, make_report

NOON = datetime(2025, 12, 20, 12, 0, tzinfo=UTC)
ONE, TWO, THREE = (NOON + timedelta(hours=hours) for hours in (1, 2, 3))
WAITS = "Waits for the maintenance of native to end at 2025-12-20T13:00:00Z."


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock(NOON)


@pytest.fixture
def operator() -> Caller:
    return make_caller("owner", operator=True)


@pytest_asyncio.fixture
async def laboratory(database: Database, settings: Settings, clock: SteppingClock) -> AsyncIterator[Laboratory]:
    laboratory = Laboratory(database, settings, clock)
    yield laboratory
    await laboratory.close()


async def test_only_operators_set_windows(laboratory: Laboratory) -> None:
    """An owner who is not the operator neither sets nor clears a window."""
    owner = make_caller("owner")

    with pytest.raises(Forbidden):
        await laboratory.backends.maintain(owner, "native", None, ONE)
    with pytest.raises(Forbidden):
        await laboratory.backends.clear_maintenance(owner, "native")


@pytest.mark.parametrize(
    ("backend", "start", "end", "error"),
    [
        ("abacus", NOON, ONE, NotFound),
        ("native", TWO, ONE, ValidationFailed),
        ("native", ONE, ONE, ValidationFailed),
        ("native", NOON - timedelta(hours=2), NOON, ValidationFailed),
        ("native", NOON, NOON + timedelta(days=400), ValidationFailed),
        ("native", datetime(2025, 12, 20, 12, 0), ONE, ValidationFailed),
    ],
)
async def test_windows_that_make_no_sense(
    laboratory: Laboratory, operator: Caller, backend: str, start: datetime, end: datetime, error: type[QStoreError]
) -> None:
    """An unknown backend, an end before the start or in the past, a year and more, and times without zone are refused."""
    with pytest.raises(error):
        await laboratory.backends.maintain(operator, backend, start, end)
    assert await MaintenanceRow.all().count() == 0


async def test_windows_do_not_overlap(laboratory: Laboratory, operator: Caller, clock: SteppingClock) -> None:
    """One backend has one window at a time; they may touch, another backend has its own, and past ones are tidied."""
    backends = laboratory.backends
    await backends.maintain(operator, "native", ONE, TWO, "New kernels.")
    await backends.maintain(operator, "native", TWO, THREE)
    await backends.maintain(operator, "qsim", ONE, TWO)

    with pytest.raises(Conflict, match="2025-12-20T13:00:00Z to 2025-12-20T14:00:00Z"):
        await backends.maintain(operator, "native", NOON, ONE + timedelta(minutes=1))
    assert [window.note for window in await backends.windows(operator, "native")] == ["New kernels.", None]

    clock.advance(hours=2)
    assert [window.start for window in await backends.windows(operator)] == [TWO]
    assert await backends.clear_maintenance(operator, "native") == 1
    assert await MaintenanceRow.all().count() == 0


async def test_status_shows_the_present_window_or_the_next(
    laboratory: Laboratory, operator: Caller, clock: SteppingClock
) -> None:
    """A planned window is shown before it begins; while it lasts the status is `maintenance` and says until when."""
    await laboratory.backends.maintain(operator, "native", ONE, TWO, "New kernels.")
    states = []
    for _ in range(3):
        (found,) = [one for one in await laboratory.backends.listed(operator) if one.name == "native"]
        states.append((found.status, found.reason, found.window and found.window.start))
        clock.advance(hours=1)

    assert states == [
        ("available", None, ONE),
        ("maintenance", "In maintenance until 2025-12-20T14:00:00Z. New kernels.", ONE),
        ("available", None, None),
    ]


async def test_job_waits_for_the_end_of_the_window(
    laboratory: Laboratory, operator: Caller, clock: SteppingClock
) -> None:
    """A job that names the backend is accepted, says what it waits for, is not woken meanwhile, and then runs."""
    caller = await laboratory.caller()
    await laboratory.backends.maintain(operator, "native", None, ONE)

    submitted = await laboratory.submit(caller, backend="native")

    assert await laboratory.runs.begin(submitted.job_id, "directory:host:1") is None
    waiting = await laboratory.jobs.get(caller, submitted.job_id)
    assert (waiting.status, waiting.reason) == (Status.QUEUED, WAITS)
    assert submitted.estimated_start == ONE
    assert submitted.backend_reason == (
        "The job names native; it waits for the maintenance there to end at 2025-12-20T13:00:00Z."
    )
    assert await laboratory.runs.reap() == []
    clock.advance(hours=1)
    assert await laboratory.runs.reap() == [(submitted.job_id, 5)]
    assert await laboratory.runs.begin(submitted.job_id, "directory:host:1") is not None


async def test_jobs_in_line_say_what_they_wait_for(laboratory: Laboratory, operator: Caller) -> None:
    """A window that begins behind a job in line is its reason from the next look on, and no longer once it is cleared."""
    caller = await laboratory.caller()
    submitted = await laboratory.submit(caller)
    other = await laboratory.submit(caller)
    await JobRow.filter(id=other.job_id).update(backend="qsim", reason="Its worker is gone.")

    await laboratory.backends.maintain(operator, "native", None, ONE)
    woken = await laboratory.runs.reap()
    during = await laboratory.jobs.get(caller, submitted.job_id)
    await laboratory.backends.clear_maintenance(operator, "native")
    woken_after = await laboratory.runs.reap()
    after = await laboratory.jobs.get(caller, submitted.job_id)

    assert (woken, during.reason) == ([(other.job_id, 5)], WAITS)
    assert len(woken_after) == 2
    assert after.reason == "Waits for a free slot to take it."
    assert (await laboratory.jobs.get(caller, other.job_id)).reason == (
        "Its worker is gone. Waits for its turn: 1 job is before it."
    )


async def test_running_jobs_are_not_touched(laboratory: Laboratory, operator: Caller) -> None:
    """A window changes nothing for a job that runs."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    await laboratory.backends.maintain(operator, "native", None, ONE)

    await laboratory.runs.record_epoch(lease, make_report())

    assert await laboratory.runs.heartbeat(lease)
    assert (await laboratory.jobs.get(caller, lease.job_id)).status == Status.RUNNING


async def test_other_servers_see_it(
    laboratory: Laboratory, operator: Caller, database: Database, settings: Settings, clock: SteppingClock
) -> None:
    """What one server's command line sets holds for another server of the same database."""
    other = Laboratory(database, settings, clock)
    caller = await other.caller()
    submitted = await other.submit(caller)

    await laboratory.backends.maintain(operator, "native", None, ONE)

    assert await other.runs.begin(submitted.job_id, "directory:host:2") is None
    assert (await other.jobs.get(caller, submitted.job_id)).reason == WAITS
    await other.close()
