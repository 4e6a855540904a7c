"""
Who asks: a bearer token, an API key or the dashboard's cookie becomes a `Caller`.

Nothing in a query string is ever a credential. A cookie alone never changes anything: such a request must also come from
our own pages, by exact origin.
"""

from __future__ import annotations

import ipaddress

from sanic import Request
from sanic.response import BaseHTTPResponse

from qstore_appliance.domain.accounts import Caller
from qstore_appliance.errors import Forbidden, Unauthenticated
from qstore_appliance.settings import Settings

KEY_PREFIX = "qsk_"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: Longer credentials are not looked at.
LONGEST = 4_096
#: IonQ's clients send their key as `Authorization: apiKey …`; it counts on these addresses only.
IONQ = "/v0.4/"


def address(request: Request) -> str:
    """
    Where a request comes from: who is connected, unless that is a proxy that the operator trusts. Then it is the last
    address in `X-Forwarded-For` that is no trusted proxy; what stands before that anybody may have written.
    """
    known: str | None = getattr(request.ctx, "address", None)
    if known is None:
        known = request.ctx.address = _address(request)
    return known


def _address(request: Request) -> str:
    trusted = [ipaddress.ip_network(text) for text in request.app.ctx.settings.server.trusted_proxies]
    found = request.ip
    if not trusted:
        return found
    hops = [hop.strip() for line in request.headers.getall("x-forwarded-for", []) for hop in line.split(",")]
    for hop in reversed(hops):
        try:
            if not any(ipaddress.ip_address(found) in network for network in trusted):
                break
            found = str(ipaddress.ip_address(hop))
        except ValueError:
            break
    return found


async def identify(request: Request) -> Caller | None:
    """
    The caller behind a request to the API; None when there is no credential.

    Raises:
        Unauthenticated: There is one, and it is wrong, expired or revoked.
        Forbidden: A cookie on a request that did not come from our own pages.
    """
    sessions = request.app.ctx.appliance.sessions
    authorization = request.headers.getall("authorization", [])
    keys = request.headers.getall("x-api-key", [])
    if len(authorization) > 1 or len(keys) > 1:
        raise Unauthenticated("Send one credential, once.")
    if authorization:
        scheme, _, token = authorization[0].partition(" ")
        token = token.strip()
        if scheme.lower() == "apikey" and request.path.startswith(IONQ):
            return await by_key(sessions, token)
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("Send `Authorization: Bearer <token>`, or `X-API-Key: <key>`.")
        return await by_token(sessions, token)
    if keys:
        return await by_key(sessions, keys[0].strip())
    caller = await by_cookie(request)
    if caller is not None and request.method not in SAFE_METHODS:
        require_same_origin(request)
    return caller


async def by_token(sessions: object, token: str) -> Caller:
    """
    A bearer token is an access token or an API key.

    Raises:
        Unauthenticated: It is neither, or not any more.
    """
    if token.startswith(KEY_PREFIX):
        return await by_key(sessions, token)
    if len(token) > LONGEST or not token.isascii():
        raise Unauthenticated()
    return await sessions.by_access_token(token)  # type: ignore[attr-defined,no-any-return]


async def by_key(sessions: object, key: str) -> Caller:
    """
    Raises:
        Unauthenticated: It is not a key, or not any more.
    """
    if len(key) > 200 or not key.isascii():
        raise Unauthenticated()
    return await sessions.by_api_key(key)  # type: ignore[attr-defined,no-any-return]


async def by_cookie(request: Request) -> Caller | None:
    """
    The caller behind the dashboard's cookie; None without one.

    Raises:
        Unauthenticated: The session has ended.
    """
    value = cookie(request)
    if not value:
        return None
    if len(value) > LONGEST or not value.isascii():
        raise Unauthenticated()
    caller: Caller = await request.app.ctx.appliance.sessions.by_cookie(value)
    return caller


def cookie(request: Request) -> str | None:
    """The value of the session's cookie, as it was sent."""
    values = request.cookies.getlist(cookie_name(request.app.ctx.settings), [])
    return values[0] if len(values) == 1 else None


def cookie_name(settings: Settings) -> str:
    """`__Host-` needs a trustworthy origin: TLS, or this machine itself."""
    return "qstore_session" if settings.server.insecure_http and not is_tls(settings) else "__Host-qstore"


def set_cookie(response: BaseHTTPResponse, settings: Settings, value: str) -> None:
    """Sign a browser in: only for HTTP, only for our own site, and away with the session's end."""
    name = cookie_name(settings)
    response.add_cookie(
        name,
        value,
        path="/",
        secure=name.startswith("__Host-"),
        httponly=True,
        samesite="Strict",
        max_age=settings.auth.refresh_seconds,
    )


def clear_cookie(response: BaseHTTPResponse, settings: Settings) -> None:
    name = cookie_name(settings)
    response.add_cookie(
        name, "", path="/", secure=name.startswith("__Host-"), httponly=True, samesite="Strict", max_age=0
    )


def is_tls(settings: Settings) -> bool:
    return bool(settings.server.tls_certificate)


def same_origin(request: Request) -> bool:
    """Whether the browser says that the request comes from our own pages. The host was checked before."""
    settings: Settings = request.app.ctx.settings
    origin = request.headers.getall("origin", [])
    if not origin:
        return request.headers.getall("sec-fetch-site", []) == ["same-origin"]
    own = {f"{'https' if is_tls(settings) else 'http'}://{request.headers.get('host', '').lower()}"}
    if settings.server.public_url:
        own.add("/".join(settings.server.public_url.lower().split("/")[:3]))
    return len(origin) == 1 and origin[0].lower() in own


def require_same_origin(request: Request) -> None:
    """
    Raises:
        Forbidden: It comes from elsewhere, or does not say where from.
    """
    if not same_origin(request):
        raise Forbidden("This request did not come from this server's own pages.")
