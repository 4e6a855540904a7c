"""`/openapi.json` says what the routes do: OpenAPI 3.1, every reference there, every route, status, code and example."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate

from qstore_appliance import errors
from qstore_appliance.api.app import endpoints
from qstore_appliance.api.faults import STATUSES
from qstore_appliance.api.registry import PUBLIC, Endpoint
from qstore_appliance.api.rest.openapi import document
from qstore_appliance.api.rest.refusals import PARTICULAR, refusals, route, statuses
from tests.api.conftest import Client

DOCUMENT = document(endpoints(), "http://127.0.0.1:8000")
#: What no request over HTTP is answered with: ends of jobs, the command line, and another method than any that is declared.
ELSEWHERE = {"CANCELLED", "CONFIGURATION", "DATA_DIRECTORY_IN_USE", "DIVERGED", "METHOD_NOT_ALLOWED"}


def references(document: Any) -> set[str]:
    if isinstance(document, dict):
        own = {document["$ref"]} if isinstance(document.get("$ref"), str) else set()
        return own.union(*(references(value) for value in document.values()))
    if isinstance(document, list):
        return set().union(*(references(value) for value in document))
    return set()


def operation(endpoint: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][endpoint.path][endpoint.method.lower()]
    return found


def followed(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    _, _, kind, name = schema["$ref"].split("/")
    found: dict[str, Any] = DOCUMENT["components"][kind][name]
    return found


async def test_the_document_describes_every_route(client: Client) -> None:
    """Each declared route is there with its parameters, its body and its status; nothing else is."""
    document = (await client(None).get("/openapi.json")).json()

    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert document["openapi"].startswith("3.1")
    assert described == {(endpoint.method, endpoint.path) for endpoint in endpoints()}
    for endpoint in endpoints():
        operation = document["paths"][endpoint.path][endpoint.method.lower()]
        assert str(endpoint.status) in operation["responses"]
        assert operation["summary"]
        assert bool(operation["security"]) is (endpoint.permission != PUBLIC)
        inside = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        assert inside == set(re.findall(r"{(\w+)}", endpoint.path))
        assert ("requestBody" in operation) is bool(endpoint.body or endpoint.form)


def test_the_document_is_openapi() -> None:
    """By the official schema of 3.1 and the rules beside it."""
    validate(DOCUMENT)


def test_every_reference_leads_somewhere() -> None:
    """Nothing points to what is missing, and operation ids are unique."""
    for ref in references(DOCUMENT):
        _, section, kind, name = ref.split("/")
        assert name in DOCUMENT[section][kind], ref
    ids = [operation["operationId"] for methods in DOCUMENT["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))


def test_schemas_keep_their_limits() -> None:
    """What validation refuses, the schema refuses: unknown fields, ranges, required fields."""
    schemas = DOCUMENT["components"]["schemas"]

    assert schemas["CircuitDraft"]["additionalProperties"] is False
    assert set(schemas["CircuitDraft"]["required"]) == {"name", "n_qubits", "gates"}
    assert schemas["ConfigDraft"]["properties"]["epochs"]["minimum"] == 1
    assert set(schemas["JobAnswer"]["required"]) >= {"id", "status", "progress"}


def test_every_refusal_of_a_route_is_there() -> None:
    """Each status that a route may answer is in its operation, with an example for each of its codes."""
    for endpoint in endpoints():
        for status, codes in refusals(endpoint).items():
            if str(status) == "503" and endpoint.path == "/ready":
                continue
            answer = followed(operation(endpoint)["responses"][str(status)])
            examples = answer["content"]["application/json"]["examples"]
            assert sorted(examples) == sorted(codes), route(endpoint)
            assert all(f"`{code}`" in answer["description"] for code in codes)


def test_every_code_is_answered_somewhere() -> None:
    """A code that an answer can have is documented at a route that can have it; particular ones belong to routes that exist."""
    told = {code for endpoint in endpoints() for codes in refusals(endpoint).values() for code in codes}

    assert told | ELSEWHERE == set(errors.family())
    assert not told & ELSEWHERE
    assert set(PARTICULAR) <= {route(endpoint) for endpoint in endpoints()}


@pytest.mark.parametrize("endpoint", endpoints(), ids=route)
def test_examples_are_true(endpoint: Endpoint) -> None:
    """Every example of a body passes its draft, and every example of an answer is of the type that the route answers."""
    content = operation(endpoint).get("requestBody", {}).get("content", {}).get("application/json", {})
    for draft in endpoint.body:
        draft.model_validate(content["examples"][draft.__name__]["value"])
    if endpoint.answer is None:
        return
    for media, answer in operation(endpoint)["responses"][str(endpoint.status)]["content"].items():
        if not media.endswith("json"):
            continue
        shown = answer["example"] if endpoint.bare else answer["example"]["data"]
        msgspec.convert(shown, list[endpoint.answer] if endpoint.paged else endpoint.answer)  # type: ignore[name-defined]
        assert endpoint.answer in (dict[str, Any], list[Any]) or shown not in ({}, [])


def test_statuses_are_those_of_the_codes() -> None:
    """A code has one status everywhere, but where another protocol has habits of its own."""
    for endpoint in endpoints():
        if endpoint.tag not in ("ionq", "graphql"):
            assert all(statuses(endpoint, code) == [STATUSES[code]] for code in STATUSES)
