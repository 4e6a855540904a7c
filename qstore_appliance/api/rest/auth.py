"""Signing in and out."""

from __future__ import annotations

from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import nothing, success
from qstore_appliance.api.identity import address, clear_cookie
from qstore_appliance.api.inputs import body, document, validated
from qstore_appliance.api.registry import PUBLIC, SIGNED_IN, Routes
from qstore_appliance.domain.accounts import Tokens
from qstore_appliance.domain.organizations import SwitchDraft
from qstore_appliance.domain.sessions import PasswordGrant, RefreshGrant

routes = Routes("auth")


#: Bytes of a sign-in: anybody may send one.
GRANT = 20_000


@routes.post("/v1/auth/token", PUBLIC, body=(PasswordGrant, RefreshGrant), answer=Tokens, body_bytes=GRANT)
async def token(request: Request) -> HTTPResponse:
    """Exchange a password (and a code, where there is a second factor), or a refresh token, for an access token."""
    sessions = request.app.ctx.appliance.sessions
    origin = _origin(request)
    wish = document(request)
    if isinstance(wish, dict) and wish.get("grant_type") == "refresh_token":
        refresh = validated(RefreshGrant, wish)
        return success(request, await sessions.refresh(refresh.refresh_token, **origin))
    password = validated(PasswordGrant, wish)
    return success(request, await sessions.sign_in(password.email, password.password, code=password.code, **origin))


@routes.post("/v1/auth/switch", SIGNED_IN, body=SwitchDraft, answer=Tokens, body_bytes=GRANT, kept=False)
async def switch(request: Request) -> HTTPResponse:
    """Go to another of your organizations: new tokens, and the session that asks ends."""
    draft = body(request, SwitchDraft)
    organizations = request.app.ctx.appliance.organizations
    return success(request, await organizations.switch(request.ctx.caller, draft.organization_id, **_origin(request)))


@routes.post("/v1/auth/logout", SIGNED_IN, status=204)
async def logout(request: Request) -> HTTPResponse:
    """End the session behind this access token or cookie, its refresh tokens included."""
    await request.app.ctx.appliance.sessions.sign_out(request.ctx.caller)
    response = nothing()
    clear_cookie(response, request.app.ctx.settings)
    return response


def _origin(request: Request) -> dict[str, str]:
    """Where a session begins."""
    return {"address": address(request), "agent": request.headers.get("user-agent", "")[:200]}
