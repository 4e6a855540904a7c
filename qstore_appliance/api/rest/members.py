"""The people of the caller's organization (specification, Organization & User Management)."""

from __future__ import annotations

from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import listing, nothing, success
from qstore_appliance.api.inputs import body, one, page
from qstore_appliance.api.registry import LONGEST_ID, SIGNED_IN, Query, Routes
from qstore_appliance.domain.members import Member, MemberPatch, TransferDraft
from qstore_appliance.services.members import SORTS

routes = Routes("users")

ROLE = Query(name="role", description="Only who has this role.", schema={"type": "string", "maxLength": LONGEST_ID})


@routes.get("/v1/users", "users:read", answer=Member, paged=True, query=(ROLE,))
async def listed(request: Request) -> HTTPResponse:
    """The people of your organization, those who are kept out included."""
    role = one(request, "role", LONGEST_ID)
    members = await request.app.ctx.appliance.members.listed(
        request.ctx.caller, page(request, SORTS, "created_at"), role
    )
    return listing(request, members, members.items)


@routes.get("/v1/users/{id}", "users:read", answer=Member)
async def get(request: Request, id: str) -> HTTPResponse:
    """One of the people of your organization."""
    return success(request, await request.app.ctx.appliance.members.get(request.ctx.caller, id))


@routes.patch("/v1/users/{id}", "users:write", body=MemberPatch, answer=Member)
async def change(request: Request, id: str) -> HTTPResponse:
    """Give somebody another role, keep them out (`disabled`), or let them in again. It counts at once."""
    patch = body(request, MemberPatch)
    return success(request, await request.app.ctx.appliance.members.change(request.ctx.caller, id, patch))


@routes.delete("/v1/users/{id}", SIGNED_IN, status=204)
async def remove(request: Request, id: str) -> HTTPResponse:
    """Remove somebody from your organization (needs `users:delete`), or leave it yourself. What they made stays."""
    await request.app.ctx.appliance.members.remove(request.ctx.caller, id)
    return nothing()


@routes.post("/v1/organization/transfer", "organization:transfer", body=TransferDraft, answer=Member)
async def transfer(request: Request) -> HTTPResponse:
    """Make another member the owner of your organization. You are an administrator afterwards."""
    draft = body(request, TransferDraft)
    return success(request, await request.app.ctx.appliance.members.transfer(request.ctx.caller, draft.user_id))
