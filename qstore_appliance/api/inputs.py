"""
What comes in: bodies against their drafts, query strings against what a route takes.

JSON is read strictly, once, here: UTF-8 without a byte order mark, no NaN or Infinity, no key twice, no lone
surrogates or NUL, at most 64 levels, integers of at most 64 bits. pydantic judges the rest and names every fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Collection
from typing import Any, NoReturn, TypeVar, cast

import pydantic
from sanic import Request
from sanic.http import Http

from qstore_appliance.domain.listing import MAX_LIMIT, Page
from qstore_appliance.errors import (
    Malformed,
    QStoreError,
    TooLarge,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
)

DraftType = TypeVar("DraftType", bound=pydantic.BaseModel)

MAX_DEPTH = 64
#: In one body: ten thousand images of 784 numbers are 7.8 million.
MAX_VALUES = 10_000_000
MAX_CONTAINERS = 500_000
MAX_MEMBERS = 1_000_000
#: In one object.
MAX_KEYS = 100_000
#: A larger body takes the loop more than a millisecond or two.
INLINE_BYTES = 65_536
#: Faults named in one answer.
MAX_ERRORS = 100
#: A body that takes longer to arrive is not waited for.
BODY_SECONDS = 30
#: What is read of a body that is refused, and for how long.
LINGER_SECONDS = 1.0
LINGER_BYTES = 16_000_000
MAX_OFFSET = 2**31 - 1
_WHOLE = re.compile(r"[0-9]{1,10}")


async def receive(request: Request, limit: int) -> None:
    """
    Read the whole body into `request.body`.

    Raises:
        TooLarge: It is, or says that it is, larger than `limit` bytes.
        Unavailable: It did not arrive in time.
    """
    stream = cast(Http | None, request.stream)
    if stream is None or not stream.request_body:
        return
    if (stream.request_bytes_left or 0) > limit:
        await refuse(stream, limit)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in stream:
                size += len(part)
                if size > limit:
                    break
                parts.append(part)
    except TimeoutError:
        raise Unavailable(f"The body did not arrive within {BODY_SECONDS} seconds.") from None
    if size > limit:
        await refuse(stream, limit)
    request.body = b"".join(parts)


async def refuse(stream: Http, limit: int, noun: str = "body") -> NoReturn:
    """
    Say that a body is too large, in a way that arrives: a client that is still sending reads no answer, so what it sends
    is thrown away for a moment first.

    Raises:
        TooLarge: Always.
    """
    if not stream.expecting_continue:
        thrown = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                async for part in stream:
                    thrown += len(part)
                    if thrown > LINGER_BYTES:
                        break
    raise TooLarge(f"The {noun} is larger than {limit} bytes.", details={"limit": limit})


def body(request: Request, draft: type[DraftType]) -> DraftType:
    """
    The body as a draft.

    Raises:
        UnsupportedMediaType: Another content type than JSON.
        Malformed: Not readable JSON.
        ValidationFailed: Every fault with its place, such as `gates[3].targets`.
    """
    ready = getattr(request.ctx, "draft", None)
    return ready if type(ready) is draft else validated(draft, document(request))


def document(request: Request) -> Any:
    """The body as plain Python values (see the module's words on what is refused)."""
    if hasattr(request.ctx, "document"):
        return request.ctx.document
    media, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.partition("charset=")[2].strip(' "').lower()
    if media.strip().lower() != "application/json" or charset not in ("", "utf-8", "utf8"):
        raise UnsupportedMediaType("Send application/json in UTF-8.")
    return parsed(request.body)


async def prepare(request: Request, drafts: tuple[type[pydantic.BaseModel], ...]) -> None:
    """
    Judge a large body beside the loop, one at a time: whoever sends 32 MB waits for it, and nobody else does.

    Raises: what `body` raises, which then finds the work done.
    """
    if not drafts or len(request.body) <= INLINE_BYTES:
        return
    judging: asyncio.Semaphore = request.app.ctx.judging
    async with judging:
        request.ctx.document = await asyncio.to_thread(document, request)
        if len(drafts) == 1:
            request.ctx.draft = await asyncio.to_thread(validated, drafts[0], request.ctx.document)


def parsed(content: bytes) -> Any:
    """
    Raises:
        Malformed: Not JSON, or not in UTF-8.
        TooLarge: More values than any honest request of this size holds.
        ValidationFailed: JSON of a kind that is refused.
    """
    # Ten million empty lists are 32 MB on the wire and gigabytes here.
    _count("values", content.count(b",") + 1, MAX_VALUES)
    _count("lists and objects", content.count(b"[") + content.count(b"{"), MAX_CONTAINERS)
    _count("members of objects", content.count(b":"), MAX_MEMBERS)
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_unique)
        inspect(value, suspicious=b"\\u" in content)
    except QStoreError:
        raise
    except UnicodeDecodeError:
        raise Malformed("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error.msg} at character {error.pos}.") from None
    except RecursionError:
        raise Malformed(f"The body is nested deeper than {MAX_DEPTH} levels.") from None
    except ValueError:
        # Python refuses integers of thousands of digits before it makes them.
        raise ValidationFailed.field("body", "holds an integer of too many digits") from None
    return value


def inspect(value: Any, *, suspicious: bool = True) -> None:
    """
    Refuse what no document may hold, wherever it came from.

    Args:
        suspicious: Texts may have come out of escapes, which can hide what UTF-8 cannot.

    Raises:
        Malformed, ValidationFailed: It is there.
    """
    try:
        _inspect(value, "", suspicious=suspicious)
    except _Misplaced as fault:
        raise ValidationFailed.field(fault.path(), fault.message) from None


def _count(noun: str, found: int, most: int) -> None:
    if found > most:
        raise TooLarge(f"The body holds more than {most:,} {noun}.", details={"limit": most})


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _count("keys in one object", len(pairs), MAX_KEYS)
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise Malformed(f"The key {key[:60]!r} is there twice in one object.")
            seen.add(key)
    return value


class _Misplaced(Exception):
    """A value that is refused. Where it stands is put together on the way out: almost no document has one."""

    def __init__(self, message: str) -> None:
        self.message = message
        self.keys: list[str | int] = []

    def path(self) -> str:
        # The last one is the document itself, which has no name.
        path = ""
        for key in reversed(self.keys[:-1]):
            path = _joined(path, key)
        return path or "body"


def _inspect(value: Any, key: str | int, depth: int = 1, *, suspicious: bool) -> None:
    """Depth, NaN and infinities (1e400 too), integers that do not fit; where an escape may hide one, bad characters."""
    kind = type(value)
    try:
        if kind is float:
            if value - value != 0.0:
                raise _Misplaced("must be a finite number")
        elif kind is int:
            if not -(2**63) <= value < 2**63:
                raise _Misplaced("is an integer beyond 64 bits")
        elif kind is str:
            if suspicious:
                _inspect_text(value)
        elif kind is list or kind is dict:
            if depth > MAX_DEPTH:
                raise Malformed(f"The body is nested deeper than {MAX_DEPTH} levels.")
            if kind is dict and suspicious:
                for name in value:
                    _inspect_text(name)
            for inner_key, inner in value.items() if kind is dict else enumerate(value):
                inner_kind = type(inner)
                # Most of a large body are numbers: a call for each would be half of the time.
                if inner_kind is not float or inner - inner != 0.0:
                    _inspect(inner, inner_key, depth + 1, suspicious=suspicious)
    except _Misplaced as fault:
        fault.keys.append(key)
        raise


def _inspect_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("The body holds half of a surrogate pair.") from None
    if "\x00" in text:
        raise _Misplaced("holds the character NUL")


def _joined(path: str, key: str | int) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key[:60]}" if path else key[:60] or "body"


def validated(draft: type[DraftType], value: Any) -> DraftType:
    """
    Raises:
        ValidationFailed: Every fault with its place.
    """
    try:
        return draft.model_validate(value)
    except pydantic.ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
    rows = [(field_path(f["loc"], value), _sentence(f["type"], f["msg"])) for f in faults[:MAX_ERRORS]]
    # A union reports a fault for each branch; the same place and words once is enough.
    raise ValidationFailed.of(list(dict.fromkeys(rows)))


def field_path(location: tuple[int | str, ...], value: Any) -> str:
    """`("gates", 3, "targets")` → `gates[3].targets`; names of a union's branches are no part of the document."""
    path = ""
    for position, part in enumerate(location):
        if isinstance(part, int):
            path += f"[{part}]"
            value = value[part] if isinstance(value, list) and part < len(value) else None
        elif isinstance(value, dict) and (part in value or position == len(location) - 1):
            path += f".{part[:60]}" if path else part[:60]
            value = value.get(part)
    return path or "body"


def _sentence(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "there is no such field"
    if kind == "missing":
        return "is required"
    return message.removeprefix("Value error, ")


def one(request: Request, name: str, most: int = 200) -> str | None:
    """
    A query parameter, or None.

    Raises:
        ValidationFailed: It is there twice, or too long.
    """
    values = request.get_args(keep_blank_values=True).getlist(name, [])
    if len(values) > 1:
        raise ValidationFailed.field(name, "is there more than once")
    if not values:
        return None
    if len(values[0]) > most or "\x00" in values[0]:
        raise ValidationFailed.field(name, f"must be text of at most {most} characters")
    return str(values[0])


def choice(request: Request, name: str, choices: tuple[str, ...]) -> str | None:
    """
    A query parameter that is one of these words, or None.

    Raises:
        ValidationFailed: It is another word, or there twice.
    """
    found = one(request, name)
    if found is not None and found not in choices:
        raise ValidationFailed.field(name, f"must be one of {', '.join(choices)}")
    return found


def whole(request: Request, name: str, default: int, low: int, high: int) -> int:
    """
    Raises:
        ValidationFailed: Not a whole number between `low` and `high`.
    """
    text = one(request, name)
    if text is None:
        return default
    if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
        raise ValidationFailed.field(name, f"must be a whole number from {low} to {high}")
    return int(text)


def yes(request: Request, name: str) -> bool:
    """
    Raises:
        ValidationFailed: Neither `true` nor `false`.
    """
    text = one(request, name)
    if text not in (None, "true", "false"):
        raise ValidationFailed.field(name, "must be true or false")
    return text == "true"


def several(request: Request, name: str, allowed: Collection[str] | None = None) -> list[str]:
    """
    Values of a filter, separated by commas.

    Raises:
        ValidationFailed: One is not among the allowed.
    """
    text = one(request, name, most=2_000)
    values = [part.strip() for part in text.split(",") if part.strip()] if text else []
    if allowed is not None:
        for value in values:
            if value not in allowed:
                raise ValidationFailed.field(name, f"{value[:40]!r} is none of {', '.join(sorted(allowed))}")
    return values


def page(request: Request, sorts: Collection[str] = ("created_at",), default: str = "-created_at") -> Page:
    """
    `limit`, `offset` and `sort` of a list.

    Raises:
        ValidationFailed: Out of range, or an unknown field to sort by.
    """
    sort = one(request, "sort") or default
    if sort.removeprefix("-") not in sorts:
        raise ValidationFailed.field("sort", f"must be one of {', '.join(sorted(sorts))}, with - for descending")
    limit = whole(request, "limit", Page().limit, 1, MAX_LIMIT)
    return Page(limit=limit, offset=whole(request, "offset", 0, 0, MAX_OFFSET), sort=sort)
