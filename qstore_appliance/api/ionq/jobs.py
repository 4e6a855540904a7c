"""
IonQ's API (v0.4) on this server: `cirq_ionq.Service(remote_host="http://127.0.0.1:8000", api_key="qsk_…")`.

Jobs run on local simulators, within the caller's organization; `Authorization: apiKey …` works on these routes only.
"""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import JSON, bare
from qstore_appliance.api.inputs import body, one, whole, yes
from qstore_appliance.api.ionq import shapes
from qstore_appliance.api.registry import Query, Routes
from qstore_appliance.domain.circuit_jobs import MAX_SHOTS, CircuitJobDraft, CircuitJobStatus
from qstore_appliance.errors import NotFound, ValidationFailed
from qstore_appliance.services.circuit_jobs import CircuitJobs

routes = Routes("ionq", failure=shapes.failure)

#: As IonQ has it.
BODY = 10_000_000
MOST_LISTED = 1_000
#: Words for a state that other versions of the API use.
_STATES = {"submitted": CircuitJobStatus.READY, "started": CircuitJobStatus.RUNNING}

BACKEND = Query(name="backend", description="`simulator`, or a quantum computer such as `qpu.forte-1`.")
COUNTS = tuple(
    Query(name=name, description=text, schema={"type": "integer", "minimum": low})
    for name, text, low in (
        ("qubits", "Qubits of the circuit.", 1),
        ("shots", "Measurements.", 1),
        ("1q_gates", "Gates on one qubit.", 0),
        ("2q_gates", "Gates on two qubits.", 0),
    )
)
LISTING = (
    Query(name="status", description="Only jobs in this state."),
    Query(name="limit", description="Rows in the answer.", schema={"type": "integer", "minimum": 1}),
    Query(name="next", description="The token of the next page."),
)


def _jobs(request: Request) -> CircuitJobs:
    jobs: CircuitJobs = request.app.ctx.appliance.circuit_jobs
    return jobs


@routes.post(
    "/v0.4/jobs",
    "jobs:submit",
    body=CircuitJobDraft,
    answer=dict[str, Any],
    status=201,
    bare=True,
    body_bytes=BODY,
)
async def create(request: Request) -> HTTPResponse:
    """Run a circuit, or a batch of them, as IonQ's API takes them."""
    made = await _jobs(request).submit(request.ctx.caller, body(request, CircuitJobDraft))
    return bare({"id": made.id, "status": made.status, "session_id": None}, 201)


@routes.get("/v0.4/jobs", "jobs:read", answer=dict[str, Any], bare=True, query=LISTING)
async def listed(request: Request) -> HTTPResponse:
    """The organization's circuit jobs, the newest first, a page at a time."""
    state = one(request, "status")
    status = None
    if state is not None:
        status = _STATES.get(state) or next((known for known in CircuitJobStatus if known == state), None)
        if status is None:
            raise ValidationFailed.field("status", f"must be one of {', '.join(CircuitJobStatus)}")
    limit = whole(request, "limit", _limit_in_body(request), 1, MOST_LISTED)
    found, more = await _jobs(request).listed(
        request.ctx.caller, status=status, limit=limit, after=one(request, "next", 40)
    )
    # cirq-ionq takes a `next` of null for one more page.
    return bare({"jobs": [shapes.job(job) for job in found], **({"next": more} if more else {})})


def _limit_in_body(request: Request) -> int:
    """cirq-ionq sends the size of a page in the body of its GET."""
    with contextlib.suppress(msgspec.MsgspecError):
        asked = msgspec.json.decode(request.body, type=dict[str, int]).get("limit", 25)
        return max(1, min(asked, MOST_LISTED))
    return 25


@routes.get("/v0.4/jobs/estimate", "jobs:submit", answer=dict[str, Any], bare=True, query=(BACKEND, *COUNTS))
async def estimate(request: Request) -> HTTPResponse:
    """What a circuit job would cost."""
    target = one(request, "backend", 50)
    if target is None:
        raise ValidationFailed.field("backend", "is required")
    shots = whole(request, "shots", 1_000, 1, MAX_SHOTS)
    asked = {
        "backend": target,
        "type": one(request, "type", 50) or "ionq.circuit.v1",
        "qubits": whole(request, "qubits", 25, 1, 1_000),
        "shots": shots,
        "1q_gates": whole(request, "1q_gates", 0, 0, 10**9),
        "2q_gates": whole(request, "2q_gates", 0, 0, 10**9),
        "error_mitigation": yes(request, "error_mitigation"),
    }
    amount = await _jobs(request).estimate(request.ctx.caller, target, 1, shots)
    return bare(shapes.estimate(asked, amount))


@routes.get("/v0.4/jobs/{uuid}", "jobs:read", answer=dict[str, Any], bare=True)
async def get(request: Request, uuid: str) -> HTTPResponse:
    """One circuit job: its state, its sizes, where its results are."""
    return bare(shapes.job(await _jobs(request).get(request.ctx.caller, uuid)))


@routes.delete("/v0.4/jobs/{uuid}", "jobs:cancel", answer=dict[str, Any], bare=True)
async def delete(request: Request, uuid: str) -> HTTPResponse:
    """Forget a circuit job and its results."""
    return bare({"id": await _jobs(request).delete(request.ctx.caller, uuid), "status": "deleted"})


@routes.get("/v0.4/jobs/{uuid}/cost", "jobs:read", answer=dict[str, Any], bare=True)
async def cost(request: Request, uuid: str) -> HTTPResponse:
    """What a circuit job was estimated to cost, and what it cost."""
    return bare(shapes.cost(await _jobs(request).get(request.ctx.caller, uuid)))


@routes.put("/v0.4/jobs/{uuid}/status/cancel", "jobs:cancel", answer=dict[str, Any], bare=True)
async def cancel(request: Request, uuid: str) -> HTTPResponse:
    """Cancel a circuit job; one that is complete loses its results."""
    found = await _jobs(request).cancel(request.ctx.caller, uuid)
    return bare({"id": found.id, "status": found.status})


@routes.get("/v0.4/jobs/{uuid}/results/probabilities", "jobs:read", answer=dict[str, Any], bare=True)
async def probabilities(request: Request, uuid: str) -> HTTPResponse:
    """Probabilities by outcome: a decimal number with qubit 0 in its lowest bit."""
    return HTTPResponse(await _jobs(request).results(request.ctx.caller, uuid), content_type=JSON)


@routes.get("/v0.4/jobs/{uuid}/results/probabilities/aggregated", "jobs:read", answer=dict[str, Any], bare=True)
async def aggregated(request: Request, uuid: str) -> HTTPResponse:
    """The probabilities of each circuit of a batch, by child id, in the order of the circuits."""
    return HTTPResponse(await _jobs(request).results(request.ctx.caller, uuid), content_type=JSON)


@routes.get("/v0.4/backends", "backends:read", answer=list[dict[str, Any]], bare=True)
async def backends(request: Request) -> HTTPResponse:
    """What a circuit job may name as its backend; quantum computers are simulated here, and say so."""
    found = await _jobs(request).targets(request.ctx.caller)
    return bare([shapes.backend(target) for target in found])


@routes.get("/v0.4/backends/{name}", "backends:read", answer=dict[str, Any], bare=True)
async def backend(request: Request, name: str) -> HTTPResponse:
    """One of them."""
    for target in await _jobs(request).targets(request.ctx.caller):
        if target.name == name:
            return bare(shapes.backend(target))
    raise NotFound.of("backend", name)
