"""
The specification's envelope around every answer: `{"success", "data", "meta", "error"}`.

Times are RFC 3339 in UTC, money is dollars; whoever builds `data` has seen to the money already.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.domain import ids
from qstore_appliance.domain.listing import Listed
from qstore_appliance.errors import QStoreError

VERSION = "v1"
JSON = "application/json"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

encode = msgspec.json.Encoder().encode


def request_id(request: Request) -> str:
    """The caller's `X-Request-ID` where it is harmless, else one of ours; the same for the whole request."""
    known = getattr(request.ctx, "request_id", None)
    if known is None:
        wished = request.headers.get("x-request-id", "")
        known = wished if _REQUEST_ID.fullmatch(wished) else ids.new("req")
        request.ctx.request_id = known
    return str(known)


def meta(request: Request) -> dict[str, Any]:
    return {"timestamp": datetime.now(UTC), "request_id": request_id(request), "version": VERSION}


def success(request: Request, data: Any, status: int = 200) -> HTTPResponse:
    content = {"success": True, "data": data, "meta": meta(request), "error": None}
    return HTTPResponse(encode(content), status=status, content_type=JSON)


def created(request: Request, data: Any, location: str | None = None) -> HTTPResponse:
    response = success(request, data, 201)
    if location:
        response.headers["Location"] = location
    return response


def listing(request: Request, listed: Listed[Any], items: Sequence[Any] | None = None) -> HTTPResponse:
    """A page of a list; `items` are its rows as clients see them, where that differs from the nouns."""
    page = {"total": listed.total, "limit": listed.limit, "offset": listed.offset}
    content = {
        "success": True,
        "data": listed.items if items is None else items,
        "meta": meta(request) | page,
        "error": None,
    }
    return HTTPResponse(encode(content), content_type=JSON)


def nothing() -> HTTPResponse:
    """204: done, and there is nothing to say."""
    return HTTPResponse(status=204)


def bare(content: Any, status: int = 200) -> HTTPResponse:
    """JSON without the envelope, for probes and `/openapi.json`."""
    return HTTPResponse(encode(content), status=status, content_type=JSON)


def fault(error: QStoreError) -> dict[str, Any]:
    """An error as clients see it, also inside WebSocket frames."""
    return {"code": error.code, "message": error.message, "details": error.details}


def failure(request: Request, error: QStoreError, status: int) -> HTTPResponse:
    content = {"success": False, "data": None, "meta": meta(request), "error": fault(error)}
    return HTTPResponse(encode(content), status=status, content_type=JSON)
