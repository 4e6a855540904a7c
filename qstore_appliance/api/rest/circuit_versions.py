"""`GET /v1/circuits/{id}/versions`, one of them, and what two of them differ in."""

from __future__ import annotations

from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import listing, success
from qstore_appliance.api.inputs import page, whole
from qstore_appliance.api.registry import Query, Routes
from qstore_appliance.domain.circuit_versions import CircuitVersion, VersionDifference, WholeCircuitVersion
from qstore_appliance.errors import NotFound
from qstore_appliance.services.circuit_versions import SORTS

routes = Routes("circuits")

MAX_VERSION = 2**31 - 1
_NUMBER = {"type": "integer", "minimum": 1, "maximum": MAX_VERSION}
PAIR = (
    Query(name="a", description="A version; the first one by default.", schema=_NUMBER),
    Query(name="b", description="Another one; the present one by default.", schema=_NUMBER),
)


@routes.get("/v1/circuits/{id}/versions", "circuits:read", answer=CircuitVersion, paged=True)
async def versions(request: Request, id: str) -> HTTPResponse:
    """A circuit's versions without their gates, the newest first."""
    kept = request.app.ctx.appliance.circuit_versions
    return listing(request, await kept.listed(request.ctx.caller, id, page(request, SORTS, "-version")))


@routes.get("/v1/circuits/{id}/versions/{version}", "circuits:read", answer=WholeCircuitVersion)
async def version(request: Request, id: str, version: str) -> HTTPResponse:
    """What a circuit was in one of its versions."""
    kept, caller = request.app.ctx.appliance.circuit_versions, request.ctx.caller
    return success(request, await kept.get(caller, id, number(version)))


@routes.get("/v1/circuits/{id}/diff", "circuits:read", answer=VersionDifference, query=PAIR)
async def diff(request: Request, id: str) -> HTTPResponse:
    """The gates that only one of two versions has."""
    kept, caller = request.app.ctx.appliance.circuit_versions, request.ctx.caller
    # No version has the number 0, so it stands for what was not sent.
    a, b = whole(request, "a", 1, 1, MAX_VERSION), whole(request, "b", 0, 1, MAX_VERSION)
    return success(request, await kept.difference(caller, id, a, b or None))


def number(version: str) -> int:
    """
    Raises:
        NotFound: It is none.
    """
    if not (version.isascii() and version.isdigit() and len(version) <= 9):
        raise NotFound("This circuit has no such version.", details={"version": version[:64]})
    return int(version)
