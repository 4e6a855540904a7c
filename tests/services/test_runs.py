"""Runs: leases and fences, epochs in one transaction, every end, and jobs whose workers are gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.costs import CostEventRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.database.tables.models import ModelRow
from qstore_appliance.domain.events import JOB_METRICS, JOB_PROGRESS
from qstore_appliance.domain.jobs import Status
from qstore_appliance.domain.models import ModelStatus
from qstore_appliance.errors import Diverged, NotFound, WorkerCrash, WorkerOutOfMemory
from qstore_appliance.services.endings import LeaseLost
from qstore_appliance.settings import Queue, Settings
from tests.factories import SteppingClock
from tests.services.laboratory import INPUTS, Laboratory, make_report, make_trained


@pytest_asyncio.fixture
async def laboratory(database: Database, settings: Settings, clock: SteppingClock) -> AsyncIterator[Laboratory]:
    """Circuits on `native` cost a tenth of a cent here."""
    dear = Settings(data_dir=settings.data_dir, database=settings.database, backends={"native": {"per_circuit": 0.001}})
    laboratory = Laboratory(database, dear, clock)
    yield laboratory
    await laboratory.close()


async def test_only_one_of_many_takes_a_job(laboratory: Laboratory) -> None:
    """However many slots are woken for a job, one of them gets it."""
    caller = await laboratory.caller()
    submitted = await laboratory.submit(caller)

    taken = await asyncio.gather(
        *(laboratory.runs.begin(submitted.job_id, f"directory:host:{number}") for number in range(5))
    )

    assert sum(one is not None for one in taken) == 1
    assert (await laboratory.jobs.get(caller, submitted.job_id)).status == Status.RUNNING


async def test_plan_is_the_job_as_it_was_submitted(laboratory: Laboratory) -> None:
    """Editing a circuit after the submit changes nothing in the plan; prices are not the plugin's business."""
    caller = await laboratory.caller()
    _, plan = await laboratory.begun(caller, seed=5)

    assert plan.seed == 5
    assert plan.backend == "native"
    assert plan.backend_options == {}
    assert plan.dataset == {"kind": "builtin", "name": "iris", "digest": None}
    assert set(plan.circuit) == {"n_qubits", "format", "gates"}
    assert plan.checkpoint is None
    assert (plan.threads or 0) >= 1


async def test_epoch_is_saved_whole(laboratory: Laboratory) -> None:
    """Progress, history, log line, checkpoint, cost so far and two events are there together."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)

    await laboratory.runs.record_epoch(lease, make_report(1))
    await laboratory.runs.record_epoch(lease, make_report(2))

    job = await laboratory.jobs.get(caller, lease.job_id)
    row = await JobRow.get(id=lease.job_id)
    assert (job.progress.current_epoch, job.progress.current_loss, job.progress.percentage) == (2, 0.5, 50)
    assert job.metrics["loss_history"] == [1.0, 0.5]
    assert job.metrics["validation_accuracy"] == 0.4
    assert job.resources.circuits_executed == 200
    assert job.cost == 200 * 1_000
    assert row.checkpoint_epoch == 2
    assert (await laboratory.blobs.get(str(row.checkpoint))).endswith(b"checkpoint 2")
    assert row.checkpoint_bytes == len(b"checkpoint 2")


async def test_an_epoch_is_saved_once(laboratory: Laboratory) -> None:
    """A worker that never heard that its epochs were saved sends them again: only those that are new are added."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)

    await laboratory.runs.record_epoch(lease, make_report(1))
    await laboratory.runs.record_epoch(lease, make_report(1))
    await laboratory.runs.record_epochs(lease, [make_report(1), make_report(2)])

    job = await laboratory.jobs.get(caller, lease.job_id)
    row = await JobRow.get(id=lease.job_id)
    assert job.metrics["loss_history"] == [1.0, 0.5]
    assert job.resources.circuits_executed == 200
    assert job.cost == 200 * 1_000
    assert (await laboratory.blobs.get(str(row.checkpoint))).endswith(b"checkpoint 2")


async def test_old_checkpoints_are_freed(laboratory: Laboratory) -> None:
    """A job keeps its latest checkpoint only, also when it has completed: somebody may go on from it."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    await laboratory.runs.record_epoch(lease, make_report(1))
    first = (await JobRow.get(id=lease.job_id)).checkpoint
    await laboratory.runs.record_epoch(lease, make_report(2))
    second = (await JobRow.get(id=lease.job_id)).checkpoint

    await laboratory.runs.complete(lease, make_trained(), INPUTS)

    with pytest.raises(NotFound):
        await laboratory.blobs.get(str(first))
    assert (await JobRow.get(id=lease.job_id)).checkpoint == second
    assert (await laboratory.blobs.get(str(second))).endswith(b"checkpoint 2")


async def test_twins_do_not_share_a_checkpoint(laboratory: Laboratory) -> None:
    """Two jobs with the same bytes in their checkpoints each free only their own."""
    caller = await laboratory.caller()
    one, _ = await laboratory.begun(caller)
    other, _ = await laboratory.begun(caller)
    for lease in (one, other):
        await laboratory.runs.record_epoch(lease, make_report())

    await laboratory.runs.record_epoch(one, make_report(2))

    assert await laboratory.blobs.get(str((await JobRow.get(id=other.job_id)).checkpoint))


async def test_events_come_after_the_row(laboratory: Laboratory) -> None:
    """A subscriber of both channels hears of an epoch what the row already says, with the row's numbers."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    bus, id = laboratory.events, lease.job_id

    async with (
        bus.subscribe(caller.organization_id, JOB_PROGRESS, id) as progress,
        bus.subscribe(caller.organization_id, JOB_METRICS, id) as metrics,
    ):
        await laboratory.runs.record_epoch(lease, make_report())
        first, second = await anext(aiter(progress)), await anext(aiter(metrics))

    assert (first.data.status, first.data.current_epoch) == ("running", 1)
    assert second.data.metrics.val_accuracy == 0.4
    assert first.seq < second.seq == (await laboratory.jobs.get(caller, id)).seq


async def test_completed_job_has_a_model_and_a_charge(laboratory: Laboratory) -> None:
    """Completing saves model, artifact, charge and status together."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    await laboratory.runs.record_epoch(lease, make_report())

    model_id = await laboratory.runs.complete(lease, make_trained(), INPUTS)

    job, model = await laboratory.jobs.get(caller, lease.job_id), await laboratory.models.get(caller, model_id)
    charges = await CostEventRow.filter(job_id=job.id).order_by("id")
    assert (job.status, job.model_id, job.reason) == (Status.COMPLETED, model_id, None)
    assert job.metrics["test_accuracy"] == 0.9
    assert job.receipt["backend"] == "native"
    assert job.completed_at is not None
    assert (model.name, model.version, model.status) == ("iris classifier", "1.0.0", ModelStatus.TRAINED)
    assert model.inputs["n_features"] == 4
    assert model.inputs["examples"][0]["label"] == "setosa"
    assert await laboratory.blobs.get(model.artifact_digest) == b"an artifact"
    assert [(charge.amount, charge.circuits, charge.model_id) for charge in charges] == [
        (100_000, 100, None),
        (15_000, 15, model_id),
    ]
    assert job.cost == 115_000


async def test_versions_count_up_in_each_organization(laboratory: Laboratory) -> None:
    """The second model of a name is 2.0.0; another organization begins at 1.0.0."""
    ada, bob = await laboratory.caller(), await laboratory.caller()

    versions = [
        (await laboratory.models.get(caller, await laboratory.trained_model(caller))).version
        for caller in (ada, ada, bob)
    ]

    assert versions == ["1.0.0", "2.0.0", "1.0.0"]


async def test_failed_job_says_code_and_sentence(laboratory: Laboratory) -> None:
    """A failed job has an error code, a reason that begins with it, and a charge for what ran."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    await laboratory.runs.record_epoch(lease, make_report())

    await laboratory.runs.fail(lease, Diverged("The loss is infinite."))

    job = await laboratory.jobs.get(caller, lease.job_id)
    assert (job.status, job.error_code) == (Status.FAILED, "DIVERGED")
    assert job.reason == "DIVERGED: The loss is infinite."
    assert (await CostEventRow.get(job_id=job.id)).amount == 100_000


async def test_nothing_is_written_with_an_old_fence(laboratory: Laboratory, clock: SteppingClock) -> None:
    """A worker that was given up for dead writes nothing once another one has the job."""
    caller = await laboratory.caller()
    zombie, _ = await laboratory.begun(caller)
    clock.advance(seconds=60)
    taken = await laboratory.runs.begin(zombie.job_id, "directory:host:2")
    assert taken is not None
    lease, _ = taken

    assert lease.fence == zombie.fence + 1
    assert not await laboratory.runs.heartbeat(zombie)
    assert not await laboratory.runs.cancel_requested(zombie)
    for late in (
        laboratory.runs.record_epoch(zombie, make_report()),
        laboratory.runs.complete(zombie, make_trained(), INPUTS),
        laboratory.runs.fail(zombie, Diverged()),
        laboratory.runs.cancelled(zombie),
        laboratory.runs.release(zombie),
        laboratory.runs.died(zombie, WorkerCrash()),
    ):
        with pytest.raises(LeaseLost):
            await late
    assert await laboratory.runs.heartbeat(lease)
    assert await ModelRow.all().count() == 0


async def test_job_ends_once(laboratory: Laboratory) -> None:
    """Completing and cancelling at the same time leave one end, one bill, and at most one model."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    await laboratory.runs.record_epoch(lease, make_report())

    ends = await asyncio.gather(
        laboratory.runs.complete(lease, make_trained(), INPUTS),
        laboratory.runs.cancelled(lease),
        laboratory.runs.fail(lease, Diverged()),
        return_exceptions=True,
    )

    job = await laboratory.jobs.get(caller, lease.job_id)
    assert sum(isinstance(end, LeaseLost) for end in ends) == 2
    charged = await CostEventRow.filter(job_id=job.id)
    # The epoch; and where it completed, scoring the test part.
    assert len(charged) == (2 if job.status == Status.COMPLETED else 1)
    assert sum(event.circuits for event in charged) == job.resources.circuits_executed
    assert await ModelRow.all().count() == (1 if job.status == Status.COMPLETED else 0)


async def test_released_job_goes_on_from_its_checkpoint(laboratory: Laboratory) -> None:
    """A job given back is taken again with its checkpoint, its history kept and no death counted."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    await laboratory.runs.record_epoch(lease, make_report(1))

    await laboratory.runs.release(lease)
    waiting = await laboratory.jobs.get(caller, lease.job_id)
    taken = await laboratory.runs.begin(lease.job_id, "directory:host:2")
    assert taken is not None
    again, plan = taken
    await laboratory.runs.record_epoch(again, make_report(2))

    job = await laboratory.jobs.get(caller, lease.job_id)
    assert (waiting.status, waiting.error_code) == (Status.QUEUED, None)
    assert plan.checkpoint == b"checkpoint 1"
    assert job.metrics["loss_history"] == [1.0, 0.5]
    assert any("after epoch 1" in line.message for line in await laboratory.jobs.logs(caller, job.id))


async def test_three_deaths_without_an_epoch_are_the_end(laboratory: Laboratory) -> None:
    """A worker that dies three times in a row fails the job with what killed it."""
    caller = await laboratory.caller()
    submitted = await laboratory.submit(caller)

    for death in range(3):
        taken = await laboratory.runs.begin(submitted.job_id, "directory:host:1")
        assert taken is not None
        assert await laboratory.runs.died(taken[0], WorkerOutOfMemory("No memory.")) == (death < 2)

    job = await laboratory.jobs.get(caller, submitted.job_id)
    assert (job.status, job.error_code) == (Status.FAILED, "WORKER_OOM")
    assert job.reason is not None
    assert job.reason.startswith("WORKER_OOM: No memory.")


async def test_an_epoch_forgives_deaths(laboratory: Laboratory) -> None:
    """Deaths are counted without progress: after a finished epoch the count starts anew."""
    caller = await laboratory.caller()
    submitted = await laboratory.submit(caller)

    for epoch in range(1, 5):
        taken = await laboratory.runs.begin(submitted.job_id, "directory:host:1")
        assert taken is not None
        await laboratory.runs.record_epoch(taken[0], make_report(epoch))
        assert await laboratory.runs.died(taken[0], WorkerCrash("Killed."))


async def test_budget_pauses_a_job(laboratory: Laboratory) -> None:
    """An epoch after which the next would cost more than the budget has left is saved, and then the job is paused."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller, budget_limit=0.15)

    with pytest.raises(LeaseLost):
        await laboratory.runs.record_epoch(lease, make_report(1))

    job = await laboratory.jobs.get(caller, lease.job_id)
    assert (job.status, job.cost, job.progress.current_epoch) == (Status.PAUSED, 100_000, 1)
    assert str(job.reason).startswith("BUDGET_EXCEEDED: ")


async def test_organization_runs_as_many_jobs_as_it_may(laboratory: Laboratory) -> None:
    """Above `max_concurrent_jobs` a job waits and says why; other organizations are not held up."""
    ada, bob = await laboratory.caller(max_concurrent_jobs=1), await laboratory.caller(max_concurrent_jobs=1)
    lease, _ = await laboratory.begun(ada)
    second = await laboratory.submit(ada)

    assert await laboratory.runs.begin(second.job_id, "directory:host:1") is None
    await laboratory.begun(bob)
    waiting = await laboratory.jobs.get(ada, second.job_id)
    await laboratory.runs.fail(lease, Diverged())

    assert waiting.reason == "Waits for another job of the organization: 1 of 1 run."
    assert await laboratory.runs.begin(second.job_id, "directory:host:1") is not None


async def test_reaper_puts_orphans_back_in_line(laboratory: Laboratory, clock: SteppingClock) -> None:
    """A job whose lease has run out is queued again, before those that never ran, and named among those to wake."""
    caller = await laboratory.caller()
    orphan, _ = await laboratory.begun(caller)
    urgent = await laboratory.submit(caller, priority="high")
    told = await laboratory.submit(caller)
    clock.advance(seconds=16)

    woken = await laboratory.runs.reap(pending={told.job_id})

    job = await laboratory.jobs.get(caller, orphan.job_id)
    assert woken == [(orphan.job_id, 5), (urgent.job_id, 10)]
    assert job.status == Status.QUEUED
    assert job.reason is not None
    assert "worker is gone" in job.reason


async def test_who_lost_a_slot_has_the_next(laboratory: Laboratory, clock: SteppingClock) -> None:
    """
    A low job that ran when its server was killed goes on before a high one, and before another organization's that runs nothing
    and has waited for hours; who loses its slot again stays where it was.
    """
    caller, other = await laboratory.caller(max_concurrent_jobs=9), await laboratory.caller(max_concurrent_jobs=9)
    old = await laboratory.submit(caller)
    first, second = [(await laboratory.begun(caller, priority="low"))[0].job_id for _ in range(2)]
    theirs = await laboratory.submit(other)
    clock.advance(hours=3)
    high = await laboratory.submit(caller, priority="high")

    for _ in range(2):
        await laboratory.runs.bury("directory")
        await laboratory.runs.reap()
        taken = [await laboratory.runs.take("directory:host:2") for _ in range(2)]
        assert [lease.job_id for lease, _ in filter(None, taken)] == [first, second]

    rest = [await laboratory.runs.take("directory:host:2") for _ in range(3)]
    assert {lease.job_id for lease, _ in filter(None, rest)} == {old.job_id, theirs.job_id, high.job_id}


async def test_reaper_leaves_the_living_alone(laboratory: Laboratory, clock: SteppingClock) -> None:
    """A job whose worker keeps its lease is nobody else's."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    clock.advance(seconds=10)
    await laboratory.runs.heartbeat(lease)
    clock.advance(seconds=10)

    assert await laboratory.runs.reap() == []
    assert (await laboratory.jobs.get(caller, lease.job_id)).status == Status.RUNNING


async def test_leases_of_a_former_server_end_at_once(laboratory: Laboratory, clock: SteppingClock) -> None:
    """A server that starts knows that the one before it on this directory is dead; it does not wait for leases."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)

    buried = await laboratory.runs.bury("directory")

    assert buried == [lease.job_id]
    assert await laboratory.runs.reap() == [(lease.job_id, 5)]


async def test_leases_of_other_machines_stay(database: Database, settings: Settings, clock: SteppingClock) -> None:
    """Where Redis joins machines, a starting server ends only the leases of its own directory."""
    joined = Settings(data_dir=settings.data_dir, database=settings.database, queue=Queue(url="redis://unused"))
    laboratory = Laboratory(database, joined, clock)
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)

    assert await laboratory.runs.bury("elsewhere") == []
    assert await laboratory.runs.bury("directory") == [lease.job_id]
    await laboratory.close()


async def test_cancelled_orphan_is_not_revived(laboratory: Laboratory, clock: SteppingClock) -> None:
    """A job that was to be cancelled when its worker died ends as cancelled."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    await JobRow.filter(id=lease.job_id).update(cancel_requested=True)
    clock.advance(seconds=60)

    assert await laboratory.runs.reap() == []
    assert (await laboratory.jobs.get(caller, lease.job_id)).status == Status.CANCELLED


async def test_job_whose_data_is_gone_fails(laboratory: Laboratory) -> None:
    """What cannot be planned any more fails with its reason instead of waiting for ever."""
    caller = await laboratory.caller()
    submitted = await laboratory.submit(caller)
    row = await JobRow.get(id=submitted.job_id)
    await JobRow.filter(id=row.id).update(config={**row.config, "dataset": {"type": "mnist"}})

    assert await laboratory.runs.begin(row.id, "directory:host:1") is None

    job = await laboratory.jobs.get(caller, row.id)
    assert (job.status, job.error_code) == (Status.FAILED, "DATASET_MISSING")
    assert "qstore dataset import" in str(job.reason)


async def test_reaper_does_not_wake_who_may_not_run(laboratory: Laboratory) -> None:
    """Jobs of an organization that runs as many as it may are left to wait; others are woken past them."""
    ada, bob = await laboratory.caller(max_concurrent_jobs=1), await laboratory.caller()
    lease, _ = await laboratory.begun(ada)
    await laboratory.submit(ada, priority="high")
    other = await laboratory.submit(bob)

    woken = await laboratory.runs.reap()
    await laboratory.runs.release(lease)

    assert woken == [(other.job_id, 5)]
    assert len(await laboratory.runs.reap()) == 3
