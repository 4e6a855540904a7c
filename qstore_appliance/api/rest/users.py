"""The user who asks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import success
from qstore_appliance.api.inputs import body
from qstore_appliance.api.registry import SIGNED_IN, Routes
from qstore_appliance.domain.accounts import ApiKey, ProfilePatch, User
from qstore_appliance.domain.listing import MAX_LIMIT, Page

routes = Routes("users")


class KeyOfUser(msgspec.Struct, frozen=True, kw_only=True):
    """`key` is masked for ever: `qsk_live_***`."""

    id: str
    key: str
    name: str
    scopes: list[str]
    created_at: datetime
    last_used: datetime | None
    rate_limit: int


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    email: str
    name: str
    organization_id: str
    role: str
    operator: bool
    scopes: list[str]
    api_keys: list[KeyOfUser]
    preferences: dict[str, Any]
    created_at: datetime
    updated_at: datetime


def masked(key: ApiKey) -> KeyOfUser:
    return KeyOfUser(
        id=key.id,
        key=f"qsk_{key.environment}_***",
        name=key.name,
        scopes=key.scopes,
        created_at=key.created_at,
        last_used=key.last_used,
        rate_limit=key.rate_limit,
    )


async def profile(request: Request, user: User) -> Profile:
    caller = request.ctx.caller
    keys: list[ApiKey] = []
    if caller.may("api-keys:own"):
        keys = (await request.app.ctx.appliance.accounts.list_keys(caller, Page(limit=MAX_LIMIT))).items
    return Profile(
        id=user.id,
        email=user.email,
        name=user.name,
        organization_id=user.organization_id,
        role=user.role,
        operator=user.operator,
        scopes=sorted(caller.scopes),
        api_keys=[masked(key) for key in keys if key.user_id == user.id],
        preferences=user.preferences,
        created_at=user.created_at,
        updated_at=user.updated_at,
    )


@routes.get("/v1/users/me", SIGNED_IN, answer=Profile)
async def me(request: Request) -> HTTPResponse:
    """Who you are, what you may do here, and your API keys, masked."""
    user = await request.app.ctx.appliance.accounts.me(request.ctx.caller)
    return success(request, await profile(request, user))


@routes.patch("/v1/users/me", SIGNED_IN, body=ProfilePatch, answer=Profile)
async def update_me(request: Request) -> HTTPResponse:
    """Change your name or your preferences, such as `default_backend`."""
    patch = body(request, ProfilePatch)
    user = await request.app.ctx.appliance.accounts.update_me(request.ctx.caller, patch)
    return success(request, await profile(request, user))
