"""What GraphQL answers: the same things as REST, by the same permissions, of the same organization."""

from __future__ import annotations

from typing import Any

import pytest

from qstore_appliance.api.graphql.naming import inside
from qstore_appliance.database.tables.models import DeploymentRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import ApiKeyDraft
from qstore_appliance.domain.circuits import CircuitDraft
from tests.api.conftest import Client, Served
from tests.api.graphql.conftest import Ask
from tests.factories import make_circuit_draft, make_job_row, make_model_row


class Things:
    """One of each in the owner's organization, pointing to each other."""

    circuit: str
    job: str
    model: str
    deployment: str


@pytest.fixture
async def things(served: Served) -> Things:
    caller, found = await served.caller("owner"), Things()
    found.circuit = (await served.appliance.circuits.create(caller, make_circuit_draft())).id
    model = await make_model_row(caller, circuit_id=found.circuit)
    job = await make_job_row(
        caller, circuit_id=found.circuit, status="completed", model_id=model.id, cost=1_500_000, tags=["a"]
    )
    model.training_job_id = job.id
    await model.save()
    deployment = await DeploymentRow.create(
        id=ids.new("deploy"),
        organization_id=caller.organization_id,
        model_id=model.id,
        endpoint=f"/v1/models/{model.id}/predict",
        backend="native",
        config={"replicas": 1},
        status="deployed",
    )
    found.job, found.model, found.deployment = job.id, model.id, deployment.id
    return found


#: Fields that REST has under the same name; what each is compared with is the whole of REST's answer.
CIRCUIT = "id userId name description nQubits depth gateCount parameters circuitDefinition metadata version createdAt updatedAt"
JOB = (
    "id userId circuitId config backend metrics receipt costSoFar estimatedCost budgetLimit reason errorCode project tags "
    "modelId continuedFrom replayOf sweepId cancelRequested pauseRequested seq createdAt startedAt updatedAt completedAt"
)
MODEL = "id userId name version circuitId trainingJobId metrics parameters inputs createdAt deployedAt updatedAt"
DEPLOYMENT = "id modelId endpoint backend capped config createdAt updatedAt"


@pytest.mark.parametrize(
    ("field", "fields", "path"),
    [("circuit", CIRCUIT, "circuits"), ("job", JOB, "jobs"), ("model", MODEL, "models"),
     ("deployment", DEPLOYMENT, "deployments")],
)  # fmt: skip
async def test_the_same_as_rest(ask: Ask, client: Client, things: Things, field: str, fields: str, path: str) -> None:
    """Field by field, one thing is what REST says of it, in camel case."""
    id = getattr(things, field)
    rest = (await client("owner").get(f"/v1/{path}/{id}")).json()["data"]

    found = (await ask(f"query($id: ID!) {{ {field}(id: $id) {{ {fields} status: __typename }} }}", id=id)).data[field]

    del found["status"]
    assert found == {name: rest[inside(name)] for name in fields.split()}


async def test_everything_at_once(ask: Ask, things: Things) -> None:
    """One query walks from a job to its circuit, its model and what serves it, and back."""
    query = """{
      jobs(status: COMPLETED) {
        id status priority
        progress { currentEpoch totalEpochs percentage etaSeconds }
        resources { totalShots cpuSeconds }
        circuit { id nQubits tags }
        model { id status storage { sizeMb } circuit { id } deployment { id status replicas { state } model { id } } }
      }
      models(filter: {status: TRAINED}) { id trainingJob { id model { id } } }
      deployments { id }
      datasets(limit: 2) { id source nSamples classes }
    }"""
    data = (await ask(query)).data

    (job,) = data["jobs"]
    assert (job["id"], job["status"], job["priority"]) == (things.job, "COMPLETED", "NORMAL")
    assert job["progress"] == {"currentEpoch": 0, "totalEpochs": 0, "percentage": 0, "etaSeconds": None}
    assert job["circuit"] == {"id": things.circuit, "nQubits": 4, "tags": ["vqe", "chemistry"]}
    assert job["model"] == {
        "id": things.model,
        "status": "TRAINED",
        "storage": {"sizeMb": 0.0},
        "circuit": {"id": things.circuit},
        "deployment": {"id": things.deployment, "status": "DEPLOYED", "replicas": [], "model": {"id": things.model}},
    }
    assert data["models"] == [{"id": things.model, "trainingJob": {"id": things.job, "model": {"id": things.model}}}]
    assert data["deployments"] == [{"id": things.deployment}]
    assert [found["id"] for found in data["datasets"]] == ["digits", "iris"]
    assert data["datasets"][1] == {
        "id": "iris", "source": "BUILTIN", "nSamples": 150, "classes": ["setosa", "versicolor", "virginica"]
    }  # fmt: skip


async def test_who_asks(ask: Ask) -> None:
    """The user, their scopes and their organization; the id of another organization is nobody's."""
    query = """query($other: ID!) {
      currentUser { email role operator scopes organizationId organization { id name members settings { enableHardware } } }
      organization(id: $other) { name }
    }"""
    viewer = (await ask(query, role="viewer", other=ids.new("org"))).data

    assert viewer["currentUser"]["email"] == "viewer@example.org"
    assert (viewer["currentUser"]["role"], viewer["currentUser"]["operator"]) == ("viewer", False)
    assert "jobs:read" in viewer["currentUser"]["scopes"]
    own = viewer["currentUser"]["organization"]
    assert (own["name"], own["members"], own["settings"]) == ("Analytical Engines", 4, {"enableHardware": False})
    assert own["id"] == viewer["currentUser"]["organizationId"]
    assert viewer["organization"] is None


async def test_backends_and_money(ask: Ask, client: Client) -> None:
    """Backends, budget and usage say what REST says of them."""
    query = """{
      backends(available: true) { id name status capabilities { maxQubits supportsExact } cost { perShot } limits }
      none: backends(available: false) { id }
      backend(id: "backend_native_001") { name performance { queueDepth availability } maintenanceWindow { start } }
      unknown: backend(id: "backend_x_001") { name }
      budget { monthlyLimit currentSpend alerts { threshold action status } }
      usage(startDate: "2026-01-01T00:00:00Z", endDate: "2026-01-31T23:00:00Z", groupBy: BACKEND) {
        startDate endDate totalCost totalShots breakdownByBackend breakdownByDay { date }
      }
    }"""
    # Without slots nobody probes in the background: the first who asks waits for it, longer than a query may take.
    (rest,) = (await client("owner").get("/v1/backends")).json()["data"]
    data = (await ask(query)).data

    (native,) = data["backends"]
    assert (native["id"], native["name"], native["status"]) == (rest["id"], "native", "AVAILABLE")
    assert native["capabilities"]["maxQubits"] == rest["capabilities"]["max_qubits"]
    assert (data["none"], data["unknown"]) == ([], None)
    assert data["backend"]["name"] == "native"
    assert data["budget"] == {"monthlyLimit": None, "currentSpend": 0.0, "alerts": []}
    assert data["usage"] == {
        "startDate": "2026-01-01", "endDate": "2026-01-31", "totalCost": 0.0, "totalShots": 0,
        "breakdownByBackend": {}, "breakdownByDay": None,
    }  # fmt: skip


async def test_lists_are_pages(ask: Ask, served: Served) -> None:
    """`limit`, `offset`, `sort` and the filter of tags work as in REST, and refuse what REST refuses."""
    caller = await served.caller("owner")
    for name in ("c", "a", "b"):
        draft = CircuitDraft.model_validate({**make_circuit_draft().model_dump(), "name": name})
        await served.appliance.circuits.create(caller, draft)

    data = (await ask('{ circuits(sort: "name", limit: 2, offset: 1) { name } }')).data
    tagged = (await ask('{ circuits(filter: {tags: ["none"]}) { name } }')).data
    wrong = [
        await ask(f"{{ circuits({argument}) {{ name }} }}")
        for argument in ("limit: 0", "limit: 101", "offset: -1", 'sort: "secret"')
    ]

    assert [circuit["name"] for circuit in data["circuits"]] == ["b", "c"]
    assert tagged["circuits"] == []
    assert [answer.codes for answer in wrong] == [["VALIDATION_ERROR"]] * 4
    assert [answer.errors[0]["extensions"]["details"]["errors"][0]["field"] for answer in wrong] == [
        "limit", "limit", "offset", "sort"
    ]  # fmt: skip


POINTERS = {
    "circuit": "query($id: ID!) { circuit(id: $id) { name } }",
    "job": "query($id: ID!) { job(id: $id) { status } }",
    "model": "query($id: ID!) { model(id: $id) { name } }",
    "deployment": "query($id: ID!) { deployment(id: $id) { status } }",
}


@pytest.mark.parametrize("kind", POINTERS)
async def test_what_belongs_to_others_is_not_there(ask: Ask, things: Things, kind: str) -> None:
    """By id and in lists, another organization's things are as if they did not exist; nonsense is nothing either."""
    for id in (getattr(things, kind), ids.new(kind), "x", "", "x" * 10_000):
        assert (await ask(POINTERS[kind], role="stranger", id=id)).data == {kind: None}
    assert (await ask(f'{{ {kind}(id: "\\u0000") {{ id }} }}', role="stranger")).data == {kind: None}
    assert (await ask(f"{{ {kind}s {{ id }} }}", role="stranger")).data == {f"{kind}s": []}


CHANGES = {
    "circuit": 'mutation($id: ID!) { updateCircuit(id: $id, input: {name: "mine"}) { id } }',
    "circuit, gone": "mutation($id: ID!) { deleteCircuit(id: $id) }",
    "job": "mutation($id: ID!) { cancelJob(id: $id) }",
    "model": "mutation($id: ID!) { retireModel(id: $id) }",
    "model, served": "mutation($id: ID!) { deployModel(id: $id, config: {}) { id } }",
    "job, new": """mutation($id: ID!) { submitTrainingJob(input:
        {circuitId: $id, config: {backend: "native", dataset: {type: "iris"}}}) { id } }""",
}


@pytest.mark.parametrize("change", CHANGES)
async def test_what_belongs_to_others_cannot_be_changed(ask: Ask, things: Things, change: str) -> None:
    """A mutation of another organization's thing answers as for one that does not exist, to the letter."""
    kind = "circuit" if change == "job, new" else change.partition(",")[0]
    theirs, absent = [
        await ask(CHANGES[change], role="stranger", id=id) for id in (getattr(things, kind), ids.new(kind))
    ]

    assert theirs.codes == absent.codes == ["NOT_FOUND"]
    assert theirs.errors[0]["message"] == absent.errors[0]["message"]


async def test_each_field_needs_its_permission(ask: Ask, client: Client, served: Served, things: Things) -> None:
    """A key for jobs reads jobs; what they point to is refused field by field, and the rest of the answer stands."""
    owner = await served.caller("owner")
    key = await served.appliance.accounts.create_key(owner, ApiKeyDraft(name="jobs", scopes=["jobs:read"]))
    query = "{ jobs { id circuit { name } model { name } } }"

    answer = await client(None).post("/graphql", json={"query": query}, headers={"X-API-Key": str(key.key)})

    body: dict[str, Any] = answer.json()
    assert body["data"] == {"jobs": [{"id": things.job, "circuit": None, "model": None}]}
    found = {tuple(error["path"]): error["extensions"] for error in body["errors"]}
    assert {path: (told["code"], told["details"]) for path, told in found.items()} == {
        ("jobs", 0, "circuit"): ("FORBIDDEN", {"permission": "circuits:read"}),
        ("jobs", 0, "model"): ("FORBIDDEN", {"permission": "models:read"}),
    }


async def test_a_deleted_circuit_is_gone_from_its_jobs(ask: Ask, served: Served, things: Things) -> None:
    """What a job points to may be deleted; the job stays, and the pointer is null."""
    caller = await served.caller("owner")
    await served.appliance.models.retire(caller, things.model)
    await served.appliance.circuits.delete(caller, things.circuit)

    data = (await ask("{ jobs { circuitId circuit { name } } circuits { id } }")).data

    assert data == {"jobs": [{"circuitId": things.circuit, "circuit": None}], "circuits": []}
