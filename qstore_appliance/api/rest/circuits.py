"""Circuits: store, find, change, delete, restore."""

from __future__ import annotations

from datetime import datetime
from typing import Any, get_args

import msgspec
from sanic import Request
from sanic.response import HTTPResponse, text

from qstore_appliance.api.envelope import created, listing, nothing, success
from qstore_appliance.api.inputs import body, choice, page, several
from qstore_appliance.api.preconditions import expected, is_known, tagged, unchanged
from qstore_appliance.api.registry import LARGE_BODY, Query, Routes
from qstore_appliance.domain.circuits import (
    CircuitDraft,
    CircuitImport,
    CircuitPatch,
    CircuitSummary,
    Format,
    StoredCircuit,
)
from qstore_appliance.services.circuits import SORTS

routes = Routes("circuits")

FORMATS = get_args(Format)
FORMAT = Query(
    name="format", description="Another way to write it down.", schema={"type": "string", "enum": list(FORMATS)}
)
DRAWINGS = {"svg": "image/svg+xml", "text": "text/plain"}
THEMES = ("light", "dark")
DRAWING = (
    Query(name="format", description="How it is drawn.", schema={"type": "string", "enum": list(DRAWINGS)}),
    Query(name="theme", description="The colours of an SVG.", schema={"type": "string", "enum": list(THEMES)}),
)
TAGS = Query(name="tags", description="Only circuits with any of these tags, separated by commas.")


class CircuitAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`circuit_definition` is `{"format": "unified", "gates": […]}`."""

    id: str
    user_id: str
    name: str
    description: str | None
    n_qubits: int
    depth: int
    gate_count: int
    parameters: dict[str, Any]
    circuit_definition: dict[str, Any]
    metadata: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime


def shown(circuit: StoredCircuit) -> CircuitAnswer:
    return CircuitAnswer(
        id=circuit.id,
        user_id=circuit.user_id,
        name=circuit.name,
        description=circuit.description,
        n_qubits=circuit.n_qubits,
        depth=circuit.depth,
        gate_count=circuit.gate_count,
        parameters=circuit.parameters,
        circuit_definition=circuit.circuit_definition,
        metadata=circuit.metadata,
        version=circuit.version,
        created_at=circuit.created_at,
        updated_at=circuit.updated_at,
    )


@routes.post(
    "/v1/circuits", "circuits:write", body=CircuitDraft, answer=CircuitAnswer, status=201, body_bytes=LARGE_BODY
)
async def create(request: Request) -> HTTPResponse:
    """Store a circuit, given as gates."""
    circuit = await request.app.ctx.appliance.circuits.create(request.ctx.caller, body(request, CircuitDraft))
    return tagged(created(request, shown(circuit), f"/v1/circuits/{circuit.id}"), circuit.entity_tag)


@routes.get("/v1/circuits", "circuits:read", answer=CircuitSummary, paged=True, query=(TAGS,))
async def listed(request: Request) -> HTTPResponse:
    """The organization's circuits, without their gates."""
    wanted = page(request, SORTS)
    circuits = request.app.ctx.appliance.circuits
    return listing(request, await circuits.listed(request.ctx.caller, wanted, several(request, "tags")))


@routes.post(
    "/v1/circuits/import", "circuits:write", body=CircuitImport, answer=CircuitAnswer, status=201, body_bytes=LARGE_BODY
)
async def import_from(request: Request) -> HTTPResponse:
    """Store a circuit that is written in OpenQASM 2 or 3, IonQ's JSON, or the version 4 library's."""
    draft = body(request, CircuitImport)
    circuit = await request.app.ctx.appliance.circuits.import_from(request.ctx.caller, draft)
    return created(request, shown(circuit), f"/v1/circuits/{circuit.id}")


@routes.get(
    "/v1/circuits/{id}",
    "circuits:read",
    answer=CircuitAnswer,
    other=dict[str, Any],
    query=(FORMAT,),
    media=("application/json", "text/plain"),
    tagged=True,
)
async def get(request: Request, id: str) -> HTTPResponse:
    """One circuit with its gates and its `ETag`; with `format` as that format has it, OpenQASM as plain text."""
    circuits, caller, format = (
        request.app.ctx.appliance.circuits,
        request.ctx.caller,
        choice(request, "format", FORMATS),
    )
    if format is None:
        circuit = await circuits.get(caller, id)
        if is_known(request, circuit.entity_tag):
            return unchanged(circuit.entity_tag)
        return tagged(success(request, shown(circuit)), circuit.entity_tag)
    written = await circuits.written(caller, id, format)
    return text(written) if isinstance(written, str) else success(request, written)


@routes.get(
    "/v1/circuits/{id}/drawing", "circuits:read", answer=str, bare=True, query=DRAWING, media=tuple(DRAWINGS.values())
)
async def drawing(request: Request, id: str) -> HTTPResponse:
    """The circuit as a drawing, wrapped into rows."""
    format, theme = choice(request, "format", tuple(DRAWINGS)) or "svg", choice(request, "theme", THEMES) or "light"
    drawn = await request.app.ctx.appliance.circuits.drawn(request.ctx.caller, id, format, theme)
    # Opened by itself it is a document of this origin: it may do nothing.
    headers = {"Content-Security-Policy": "default-src 'none'; sandbox"}
    return HTTPResponse(drawn, content_type=f"{DRAWINGS[format]}; charset=utf-8", headers=headers)


@routes.patch(
    "/v1/circuits/{id}", "circuits:write", body=CircuitPatch, answer=CircuitAnswer, body_bytes=LARGE_BODY, tagged=True
)
async def update(request: Request, id: str) -> HTTPResponse:
    """Change what is sent and leave the rest; new gates make a new version. With `If-Match`: unless it was changed."""
    circuits, patch = request.app.ctx.appliance.circuits, body(request, CircuitPatch)
    circuit = await circuits.update(request.ctx.caller, id, patch, expected(request))
    return tagged(success(request, shown(circuit)), circuit.entity_tag)


@routes.delete("/v1/circuits/{id}", "circuits:write", status=204, tagged=True)
async def delete(request: Request, id: str) -> HTTPResponse:
    """Delete a circuit. For 24 hours it can be restored. One that a live job or a deployed model uses stays: 409."""
    await request.app.ctx.appliance.circuits.delete(request.ctx.caller, id, expected(request))
    return nothing()


@routes.post("/v1/circuits/{id}/restore", "circuits:write", answer=CircuitAnswer)
async def restore(request: Request, id: str) -> HTTPResponse:
    """Bring back a circuit that was deleted within the last 24 hours."""
    return success(request, shown(await request.app.ctx.appliance.circuits.restore(request.ctx.caller, id)))
