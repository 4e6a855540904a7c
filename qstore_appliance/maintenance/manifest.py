"""
What a backup says of itself: a gzipped tar file whose first member is `manifest.json`, followed by the files it lists.

Names come from outside when a backup is put back, so only those are taken that a backup of ours has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from qstore_appliance.database.migrations import VERSIONS
from qstore_appliance.errors import Refused

MANIFEST = "manifest.json"
DATABASE = "qstore.sqlite3"
FORMAT = 1
#: A manifest has a line for each blob; a larger one is none of ours.
MAX_BYTES = 256 << 20
_BLOB = re.compile(r"(?:blobs|datasets)/([0-9a-f]{2})/(\1[0-9a-f]{62})\.bin")
_OTHER = re.compile(
    r"qstore\.sqlite3|qstore\.toml|secret\.key|signing\.key|(?:tls|trusted-keys)/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}"
)


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file: its name in the data directory, its bytes, and their SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    Args:
        schema: Versions of the schema that the database has.
        missing: Digests of blobs to which the database refers and which were lost before.
    """

    format: int
    version: str
    created_at: str
    schema: list[str]
    files: list[Content]
    missing: list[str]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def read(content: bytes) -> Manifest:
    """
    Raises:
        Refused: It is no manifest, is of a newer program, or names what a backup cannot have.
    """
    try:
        found = msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise Refused(f"This is not a backup of Q-Store: {MANIFEST} cannot be read ({error}).") from error
    unknown = sorted(set(found.schema) - set(VERSIONS))
    if found.format != FORMAT or unknown:
        what = f"schema {unknown[-1]}" if unknown else f"format {found.format}"
        raise Refused(
            f"This backup was made by a newer Q-Store, {found.version} ({what}). Use that version or a later one."
        )
    names = [file.name for file in found.files]
    strange = next((name for name in names if not is_ours(name)), None)
    if strange is not None or len(set(names)) != len(names) or DATABASE not in names:
        raise Refused(
            f"This is not a backup of Q-Store: it holds {strange!r}." if strange else "The backup's list is wrong."
        )
    for file in found.files:
        blob = _BLOB.fullmatch(file.name)
        if file.size < 0 or (blob is not None and blob[2] != file.sha256):
            raise Refused(f"The backup is damaged: {file.name} is not what its name says.")
    return found


def is_ours(name: str) -> bool:
    return _BLOB.fullmatch(name) is not None or _OTHER.fullmatch(name) is not None


def tops(names: Iterable[str]) -> list[str]:
    """The entries of the data directory that these files lie in."""
    return sorted({name.split("/", 1)[0] for name in names})
