"""`/openapi.json` says what the routes do: OpenAPI 3.1, every reference there, every route in it."""

from __future__ import annotations

import re
from typing import Any

from qstore_appliance.api.app import endpoints
from qstore_appliance.api.registry import PUBLIC
from tests.api.conftest import Client


def references(document: Any) -> set[str]:
    if isinstance(document, dict):
        own = {document["$ref"]} if isinstance(document.get("$ref"), str) else set()
        return own.union(*(references(value) for value in document.values()))
    if isinstance(document, list):
        return set().union(*(references(value) for value in document))
    return set()


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


async def test_every_reference_leads_somewhere(client: Client) -> None:
    """No schema points to one that is missing, and operation ids are unique."""
    document = (await client(None).get("/openapi.json")).json()

    schemas = document["components"]["schemas"]
    assert {ref.removeprefix("#/components/schemas/") for ref in references(document)} <= set(schemas)
    ids = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))


async def test_schemas_keep_their_limits(client: Client) -> None:
    """What validation refuses, the schema refuses: unknown fields, ranges, required fields."""
    schemas = (await client(None).get("/openapi.json")).json()["components"]["schemas"]

    assert schemas["CircuitDraft"]["additionalProperties"] is False
    assert set(schemas["CircuitDraft"]["required"]) == {"name", "n_qubits", "gates"}
    assert schemas["ConfigDraft"]["properties"]["epochs"]["minimum"] == 1
    assert set(schemas["JobAnswer"]["required"]) >= {"id", "status", "progress"}
