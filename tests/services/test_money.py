"""
Money under any order of events: what jobs do to a budget, against a model of it in plain sums.

After each step spend is the sum of the ledger's month, reserved the sum over live jobs, and both together never beyond the
limit that was in force when the last job was accepted.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.costs import BudgetRow, CostEventRow, ReservationRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain.accounts import Role
from qstore_appliance.domain.budgets import BudgetDraft, TopUpDraft
from qstore_appliance.domain.costs import micros
from qstore_appliance.domain.jobs import Lease, Status
from qstore_appliance.errors import BudgetExceeded, Diverged
from qstore_appliance.services.endings import LeaseLost
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock
from tests.services.laboratory import INPUTS, Laboratory, make_report, make_trained

Result = TypeVar("Result")
#: Micro-dollars per circuit.
EACH = 1_000


class Money(RuleBasedStateMachine):
    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = SteppingClock(datetime(2026, 3, 30, tzinfo=UTC))
        self.do(self.open())
        #: The model: limit and spend of the month, and of each live job its limit, cost and epochs.
        self.limit: int | None = None
        self.spent = 0
        self.live: dict[str, dict[str, Any]] = {}
        self.costs: dict[str, int] = {}

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    async def open(self) -> None:
        configured = Settings(data_dir=Path(self.folder.name), backends={"native": {"per_circuit": EACH / 1e6}})
        self.database = await Database.open(configured)
        await self.database.migrate()
        self.laboratory = Laboratory(self.database, configured, self.clock)
        self.caller = await self.laboratory.caller(Role.ADMIN, max_concurrent_jobs=1_000)
        self.circuit = await self.laboratory.circuit(self.caller)

    def teardown(self) -> None:
        self.do(self.laboratory.close())
        self.do(self.database.close())
        self.runner.close()
        self.folder.cleanup()

    @property
    def reserved(self) -> int:
        return sum(max(0, job["held"] - job["cost"]) for job in self.live.values())

    def fits(self, amount: int) -> bool:
        return amount == 0 or self.limit is None or self.spent + self.reserved + amount <= self.limit

    @rule(dollars=st.one_of(st.none(), st.integers(0, 30).map(lambda tenths: tenths / 10)))
    def set_limit(self, dollars: float | None) -> None:
        self.do(self.laboratory.budgets.update(self.caller, BudgetDraft(monthly_limit=dollars)))
        self.limit = None if dollars is None else micros(dollars)

    @rule(target=jobs, dollars=st.integers(0, 1_000).map(lambda milli: milli / 1_000), epochs=st.integers(1, 6))
    def submit(self, dollars: float, epochs: int) -> str:
        held, fits = micros(dollars), self.fits(micros(dollars))
        try:
            job_id = self.do(self._submit(dollars, epochs))
        except BudgetExceeded:
            assert not fits
            return ""
        assert fits
        self.live[job_id] = {"held": held, "cost": 0, "epochs": epochs, "done": 0}
        self.costs[job_id] = 0
        return job_id

    async def _submit(self, dollars: float, epochs: int) -> str:
        draft = await self.laboratory.draft(
            self.caller, circuit_id=self.circuit, budget_limit=dollars, epochs=epochs, backend="native"
        )
        return (await self.laboratory.jobs.submit(self.caller, draft)).job_id

    @rule(job_id=jobs, circuits=st.integers(0, 300))
    def run_an_epoch(self, job_id: str, circuits: int) -> None:
        job = self.live.get(job_id)
        if job is None or job["done"] == job["epochs"]:
            return
        if self.do(self._run(job_id, job["done"] + 1, job["epochs"], circuits)):
            job["done"] += 1
            job["cost"] += circuits * EACH
            self.costs[job_id] += circuits * EACH
            self.spent += circuits * EACH

    async def _run(self, job_id: str, epoch: int, epochs: int, circuits: int) -> bool:
        """Whether the epoch ran: it may be paused before it, or after."""
        lease = await self._lease(job_id)
        if lease is None:
            return False
        report = make_report(
            epoch, total_epochs=epochs, circuits=circuits, finish_circuits=0 if epoch == epochs else None
        )
        try:
            await self.laboratory.runs.record_epoch(lease, report)
        except LeaseLost:
            assert (await JobRow.get(id=job_id)).status == Status.PAUSED
        return True

    async def _lease(self, job_id: str) -> Lease | None:
        row = await JobRow.get(id=job_id)
        if row.status == Status.RUNNING:
            return Lease(job_id=job_id, organization_id=row.organization_id, fence=row.fence)
        taken = await self.laboratory.runs.begin(job_id, "directory:host:1")
        return None if taken is None else taken[0]

    @rule(job_id=jobs, more=st.integers(1, 500).map(lambda milli: milli / 1_000))
    def top_up(self, job_id: str, more: float) -> None:
        job = self.live.get(job_id)
        if job is None:
            return
        had = max(job["held"], job["cost"])
        wanted = had + micros(more)
        fits = self.fits(wanted - had)
        try:
            self.do(self.laboratory.top_ups.top_up(self.caller, job_id, TopUpDraft(budget_limit=wanted / 1e6)))
        except BudgetExceeded:
            assert not fits
        else:
            assert fits
            job["held"] = wanted

    @rule(job_id=consumes(jobs), how=st.sampled_from(("cancel", "complete", "fail")), circuits=st.integers(0, 50))
    def end(self, job_id: str, how: str, circuits: int) -> None:
        if job_id not in self.live:
            return
        scored = self.do(self._end(job_id, how, circuits))
        self.spent += scored * EACH
        self.costs[job_id] += scored * EACH
        del self.live[job_id]

    async def _end(self, job_id: str, how: str, circuits: int) -> int:
        """How many circuits that took; where nobody can run the job it is cancelled."""
        lease = None if how == "cancel" else await self._lease(job_id)
        if lease is None:
            row = await JobRow.get(id=job_id)
            if row.status == Status.RUNNING:
                await self.laboratory.runs.cancelled(
                    Lease(job_id=job_id, organization_id=row.organization_id, fence=row.fence)
                )
            else:
                await self.laboratory.jobs.cancel(self.caller, job_id)
            return 0
        if how == "complete":
            await self.laboratory.runs.complete(lease, make_trained(circuits=circuits), INPUTS)
            return circuits
        await self.laboratory.runs.fail(lease, Diverged())
        return 0

    @rule(job_id=jobs)
    def give_back(self, job_id: str) -> None:
        if job_id in self.live:
            self.do(self._give_back(job_id))

    async def _give_back(self, job_id: str) -> None:
        row = await JobRow.get(id=job_id)
        if row.status == Status.RUNNING:
            lease = Lease(job_id=job_id, organization_id=row.organization_id, fence=row.fence)
            await self.laboratory.runs.release(lease)

    @precondition(lambda self: self.live)
    @rule()
    def the_month_ends(self) -> None:
        now = self.clock.now()
        first = (now.replace(day=1) + timedelta(days=32)).replace(day=1)
        self.clock.advance(seconds=(first - now).total_seconds())
        self.spent = 0

    @invariant()
    def it_adds_up(self) -> None:
        self.do(self._adds_up())

    async def _adds_up(self) -> None:
        row = await BudgetRow.get_or_none(organization_id=self.caller.organization_id)
        budget = await self.laboratory.budgets.get(self.caller)
        month = self.clock.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        events = await CostEventRow.all()
        held = {reservation.job_id: reservation for reservation in await ReservationRow.all()}

        assert budget.spent == self.spent == sum(event.amount for event in events if event.created_at >= month)
        assert budget.reserved == self.reserved == sum(reservation.amount for reservation in held.values())
        assert set(held) == set(self.live)
        for job_id, cost in self.costs.items():
            job = await JobRow.get(id=job_id)
            assert job.cost == cost == sum(event.amount for event in events if event.job_id == job_id)
            assert math.isfinite(job.cost)
        assert row is None or (row.reserved >= 0 and row.spent >= 0)


Money.TestCase.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestMoney = Money.TestCase
