"""A29 and A30: what strangers learn of the schema, and operations that come by links, forms and other pages."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from graphql import get_introspection_query

from tests.attacks.conftest import Fortress

QUERY = "{ currentUser { email } }"
CURIOUS: dict[str, str] = {
    "introspection": get_introspection_query(),
    "__schema": "{ __schema { types { name } } }",
    "__type": '{ __type(name: "User") { fields { name } } }',
    "__typename": "{ __typename }",
    "a near miss": "{ currentUse { emai } }",
    "a near argument": '{ circuit(ids: "x") { name } }',
    "a near type": "{ ...a } fragment a on Quer { __typename }",
    "a syntax error": "{ currentUser {",
    "a wrong directive": "{ currentUser @includ(if: true) { email } }",
    "a subscription": "subscription { costUpdates { currentSpend } }",
    "a mutation": 'mutation { deleteCircuit(id: "x") }',
    "nothing": "",
}


@pytest.mark.attack("A29")
@pytest.mark.parametrize("query", CURIOUS.values(), ids=CURIOUS)
def test_strangers_learn_nothing(anonymous: httpx.Client, query: str) -> None:
    """Without credentials every document has one answer, which says nothing of the schema, not even whether it is one."""
    answer = anonymous.post("/graphql", json={"query": query})
    other = anonymous.post("/graphql", json={"query": "{ x }"})

    assert answer.status_code == 401
    assert answer.json() == other.json()
    assert "currentUser" not in answer.text
    assert "Did you mean" not in answer.text


@pytest.mark.attack("A29")
@pytest.mark.parametrize(
    "credential",
    [{"Authorization": "Bearer x"}, {"X-API-Key": "qsk_live_" + "a" * 24}, {"Cookie": "__Host-qstore=x"}, {"Authorization": "Basic eDp5"}],
    ids=["token", "key", "cookie", "basic"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/graphql", "/graphql/schema.graphql"])
def test_wrong_credentials_learn_nothing(anonymous: httpx.Client, credential: dict[str, str], path: str) -> None:
    """Neither the schema nor its text comes for what is no credential."""
    if path == "/graphql":
        answer = anonymous.post(path, json={"query": CURIOUS["introspection"]}, headers=credential)
    else:
        answer = anonymous.get(path, headers=credential)

    assert answer.status_code in (401, 403)
    assert "TrainingJob" not in answer.text


@pytest.mark.attack("A29")
@pytest.mark.parametrize(
    "path", ["/graphiql", "/graphql/schema.json", "/graphql.json", "/playground", "/altair", "/voyager", "/v1/graphql"]
)
def test_no_other_door(anonymous: httpx.Client, path: str) -> None:
    """The addresses at which other products show their schema show nothing."""
    for answer in (anonymous.get(path), anonymous.post(path, json={"query": CURIOUS["introspection"]})):
        assert answer.status_code in (401, 404, 405)
        assert "TrainingJob" not in answer.text


JSON = '{"query": "{ currentUser { email } }"}'
TYPES: dict[str, tuple[str, str | bytes]] = {
    "a form": ("application/x-www-form-urlencoded", urlencode({"query": QUERY})),
    "a form that is JSON": ("application/x-www-form-urlencoded", JSON),
    "text": ("text/plain", JSON),
    "text in UTF-8": ("text/plain; charset=utf-8", JSON),
    "text that says JSON": ("text/plain; application/json", JSON),
    "GraphQL itself": ("application/graphql", QUERY),
    "a multipart form": ("multipart/form-data; boundary=b", f'--b\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{JSON}\r\n--b--'),
    "an upload": ("multipart/mixed; boundary=b", f"--b\r\n\r\n{JSON}\r\n--b--"),
    "JSON in UTF-16": ("application/json; charset=utf-16", JSON.encode("utf-16")),
    "a list of types": ("application/json, text/plain", JSON),
    "no subtype": ("application", JSON),
    "a picture": ("image/svg+xml", JSON),
    "a beacon": ("application/reports+json", JSON),
}  # fmt: skip


@pytest.mark.attack("A30")
@pytest.mark.parametrize(("media", "content"), TYPES.values(), ids=TYPES)
def test_only_json_is_an_operation(owner: httpx.Client, media: str, content: str | bytes) -> None:
    """What a form or a beacon of another page can send without asking first is 415, also with good credentials."""
    answer = owner.post("/graphql", content=content, headers={"Content-Type": media})

    assert answer.status_code == 415
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNSUPPORTED_MEDIA_TYPE"
    assert "owner@example.org" not in answer.text


@pytest.mark.attack("A30")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "query",
    [QUERY, 'mutation { deleteCircuit(id: "x") }', "{ __schema { types { name } } }"],
    ids=["query", "mutation", "schema"],
)
def test_no_link_is_an_operation(owner: httpx.Client, method: str, query: str) -> None:
    """By an address nothing runs: 405 with POST as what is taken, whatever its query string says."""
    answer = owner.request(method, "/graphql", params={"query": query, "variables": "{}", "operationName": ""})

    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert "owner@example.org" not in answer.text


@pytest.mark.attack("A30")
@pytest.mark.parametrize(
    "body",
    [
        {"query": QUERY, "query_id": "x"},
        {"id": "persisted"},
        {"query": None},
        {"query": 1},
        {"query": QUERY, "variables": "{}"},
        {"query": QUERY, "variables": [1]},
        {"query": QUERY, "operationName": 1},
        {"query": QUERY, "__proto__": {"operator": True}},
        {"Query": QUERY},
    ],
    ids=str,
)
def test_only_what_clients_send(owner: httpx.Client, body: dict[str, Any]) -> None:
    """A body that is no operation is 422 with the field."""
    answer = owner.post("/graphql", json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["extensions"]["details"]["errors"][0]["field"]


@pytest.mark.attack("A30")
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "http://localhost:1", None]
)
def test_a_cookie_from_elsewhere(fortress: Fortress, origin: str | None) -> None:
    """The dashboard's cookie runs nothing that another page sends."""
    with fortress.client(None) as browser:
        value = fortress.cookie()
        headers = {"Cookie": value} | ({"Origin": origin} if origin else {})
        foreign = browser.post("/graphql", json={"query": QUERY}, headers=headers)
        ours = browser.post("/graphql", json={"query": QUERY}, headers={"Cookie": value, "Origin": fortress.url})

    assert foreign.status_code == 403
    assert "owner@example.org" not in foreign.text
    assert ours.json() == {"data": {"currentUser": {"email": "owner@example.org"}}}
