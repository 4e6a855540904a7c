"""`POST /v1/circuits/{id}/optimize` and `POST /v1/circuits/compare`."""

from __future__ import annotations

from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import success
from qstore_appliance.api.inputs import body
from qstore_appliance.api.registry import Routes
from qstore_appliance.domain.optimisations import Compared, ComparisonDraft, OptimisationDraft, Optimised

routes = Routes("circuits")


@routes.post("/v1/circuits/{id}/optimize", "circuits:write", body=OptimisationDraft, answer=Optimised)
async def optimise(request: Request, id: str) -> HTTPResponse:
    """Store a smaller circuit that does the same, with a certificate that it does."""
    draft = body(request, OptimisationDraft)
    return success(request, await request.app.ctx.appliance.optimisations.optimise(request.ctx.caller, id, draft))


@routes.post("/v1/circuits/compare", "circuits:read", body=ComparisonDraft, answer=Compared)
async def compare(request: Request) -> HTTPResponse:
    """Whether two circuits do the same up to a phase, or a state that tells them apart; and what they differ in."""
    draft = body(request, ComparisonDraft)
    return success(request, await request.app.ctx.appliance.optimisations.compare(request.ctx.caller, draft))
