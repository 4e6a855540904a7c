"""
The client says what the server says: its types are those of `/openapi.json`, its error classes have all codes, and every
route can be asked with all that it takes.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import inspect
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from qstore_client import QStoreClient, SyncQStoreClient, errors

from qstore_appliance.api.app import endpoints
from qstore_appliance.api.rest.openapi import document
from tests.clients.python.conftest import ROOT

DOCUMENT = document(endpoints(), "http://127.0.0.1:8000")
CLIENT = ROOT / "clients" / "python"
#: For clients that have HTTP and nothing else; this one has the WebSocket.
OTHERWISE = {"GET /v1/events"}
#: What the client puts into a body or an address by itself.
BY_ITSELF = {"grant_type", "follow", "format"}


class Asked(Exception):
    """Something was asked; nothing is sent."""


def generator() -> Any:
    loader = importlib.machinery.SourceFileLoader("qstore_client_generator", str(CLIENT / "generate"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_generated_files_are_what_their_sources_say() -> None:
    """`types.py` is written from the server's description and `sync/` from `aio/`: run clients/python/generate."""
    for path, text in generator().written().items():
        assert path.read_text(encoding="utf-8") == text, path.name
    names = {path.name for path in (CLIENT / "qstore_client" / "aio").glob("*.py")}
    assert names == {path.name for path in (CLIENT / "qstore_client" / "sync").glob("*.py")}


def test_every_code_has_its_class() -> None:
    """A code of the API that is not of the command line alone is a class of its own, and no class has another."""
    codes = set(DOCUMENT["components"]["schemas"]["Error"]["properties"]["error"]["properties"]["code"]["enum"])

    assert codes - set(errors.BY_CODE) == {"CONFIGURATION", "DATA_DIRECTORY_IN_USE", "REFUSED"}
    assert set(errors.BY_CODE) <= codes


def test_the_client_stands_alone() -> None:
    """It imports nothing of the appliance, and no library that only some users have."""
    program = (
        "import sys, qstore_client\n"
        "print({name.partition('.')[0] for name in sys.modules}"
        " & {'qstore_appliance', 'numpy', 'pandas', 'cirq', 'qiskit', 'pennylane'})"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(CLIENT)!r})\n{program}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.strip() == "set()"


def value_for(parameter: inspect.Parameter) -> Any:
    name, shape = parameter.name, str(parameter.annotation)
    if name in ("inputs", "x"):
        return [[1.0], [2.0]]
    if name == "y":
        return [0, 1]
    if name == "file":
        return b"a,b\n1,2\n"
    if "Mapping" in shape or "dict" in shape or ("Draft" in shape and "Sequence" not in shape):
        return {"a": 1}
    if "Sequence" in shape:
        return ["a"]
    if "bool" in shape:
        return True
    if "int" in shape or "float" in shape:
        return 1
    return "qasm3" if name == "format" else "a.csv" if name == "filename" else "a"


async def asked(client: QStoreClient) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
    """Method, address and parts of what each verb of each noun asks, given a value for each of its arguments."""
    told: list[tuple[str, str, dict[str, Any]]] = []

    async def record(method: str, path: str, **more: Any) -> Any:
        told.append((method, path, more))
        raise Asked

    @contextlib.asynccontextmanager
    async def stream(path: str, *, headers: Any, **params: Any) -> AsyncIterator[Any]:
        yield await record("GET", path, params=params)

    client._http._send = record  # type: ignore[method-assign]
    client._http.stream = stream  # type: ignore[method-assign]
    for noun in vars(client).values():
        for verb in vars(type(noun)).values():
            if not callable(verb) or verb.__name__.startswith("_") or type(noun).__module__.endswith("http"):
                continue
            parameters = list(inspect.signature(verb).parameters.values())[1:]
            given = [one for one in parameters if one.name not in ("idempotency_key", "away_seconds", "args", "kwargs")]
            if type(noun).__name__ == "Events" or verb.__name__ in ("create_from", "stream_status", "upload_frame"):
                continue
            words = {one.name: value_for(one) for one in given}
            try:
                answered = verb(noun, **words)
                await (anext(answered) if hasattr(answered, "__anext__") else answered)
            except Asked:
                yield told.pop()


async def test_every_route_has_a_verb_that_says_all_of_it() -> None:
    """For each route there is a method; together they send every query parameter and every field, and no other."""
    queries: dict[str, set[str]] = {}
    bodies: dict[str, set[str]] = {}
    client = QStoreClient("http://127.0.0.1:1", api_key="qsk_test_none")
    async for method, path, more in asked(client):
        route = next(
            f"{method} {template}"
            for template in sorted(DOCUMENT["paths"], key=lambda one: one.count("{"))
            if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) and method.lower() in DOCUMENT["paths"][template]
        )
        queries.setdefault(route, set()).update(more.get("params") or {})
        bodies.setdefault(route, set()).update(more.get("json") or more.get("data") or {})
    await client.aclose()

    described = {
        f"{method.upper()} {path}": operation
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
        if not path.startswith(("/v0.4", "/datasets")) and f"{method.upper()} {path}" not in OTHERWISE
    }
    assert set(queries) == set(described), "a route that the client cannot ask"
    for route, operation in described.items():
        known = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
        assert known - BY_ITSELF - queries[route] == set(), f"{route}: the client cannot say these"
        assert queries[route] - known == set(), f"{route}: the server does not know these"
        fields = body_fields(operation)
        assert fields - BY_ITSELF - {"file", "refresh_token", "operationName", "extensions"} - bodies[route] == set(), (
            route
        )
        assert bodies[route] - fields == set(), route


def body_fields(operation: dict[str, Any]) -> set[str]:
    fields: set[str] = set()
    for media in operation.get("requestBody", {}).get("content", {}).values():
        schema = media["schema"]
        for one in schema.get("oneOf", [schema]):
            if "$ref" in one:
                one = DOCUMENT["components"]["schemas"][one["$ref"].rpartition("/")[2]]
            fields |= set(one["properties"])
    return fields


@pytest.mark.parametrize("kind", [QStoreClient, SyncQStoreClient])
def test_secrets_are_not_shown(kind: type[Any]) -> None:
    """What prints a client prints where it leads, not with what."""
    client = kind("http://127.0.0.1:1/v1/", api_key="qsk_live_secret")

    assert repr(client) == f"{kind.__name__}('http://127.0.0.1:1')"
