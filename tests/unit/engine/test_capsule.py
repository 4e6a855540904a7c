"""Archives of models: whole, or refused by the name of what is wrong with them."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from qstore_appliance.engine import archive, capsule
from qstore_appliance.errors import ArtifactCorrupt, QStoreError, TooLarge, ValidationFailed

PARTS = {
    "model.json": b'{"name":"iris classifier"}',
    "circuit.json": b'{"n_qubits":1}',
    "metrics.json": b'{"accuracy":0.9}',
    "receipt.json": b"{}",
    # A zip inside the zip, as artifacts are.
    "artifact.npz": archive.pack({"weights": np.arange(300.0)}, {"format": "qstore-model"}),
}
SIGNATURE = {"algorithm": "Ed25519", "public_key": "a", "signature": "b"}


def whole(parts: dict[str, bytes] | None = None, **more: Any) -> bytes:
    chosen = PARTS | (parts or {})
    return capsule.pack(capsule.manifest_of(chosen, more), SIGNATURE, chosen)


def rewritten(change: Callable[[zipfile.ZipFile, str, bytes], None], content: bytes | None = None) -> bytes:
    """The same members, written one by one by `change`."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content or whole())) as source, zipfile.ZipFile(target, "w") as changed:
        for name in source.namelist():
            change(changed, name, source.read(name))
    return target.getvalue()


def replaced(name: str, content: bytes | None, **more: bytes) -> bytes:
    def change(target: zipfile.ZipFile, member: str, found: bytes) -> None:
        if member != name:
            target.writestr(member, found)
        elif content is not None:
            target.writestr(member, content)

    return rewritten(change)


def added(name: str | zipfile.ZipInfo, content: bytes = b"x") -> bytes:
    target = io.BytesIO(whole())
    with zipfile.ZipFile(target, "a") as grown:
        grown.writestr(name, content)
    return target.getvalue()


def compressed() -> bytes:
    """A member of 200 MB that needs 200 KB."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in (capsule.MANIFEST, capsule.SIGNATURE, *capsule.PARTS):
            bomb.writestr(name, bytes(200_000_000) if name == "artifact.npz" else b"{}")
    return target.getvalue()


def linked() -> bytes:
    link = zipfile.ZipInfo("model.json.link")
    link.external_attr = 0o120777 << 16
    return added(link, b"/etc/passwd")


def manifest(**changes: Any) -> bytes:
    document = json.loads(capsule.manifest_of(PARTS, {})) | changes
    return replaced(capsule.MANIFEST, json.dumps(document).encode())


def test_what_was_packed_comes_back() -> None:
    """Parts, manifest and signature are as they were; the same contents give the same bytes."""
    content = whole(exported_at="now")

    found = capsule.read(content)

    assert found.parts == PARTS
    assert (found.manifest["version"], found.manifest["exported_at"]) == (1, "now")
    assert found.signature == SIGNATURE
    assert found.signed.startswith(b"qstore-capsule\n{")
    assert content == whole(exported_at="now")


REFUSED: dict[str, tuple[Callable[[], bytes], type[QStoreError], str]] = {
    "nothing": (lambda: b"", ValidationFailed, "no .qcap archive"),
    "something else": (lambda: b"PK\x03\x04" + b"x" * 100, ValidationFailed, "no .qcap archive"),
    "the first half": (lambda: whole()[: len(whole()) // 2], ValidationFailed, "no .qcap archive"),
    "all but the last byte": (lambda: whole()[:-1], ValidationFailed, "no .qcap archive"),
    "a changed part": (lambda: replaced("circuit.json", b'{"n_qubits":2}'), ArtifactCorrupt, "circuit.json"),
    "changed weights": (lambda: replaced("artifact.npz", PARTS["artifact.npz"][::-1]), ArtifactCorrupt, "artifact.npz"),
    "a part that is gone": (lambda: replaced("receipt.json", None), ValidationFailed, "receipt.json.*missing"),
    "no signature": (lambda: replaced(capsule.SIGNATURE, None), ValidationFailed, "signature.json.*missing"),
    "a way out": (lambda: added("../../etc/cron.d/x"), ValidationFailed, "unexpected.*etc/cron"),
    "an absolute way": (lambda: added("/etc/passwd"), ValidationFailed, "unexpected.*passwd"),
    "a backslash": (lambda: added("..\\x"), ValidationFailed, "unexpected"),
    "a link": (linked, ValidationFailed, "unexpected.*link"),
    "a pickle": (lambda: added("weights.pkl"), ValidationFailed, "unexpected.*weights.pkl"),
    "a bomb": (compressed, ValidationFailed, "compressed"),
    "a newer format": (lambda: manifest(version=2), ValidationFailed, "newer version.*format 2"),
    "no format": (lambda: manifest(format="qstore-model"), ValidationFailed, "not that of a .qcap archive"),
    "a format of words": (lambda: manifest(version="1"), ValidationFailed, "not that of a .qcap archive"),
    "a manifest of less": (lambda: manifest(files={}), ValidationFailed, "does not name"),
    "a manifest of lists": (lambda: replaced(capsule.MANIFEST, b"[]"), ValidationFailed, "not a JSON object"),
    "a deep manifest": (lambda: replaced(capsule.MANIFEST, b"[" * 30_000), ValidationFailed, "not JSON"),
    "an infinite number": (lambda: replaced(capsule.SIGNATURE, b'{"a":1e999}'), ValidationFailed, "not JSON"),
    "an endless number": (lambda: replaced(capsule.SIGNATURE, b'{"a":' + b"9" * 5_000 + b"}"), ValidationFailed, "not JSON"),
    "a long manifest": (lambda: replaced(capsule.MANIFEST, b" " * 70_000), TooLarge, "manifest.json"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_capsule_is_refused_by_name(make: Callable[[], bytes], kind: type[QStoreError], words: str) -> None:
    """Each with the part that is wrong; nothing of a stranger's is unpacked, inflated or executed."""
    with pytest.raises(kind, match=words) as refused:
        capsule.read(make())

    if kind is ArtifactCorrupt:
        assert refused.value.details == {"part": words}


def test_the_same_member_twice() -> None:
    """Which of two members is meant nobody can say."""
    with pytest.warns(UserWarning, match="Duplicate"):
        content = added("model.json", PARTS["model.json"])

    with pytest.raises(ValidationFailed, match="repeated"):
        capsule.read(content)


def test_any_flipped_bit_is_refused_or_changes_nothing() -> None:
    """Wherever one falls: into a part, the manifest, the zip's own records or its padding."""
    content = whole()
    chance = random.Random(7)
    refused = 0
    for _ in range(600):
        changed = bytearray(content)
        changed[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        try:
            found = capsule.read(bytes(changed))
        except (ValidationFailed, ArtifactCorrupt, TooLarge):
            refused += 1
        else:
            assert found.parts == PARTS
    assert refused > 400


def test_any_end_that_is_missing_is_refused() -> None:
    """However much of a file arrived, less than all is nothing."""
    content = whole()

    inner = content.index(b"PK\x05\x06") + 22
    for length in (*range(0, len(content), 37), inner, *range(len(content) - 30, len(content))):
        with pytest.raises(ValidationFailed, match=r"no \.qcap archive"):
            capsule.read(content[:length])


def test_what_stands_around_an_archive_is_refused() -> None:
    """Nothing before it, behind it or between its lines: one file is one archive."""
    content = whole()

    for changed in (b"#!/bin/sh\n" + content, content + b"x", content[:-2] + b"\x01\0x", content + content):
        with pytest.raises(ValidationFailed, match=r"no \.qcap archive"):
            capsule.read(changed)
