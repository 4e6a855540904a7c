"""
A multipart upload, taken from the wire to a file as it comes: never in memory, never larger than allowed.

The file has a name of ours in a folder of ours; the client's file name is only looked at for its ending.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from sanic import Request
from sanic.http import Http

from qstore_appliance.api.inputs import BODY_SECONDS, refuse
from qstore_appliance.errors import (
    Malformed,
    StorageFull,
    TooLarge,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
)

#: Bytes of one ordinary field, and of what surrounds the file.
FIELD_BYTES = 4_000
FRAME_BYTES = 65_536
HEADER_BYTES = 4_000


@dataclass
class Upload:
    path: Path
    filename: str = ""
    size: int = 0
    fields: dict[str, str] = field(default_factory=dict)
    #: Over everything that was sent, for idempotent repetition.
    digest: bytes = b""


class _Form:
    """The parser's callbacks: which part we are in, and where its bytes go."""

    def __init__(self, upload: Upload, file: BinaryIO, names: Collection[str], limit: int) -> None:
        self.upload = upload
        self._file = file
        self._names = names
        self._limit = limit
        self._hash = hashlib.sha256()
        self._header_name = b""
        self._header_value = b""
        self._headers: dict[bytes, bytes] = {}
        self._part = ""
        self._value = b""
        self._seen: set[str] = set()
        self.finished = False

    def on_part_begin(self) -> None:
        self._headers, self._part, self._value = {}, "", b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]
        self._check_header()

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]
        self._check_header()

    def _check_header(self) -> None:
        if len(self._header_name) + len(self._header_value) > HEADER_BYTES or len(self._headers) > 8:
            raise Malformed("The headers of a part are too long.")

    def on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._part = options.get(b"name", b"").decode("utf-8", "replace")
        if self._part != "file" and self._part not in self._names:
            raise ValidationFailed.field(self._part[:60] or "form", "there is no such field")
        if self._part in self._seen:
            raise ValidationFailed.field(self._part, "is there more than once")
        self._seen.add(self._part)
        self._hash.update(b"\0" + self._part.encode() + b"\0")
        if self._part == "file":
            if b"filename" not in options:
                raise ValidationFailed.field("file", "must be a file with a name")
            self.upload.filename = options[b"filename"].decode("utf-8", "replace")[:255]
            self._hash.update(self.upload.filename.encode() + b"\0")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        chunk = data[start:end]
        self._hash.update(chunk)
        if self._part == "file":
            self.upload.size += len(chunk)
            if self.upload.size > self._limit:
                raise TooLarge
            self._file.write(chunk)
            return
        self._value += chunk
        if len(self._value) > FIELD_BYTES:
            raise ValidationFailed.field(self._part, f"must be at most {FIELD_BYTES} bytes")

    def on_part_end(self) -> None:
        if self._part == "file":
            return
        try:
            text = self._value.decode("utf-8")
        except UnicodeDecodeError:
            raise ValidationFailed.field(self._part, "must be UTF-8") from None
        if "\x00" in text:
            raise ValidationFailed.field(self._part, "holds the character NUL")
        self.upload.fields[self._part] = text

    def on_end(self) -> None:
        self.finished = True
        self.upload.digest = self._hash.digest()

    def check(self) -> None:
        """
        Raises:
            Malformed: It ended before its last boundary.
            ValidationFailed: No file, or an empty one.
        """
        if not self.finished:
            raise Malformed("The form ends before its last boundary.")
        if "file" not in self._seen or not self.upload.size:
            raise ValidationFailed.field("file", "is required")


@asynccontextmanager
async def received(request: Request, folder: Path, names: Collection[str], limit: int) -> AsyncIterator[Upload]:
    """
    Take a form with one `file` and the named text fields; the file is gone after the `async with`.

    Args:
        folder: Where the file lies meanwhile; made if absent.
        limit: Bytes of the file.

    Raises:
        UnsupportedMediaType, Malformed, ValidationFailed, TooLarge, StorageFull, Unavailable.
    """
    media, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if media != b"multipart/form-data" or not 1 <= len(boundary) <= 70:
        raise UnsupportedMediaType("Send multipart/form-data with a part named file.")
    stream = cast(Http | None, request.stream)
    if stream is None or not stream.request_body:
        raise ValidationFailed.field("file", "is required")
    if (stream.request_bytes_left or 0) > limit + FRAME_BYTES:
        await refuse(stream, limit, "file")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix="upload-", dir=folder)
    upload = Upload(path=Path(name))
    try:
        with os.fdopen(handle, "wb") as file:
            form = _Form(upload, file, names, limit)
            parser = MultipartParser(
                boundary,
                {
                    name: getattr(form, name)
                    for name in (
                        "on_part_begin",
                        "on_header_field",
                        "on_header_value",
                        "on_header_end",
                        "on_headers_finished",
                        "on_part_data",
                        "on_part_end",
                        "on_end",
                    )
                },  # type: ignore[arg-type]
            )
            try:
                await _pour(stream, parser)
            except TooLarge:
                await refuse(stream, limit, "file")
            form.check()
        yield upload
    except MultipartParseError as error:
        raise Malformed(f"The form cannot be read: {error}.") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull() from error
        raise
    finally:
        upload.path.unlink(missing_ok=True)


async def _pour(stream: Http, parser: MultipartParser) -> None:
    parts = aiter(stream)
    while True:
        try:
            # An upload may take hours, but not stand still.
            async with asyncio.timeout(BODY_SECONDS):
                part = await anext(parts)
        except StopAsyncIteration:
            break
        except TimeoutError:
            raise Unavailable(f"Nothing arrived for {BODY_SECONDS} seconds.") from None
        parser.write(part)
    parser.finalize()
