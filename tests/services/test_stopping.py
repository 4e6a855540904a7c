"""Jobs that are paused, resumed, cancelled, gone on from and run again: states, rights, and races."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.circuits import CircuitRow
from qstore_appliance.database.tables.costs import CostEventRow
from qstore_appliance.database.tables.jobs import JobEventRow, JobLogRow, JobRow
from qstore_appliance.database.tables.models import ModelRow
from qstore_appliance.domain.accounts import Caller, Role
from qstore_appliance.domain.events import JOB_PROGRESS
from qstore_appliance.domain.jobs import TERMINAL, TRANSITIONS, ContinueDraft, Lease, Status, sources
from qstore_appliance.errors import Conflict, Diverged, Forbidden, NotFound, QStoreError, RateLimited, ValidationFailed
from qstore_appliance.services.endings import LeaseLost
from qstore_appliance.services.jobs import PAUSED
from qstore_appliance.settings import Jobs as JobSettings
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock
from tests.services.laboratory import INPUTS, Laboratory, make_report, make_trained


@pytest_asyncio.fixture
async def laboratory(database: Database, settings: Settings, clock: SteppingClock) -> AsyncIterator[Laboratory]:
    laboratory = Laboratory(database, settings, clock)
    yield laboratory
    await laboratory.close()


async def pausing(laboratory: Laboratory, caller: Caller, lease: Lease) -> asyncio.Task[object]:
    """Somebody who has asked the job's worker to pause, and waits."""
    before = len(laboratory.queue.stopped)
    task: asyncio.Task[object] = asyncio.create_task(laboratory.jobs.pause(caller, lease.job_id))
    while len(laboratory.queue.stopped) == before:
        await asyncio.sleep(0.01)
    return task


def test_one_table_of_transitions() -> None:
    """No state leads out of an end, every other one leads to one, and `sources` is the table read backwards."""
    assert all(not TRANSITIONS[status] for status in TERMINAL)
    assert all(TRANSITIONS[status] & TERMINAL for status in TRANSITIONS.keys() - TERMINAL)
    assert sources(Status.PAUSED) == ["queued", "running"]
    assert sources(Status.QUEUED) == ["paused", "running"]


async def test_waiting_job_is_paused_at_once(laboratory: Laboratory) -> None:
    """A queued job that is paused is not taken, twice is once, and resumed it waits at the end of the line."""
    caller = await laboratory.caller()
    job_id = (await laboratory.submit(caller)).job_id

    first, second = [await laboratory.jobs.pause(caller, job_id) for _ in range(2)]
    assert await laboratory.runs.take("directory:host:1") is None
    other = (await laboratory.submit(caller)).job_id
    laboratory.clock.advance(seconds=1)
    resumed = [await laboratory.jobs.resume(caller, job_id) for _ in range(2)]

    assert (first.status, first.reason, first.seq) == (Status.PAUSED, PAUSED, second.seq)
    assert {job.status for job in resumed} == {Status.QUEUED}
    assert laboratory.queue.woken[-1] == (job_id, 5)
    assert [one[0] for one in laboratory.queue.woken].count(job_id) == 2
    assert [one.id for one in await laboratory.runs.lines.heads()] in ([other, job_id], [job_id, other])


async def test_running_job_is_paused_by_its_worker(laboratory: Laboratory) -> None:
    """The worker is asked, and pauses the job with its checkpoint; row, log and event say so; the ledger has its cost so far."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    await laboratory.runs.record_epoch(lease, make_report())

    task = await pausing(laboratory, caller, lease)
    assert not await laboratory.runs.heartbeat(lease)
    assert await laboratory.runs.stop_requested(lease)
    assert not await laboratory.runs.cancel_requested(lease)
    await laboratory.runs.stopped(lease)
    await task

    row = await JobRow.get(id=lease.job_id)
    assert (row.status, row.reason, row.pause_reason, row.lease_until) == (Status.PAUSED, PAUSED, None, None)
    assert (row.checkpoint_epoch, row.checkpoint is None) == (1, False)
    assert (await JobLogRow.filter(job_id=row.id).order_by("-seq").first()).message == f"Paused after epoch 1. {PAUSED}"
    event = await JobEventRow.filter(job_id=row.id, channel=JOB_PROGRESS).order_by("-seq").first()
    assert (event.data["status"], event.data["reason"]) == ("paused", PAUSED)
    assert sum([event.amount for event in await CostEventRow.filter(job_id=row.id)]) == row.cost
    await laboratory.jobs.resume(caller, row.id)
    taken = await laboratory.runs.take("directory:host:1")
    assert taken is not None
    assert taken[1].checkpoint == b"checkpoint 1"


async def test_a_reason_of_ones_own(laboratory: Laboratory) -> None:
    """`pause` of a lease keeps the reason it is given, and the lease is over."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)

    await laboratory.runs.pause(lease, "The budget is nearly used up.")

    job = await laboratory.jobs.get(caller, lease.job_id)
    assert (job.status, job.reason) == (Status.PAUSED, "The budget is nearly used up.")
    with pytest.raises(LeaseLost):
        await laboratory.runs.record_epoch(lease, make_report())
    with pytest.raises(LeaseLost):
        await laboratory.runs.pause(lease, "again")


async def test_cancel_beats_pause(laboratory: Laboratory) -> None:
    """Asked to pause and to cancel, the worker cancels."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    task = await pausing(laboratory, caller, lease)
    await JobRow.filter(id=lease.job_id).update(cancel_requested=True)

    await laboratory.runs.pause(lease, "The budget is nearly used up.")

    assert (await laboratory.jobs.get(caller, lease.job_id)).status == Status.CANCELLED
    with pytest.raises(Conflict):
        await task


async def test_resumed_before_it_had_paused(laboratory: Laboratory) -> None:
    """A job whose pause is taken back while its worker still stops goes back into the line."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    task = await pausing(laboratory, caller, lease)
    await laboratory.jobs.resume(caller, lease.job_id)

    await laboratory.runs.stopped(lease)

    assert (await laboratory.jobs.get(caller, lease.job_id)).status == Status.QUEUED
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_pause_of_a_dead_workers_job(laboratory: Laboratory, clock: SteppingClock) -> None:
    """A job whose worker is gone is paused without it; the reaper does so where the wish was there before."""
    caller = await laboratory.caller()
    one, _ = await laboratory.begun(caller)
    other, _ = await laboratory.begun(caller)
    clock.advance(seconds=60)
    await JobRow.filter(id=other.job_id).update(pause_reason=PAUSED)

    assert (await laboratory.jobs.pause(caller, one.job_id)).status == Status.PAUSED
    assert await laboratory.runs.reap() == []
    assert (await laboratory.jobs.get(caller, other.job_id)).status == Status.PAUSED


async def test_who_may_pause(laboratory: Laboratory) -> None:
    """Owners of a job and admins, as with cancel; what has ended can be neither paused nor resumed."""
    ada, stranger = await laboratory.caller(), await laboratory.caller(Role.OWNER)
    colleague, admin = await laboratory.caller(of=ada), await laboratory.caller(Role.ADMIN, of=ada)
    viewer = await laboratory.caller(Role.VIEWER, of=ada)
    job_id = (await laboratory.submit(ada)).job_id

    for act in (laboratory.jobs.pause, laboratory.jobs.resume):
        for caller, error in ((colleague, Forbidden), (viewer, Forbidden), (stranger, NotFound)):
            with pytest.raises(error):
                await act(caller, job_id)
    assert (await laboratory.jobs.pause(admin, job_id)).status == Status.PAUSED
    await laboratory.jobs.cancel(ada, job_id)
    for act in (laboratory.jobs.pause, laboratory.jobs.resume):
        with pytest.raises(Conflict):
            await act(ada, job_id)


async def test_resuming_needs_room(database: Database, settings: Settings, clock: SteppingClock) -> None:
    """A paused job counts again once it is resumed: an organization's line has an end."""
    few = Settings(data_dir=settings.data_dir, database=settings.database, jobs=JobSettings(max_queued=1))
    laboratory = Laboratory(database, few, clock)
    caller = await laboratory.caller()
    job_id = (await laboratory.submit(caller)).job_id
    await laboratory.jobs.pause(caller, job_id)
    await laboratory.submit(caller)

    with pytest.raises(RateLimited):
        await laboratory.jobs.resume(caller, job_id)

    assert (await laboratory.jobs.get(caller, job_id)).status == Status.PAUSED
    await laboratory.close()


@pytest.mark.parametrize("batches", [4, pytest.param(80, marks=pytest.mark.long)])
async def test_every_job_ends_once(laboratory: Laboratory, batches: int) -> None:
    """
    Of cancel, pause, finish and failure at the same moment one wins. There is one charge at most, no model without
    a completed job, and a job that was only paused can still be cancelled.
    """
    caller = await laboratory.caller(max_concurrent_jobs=10_000)
    circuit_id = await laboratory.circuit(caller)

    async def trial(number: int) -> None:
        lease, _ = await laboratory.begun(caller, circuit_id=circuit_id)
        await laboratory.runs.record_epoch(lease, make_report())
        ends = [
            lambda: laboratory.jobs.cancel(caller, lease.job_id),
            lambda: laboratory.runs.complete(lease, make_trained(), INPUTS),
            lambda: laboratory.runs.fail(lease, Diverged()),
            lambda: laboratory.runs.pause(lease, PAUSED),
            lambda: laboratory.runs.release(lease),
        ]
        chosen = list(itertools.permutations(range(5), 3))[number % 60]

        async def run(index: int) -> None:
            try:
                await ends[index]()
            except (LeaseLost, Conflict):
                pass

        # The worker answers a wish to stop only where none of its own ends came first.
        racing = [asyncio.create_task(run(index)) for index in chosen]
        await asyncio.sleep(0.05)
        try:
            await laboratory.runs.stopped(lease)
        except LeaseLost:
            pass
        await asyncio.gather(*racing)
        row = await JobRow.get(id=lease.job_id)
        if Status(row.status) not in TERMINAL:
            await laboratory.jobs.cancel(caller, lease.job_id)

    for batch in range(batches):
        await asyncio.gather(*(trial(15 * batch + number) for number in range(15)))

    jobs = {row.id: row for row in await JobRow.all()}
    assert len(jobs) == 15 * batches
    for row in jobs.values():
        assert Status(row.status) in TERMINAL
        ends = [
            event.data["status"]
            for event in await JobEventRow.filter(job_id=row.id, channel=JOB_PROGRESS)
            if event.data["status"] in TERMINAL
        ]
        assert ends == [row.status]
        assert await CostEventRow.filter(job_id=row.id).count() == 1
        assert await ModelRow.filter(training_job_id=row.id).count() == (row.status == Status.COMPLETED)
        assert row.lease_until is None


async def test_going_on_from_an_ended_job(laboratory: Laboratory) -> None:
    """The new job has the old one's plan, curves and checkpoint, a cost of its own, and its own number of epochs."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller, seed=9, priority="high", tags=["t"], epochs=4)
    await laboratory.runs.record_epoch(lease, make_report())
    await laboratory.runs.fail(lease, Diverged())
    await CircuitRow.filter(organization_id=caller.organization_id).update(gate_count=0, circuit_definition={})

    left = await laboratory.jobs.go_on(caller, lease.job_id, ContinueDraft())
    more = await laboratory.jobs.go_on(caller, lease.job_id, ContinueDraft(epochs=7))

    one, two = [await laboratory.jobs.get(caller, submitted.job_id) for submitted in (left, more)]
    assert (one.continued_from, one.priority, one.tags, one.config["seed"]) == (lease.job_id, "high", ["t"], 9)
    assert (one.progress.current_epoch, one.progress.total_epochs, one.config["epochs"]) == (1, 4, 4)
    assert (two.progress.current_epoch, two.progress.total_epochs) == (1, 8)
    assert one.metrics["loss_history"] == [1.0]
    assert (one.cost, one.resources.circuits_executed) == (0, 0)
    assert (await laboratory.jobs.logs(caller, one.id))[0].message == (
        f"Goes on from {lease.job_id} after epoch 1 for native with seed 9."
    )
    taken = await laboratory.runs.begin(one.id, "directory:host:1")
    assert taken is not None
    assert (taken[1].checkpoint, taken[1].goes_on) == (b"checkpoint 1", True)
    await laboratory.runs.record_epoch(taken[0], make_report(2))
    assert (await laboratory.blobs.get(str((await JobRow.get(id=lease.job_id)).checkpoint))).endswith(b"checkpoint 1")
    await laboratory.runs.release(taken[0])
    again = await laboratory.runs.begin(one.id, "directory:host:1")
    assert again is not None
    assert (again[1].checkpoint, again[1].goes_on) == (b"checkpoint 2", False)


async def test_going_on_from_nothing(laboratory: Laboratory) -> None:
    """A job that was cancelled before its first epoch is gone on from at the beginning, with the same seed."""
    caller = await laboratory.caller()
    job_id = (await laboratory.submit(caller)).job_id
    await laboratory.jobs.cancel(caller, job_id)

    submitted = await laboratory.jobs.go_on(caller, job_id, ContinueDraft())

    one, two = [await laboratory.jobs.get(caller, id) for id in (job_id, submitted.job_id)]
    assert two.config == {**one.config, "backend": "native"}
    assert two.progress.total_epochs == 4
    assert (await JobRow.get(id=two.id)).checkpoint is None


async def test_what_cannot_be_gone_on_from(laboratory: Laboratory) -> None:
    """A live job, a job whose checkpoint was not kept, too many epochs, a stranger's job."""
    caller, stranger = await laboratory.caller(), await laboratory.caller()
    viewer = await laboratory.caller(Role.VIEWER, of=caller)
    lease, _ = await laboratory.begun(caller)
    await laboratory.runs.record_epoch(lease, make_report())
    attempts: list[tuple[Caller, ContinueDraft, type[QStoreError]]] = [
        (stranger, ContinueDraft(), NotFound),
        (viewer, ContinueDraft(), Forbidden),
        (caller, ContinueDraft(), Conflict),
    ]
    for who, draft, error in attempts:
        with pytest.raises(error):
            await laboratory.jobs.go_on(who, lease.job_id, draft)
    with pytest.raises(Conflict):
        await laboratory.jobs.replay(caller, lease.job_id)
    await laboratory.runs.cancelled(lease)
    with pytest.raises(ValidationFailed):
        await laboratory.jobs.go_on(caller, lease.job_id, ContinueDraft(epochs=100_000))
    await JobRow.filter(id=lease.job_id).update(checkpoint=None)
    with pytest.raises(Conflict):
        await laboratory.jobs.go_on(caller, lease.job_id, ContinueDraft())

    assert await JobRow.all().count() == 1


async def test_replay_compares_as_epochs_come(laboratory: Laboratory) -> None:
    """The first epoch with another digest is named at once; a replay of a cancelled job compares what there is."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller, seed=3)
    for epoch in (1, 2):
        await laboratory.runs.record_epoch(lease, make_report(epoch, digest=f"{epoch:016}", receipt={"threads": 5}))
    await laboratory.runs.cancelled(lease)
    replays = []
    for wrong in (None, 2):
        submitted = await laboratory.jobs.replay(caller, lease.job_id)
        taken = await laboratory.runs.begin(submitted.job_id, "directory:host:1")
        assert taken is not None
        assert (taken[1].threads, taken[1].seed, taken[1].checkpoint) == (5, 3, None)
        for epoch in (1, 2, 3):
            found = (await laboratory.jobs.get(caller, submitted.job_id)).metrics["replay"]
            assert found["bit_equal"] is (None if epoch < 3 else wrong is None)
            report = make_report(epoch, digest="0" * 15 + ("f" if wrong == epoch else str(epoch)))
            await laboratory.runs.record_epoch(taken[0], report)
        assert await laboratory.runs.complete(taken[0], make_trained(), INPUTS) is None
        replays.append((await laboratory.jobs.get(caller, submitted.job_id)).metrics["replay"])

    assert replays == [
        {"of": lease.job_id, "bit_equal": True, "first_difference": None},
        {"of": lease.job_id, "bit_equal": False, "first_difference": 2},
    ]
    assert await ModelRow.all().count() == 0
