"""
What happens to every request before its handler and to every answer after it.

In: the host must be ours, the caller is identified, one token is taken from their bucket. Out: the request's id, the
rate limit's state, and the headers that keep browsers from doing anything surprising with an answer.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
import re
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import structlog
from sanic import Request, Sanic
from sanic.http import Http
from sanic.response import BaseHTTPResponse, HTTPResponse

from qstore_appliance.api import envelope, identity, origins
from qstore_appliance.api.registry import PUBLIC, endpoint_of
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.errors import Forbidden, Malformed, RateLimited, Unauthenticated, Unavailable, WrongHost
from qstore_appliance.services import audit
from qstore_appliance.settings import Settings

log = structlog.get_logger(__name__)

Page = Callable[[Request], Awaitable[HTTPResponse]]

ASSETS = "/app/static/"
PAGES = "/app"
SOCKETIO = "/socket.io/"
SIGN_OUT = "/app/sign-out"
#: When to try again to sign in, where Redis is away.
AWAY_SECONDS = 5.0
PROBES = frozenset({"/health", "/ready", "/favicon.ico"})

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
TRANSPORT_SECURITY = "max-age=31536000; includeSubDomains"
_HOST = re.compile(r"(\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[^\[\]:/@\\]*))(:[0-9]{1,5})?")


def install(app: Sanic[Any, Any]) -> None:
    app.register_middleware(admit, "request")
    app.register_middleware(show_page, "request")
    app.register_middleware(finish, "response")


async def admit(request: Request) -> HTTPResponse | None:
    """
    Returns: An answer to a browser that asks whether a page elsewhere may ask; None for everything else.

    Raises:
        Malformed, WrongHost: Not addressed to us.
        Unauthenticated, Forbidden: Wrong credentials, or a cookie used from elsewhere.
        RateLimited: The bucket is empty.
    """
    request.ctx.started = time.perf_counter()
    request.ctx.caller = None
    request.ctx.taken = None
    # A request whose head could not be read has an answer already.
    if request.method == "NONE":
        return None
    await check_host(request)
    audit.come_from(identity.address(request))
    if request.path in PROBES or request.path.startswith(ASSETS):
        return None
    if request.method == "OPTIONS" and origins.is_preflight(request):
        await limit_address(request)
        return origins.preflight()
    endpoint = endpoint_of(request)
    if endpoint is not None and endpoint.permission == PUBLIC:
        await limit_address(request)
        if request.method not in identity.SAFE_METHODS:
            require_shared_limits(request)
        return None
    if endpoint is None:
        await _admit_visitor(request)
        return None
    try:
        request.ctx.caller = await identity.identify(request)
    except (Unauthenticated, Forbidden):
        await limit_address(request)
        raise
    if request.ctx.caller is None:
        await limit_address(request)
        raise Unauthenticated()
    await limit_caller(request, request.ctx.caller)
    return None


async def _admit_visitor(request: Request) -> None:
    """A page, the WebSocket's door, or an address that does not exist: with a session if there is one."""
    is_page = request.path == PAGES or request.path.startswith(PAGES + "/")
    if is_page and request.method not in identity.SAFE_METHODS:
        # Signing in and setting up carry no cookie yet; a foreign page must not do them either.
        try:
            identity.require_same_origin(request)
        except Forbidden:
            await limit_address(request)
            raise
        if request.path != SIGN_OUT:
            require_shared_limits(request)
    if request.route is not None:
        if request.route.extra.websocket and page_instead(request) is None:
            try:
                check_handshake(request)
            except (Malformed, Forbidden):
                await limit_address(request)
                raise
        try:
            request.ctx.caller = await identity.by_cookie(request)
        except Unauthenticated:
            request.ctx.caller = None
    if request.path == SOCKETIO and request.app.ctx.socketio.admit(request):
        # A polling client asks again after every answer; it paid when it came in.
        return
    if request.ctx.caller is None:
        await limit_address(request)
    else:
        await limit_caller(request, request.ctx.caller)


def page_instead(request: Request) -> Page | None:
    """What a browser that opens the address of a WebSocket is shown, where there is something: Sanic has one route for both."""
    page: Page | None = getattr(request.route.ctx, "page", None) if request.route else None
    return None if request.headers.get("upgrade") else page


async def show_page(request: Request) -> HTTPResponse | None:
    page = page_instead(request)
    return None if page is None else await page(request)


def require_shared_limits(request: Request) -> None:
    """
    Whoever guesses passwords must not gain by taking Redis away: nobody signs in until it is back.

    Raises:
        Unavailable: Each process counts for itself at the moment.
    """
    if request.app.ctx.appliance.bucket.away:
        raise Unavailable("Nobody can sign in while Redis does not answer.", retry_after=AWAY_SECONDS)


def check_handshake(request: Request) -> None:
    """
    A browser names the page that opens a WebSocket, and only our own pages may: there is no CORS to hold others back.

    Raises:
        Malformed: Not a WebSocket's handshake.
        Forbidden: From another page, or with a cookie and not from a page at all.
    """
    if request.headers.get("upgrade", "").lower() != "websocket":
        raise Malformed("This address is a WebSocket.")
    if request.headers.getall("origin", []) or identity.cookie(request):
        identity.require_same_origin(request)


async def limit_caller(request: Request, caller: Caller) -> None:
    settings: Settings = request.app.ctx.settings
    size = caller.rate_limit or (settings.limits.key if caller.key_id else settings.limits.user)
    await _limit(request, caller.bucket, size)


async def limit_address(request: Request) -> None:
    await _limit(request, f"address:{network(identity.address(request))}", request.app.ctx.settings.limits.address)


async def _limit(request: Request, key: str, size: int) -> None:
    taken = await request.app.ctx.appliance.bucket.take(key, size)
    request.ctx.taken = taken
    if not taken.allowed:
        raise RateLimited(
            f"Too many requests; try again in {math.ceil(taken.retry_after)} s.",
            details={"limit": taken.limit},
            retry_after=taken.retry_after,
        )


def network(address: str) -> str:
    """Whom an address stands for: an IPv6 site owns its whole /64."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


async def check_host(request: Request) -> None:
    """
    Answer only to our own names: a page elsewhere that points its name at us must not read us.

    Raises:
        Malformed: The request line names a whole address, or Host is there twice.
        WrongHost: Not one of our names.
    """
    hosts = request.headers.getall("host", [])
    if len(hosts) > 1 or not request.raw_url.startswith(b"/"):
        raise Malformed("Send one Host header, and the path alone in the request line.")
    name = host_name(hosts[0]) if hosts else ""
    known: set[str] = request.app.ctx.hosts
    if name in known or is_loopback(name):
        return
    if not request.app.ctx.hosts_complete:
        # Looking up our full name may ask a slow name server, so only a name that we do not know yet pays for it.
        known.update(await asyncio.to_thread(machine_names))
        request.app.ctx.hosts_complete = True
        if name in known:
            return
    raise WrongHost(
        f"This server does not answer to the host name {name[:100]!r}. "
        "If it should, add the name to allowed_hosts under [server] in qstore.toml."
    )


def host_name(host: str) -> str:
    """`Host` without its port, in small letters; `[::1]:8000` → `::1`. Empty where it is none at all."""
    found = _HOST.fullmatch(host.strip().lower())
    return (found["six"] or found["name"]) if found else ""


def is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def configured_hosts(settings: Settings) -> set[str]:
    names = {host_name(name) for name in settings.server.allowed_hosts}
    # Listening everywhere is no name of ours.
    if settings.server.host.strip("0.:"):
        names.add(settings.server.host.lower())
    if settings.server.public_url:
        names.add(host_name(settings.server.public_url.partition("//")[2].partition("/")[0]))
    return names


def machine_names() -> set[str]:
    return {socket.gethostname().lower(), socket.getfqdn().lower()} - {""}


async def finish(request: Request, response: BaseHTTPResponse) -> None:
    """A page or a static file may have set a policy of its own; everything else gets ours."""
    headers = response.headers
    for name, value in HEADERS.items():
        if name not in headers:
            headers[name] = value
    headers["X-Request-ID"] = envelope.request_id(request)
    origins.admit(request, response)
    stream = cast(Http | None, request.stream)
    if stream is not None and stream.expecting_continue:
        # Its client waits to be told to send the body that nobody wants: Sanic would tell it, and then refuse.
        stream.expecting_continue = False
        stream.keep_alive = False
    if request.app.ctx.stopping.is_set() and stream is not None:
        # A kept-alive connection would hold up the stop.
        stream.keep_alive = False
    if identity.is_tls(request.app.ctx.settings):
        headers["Strict-Transport-Security"] = TRANSPORT_SECURITY
    taken = getattr(request.ctx, "taken", None)
    if taken is not None:
        headers["X-RateLimit-Limit"] = str(taken.limit)
        headers["X-RateLimit-Remaining"] = str(taken.remaining)
        headers["X-RateLimit-Reset"] = str(math.ceil(taken.reset_after))
    if logging.getLogger().isEnabledFor(logging.DEBUG):
        caller = getattr(request.ctx, "caller", None)
        log.debug(
            "request",
            request_id=envelope.request_id(request),
            method=request.method,
            path=request.path,
            status=response.status,
            milliseconds=round(1000 * (time.perf_counter() - getattr(request.ctx, "started", 0.0)), 2),
            caller=caller.bucket if caller else None,
        )
