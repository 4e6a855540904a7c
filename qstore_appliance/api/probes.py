"""Probes for people and orchestrators: is the process alive, and can it do its work. No envelope."""

from __future__ import annotations

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import bare
from qstore_appliance.api.registry import PUBLIC, Routes

routes = Routes("probes")


class Health(msgspec.Struct, frozen=True):
    status: str


class Readiness(msgspec.Struct, frozen=True):
    """`checks` names every part with null, or with what is wrong with it."""

    status: str
    checks: dict[str, str | None]
    reasons: list[str]


@routes.get("/health", PUBLIC, answer=Health, bare=True)
async def health(request: Request) -> HTTPResponse:
    """The process answers."""
    return bare(Health(status="ok"))


@routes.get("/ready", PUBLIC, answer=Readiness, bare=True)
async def ready(request: Request) -> HTTPResponse:
    """Whether every part answers: 200, or 503 with the reasons."""
    checks: dict[str, str | None] = await request.app.ctx.appliance.ping()
    reasons = [f"{name}: {wrong}" for name, wrong in checks.items() if wrong is not None]
    if request.app.ctx.stopping.is_set():
        reasons.append("server: stopping")
    readiness = Readiness(status="unavailable" if reasons else "ready", checks=checks, reasons=reasons)
    return bare(readiness, 503 if reasons else 200)
