"""Passwords: a new one for who knows the present one, and for who has a link that was mailed."""

from __future__ import annotations

from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api import identity
from qstore_appliance.api.envelope import nothing
from qstore_appliance.api.inputs import body
from qstore_appliance.api.registry import PUBLIC, SIGNED_IN, Routes
from qstore_appliance.domain.passwords import PasswordChange, Reset, ResetWish

routes = Routes("passwords")

#: Bytes of a form that anybody may send.
FORM = 20_000


@routes.post("/v1/users/me/password", SIGNED_IN, body=PasswordChange, status=204, body_bytes=FORM, kept=False)
async def change(request: Request) -> HTTPResponse:
    """Change your password. Your other sessions end."""
    draft = body(request, PasswordChange)
    await request.app.ctx.appliance.password_changes.change(
        request.ctx.caller, draft.current_password, draft.password, identity.address(request)
    )
    return nothing()


@routes.post("/v1/auth/password-reset", PUBLIC, body=ResetWish, status=204, body_bytes=FORM)
async def ask(request: Request) -> HTTPResponse:
    """Have a link mailed that sets a new password. The answer is the same whether there is such a user or not."""
    await request.app.ctx.appliance.password_changes.ask(body(request, ResetWish).email, identity.address(request))
    return nothing()


@routes.post("/v1/auth/password-reset/confirm", PUBLIC, body=Reset, status=204, body_bytes=FORM)
async def reset(request: Request) -> HTTPResponse:
    """Set a new password with the token of a mailed link. Every session of the user ends."""
    draft = body(request, Reset)
    await request.app.ctx.appliance.password_changes.reset(draft.token, draft.password)
    return nothing()
