"""A55 and A56: money that is none, work that is charged to nobody, and many who want the last dollar."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.acceptance.processes import Served, data
from tests.attacks.conftest import CIRCUIT, WIDE, Fortress, code, furnished

JSON = {"Content-Type": "application/json"}
#: As they stand in the body: JSON's own grammar, and what careless readers take besides.
NUMBERS = {
    "below nothing": "-1",
    "a little below nothing": "-0.000001",
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "1e400": "1e400",
    "1e308": "1e308",
    "2^63": "9223372036854775808",
    "a billion and one": "1000000001",
    "text": '"100"',
    "text with a sign": '"$100"',
    "an exponent as text": '"1e3"',
    "true": "true",
    "a list": "[100]",
    "an object": '{"USD": 100}',
    "5,000 digits": "9" * 5_000,
    "a currency": '"100 EUR"',
    "hexadecimal": "0x64",
    "with a plus": "+1",
}


def written(body: dict[str, Any], number: str) -> bytes:
    return json.dumps(body).replace('"@"', number).encode()


@pytest.fixture(scope="module")
def circuit(owner: httpx.Client) -> str:
    return str(data(owner.post("/v1/circuits", json=CIRCUIT))["id"])


def job(circuit: str, **more: Any) -> dict[str, Any]:
    config = {"epochs": 1, "dataset": {"type": "iris", "features": {"method": "pca", "count": 2}}} | more.pop(
        "config", {}
    )
    return {"circuit_id": circuit, "config": config, **more}


@pytest.mark.attack("A55")
@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
def test_limits_that_are_no_money(owner: httpx.Client, circuit: str, number: str) -> None:
    """A month's limit, a job's and a top-up are dollars from nothing to a billion; anything else changes nothing."""
    before = owner.get("/v1/budget").json()["data"]
    answers = [
        owner.put("/v1/budget", content=written({"monthly_limit": "@"}, number), headers=JSON),
        owner.post("/v1/jobs", content=written(job(circuit, budget_limit="@"), number), headers=JSON),
        owner.post("/v1/jobs/job_x/top-up", content=written({"budget_limit": "@"}, number), headers=JSON),
    ]

    assert {answer.status_code for answer in answers} <= {400, 422}, [answer.text for answer in answers]
    assert owner.get("/v1/budget").json()["data"] == before


COUNTS = NUMBERS.keys() - {"a little below nothing", "a billion and one", "1e308"}


@pytest.mark.attack("A55")
@pytest.mark.parametrize("field", ["shots", "epochs", "batch_size"])
@pytest.mark.parametrize("number", [*sorted(NUMBERS[name] for name in COUNTS), "0", "1.5", "100000001"])
def test_counts_that_are_none(owner: httpx.Client, circuit: str, field: str, number: str) -> None:
    """What a job is charged by is a whole number in its range: nothing is estimated or run for anything else."""
    for path in ("/v1/jobs", "/v1/jobs/estimate"):
        answer = owner.post(path, content=written(job(circuit, config={field: "@"}), number), headers=JSON)

        assert answer.status_code in (400, 422), (path, answer.text)


@pytest.mark.attack("A55")
@pytest.mark.parametrize(
    "wish",
    [
        {"cost": 0}, {"price": 0}, {"cost_per_circuit": 0}, {"estimated_cost": 0}, {"cost_so_far": -1}, {"currency": "EUR"},
        {"discount": 100}, {"spent": 0}, {"free": True}, {"per_shot": 0}, {"user_id": "user_x"}, {"organization_id": "org_x"},
    ],
    ids=str,
)  # fmt: skip
def test_prices_are_the_servers(owner: httpx.Client, circuit: str, wish: dict[str, Any]) -> None:
    """Nobody says what something costs, or who pays for it."""
    for body in (job(circuit, **wish), job(circuit, config=wish), job(circuit, config={"hardware_config": wish})):
        answer = owner.post("/v1/jobs", json=body)

        assert (answer.status_code, code(answer)) == (422, "VALIDATION_ERROR")
        assert next(iter(wish)) in answer.text


@pytest.mark.attack("A55")
@pytest.mark.parametrize("path", ["/v1/costs", "/v1/usage", "/v1/costs/events", "/v1/ledger"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_the_ledger_takes_nothing(owner: httpx.Client, method: str, path: str) -> None:
    """What was charged cannot be written or deleted through any address."""
    assert owner.request(method, path, json={"amount": -1}).status_code in (404, 405)


#: In one worker: the installation is started once.
DEAR = pytest.mark.xdist_group("dear")


@pytest.fixture(scope="module")
def dear(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An installation whose circuits cost a tenth of a cent, and nobody works."""
    folder = tmp_path_factory.mktemp("dear") / "data"
    tokens = furnished(folder)
    config = folder.parent / "qstore.toml"
    config.write_text("[backends.native]\nper_circuit = 0.001\n")
    with ExitStack() as stack:
        server = Served(folder, "--config", config, **WIDE, QSTORE_JOBS__SLOTS="0")
        stack.callback(server.stop)
        yield Fortress(server, tokens)


@pytest.mark.attack("A56")
@DEAR
@pytest.mark.parametrize("submits", [300, pytest.param(10_000, marks=pytest.mark.long)])
def test_many_want_what_is_left_for_a_few(dear: Fortress, submits: int) -> None:
    """Of hundreds of parallel submits, by REST and by GraphQL, a budget for 20 takes 20, and reserves not a cent more."""
    with dear.client("owner") as owner:
        before = owner.get("/v1/budget").json()["data"]
        assert (before["current_spend"], before["reserved"]) == (0, 0)
        circuit = data(owner.post("/v1/circuits", json=CIRCUIT))["id"]
        owner.put("/v1/budget", json={"monthly_limit": 20 * 0.25}).raise_for_status()
        body = job(circuit, budget_limit=0.25)
        mutation = (
            f'mutation {{ submitTrainingJob(input: {{circuitId: "{circuit}", budgetLimit: 0.25, config: {{epochs: 1, '
            'dataset: {type: "iris", features: {method: "pca", count: 2}}}}) { id } }'
        )

        def attempt(number: int) -> str:
            if number % 3 == 0:
                found = owner.post("/graphql", json={"query": mutation}).json()
                return str(found["errors"][0]["extensions"]["code"]) if "errors" in found else "accepted"
            answer = owner.post("/v1/jobs", json=body)
            return "accepted" if answer.status_code == 202 else code(answer)

        with ThreadPoolExecutor(30) as pool:
            said = list(pool.map(attempt, range(submits)))
        after = owner.get("/v1/budget").json()["data"]
        jobs = [
            row["job_id"] if "job_id" in row else row["id"]
            for row in data(owner.get("/v1/jobs?limit=100&status=queued"))
        ]
        for one in jobs:
            owner.post(f"/v1/jobs/{one}/cancel")
        released = owner.get("/v1/budget").json()["data"]

    assert said.count("accepted") == 20
    assert set(said) == {"accepted", "BUDGET_EXCEEDED"}
    assert (after["reserved"], after["current_spend"]) == (5.0, 0.0)
    assert len(jobs) == 20
    assert (released["reserved"], released["current_spend"]) == (0.0, 0.0)


@pytest.mark.attack("A55")
@DEAR
def test_work_of_one_shot_is_not_free(dear: Fortress) -> None:
    """However little is asked for, its estimate is at least a micro-dollar where the backend costs something."""
    with dear.client("owner") as owner:
        circuit = data(owner.post("/v1/circuits", json=CIRCUIT))["id"]
        answer = owner.post("/v1/jobs/estimate", json=job(circuit, config={"shots": 1, "seed": 1}))

    assert answer.status_code == 200, answer.text
    cost = data(answer)["cost"]
    assert cost["low"] >= 0.000001
    assert cost["low"] <= cost["high"]


@pytest.mark.attack("A55")
@DEAR
def test_deleting_does_not_pay_back(dear: Fortress) -> None:
    """A circuit that ran and is deleted leaves what was charged for it as it was."""
    with dear.client("owner") as owner:
        circuit = data(owner.post("/v1/circuits", json=CIRCUIT))["id"]
        before = owner.get("/v1/budget").json()["data"]["current_spend"]
        ran = owner.post(f"/v1/circuits/{circuit}/run", json={"shots": 1, "parameters": {"a": 0.5}})
        spent = owner.get("/v1/budget").json()["data"]["current_spend"]
        gone = owner.delete(f"/v1/circuits/{circuit}")
        after = owner.get("/v1/budget").json()["data"]["current_spend"]

    assert ran.status_code == 200, ran.text
    assert spent > before
    assert gone.status_code == 204
    assert after == spent
