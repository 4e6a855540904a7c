"""
From a template to a page: the frame, its headers, and who is looking at it.

Templates hold no script or style of their own, so the policy allows files of ours and nothing else. Everything that a
user may have typed comes over the REST API and is written as text by the page's modules.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sanic import Request
from sanic.response import HTTPResponse, redirect

from qstore_appliance.api import identity
from qstore_appliance.api.pages.assets import assets
from qstore_appliance.domain.accounts import Caller

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
#: Pages outside of `/app`.
EXPLORERS = frozenset({"/docs", "/redoc", "/graphql"})
#: What a page offers by permission; the API decides again when it is used.
ACTIONS = {
    "submit": "jobs:submit",
    "cancel": "jobs:cancel",
    "deploy": "models:deploy",
    "retire": "models:retire",
    "predict": "models:predict",
    "edit": "models:write",
    "budget": "budget:read",
    "billing": "billing:write",
    "people": "users:write",
    "invite": "users:invite",
    "remove": "users:delete",
    "organization": "organization:write",
    "own": "organization:transfer",
}


@functools.cache
def templates() -> Environment:
    folder = resources.files("qstore_web") / "templates"
    environment = Environment(
        loader=FileSystemLoader(str(folder)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = assets().address
    return environment


def page(request: Request, template: str, *, status: int = 200, **context: Any) -> HTTPResponse:
    """A page of its own: entrance and problems."""
    settings = request.app.ctx.settings
    insecure = settings.server.insecure_http and not identity.is_tls(settings)
    text = templates().get_template(template).render(insecure=insecure, **context)
    return HTTPResponse(
        text, status=status, headers={"Content-Security-Policy": POLICY}, content_type="text/html; charset=utf-8"
    )


async def inside(
    request: Request, template: str, section: str, *, id: str | None = None, **context: Any
) -> HTTPResponse:
    """A page inside the frame, for somebody who is signed in; others are led to the door and back."""
    caller: Caller | None = request.ctx.caller
    if caller is None:
        return await to_the_door(request)
    scopes = " ".join(action for action, scope in ACTIONS.items() if caller.may(scope))
    return page(request, template, section=section, id=id, caller=caller, scopes=scopes, **context)


async def to_the_door(request: Request) -> HTTPResponse:
    """To set-up while nobody exists, else to sign-in, which leads back here."""
    if not await request.app.ctx.appliance.accounts.has_users():
        return redirect("/app/setup")
    leads_back = request.path.startswith("/app/") or request.path in EXPLORERS
    return redirect("/app/sign-in" + (f"?next={quote(request.path, safe='/')}" if leads_back else ""))


def problem(request: Request, status: int, heading: str, sentence: str) -> HTTPResponse:
    return page(request, "problem.html", status=status, heading=heading, sentence=sentence)
