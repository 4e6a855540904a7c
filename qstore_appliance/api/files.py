"""A file as an answer, piece by piece: large ones are never in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sanic import Request

CHUNK = 262_144


async def sent(request: Request, path: Path, media: str, filename: str) -> None:
    """
    Answer with what lies at `path`; its length is that when it was opened.

    Args:
        filename: Under which a browser keeps it; without quotes and control characters.

    Raises:
        OSError: It cannot be opened.
    """
    with await asyncio.to_thread(path.open, "rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        headers = {"Content-Length": str(size), "Content-Disposition": f'attachment; filename="{filename}"'}
        response = await request.respond(content_type=media, headers=headers)
        while request.method != "HEAD" and (content := await asyncio.to_thread(file.read, CHUNK)):
            await response.send(content)
        await response.send(end_stream=True)
