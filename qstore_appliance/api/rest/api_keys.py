"""API keys: credentials for machines, shown once."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import created, listing, nothing
from qstore_appliance.api.inputs import body, page
from qstore_appliance.api.registry import Routes
from qstore_appliance.domain.accounts import ApiKey, ApiKeyDraft

routes = Routes("api-keys")


class KeyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`key` is there once, in the answer that creates it; afterwards only its `prefix` is known."""

    id: str
    key: str | None
    prefix: str
    name: str
    scopes: list[str]
    environment: str
    rate_limit: int
    user_id: str
    created_at: datetime
    expires_at: datetime | None
    last_used: datetime | None


def shown(key: ApiKey) -> KeyAnswer:
    return KeyAnswer(
        id=key.id,
        key=key.key,
        prefix=key.prefix,
        name=key.name,
        scopes=key.scopes,
        environment=key.environment,
        rate_limit=key.rate_limit,
        user_id=key.user_id,
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used=key.last_used,
    )


@routes.get("/v1/api-keys", "api-keys:own", answer=KeyAnswer, paged=True)
async def listed(request: Request) -> HTTPResponse:
    """Your API keys; an administrator sees everybody's."""
    keys = await request.app.ctx.appliance.accounts.list_keys(
        request.ctx.caller, page(request, ("created_at", "name", "last_used", "expires_at"))
    )
    return listing(request, keys, [shown(key) for key in keys.items])


@routes.post("/v1/api-keys", "api-keys:own", body=ApiKeyDraft, answer=KeyAnswer, status=201, secret=True)
async def create(request: Request) -> HTTPResponse:
    """Make an API key. Its scopes can be no wider than yours. The key itself is never shown again."""
    key = await request.app.ctx.appliance.accounts.create_key(request.ctx.caller, body(request, ApiKeyDraft))
    return created(request, shown(key))


@routes.delete("/v1/api-keys/{id}", "api-keys:own", status=204)
async def revoke(request: Request, id: str) -> HTTPResponse:
    """Revoke a key, at once."""
    await request.app.ctx.appliance.accounts.revoke_key(request.ctx.caller, id)
    return nothing()
