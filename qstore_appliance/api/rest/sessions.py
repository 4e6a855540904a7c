"""Sessions: where somebody is signed in, and the end of it."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import listing, nothing, success
from qstore_appliance.api.inputs import one, page
from qstore_appliance.api.registry import SIGNED_IN, Query, Routes
from qstore_appliance.domain.sessions import Kind, Method, Session
from qstore_appliance.services.sessions import SORTS

routes = Routes("sessions")

USER = Query(name="user_id", description="Of this user of your organization (needs `sessions:read`); else your own.")


class SessionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`current` is the one that asks."""

    id: str
    user_id: str
    kind: Kind
    method: Method
    address: str
    agent: str
    current: bool
    created_at: datetime
    last_used: datetime
    expires_at: datetime


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    ended: int


def shown(session: Session, current: str | None) -> SessionAnswer:
    return SessionAnswer(**msgspec.structs.asdict(session), current=session.id == current)


@routes.get("/v1/sessions", SIGNED_IN, answer=SessionAnswer, paged=True, query=(USER,))
async def listed(request: Request) -> HTTPResponse:
    """Where you are signed in now; an administrator may ask for somebody else's sessions."""
    caller = request.ctx.caller
    sessions = await request.app.ctx.appliance.sessions.listed(
        caller, page(request, SORTS, "-last_used"), one(request, "user_id")
    )
    return listing(request, sessions, [shown(session, caller.session_id) for session in sessions.items])


@routes.delete("/v1/sessions", SIGNED_IN, answer=Ended)
async def end_others(request: Request) -> HTTPResponse:
    """End every session of yours but this one."""
    return success(request, Ended(ended=await request.app.ctx.appliance.sessions.end_others(request.ctx.caller)))


@routes.delete("/v1/sessions/{id}", SIGNED_IN, status=204)
async def end(request: Request, id: str) -> HTTPResponse:
    """End one session at once: yours, or as an administrator somebody's in your organization."""
    await request.app.ctx.appliance.sessions.end(request.ctx.caller, id)
    return nothing()
