"""Versions behind one address: canary, shadow, taking over, and back; tenancy and refusals as everywhere."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.models import ModelRow
from qstore_appliance.domain.accounts import Caller, Role
from qstore_appliance.domain.models import Deployment, DeploymentDraft, PredictDraft, RolloutDraft
from qstore_appliance.errors import ArtifactCorrupt, Conflict, Forbidden, Gone, NoCapacity, NotFound, ValidationFailed
from qstore_appliance.services.models import Models
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock
from tests.services.laboratory import Laboratory, ScriptedReplicas, field_of

QUESTION = PredictDraft(inputs=[[1.0, 2.0, 3.0, 4.0]])


@pytest_asyncio.fixture
async def laboratory(database: Database, settings: Settings, clock: SteppingClock) -> AsyncIterator[Laboratory]:
    laboratory = Laboratory(database, settings, clock)
    yield laboratory
    await laboratory.close()


async def two_versions(laboratory: Laboratory) -> tuple[Caller, str, str, Deployment]:
    """Somebody with two models, the first of which is deployed."""
    caller = await laboratory.caller()
    first, second = [await laboratory.trained_model(caller) for _ in range(2)]
    return caller, first, second, await laboratory.models.deploy(caller, first, DeploymentDraft())


async def roll(laboratory: Laboratory, caller: Caller, deployment: Deployment, **changes: Any) -> Deployment:
    return await laboratory.models.rollout(caller, deployment.id, RolloutDraft.model_validate(changes))


async def answered_by(laboratory: Laboratory, caller: Caller, model_id: str, n: int = 1) -> Counter[str]:
    found = [await laboratory.models.predict(caller, model_id, QUESTION) for _ in range(n)]
    return Counter(prediction.model_id for prediction in found)


async def test_a_canary_answers_its_share(laboratory: Laboratory) -> None:
    """With a share of 0.3 some three of ten requests are answered by the canary, and the metrics of both say so."""
    caller, first, second, deployment = await two_versions(laboratory)

    after = await roll(laboratory, caller, deployment, canary={"model_id": second, "share": 0.3})
    by = await answered_by(laboratory, caller, first, 400)

    assert after.rollout.canary is not None
    assert 60 < by[second] < 180
    assert by[first] + by[second] == 400
    assert (await laboratory.models.metrics(caller, second, "1d")).requests == by[second]
    ended = await roll(laboratory, caller, deployment, canary=None)
    assert ended.rollout.canary is None
    assert await answered_by(laboratory, caller, first, 20) == {first: 20}
    assert f"{deployment.id}/canary" in laboratory.replicas.closed


async def test_a_full_canary_fails_nobody(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A canary without room passes its requests on to the version that serves."""
    caller, first, second, deployment = await two_versions(laboratory)
    await roll(laboratory, caller, deployment, canary={"model_id": second, "share": 1.0})
    ask = laboratory.replicas.predict

    async def full(key: str, inputs: Any, **options: Any) -> dict[str, Any]:
        if key.endswith("/canary"):
            raise NoCapacity
        return await ask(key, inputs, **options)

    monkeypatch.setattr(laboratory.replicas, "predict", full)

    assert await answered_by(laboratory, caller, first, 5) == {first: 5}
    assert (await laboratory.models.metrics(caller, second, "1d")).error_rate == 1.0


async def test_a_shadow_is_compared_and_never_answers(laboratory: Laboratory) -> None:
    """Every request goes to the shadow too; how often it agrees is counted, and who asks hears the version that serves."""
    caller, first, second, deployment = await two_versions(laboratory)
    await roll(laboratory, caller, deployment, shadow={"model_id": second})

    by = await answered_by(laboratory, caller, first, 5)
    while laboratory.models.agreement(deployment.id)[0] < 5:
        await asyncio.sleep(0)

    assert by == {first: 5}
    assert laboratory.models.agreement(deployment.id) == (5, 5)
    assert (await laboratory.models.metrics(caller, second, "1d")).requests == 5


async def test_a_version_takes_over_and_back(laboratory: Laboratory) -> None:
    """The address stays; the new version answers, after a restart too; a rollback brings the old one, another the new."""
    caller, first, second, deployment = await two_versions(laboratory)

    after = await roll(laboratory, caller, deployment, model_id=second)

    assert (after.endpoint, after.rollout.serves, after.rollout.previous) == (deployment.endpoint, second, first)
    assert await answered_by(laboratory, caller, first, 3) == {second: 3}
    replicas = ScriptedReplicas()
    restarted = Models(
        laboratory.database, laboratory.blobs, replicas, laboratory.backends, laboratory.costs, laboratory.clock,
        laboratory.settings, laboratory.events,
    )  # fmt: skip
    await restarted.reopen()
    assert (await restarted.predict(caller, first, QUESTION)).model_id == second
    await restarted.close()
    back = await laboratory.models.rollback(caller, deployment.id)
    assert (back.rollout.serves, back.rollout.previous) == (first, second)
    assert await answered_by(laboratory, caller, first) == {first: 1}
    assert (await laboratory.models.rollback(caller, deployment.id)).rollout.serves == second


async def test_a_rollback_ends_a_canary_first(laboratory: Laboratory) -> None:
    """Where a canary or a shadow is there it goes, and the version that serves stays; with nothing at all it is refused."""
    caller, first, second, deployment = await two_versions(laboratory)
    with pytest.raises(Conflict):
        await laboratory.models.rollback(caller, deployment.id)
    await roll(laboratory, caller, deployment, canary={"model_id": second, "share": 1.0}, shadow={"model_id": second})

    back = await laboratory.models.rollback(caller, deployment.id)

    assert (back.rollout.canary, back.rollout.shadow) == (None, None)
    assert await answered_by(laboratory, caller, first, 5) == {first: 5}


async def test_a_version_that_cannot_be_had_changes_nothing(laboratory: Laboratory) -> None:
    """One that does not open, that is retired, or that knows other classes is refused, and the old one goes on."""
    caller, first, second, deployment = await two_versions(laboratory)
    laboratory.replicas.refusal = ArtifactCorrupt("The artifact cannot be read.")
    with pytest.raises(ArtifactCorrupt):
        await roll(laboratory, caller, deployment, model_id=second)
    laboratory.replicas.refusal = None
    other = await ModelRow.get(id=second)
    await ModelRow.filter(id=second).update(inputs={**other.inputs, "classes": ["a", "b", "c"]})
    with pytest.raises(ValidationFailed) as refused:
        await roll(laboratory, caller, deployment, canary={"model_id": second, "share": 0.5})
    await laboratory.models.retire(caller, second)
    with pytest.raises(Gone):
        await roll(laboratory, caller, deployment, model_id=second)

    assert field_of(refused.value) == "canary.model_id"
    assert (await laboratory.models.deployment(caller, deployment.id)).rollout.serves is None
    assert await answered_by(laboratory, caller, first) == {first: 1}


async def test_a_retired_canary_answers_nobody(laboratory: Laboratory) -> None:
    """A version that is retired while it has a share leaves all of it to the one that serves."""
    caller, first, second, deployment = await two_versions(laboratory)
    await roll(laboratory, caller, deployment, canary={"model_id": second, "share": 1.0})

    await laboratory.models.retire(caller, second)

    assert await answered_by(laboratory, caller, first, 3) == {first: 3}


async def test_versions_of_others_do_not_exist(laboratory: Laboratory) -> None:
    """Another organization's deployment and version are absent; a viewer rolls nothing."""
    caller, _, _, deployment = await two_versions(laboratory)
    stranger = await laboratory.caller()
    theirs = await laboratory.trained_model(stranger)
    viewer = await laboratory.caller(Role.VIEWER, of=caller)

    for attempt in (
        roll(laboratory, stranger, deployment, model_id=theirs),
        laboratory.models.rollback(stranger, deployment.id),
        roll(laboratory, caller, deployment, model_id=theirs),
        roll(laboratory, caller, deployment, shadow={"model_id": theirs}),
    ):
        with pytest.raises(NotFound):
            await attempt
    with pytest.raises(Forbidden):
        await roll(laboratory, viewer, deployment, canary=None)
    with pytest.raises(Forbidden):
        await laboratory.models.rollback(viewer, deployment.id)


async def test_a_version_behind_an_address_is_not_deleted(laboratory: Laboratory) -> None:
    """Who answers a share, is asked in the shadow, or would be taken back to stays until that has ended."""
    caller, first, second, deployment = await two_versions(laboratory)

    for change in ({"canary": {"model_id": second, "share": 0.5}}, {"canary": None, "shadow": {"model_id": second}}):
        await roll(laboratory, caller, deployment, **change)
        with pytest.raises(Conflict) as caught:
            await laboratory.model_registry.delete(caller, second)
        assert caught.value.details == {"deployment_id": deployment.id}
    await roll(laboratory, caller, deployment, shadow=None)

    await laboratory.model_registry.delete(caller, second)

    with pytest.raises(NotFound):
        await laboratory.models.get(caller, second)
    assert await answered_by(laboratory, caller, first, 3) == {first: 3}


async def test_a_change_that_cannot_be_had_leaves_no_replicas(laboratory: Laboratory) -> None:
    """A canary was opened and its shadow cannot be: the canary goes, and one that was there before comes back."""
    caller, first, second, deployment = await two_versions(laboratory)
    third = await laboratory.trained_model(caller)
    beside = f"{deployment.id}/canary"
    both = {"canary": {"model_id": second, "share": 1.0}, "shadow": {"model_id": "model_nothing"}}

    with pytest.raises(NotFound):
        await roll(laboratory, caller, deployment, **both)
    assert laboratory.replicas.closed[-1:] == [beside]
    assert (await laboratory.models.deployment(caller, deployment.id)).rollout.canary is None

    await roll(laboratory, caller, deployment, canary={"model_id": third, "share": 1.0})
    with pytest.raises(NotFound):
        await roll(laboratory, caller, deployment, **both)
    await asyncio.gather(*laboratory.models._shadowing)

    assert laboratory.replicas.limits[beside]["version"] == third
    assert await answered_by(laboratory, caller, first, 3) == {third: 3}
