"""`/openapi.json`: OpenAPI 3.1 from the routes' own declarations, written by this module alone."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from importlib import metadata
from typing import Any

import msgspec
from pydantic.json_schema import models_json_schema
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance import errors
from qstore_appliance.api.envelope import bare, failure
from qstore_appliance.api.faults import STATUSES
from qstore_appliance.api.registry import PUBLIC, SIGNED_IN, Endpoint, Routes
from qstore_appliance.api.rest.examples import Examples
from qstore_appliance.api.rest.refusals import refusals

routes = Routes("openapi")

REF = "#/components/schemas/{name}"

ENVELOPE_META: dict[str, Any] = {
    "type": "object",
    "required": ["timestamp", "request_id", "version"],
    "properties": {
        "timestamp": {"type": "string", "format": "date-time"},
        "request_id": {"type": "string"},
        "version": {"const": "v1"},
        "total": {"type": "integer", "description": "Lists: rows that the filters match."},
        "limit": {"type": "integer"},
        "offset": {"type": "integer"},
    },
}
ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["success", "data", "meta", "error"],
    "properties": {
        "success": {"const": False},
        "data": {"type": "null"},
        "meta": {"$ref": REF.format(name="Meta")},
        "error": {
            "type": "object",
            "required": ["code", "message", "details"],
            "properties": {
                "code": {"type": "string", "enum": sorted(STATUSES)},
                "message": {"type": "string"},
                "details": {"type": "object"},
            },
        },
    },
}
#: Where clients expect IonQ's own shape.
IONQ_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["statusCode", "error", "message"],
    "properties": {
        "statusCode": {"type": "integer"},
        "error": {"type": "string", "enum": sorted(STATUSES)},
        "message": {"type": "string"},
        "details": {"type": "object"},
        "validation": {"type": "object"},
    },
}
#: Where clients expect GraphQL's.
GRAPHQL_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["errors"],
    "properties": {
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["message", "extensions"],
                "properties": {
                    "message": {"type": "string"},
                    "path": {"type": "array"},
                    "locations": {"type": "array"},
                    "extensions": {
                        "type": "object",
                        "required": ["code", "details"],
                        "properties": {
                            "code": {"type": "string", "enum": sorted(STATUSES)},
                            "details": {"type": "object"},
                        },
                    },
                },
            },
        }
    },
}
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An access token, or an API key."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-qstore",
        "description": "The dashboard's session; changes count from this server's own pages only.",
    },
}
HEADERS: dict[str, Any] = {
    "X-Request-ID": {"description": "The id of the request, as in the log.", "schema": {"type": "string"}},
    "X-RateLimit-Limit": {"description": "The size of the caller's bucket.", "schema": {"type": "integer"}},
    "X-RateLimit-Remaining": {"description": "Requests that are left in it.", "schema": {"type": "integer"}},
    "X-RateLimit-Reset": {"description": "Seconds until it is full again.", "schema": {"type": "integer"}},
    "Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "How to sign in.", "schema": {"type": "string"}},
}
_GENERAL = [name for name in HEADERS if name.startswith("X-")]
_ONLY = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
#: Details of the codes that have some.
DETAILS: dict[str, dict[str, Any]] = {
    "BUDGET_EXCEEDED": {"limit": 5000.0, "spent": 4990.0, "reserved": 0.0, "needed": 50.0},
    "FORBIDDEN": {"permission": "jobs:submit"},
    "INVALID_CIRCUIT": {"gate": "CUSTOM_GATE", "index": 3},
    "NOT_FOUND": {"id": "circuit_01k9xw2f7qe8mbz3v5n4c6t0rd"},
    "RATE_LIMITED": {"limit": 1000},
    "TOO_LARGE": {"limit": 1000000},
    "VALIDATION_ERROR": {"errors": [{"field": "gates[3].targets", "message": "must not be empty"}]},
}
DESCRIPTION = """
Store circuits, train quantum models, deploy them and ask them.

Answers come in an envelope, `{"success", "data", "meta", "error"}`; `error.code` is stable and `error.message` is for
people. A method that an address does not take is 405 `METHOD_NOT_ALLOWED`. What comes while it happens is told over
WebSockets, which this document cannot describe: `/v1/ws`, and `graphql-transport-ws` on `/graphql`.
"""
KNOWN, EXPECTED = (
    {
        "name": name,
        "in": "header",
        "required": False,
        "description": text,
        "schema": {"type": "string", "maxLength": 8_000},
    }
    for name, text in (
        ("If-None-Match", "Entity tags, or *: 304 where the present one is among them."),
        ("If-Match", "Entity tags, or *: 412 PRECONDITION_FAILED where the present one is not among them."),
    )
)
IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "At most 128 visible characters. The same request with the same key is done once within 24 hours.",
    "schema": {"type": "string", "maxLength": 128},
}


@routes.get("/openapi.json", PUBLIC, answer=dict[str, Any], bare=True)
async def openapi(request: Request) -> HTTPResponse:
    """This document."""
    app = request.app
    if not hasattr(app.ctx, "openapi"):
        app.ctx.openapi = document(app.ctx.endpoints, app.ctx.settings.address)
    return bare(app.ctx.openapi)


def document(endpoints: Sequence[Endpoint], address: str) -> dict[str, Any]:
    """Every endpoint as OpenAPI 3.1: what it takes and answers, every status with its codes, and examples of all."""
    return Writer(endpoints).document(address)


class Writer:
    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = endpoints
        drafts = list(dict.fromkeys(draft for endpoint in endpoints for draft in endpoint.body))
        _, defined = models_json_schema(
            [(draft, "validation") for draft in drafts], ref_template="#/components/schemas/{model}"
        )
        declared = (answer for endpoint in endpoints for answer in (endpoint.answer, endpoint.other))
        answers = list(dict.fromkeys(answer for answer in declared if answer is not None))
        shapes, components = msgspec.json.schema_components(answers, ref_template=REF)
        self._answer_of = dict(zip(answers, shapes, strict=True))
        _mark_times(components, msgspec.inspect.multi_type_info(answers))
        self._schemas: dict[str, Any] = {
            **defined.get("$defs", {}),
            **components,
            "Meta": ENVELOPE_META,
            "Error": ERROR,
            "IonQError": IONQ_ERROR,
            "GraphQLRefusal": GRAPHQL_ERROR,
        }
        self._responses: dict[str, Any] = {}
        self._examples = Examples(self._schemas)

    def document(self, address: str) -> dict[str, Any]:
        paths: dict[str, Any] = {}
        for endpoint in self._endpoints:
            paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = self._operation(endpoint)
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "Q-Store Appliance",
                "version": metadata.version("qstore-appliance"),
                "description": DESCRIPTION.strip(),
            },
            "servers": [{"url": address}],
            "tags": [{"name": tag} for tag in dict.fromkeys(endpoint.tag for endpoint in self._endpoints)],
            "paths": paths,
            "components": {
                "schemas": self._schemas,
                "responses": self._responses,
                "headers": HEADERS,
                "securitySchemes": SECURITY,
            },
        }

    def _operation(self, endpoint: Endpoint) -> dict[str, Any]:
        text = inspect.cleandoc(endpoint.handler.__doc__ or "")
        responses = {str(endpoint.status): self._success(endpoint)}
        if endpoint.path == "/ready":
            responses["503"] = self._success(endpoint) | {"description": "Not ready; `reasons` says why."}
        if endpoint.tagged and endpoint.method == "GET":
            responses["304"] = {"description": "Not changed since."}
        for status, codes in refusals(endpoint).items():
            responses.setdefault(str(status), self._refusal(endpoint, status, codes))
        operation: dict[str, Any] = {
            "operationId": endpoint.name.replace("-", "_"),
            "summary": text.split("\n")[0],
            "tags": [endpoint.tag],
            "security": [] if endpoint.permission == PUBLIC else [{name: []} for name in SECURITY],
            "responses": responses,
        }
        if endpoint.permission not in (PUBLIC, SIGNED_IN):
            operation["description"] = f"Needs the permission `{endpoint.permission}`."
        parameters: list[dict[str, Any]] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "maxLength": endpoint.longest}}
            for name in re.findall(r"{(\w+)}", endpoint.path)
        ]
        parameters += [
            {"name": query.name, "in": "query", "description": query.description, "schema": query.schema}
            for query in endpoint.query
        ]
        if endpoint.method == "POST" and endpoint.permission != PUBLIC:
            parameters.append(IDEMPOTENCY)
        if endpoint.tagged:
            parameters.append(KNOWN if endpoint.method == "GET" else EXPECTED)
        if parameters:
            operation["parameters"] = parameters
        content: dict[str, Any] = {}
        if endpoint.form is not None:
            content["multipart/form-data"] = {"schema": endpoint.form}
        elif endpoint.body:
            refs = [{"$ref": REF.format(name=draft.__name__)} for draft in endpoint.body]
            examples = {draft.__name__: {"value": self._examples.body(draft.__name__)} for draft in endpoint.body}
            content["application/json"] = {
                "schema": refs[0] if len(refs) == 1 else {"oneOf": refs},
                "examples": examples,
            }
        if content:
            operation["requestBody"] = {"required": True, "content": content}
        return operation

    def _success(self, endpoint: Endpoint) -> dict[str, Any]:
        headers = {name: {"$ref": f"#/components/headers/{name}"} for name in _GENERAL}
        if endpoint.answer is None:
            return {"description": "Done; there is nothing to say.", "headers": headers}
        data = self._answer_of[endpoint.answer]
        if endpoint.paged:
            data = {"type": "array", "items": data}
        example = self._examples.answer(endpoint, data)
        if endpoint.other is not None:
            data = {"anyOf": [data, self._answer_of[endpoint.other]]}
        whole = data
        if not endpoint.bare:
            whole = {
                "type": "object",
                "required": ["success", "data", "meta", "error"],
                "properties": {
                    "success": {"const": True},
                    "data": data,
                    "meta": {"$ref": REF.format(name="Meta")},
                    "error": {"type": "null"},
                },
            }
            example = {"success": True, "data": example, "meta": _meta(endpoint), "error": None}
        content: dict[str, Any] = {}
        for media in endpoint.media:
            is_json = media.endswith("json")
            # Of a stream each event is something of its own.
            other = {} if media == "text/event-stream" else {"type": "string"}
            content[media] = {"schema": whole, "example": example} if is_json else {"schema": other}
        return {"description": "Done.", "headers": headers, "content": content}

    def _refusal(self, endpoint: Endpoint, status: int, codes: list[str]) -> dict[str, Any]:
        """Routes share what they have in common: a document that repeats itself seventy times is read by nobody."""
        shape = {"ionq": "IonQError", "graphql": "GraphQLRefusal"}.get(endpoint.tag, "Error")
        if endpoint.failure is failure:
            shape = "Error"
        name = "_or_".join(codes) if shape == "Error" else f"{shape}_{status}_{'_or_'.join(codes)}"
        if name not in self._responses:
            family = errors.family()
            headers = [*_GENERAL, *([_ONLY[status]] if status in _ONLY else [])]
            self._responses[name] = {
                "description": "\n".join(f"- `{code}`: {family[code]().message}" for code in codes),
                "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
                "content": {
                    "application/json": {
                        "schema": {"$ref": REF.format(name=shape)},
                        "examples": {code: {"value": _refused(shape, code, status)} for code in codes},
                    }
                },
            }
        return {"$ref": f"#/components/responses/{name}"}


def _mark_times(components: dict[str, Any], types: Iterable[Any]) -> None:
    """msgspec keeps to itself that a text is a time, unless a type says that it has a zone; all of ours have."""
    seen: set[type] = set()

    def mark(kind: Any) -> bool:
        """Whether it is a time, perhaps among others."""
        match kind:
            case msgspec.inspect.DateTimeType():
                return True
            case msgspec.inspect.UnionType():
                marked = [mark(one) for one in kind.types]
                return any(marked)
            case msgspec.inspect.StructType() if kind.cls not in seen:
                seen.add(kind.cls)
                shapes = components[kind.cls.__name__]["properties"]
                for field in kind.fields:
                    if mark(field.type):
                        shape = shapes[field.encode_name]
                        texts = [one for one in shape.get("anyOf", [shape]) if one.get("type") == "string"]
                        texts[0]["format"] = "date-time"
            case msgspec.inspect.ListType():
                mark(kind.item_type)
            case msgspec.inspect.DictType():
                mark(kind.value_type)
        return False

    for kind in types:
        mark(kind)


def _meta(endpoint: Endpoint) -> dict[str, Any]:
    meta = {"timestamp": "2026-03-14T09:26:53Z", "request_id": "req_01k9xw2f7qe8mbz3v5n4c6t0rd", "version": "v1"}
    return meta | {"total": 1, "limit": 20, "offset": 0} if endpoint.paged else meta


def _refused(shape: str, code: str, status: int) -> dict[str, Any]:
    message, details = errors.family()[code]().message, DETAILS.get(code, {})
    if shape == "IonQError":
        return {"statusCode": status, "error": code, "message": message}
    if shape == "GraphQLRefusal":
        return {"errors": [{"message": message, "extensions": {"code": code, "details": details}}]}
    meta = {"timestamp": "2026-03-14T09:26:53Z", "request_id": "req_01k9xw2f7qe8mbz3v5n4c6t0rd", "version": "v1"}
    error = {"code": code, "message": message, "details": details}
    return {"success": False, "data": None, "meta": meta, "error": error}
