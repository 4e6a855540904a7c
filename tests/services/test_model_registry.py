"""The registry of models: versions, stages, tags, lineage; two compared; deleted, restored and gone with their space."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.models import DeploymentRow, ModelRow, ModelTagRow
from qstore_appliance.domain.accounts import Caller, Role
from qstore_appliance.domain.listing import Page
from qstore_appliance.domain.model_registry import Lineage, ModelFilter, ModelPatch, PromoteDraft, Stage, version_key
from qstore_appliance.domain.models import DeploymentDraft, Model, ModelStatus
from qstore_appliance.errors import Conflict, Forbidden, Gone, NotFound, ValidationFailed
from qstore_appliance.services.leftovers import Leftovers
from qstore_appliance.services.upkeep import Upkeep
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock
from tests.services.laboratory import INPUTS, Laboratory, make_report, make_trained
from tests.services.test_leftovers import grow_old

PRODUCTION = PromoteDraft(stage=Stage.PRODUCTION)
RECEIPT = {
    "task": "classification", "backend": "native", "seed": 7, "circuit_digest": "c0ffee", "dataset": "iris",
    "dataset_digest": "sha256:1", "versions": {"qstore_appliance": "4.1.0", "numpy": "2.0"},
}  # fmt: skip


@pytest_asyncio.fixture
async def laboratory(database: Database, settings: Settings, clock: SteppingClock) -> AsyncIterator[Laboratory]:
    laboratory = Laboratory(database, settings, clock)
    yield laboratory
    await laboratory.close()


async def trained(laboratory: Laboratory, caller: Caller, **overrides: Any) -> Model:
    """A model of a job with the whole receipt; keywords go into what was trained."""
    lease, _ = await laboratory.begun(caller)
    await laboratory.runs.record_epoch(lease, make_report())
    done = make_trained(**{"receipt": RECEIPT, **overrides})
    id = await laboratory.runs.complete(lease, done, INPUTS)
    assert id is not None
    return await laboratory.models.get(caller, id)


async def ids_of(laboratory: Laboratory, caller: Caller, sort: str = "created_at", **wanted: Any) -> list[str]:
    listed = await laboratory.model_registry.listed(caller, Page(sort=sort), ModelFilter(**wanted))
    assert listed.total == len(listed.items)
    return [model.id for model in listed.items]


async def test_versions_of_a_name_follow_each_other(laboratory: Laboratory) -> None:
    """Each job's model is the next major version of its name, and the tenth sorts behind the ninth."""
    caller = await laboratory.caller()
    models = [await trained(laboratory, caller) for _ in range(11)]

    assert [model.version for model in models] == [f"{n}.0.0" for n in range(1, 12)]
    assert await ids_of(laboratory, caller, "version") == [model.id for model in models]
    assert await ids_of(laboratory, caller, "-version") == [model.id for model in reversed(models)]


async def test_a_version_of_ones_own(laboratory: Laboratory) -> None:
    """Name and version can be changed; one that is taken is refused, even by a model that was just deleted."""
    ada, bob = await laboratory.caller(), await laboratory.caller()
    first, second = [await trained(laboratory, ada) for _ in range(2)]
    registry = laboratory.model_registry

    changed = await registry.update(ada, first.id, ModelPatch(name="irises", version="1.1.0-rc.1"))
    assert (changed.name, changed.version) == ("irises", "1.1.0-rc.1")
    assert (await ModelRow.get(id=first.id)).version_key == version_key("1.1.0-rc.1")
    with pytest.raises(Conflict, match=r"1\.1\.0-rc\.1 of irises") as refused:
        await registry.update(ada, second.id, ModelPatch(name="irises", version="1.1.0-rc.1"))
    assert refused.value.details == {"model_id": first.id}
    await registry.delete(ada, first.id)
    with pytest.raises(Conflict, match="deleted within the last 24 hours"):
        await registry.update(ada, second.id, ModelPatch(name="irises", version="1.1.0-rc.1"))

    theirs = await trained(laboratory, bob)
    assert (await registry.update(bob, theirs.id, ModelPatch(name="irises", version="1.1.0-rc.1"))).name == "irises"
    assert (await laboratory.models.get(ada, second.id)).version == "2.0.0"


async def test_what_is_not_sent_stays(laboratory: Laboratory) -> None:
    """A patch of the notes leaves tags and name; empty notes are none."""
    caller = await laboratory.caller()
    model = await trained(laboratory, caller)
    registry = laboratory.model_registry

    await registry.update(caller, model.id, ModelPatch(tags=["best", "demo", "best"]))
    noted = await registry.update(caller, model.id, ModelPatch(notes="For the *talk*."))

    assert (noted.name, noted.tags, noted.notes) == (model.name, ["best", "demo"], "For the *talk*.")
    assert (await registry.update(caller, model.id, ModelPatch(notes=""))).notes is None
    with pytest.raises(ValidationFailed):
        await registry.update(caller, model.id, ModelPatch(notes="\x00"))


async def test_a_stage_has_one_version_of_a_name(laboratory: Laboratory) -> None:
    """Who is promoted takes the stage from the version before, of this name alone; retiring and null take it away."""
    caller = await laboratory.caller()
    first, second, other = [await trained(laboratory, caller) for _ in range(3)]
    registry = laboratory.model_registry
    await registry.update(caller, other.id, ModelPatch(name="another"))
    for model in (first, other):
        assert (await registry.promote(caller, model.id, PRODUCTION)).stage == "production"

    await registry.promote(caller, second.id, PRODUCTION)

    assert await ids_of(laboratory, caller, stage=Stage.PRODUCTION) == [second.id, other.id]
    assert await ids_of(laboratory, caller, stage=Stage.PRODUCTION, name=second.name) == [second.id]
    with pytest.raises(Conflict, match="in production"):
        await registry.update(caller, other.id, ModelPatch(name=second.name))
    assert (await registry.promote(caller, other.id, PromoteDraft(stage=None))).stage is None
    assert (await laboratory.models.retire(caller, second.id)).stage is None
    with pytest.raises(Gone):
        await registry.promote(caller, second.id, PRODUCTION)


async def test_two_are_promoted_at_the_same_time(laboratory: Laboratory) -> None:
    """However they meet, one of them has the stage in the end, and nobody sees an error."""
    caller = await laboratory.caller()
    models = [await trained(laboratory, caller) for _ in range(4)]

    await asyncio.gather(*(laboratory.model_registry.promote(caller, model.id, PRODUCTION) for model in models))

    assert len(await ids_of(laboratory, caller, stage=Stage.PRODUCTION)) == 1


async def test_filters_and_sorts(laboratory: Laboratory) -> None:
    """Each filter narrows the list, tags by any of them; an unknown order is refused."""
    caller, stranger = await laboratory.caller(), await laboratory.caller()
    first, second, third = [await trained(laboratory, caller) for _ in range(3)]
    registry = laboratory.model_registry
    await registry.update(caller, first.id, ModelPatch(tags=["a"], name="zebra"))
    await registry.update(caller, second.id, ModelPatch(tags=["b", "c"]))
    await laboratory.models.deploy(caller, third.id, DeploymentDraft())

    assert await ids_of(laboratory, caller, tags=("a", "c")) == [first.id, second.id]
    assert await ids_of(laboratory, caller, tags=("b", "c")) == [second.id]
    assert await ids_of(laboratory, caller, tags=("none",)) == []
    assert await ids_of(laboratory, caller, status=ModelStatus.DEPLOYED) == [third.id]
    assert await ids_of(laboratory, caller, circuit_id=first.circuit_id) == [first.id]
    assert await ids_of(laboratory, caller, "-name") == [first.id, third.id, second.id]
    assert await ids_of(laboratory, stranger, tags=("a", "b", "c")) == []
    with pytest.raises(ValidationFailed):
        await registry.listed(caller, Page(sort="artifact_digest"))


async def test_where_a_model_comes_from(laboratory: Laboratory) -> None:
    """Circuit with its version, data with its digest, job, seed and code, as they were when it was trained."""
    caller = await laboratory.caller()
    model = await trained(laboratory, caller)

    lineage = Lineage.of(model.lineage, model.training_job_id)

    assert (lineage.circuit_version, lineage.circuit_digest) == (1, "c0ffee")
    assert (lineage.dataset, lineage.dataset_digest, lineage.code_version) == ("iris", "sha256:1", "4.1.0")
    assert (lineage.training_job_id, lineage.backend, lineage.seed) == (model.training_job_id, "native", 7)
    assert lineage.config["epochs"] == 4
    assert lineage.imported is None


async def test_two_side_by_side(laboratory: Laboratory) -> None:
    """Of two models that were scored on the same samples each number says who is better; settings that differ are named."""
    caller = await laboratory.caller()
    scores = {"accuracy": 0.9, "loss": 0.2, "n_test": 15, "baseline": {"majority": 0.33}}
    a = await trained(laboratory, caller, metrics=scores)
    b = await trained(
        laboratory, caller, metrics={**scores, "accuracy": 0.8, "loss": 0.1, "r2": 1}, parameters={"theta": [9.0]}
    )
    # A receipt repeats what was asked for, and has guesses of what it would take.
    for model, epochs in ((a, 4), (b, 40)):
        config = model.lineage["config"] | {"epochs": epochs}
        receipt = model.lineage["receipt"] | {"epochs": epochs, "estimate": {"seconds": epochs}}
        await ModelRow.filter(id=model.id).update(lineage=model.lineage | {"config": config, "receipt": receipt})

    found = await laboratory.model_registry.compare(caller, a.id, b.id)

    pairs = {pair.metric: (pair.a, pair.b, pair.better) for pair in found.metrics}
    assert (found.comparable, found.reasons) == (True, [])
    assert pairs["accuracy"] == (0.9, 0.8, "a")
    assert pairs["loss"] == (0.2, 0.1, "b")
    assert pairs["n_test"] == (15, 15, None)
    assert pairs["r2"] == (None, 1, None)
    assert pairs["baseline.majority"] == (0.33, 0.33, None)
    assert [(one.field, one.a, one.b) for one in found.differences] == [("config.epochs", 4, 40)]
    assert (found.same_circuit, found.same_parameters) == (True, False)


@pytest.mark.parametrize(
    ("receipt", "reason"),
    [
        ({"dataset": "wine", "dataset_digest": "sha256:2"}, "different data: iris and wine"),
        ({"dataset_digest": None}, "different data"),
        ({"seed": 8}, "different seeds"),
        ({"task": "regression"}, "different tasks"),
    ],
)
async def test_scores_that_do_not_compare(laboratory: Laboratory, receipt: dict[str, Any], reason: str) -> None:
    """Scores on other samples say nothing of who is better, and the answer says why."""
    caller = await laboratory.caller()
    a = await trained(laboratory, caller)
    b = await trained(laboratory, caller, receipt={**RECEIPT, **receipt}, metrics={"accuracy": 0.1})

    found = await laboratory.model_registry.compare(caller, a.id, b.id)

    assert not found.comparable
    assert reason in found.reasons[0]
    assert {pair.better for pair in found.metrics} == {None}


async def test_deleted_restored_and_gone(laboratory: Laboratory, settings: Settings) -> None:
    """
    A deleted model is absent everywhere and loses its stage; within a day it comes back. Later it is gone with its tags and
    deployments, and its artifact's space is freed once no other model has the same bytes.
    """
    caller = await laboratory.caller()
    registry = laboratory.model_registry
    same, twin = [await trained(laboratory, caller) for _ in range(2)]
    alone = await trained(laboratory, caller, artifact=b"another artifact")
    for model in (same, alone):
        await registry.update(caller, model.id, ModelPatch(tags=["old"]))
    await registry.promote(caller, same.id, PRODUCTION)
    await laboratory.models.deploy(caller, same.id, DeploymentDraft())
    with pytest.raises(Conflict, match="retire it first"):
        await registry.delete(caller, same.id)
    await laboratory.models.retire(caller, same.id)

    await registry.delete(caller, same.id)
    await registry.delete(caller, alone.id)
    for absent in (
        laboratory.models.get(caller, same.id),
        registry.delete(caller, same.id),
        registry.promote(caller, same.id, PRODUCTION),
        registry.compare(caller, twin.id, same.id),
        laboratory.models.deploy(caller, same.id, DeploymentDraft()),
    ):
        with pytest.raises(NotFound):
            await absent
    assert await ids_of(laboratory, caller) == [twin.id]
    laboratory.clock.advance(hours=23)
    assert (await registry.restore(caller, same.id)).stage is None
    assert await registry.purge() == 0
    await registry.delete(caller, same.id)
    laboratory.clock.advance(hours=25)
    with pytest.raises(NotFound):
        await registry.restore(caller, same.id)

    await grow_old(laboratory)
    purges = {"models": registry.purge}
    daily = Upkeep(laboratory.database, laboratory.clock, Leftovers(laboratory.blobs), purges)
    await daily._purge()
    swept = await Leftovers(laboratory.blobs).sweep()

    assert await ModelRow.all().values_list("id", flat=True) == [twin.id]
    assert await ModelTagRow.all().count() == await DeploymentRow.all().count() == 0
    assert alone.artifact_digest in swept
    assert same.artifact_digest not in swept
    assert await laboratory.blobs.get(twin.artifact_digest) == b"an artifact"


async def test_who_may_what(laboratory: Laboratory) -> None:
    """A viewer changes nothing; a developer deletes what is their own, an admin what is anybody's."""
    ada = await laboratory.caller()
    viewer, colleague, admin = [
        await laboratory.caller(role, of=ada) for role in (Role.VIEWER, Role.DEVELOPER, Role.ADMIN)
    ]
    model = await trained(laboratory, ada)
    registry = laboratory.model_registry

    assert await registry.compare(viewer, model.id, model.id)
    for refused in (
        registry.update(viewer, model.id, ModelPatch(notes="n")),
        registry.promote(viewer, model.id, PRODUCTION),
        registry.delete(viewer, model.id),
        registry.restore(viewer, model.id),
        registry.delete(colleague, model.id),
    ):
        with pytest.raises(Forbidden):
            await refused
    assert (await registry.update(colleague, model.id, ModelPatch(notes="good"))).notes == "good"
    await registry.delete(admin, model.id)
    with pytest.raises(Forbidden):
        await registry.restore(colleague, model.id)


async def test_other_organizations_see_nothing(laboratory: Laboratory) -> None:
    """Of another organization's model every verb says that there is none."""
    ada, bob = await laboratory.caller(), await laboratory.caller(Role.OWNER)
    model, own = await trained(laboratory, ada), await trained(laboratory, bob)
    registry = laboratory.model_registry

    for attempt in (
        registry.update(bob, model.id, ModelPatch(notes="mine")),
        registry.promote(bob, model.id, PRODUCTION),
        registry.compare(bob, own.id, model.id),
        registry.compare(bob, model.id, own.id),
        registry.delete(bob, model.id),
        registry.restore(bob, model.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await ids_of(laboratory, bob, circuit_id=model.circuit_id) == []
