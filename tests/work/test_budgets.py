"""Money and real children: a job at its limit stops before the next epoch, and goes on exactly once there is more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tortoise.functions import Sum

from qstore_appliance.database.tables.costs import BudgetRow, CostEventRow
from qstore_appliance.domain.budgets import TopUpDraft
from qstore_appliance.domain.jobs import Job, JobDraft, Status
from qstore_appliance.settings import Settings
from tests.work.bench import Bench, children_of


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Circuits cost a tenth of a cent here, and processor time a dollar an hour."""
    return Settings(data_dir=tmp_path / "data", backends={"native": {"per_circuit": 0.001, "per_cpu_second": 0.000278}})


async def paused(bench: Bench, job_id: str) -> Job:
    async with asyncio.timeout(60):
        while (job := await bench.job(job_id)).status != Status.PAUSED:
            assert job.status not in (Status.COMPLETED, Status.FAILED), job.reason
            await asyncio.sleep(0.02)
    return job


async def test_a_paused_job_goes_on_exactly(bench: Bench) -> None:
    """Paused within its limit, with no child left; topped up, it ends bit for bit as one that was never paused."""
    unbroken = await bench.ended(await bench.submit(epochs=6))
    row = {"circuit_id": unbroken.circuit_id, "config": {**_asked(unbroken), "epochs": 6}, "budget_limit": 0.5}
    job_id = (await bench.appliance.jobs.submit(bench.caller, JobDraft.model_validate(row))).job_id

    stopped = await paused(bench, job_id)
    async with asyncio.timeout(50):
        while children_of("train"):
            await asyncio.sleep(0.01)
    await bench.appliance.top_ups.top_up(bench.caller, job_id, TopUpDraft(budget_limit=50.0))
    job = await bench.ended(job_id)

    models = [await bench.appliance.models.get(bench.caller, str(found.model_id)) for found in (unbroken, job)]
    assert 0 < stopped.cost <= 500_000
    assert 0 < stopped.progress.current_epoch < 6
    assert job.status == Status.COMPLETED, job.reason
    assert job.metrics["loss_history"] == unbroken.metrics["loss_history"]
    assert models[0].parameters == models[1].parameters
    assert job.resources.circuits_executed == unbroken.resources.circuits_executed
    assert job.resources.cpu_seconds > 0
    assert job.cost > job.resources.circuits_executed * 1_000
    for found in (unbroken, job):
        events = CostEventRow.filter(job_id=found.id)
        assert (await events.annotate(total=Sum("amount")).values_list("total", flat=True)) == [found.cost]
    budget = await BudgetRow.get(organization_id=bench.caller.organization_id)
    assert (budget.spent, budget.reserved) == (unbroken.cost + job.cost, 0)


def _asked(job: Job) -> dict[str, object]:
    """A config that trains what this job trained."""
    return {"dataset": {"type": "iris"}, "seed": job.config["seed"], "backend": "native"}
