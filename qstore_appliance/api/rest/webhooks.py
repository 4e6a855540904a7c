"""What an organization's webhooks are signed with."""

from __future__ import annotations

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import success
from qstore_appliance.api.registry import Routes

routes = Routes("webhooks")


class SecretAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The key of the HMAC is this text, prefix included."""

    secret: str


@routes.get("/v1/webhooks/secret", "settings:write", answer=SecretAnswer)
async def get(request: Request) -> HTTPResponse:
    """What your organization's webhooks are signed with; made when it is first asked for."""
    return success(request, SecretAnswer(secret=await request.app.ctx.appliance.webhooks.secret(request.ctx.caller)))


@routes.post("/v1/webhooks/secret", "settings:write", answer=SecretAnswer, secret=True)
async def renew(request: Request) -> HTTPResponse:
    """Replace that secret. Everything that is sent from now on is signed with the new one."""
    return success(request, SecretAnswer(secret=await request.app.ctx.appliance.webhooks.renew(request.ctx.caller)))
