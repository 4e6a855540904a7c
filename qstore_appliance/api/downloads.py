"""
`/downloads`: the clients, for people whose machines reach this server and not the internet.

What came with this installation, and what the operator has put into `downloads` of the data directory, such as the
packages that the clients need. Names are looked up in a table of what is there: no path is made of what somebody sent.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import html
import re
from importlib import resources
from pathlib import Path

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import success
from qstore_appliance.api.files import sent
from qstore_appliance.api.registry import PUBLIC, Routes
from qstore_appliance.errors import NotFound

routes = Routes("downloads")

HOME = "/downloads"
#: Kinds of packages; whatever else lies there is not offered.
TYPES = {
    ".whl": "application/zip",
    ".zip": "application/zip",
    ".tgz": "application/gzip",
    ".tar.gz": "application/gzip",
}
LONGEST_NAME = 160
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """`sha256` in hexadecimal."""

    name: str
    url: str
    size_bytes: int
    sha256: str


@routes.get(HOME, PUBLIC, answer=list[Download], media=("application/json", "text/html"))
async def listed(request: Request) -> HTTPResponse:
    """The packages that this server offers, those of its clients first; as a page where `pip` or a browser asks."""
    found = await asyncio.to_thread(described, offered(request.app.ctx.settings.data_dir))
    if "text/html" not in request.headers.get("accept", ""):
        return success(request, found)
    # As `pip install --find-links` reads it.
    rows = "".join(
        f'<li><a href="{html.escape(one.url)}#sha256={one.sha256}">{html.escape(one.name)}</a></li>\n' for one in found
    )
    page = f'<!DOCTYPE html>\n<html lang="en"><head><title>Downloads</title></head><body>\n<ul>\n{rows}</ul>\n</body></html>\n'
    return HTTPResponse(page, content_type="text/html; charset=utf-8", headers={"Vary": "Accept"})


@routes.get(
    HOME + "/{name}", PUBLIC, answer=str, bare=True, media=tuple(dict.fromkeys(TYPES.values())), longest=LONGEST_NAME
)
async def get(request: Request, name: str) -> HTTPResponse | None:
    """One package, as it is."""
    path = (await asyncio.to_thread(offered, request.app.ctx.settings.data_dir)).get(name)
    if path is None:
        raise NotFound("There is no such package here.")
    try:
        await sent(request, path, media_of(name), name)
    except FileNotFoundError:
        # Taken away at this moment.
        raise NotFound("There is no such package here.") from None
    return None


def offered(data_dir: Path) -> dict[str, Path]:
    """By name; what came with the installation goes before what the operator has added."""
    packed = resources.files("qstore_web") / "downloads"
    folders = (data_dir / "downloads", Path(str(packed)))
    return {path.name: path for folder in folders for path in sorted(_packages(folder))}


def _packages(folder: Path) -> list[Path]:
    try:
        # No links: they could lead to anything that the server may read.
        return [
            path
            for path in folder.iterdir()
            if media_of(path.name)
            and _NAME.fullmatch(path.name)
            and len(path.name) <= LONGEST_NAME
            and path.is_file()
            and not path.is_symlink()
        ]
    except OSError:
        return []


def media_of(name: str) -> str:
    """Empty where it is no package."""
    return next((media for ending, media in TYPES.items() if name.endswith(ending)), "")


def described(found: dict[str, Path]) -> list[Download]:
    rows = []
    for name, path in sorted(found.items(), key=lambda one: (not one[0].startswith(("qstore", "client-go")), one[0])):
        try:
            state = path.stat()
            digest = _digest(path, state.st_size, state.st_mtime_ns)
        except OSError:
            # Taken away at this moment.
            continue
        rows.append(Download(name=name, url=f"{HOME}/{name}", size_bytes=state.st_size, sha256=digest))
    return rows


@functools.lru_cache(maxsize=256)
def _digest(path: Path, size: int, time: int) -> str:
    """Once for each content that a file has had; `size` and `time` tell one from the next."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
