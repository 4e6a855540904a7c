"""The organization of the caller."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import success
from qstore_appliance.api.inputs import body
from qstore_appliance.api.registry import SIGNED_IN, Routes
from qstore_appliance.domain.accounts import Organization, OrganizationSettings
from qstore_appliance.domain.organizations import OrganizationPatch, OwnOrganization
from qstore_appliance.domain.storage import StorageUse

routes = Routes("organization")


class OrganizationAnswer(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    plan: str
    members: int
    settings: OrganizationSettings
    storage: StorageUse
    created_at: datetime


@routes.get("/v1/organizations", SIGNED_IN, answer=list[OwnOrganization])
async def mine(request: Request) -> HTTPResponse:
    """The organizations that you belong to, and which of them you act in."""
    return success(request, await request.app.ctx.appliance.organizations.mine(request.ctx.caller))


@routes.get("/v1/organization", SIGNED_IN, answer=OrganizationAnswer)
async def get(request: Request) -> HTTPResponse:
    """Your organization, how many members it has, and how much it keeps of what it may."""
    found = await request.app.ctx.appliance.accounts.organization(request.ctx.caller)
    return success(request, await answered(request, found))


@routes.patch("/v1/organization", "organization:write", body=OrganizationPatch, answer=OrganizationAnswer)
async def update(request: Request) -> HTTPResponse:
    """Change its name, which backends it allows, whether hardware may be used, how many jobs run at once, what it keeps."""
    patch = body(request, OrganizationPatch)
    found = await request.app.ctx.appliance.organizations.update(request.ctx.caller, patch)
    return success(request, await answered(request, found))


async def answered(request: Request, organization: Organization) -> OrganizationAnswer:
    return OrganizationAnswer(
        id=organization.id,
        name=organization.name,
        plan=organization.plan,
        members=await request.app.ctx.appliance.accounts.members(request.ctx.caller),
        settings=organization.settings,
        storage=await request.app.ctx.appliance.storage.use(organization.id),
        created_at=organization.created_at,
    )
