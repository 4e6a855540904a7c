"""
A model on its way from one laboratory to another: one `.qcap` file, a zip of stored members.

`manifest.json` names every other member with its SHA-256 and its size, and `signature.json` signs the manifest, so that one
signature covers all. Nothing is compressed, so a file cannot ask for more memory than it has bytes; nothing is unpacked to
a path, so a name cannot lead anywhere. Who signed is judged elsewhere (`services/capsules.py`).
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qstore_appliance.engine.formats import unified
from qstore_appliance.errors import ArtifactCorrupt, QStoreError, TooLarge, ValidationFailed

FORMAT = "qstore-capsule"
VERSION = 1
#: What stands before the manifest in what is signed: a signature of something else is none of a capsule.
SIGNED = b"qstore-capsule\n"
MANIFEST, SIGNATURE, ARTIFACT = "manifest.json", "signature.json", "artifact.npz"
#: What the manifest covers.
PARTS = ("model.json", "circuit.json", "metrics.json", "receipt.json", ARTIFACT)
MAX_BYTES = 64_000_000
#: Of a member that is JSON; those that are read before the signature is known to be right are small.
MAX_JSON = 16_000_000
MAX_HEAD = 65_536
MAX_DEPTH = 64
_ENCRYPTED = 0x1
#: How a zip begins, and how its last record does, which has 22 bytes where there is no comment.
_BEGIN, _END, _END_BYTES = b"PK\x03\x04", b"PK\x05\x06", 22
_BROKEN = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Capsule:
    """
    Attributes:
        manifest: As it was signed; `signed` are the bytes that the signature is of.
        signature: `algorithm`, `public_key` and `signature`, the latter two in base 64.
        parts: The bytes of each of `PARTS`, which are what the manifest says.
    """

    manifest: Mapping[str, Any]
    signed: bytes
    signature: Mapping[str, Any]
    parts: Mapping[str, bytes]

    def document(self, name: str) -> dict[str, Any]:
        """
        Raises:
            ValidationFailed: That part is not a JSON object.
        """
        return _object(name, self.parts[name])


def manifest_of(parts: Mapping[str, bytes], more: Mapping[str, Any]) -> bytes:
    """The manifest of these parts. Args: more: what it says besides, such as when it was written."""
    files = {name: {"sha256": hashlib.sha256(parts[name]).hexdigest(), "bytes": len(parts[name])} for name in PARTS}
    return written({"format": FORMAT, "version": VERSION, **more, "files": files})


def written(document: Mapping[str, Any]) -> bytes:
    """JSON as the parts of a capsule are written."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def pack(manifest: bytes, signature: Mapping[str, Any], parts: Mapping[str, bytes]) -> bytes:
    """The same contents always give the same bytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in {MANIFEST: manifest, SIGNATURE: written(signature), **parts}.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return target.getvalue()


def read(content: bytes) -> Capsule:
    """
    Everything of a capsule, held against its manifest; its signature is not judged.

    Raises:
        ValidationFailed: These are not the bytes of a capsule, or a newer version's: naming what is wrong.
        TooLarge: More bytes than a capsule has.
        ArtifactCorrupt: A part is not what the manifest says; `details.part` names it.
    """
    if len(content) > MAX_BYTES:
        raise TooLarge(f"An archive has at most {MAX_BYTES} bytes.")
    # The artifact is a zip itself: of a file that ends early a reader would find the end of that one.
    if content[:4] != _BEGIN or content[-_END_BYTES : -_END_BYTES + 4] != _END or content[-2:] != b"\0\0":
        raise _refuse("this is no .qcap archive, or a part of one (it does not begin or end as one)")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if min((member.header_offset for member in archive.infolist()), default=-1) != 0:
                raise _refuse("this is no .qcap archive, or a part of one (its directory is not its own)")
            _check_directory(archive.infolist())
            members = {member.filename: archive.read(member) for member in archive.infolist()}
    except QStoreError:
        raise
    except _BROKEN as error:
        raise _refuse(f"this is no .qcap archive, or a part of one ({error})") from error
    manifest = _object(MANIFEST, members[MANIFEST])
    _check_version(manifest)
    files = manifest.get("files")
    if not isinstance(files, dict) or set(files) != set(PARTS):
        raise _refuse(f"{MANIFEST} does not name the parts of an archive")
    for name in PARTS:
        told, found = files[name], members[name]
        wanted = {"sha256": hashlib.sha256(found).hexdigest(), "bytes": len(found)}
        if told != wanted:
            raise ArtifactCorrupt(f"{name} in the archive is not what was signed.", details={"part": name})
    return Capsule(
        manifest=manifest,
        signed=SIGNED + members[MANIFEST],
        signature=_object(SIGNATURE, members[SIGNATURE]),
        parts={name: members[name] for name in PARTS},
    )


def described(content: bytes) -> dict[str, Any]:
    """
    What a model's artifact says of itself, read as a predictor would.

    Returns: `circuit`, `task`, `backend`, `n_features`, `classes`, `feature_names` and `parameters` (by name).

    Raises:
        ArtifactCorrupt: It is not the artifact of a model, or its circuit is none.
    """
    # Whoever only reads archives need not load what models are made of.
    from qstore_appliance.engine import artifact as artifacts

    artifact = artifacts.read(content)
    try:
        circuit = unified.write(unified.read(dict(artifact.circuit)))
    except QStoreError as error:
        raise ArtifactCorrupt(f"The artifact's circuit cannot be read: {error.message}") from error
    return {
        "circuit": {"n_qubits": int(artifact.circuit["n_qubits"]), **circuit},
        "task": artifact.task,
        "backend": artifact.backend,
        "n_features": artifact.features.n_inputs,
        "classes": list(artifact.classes),
        "feature_names": list(artifact.feature_names),
        "parameters": dict(artifact.weights),
    }


def _check_directory(members: list[zipfile.ZipInfo]) -> None:
    expected, end = {MANIFEST, SIGNATURE, *PARTS}, 0
    for member in sorted(members, key=lambda member: member.header_offset):
        name = member.filename
        if name not in expected:
            raise _refuse(f"unexpected or repeated member {name[:60]!r}")
        expected.remove(name)
        if member.flag_bits & _ENCRYPTED:
            raise _refuse(f"member {name!r} is encrypted")
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise _refuse(f"member {name!r} is compressed; in a .qcap archive nothing is")
        if member.header_offset < end:
            raise _refuse(f"member {name!r} overlaps another")
        end = member.header_offset + member.compress_size
        most = MAX_HEAD if name in (MANIFEST, SIGNATURE) else MAX_BYTES if name == ARTIFACT else MAX_JSON
        if member.file_size > most:
            raise TooLarge(f"Member {name!r} has {member.file_size} bytes; {most} are allowed.")
    if expected:
        raise _refuse(f"member {min(expected)!r} is missing")


def _check_version(manifest: Mapping[str, Any]) -> None:
    version = manifest.get("version")
    if manifest.get("format") != FORMAT or not isinstance(version, int) or version < 1:
        raise _refuse(f"{MANIFEST} is not that of a .qcap archive")
    if version > VERSION:
        raise _refuse(
            f"a newer version wrote this archive: format {version}, and this one reads up to {VERSION}; update first"
        )


def _object(name: str, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content, parse_constant=_no_number, parse_float=_finite, parse_int=_short)
        _check_depth(found)
    except (ValueError, RecursionError) as error:
        raise _refuse(f"{name} is not JSON that an archive has") from error
    if not isinstance(found, dict):
        raise _refuse(f"{name} is not a JSON object")
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no number of JSON")
    return number


def _short(text: str) -> int:
    number = int(text) if len(text) <= 20 else 1 << 64
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError("a whole number is too long")
    return number


def _check_depth(value: Any, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise ValueError("too deep")
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_depth(inner, depth + 1)


def _refuse(message: str) -> ValidationFailed:
    return ValidationFailed.field("file", message[:300])
