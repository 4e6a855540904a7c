"""Models: deployed where the machine can, asked, retired for good, opened again after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.blobs import BlobPartRow
from qstore_appliance.database.tables.costs import BudgetRow, CostEventRow, ReservationRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Role
from qstore_appliance.domain.listing import Page
from qstore_appliance.domain.models import DeploymentDraft, ModelStatus, PredictDraft, Scaling, Timing
from qstore_appliance.errors import (
    ArtifactCorrupt,
    BudgetExceeded,
    Conflict,
    Forbidden,
    Gone,
    HardwareForbidden,
    InsufficientMemory,
    NoCapacity,
    NotFound,
    ValidationFailed,
    WorkerCrash,
    WorkerOutOfMemory,
)
from qstore_appliance.services.models import Models
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock
from tests.services.laboratory import Laboratory, ScriptedReplicas, field_of

QUESTION = PredictDraft(inputs=[[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]])


@pytest_asyncio.fixture
async def laboratory(database: Database, settings: Settings, clock: SteppingClock) -> AsyncIterator[Laboratory]:
    laboratory = Laboratory(database, settings, clock)
    yield laboratory
    await laboratory.close()


async def test_deployed_model_answers(laboratory: Laboratory) -> None:
    """A deployment opens a replica with the model's artifact; predictions have label, confidence and probabilities."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)

    deployment = await laboratory.models.deploy(caller, model_id, DeploymentDraft())
    prediction = await laboratory.models.predict(caller, model_id, QUESTION)

    model = await laboratory.models.get(caller, model_id)
    path, _ = laboratory.replicas.opened[deployment.id]
    assert (deployment.status, deployment.capped, deployment.backend) == ("deployed", False, "native")
    assert deployment.endpoint == f"http://127.0.0.1:8000/v1/models/{model_id}/predict"
    assert (model.status, model.deployment["endpoint"]) == (ModelStatus.DEPLOYED, deployment.endpoint)
    assert model.deployed_at is not None
    assert open(path, "rb").read() == b"an artifact"  # noqa: SIM115
    assert [(answer.label, answer.class_index, answer.confidence) for answer in prediction.predictions] == [
        ("versicolor", 1, 0.7)
    ] * 2
    assert prediction.backend == "native"
    assert prediction.inference_time_ms >= 0
    assert prediction.timing_ms == Timing(queue=0.25, encode=0.25, simulate=0.5, read_out=0.25)


async def test_more_replicas_than_the_machine_holds(laboratory: Laboratory) -> None:
    """Asking for more than fits is answered with what runs, and `capped`."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    draft = DeploymentDraft.model_validate(
        {"replicas": 3, "auto_scaling": {"enabled": True, "min_replicas": 1, "max_replicas": 10}}
    )

    deployment = await laboratory.models.deploy(caller, model_id, draft)

    assert deployment.capped
    assert deployment.config["replicas"] == 3
    assert deployment.config["running"] == 1
    assert (await laboratory.models.get(caller, model_id)).deployment["capped"]


async def test_scaling_that_contradicts_itself(laboratory: Laboratory) -> None:
    """A minimum above the maximum is refused with its field."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    draft = DeploymentDraft.model_validate({"auto_scaling": {"min_replicas": 5, "max_replicas": 2}})

    with pytest.raises(ValidationFailed) as refused:
        await laboratory.models.deploy(caller, model_id, draft)

    assert field_of(refused.value) == "auto_scaling.min_replicas"


async def test_deploying_again_keeps_the_address(laboratory: Laboratory) -> None:
    """A second deploy changes the deployment that there is."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    first = await laboratory.models.deploy(caller, model_id, DeploymentDraft())

    second = await laboratory.models.deploy(caller, model_id, DeploymentDraft(replicas=2))

    assert (first.id, first.endpoint) == (second.id, second.endpoint)
    assert first.id not in laboratory.replicas.closed
    assert laboratory.replicas.opened[first.id][1] == 1
    assert (await laboratory.models.deployments(caller, Page())).total == 1


async def test_settings_that_cannot_be_had(laboratory: Laboratory) -> None:
    """Deployed again in a way that does not come about, a model is served as before, and the reason is there."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    before = await laboratory.models.deploy(caller, model_id, DeploymentDraft())
    laboratory.replicas.refusal = ArtifactCorrupt("The artifact cannot be read.")

    after = await laboratory.models.deploy(caller, model_id, DeploymentDraft(replicas=2))

    laboratory.replicas.refusal = None
    assert (after.status, after.config["replicas"], after.config["running"]) == ("deployed", 1, 1)
    assert after.config["reason"] == "The artifact cannot be read."
    assert after.endpoint == before.endpoint
    assert (await laboratory.models.get(caller, model_id)).status == ModelStatus.DEPLOYED
    assert (await laboratory.models.predict(caller, model_id, QUESTION)).predictions


async def test_resources_and_scaling_reach_the_replicas(laboratory: Laboratory) -> None:
    """What was asked for in Kubernetes' words is whole cores and bytes, after a restart too; what is too little is refused."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    asked = {
        "resources": {"cpu": "1500m", "memory": "2Gi"},
        "auto_scaling": {"enabled": True, "min_replicas": 2, "max_replicas": 3, "target_qps": 50},
    }
    deployment = await laboratory.models.deploy(caller, model_id, DeploymentDraft.model_validate(asked))
    limits = {
        "memory_bytes": 2 * 2**30,
        "cores": 2,
        "scaling": Scaling(least=2, most=3, target_qps=50),
        "version": model_id,
    }
    first = laboratory.replicas.limits.pop(deployment.id)
    await laboratory.models.reopen()
    # In the background; who asks meanwhile is answered by what is there.
    await asyncio.gather(*laboratory.models._opening.values())
    await laboratory.models.predict(caller, model_id, QUESTION)
    with pytest.raises(ValidationFailed) as refused:
        await laboratory.models.deploy(
            caller, model_id, DeploymentDraft.model_validate({"resources": {"memory": "1M"}})
        )

    assert first == laboratory.replicas.limits[deployment.id] == limits
    assert field_of(refused.value) == "resources.memory"


@pytest.mark.parametrize(
    ("died", "told"), [(WorkerOutOfMemory(), InsufficientMemory), (WorkerCrash(), NoCapacity)], ids=["memory", "crash"]
)
async def test_replicas_that_die_over_a_question(
    laboratory: Laboratory, died: Exception, told: type[Exception]
) -> None:
    """Whoever asked is told what to do about it, and never that the server is at fault."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    await laboratory.models.deploy(caller, model_id, DeploymentDraft())
    laboratory.replicas.refusal = died

    with pytest.raises(told):
        await laboratory.models.predict(caller, model_id, QUESTION)


async def test_model_that_is_not_deployed_says_how(laboratory: Laboratory) -> None:
    """Asking a model that is only trained answers with the request that deploys it."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)

    with pytest.raises(Conflict, match=f"POST /v1/models/{model_id}/deploy"):
        await laboratory.models.predict(caller, model_id, QUESTION)


async def test_retired_is_for_good(laboratory: Laboratory) -> None:
    """A retired model closes its replicas and refuses to be asked or deployed; retiring again is fine."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    deployment = await laboratory.models.deploy(caller, model_id, DeploymentDraft())

    retired = await laboratory.models.retire(caller, model_id)
    again = await laboratory.models.retire(caller, model_id)

    assert retired.status == again.status == ModelStatus.RETIRED
    assert deployment.id in laboratory.replicas.closed
    assert (await laboratory.models.deployment(caller, deployment.id)).status == "retired"
    with pytest.raises(Gone):
        await laboratory.models.predict(caller, model_id, QUESTION)
    with pytest.raises(Gone):
        await laboratory.models.deploy(caller, model_id, DeploymentDraft())


async def test_artifact_that_cannot_be_opened(laboratory: Laboratory) -> None:
    """A deployment whose replica does not start has failed, with the reason; the model is as before."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    laboratory.replicas.refusal = ArtifactCorrupt("The artifact cannot be read.")

    deployment = await laboratory.models.deploy(caller, model_id, DeploymentDraft())

    assert (deployment.status, deployment.config["reason"]) == ("failed", "The artifact cannot be read.")
    assert (await laboratory.models.get(caller, model_id)).status == ModelStatus.TRAINED
    with pytest.raises(Conflict):
        await laboratory.models.predict(caller, model_id, QUESTION)


async def test_wrong_inputs_are_named(laboratory: Laboratory) -> None:
    """Each input of a wrong length is named by its index."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    await laboratory.models.deploy(caller, model_id, DeploymentDraft())

    with pytest.raises(ValidationFailed) as refused:
        await laboratory.models.predict(caller, model_id, PredictDraft(inputs=[[1.0] * 4, [1.0], [1.0] * 5]))

    assert [row["field"] for row in refused.value.details["errors"]] == ["inputs[1]", "inputs[2]"]
    assert refused.value.details["errors"][0]["message"].endswith("not 1: b, c, d are missing")
    assert laboratory.replicas.asked == []


async def test_features_are_named(laboratory: Laboratory) -> None:
    """A fault of one number says which feature it is; where the model is not the caller's, the fault stays as it was."""
    caller, stranger = await laboratory.caller(), await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    await laboratory.models.deploy(caller, model_id, DeploymentDraft())
    fault = ValidationFailed.of([("inputs[0][2]", "must be a number"), ("inputs", "is required")])

    named = await laboratory.models.named(caller, model_id, fault)

    assert [row["message"] for row in named.details["errors"]] == ["must be a number (c)", "is required"]
    assert await laboratory.models.named(stranger, model_id, fault) is fault


async def test_shots_have_an_interval(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """With shots the confidence comes with the interval of 95 %, cut at 0 and 1, and `auto` says what it took."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    await laboratory.models.deploy(caller, model_id, DeploymentDraft())
    ask = laboratory.replicas.predict

    async def drawn(deployment_id: str, inputs: Any, **options: Any) -> dict[str, Any]:
        found = await ask(deployment_id, inputs, **{**options, "shots": 400})
        assert options["shots"] == "auto"
        return {**found, "std_errors": [[0.02, 0.05, 0.3]] * 2, "shots_each": [128, 256], "decided": [True, False]}

    monkeypatch.setattr(laboratory.replicas, "predict", drawn)
    question = PredictDraft.model_validate({"inputs": QUESTION.inputs, "options": {"shots": "auto"}})
    first, second = (await laboratory.models.predict(caller, model_id, question)).predictions

    assert first.confidence_interval == pytest.approx([0.7 - 1.96 * 0.05, 0.7 + 1.96 * 0.05])
    assert [(answer.shots, answer.decided) for answer in (first, second)] == [(128, True), (256, False)]


async def test_predictions_are_paid_for(database: Database, settings: Settings, clock: SteppingClock) -> None:
    """A prediction that costs is in the ledger when it is answered."""
    dear = Settings(data_dir=settings.data_dir, database=settings.database, backends={"native": {"per_circuit": 0.01}})
    laboratory = Laboratory(database, dear, clock)
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    await laboratory.models.deploy(caller, model_id, DeploymentDraft())

    prediction = await laboratory.models.predict(caller, model_id, QUESTION)

    charge = await CostEventRow.get(event_type="prediction")
    assert prediction.cost == charge.amount == 20_000
    assert (charge.model_id, charge.circuits) == (model_id, 2)
    await laboratory.close()


async def test_a_budget_holds_for_predictions(database: Database, settings: Settings, clock: SteppingClock) -> None:
    """One that does not fit is refused before anything runs; one that fails leaves nothing reserved."""
    dear = Settings(data_dir=settings.data_dir, database=settings.database, backends={"native": {"per_circuit": 0.01}})
    laboratory = Laboratory(database, dear, clock)
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    await laboratory.models.deploy(caller, model_id, DeploymentDraft())
    row = BudgetRow.filter(organization_id=caller.organization_id)
    await row.update(monthly_limit=(await row.get()).spent + 39_999)

    laboratory.replicas.refusal = NoCapacity()
    with pytest.raises(NoCapacity):
        await laboratory.models.predict(caller, model_id, QUESTION)
    laboratory.replicas.refusal = None
    await laboratory.models.predict(caller, model_id, QUESTION)
    asked = len(laboratory.replicas.asked)
    with pytest.raises(BudgetExceeded):
        await laboratory.models.predict(caller, model_id, QUESTION)

    assert len(laboratory.replicas.asked) == asked
    assert (await row.get()).reserved == 0
    assert await ReservationRow.all().count() == 0
    await laboratory.close()


async def test_keys_for_tests_ask_no_hardware(laboratory: Laboratory) -> None:
    """A model that is deployed on hardware answers others, and refuses an API key for tests before anything runs."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    await laboratory.models.deploy(caller, model_id, DeploymentDraft())
    described = laboratory.backends._described
    described["native"] = msgspec.structs.replace(described["native"], kind="hardware")
    for_tests = msgspec.structs.replace(caller, key_id=ids.new("key"), for_tests=True)

    with pytest.raises(HardwareForbidden):
        await laboratory.models.predict(for_tests, model_id, QUESTION)

    assert laboratory.replicas.asked == []
    assert await laboratory.models.predict(caller, model_id, QUESTION)


async def test_free_predictions_are_metered_together(laboratory: Laboratory) -> None:
    """Predictions that cost nothing are counted too, in one row, at the latest when the server stops."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    await laboratory.models.deploy(caller, model_id, DeploymentDraft())

    for _ in range(3):
        assert (await laboratory.models.predict(caller, model_id, QUESTION)).cost == 0
    await laboratory.models.close()

    metered = await CostEventRow.get(event_type="prediction")
    assert (metered.amount, metered.circuits) == (0, 6)


async def test_deployed_models_open_again(laboratory: Laboratory) -> None:
    """After a restart what was deployed gets its replicas back, and a question meanwhile waits for them."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    deployment = await laboratory.models.deploy(caller, model_id, DeploymentDraft())
    retired_id = await laboratory.trained_model(caller)
    await laboratory.models.deploy(caller, retired_id, DeploymentDraft())
    await laboratory.models.retire(caller, retired_id)
    replicas = ScriptedReplicas()
    restarted = Models(
        laboratory.database, laboratory.blobs, replicas, laboratory.backends, laboratory.costs, laboratory.clock,
        laboratory.settings, laboratory.events,
    )  # fmt: skip

    await restarted.reopen()
    prediction = await restarted.predict(caller, model_id, QUESTION)

    assert list(replicas.opened) == [deployment.id]
    assert len(prediction.predictions) == 2
    await restarted.close()


async def test_other_organizations_see_nothing(laboratory: Laboratory) -> None:
    """Models and deployments of another organization are absent, whatever is asked of them."""
    ada, bob = await laboratory.caller(), await laboratory.caller(Role.OWNER)
    model_id = await laboratory.trained_model(ada)
    deployment = await laboratory.models.deploy(ada, model_id, DeploymentDraft())

    for attempt in (
        laboratory.models.get(bob, model_id),
        laboratory.models.deploy(bob, model_id, DeploymentDraft()),
        laboratory.models.predict(bob, model_id, QUESTION),
        laboratory.models.retire(bob, model_id),
        laboratory.models.deployment(bob, deployment.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert (await laboratory.model_registry.listed(bob, Page())).total == 0
    assert (await laboratory.models.deployments(bob, Page())).total == 0


async def test_viewers_ask_and_do_not_deploy(laboratory: Laboratory) -> None:
    """A viewer may predict; deploying and retiring need more."""
    ada = await laboratory.caller()
    viewer = await laboratory.caller(Role.VIEWER, of=ada)
    model_id = await laboratory.trained_model(ada)
    await laboratory.models.deploy(ada, model_id, DeploymentDraft())

    assert (await laboratory.models.predict(viewer, model_id, QUESTION)).predictions
    with pytest.raises(Forbidden):
        await laboratory.models.deploy(viewer, model_id, DeploymentDraft())
    with pytest.raises(Forbidden):
        await laboratory.models.retire(viewer, model_id)


async def test_retiring_while_it_opens(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is retired while its replica starts does not become deployed afterwards."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(*_: object, **__: object) -> int:
        begun.set()
        await go_on.wait()
        return 1

    monkeypatch.setattr(laboratory.replicas, "open", slow)
    deploying = asyncio.create_task(laboratory.models.deploy(caller, model_id, DeploymentDraft()))
    await begun.wait()
    await laboratory.models.retire(caller, model_id)
    go_on.set()

    assert (await deploying).status == "retired"
    assert (await laboratory.models.get(caller, model_id)).status == ModelStatus.RETIRED


@pytest.mark.parametrize("lost", [False, True], ids=["altered", "lost"])
async def test_artifact_that_was_altered(laboratory: Laboratory, lost: bool) -> None:
    """A model whose stored bytes are not what was trained is not deployed, and stays what it was."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    digest = (await laboratory.models.get(caller, model_id)).artifact_digest
    file = Path(await laboratory.blobs.path(digest))
    if lost:
        await laboratory.blobs.delete(digest)
    else:
        file.write_bytes(b"an Artifact")
        await BlobPartRow.filter(blob_id=digest).update(content=b"an Artifact")

    with pytest.raises(ArtifactCorrupt):
        await laboratory.models.deploy(caller, model_id, DeploymentDraft())

    assert (await laboratory.models.get(caller, model_id)).status == ModelStatus.TRAINED
    assert (await laboratory.models.deployments(caller, Page())).total == 0


async def test_several_at_once(laboratory: Laboratory) -> None:
    """Several models by id, and the newest deployment of each; others' and nonsense are left out."""
    caller, stranger = await laboratory.caller(), await laboratory.caller()
    mine = [await laboratory.trained_model(caller) for _ in range(2)]
    theirs = await laboratory.trained_model(stranger)
    deployment = await laboratory.models.deploy(caller, mine[0], DeploymentDraft())
    wanted = [*mine, theirs, "x", "\x00"]

    found = await laboratory.models.several(caller, wanted)

    assert found == {id: await laboratory.models.get(caller, id) for id in mine}
    assert {id: one.id for id, one in (await laboratory.models.deployments_of(caller, wanted)).items()} == {
        mine[0]: deployment.id
    }
    assert await laboratory.models.deployments_of(stranger, mine) == {}
