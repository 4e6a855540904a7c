"""Jobs as people see them: what is accepted, what is refused and with which field, cancelling, following."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.costs import CostEventRow
from qstore_appliance.database.tables.jobs import JobEventRow, JobRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Role
from qstore_appliance.domain.budgets import TopUpDraft
from qstore_appliance.domain.events import JOB_METRICS, JOB_PROGRESS
from qstore_appliance.domain.jobs import Status
from qstore_appliance.domain.listing import Page
from qstore_appliance.errors import (
    BackendCannot,
    Conflict,
    DatasetMissing,
    Forbidden,
    HardwareForbidden,
    InsufficientMemory,
    NotFound,
    QStoreError,
    RateLimited,
    ValidationFailed,
)
from qstore_appliance.services import jobs, submission
from qstore_appliance.services.jobs import REST_SECONDS
from qstore_appliance.settings import Jobs as JobSettings
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock
from tests.services.laboratory import Laboratory, field_of, make_report, make_trained


@pytest_asyncio.fixture
async def laboratory(database: Database, settings: Settings, clock: SteppingClock) -> AsyncIterator[Laboratory]:
    laboratory = Laboratory(database, settings, clock)
    yield laboratory
    await laboratory.close()


async def test_submitted_job_waits_in_its_row_and_its_slots_are_told(laboratory: Laboratory) -> None:
    """A submitted job is a queued row with a seed, and a message with the number of its priority."""
    caller = await laboratory.caller()

    submitted = await laboratory.submit(caller, priority="high", tags=["night"])
    job = await laboratory.jobs.get(caller, submitted.job_id)

    assert submitted.backend == submitted.auto_backend == "native"
    assert submitted.estimated_start == job.created_at
    assert submitted.queue_position == 1
    assert job.status == Status.QUEUED
    assert job.config["seed"] >= 0
    assert job.config["dataset"]["type"] == "iris"
    assert job.tags == ["night"]
    assert job.progress.total_epochs == 4
    assert laboratory.queue.woken == [(job.id, 10)]
    assert [line.message for line in await laboratory.jobs.logs(caller, job.id)] == [
        f"Queued for native with seed {job.config['seed']}."
    ]


async def test_seed_that_is_given_is_kept(laboratory: Laboratory) -> None:
    """A job's config holds the seed that was asked for."""
    caller = await laboratory.caller()

    job = await laboratory.jobs.get(caller, (await laboratory.submit(caller, seed=42)).job_id)

    assert job.config["seed"] == 42


async def test_position_counts_what_is_taken_before(laboratory: Laboratory) -> None:
    """Jobs of the same or a higher priority that came earlier stand in front, lower ones do not."""
    caller = await laboratory.caller()
    await laboratory.submit(caller, priority="low")
    await laboratory.submit(caller)

    normal = await laboratory.submit(caller)
    high = await laboratory.submit(caller, priority="high")

    assert normal.queue_position == 2
    assert high.queue_position == 1
    assert normal.estimated_start is not None


async def test_busy_slots_are_the_reason_to_wait(laboratory: Laboratory) -> None:
    """A job behind a running one says how many slots are busy."""
    caller = await laboratory.caller()
    await laboratory.begun(caller)

    submitted = await laboratory.submit(caller)

    job = await laboratory.jobs.get(caller, submitted.job_id)
    assert job.reason == "Waits for a free slot: 1 of 1 busy."


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"dataset": {"type": "cifar"}}, "config.dataset.type"),
        ({"dataset": {"type": "iris", "classes": ["setosa", "rose"]}}, "config.dataset.classes"),
        ({"dataset": {"type": "iris", "classes": ["setosa", "setosa"]}}, "config.dataset.classes"),
        ({"dataset": {"type": "iris", "train_size": 140, "val_size": 60}}, "config.dataset.train_size"),
        ({"dataset": {"type": "iris", "features": {"count": 9}}}, "config.dataset.features.count"),
        ({"readout": {"observables": ["Z7"]}}, "config.readout.observables"),
        ({"readout": {"observables": ["Q0"]}}, "config.readout.observables"),
        ({"initial_parameters": {"phi_0": 0.1}}, "config.initial_parameters.phi_0"),
    ],
)
async def test_nonsense_is_refused_with_its_field(laboratory: Laboratory, change: dict[str, Any], field: str) -> None:
    """What can be known without opening the data is refused at submit, and no row is left."""
    caller = await laboratory.caller()

    with pytest.raises(ValidationFailed) as refused:
        await laboratory.submit(caller, **change)

    assert field == field_of(refused.value)
    assert await JobRow.all().count() == 0


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"circuit_id": "circuit_00000000000000000000000000"}, NotFound),
        ({"backend": "abacus"}, NotFound),
        ({"dataset": {"type": "mnist"}}, DatasetMissing),
        ({"gradient": "adjoint", "shots": 100}, BackendCannot),
    ],
)
async def test_what_is_not_here_is_refused(
    laboratory: Laboratory, change: dict[str, Any], error: type[QStoreError]
) -> None:
    """A missing circuit, backend or data set, and a gradient that shots cannot give, have errors of their own."""
    caller = await laboratory.caller()

    with pytest.raises(error):
        await laboratory.submit(caller, **change)


async def test_circuit_of_another_organization_does_not_exist(laboratory: Laboratory) -> None:
    """Somebody else's circuit is as absent as one that never was."""
    ada, bob = await laboratory.caller(), await laboratory.caller()
    circuit_id = await laboratory.circuit(ada)

    with pytest.raises(NotFound):
        await laboratory.submit(bob, circuit_id=circuit_id)


async def test_memory_that_is_not_there(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that needs more memory than the machine has free says both numbers."""
    monkeypatch.setattr(submission, "memory_available", lambda: 1_000_000)
    caller = await laboratory.caller()

    with pytest.raises(InsufficientMemory) as refused:
        await laboratory.submit(caller)

    assert refused.value.details["available_bytes"] == 1_000_000
    assert refused.value.details["needed_bytes"] > 1_000_000


async def test_backend_that_the_organization_does_not_allow(laboratory: Laboratory) -> None:
    """An organization's allow-list of backends counts for names, and for "auto" too."""
    caller = await laboratory.caller(allowed_backends=["qsim_of_tomorrow"])

    with pytest.raises(Forbidden):
        await laboratory.submit(caller, backend="native")
    with pytest.raises(BackendCannot):
        await laboratory.submit(caller, backend="auto")


async def test_keys_for_tests_send_no_job_on_to_hardware(laboratory: Laboratory) -> None:
    """A job on hardware that was accepted is neither resumed nor given more money by an API key for tests."""
    caller = await laboratory.caller()
    submitted = await laboratory.submit(caller, backend="native", budget_limit=1.0)
    await laboratory.jobs.pause(caller, submitted.job_id)
    described = laboratory.backends._described
    described["native"] = msgspec.structs.replace(described["native"], kind="hardware")
    for_tests = msgspec.structs.replace(caller, key_id=ids.new("key"), for_tests=True)

    for attempt in (
        laboratory.jobs.resume(for_tests, submitted.job_id),
        laboratory.top_ups.top_up(for_tests, submitted.job_id, TopUpDraft(budget_limit=2.0)),
    ):
        with pytest.raises(HardwareForbidden):
            await attempt

    assert (await laboratory.jobs.get(caller, submitted.job_id)).status == "paused"
    assert (await laboratory.jobs.resume(caller, submitted.job_id)).status == "queued"


async def test_stored_initial_values_become_the_jobs(laboratory: Laboratory) -> None:
    """Weights start at the circuit's own values, unless the job says otherwise."""
    caller = await laboratory.caller()
    circuit_id = await laboratory.circuit(caller)
    await laboratory.circuits.update(caller, circuit_id, patch_of({"theta": {"initial_values": [0.5, 0.25]}}))

    submitted = await laboratory.submit(caller, circuit_id=circuit_id, initial_parameters={"theta_1": 1.0})

    job = await laboratory.jobs.get(caller, submitted.job_id)
    assert job.config["initial_parameters"] == {"theta_0": 0.5, "theta_1": 1.0}


async def test_viewer_may_read_and_not_submit(laboratory: Laboratory) -> None:
    """Submitting needs jobs:submit; reading a colleague's job does not."""
    ada = await laboratory.caller()
    viewer = await laboratory.caller(Role.VIEWER, of=ada)
    submitted = await laboratory.submit(ada)

    with pytest.raises(Forbidden):
        await laboratory.jobs.submit(viewer, await laboratory.draft(ada))

    assert submitted.job_id == (await laboratory.jobs.get(viewer, submitted.job_id)).id


async def test_too_many_waiting_jobs(database: Database, settings: Settings, clock: SteppingClock) -> None:
    """An organization's line has an end."""
    few = Settings(data_dir=settings.data_dir, database=settings.database, jobs=JobSettings(max_queued=1))
    laboratory = Laboratory(database, few, clock)
    caller, other = await laboratory.caller(), await laboratory.caller()
    await laboratory.submit(caller)

    with pytest.raises(RateLimited):
        await laboratory.submit(caller)
    await laboratory.submit(other)

    assert await JobRow.all().count() == 2
    await laboratory.close()


async def test_lists_are_an_organizations_own(laboratory: Laboratory) -> None:
    """Lists hold the caller's organization's jobs, filtered by status, with their total."""
    ada, bob = await laboratory.caller(), await laboratory.caller()
    lease, _ = await laboratory.begun(ada)
    await laboratory.submit(ada)
    await laboratory.submit(bob)

    everything = await laboratory.jobs.listed(ada, Page(limit=1))
    running = await laboratory.jobs.listed(ada, Page(), [Status.RUNNING])

    assert (everything.total, len(everything.items)) == (2, 1)
    assert [lease.job_id] == [job.id for job in running.items]
    assert running.items[0].dataset == "iris"
    with pytest.raises(NotFound):
        await laboratory.jobs.get(bob, lease.job_id)
    with pytest.raises(NotFound):
        await laboratory.jobs.logs(bob, lease.job_id)


async def test_waiting_job_is_cancelled_at_once_and_twice(laboratory: Laboratory) -> None:
    """Cancelling a queued job ends it without a charge; doing it again changes nothing."""
    caller = await laboratory.caller()
    submitted = await laboratory.submit(caller)

    first = await laboratory.jobs.cancel(caller, submitted.job_id)
    second = await laboratory.jobs.cancel(caller, submitted.job_id)

    assert first.status == second.status == Status.CANCELLED
    assert first.seq == second.seq
    assert await CostEventRow.all().count() == 0
    assert await laboratory.runs.begin(submitted.job_id, "directory:host:1") is None


async def test_running_job_is_cancelled_by_its_worker(laboratory: Laboratory) -> None:
    """Cancelling a running job asks its worker, waits for it, and charges the epochs that ran."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    await laboratory.runs.record_epoch(lease, make_report())

    cancelling = asyncio.create_task(laboratory.jobs.cancel(caller, lease.job_id))
    while not laboratory.queue.stopped:
        await asyncio.sleep(0.01)
    assert not await laboratory.runs.heartbeat(lease)
    assert await laboratory.runs.cancel_requested(lease)
    await laboratory.runs.cancelled(lease)
    job = await cancelling

    assert job.status == Status.CANCELLED
    assert job.progress.current_epoch == 1
    assert (await CostEventRow.get(job_id=job.id)).circuits == 100


async def test_completed_job_cannot_be_cancelled(laboratory: Laboratory) -> None:
    """What has completed stays completed: 409."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    await laboratory.runs.record_epoch(lease, make_report())
    await laboratory.runs.complete(lease, make_trained())

    with pytest.raises(Conflict):
        await laboratory.jobs.cancel(caller, lease.job_id)


async def test_job_of_a_dead_worker_is_cancelled_without_it(laboratory: Laboratory, clock: SteppingClock) -> None:
    """A running job whose lease has run out needs no worker to be cancelled."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    clock.advance(seconds=60)

    assert (await laboratory.jobs.cancel(caller, lease.job_id)).status == Status.CANCELLED


async def test_a_circuit_deleted_meanwhile(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A circuit that is deleted between a job's check and its saving has won: there is no job of a deleted circuit."""
    caller = await laboratory.caller()
    draft = await laboratory.draft(caller)
    check = laboratory.jobs._submission.check

    async def overtaken(*asked: Any) -> Any:
        accepted = await check(*asked)
        await laboratory.circuits.delete(caller, draft.circuit_id)
        return accepted

    monkeypatch.setattr(laboratory.jobs._submission, "check", overtaken)

    with pytest.raises(NotFound):
        await laboratory.jobs.submit(caller, draft)

    assert (await laboratory.jobs.listed(caller, Page())).total == 0


async def test_colleagues_job_needs_an_admin(laboratory: Laboratory) -> None:
    """Developers cancel their own jobs, admins anybody's in the organization, strangers none."""
    ada, stranger = await laboratory.caller(), await laboratory.caller(Role.OWNER)
    colleague, admin = await laboratory.caller(of=ada), await laboratory.caller(Role.ADMIN, of=ada)
    submitted = await laboratory.submit(ada)

    with pytest.raises(Forbidden):
        await laboratory.jobs.cancel(colleague, submitted.job_id)
    with pytest.raises(NotFound):
        await laboratory.jobs.cancel(stranger, submitted.job_id)

    assert (await laboratory.jobs.cancel(admin, submitted.job_id)).status == Status.CANCELLED


async def test_following_ends_with_the_job(laboratory: Laboratory) -> None:
    """A follower receives old lines, then new ones as they are written, and is released when the job ends."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    seen: list[str] = []

    async def follow() -> None:
        async for lines in laboratory.jobs.follow(caller, lease.job_id):
            seen.extend(line.message for line in lines)

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.05)
    await laboratory.runs.record_epoch(lease, make_report())
    await laboratory.runs.complete(lease, make_trained())
    await asyncio.wait_for(following, 5)

    assert seen[1] == "Started on native."
    assert seen[2] == "Epoch 1/4 - loss: 1.000"
    assert seen[3].startswith("Completed: model model_")
    assert len(seen) == 4


async def test_log_levels_and_limits(laboratory: Laboratory) -> None:
    """Lines are filtered by level, the last ones first to stay, and nobody asks for a million of them."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    await laboratory.runs.record_epochs(lease, [make_report(1), make_report(2)])
    await laboratory.runs.fail(lease, QStoreError("broken"))

    last = await laboratory.jobs.logs(caller, lease.job_id, lines=2)
    errors = await laboratory.jobs.logs(caller, lease.job_id, level="error")

    assert [line.message for line in last] == ["Epoch 2/4 - loss: 0.500", "INTERNAL: broken"]
    assert [line.level for line in errors] == ["ERROR"]
    for wrong in ({"lines": 0}, {"lines": 1_000_000}, {"level": "loud"}):
        with pytest.raises(ValidationFailed):
            await laboratory.jobs.logs(caller, lease.job_id, **wrong)  # type: ignore[arg-type]


async def test_followers_of_a_fast_job_rest(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred epochs in a second are a few looks at the database for each follower, and every line arrives, in order."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    looks: list[int] = []
    pages = laboratory.jobs._pages

    def counted(id: str, after: int, levels: Any) -> Any:
        looks.append(after)
        return pages(id, after, levels)

    monkeypatch.setattr(laboratory.jobs, "_pages", counted)
    seen: list[str] = []

    async def follow() -> None:
        async for lines in laboratory.jobs.follow(caller, lease.job_id):
            seen.extend(line.message for line in lines)

    following = asyncio.create_task(follow())
    began = asyncio.get_running_loop().time()
    for epoch in range(1, 101):
        await laboratory.runs.record_epoch(lease, make_report(epoch))
    await laboratory.runs.complete(lease, make_trained())
    await asyncio.wait_for(following, 10)

    assert len(looks) <= (asyncio.get_running_loop().time() - began) / REST_SECONDS + 2
    assert [line.split(" - ")[0] for line in seen[2:-1]] == [f"Epoch {epoch}/4" for epoch in range(1, 101)]


async def test_lines_come_in_pages(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many lines a page holds, the last lines are the last lines, the oldest first."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    await laboratory.runs.record_epochs(lease, [make_report(epoch) for epoch in range(1, 9)])

    for size in (1, 3, 500):
        monkeypatch.setattr(jobs, "PAGE_LINES", size)
        last = await laboratory.jobs.logs(caller, lease.job_id, lines=6)
        assert [line.message.split(" - ")[0] for line in last] == [f"Epoch {epoch}/4" for epoch in range(3, 9)]


async def test_events_after_a_number(laboratory: Laboratory) -> None:
    """A returning subscriber gets exactly what it missed on its channel."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    before = (await laboratory.jobs.get(caller, lease.job_id)).seq
    await laboratory.runs.record_epochs(lease, [make_report(1), make_report(2)])

    metrics = await laboratory.jobs.events_since(caller, lease.job_id, JOB_METRICS, before)
    progress = await laboratory.jobs.events_since(caller, lease.job_id, JOB_PROGRESS, 0)
    future = await laboratory.jobs.events_since(caller, lease.job_id, JOB_PROGRESS, 10_000)

    assert metrics is not None
    assert progress is not None
    assert [event.data.epoch for event in metrics] == [1, 2]
    assert [event.data.status for event in progress] == ["queued", "running", "running", "running"]
    assert future is None


async def test_forgotten_events_are_owned_up_to(laboratory: Laboratory) -> None:
    """Where events after a number may have been forgotten the answer is None, not a gap."""
    caller = await laboratory.caller()
    lease, _ = await laboratory.begun(caller)
    await laboratory.runs.record_epochs(lease, [make_report(1), make_report(2)])
    newest = (await laboratory.jobs.get(caller, lease.job_id)).seq
    await JobEventRow.filter(job_id=lease.job_id, seq__lt=newest).delete()

    assert await laboratory.jobs.events_since(caller, lease.job_id, JOB_PROGRESS, 1) is None
    kept = await laboratory.jobs.events_since(caller, lease.job_id, JOB_METRICS, newest - 1)

    assert kept is not None
    assert [newest] == [event.seq for event in kept]


async def test_estimate_promises_nothing(laboratory: Laboratory) -> None:
    """An estimate has three numbers of each kind, and leaves no job behind."""
    caller = await laboratory.caller()

    found = await laboratory.jobs.estimate(caller, await laboratory.draft(caller))

    assert {"time_seconds", "memory_bytes", "cost", "backend", "auto_backend", "backend_reason"} == set(found)
    assert found["time_seconds"]["low"] <= found["time_seconds"]["expected"] <= found["time_seconds"]["high"]
    assert found["cost"]["expected"] == 0
    assert await JobRow.all().count() == 0


def patch_of(parameters: dict[str, Any]) -> Any:
    from qstore_appliance.domain.circuits import CircuitPatch

    return CircuitPatch(parameters=parameters)


async def test_several_at_once(laboratory: Laboratory) -> None:
    """Several jobs by id, and a page of them, are what each is by itself; others' and nonsense are left out."""
    caller, stranger = await laboratory.caller(), await laboratory.caller()
    mine = [(await laboratory.submit(caller)).job_id for _ in range(2)]
    theirs = (await laboratory.submit(stranger)).job_id
    await laboratory.jobs.cancel(caller, mine[0])
    wanted = [*mine, theirs, "x", "\x00"]

    found = await laboratory.jobs.several(caller, wanted)
    reasons = await laboratory.jobs.reasons(caller, wanted)
    cancelled = await laboratory.jobs.paged(caller, Page(), [Status.CANCELLED])

    alone = {id: await laboratory.jobs.get(caller, id) for id in mine}
    assert found[mine[0]] == alone[mine[0]]
    assert {id: job.status for id, job in found.items()} == {id: job.status for id, job in alone.items()}
    assert reasons == {id: job.reason for id, job in alone.items()}
    assert cancelled == [alone[mine[0]]]
    with pytest.raises(Forbidden):
        await laboratory.jobs.several(msgspec.structs.replace(caller, scopes=frozenset()), wanted)
