"""The alerts of a budget: a message to see whether they arrive."""

from __future__ import annotations

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import success
from qstore_appliance.api.registry import Routes
from qstore_appliance.domain.outbox import Channel, shown

routes = Routes("alerts")


class SentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A letter that is on its way; `GET /v1/outbox` says how it goes."""

    id: str
    kind: Channel
    destination: str


@routes.post("/v1/budget/alerts/test", "billing:write", answer=list[SentAnswer], status=202)
async def test(request: Request) -> HTTPResponse:
    """Send a test message to every destination of the budget's alerts; answers the letters in the outbox."""
    sent = await request.app.ctx.appliance.alerts.test(request.ctx.caller)
    answer = [SentAnswer(id=one.id, kind=one.kind, destination=shown(one.kind, one.destination)) for one in sent]
    return success(request, answer, 202)
