"""Roles: the four, and those of the caller's organization."""

from __future__ import annotations

from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import created, nothing, success
from qstore_appliance.api.inputs import body
from qstore_appliance.api.registry import Routes
from qstore_appliance.domain.roles import OrganizationRole, RoleDraft, RolePatch

routes = Routes("roles")


@routes.get("/v1/roles", "users:read", answer=list[OrganizationRole])
async def listed(request: Request) -> HTTPResponse:
    """The roles that somebody of your organization may have: the four, then its own."""
    return success(request, await request.app.ctx.appliance.roles.listed(request.ctx.caller))


@routes.post("/v1/roles", "users:write", body=RoleDraft, answer=OrganizationRole, status=201)
async def create(request: Request) -> HTTPResponse:
    """Make a role out of single permissions, of which you have all."""
    draft = body(request, RoleDraft)
    return created(request, await request.app.ctx.appliance.roles.create(request.ctx.caller, draft))


@routes.get("/v1/roles/{name}", "users:read", answer=OrganizationRole)
async def get(request: Request, name: str) -> HTTPResponse:
    """One role, and how many have it."""
    return success(request, await request.app.ctx.appliance.roles.get(request.ctx.caller, name))


@routes.patch("/v1/roles/{name}", "users:write", body=RolePatch, answer=OrganizationRole)
async def change(request: Request, name: str) -> HTTPResponse:
    """Change what a role of your own may do. It counts at once for everybody who has it."""
    patch = body(request, RolePatch)
    return success(request, await request.app.ctx.appliance.roles.change(request.ctx.caller, name, patch))


@routes.delete("/v1/roles/{name}", "users:delete", status=204)
async def delete(request: Request, name: str) -> HTTPResponse:
    """Delete a role of your own that nobody has or is invited to."""
    await request.app.ctx.appliance.roles.delete(request.ctx.caller, name)
    return nothing()
