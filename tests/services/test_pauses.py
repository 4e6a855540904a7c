"""What a budget's alerts hold up: running jobs stop at their next epoch, others wait or are not accepted; all go on by themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.costs import BudgetRow
from qstore_appliance.database.tables.jobs import JobLogRow, JobRow
from qstore_appliance.deliveries.receivers import Receivers
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.circuit_jobs import CircuitJobDraft
from qstore_appliance.domain.costs import CostEvent
from qstore_appliance.errors import BudgetExceeded
from qstore_appliance.services.alerts import Alerts
from qstore_appliance.services.circuit_jobs import CircuitJobs
from qstore_appliance.services.circuit_runs import CircuitRuns
from qstore_appliance.services.costs import Costs
from qstore_appliance.services.endings import LeaseLost
from qstore_appliance.services.jobs import Jobs
from qstore_appliance.services.outbox import Outbox
from qstore_appliance.services.pauses import Pauses
from qstore_appliance.services.runs import Runs
from qstore_appliance.settings import Settings, Webhooks
from tests.factories import SteppingClock, ThreadCalculator
from tests.services.laboratory import INPUTS, Laboratory, make_report, make_trained

DOLLAR = 1_000_000
PAUSE = {"threshold": 90, "action": "pause_jobs"}
PAUSE_NEW = {"threshold": 90, "action": "pause_new_jobs"}
SENTENCE = "Waits for the budget: its alert at 90 % pauses all jobs until the limit is raised, or 2026-12-01T00:00:00Z."


class Budgeted(Laboratory):
    """A laboratory whose organizations have budgets."""

    def __init__(self, database: Database, settings: Settings, clock: SteppingClock) -> None:
        super().__init__(database, settings, clock)

        async def spend(organization_id: str) -> int:
            return await self.costs.month_spend(organization_id)

        outbox = Outbox(database, clock, settings, {})
        self.alerts = Alerts(database, outbox, Receivers(Webhooks()), clock, spend)
        self.pauses = Pauses(database, self.events, clock, spend)
        self.costs = Costs(database, clock, self.alerts)
        self.runs = Runs(
            *(database, self.blobs, self.events, self.backends, self.datasets, self.costs, clock, settings),
            pauses=self.pauses,
        )
        self.jobs = Jobs(
            *(database, self.queue, self.backends, self.datasets, self.runs, self.events, clock, settings),
            pauses=self.pauses,
        )
        self.circuit_runs = CircuitRuns(
            database, self.backends, ThreadCalculator(), self.costs, clock, settings, self.pauses
        )
        self.circuit_jobs = CircuitJobs(database, self.backends, self.circuit_runs, clock, settings, self.pauses)

    async def budget(self, caller: Caller, *alerts: dict[str, Any], limit: int = 100) -> None:
        async with self.database.transaction():
            values = {"monthly_limit": limit * DOLLAR, "alerts": list(alerts)}
            if not await BudgetRow.filter(organization_id=caller.organization_id).update(**values):
                await BudgetRow.create(organization_id=caller.organization_id, **values)
            await self.alerts.changed(caller.organization_id)

    async def charge(self, caller: Caller, dollars: int) -> None:
        async with self.database.transaction():
            await self.costs.record(
                CostEvent(
                    id=ids.new("cost"),
                    organization_id=caller.organization_id,
                    user_id=caller.user_id,
                    event_type="prediction",
                    backend="native",
                    amount=dollars * DOLLAR,
                    circuits=1,
                    shots=0,
                )
            )

    async def paused(self, caller: Caller) -> str:
        """A job that was running when the alert fired, and has finished its epoch."""
        lease, _ = await self.begun(caller)
        await self.charge(caller, 95)
        with pytest.raises(LeaseLost):
            await self.runs.record_epoch(lease, make_report())
        return lease.job_id


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock(datetime(2026, 11, 20, 12, tzinfo=UTC))


@pytest.fixture
async def lab(database: Database, settings: Settings, clock: SteppingClock) -> AsyncIterator[Budgeted]:
    made = Budgeted(database, settings, clock)
    yield made
    await made.close()


async def test_running_jobs_stop_at_their_next_epoch(lab: Budgeted) -> None:
    """A job that runs when the alert fires saves its epoch and is paused with it, and says why; nobody may take it."""
    caller = await lab.caller()
    await lab.budget(caller, PAUSE)
    job_id = await lab.paused(caller)

    row = await JobRow.get(id=job_id)
    assert (row.status, row.reason, row.checkpoint_epoch) == ("paused", SENTENCE, 1)
    assert (row.lease_owner, row.lease_until) == (None, None)
    said = await JobLogRow.filter(job_id=job_id).order_by("-seq").first()
    assert said is not None
    assert said.message.startswith("Paused")
    assert said.message.endswith(SENTENCE)
    assert await lab.runs.begin(job_id, "directory:host:1") is None
    assert await lab.runs.reap() == []
    assert (await JobRow.get(id=job_id)).status == "paused"


async def test_a_job_in_its_last_epoch_ends(lab: Budgeted) -> None:
    """A job that has finished its last epoch is not paused before its end: everything is paid for already."""
    caller = await lab.caller()
    await lab.budget(caller, PAUSE)
    lease, _ = await lab.begun(caller)
    await lab.charge(caller, 95)

    await lab.runs.record_epoch(lease, make_report(epoch=4))
    await lab.runs.complete(lease, make_trained(), INPUTS)

    assert (await JobRow.get(id=lease.job_id)).status == "completed"


async def test_waiting_jobs_say_why(lab: Budgeted) -> None:
    """Jobs that wait, and those that come, are accepted, not woken, not begun, and say what they wait for."""
    caller, other = await lab.caller(), await lab.caller()
    await lab.budget(caller, PAUSE)
    before = (await lab.submit(caller)).job_id
    theirs = (await lab.submit(other)).job_id
    await lab.charge(caller, 95)
    after = (await lab.submit(caller)).job_id

    assert [job_id for job_id, _ in await lab.runs.reap()] == [theirs]
    for job_id in (before, after):
        assert await lab.runs.begin(job_id, "directory:host:1") is None
        row = await JobRow.get(id=job_id)
        assert (row.status, row.reason) == ("queued", SENTENCE)
    assert await lab.runs.begin(theirs, "directory:host:1") is not None


@pytest.mark.parametrize("way", ["limit", "alert", "month"])
async def test_all_go_on(lab: Budgeted, clock: SteppingClock, way: str) -> None:
    """A raised limit, an alert that is taken away or a new month: paused and waiting jobs go on by themselves."""
    caller = await lab.caller(max_concurrent_jobs=5)
    await lab.budget(caller, PAUSE)
    paused = await lab.paused(caller)
    waiting = (await lab.submit(caller)).job_id
    assert await lab.runs.reap() == []
    if way == "limit":
        await lab.budget(caller, PAUSE, limit=200)
    elif way == "alert":
        await lab.budget(caller)
    else:
        clock.advance(days=11)

    woken = [job_id for job_id, _ in await lab.runs.reap()]

    assert sorted(woken) == sorted([paused, waiting])
    assert (await JobRow.get(id=waiting)).reason is None
    taken = await lab.runs.begin(paused, "directory:host:1")
    assert taken is not None
    assert taken[1].checkpoint == b"checkpoint 1"
    lines = await JobLogRow.filter(job_id=paused).values_list("message", flat=True)
    assert "The budget allows it again; it goes on after epoch 1." in lines


async def test_what_a_person_paused_stays_paused(lab: Budgeted) -> None:
    """A job that somebody paused does not go on because a budget would allow it."""
    caller = await lab.caller()
    lease, _ = await lab.begun(caller)
    await lab.runs.pause(lease, "Paused by ada@example.org.")

    assert await lab.runs.reap() == []
    assert (await JobRow.get(id=lease.job_id)).status == "paused"


async def test_a_paused_job_can_be_cancelled(lab: Budgeted) -> None:
    """Who does not want to wait for the budget cancels the job as any other."""
    caller = await lab.caller()
    await lab.budget(caller, PAUSE)
    job_id = await lab.paused(caller)

    assert (await lab.jobs.cancel(caller, job_id)).status == "cancelled"


async def test_no_new_jobs(lab: Budgeted) -> None:
    """Submitting is refused with the alert and its end; what was accepted runs; a raised limit ends it at once."""
    caller, other = await lab.caller(), await lab.caller()
    circuit = await lab.circuit(caller)
    await lab.budget(caller, PAUSE_NEW)
    accepted = (await lab.submit(caller, circuit_id=circuit)).job_id
    await lab.charge(caller, 90)

    with pytest.raises(BudgetExceeded, match=r"alert at 90 % admits no new jobs until the limit is raised") as caught:
        await lab.submit(caller, circuit_id=circuit)
    assert caught.value.details == {"threshold": 90, "until": "2026-12-01T00:00:00Z"}
    assert await lab.runs.begin(accepted, "directory:host:1") is not None
    assert await lab.submit(other)
    await lab.budget(caller, PAUSE_NEW, limit=101)
    assert await lab.submit(caller, circuit_id=circuit)


async def test_circuit_jobs_are_jobs(lab: Budgeted) -> None:
    """Circuit jobs of clients that speak IonQ's API are held up alike: new ones refused, waiting ones not begun."""
    caller, other = await lab.caller(), await lab.caller()
    draft = CircuitJobDraft.model_validate(
        {
            "type": "ionq.circuit.v1",
            "backend": "simulator",
            "input": {"qubits": 1, "gateset": "qis", "circuit": [{"gate": "h", "target": 0}]},
        }
    )
    await lab.budget(caller, PAUSE, {**PAUSE_NEW, "threshold": 95})
    held = await lab.circuit_jobs.submit(caller, draft)
    free = await lab.circuit_jobs.submit(other, draft)
    await lab.charge(caller, 91)

    first, second = await lab.circuit_runs._claim(), await lab.circuit_runs._claim()

    assert first is not None
    assert (first.id, second) == (free.id, None)
    await lab.charge(caller, 4)
    with pytest.raises(BudgetExceeded):
        await lab.circuit_jobs.submit(caller, draft)
    await lab.budget(caller, limit=1_000)
    third = await lab.circuit_runs._claim()
    assert third is not None
    assert third.id == held.id
