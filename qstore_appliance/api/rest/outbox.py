"""The outbox: what was sent, what waits, and what nobody took."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import listing, success
from qstore_appliance.api.inputs import page, several
from qstore_appliance.api.registry import Query, Routes
from qstore_appliance.domain.outbox import Channel, Letter, LetterStatus, shown
from qstore_appliance.services.outbox import SORTS

routes = Routes("outbox")

STATUS = Query(name="status", description="Only letters in one of these states, separated by commas.")


class LetterAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is what receivers see as `X-QStore-Delivery`; the path of a `destination` is not shown."""

    id: str
    kind: Channel
    event: str
    destination: str
    status: LetterStatus
    attempts: int
    next_attempt_at: datetime | None
    last_error: str | None
    created_at: datetime
    delivered_at: datetime | None


def answered(letter: Letter) -> LetterAnswer:
    return LetterAnswer(
        id=letter.id,
        kind=letter.kind,
        event=letter.event,
        destination=shown(letter.kind, letter.destination),
        status=letter.status,
        attempts=letter.attempts,
        next_attempt_at=letter.next_attempt_at if letter.status == LetterStatus.PENDING else None,
        last_error=letter.last_error,
        created_at=letter.created_at,
        delivered_at=letter.delivered_at,
    )


@routes.get("/v1/outbox", "settings:read", answer=LetterAnswer, paged=True, query=(STATUS,))
async def listed(request: Request) -> HTTPResponse:
    """Messages to people and programs outside; `status=dead` are those that nobody took."""
    statuses = [LetterStatus(name) for name in several(request, "status", {status.value for status in LetterStatus})]
    letters = await request.app.ctx.appliance.outbox.listed(request.ctx.caller, page(request, SORTS), statuses)
    return listing(request, letters, [answered(letter) for letter in letters.items])


@routes.post("/v1/outbox/{id}/retry", "settings:write", answer=LetterAnswer)
async def retry(request: Request, id: str) -> HTTPResponse:
    """Try a message now: a dead one from the beginning, one that waits before its time."""
    letter = await request.app.ctx.appliance.outbox.retry(request.ctx.caller, id)
    return success(request, answered(letter))
