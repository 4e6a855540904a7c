"""To the OpenID Connect provider and back."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from sanic import Request
from sanic.response import HTTPResponse, redirect

from qstore_appliance.api import faults, identity
from qstore_appliance.api.pages import entrance, shell
from qstore_appliance.errors import Forbidden, NotFound, QStoreError, Unauthenticated, Unavailable
from qstore_appliance.services.identities import JOURNEY_SECONDS

#: What a browser brings back is short; anything longer is not looked at.
LONGEST = 4_096


async def depart(request: Request) -> HTTPResponse:
    """Sends the browser to the provider; what it has to bring back travels in a cookie."""
    target, settings = entrance.own_page(request.args.get("next", "")), request.app.ctx.settings
    home = urlsplit(settings.address).netloc
    if request.headers.get("host", "").lower() != home.lower():
        # The provider sends browsers back to our own address, and a cookie of another name does not come along.
        return redirect(f"{settings.address}/app/provider?next={target}")
    try:
        address, carried = await request.app.ctx.appliance.identities.depart(target)
    except (NotFound, Unavailable) as error:
        return _problem(request, error)
    response = redirect(address)
    response.add_cookie(_cookie_name(request), carried, max_age=JOURNEY_SECONDS, **_cookie(request))
    return response


async def arrive(request: Request) -> HTTPResponse:
    """
    Takes a browser that comes back.

    The session's cookie is not sent along with a redirect that another site began, so the answer is a page that leads on.
    """
    carried = request.cookies.getlist(_cookie_name(request), [])
    brought = {name: request.args.getlist(name, []) for name in ("state", "code", "iss", "error")}
    try:
        if brought["error"]:
            raise Forbidden("The provider did not let you in, or you turned back.")
        if len(carried) != 1 or any(len(values) > 1 for values in brought.values()):
            raise Unauthenticated("This sign-in was not begun in this browser. Begin again.")
        if any(len(value) > LONGEST for values in brought.values() for value in values):
            raise Unauthenticated("This is not what a provider answers. Begin again.")
        arrival = await request.app.ctx.appliance.identities.arrive(
            carried[0],
            state="".join(brought["state"]),
            code="".join(brought["code"]),
            issuer=brought["iss"][0] if brought["iss"] else None,
            address=identity.address(request),
            agent=request.headers.get("user-agent", "")[:255],
            instead_of=request.ctx.caller,
        )
    except (Forbidden, NotFound, Unauthenticated, Unavailable) as error:
        response = _problem(request, error)
    else:
        response = shell.page(request, "arrived.html", target=arrival.target)
        identity.set_cookie(response, request.app.ctx.settings, arrival.cookie)
    # Whatever came of it: a journey is made once.
    response.add_cookie(_cookie_name(request), "", max_age=0, **_cookie(request))
    return response


def _problem(request: Request, error: QStoreError) -> HTTPResponse:
    return shell.page(request, "turned_away.html", status=faults.status_of(error), sentence=error.message)


def _cookie_name(request: Request) -> str:
    plain = identity.cookie_name(request.app.ctx.settings) == "qstore_session"
    return "qstore_journey" if plain else "__Host-qstore-journey"


def _cookie(request: Request) -> dict[str, Any]:
    """Lax: the provider's redirect must bring it along."""
    return {
        "path": "/",
        "secure": _cookie_name(request).startswith("__Host-"),
        "httponly": True,
        "samesite": "Lax",
    }
