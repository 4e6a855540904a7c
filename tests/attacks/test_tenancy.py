"""A16 and A22: what belongs to another organization, asked for in every way that there is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from qstore_appliance.api.app import endpoints
from qstore_appliance.api.registry import PUBLIC, SIGNED_IN, Endpoint
from qstore_appliance.domain import ids
from tests.acceptance.processes import data
from tests.attacks.conftest import CIRCUIT, Fortress

OF_ONE = [
    endpoint
    for endpoint in endpoints()
    if re.search(r"{\w+}", endpoint.path)
    and endpoint.permission not in (PUBLIC, SIGNED_IN)
    and endpoint.tag != "backends"
]
#: The prefix of an id by the tag of its routes.
KINDS = {"circuits": "circuit", "datasets": "dataset", "jobs": "job", "models": "model", "deployments": "deploy",
         "sweeps": "sweep", "api-keys": "key", "outbox": "outbox", "users": "user",
         "invitations": "invite"}  # fmt: skip
IRIS = {"type": "iris", "features": {"method": "pca", "count": 2}}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/models/{id}/predict": {"inputs": [[0.0]]},
    "/v1/models/{id}/promote": {"stage": "production"},
    "/v1/jobs/{id}/top-up": {"budget_limit": 1.0},
    "/v1/circuits/{id}": {"name": "mine"},
    "/v1/users/{id}": {"role": "viewer"},
}


def name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def words(answer: httpx.Response, *secrets: str) -> tuple[int, str, dict[str, str]]:
    """What an answer says, without what was asked and without what is new in each."""
    text = answer.text
    for secret in secrets:
        text = text.replace(secret, "…")
    body = json.loads(text) if text else {}
    body.pop("meta", None)
    kept = {
        k: v for k, v in answer.headers.items() if k not in ("x-request-id", "content-length") and "ratelimit" not in k
    }
    return answer.status_code, json.dumps(body), kept


@pytest.fixture(scope="module")
def others(fortress: Fortress) -> Iterator[dict[str, httpx.Client]]:
    """Clients of the other organization."""
    stranger = fortress.client("stranger")
    key = data(
        stranger.post(
            "/v1/api-keys", json={"name": "k", "scopes": [f"{k}:*" for k in ("circuits", "jobs", "models", "datasets")]}
        )
    )["key"]
    clients = {"owner": stranger, "key": fortress.client(None, **{"X-API-Key": key})}
    yield clients
    for client in clients.values():
        client.close()


@pytest.mark.attack("A16")
@pytest.mark.parametrize("principal", ["owner", "key"])
@pytest.mark.parametrize("endpoint", OF_ONE, ids=name)
def test_every_address_with_every_id(
    fortress: Fortress, others: dict[str, httpx.Client], endpoint: Endpoint, principal: str
) -> None:
    """Another organization's id of any kind is, to the letter, like an id of nothing: body, headers and status."""
    client = others[principal]
    more = {"json": BODIES.get(endpoint.path, {})} if endpoint.body else {}
    for thing in fortress.things.values():
        absent = ids.new(thing.partition("_")[0])
        heard = [
            words(client.request(endpoint.method, re.sub(r"{\w+}", id, endpoint.path), **more), id)
            for id in (thing, absent)
        ]

        assert heard[0] == heard[1], thing
        assert heard[0][0] in (401, 403, 404, 422)


REFERENCES: dict[str, Callable[[dict[str, str]], tuple[str, dict[str, Any]]]] = {
    "a job on their circuit": lambda t: ("/v1/jobs", {"circuit_id": t["circuits"], "config": {"epochs": 1, "dataset": IRIS}}),
    "an estimate on their circuit": lambda t: (
        "/v1/jobs/estimate", {"circuit_id": t["circuits"], "config": {"epochs": 1, "dataset": IRIS}}
    ),
    "a sweep on their circuit": lambda t: (
        "/v1/sweeps", {"circuit_id": t["circuits"], "config": {"epochs": [1, 2], "dataset": IRIS}}
    ),
    "a job on their data": lambda t: ("/v1/jobs", {"config": {"epochs": 1, "dataset": IRIS | {"type": t["datasets"]}}}),
    "an estimate on their data": lambda t: (
        "/v1/jobs/estimate", {"config": {"epochs": 1, "dataset": IRIS | {"type": t["datasets"]}}}
    ),
}  # fmt: skip


@pytest.mark.attack("A16")
@pytest.mark.parametrize("reference", REFERENCES.values(), ids=REFERENCES)
def test_ids_inside_bodies(
    fortress: Fortress, stranger: httpx.Client, reference: Callable[[dict[str, str]], tuple[str, dict[str, Any]]]
) -> None:
    """A body that names another organization's thing is answered as one that names nothing."""
    own = data(stranger.post("/v1/circuits", json=CIRCUIT))["id"]
    heard = []
    absent = {kind: ids.new(id.partition("_")[0]) for kind, id in fortress.things.items()}
    for things in (fortress.things, absent):
        path, body = reference(things)
        answer = stranger.post(path, json={"circuit_id": own} | body)
        heard.append(words(answer, *things.values()))

    assert heard[0] == heard[1]
    assert heard[0][0] in (404, 422)


QUERIES = ("", "?limit=100", "?offset=0&sort=-created_at", "?sort=created_at", "?tags=vqe", "?status=queued", "?name=c")


@pytest.mark.attack("A16")
@pytest.mark.parametrize("query", QUERIES)
def test_lists_and_totals(fortress: Fortress, others: dict[str, httpx.Client], query: str) -> None:
    """Nothing of another organization is listed or counted, by whatever filter or order."""
    for client in others.values():
        for endpoint in endpoints():
            if endpoint.paged:
                answer = client.get(endpoint.path + query)
                for thing in fortress.things.values():
                    assert thing not in answer.text, name(endpoint)


@pytest.mark.attack("A22")
def test_idempotency_keys(owner: httpx.Client, stranger: httpx.Client) -> None:
    """A key that another organization has used is free, and brings nothing of theirs."""
    headers = {"Idempotency-Key": "the-same"}
    ours = data(owner.post("/v1/circuits", json=CIRCUIT, headers=headers))
    theirs = data(stranger.post("/v1/circuits", json=CIRCUIT, headers=headers))

    assert ours["id"] != theirs["id"]
    assert data(owner.post("/v1/circuits", json=CIRCUIT, headers=headers))["id"] == ours["id"]


@pytest.mark.attack("A22")
@pytest.mark.parametrize(
    "header", ["If-None-Match", "If-Match", "If-Modified-Since", "Range", "X-Request-ID", "Cache-Control"]
)
def test_headers_of_others_requests(
    fortress: Fortress, owner: httpx.Client, stranger: httpx.Client, header: str
) -> None:
    """What an answer to somebody else carried changes nothing for a stranger."""
    path = f"/v1/circuits/{fortress.things['circuits']}"
    seen = owner.get(path, headers={"X-Request-ID": "r1"})
    value = seen.headers.get("etag") or {"Range": "bytes=0-99", "X-Request-ID": "r1"}.get(header, "*")

    answer = stranger.get(path, headers={header: value})

    assert answer.status_code == 404
    assert "Access-Control-Allow-Origin" not in answer.headers


def crossing(fortress: Fortress, client: httpx.Client, rounds: int) -> tuple[int, int]:
    """Ask for everything that is not one's own, again and again; how often, and how often something came."""
    calls = leaks = 0
    for _ in range(rounds):
        for endpoint in OF_ONE:
            more = {"json": BODIES.get(endpoint.path, {})} if endpoint.body else {}
            for thing in fortress.things.values():
                answer = client.request(endpoint.method, re.sub(r"{\w+}", thing, endpoint.path), **more)
                calls += 1
                leaks += answer.status_code < 400
    return calls, leaks


@pytest.mark.attack("A16")
@pytest.mark.parametrize("rounds", [2, pytest.param(600, marks=pytest.mark.long)])
def test_crossing_over(
    fortress: Fortress,
    others: dict[str, httpx.Client],
    owner: httpx.Client,
    rounds: int,
    record_property: Callable[[str, object], None],
) -> None:
    """However often it is tried, nothing crosses over, and the first organization has everything unchanged."""
    paths = {"circuits", "datasets", "jobs", "sweeps"}
    before = {kind: data(owner.get(f"/v1/{kind}/{fortress.things[kind]}")) for kind in paths}
    found = [crossing(fortress, client, rounds) for client in others.values()]

    calls, leaks = sum(one[0] for one in found), sum(one[1] for one in found)
    assert leaks == 0
    for kind in paths:
        now = data(owner.get(f"/v1/{kind}/{fortress.things[kind]}"))
        assert now["id"] == before[kind]["id"]
        assert now.get("status") == before[kind].get("status")
        assert now.get("name") == before[kind].get("name")
    record_property("report", f"cross-tenant calls: {calls}, leaks: {leaks}")
