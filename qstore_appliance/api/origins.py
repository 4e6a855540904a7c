"""
Pages elsewhere that may call the API: those whose origin the operator has listed, letter by letter, and no others.

They bring a token. The dashboard's cookie never counts for them, so answers do not allow credentials.
"""

from __future__ import annotations

from sanic import Request
from sanic.response import BaseHTTPResponse, HTTPResponse

METHODS = "GET, POST, PUT, PATCH, DELETE"
#: By name: a wildcard would be every header that we may ever listen to.
HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match, X-API-Key, X-Request-ID"
EXPOSED = (
    "X-Request-ID, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, Location, ETag, "
    "Content-Disposition"
)
#: A browser may keep the answer to its question for so long.
PREFLIGHT_SECONDS = 600
_PAGES = "/app"


def listed(request: Request) -> str | None:
    """The origin of a page elsewhere that may call; None for all others."""
    sent = request.headers.getall("origin", [])
    if len(sent) != 1 or request.path == _PAGES or request.path.startswith(_PAGES + "/"):
        return None
    return sent[0] if sent[0] in request.app.ctx.settings.server.cors_origins else None


def is_preflight(request: Request) -> bool:
    return listed(request) is not None and "access-control-request-method" in request.headers


def preflight() -> HTTPResponse:
    headers = {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": HEADERS,
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
    }
    return HTTPResponse(status=204, headers=headers)


def admit(request: Request, response: BaseHTTPResponse) -> None:
    """Say that a listed page may read the answer."""
    if not request.app.ctx.settings.server.cors_origins:
        return
    response.headers["Vary"] = "Origin"
    origin = listed(request)
    if origin is not None:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = EXPOSED
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
