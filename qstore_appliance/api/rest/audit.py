"""The audit log: read, searched, exported and verified."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import listing, success
from qstore_appliance.api.inputs import one, page, yes
from qstore_appliance.api.registry import Query, Routes
from qstore_appliance.domain.audit import (
    ACTIONS,
    COLUMNS,
    AuditFilter,
    ChainState,
    Entry,
    as_csv_line,
    as_json_line,
    as_row,
    csv_line,
)
from qstore_appliance.errors import ValidationFailed
from qstore_appliance.services.audit import SORTS

routes = Routes("audit")

JSON_LINES, CSV = "application/x-ndjson", "text/csv"
FORMATS = ("json", "jsonl", "csv")
FAMILIES = {action.partition(".")[0] for action in ACTIONS}
_TIME = {"type": "string", "format": "date-time"}
QUERY = (
    Query(name="action", description="An act such as `api_key.created`, or a family of them such as `api_key`."),
    Query(name="actor", description="The e-mail address of who did it; `host` for the machine's own command line."),
    Query(name="subject", description="The id of what it was done to."),
    Query(name="address", description="Where it was asked for."),
    Query(name="since", description="From this moment on.", schema=_TIME),
    Query(name="until", description="Before this moment.", schema=_TIME),
    Query(name="q", description="Text in actor, subject or details."),
    Query(
        name="installation",
        description="What belongs to no organization; for the operator.",
        schema={"type": "boolean", "default": False},
    ),
    Query(
        name="format",
        description="`jsonl` or `csv`: everything that matches, oldest first, as a file.",
        schema={"type": "string", "enum": list(FORMATS), "default": "json"},
    ),
)


class EntryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`hash` covers the other fields and `previous`, the hash of the entry before it."""

    id: str
    seq: int
    time: datetime
    action: str
    actor: str
    user_id: str | None
    key_id: str | None
    address: str | None
    subject: str | None
    details: dict[str, Any]
    previous: str
    hash: str


class VerifyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`head` is the last entry's hash: who keeps it elsewhere can prove later that nothing was rewritten."""

    valid: bool
    entries: int
    head: str
    fault: str | None
    fault_seq: int | None


def shown(entry: Entry) -> EntryAnswer:
    row = as_row(entry)
    for name in ("user_id", "key_id", "address", "subject"):
        row[name] = row[name] or None
    return EntryAnswer(**{**row, "time": entry.at})


def told(state: ChainState) -> VerifyAnswer:
    return VerifyAnswer(
        valid=state.fault is None,
        entries=state.entries,
        head=state.head,
        fault=state.fault,
        fault_seq=state.fault_seq,
    )


def wanted(request: Request) -> AuditFilter:
    action = one(request, "action")
    if action is not None and action not in ACTIONS and action not in FAMILIES:
        raise ValidationFailed.field("action", "there is no such act")
    return AuditFilter(
        action=action,
        actor=one(request, "actor"),
        subject=one(request, "subject"),
        address=one(request, "address"),
        since=_moment(request, "since"),
        until=_moment(request, "until"),
        text=one(request, "q"),
    )


def _moment(request: Request, name: str) -> datetime | None:
    text = one(request, name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValidationFailed.field(name, "write a time such as 2025-12-20T02:00:00Z") from None


@routes.get(
    "/v1/audit", "audit:read", answer=EntryAnswer, paged=True, query=QUERY, media=("application/json", JSON_LINES, CSV)
)
async def listed(request: Request) -> HTTPResponse | None:
    """Who did what in your organization, the newest first; or all of it as a file."""
    audit, caller = request.app.ctx.appliance.audit, request.ctx.caller
    chosen, installation = wanted(request), yes(request, "installation")
    form = one(request, "format") or "json"
    if form not in FORMATS:
        raise ValidationFailed.field("format", f"must be one of {', '.join(FORMATS)}")
    if form == "json":
        entries = await audit.listed(caller, page(request, SORTS, "-seq"), chosen, installation=installation)
        return listing(request, entries, [shown(entry) for entry in entries.items])
    write = as_json_line if form == "jsonl" else as_csv_line
    exported = audit.exported(caller, chosen, installation=installation)
    lines = [write(entry) async for entry in exported]
    if form == "csv":
        lines.insert(0, csv_line(list(COLUMNS)))
    return HTTPResponse(
        "".join(lines),
        content_type=(JSON_LINES if form == "jsonl" else CSV) + "; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="audit.{form}"'},
    )


@routes.get("/v1/audit/verify", "audit:read", answer=VerifyAnswer)
async def verify(request: Request) -> HTTPResponse:
    """Whether every entry of your organization is there, in its place and unchanged."""
    return success(request, told(await request.app.ctx.appliance.audit.verified(request.ctx.caller)))
