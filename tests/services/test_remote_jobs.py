"""Submissions to providers as the database has them: fenced, charged at what the provider says, ended when jobs are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.costs import CostEventRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.database.tables.remote_jobs import RemoteJobRow
from qstore_appliance.domain.jobs import Lease, Status
from qstore_appliance.engine.remote_jobs import RemoteJob
from qstore_appliance.errors import BackendUnavailable, Diverged
from qstore_appliance.services.endings import LeaseLost
from qstore_appliance.services.remote_jobs import RemoteJobs
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock
from tests.services.laboratory import INPUTS, Laboratory, make_report, make_trained


class Provider:
    """A `Calculator` that ends remote jobs as it is told."""

    def __init__(self) -> None:
        self.asked: list[RemoteJob] = []
        self.away = False
        self.charged: int | None = 70

    async def call(self, function: str, /, *args: Any, timeout: float = 30.0, **kwargs: Any) -> Any:
        assert function == "qstore_appliance.engine.remote_jobs:end"
        job: RemoteJob = args[2]
        self.asked.append(job)
        if self.away:
            raise BackendUnavailable("The provider is away.")
        return job.evolve(status="canceled", external_id="external", charged=self.charged)


@pytest_asyncio.fixture
async def laboratory(database: Database, settings: Settings, clock: SteppingClock) -> AsyncIterator[Laboratory]:
    """Circuits on `native`, which has to stand for a provider here, cost a tenth of a cent."""
    dear = Settings(data_dir=settings.data_dir, database=settings.database, backends={"native": {"per_circuit": 0.001}})
    laboratory = Laboratory(database, dear, clock)
    yield laboratory
    await laboratory.close()


def sent(token: str = "t1", **changes: Any) -> RemoteJob:
    values: dict[str, Any] = {"key": "1:0", "epoch": 1, "digest": "d", "circuits": 5, "shots": 0}
    return RemoteJob(token=token, **{**values, **changes})


async def charged(job_id: str) -> list[int]:
    """Amounts of the job's events in the ledger, in their order."""
    return [event.amount for event in await CostEventRow.filter(job_id=job_id).order_by("id")]


async def keep(laboratory: Laboratory, lease: Lease, *jobs: RemoteJob) -> None:
    for job in jobs:
        await laboratory.runs.keep_remote_job(lease, job)


async def test_a_submission_is_one_row(laboratory: Laboratory) -> None:
    """Noted, submitted and completed are three states of one row of the job's organization."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)

    await keep(laboratory, lease, sent(), sent(status="submitted", external_id="x"))
    await keep(laboratory, lease, sent(status="completed", external_id="x", charged=3))

    (row,) = await RemoteJobRow.all()
    assert (row.organization_id, row.job_id, row.backend) == (caller.organization_id, lease.job_id, "native")
    assert (row.status, row.external_id, row.charged) == ("completed", "x", 3)


async def test_a_lost_lease_notes_nothing(laboratory: Laboratory, clock: SteppingClock) -> None:
    """A worker that was given up for dead may not submit: its note is refused, and so is every later word."""
    lease, _ = await laboratory.begun(await laboratory.caller())
    clock.advance(seconds=60)
    taken = await laboratory.runs.begin(lease.job_id, "directory:host:2")
    assert taken is not None

    for late in (sent(), sent(status="submitted", external_id="x")):
        with pytest.raises(LeaseLost):
            await laboratory.runs.keep_remote_job(lease, late)
    with pytest.raises(LeaseLost):
        await laboratory.runs.say(lease, "I am still here.")

    assert await RemoteJobRow.all().count() == 0
    await keep(laboratory, taken[0], sent())


async def test_another_jobs_rows_are_out_of_reach(laboratory: Laboratory) -> None:
    """A child that names another job's token changes nothing of it."""
    mine, _ = await laboratory.begun(await laboratory.caller())
    theirs, _ = await laboratory.begun(await laboratory.caller())
    await keep(laboratory, theirs, sent())

    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        await keep(laboratory, mine, sent(status="completed", charged=10**9))

    (row,) = await RemoteJobRow.all()
    assert (row.job_id, row.status, row.charged) == (theirs.job_id, "noted", None)


async def test_the_plan_has_what_came_after_the_checkpoint(laboratory: Laboratory, clock: SteppingClock) -> None:
    """Whoever goes on gets the submissions of epochs that are not saved yet, with the time of their note."""
    lease, plan = await laboratory.begun(await laboratory.caller())
    assert plan.remote_jobs == []
    await keep(laboratory, lease, sent("old", status="completed", charged=1))
    await laboratory.runs.record_epoch(lease, make_report(1))
    clock.advance(seconds=1)
    await keep(laboratory, lease, sent("new", key="2:0", epoch=2), sent("newer", key="2:1", epoch=2))
    await laboratory.runs.release(lease)

    taken = await laboratory.runs.begin(lease.job_id, "directory:host:2")

    assert taken is not None
    assert [job.token for job in taken[1].remote_jobs] == ["new", "newer"]
    assert taken[1].remote_jobs[0].noted_at == pytest.approx(clock.now().timestamp(), abs=0.001)
    assert await RemoteJobRow.all().count() == 3


async def test_the_providers_amounts_are_the_cost(laboratory: Laboratory) -> None:
    """Job, ledger and budget have them instead of the price list; the epoch that was broken off counts too."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    await keep(laboratory, lease, sent(status="completed", charged=1_234_567))
    await laboratory.runs.record_epoch(lease, make_report(1))
    assert (await laboratory.jobs.get(caller, lease.job_id)).cost == 1_234_567
    await keep(laboratory, lease, sent("t2", key="2:0", epoch=2, status="canceled", charged=33))

    await laboratory.runs.cancelled(lease)

    assert (await laboratory.jobs.get(caller, lease.job_id)).cost == 1_234_600
    assert await charged(lease.job_id) == [1_234_567, 33]


async def test_the_price_list_counts_for_what_is_not_said(laboratory: Laboratory) -> None:
    """Only for what ran to its end, and the log says so once."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    await keep(laboratory, lease, sent(status="completed", charged=50))
    await keep(laboratory, lease, sent("t2", key="1:1", status="completed"), sent("t3", key="1:2", status="completed"))
    await keep(laboratory, lease, sent("t4", key="1:3", status="failed"))
    await laboratory.runs.record_epoch(lease, make_report(1))

    await laboratory.runs.complete(lease, make_trained(), INPUTS)

    lines = [line.message for line in await laboratory.jobs.logs(caller, lease.job_id)]
    assert await charged(lease.job_id) == [50 + 2 * 5 * 1_000, 0]
    assert sum("does not say" in line for line in lines) == 1


async def test_the_budget_is_held_against_the_providers_amounts(laboratory: Laboratory) -> None:
    """An epoch that the price list finds cheap is too dear once the provider says so."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller, budget_limit=1.0)
    await laboratory.runs.record_epoch(lease, make_report(1))
    await keep(laboratory, lease, sent(epoch=2, status="completed", charged=1_000_001))

    with pytest.raises(LeaseLost):
        await laboratory.runs.record_epoch(lease, make_report(2))

    assert (await laboratory.jobs.get(caller, lease.job_id)).status == Status.PAUSED


@pytest.fixture
def provider() -> Provider:
    return Provider()


def remote_jobs(laboratory: Laboratory, provider: Provider, now: list[float]) -> RemoteJobs:
    return RemoteJobs(
        laboratory.database,
        laboratory.backends,
        provider,
        laboratory.costs,
        laboratory.clock,
        pause=5.0,
        monotonic=lambda: now[0],
    )


async def test_what_is_left_is_ended_and_charged(laboratory: Laboratory, provider: Provider) -> None:
    """Of a job that is over, and of no other; what it was charged comes on top of job and ledger, once."""
    caller = await laboratory.caller()
    over, _ = await laboratory.begun(caller)
    going_on, _ = await laboratory.begun(caller)
    await keep(laboratory, over, sent("t1", status="submitted", external_id="x"), sent("t2", status="completed"))
    await keep(laboratory, going_on, sent("t3", status="submitted", external_id="y"))
    await laboratory.runs.fail(over, Diverged())
    ending = remote_jobs(laboratory, provider, [0.0])

    assert [await ending.end_left(), await ending.end_left()] == [1, 0]

    assert [job.token for job in provider.asked] == ["t1"]
    assert (await RemoteJobRow.get(token="t1")).status == "canceled"
    assert (await RemoteJobRow.get(token="t3")).status == "submitted"
    amounts = [event.amount for event in await CostEventRow.filter(job_id=over.job_id).order_by("id")]
    assert amounts == [5 * 1_000, 70]
    assert (await JobRow.get(id=over.job_id)).cost == sum(amounts)


async def test_a_provider_that_is_away_is_asked_again(laboratory: Laboratory, provider: Provider) -> None:
    """After growing pauses, until it answers; meanwhile the row stays as it is."""
    lease, _ = await laboratory.begun(await laboratory.caller())
    await keep(laboratory, lease, sent())
    await laboratory.runs.cancelled(lease)
    now, provider.away = [0.0], True
    ending = remote_jobs(laboratory, provider, now)
    asked = []
    for now[0] in (0.0, 1.0, 5.0, 6.0, 14.0, 15.0):
        await ending.end_left()
        asked.append(len(provider.asked))
    assert asked == [1, 1, 2, 2, 2, 3]
    assert (await RemoteJobRow.get(token="t1")).status == "noted"

    provider.away, now[0] = False, 100.0

    assert await ending.end_left() == 1


async def test_two_servers_charge_once(laboratory: Laboratory, provider: Provider) -> None:
    """Both find the same row left; one of them writes the charge."""
    lease, _ = await laboratory.begun(await laboratory.caller())
    await keep(laboratory, lease, sent(status="submitted", external_id="x"))
    await laboratory.runs.cancelled(lease)
    one = remote_jobs(laboratory, provider, [0.0])
    row = await RemoteJobRow.get(token="t1")

    await one.end_left()
    await one._ended(row, row.to_domain().evolve(status="canceled", charged=70))

    assert [event.amount for event in await CostEventRow.filter(job_id=lease.job_id)] == [70]
    assert (await JobRow.get(id=lease.job_id)).status == Status.CANCELLED
