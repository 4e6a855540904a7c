"""
Arrays and one JSON document in a zip of .npy members: artifacts, checkpoints, data sets, uploads.

Nothing is ever unpickled, and no array is allocated before the member's header, its declared size and the archive's
directory agree: a few kilobytes cannot ask for gigabytes.
"""

from __future__ import annotations

import io
import json
import math
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from qstore_appliance.errors import QStoreError, TooLarge, ValidationFailed

DOCUMENT = "document.json"
_KINDS = "biufcUS"  # never objects, structures or dates
_ENCRYPTED = 0x1
_BROKEN = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Bounds:
    """What an archive may ask for. `ratio` is None for archives of our own, whose constant columns compress well."""

    total_bytes: int = 4_000_000_000
    entries: int = 64
    ratio: float | None = 200.0


OWN = Bounds(ratio=None)


def write(target: IO[bytes], arrays: Mapping[str, NDArray[Any]], document: Mapping[str, Any] | None = None) -> None:
    """Write an archive; the same content always gives the same bytes, so that a digest can be its name."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        if document is not None:
            text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            archive.writestr(zipfile.ZipInfo(DOCUMENT), text.encode())
        for name, array in arrays.items():
            # Not ascontiguousarray: it turns a scalar into a vector of one.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                npy.write_array(member, np.asarray(array, order="C"), allow_pickle=False)


def pack(arrays: Mapping[str, NDArray[Any]], document: Mapping[str, Any]) -> bytes:
    """`write` into memory."""
    target = io.BytesIO()
    write(target, arrays, document)
    return target.getvalue()


def read(
    source: Path | bytes, bounds: Bounds = OWN, *, only: frozenset[str] | None = None
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """
    Read an archive.

    Args:
        source: a path, or the bytes themselves.
        bounds: checked before anything is allocated.
        only: names of the arrays that may occur; None allows any.

    Returns:
        Arrays by name, and the JSON document (empty if there is none).

    Raises:
        ValidationFailed: not such an archive, a member that lies about itself, or an object dtype.
        TooLarge: more entries, bytes or compression than the bounds allow.
    """
    arrays: dict[str, NDArray[Any]] = {}
    document: dict[str, Any] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
            members = archive.infolist()
            _check_directory(members, bounds, only)
            for member in members:
                if member.filename == DOCUMENT:
                    document = _read_document(archive, member)
                else:
                    arrays[member.filename.removesuffix(".npy")] = _read_array(archive, member)
    except QStoreError:
        raise
    except _BROKEN as error:
        raise _refuse(f"this is not a readable NPZ archive ({error})") from error
    return arrays, document


def _refuse(message: str) -> ValidationFailed:
    return ValidationFailed.field("file", message[:300])


def _check_directory(members: list[zipfile.ZipInfo], bounds: Bounds, only: frozenset[str] | None) -> None:
    if len(members) > bounds.entries:
        raise TooLarge(f"The archive has {len(members)} members; {bounds.entries} are allowed.")
    if sum(member.file_size for member in members) > bounds.total_bytes:
        raise TooLarge(f"Unpacked, the archive is larger than {bounds.total_bytes} bytes.")
    seen: set[str] = set()
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        name = member.filename
        if name in seen:
            raise _refuse(f"member {name[:60]!r} occurs twice")
        seen.add(name)
        if member.flag_bits & _ENCRYPTED:
            raise _refuse(f"member {name[:60]!r} is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refuse(f"member {name[:60]!r} is neither stored nor deflated")
        if bounds.ratio is not None and member.file_size > bounds.ratio * max(member.compress_size, 1):
            raise TooLarge(f"Member {name[:60]!r} is compressed more than {bounds.ratio:g} to 1.")
        if member.header_offset < end:
            raise _refuse(f"member {name[:60]!r} overlaps another")
        end = member.header_offset + member.compress_size
        if only is not None and name.removesuffix(".npy") not in only:
            raise _refuse(f"unexpected member {name[:60]!r}; expected {', '.join(sorted(only))}")
        if name != DOCUMENT and not name.endswith(".npy"):
            raise _refuse(f"member {name[:60]!r} is not an array")


def _read_document(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> dict[str, Any]:
    document = json.loads(archive.read(member))
    if not isinstance(document, dict):
        raise _refuse("its document is not a JSON object")
    return document


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(member) as stream:
        shape, fortran, dtype = _read_header(stream, member.filename)
        if dtype.hasobject or dtype.kind not in _KINDS or dtype.itemsize == 0:
            raise _refuse(f"array {member.filename!r} has dtype {dtype}; numbers and text are read, objects never")
        if len(shape) > 32 or any(size < 0 for size in shape):
            raise _refuse(f"array {member.filename!r} has an impossible shape")
        expected = math.prod(shape) * dtype.itemsize
        if expected != member.file_size - stream.tell():
            raise _refuse(f"array {member.filename!r} says {expected} bytes in its header but holds another number")
        flat = np.empty(math.prod(shape), dtype)
        if expected:
            # As bytes, because text has no buffer interface; in pieces, because the stream may end early.
            view = flat.view(np.uint8)
            filled = 0
            while filled < expected:
                piece = stream.read(min(expected - filled, 1 << 20))
                if not piece:
                    raise _refuse(f"array {member.filename!r} ends early")
                view[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
                filled += len(piece)
        stream.read(1)  # reaching the end makes zipfile compare the checksum
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _read_header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # headers of Python 2 are read all the same
            version = npy.read_magic(stream)
            if version == (1, 0):
                return npy.read_array_header_1_0(stream)
            if version == (2, 0):
                return npy.read_array_header_2_0(stream)
    except zipfile.BadZipFile:
        raise  # the checksum, which says more
    except Exception as error:
        # The header is a Python literal: its parser has many ways to fail, all of which mean the same here.
        raise _refuse(f"array {name!r} has no readable header ({type(error).__name__})") from error
    raise _refuse(f"array {name!r} has npy version {version}; 1.0 and 2.0 are read")
