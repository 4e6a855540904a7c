"""
Static files of the dashboard: read once, known by name, served from memory.

Their address carries a digest of them all, so a browser may keep them for ever and never sees two versions mixed. Only
names in the table are answered: there is no path to climb out of.
"""

from __future__ import annotations

import asyncio
import functools
import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.errors import NotFound

PREFIX = "/app/static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
FOREVER = "public, max-age=31536000, immutable"


#: Compressed when it is first asked for: the explorers would hold up the start for a second.
LARGE = 200_000


@dataclass(frozen=True)
class Asset:
    media: str
    content: bytes

    @functools.cached_property
    def compressed(self) -> bytes | None:
        """None where compressing gains nothing."""
        packed = gzip.compress(self.content, 9, mtime=0)
        return packed if len(packed) < 0.9 * len(self.content) else None


@dataclass(frozen=True)
class Assets:
    digest: str
    files: Mapping[str, Asset]

    def address(self, name: str) -> str:
        """Where templates point to. Raises KeyError for a file that is not there, which a test then sees."""
        if name not in self.files:
            raise KeyError(f"no static file {name!r}")
        return f"{PREFIX}/{self.digest}/{name}"


@functools.cache
def assets() -> Assets:
    """Every file below `static/` of a kind that browsers are served."""
    files: dict[str, Asset] = {}
    whole = hashlib.sha256()
    for name, file in sorted(_walk(resources.files("qstore_web") / "static")):
        media = TYPES.get(name[name.rfind(".") :])
        if media is None:
            continue
        content = file.read_bytes()
        whole.update(f"{name}\0{len(content)}\0".encode() + content)
        files[name] = Asset(media, content)
        if len(content) < LARGE:
            _ = files[name].compressed
    return Assets(whole.hexdigest()[:16], files)


def _walk(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry


async def serve(request: Request, digest: str, name: str) -> HTTPResponse:
    """One static file. A page from before an update asks with an old digest: it gets 404 and is to be loaded again."""
    known = assets()
    asset = known.files.get(name)
    if asset is None or digest != known.digest:
        raise NotFound("There is no such file here.")
    headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding"}
    content = asset.content
    if "gzip" in request.headers.get("accept-encoding", ""):
        packed = await asyncio.to_thread(getattr, asset, "compressed") if len(content) >= LARGE else asset.compressed
        if packed is not None:
            headers["Content-Encoding"] = "gzip"
            content = packed
    return HTTPResponse(content, headers=headers, content_type=asset.media)
