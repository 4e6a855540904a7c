"""What GraphQL changes: through the same services as REST, with the same refusals under the schema's own names."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from qstore_appliance.api.graphql.naming import SPOKEN, inside
from qstore_appliance.api.graphql.schema import schema
from qstore_appliance.database.tables.costs import BudgetRow, ReservationRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain.circuits import CircuitDraft, CircuitPatch
from qstore_appliance.domain.configs import (
    ConfigDraft,
    DatasetDraft,
    EarlyStoppingDraft,
    EncodingDraft,
    FeaturesDraft,
    HardwareDraft,
    NoiseDraft,
    ReadoutDraft,
)
from qstore_appliance.domain.jobs import JobDraft
from qstore_appliance.domain.models import AutoScalingDraft, DeploymentDraft, ResourcesDraft
from tests.api.conftest import Client, Served
from tests.api.graphql.conftest import Ask
from tests.factories import make_job_row, make_model_row

CREATE = "mutation($input: CreateCircuitInput!) { createCircuit(input: $input) { id name nQubits depth gateCount tags version } }"
BELL: dict[str, Any] = {
    "name": "Bell",
    "nQubits": 2,
    "gates": [
        {"type": "H", "targets": [0]},
        {"type": "X", "controls": [0], "targets": [1]},
        {"type": "RY", "targets": [0], "parameters": {"theta": "theta_0"}},
    ],
    "metadata": {"tags": ["bell"]},
}
SUBMIT = """mutation($input: TrainingJobInput!) { submitTrainingJob(input: $input) {
  id status priority backend estimatedCost budgetLimit project tags config circuit { name }
  submission { queuePosition autoBackend backendReason }
} }"""


async def test_a_circuits_life(ask: Ask, client: Client) -> None:
    """Created, changed and deleted over GraphQL, it is the circuit that REST shows."""
    made = (await ask(CREATE, input=BELL)).data["createCircuit"]
    update = """mutation($id: ID!, $input: UpdateCircuitInput!) { updateCircuit(id: $id, input: $input) {
        name version description circuitDefinition parameters } }"""

    renamed = (await ask(update, id=made["id"], input={"name": "Phi", "description": "a pair", "gates": None})).data
    shorter = (await ask(update, id=made["id"], input={"gates": BELL["gates"][:2]})).data["updateCircuit"]
    rest = (await client("owner").get(f"/v1/circuits/{made['id']}")).json()["data"]
    deleted = (await ask("mutation($id: ID!) { deleteCircuit(id: $id) }", id=made["id"])).data
    after = (await ask("query($id: ID!) { circuit(id: $id) { name } }", id=made["id"])).data

    assert (made["name"], made["nQubits"], made["gateCount"], made["tags"]) == ("Bell", 2, 3, ["bell"])
    assert (renamed["updateCircuit"]["name"], renamed["updateCircuit"]["version"]) == ("Phi", 1)
    assert (shorter["version"], shorter["description"]) == (2, "a pair")
    assert shorter["circuitDefinition"] == rest["circuit_definition"]
    assert (deleted, after) == ({"deleteCircuit": True}, {"circuit": None})


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"nQubits": 0}, "INVALID_CIRCUIT", None),
        ({"name": ""}, "VALIDATION_ERROR", "input.name"),
        ({"metadata": {"tags": "vqe"}}, "VALIDATION_ERROR", "input.metadata"),
        ({"gates": [{"type": "NO", "targets": [0]}]}, "INVALID_CIRCUIT", None),
        ({"parameters": {"no_such": 1}}, "VALIDATION_ERROR", "input.parameters.no_such"),
    ],
)
async def test_refusals_have_the_schemas_names(ask: Ask, change: dict[str, Any], code: str, field: str | None) -> None:
    """A value that is no good is refused with REST's code, and its place as this schema calls it."""
    answer = await ask(CREATE, input={**BELL, **change})

    assert (answer.status, answer.codes, answer.raw) == (200, [code], None)
    if field is not None:
        found = answer.errors[0]["extensions"]["details"]["errors"][0]["field"]
        assert found == field or field.startswith(found)


async def test_a_job_is_submitted_and_cancelled(ask: Ask, served: Served) -> None:
    """A job with everything of its config in camel case is REST's job; its answer knows what the submit was told."""
    circuit = (await ask(CREATE, input=BELL)).data["createCircuit"]["id"]
    config = {
        "backend": "native", "epochs": 3, "batchSize": 16, "learningRate": 0.1, "optimizer": "adam", "seed": 2**52,
        "dataset": {"type": "iris", "valSize": 20, "features": {"method": "pca", "count": 2, "scale": "angle"}},
        "readout": {"observables": ["Z0", "Z0 Z1"], "head": "linear"},
        "earlyStopping": {"patience": 2, "restoreBest": True}, "hardwareConfig": {"nodes": 1, "gpus": 0},
        "encoding": {"type": "angle", "gate": "RX"}, "gradient": None,
    }  # fmt: skip
    wish = {"circuitId": circuit, "config": config, "priority": "HIGH", "project": "p", "tags": ["t"], "budgetLimit": 1}

    job = (await ask(SUBMIT, role="developer", input=wish)).data["submitTrainingJob"]
    stored = await JobRow.get(id=job["id"])
    ended = (await ask("mutation($id: ID!) { cancelJob(id: $id) }", role="developer", id=job["id"])).data
    seen = (await ask("query($id: ID!) { job(id: $id) { status submission { autoBackend } } }", id=job["id"])).data

    assert (job["status"], job["priority"], job["backend"]) == ("QUEUED", "HIGH", "native")
    assert (job["budgetLimit"], job["project"], job["tags"]) == (1.0, "p", ["t"])
    assert job["circuit"] == {"name": "Bell"}
    assert job["submission"]["autoBackend"] == "native"
    assert job["config"] == stored.config
    assert (stored.config["batch_size"], stored.config["seed"]) == (16, 2**52)
    assert stored.config["early_stopping"]["restore_best"] is True
    assert stored.config["dataset"]["val_size"] == 20
    assert ended == {"cancelJob": True}
    assert seen == {"job": {"status": "CANCELLED", "submission": None}}


async def test_a_wrong_config_is_named(ask: Ask) -> None:
    """Faults of a config carry the names that the client wrote, however deep."""
    circuit = (await ask(CREATE, input=BELL)).data["createCircuit"]["id"]
    config = {
        "batchSize": 0,
        "dataset": {"type": "iris", "features": {"method": "fft"}},
        "earlyStopping": {"minDelta": -1},
    }

    answer = await ask(SUBMIT, input={"circuitId": circuit, "config": config})

    assert answer.codes == ["VALIDATION_ERROR"]
    assert {row["field"] for row in answer.errors[0]["extensions"]["details"]["errors"]} == {
        "input.config.batchSize", "input.config.dataset.features.method", "input.config.earlyStopping.minDelta"
    }  # fmt: skip


async def test_a_model_is_retired(ask: Ask, served: Served) -> None:
    """Retired over GraphQL, a model cannot be deployed again: GONE, as REST says it."""
    model = await make_model_row(await served.caller("owner"))

    retired = (await ask("mutation($id: ID!) { retireModel(id: $id) }", id=model.id)).data
    again = await ask("mutation($id: ID!) { deployModel(id: $id, config: {replicas: 1}) { id } }", id=model.id)
    wrong = await ask(
        "mutation($id: ID!) { deployModel(id: $id, config: {autoScaling: {minReplicas: 0}}) { id } }", id=model.id
    )

    assert retired == {"retireModel": True}
    assert again.codes == ["GONE"]
    assert wrong.errors[0]["extensions"]["details"]["errors"][0]["field"] == "config.autoScaling.minReplicas"


async def test_a_budget_is_set(ask: Ask, client: Client) -> None:
    """`limit` is REST's `monthly_limit`; alerts that are left out stay; only who may set it does."""
    update = """mutation($limit: Float!, $alerts: [BudgetAlert!]) { updateBudget(limit: $limit, alerts: $alerts) {
        monthlyLimit remaining percentageUsed alerts { threshold action status } } }"""
    alerts = [
        {"threshold": 75, "action": "EMAIL", "recipients": ["a@b.example"]},
        {"threshold": 100, "action": "PAUSE_NEW_JOBS"},
    ]

    first = (await ask(update, role="admin", limit=100, alerts=alerts)).data["updateBudget"]
    second = (await ask(update, role="admin", limit=50.5)).data["updateBudget"]
    rest = (await client("owner").get("/v1/budget")).json()["data"]
    refused = await ask(update, role="developer", limit=1)
    wrong = await ask(update, role="admin", limit=-1)

    assert (first["monthlyLimit"], first["remaining"]) == (100.0, 100.0)
    assert first["alerts"][1] == {"threshold": 100, "action": "PAUSE_NEW_JOBS", "status": "NOT_TRIGGERED"}
    assert (second["monthlyLimit"], len(second["alerts"]), rest["monthly_limit"]) == (50.5, 2, 50.5)
    assert refused.codes == ["FORBIDDEN"]
    assert refused.errors[0]["extensions"]["details"] == {"permission": "billing:write"}
    assert wrong.errors[0]["extensions"]["details"]["errors"][0]["field"] == "limit"


async def test_mutations_stop_at_the_first_that_fails(ask: Ask) -> None:
    """They run in order; the one that fails names those before it that were done, and none after it is."""
    document = """mutation($bell: CreateCircuitInput!, $wrong: CreateCircuitInput!) {
        one: createCircuit(input: $bell) { id }
        two: createCircuit(input: $wrong) { id }
        three: createCircuit(input: $bell) { id } }"""

    answer = await ask(document, bell=BELL, wrong={**BELL, "name": ""})
    circuits = (await ask("{ circuits { name } }")).data["circuits"]

    assert answer.raw is None
    (error,) = answer.errors
    assert (error["path"], error["extensions"]["done"]) == (["two"], ["one"])
    assert circuits == [{"name": "Bell"}]


async def test_what_was_changed_is_read_again(ask: Ask) -> None:
    """A mutation after another in one document sees what the first has done."""
    id = (await ask(CREATE, input=BELL)).data["createCircuit"]["id"]
    config = '{backend: "native", epochs: 1, dataset: {type: "iris"}}'
    document = f"""mutation {{
        a: submitTrainingJob(input: {{circuitId: "{id}", config: {config}}}) {{ circuit {{ name }} }}
        updateCircuit(id: "{id}", input: {{name: "New"}}) {{ name }}
        b: submitTrainingJob(input: {{circuitId: "{id}", config: {config}}}) {{ circuit {{ name }} }} }}"""

    data = (await ask(document)).data

    assert (data["a"], data["b"]) == ({"circuit": {"name": "Bell"}}, {"circuit": {"name": "New"}})


async def test_repeated_under_a_key(client: Client) -> None:
    """An Idempotency-Key makes a mutation happen once; one that was refused is tried again under the same key."""
    owner = client("owner")

    async def post(key: str, name: str) -> httpx.Response:
        body = {"query": CREATE, "variables": {"input": {**BELL, "name": name}}}
        return await owner.post("/graphql", json=body, headers={"Idempotency-Key": key})

    once, again = await post("a", "One"), await post("a", "One")
    other = await post("a", "Two")
    refused = [await post("b", "") for _ in range(2)]

    assert once.json()["data"]["createCircuit"]["id"] == again.json()["data"]["createCircuit"]["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json()["errors"][0]["extensions"]["code"]) == (409, "CONFLICT")
    assert ["Idempotent-Replayed" in answer.headers for answer in refused] == [False, False]


async def test_thousands_want_what_is_left_for_a_hundred(served: Served, client: Client, ask: Ask) -> None:
    """1,000 submits at once, half over GraphQL and half over REST, on a budget for 100: exactly 100 are accepted."""
    id = (await ask(CREATE, input=BELL)).data["createCircuit"]["id"]
    await ask("mutation { updateBudget(limit: 25) { monthlyLimit } }")
    wish = {
        "circuitId": id,
        "config": {"backend": "native", "epochs": 1, "dataset": {"type": "iris"}},
        "budgetLimit": 0.25,
    }
    graph = {
        "query": "mutation($i: TrainingJobInput!) { submitTrainingJob(input: $i) { id } }",
        "variables": {"i": wish},
    }
    rest = {"circuit_id": id, "config": wish["config"], "budget_limit": 0.25}
    clients = [client("owner") for _ in range(4)]

    async def submit(number: int) -> str:
        one = clients[number % 4]
        if number % 2:
            return _told((await one.post("/v1/jobs", json=rest, timeout=120)).json()["error"])
        errors = (await one.post("/graphql", json=graph, timeout=120)).json().get("errors")
        return _told({"code": errors[0]["extensions"]["code"]} if errors else None)

    async def attempt(number: int) -> str:
        while (told := await submit(number)) == "UNAVAILABLE":
            await asyncio.sleep(0.1)
        return told

    answers = await asyncio.gather(*(attempt(number) for number in range(1_000)))

    caller = await served.caller("owner")
    budget = await BudgetRow.get(organization_id=caller.organization_id)
    assert {answer: answers.count(answer) for answer in set(answers)} == {"accepted": 100, "BUDGET_EXCEEDED": 900}
    assert (budget.spent, budget.reserved) == (0, 25_000_000)
    assert await JobRow.all().count() == await ReservationRow.all().count() == 100


def _told(error: dict[str, Any] | None) -> str:
    return "accepted" if error is None else str(error["code"])


INPUTS = {
    "CreateCircuitInput": CircuitDraft,
    "UpdateCircuitInput": CircuitPatch,
    "TrainingJobInput": JobDraft,
    "TrainingConfig": ConfigDraft,
    "DatasetInput": DatasetDraft,
    "FeaturesInput": FeaturesDraft,
    "EncodingInput": EncodingDraft,
    "ReadoutInput": ReadoutDraft,
    "EarlyStoppingInput": EarlyStoppingDraft,
    "NoiseInput": NoiseDraft,
    "HardwareInput": HardwareDraft,
    "DeploymentConfig": DeploymentDraft,
    "AutoScaling": AutoScalingDraft,
    "DeploymentResources": ResourcesDraft,
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_have_the_fields_of_their_drafts(name: str) -> None:
    """What REST takes, GraphQL takes, and nothing else: a new field of a draft is missed here until it is in the schema."""
    fields = schema().type_map[name].fields  # type: ignore[attr-defined]

    assert {inside(field) for field in fields} == set(INPUTS[name].model_fields)
    assert all(SPOKEN[inside(field)] == field for field in fields)
    assert {inside(field) for field, of in fields.items() if str(of.type).endswith("!")} == {
        field for field, of in INPUTS[name].model_fields.items() if of.is_required()
    }


async def test_somebody_elses_job_is_not_cancelled(ask: Ask, served: Served) -> None:
    """A developer cancels their own jobs, an admin everybody's; a viewer none."""
    job = await make_job_row(await served.caller("owner"))
    cancel = "mutation($id: ID!) { cancelJob(id: $id) }"

    assert (await ask(cancel, role="developer", id=job.id)).codes == ["FORBIDDEN"]
    assert (await ask(cancel, role="viewer", id=job.id)).codes == ["FORBIDDEN"]
    assert (await ask(cancel, role="admin", id=job.id)).data == {"cancelJob": True}
