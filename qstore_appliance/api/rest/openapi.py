"""`/openapi.json`: OpenAPI 3.1 from the routes' own declarations, written by this module alone."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import msgspec
from pydantic.json_schema import models_json_schema
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import bare, failure
from qstore_appliance.api.faults import STATUSES
from qstore_appliance.api.registry import LONGEST_ID, PUBLIC, SIGNED_IN, Endpoint, Routes

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
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An access token, or an API key."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
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
    """Every endpoint as OpenAPI 3.1."""
    drafts = list(dict.fromkeys(draft for endpoint in endpoints for draft in endpoint.body))
    _, defined = models_json_schema(
        [(draft, "validation") for draft in drafts], ref_template="#/components/schemas/{model}"
    )
    answers = list(dict.fromkeys(endpoint.answer for endpoint in endpoints if endpoint.answer is not None))
    shapes, components = msgspec.json.schema_components(answers, ref_template=REF)
    answer_of = dict(zip(answers, shapes, strict=True))
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, answer_of)
    schemas = {**defined.get("$defs", {}), **components, "Meta": ENVELOPE_META, "Error": ERROR, "IonQError": IONQ_ERROR}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Q-Store Appliance",
            "version": metadata.version("qstore-appliance"),
            "description": "Store circuits, train quantum models, deploy them and ask them.",
        },
        "servers": [{"url": address}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": SECURITY},
    }


def _operation(endpoint: Endpoint, answer_of: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    text = inspect.cleandoc(endpoint.handler.__doc__ or "")
    operation: dict[str, Any] = {
        "operationId": endpoint.name.replace("-", "_"),
        "summary": text.split("\n")[0],
        "tags": [endpoint.tag],
        "security": [] if endpoint.permission == PUBLIC else [{name: []} for name in SECURITY],
        "responses": {str(endpoint.status): _success(endpoint, answer_of), "default": _refusal(endpoint)},
    }
    if endpoint.permission not in (PUBLIC, SIGNED_IN):
        operation["description"] = f"Needs the permission `{endpoint.permission}`."
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "maxLength": LONGEST_ID}}
        for name in re.findall(r"{(\w+)}", endpoint.path)
    ]
    parameters += [
        {"name": query.name, "in": "query", "description": query.description, "schema": query.schema}
        for query in endpoint.query
    ]
    if endpoint.method == "POST" and endpoint.permission != PUBLIC:
        parameters.append(IDEMPOTENCY)
    if parameters:
        operation["parameters"] = parameters
    content: dict[str, Any] = {}
    if endpoint.form is not None:
        content["multipart/form-data"] = {"schema": endpoint.form}
    elif endpoint.body:
        refs = [{"$ref": REF.format(name=draft.__name__)} for draft in endpoint.body]
        content["application/json"] = {"schema": refs[0] if len(refs) == 1 else {"oneOf": refs}}
    if content:
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _success(endpoint: Endpoint, answer_of: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    if endpoint.answer is None:
        return {"description": "Done; there is nothing to say."}
    data = answer_of[endpoint.answer]
    if endpoint.paged:
        data = {"type": "array", "items": data}
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
    content: dict[str, Any] = {"application/json": {"schema": whole}}
    for media in endpoint.media:
        content.setdefault(media, {"schema": {"type": "string"}})
    return {"description": "Done.", "content": content}


def _refusal(endpoint: Endpoint) -> dict[str, Any]:
    ours = endpoint.failure is failure
    return {
        "description": f"Refused; `{'error.code' if ours else 'error'}` says why.",
        "content": {"application/json": {"schema": {"$ref": REF.format(name="Error" if ours else "IonQError")}}},
    }
