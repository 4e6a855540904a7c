"""Set-up, sign-in, sign-out, forgotten passwords. The forms post JSON; the answer carries the session's cookie."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import StringConstraints
from sanic import Request
from sanic.response import HTTPResponse, redirect

from qstore_appliance.api import envelope, identity, inputs
from qstore_appliance.api.pages import shell
from qstore_appliance.domain.accounts import SetupDraft
from qstore_appliance.domain.drafts import Draft
from qstore_appliance.domain.organizations import SwitchDraft
from qstore_appliance.domain.sessions import Code
from qstore_appliance.errors import Unauthenticated

#: Bytes of a filled-in form.
FORM = 20_000
JOBS = "/app/jobs"
_OWN_PAGE = re.compile(r"/app/[A-Za-z0-9_/-]{0,200}|/docs|/redoc|/graphql")


class SignInDraft(Draft):
    email: Annotated[str, StringConstraints(max_length=255)]
    password: Annotated[str, StringConstraints(max_length=256)]
    #: Of the second factor; the page asks for it once the server has said so.
    code: Code | None = None


async def setup_page(request: Request) -> HTTPResponse:
    """The form for the first owner, as long as there is none."""
    if await request.app.ctx.appliance.accounts.has_users():
        return shell.page(request, "gone.html", status=410)
    return shell.page(request, "setup.html")


async def setup(request: Request) -> HTTPResponse:
    """Makes the first owner and signs them in."""
    await inputs.receive(request, FORM)
    draft = inputs.body(request, SetupDraft)
    user = await request.app.ctx.appliance.accounts.setup(draft)
    return await _signed_in(request, user.email, draft.password, status=201)


async def sign_in_page(request: Request) -> HTTPResponse:
    target = own_page(request.args.get("next", ""))
    if request.ctx.caller is not None:
        return redirect(target)
    if not await request.app.ctx.appliance.accounts.has_users():
        return redirect("/app/setup")
    appliance = request.app.ctx.appliance
    return shell.page(
        request,
        "sign_in.html",
        next=target,
        signed_out="out" in request.args,
        mailed=appliance.password_changes.mailed,
        provider=appliance.settings.oidc.name if appliance.identities.offered else "",
    )


async def sign_in(request: Request) -> HTTPResponse:
    await inputs.receive(request, FORM)
    draft = inputs.body(request, SignInDraft)
    return await _signed_in(request, draft.email, draft.password, code=draft.code)


async def sign_out(request: Request) -> HTTPResponse:
    """Ends the session; without one there is nothing left to do, and that is fine."""
    await inputs.receive(request, FORM)
    if request.ctx.caller is not None:
        await request.app.ctx.appliance.sessions.sign_out(request.ctx.caller)
    response = envelope.success(request, {"signed_out": True})
    identity.clear_cookie(response, request.app.ctx.settings)
    return response


async def forgotten_page(request: Request) -> HTTPResponse:
    """Where somebody asks for a link, or reads whom to ask where no mail is sent."""
    return shell.page(request, "forgotten.html", mailed=request.app.ctx.appliance.password_changes.mailed)


async def reset_page(request: Request) -> HTTPResponse:
    """Where a mailed link leads. Its secret stands behind the `#`, which browsers keep to themselves."""
    return shell.page(request, "reset.html")


async def invitation_page(request: Request) -> HTTPResponse:
    """Where an invitation's link leads; its secret stands behind the `#` too."""
    caller = request.ctx.caller
    return shell.page(request, "invitation.html", signed_in=caller.email if caller else "")


async def switch(request: Request) -> HTTPResponse:
    """To another of one's organizations: a new cookie, and the session of the old one ends."""
    await inputs.receive(request, FORM)
    draft = inputs.body(request, SwitchDraft)
    if request.ctx.caller is None:
        raise Unauthenticated
    agent = request.headers.get("user-agent", "")[:255]
    value, caller = await request.app.ctx.appliance.organizations.switch_cookie(
        request.ctx.caller, draft.organization_id, address=identity.address(request), agent=agent
    )
    response = envelope.success(request, {"email": caller.email, "role": caller.role})
    identity.set_cookie(response, request.app.ctx.settings, value)
    return response


def own_page(target: str) -> str:
    """Where to go after the door: a page of ours, never an address that somebody put into a link."""
    return target if _OWN_PAGE.fullmatch(target) else JOBS


async def _signed_in(
    request: Request, email: str, password: str, *, code: str | None = None, status: int = 200
) -> HTTPResponse:
    agent = request.headers.get("user-agent", "")[:255]
    sessions = request.app.ctx.appliance.sessions
    # A browser that signs in gets a new cookie, and the session of the old one ends: nobody waits in it.
    value, caller = await sessions.sign_in_cookie(
        email, password, code=code, address=identity.address(request), agent=agent, instead_of=request.ctx.caller
    )
    response = envelope.success(request, {"email": caller.email, "role": caller.role}, status)
    identity.set_cookie(response, request.app.ctx.settings, value)
    return response
