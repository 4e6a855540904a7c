"""What models in service did, by the day: written by several servers, read together."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.model_metrics import ModelHourRow
from qstore_appliance.domain.models import DeploymentDraft, PredictDraft
from qstore_appliance.errors import NoCapacity, NotFound, ValidationFailed
from qstore_appliance.services.model_metrics import MetricsOfModels
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock
from tests.services.laboratory import Laboratory

QUESTION = PredictDraft(inputs=[[1.0, 2.0, 3.0, 4.0]] * 3)


@pytest_asyncio.fixture
async def laboratory(database: Database, settings: Settings, clock: SteppingClock) -> AsyncIterator[Laboratory]:
    laboratory = Laboratory(database, settings, clock)
    yield laboratory
    await laboratory.close()


async def test_answers_and_failures_are_counted(laboratory: Laboratory) -> None:
    """An answer and a service without capacity count, a question that is wrong does not; before anything is saved too."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    await laboratory.models.deploy(caller, model_id, DeploymentDraft())
    for _ in range(3):
        await laboratory.models.predict(caller, model_id, QUESTION)
    with pytest.raises(ValidationFailed):
        await laboratory.models.predict(caller, model_id, PredictDraft(inputs=[[1.0]]))
    laboratory.replicas.refusal = NoCapacity()
    with pytest.raises(NoCapacity):
        await laboratory.models.predict(caller, model_id, QUESTION)

    found = await laboratory.models.metrics(caller, model_id, "7d")

    assert found.requests_per_day == [0] * 6 + [4]
    assert (found.requests, found.inputs, found.error_rate) == (4, 9, 0.25)
    assert found.p50_latency_ms is not None
    assert found.avg_latency_ms is not None


async def test_servers_are_added_up(database: Database, clock: SteppingClock, laboratory: Laboratory) -> None:
    """What two servers have saved, on two days, is one answer; saving twice is saving once; the old goes."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    place = (caller.organization_id, model_id)
    first, second = MetricsOfModels(database, clock), MetricsOfModels(database, clock)
    first.answered(*place, 10.0, 1, 100)
    await first.save()
    clock.advance(days=1)
    first.answered(*place, 20.0, 1, 200)
    second.answered(*place, 40.0, 5, 700)
    for _ in range(2):
        await first.save()
        await second.save()
        first.answered(*place, 20.0, 1, 200)

    found = await second.of(*place, "2d")
    await first.close()
    after = await second.of(*place, "2d")

    assert (found.requests_per_day, found.cost_per_day) == ([1, 3], [100, 1_100])
    assert after.requests_per_day == [1, 4]
    assert after.p99_latency_ms == pytest.approx(20, rel=0.011)
    clock.advance(days=100)
    second.answered(*place, 1.0, 1, 0)
    await second.close()
    assert await ModelHourRow.filter(model_id=model_id).count() == 1


async def test_others_see_nothing(laboratory: Laboratory) -> None:
    """Another organization's model has no metrics, and a window is judged by its field."""
    ada, bob = await laboratory.caller(), await laboratory.caller()
    model_id = await laboratory.trained_model(ada)

    with pytest.raises(NotFound):
        await laboratory.models.metrics(bob, model_id, "7d")
    with pytest.raises(ValidationFailed, match="window"):
        await laboratory.models.metrics(ada, model_id, "7w")
    assert (await laboratory.models.metrics(ada, model_id, "24h")).avg_latency_ms is None
