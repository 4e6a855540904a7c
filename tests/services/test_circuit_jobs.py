"""Circuit jobs: taken in, run once, charged once, and nobody else's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import OrganizationRow
from qstore_appliance.database.tables.circuit_jobs import CircuitJobRow
from qstore_appliance.database.tables.costs import BudgetRow, CostEventRow, ReservationRow
from qstore_appliance.domain.accounts import Caller, Role
from qstore_appliance.domain.circuit_jobs import CircuitJob, CircuitJobDraft, CircuitJobStatus, new_id
from qstore_appliance.engine import discovery
from qstore_appliance.engine.backend import Limits
from qstore_appliance.errors import (
    BackendCannot,
    BudgetExceeded,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    InsufficientMemory,
    InvalidCircuit,
    NotFound,
    RateLimited,
)
from qstore_appliance.services import circuit_runs
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.circuit_jobs import CircuitJobs
from qstore_appliance.services.circuit_runs import CircuitRuns
from qstore_appliance.services.costs import Costs
from qstore_appliance.settings import Jobs as JobSettings
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock, make_caller
from tests.services.test_backends import Plugins, described

BELL = [{"gate": "h", "target": 0}, {"gate": "cnot", "control": 0, "target": 1}]


class Simulator:
    """A `Calculator` that answers what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.answer: bytes | Exception = b'{"0":0.5,"3":0.5}'
        self.open = asyncio.Event()
        self.open.set()

    async def call(self, function: str, /, *args: Any, timeout: float = 30.0, **kwargs: Any) -> Any:
        assert function == circuit_runs.FUNCTION
        self.asked.append(args)
        await self.open.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer, 0.25


class Lab:
    """The services with one simulator that costs a hundredth of a dollar per circuit."""

    def __init__(self, database: Database, settings: Settings, clock: SteppingClock, ours: Caller) -> None:
        self.ours, self.clock, self.simulator = ours, clock, Simulator()
        configured = Settings(
            data_dir=settings.data_dir,
            database=settings.database,
            jobs=JobSettings(max_queued=3),
            backends={"native": {"per_circuit": 0.01, "per_shot": 0.0001}},
        )
        costs = Costs(database, clock)
        self.backends = Backends(database, Plugins(native=described("native")), configured, clock, costs)
        self._runs = (database, self.backends, self.simulator, costs, clock, configured)
        self.runs = CircuitRuns(*self._runs)
        self.jobs = CircuitJobs(database, self.backends, self.runs, clock, configured)

    async def submit(self, caller: Caller | None = None, **changes: Any) -> CircuitJob:
        values: dict[str, Any] = {
            "backend": "simulator",
            "input": {"gateset": "qis", "qubits": 2, "circuit": BELL},
            "shots": "100",
        }
        return await self.jobs.submit(caller or self.ours, CircuitJobDraft.model_validate({**values, **changes}))

    async def restart(self) -> None:
        """Another server of the same database."""
        await self.runs.close()
        self.runs = CircuitRuns(*self._runs)
        self.jobs._runs = self.runs
        await self.runs.start()

    async def ended(self, id: str) -> CircuitJob:
        async with asyncio.timeout(10):
            while (job := await self.jobs.get(self.ours, id)).completed_at is None:
                await asyncio.sleep(0.005)
        return job


@pytest_asyncio.fixture
async def lab(
    database: Database, settings: Settings, clock: SteppingClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Lab]:
    monkeypatch.setattr(discovery, "names", lambda: ["native"])
    ours = make_caller(Role.OWNER)
    await OrganizationRow.create(id=ours.organization_id, name="ours")
    built = Lab(database, settings, clock, ours)
    yield built
    built.simulator.open.set()
    await built.runs.close()
    await built.backends.close()


async def test_a_job_is_run_and_charged(lab: Lab) -> None:
    """Its answer is kept as it came, and one cost event names the job, the circuits and the price."""
    await lab.runs.start()

    job = await lab.ended((await lab.submit(name="bell", metadata={"measurement0": "m\x1f0,1"})).id)

    assert job.status == CircuitJobStatus.COMPLETED
    assert (job.name, job.metadata, job.shots) == ("bell", {"measurement0": "m\x1f0,1"}, 100)
    assert (job.n_qubits, job.gates_1q, job.gates_2q) == (2, 1, 1)
    assert await lab.jobs.results(lab.ours, job.id) == b'{"0":0.5,"3":0.5}'
    assert job.cost == job.estimated_cost == 10_000
    event = await CostEventRow.get(job_id=job.id)
    assert (event.amount, event.circuits, event.shots, event.event_type) == (10_000, 1, 0, "circuit")
    assert event.cpu_microseconds == 250_000
    assert event.organization_id == lab.ours.organization_id


@pytest.mark.parametrize("end", ["completed", "canceled", "deleted", "failed"])
async def test_a_budget_holds_for_circuit_jobs(lab: Lab, end: str) -> None:
    """What a job will cost is reserved; however it ends nothing stays so, and the next one fits again only then."""
    organization = lab.ours.organization_id
    await BudgetRow.create(organization_id=organization, monthly_limit=20_000)
    lab.simulator.answer = BackendCannot("Too large.") if end == "failed" else lab.simulator.answer
    first = await lab.submit()
    await lab.submit(dry_run=True)

    with pytest.raises(BudgetExceeded):
        await lab.submit(
            type="ionq.multi-circuit.v1", input={"gateset": "qis", "qubits": 2, "circuits": [{"circuit": BELL}] * 2}
        )
    assert (await BudgetRow.get(organization_id=organization)).reserved == 10_000
    if end == "deleted":
        await lab.jobs.delete(lab.ours, first.id)
    elif end == "canceled":
        await lab.jobs.cancel(lab.ours, first.id)
    else:
        await lab.runs.start()
        assert (await lab.ended(first.id)).status == end

    row = await BudgetRow.get(organization_id=organization)
    assert (row.spent, row.reserved) == (10_000 if end == "completed" else 0, 0)
    assert await ReservationRow.all().count() == 0


async def test_a_job_waits_for_maintenance(lab: Lab) -> None:
    """Where the only simulator is being worked on a job is accepted and stays ready until the window is cleared."""
    operator = make_caller(Role.OWNER, operator=True)
    await lab.backends.maintain(operator, "native", None, lab.clock.now() + timedelta(hours=1))
    await lab.runs.start()

    waiting = await lab.submit()
    await asyncio.sleep(0.05)
    before = await lab.jobs.get(lab.ours, waiting.id)
    (held,) = await lab.backends.listed(lab.ours)
    lab.clock.advance(seconds=30)
    await lab.backends.clear_maintenance(operator, "native")
    lab.runs.wake()
    ended = await lab.ended(waiting.id)

    assert (before.status, lab.simulator.asked[1:]) == (CircuitJobStatus.READY, [])
    assert ended.status == CircuitJobStatus.COMPLETED
    (native,) = await lab.backends.listed(lab.ours)
    assert (held.queue_depth, native.queue_depth) == (1, 0)
    assert native.avg_wait_seconds == 30.0
    assert native.avg_latency_ms is not None


async def test_circuits_of_the_hour_hold_for_circuit_jobs(lab: Lab) -> None:
    """A job beyond the backend's circuits of the hour stays ready until the hour is over."""
    lab.backends._calculator.described["native"] = described("native", limits=Limits(rate_limit_per_hour=1))
    await lab.runs.start()
    await lab.ended((await lab.submit()).id)

    second = await lab.submit()
    await asyncio.sleep(0.05)
    before = await lab.jobs.get(lab.ours, second.id)
    lab.clock.advance(minutes=61)
    lab.runs.wake()

    assert before.status == CircuitJobStatus.READY
    assert (await lab.ended(second.id)).status == CircuitJobStatus.COMPLETED


async def test_a_simulated_computer_draws_shots(lab: Lab) -> None:
    """A job for a quantum computer is drawn by the job's own seed, and its shots are charged."""
    await lab.runs.start()

    job = await lab.ended((await lab.submit(backend="qpu.forte-1")).id)

    *_, shots, seed = lab.simulator.asked[0]
    assert (shots, seed) == (100, int(job.id.replace("-", ""), 16))
    assert job.cost == 10_000 + 100 * 100


async def test_a_batch_has_children(lab: Lab) -> None:
    """One id per circuit goes to the simulation, and each circuit is charged."""
    await lab.runs.start()
    batch = {"gateset": "qis", "qubits": 2, "circuits": [{"circuit": BELL}, {"circuit": BELL[:1]}]}

    job = await lab.ended((await lab.submit(type="ionq.multi-circuit.v1", input=batch)).id)

    assert lab.simulator.asked[0][3] == job.child_ids
    assert len(set(job.child_ids)) == job.n_circuits == 2
    assert job.cost == 20_000


async def test_a_restart_runs_again_and_charges_once(lab: Lab) -> None:
    """What was running when the server went runs again at the next start; there is one charge."""
    await lab.runs.start()
    lab.simulator.open.clear()
    first, second = [(await lab.submit()).id for _ in range(2)]
    async with asyncio.timeout(10):
        while not lab.simulator.asked:
            await asyncio.sleep(0.005)

    await lab.restart()
    lab.simulator.open.set()

    assert [(await lab.ended(id)).status for id in (first, second)] == [CircuitJobStatus.COMPLETED] * 2
    assert len(lab.simulator.asked) == 3
    assert await CostEventRow.filter(job_id=first).count() == 1


async def test_a_server_that_vanished_is_succeeded(lab: Lab) -> None:
    """A job left running without a sign of life is taken up; the late answer of its first taker is not saved."""
    job = await lab.submit()
    stale = await lab.runs._claim()
    assert stale is not None
    assert await lab.runs._claim() is None
    lab.clock.advance(seconds=circuit_runs.LEASE / timedelta(seconds=1) + 1)

    taken = await lab.runs._claim()

    assert taken is not None
    assert taken.id == job.id
    await lab.runs._run(stale)
    assert (await lab.jobs.get(lab.ours, job.id)).status == CircuitJobStatus.RUNNING
    await lab.runs._run(taken)
    assert (await lab.jobs.get(lab.ours, job.id)).status == CircuitJobStatus.COMPLETED
    assert await CostEventRow.filter(job_id=job.id).count() == 1


async def test_failures_have_ionqs_names(lab: Lab) -> None:
    """A simulation that fails ends the job with a code of IonQ's and the sentence, without a charge."""
    await lab.runs.start()
    lab.simulator.answer = DeadlineExceeded("It took too long.")

    job = await lab.ended((await lab.submit()).id)

    assert job.status == CircuitJobStatus.FAILED
    assert job.failure == {"code": "SimulationTimeout", "message": "It took too long."}
    assert await CostEventRow.all().count() == 0
    with pytest.raises(NotFound, match="failed"):
        await lab.jobs.results(lab.ours, job.id)
    with pytest.raises(Conflict):
        await lab.jobs.cancel(lab.ours, job.id)


async def test_an_accident_stops_nobody_else(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours while one job runs leaves the next one to be run."""
    await lab.runs.start()
    lab.simulator.answer = ZeroDivisionError("a fault")
    await lab.submit()
    monkeypatch.setattr(circuit_runs, "LOOK_SECONDS", 0.01)
    async with asyncio.timeout(10):
        while not lab.simulator.asked:
            await asyncio.sleep(0.005)
    lab.simulator.answer = b'{"0":1}'

    job = await lab.ended((await lab.submit()).id)

    assert job.status == CircuitJobStatus.COMPLETED


async def test_cancel_and_delete(lab: Lab) -> None:
    """A job that waits, runs or is complete can be canceled, again and again; its results go. Deleted it is gone."""
    waiting = await lab.submit()
    assert (await lab.jobs.cancel(lab.ours, waiting.id)).status == CircuitJobStatus.CANCELED
    await lab.runs.start()
    lab.simulator.open.clear()
    running = await lab.submit()
    async with asyncio.timeout(10):
        while not lab.simulator.asked:
            await asyncio.sleep(0.005)
    assert (await lab.jobs.cancel(lab.ours, running.id)).status == CircuitJobStatus.CANCELED
    lab.simulator.open.set()
    complete = await lab.ended((await lab.submit()).id)

    canceled = await lab.jobs.cancel(lab.ours, complete.id)

    assert (await lab.jobs.cancel(lab.ours, complete.id)) == canceled
    assert canceled.cost == 10_000
    for id in (waiting.id, running.id, complete.id):
        assert (await lab.jobs.get(lab.ours, id)).status == CircuitJobStatus.CANCELED
        with pytest.raises(NotFound):
            await lab.jobs.results(lab.ours, id)
        assert await lab.jobs.delete(lab.ours, id) == id
        with pytest.raises(NotFound):
            await lab.jobs.get(lab.ours, id)
    assert await CostEventRow.all().count() == 1


async def test_a_dry_run_is_over_at_once(lab: Lab) -> None:
    """It says what it would cost, costs nothing and has no results."""
    job = await lab.submit(dry_run=True)

    assert (job.status, job.cost, job.estimated_cost) == (CircuitJobStatus.COMPLETED, 0, 10_000)
    with pytest.raises(NotFound):
        await lab.jobs.results(lab.ours, job.id)


async def test_organizations_do_not_meet(lab: Lab) -> None:
    """Another organization's job answers as one that does not exist, and is in no list."""
    theirs = make_caller(Role.OWNER)
    job = await lab.submit()

    for id in (job.id, new_id(), "x", "%00"):
        for act in (lab.jobs.get, lab.jobs.results, lab.jobs.cancel, lab.jobs.delete):
            with pytest.raises(NotFound, match="No job with this id"):
                await act(theirs, id)
    assert await lab.jobs.listed(theirs) == ([], None)
    assert (await lab.jobs.get(lab.ours, job.id)).status == CircuitJobStatus.READY


async def test_permissions(lab: Lab) -> None:
    """A viewer looks; submitting and canceling take the scopes of jobs."""
    viewer = make_caller(Role.VIEWER, organization_id=lab.ours.organization_id)
    job = await lab.submit()

    assert (await lab.jobs.get(viewer, job.id)).id == job.id
    for refused in (lab.submit(viewer), lab.jobs.cancel(viewer, job.id), lab.jobs.delete(viewer, job.id)):
        with pytest.raises(Forbidden):
            await refused


async def test_pages(lab: Lab, database: Database) -> None:
    """Newest first, page after page without gaps or repetitions, by state."""
    made = [(await lab.submit()).id for _ in range(3)]
    await lab.jobs.cancel(lab.ours, made[0])

    first, token = await lab.jobs.listed(lab.ours, limit=2)
    second, end = await lab.jobs.listed(lab.ours, limit=2, after=token)

    assert [job.id for job in (*first, *second)] == made[::-1]
    assert end is None
    canceled, _ = await lab.jobs.listed(lab.ours, status=CircuitJobStatus.CANCELED)
    assert [job.id for job in canceled] == made[:1]


async def test_organizations_take_turns(lab: Lab) -> None:
    """One with many jobs in line does not make another's first job wait for all of them."""
    theirs = make_caller(Role.OWNER)
    await OrganizationRow.create(id=theirs.organization_id, name="theirs")
    ours = [(await lab.submit()).id for _ in range(3)]
    other = (await lab.submit(theirs)).id

    order = []
    while (row := await lab.runs._claim()) is not None:
        order.append(row.id)

    assert order.index(other) <= 1
    assert [id for id in order if id != other] == ours


async def test_what_is_refused(lab: Lab) -> None:
    """Circuits that cannot be read or run are refused before anything is kept, and so is one job too many."""
    with pytest.raises(InvalidCircuit) as caught:
        await lab.submit(input={"circuit": [{"gate": "nonsense", "target": 0}]})
    assert caught.value.details["index"] == 0
    with pytest.raises(BackendCannot):
        await lab.submit(input={"qubits": 20, "circuit": BELL})
    assert await CircuitJobRow.all().count() == 0
    for _ in range(3):
        await lab.submit()
    with pytest.raises(RateLimited):
        await lab.submit()


async def test_a_state_that_does_not_fit(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job whose amplitudes this machine cannot hold is refused with the bytes, and not accepted only to fail."""
    monkeypatch.setattr("qstore_appliance.services.circuit_jobs.memory_available", lambda: 100)

    with pytest.raises(InsufficientMemory) as caught:
        await lab.submit()

    assert caught.value.details == {"needed_bytes": 192, "available_bytes": 100}
    assert await CircuitJobRow.all().count() == 0


async def test_what_the_organization_forbids(lab: Lab) -> None:
    """A simulator that the organization does not allow runs no circuits of its scripts either."""
    await OrganizationRow.filter(id=lab.ours.organization_id).update(settings={"allowed_backends": ["qsim"]})

    with pytest.raises(Forbidden, match="native"):
        await lab.submit()


async def test_targets_and_estimates(lab: Lab) -> None:
    """Quantum computers are listed as simulated, no larger than the simulator, and priced by its prices."""
    found = {target.name: target for target in await lab.jobs.targets(lab.ours)}

    assert found["simulator"].qubits == found["qpu.forte-1"].qubits == 4
    assert not found["simulator"].simulated
    assert found["qpu.forte-1"].simulated
    assert found["simulator"].available
    assert await lab.jobs.estimate(lab.ours, "simulator", 1, 1000) == 10_000
    assert await lab.jobs.estimate(lab.ours, "qpu.forte-1", 1, 1000) == 110_000
    assert json.dumps(found["simulator"].gates).count("pauliexp") == 1
