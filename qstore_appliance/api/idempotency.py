"""
`Idempotency-Key`: a POST that is sent twice is done once, and the second answer is the first.

Only what was done is kept: an answer that refused created nothing, so a repetition of it is judged anew. A handler whose
refusals look like success says so: `request.ctx.nothing_done`.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.errors import ValidationFailed

_KEY = re.compile(r"[!-~]{1,128}")
Act = Callable[[], Coroutine[Any, Any, HTTPResponse | None]]


async def once(request: Request, content: bytes, act: Act, *, secret: bool = False) -> HTTPResponse | None:
    """
    Do it, unless this caller did it with the same key before.

    Args:
        content: What the request says, or a digest of it: another one under the same key is refused.
        secret: The answer's `data.key`, `data.link` or `data.secret` is not stored; a repetition shows it as null.

    Raises:
        ValidationFailed: The key is not 1 to 128 visible characters.
        Conflict: The key was used for something else, or the first request is still at it.
    """
    keys = request.headers.getall("idempotency-key", [])
    if not keys:
        return await act()
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise ValidationFailed.field("Idempotency-Key", "must be 1 to 128 visible characters, once")
    service = request.app.ctx.appliance.idempotency
    place = (request.ctx.caller.bucket, request.method, request.path, keys[0])
    stored = await service.begin(*place, hashlib.sha256(content).hexdigest())
    if stored is not None:
        return HTTPResponse(
            stored.body,
            status=stored.status,
            content_type=stored.content_type,
            headers={"Idempotent-Replayed": "true"},
        )

    async def act_and_keep() -> HTTPResponse | None:
        service.mark(*place)
        try:
            response = await act()
        except BaseException:
            await service.forget(*place)
            raise
        if response is None or response.status >= 300 or getattr(request.ctx, "nothing_done", False):
            await service.forget(*place)
        else:
            body = response.body or b""
            await service.finish(
                *place,
                status=response.status,
                content_type=response.content_type or "",
                body=without_secret(body) if secret else body,
            )
        return response

    # A client that gives up does not take the work with it: its repetition must find what became of the first.
    task = asyncio.create_task(act_and_keep())
    unfinished: set[asyncio.Task[Any]] = request.app.ctx.unfinished
    unfinished.add(task)
    task.add_done_callback(unfinished.discard)
    return await asyncio.shield(task)


def without_secret(body: bytes) -> bytes:
    document = msgspec.json.decode(body)
    hidden = {name: None for name in ("key", "link", "secret") if name in document["data"]}
    return msgspec.json.encode({**document, "data": {**document["data"], **hidden}})
