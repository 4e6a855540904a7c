"""
The idx format of MNIST and Fashion-MNIST: four files, packed or not, checked by shape and digest.

Format: http://yann.lecun.com/exdb/mnist/ (magic 0x0000, type 0x08 = unsigned byte, number of dimensions; then each
dimension as a big-endian 32-bit number; then the bytes).
"""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.dataset_names import IDX_DIGESTS, IDX_FILES, IMPORTABLE
from qstore_appliance.engine.samples import Samples
from qstore_appliance.errors import TooLarge, ValidationFailed

_MAX_BYTES = 1 << 30
_UNSIGNED_BYTE = 0x08


def read_idx(folder: Path, name: str, digests: Mapping[str, str | Sequence[str]] | None = None) -> Samples:
    """
    Read a data set from the folder that holds its four original files.

    Args:
        folder: with `train-images-idx3-ubyte[.gz]` and so on.
        name: `mnist` or `fashion_mnist`.
        digests: over the built-in table, file name → `algorithm:hex` (one or several) of the file as it lies or of its
            unpacked content.

    Raises:
        ValidationFailed: a file is missing, has another shape or another digest.
    """
    if name not in IMPORTABLE:
        raise ValidationFailed.field("name", f"{name[:60]!r} is none of {', '.join(IMPORTABLE)}")
    accepted: dict[str, str | Sequence[str]] = dict(IDX_DIGESTS[name])
    for file, digest in (digests or {}).items():
        stem = file.removesuffix(".gz")
        if stem not in IDX_FILES:
            raise ValidationFailed.field(f"dataset_digests.{name}", f"{file[:60]!r} is none of {', '.join(IDX_FILES)}")
        accepted[stem] = digest
    arrays = [_read(folder, stem, accepted[stem]) for stem in IDX_FILES]
    train_x, train_y, test_x, test_y = arrays
    classes = IMPORTABLE[name].classes
    for images, labels, stem in ((train_x, train_y, IDX_FILES[0]), (test_x, test_y, IDX_FILES[2])):
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels) or len(images) == 0:
            raise ValidationFailed.field(stem, f"images {images.shape} and labels {labels.shape} do not fit together")
        if labels.max() >= len(classes):
            raise ValidationFailed.field(stem, f"a label is {labels.max()}; there are {len(classes)} classes")
    if train_x.shape[1:] != test_x.shape[1:]:
        raise ValidationFailed.field(IDX_FILES[2], "its images have another size than those of the training part")
    x = np.concatenate([train_x, test_x])
    return Samples(
        x=x.reshape(len(x), -1),
        y=np.concatenate([train_y, test_y]).astype(np.int64),
        classes=classes,
        feature_names=tuple(f"pixel_{index}" for index in range(math.prod(x.shape[1:]))),
        n_reference=len(train_x),
    )


def _read(folder: Path, stem: str, accepted: str | Sequence[str]) -> NDArray[np.uint8]:
    path = next((path for path in (folder / f"{stem}.gz", folder / stem) if path.is_file()), None)
    if path is None:
        raise ValidationFailed.field(stem, f"there is no {stem}.gz (nor unpacked) in {folder}")
    wanted = [accepted] if isinstance(accepted, str) else list(accepted)
    algorithms = {entry.partition(":")[0] for entry in wanted}
    if not algorithms <= {"sha256", "md5"}:
        raise ValidationFailed.field(stem, "a digest is written sha256:… or md5:…")
    with path.open("rb") as source:
        found = {_digest(algorithm, source) for algorithm in algorithms}
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rb") as unpacked:
                content = _content(unpacked, stem)  # type: ignore[arg-type]
        else:
            with path.open("rb") as plain:
                content = _content(plain, stem)
    except (OSError, EOFError, zlib.error) as error:
        raise ValidationFailed.field(stem, f"the file cannot be unpacked: {error}") from error
    found |= {
        f"{algorithm}:{hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()}" for algorithm in algorithms
    }
    if found.isdisjoint(entry.lower() for entry in wanted):
        raise ValidationFailed.field(stem, f"its digest is {min(found)}, not that of the published file")
    shape = struct.unpack_from(f">{content[3]}I", content, 4)
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * content[3]).reshape(shape)


def _digest(algorithm: str, source: IO[bytes]) -> str:
    source.seek(0)
    return f"{algorithm}:{hashlib.file_digest(source, algorithm).hexdigest()}"  # type: ignore[arg-type]


def _content(stream: IO[bytes], stem: str) -> bytes:
    """The whole file, read only after its header said how long it is."""
    dimensions = 3 if "idx3" in stem else 1
    header = stream.read(4 + 4 * dimensions)
    if len(header) < 4 + 4 * dimensions or header[:4] != bytes([0, 0, _UNSIGNED_BYTE, dimensions]):
        raise ValidationFailed.field(stem, f"this is not an idx{dimensions} file of unsigned bytes")
    size = math.prod(struct.unpack_from(f">{dimensions}I", header, 4))
    if size > _MAX_BYTES:
        raise TooLarge(f"{stem} says it holds {size} bytes; {_MAX_BYTES} are allowed.")
    body = stream.read(size + 1)
    if len(body) != size:
        raise ValidationFailed.field(
            stem, f"its header says {size} bytes; the file holds {'more' if len(body) > size else len(body)}"
        )
    return header + body
