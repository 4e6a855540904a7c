"""The organization of the caller."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import success
from qstore_appliance.api.registry import SIGNED_IN, Routes
from qstore_appliance.domain.accounts import OrganizationSettings
from qstore_appliance.domain.organizations import OwnOrganization

routes = Routes("organization")


class OrganizationAnswer(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    plan: str
    members: int
    settings: OrganizationSettings
    created_at: datetime


@routes.get("/v1/organizations", SIGNED_IN, answer=list[OwnOrganization])
async def mine(request: Request) -> HTTPResponse:
    """The organizations that you belong to, and which of them you act in."""
    return success(request, await request.app.ctx.appliance.organizations.mine(request.ctx.caller))


@routes.get("/v1/organization", SIGNED_IN, answer=OrganizationAnswer)
async def get(request: Request) -> HTTPResponse:
    """Your organization, and how many members it has."""
    accounts, caller = request.app.ctx.appliance.accounts, request.ctx.caller
    organization = await accounts.organization(caller)
    answer = OrganizationAnswer(
        id=organization.id,
        name=organization.name,
        plan=organization.plan,
        members=await accounts.members(caller),
        settings=organization.settings,
        created_at=organization.created_at,
    )
    return success(request, answer)
