"""
GraphiQL, Swagger UI and ReDoc: other people's programs, each on a page of its own, used with the dashboard's session.

They write styles into their pages, and so their policies allow that; scripts come from our files alone, as everywhere.
"""

from __future__ import annotations

from sanic import Request
from sanic.exceptions import MethodNotAllowed
from sanic.response import HTTPResponse

from qstore_appliance.api.pages import shell

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

#: ReDoc's search runs in a worker that it writes itself.
POLICIES = {"redoc": f"{POLICY}; worker-src blob:"}


async def graphiql(request: Request) -> HTTPResponse:
    """
    The address that takes operations, opened by a browser.

    Raises:
        MethodNotAllowed: By something else: no operation is ever taken from a GET.
    """
    if "text/html" not in request.headers.get("accept", ""):
        raise MethodNotAllowed("Operations are sent by POST.", method=request.method, allowed_methods=["POST"])
    return await shown(request, "graphiql")


async def swagger(request: Request) -> HTTPResponse:
    return await shown(request, "swagger")


async def redoc(request: Request) -> HTTPResponse:
    return await shown(request, "redoc")


async def shown(request: Request, name: str) -> HTTPResponse:
    """An explorer, for somebody who is signed in; others are led to the door and back."""
    if request.ctx.caller is None:
        return await shell.to_the_door(request)
    response = shell.page(request, f"{name}.html", explorer=name)
    response.headers["Content-Security-Policy"] = POLICIES.get(name, POLICY)
    return response
