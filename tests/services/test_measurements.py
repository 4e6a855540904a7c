"""What was counted of backends: added up by whoever runs something, over 30 days, and by the minute for an hour."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.backends import BackendDayRow, BackendMinuteRow
from qstore_appliance.domain.backends import Measured
from qstore_appliance.errors import Diverged
from qstore_appliance.services.endings import LeaseLost
from qstore_appliance.services.measurements import WINDOW_DAYS, Measurements
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock
from tests.services.laboratory import INPUTS, Laboratory, make_report, make_trained

NOON = datetime(2025, 12, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock(NOON)


@pytest.fixture
def measurements(database: Database, clock: SteppingClock) -> Measurements:
    return Measurements(database, clock)


async def test_what_runs_at_once_is_all_counted(database: Database, measurements: Measurements) -> None:
    """Transactions side by side add to one row of the day, and none is lost."""

    async def run(circuits: int) -> None:
        async with database.transaction():
            await measurements.ran("native", circuits, 0.5)

    await asyncio.gather(*(run(circuits) for circuits in range(1, 21)))

    found = (await measurements.of_all())["native"]
    assert (found.circuits, found.seconds) == (210, 10.0)
    assert await BackendDayRow.all().count() == 1
    assert found.avg_latency_ms == pytest.approx(1e3 * 10 / 210, abs=1e-6)
    assert found.throughput == 21.0


async def test_nothing_is_known_of_what_was_not_measured(measurements: Measurements) -> None:
    """Every number of a backend that nobody used is null, not zero."""
    assert await measurements.of_all() == {}
    nothing = Measured()

    assert (nothing.avg_latency_ms, nothing.throughput, nothing.uptime, nothing.avg_wait_seconds) == (None,) * 4


async def test_days_that_are_over_count_no_more(measurements: Measurements, clock: SteppingClock) -> None:
    """A day counts for 30 days; then it is left out, and deleted."""
    await measurements.checked("native", good=False)
    clock.advance(days=WINDOW_DAYS - 1)
    await measurements.checked("native", good=True)

    assert (await measurements.of_all())["native"].uptime == 0.5
    clock.advance(days=1)
    assert (await measurements.of_all())["native"].uptime == 1.0
    await measurements.tidy()
    assert await BackendDayRow.all().count() == 1


async def test_the_last_hour(measurements: Measurements, clock: SteppingClock) -> None:
    """Circuits count for an hour and the rest of their minute; until when is known from the minutes that go first."""
    for minutes, circuits in ((0, 60), (10, 30), (5, 20)):
        clock.advance(minutes=minutes)
        await measurements.used("qsim", circuits)

    assert await measurements.last_hour("qsim", 100) == (110, NOON + timedelta(minutes=61))
    assert await measurements.last_hour("qsim", 40) == (110, NOON + timedelta(minutes=71))
    assert await measurements.last_hour("qsim", 111) == (110, None)
    assert await measurements.last_hour("native", 1) == (0, None)
    clock.advance(minutes=46)
    assert await measurements.last_hour("qsim", 100) == (50, None)
    clock.advance(hours=3)
    await measurements.used("qsim", 1)
    assert await BackendMinuteRow.all().count() == 1


async def test_epochs_and_starts_are_counted(database: Database, settings: Settings, clock: SteppingClock) -> None:
    """Latency and throughput come from epochs that were recorded, the waiting time from submit to the first start."""
    laboratory = Laboratory(database, settings, clock)
    caller = await laboratory.caller()
    submitted = await laboratory.submit(caller)
    clock.advance(seconds=8)
    taken = await laboratory.runs.begin(submitted.job_id, "directory:host:1")
    assert taken is not None
    lease, _ = taken
    await laboratory.runs.record_epochs(lease, [make_report(1, seconds=0.5), make_report(2, seconds=1.5)])
    await laboratory.runs.release(lease)
    clock.advance(seconds=100)
    taken = await laboratory.runs.begin(submitted.job_id, "directory:host:1")
    assert taken is not None
    await laboratory.runs.complete(taken[0], make_trained(), INPUTS)

    (native,) = [one for one in await laboratory.backends.listed(caller) if one.name == "native"]
    mine = await laboratory.backends.status(caller, native.id)
    others = await laboratory.backends.status(await laboratory.caller(), native.id)

    assert (native.avg_latency_ms, native.throughput, native.avg_wait_seconds) == (10.0, 100.0, 8.0)
    assert native.uptime == 1.0
    assert (mine.circuits_today, others.circuits_today) == (215, 0)
    assert others.avg_latency_ms == 10.0
    await laboratory.close()


async def test_what_is_not_saved_is_not_counted(database: Database, settings: Settings, clock: SteppingClock) -> None:
    """An epoch and its count are one transaction: a worker that lost its lease counts nothing."""
    laboratory = Laboratory(database, settings, clock)
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    await laboratory.runs.fail(lease, Diverged())

    with pytest.raises(LeaseLost):
        await laboratory.runs.record_epoch(lease, make_report())

    assert (await Measurements(database, clock).of_all())["native"].circuits == 0
    await laboratory.close()
