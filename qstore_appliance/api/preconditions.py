"""`ETag`, `If-None-Match` and `If-Match`: whoever changes a thing can ask that nobody else has (RFC 9110 §13)."""

from __future__ import annotations

import re
from collections.abc import Collection

from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.errors import Malformed

_TAGS = re.compile(r'\s*(?:W/)?"[\x21\x23-\x7e]*"\s*(?:,\s*(?:W/)?"[\x21\x23-\x7e]*"\s*)*')
_TAG = re.compile(r'(?:W/)?"[^"]*"')


def expected(request: Request) -> Collection[str] | None:
    """
    The tags in `If-Match`; None where any state will do. Weak ones match nothing.

    Raises:
        Malformed: The header is no list of tags.
    """
    tags = _read(request, "if-match")
    return None if tags is None or "*" in tags else [tag for tag in tags if not tag.startswith("W/")]


def is_known(request: Request, tag: str) -> bool:
    """
    Whether `If-None-Match` says that the client has this state.

    Raises:
        Malformed: The header is no list of tags.
    """
    tags = _read(request, "if-none-match") or ()
    return "*" in tags or tag in {found.removeprefix("W/") for found in tags}


def tagged(response: HTTPResponse, tag: str) -> HTTPResponse:
    response.headers["ETag"] = tag
    return response


def unchanged(tag: str) -> HTTPResponse:
    return tagged(HTTPResponse(status=304), tag)


def _read(request: Request, name: str) -> list[str] | None:
    value = request.headers.get(name)
    if value is None:
        return None
    if value.strip() == "*":
        return ["*"]
    if not _TAGS.fullmatch(value):
        raise Malformed(f"{name.title()} must be * or entity tags in double quotes.")
    return _TAG.findall(value)
