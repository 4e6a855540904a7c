"""Limits of backends: jobs at once, and circuits by the hour, for all organizations together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain.jobs import Status
from qstore_appliance.domain.models import DeploymentDraft, PredictDraft
from qstore_appliance.errors import RateLimited
from qstore_appliance.services.endings import LeaseLost
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock
from tests.services.laboratory import INPUTS, Laboratory, make_report, make_trained

NOON = datetime(2025, 12, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock(NOON)


@pytest_asyncio.fixture
async def build(database: Database, settings: Settings, clock: SteppingClock) -> AsyncIterator[Any]:
    """A laboratory whose `native` the operator has limited."""
    made: list[Laboratory] = []

    def make(**limits: object) -> Laboratory:
        tight = Settings(data_dir=settings.data_dir, database=settings.database, backends={"native": limits})
        made.append(Laboratory(database, tight, clock))
        return made[-1]

    yield make
    for laboratory in made:
        await laboratory.close()


async def test_never_two_jobs_at_once(build: Any) -> None:
    """With `max_concurrent_jobs = 1` one of several that start at once runs; the others wait, of whom they may be."""
    laboratory = build(max_concurrent_jobs=1)
    submitted = [await laboratory.submit(await laboratory.caller()) for _ in range(5)]

    taken = await asyncio.gather(*(laboratory.runs.begin(one.job_id, "directory:host:1") for one in submitted))

    assert sum(one is not None for one in taken) == 1
    waiting = await JobRow.filter(status=Status.QUEUED)
    assert {row.reason for row in waiting} == {"Waits for another job on native: 1 of 1 run."}
    assert await laboratory.runs.reap() == []
    (lease,) = [one[0] for one in taken if one is not None]
    await laboratory.runs.complete(lease, make_trained(), INPUTS)
    assert len(await laboratory.runs.reap()) == 4
    assert await JobRow.filter(reason__isnull=True, status=Status.QUEUED).count() == 4


async def test_jobs_whose_worker_is_gone_do_not_count(build: Any, clock: SteppingClock) -> None:
    """A place is free once the lease of the job that had it has run out."""
    laboratory = build(max_concurrent_jobs=1)
    await laboratory.begun(await laboratory.caller())
    other = await laboratory.submit(await laboratory.caller())
    clock.advance(seconds=60)

    assert await laboratory.runs.begin(other.job_id, "directory:host:1") is not None


async def test_circuits_of_the_hour(build: Any, clock: SteppingClock) -> None:
    """A job that has used up the hour's circuits waits after its epoch with its checkpoint, as does the next job."""
    laboratory = build(rate_limit_per_hour=150)
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    other = await laboratory.submit(await laboratory.caller())

    await laboratory.runs.record_epoch(lease, make_report(1))
    clock.advance(minutes=2)
    await laboratory.runs.heartbeat(lease)
    with pytest.raises(LeaseLost):
        await laboratory.runs.record_epoch(lease, make_report(2))

    says = "Waits for circuits on native: 200 of 150 of the last hour are used up until 2025-12-20T13:01:00Z."
    job = await laboratory.jobs.get(caller, lease.job_id)
    assert (job.status, job.reason) == (Status.QUEUED, says)
    assert (job.progress.current_epoch, job.resources.circuits_executed) == (2, 200)
    assert await laboratory.runs.begin(other.job_id, "directory:host:1") is None
    assert (await JobRow.get(id=other.job_id)).reason == says
    assert await laboratory.runs.reap() == []
    clock.advance(minutes=59)
    assert len(await laboratory.runs.reap()) == 2
    taken = await laboratory.runs.begin(lease.job_id, "directory:host:1")
    assert taken is not None
    assert taken[1].checkpoint == b"checkpoint 2"


async def test_last_epoch_is_followed_by_the_end(build: Any) -> None:
    """A job that has only its score left is not sent back into the line for it; the score counts too."""
    laboratory = build(rate_limit_per_hour=50)
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)

    await laboratory.runs.record_epoch(lease, make_report(4))
    await laboratory.runs.complete(lease, make_trained(), INPUTS)

    assert (await laboratory.jobs.get(caller, lease.job_id)).status == Status.COMPLETED
    assert (await laboratory.backends.held())["native"].startswith("Waits for circuits on native: 115 of 50 ")


async def test_predictions_cannot_wait(build: Any, clock: SteppingClock) -> None:
    """A prediction beyond the hour's circuits is refused with the seconds until there are some; until then it counts."""
    laboratory = build(rate_limit_per_hour=117)
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    await laboratory.models.deploy(caller, model_id, DeploymentDraft())
    draft = PredictDraft(inputs=[[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]])

    await laboratory.models.predict(caller, model_id, draft)
    with pytest.raises(RateLimited) as refused:
        await laboratory.models.predict(caller, model_id, draft)

    assert refused.value.retry_after == 61 * 60
    clock.advance(minutes=61)
    await laboratory.models.predict(caller, model_id, draft)


async def test_limits_in_force_are_listed(build: Any) -> None:
    """The operator tightens what the plugin states, and never loosens it."""
    laboratory = build(max_concurrent_jobs=1_000, rate_limit_per_hour=9, max_circuits_per_request=77)

    found = {one.name: one.limits for one in await laboratory.backends.listed(await laboratory.caller())}

    assert found["native"] == {"max_concurrent_jobs": 64, "rate_limit_per_hour": 9, "max_circuits_per_request": 77}
    assert found["ionq_simulator"]["max_concurrent_jobs"] == 4
    assert found["ionq_simulator"]["max_circuits_per_request"] == 500
