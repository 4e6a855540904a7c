"""Invitations: links that make somebody a member, once."""

from __future__ import annotations

from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api import identity
from qstore_appliance.api.envelope import created, listing, nothing, success
from qstore_appliance.api.inputs import body, choice, page
from qstore_appliance.api.registry import PUBLIC, SIGNED_IN, Query, Routes
from qstore_appliance.domain.invitations import (
    AcceptDraft,
    Accepted,
    Invitation,
    InvitationDraft,
    InvitationStatus,
    LinkDraft,
    Offer,
)
from qstore_appliance.services.invitations import SORTS

routes = Routes("invitations")

#: Bytes of a form that anybody may send.
FORM = 20_000
_STATUSES = tuple(status.value for status in InvitationStatus)
STATUS = Query(
    name="status", description="Only invitations in this state.", schema={"type": "string", "enum": list(_STATUSES)}
)


@routes.post("/v1/invitations", "users:invite", body=InvitationDraft, answer=Invitation, status=201, secret=True)
async def create(request: Request) -> HTTPResponse:
    """Invite somebody; `link` is shown this once, and mailed where there is a mail server."""
    draft = body(request, InvitationDraft)
    return created(request, await request.app.ctx.appliance.invitations.create(request.ctx.caller, draft))


@routes.get("/v1/invitations", "users:read", answer=Invitation, paged=True, query=(STATUS,))
async def listed(request: Request) -> HTTPResponse:
    """Whom your organization has invited."""
    status = choice(request, "status", _STATUSES)
    invitations = await request.app.ctx.appliance.invitations.listed(
        request.ctx.caller, page(request, SORTS), InvitationStatus(status) if status else None
    )
    return listing(request, invitations)


@routes.delete("/v1/invitations/{id}", "users:invite", status=204)
async def revoke(request: Request, id: str) -> HTTPResponse:
    """Take an invitation back that nobody has accepted."""
    await request.app.ctx.appliance.invitations.revoke(request.ctx.caller, id)
    return nothing()


@routes.post("/v1/invitations/offer", PUBLIC, body=LinkDraft, answer=Offer, body_bytes=FORM)
async def offer(request: Request) -> HTTPResponse:
    """What an invitation offers, to whoever has its link."""
    return success(request, await request.app.ctx.appliance.invitations.offer(body(request, LinkDraft).token))


@routes.post(
    "/v1/invitations/accept", PUBLIC, body=AcceptDraft, answer=Accepted, status=201, body_bytes=FORM, kept=False
)
async def accept(request: Request) -> HTTPResponse:
    """Accept an invitation: with a password for a new account, or that of the account that the address has already."""
    draft = body(request, AcceptDraft)
    accepted = await request.app.ctx.appliance.invitations.accept(draft, address=identity.address(request))
    return created(request, accepted)


@routes.post("/v1/invitations/join", SIGNED_IN, body=LinkDraft, answer=Accepted, status=201)
async def join(request: Request) -> HTTPResponse:
    """Accept an invitation that is for whoever is signed in."""
    token = body(request, LinkDraft).token
    return created(request, await request.app.ctx.appliance.invitations.join(request.ctx.caller, token))
