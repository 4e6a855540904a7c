"""Sweeps on both databases: all jobs or none, one progress, one table, cancelled together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.database.tables.sweeps import SweepRow
from qstore_appliance.domain.accounts import Caller, Role
from qstore_appliance.domain.jobs import JobDraft, Status
from qstore_appliance.domain.listing import Page
from qstore_appliance.domain.sweeps import Sweep, SweepDraft
from qstore_appliance.errors import Forbidden, NotFound, RateLimited, ValidationFailed
from qstore_appliance.settings import Jobs as JobSettings
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock
from tests.services.laboratory import INPUTS, Laboratory, make_report, make_trained


@pytest_asyncio.fixture
async def laboratory(database: Database, settings: Settings, clock: SteppingClock) -> AsyncIterator[Laboratory]:
    """Room for five jobs in an organization's line."""
    few = Settings(data_dir=settings.data_dir, database=settings.database, jobs=JobSettings(max_queued=5))
    laboratory = Laboratory(database, few, clock)
    yield laboratory
    await laboratory.close()


async def submit(laboratory: Laboratory, caller: Caller, **config: Any) -> Sweep:
    values = {"epochs": 4, "dataset": {"type": "iris"}, **config}
    draft = SweepDraft.model_validate(
        {"circuit_id": await laboratory.circuit(caller), "config": values, "name": "rates", "priority": "low"}
    )
    jobs = [JobDraft.model_validate(document) for document in draft.documents(7)]
    return await laboratory.sweeps.submit(caller, draft, jobs)


async def test_a_group_of_jobs(laboratory: Laboratory) -> None:
    """Each combination is a job like any other that names its sweep."""
    caller = await laboratory.caller()

    sweep = await submit(laboratory, caller, learning_rate=[0.1, 0.2], seed=[1, 2])

    rows = await JobRow.filter(sweep_id=sweep.id).order_by("id")
    assert [(row.config["learning_rate"], row.config["seed"]) for row in rows] == [
        (0.1, 1), (0.1, 2), (0.2, 1), (0.2, 2)
    ]  # fmt: skip
    assert (sweep.n_jobs, sweep.progress, sweep.states, sweep.name) == (4, 0, {"queued": 4}, "rates")
    assert sweep.best[0].parameters == {"learning_rate": 0.1, "seed": 1}
    assert sweep.estimated_cost == sum(row.estimated_cost for row in rows)
    assert sorted(id for id, _ in laboratory.queue.woken) == [row.id for row in rows]
    assert (await laboratory.jobs.get(caller, rows[0].id)).sweep_id == sweep.id


async def test_the_table_says_who_did_best(laboratory: Laboratory) -> None:
    """Progress counts epochs of all jobs; the table is by validation accuracy, with what varied and the model."""
    caller = await laboratory.caller()
    sweep = await submit(laboratory, caller, learning_rate=[0.1, 0.2, 0.3])
    first, second, third = [row.id for row in await JobRow.filter(sweep_id=sweep.id).order_by("id")]
    for job_id, accuracy in ((first, 0.6), (second, 0.8)):
        lease, _ = await laboratory.runs.begin(job_id, "directory:host:1")
        await laboratory.runs.record_epoch(lease, make_report(val_accuracy=accuracy))
        if job_id == first:
            metrics = {**make_trained().metrics, "validation_accuracy": accuracy}
            await laboratory.runs.complete(lease, make_trained(metrics=metrics), INPUTS)

    found = await laboratory.sweeps.get(caller, sweep.id)

    assert (found.metric, found.goal) == ("validation_accuracy", "max")
    assert [(one.job_id, one.score, one.parameters) for one in found.best] == [
        (second, 0.8, {"learning_rate": 0.2}), (first, 0.6, {"learning_rate": 0.1}), (third, None, {"learning_rate": 0.3})
    ]  # fmt: skip
    assert found.best[1].model_id is not None
    assert found.best[1].test_score == 0.9
    assert found.states == {"completed": 1, "running": 1, "queued": 1}
    assert found.progress == 100 * (4 + 1) // 12
    (listed,) = (await laboratory.sweeps.listed(caller, Page())).items
    assert (listed.id, listed.progress, listed.states) == (sweep.id, found.progress, found.states)


async def test_all_or_none(laboratory: Laboratory) -> None:
    """A combination that is refused, or a line that is too short, leaves neither jobs nor a sweep."""
    caller = await laboratory.caller()

    with pytest.raises(ValidationFailed):
        await submit(laboratory, caller, dataset=[{"type": "iris"}, {"type": "iris", "classes": ["rose", "setosa"]}])
    with pytest.raises(RateLimited):
        await submit(laboratory, caller, seed=[1, 2, 3, 4, 5, 6])

    assert await JobRow.all().count() == 0
    assert await SweepRow.all().count() == 0
    assert laboratory.queue.woken == []


async def test_cancelled_together(laboratory: Laboratory) -> None:
    """What has not ended is cancelled, what has stays; a second time changes nothing; colleagues and strangers may not."""
    caller, stranger = await laboratory.caller(), await laboratory.caller()
    colleague, viewer = await laboratory.caller(of=caller), await laboratory.caller(Role.VIEWER, of=caller)
    sweep = await submit(laboratory, caller, seed=[1, 2, 3])
    first = await JobRow.filter(sweep_id=sweep.id).order_by("id").first()
    lease, _ = await laboratory.runs.begin(first.id, "directory:host:1")
    await laboratory.runs.record_epoch(lease, make_report())
    await laboratory.runs.complete(lease, make_trained(), INPUTS)
    for who, error in ((colleague, Forbidden), (viewer, Forbidden), (stranger, NotFound)):
        with pytest.raises(error):
            await laboratory.sweeps.cancel(who, sweep.id)

    found = [await laboratory.sweeps.cancel(caller, sweep.id) for _ in range(2)]

    assert {tuple(sorted(one.states.items())) for one in found} == {(("cancelled", 2), ("completed", 1))}
    assert found[0].progress == 100
    assert (await JobRow.get(id=first.id)).status == Status.COMPLETED
    with pytest.raises(NotFound):
        await laboratory.sweeps.get(stranger, sweep.id)
    assert (await laboratory.sweeps.listed(stranger, Page())).total == 0
