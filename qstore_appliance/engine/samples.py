"""
A labelled data set in memory, and its canonical file.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine import archive
from qstore_appliance.errors import ArtifactCorrupt, QStoreError

MAX_CLASSES = 1000
MAX_LABEL_LENGTH = 200
_BLOCK = 4096  # rows handled at a time, so that images may stay one byte a pixel


@dataclass(frozen=True, eq=False)
class Samples:
    """
    Rows of numbers with a class each, or with a measured quantity each.

    Attributes:
        x: [n, f] float64, or uint8 for images (`rows` gives float64 either way).
        y: [n] int64, index into `classes`; zeros where there are none.
        classes: their names; empty where the labels are measurements.
        feature_names: one per column of x.
        n_reference: so many rows at the front are the publisher's training part and the rest its test part; 0 if the
            publisher drew no such line.
        targets: [n] float64 where the labels are measurements, else None.
    """

    x: NDArray[Any]
    y: NDArray[np.int64]
    classes: tuple[str, ...]
    feature_names: tuple[str, ...]
    n_reference: int = 0
    targets: NDArray[np.float64] | None = None

    @property
    def n_samples(self) -> int:
        return len(self.y)

    @property
    def n_features(self) -> int:
        return int(self.x.shape[1])

    def rows(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(self.x[indices], dtype=np.float64)

    def save(self, path: Path) -> str:
        """Write the canonical npz and return its SHA-256: equal content gives an equal digest."""
        arrays = {"x": self.x, "y": self.y} | ({} if self.targets is None else {"targets": self.targets})
        with path.open("wb") as target:
            archive.write(target, arrays, self._document())
        with path.open("rb") as written:
            return hashlib.file_digest(written, "sha256").hexdigest()

    def keep(self, folder: Path) -> tuple[str, Path]:
        """Save under the digest's name; a half-written file never carries that name."""
        handle, name = tempfile.mkstemp(dir=folder, prefix=".incoming-", suffix=".npz")
        os.close(handle)
        try:
            digest = self.save(Path(name))
            final = folder / f"{digest}.npz"
            os.replace(name, final)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return digest, final

    @classmethod
    def load(cls, path: Path, digest: str | None = None) -> Samples:
        """
        Read what `save` wrote.

        Raises:
            ArtifactCorrupt: the bytes do not match the digest, or are no canonical data set.
        """
        if digest is not None:
            with path.open("rb") as source:
                if hashlib.file_digest(source, "sha256").hexdigest() != digest:
                    raise ArtifactCorrupt("The stored data set does not match its digest.", details={"digest": digest})
        try:
            arrays, document = archive.read(path)
            return cls(
                x=arrays["x"],
                y=arrays["y"],
                classes=tuple(document["classes"]),
                feature_names=tuple(document["feature_names"]),
                n_reference=document["n_reference"],
                targets=arrays.get("targets"),
            )
        except (QStoreError, KeyError, TypeError) as error:
            raise ArtifactCorrupt(f"The stored data set cannot be read: {error}") from error

    def _document(self) -> dict[str, Any]:
        return {
            "classes": list(self.classes),
            "feature_names": list(self.feature_names),
            "n_reference": self.n_reference,
        }


def statistics(samples: Samples) -> dict[str, Any]:
    """Counts per class; mean, spread and range per feature. Ready for JSON."""
    n, width = samples.n_samples, samples.n_features
    total, squares = np.zeros(width), np.zeros(width)
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    shift = samples.x[0].astype(np.float64)  # a nearby origin keeps the sum of squares exact enough
    for start in range(0, n, _BLOCK):
        block = samples.x[start : start + _BLOCK].astype(np.float64)
        low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
        total += (block - shift).sum(axis=0)
        squares += np.square(block - shift).sum(axis=0)
    spread = np.sqrt(np.maximum(squares / n - np.square(total / n), 0.0))
    counts = np.bincount(samples.y, minlength=len(samples.classes))[: len(samples.classes)]
    measured = {} if samples.targets is None else {"target": _range(samples.targets)}
    return {
        "n_samples": n,
        "n_features": width,
        "classes": [
            {"label": label, "count": int(count)} for label, count in zip(samples.classes, counts, strict=True)
        ],
        "features": [
            {"name": name, "mean": float(mean), "std": float(std), "min": float(least), "max": float(most)}
            for name, mean, std, least, most in zip(
                samples.feature_names, shift + total / n, spread, low, high, strict=True
            )
        ],
        **measured,
    }


def _range(values: NDArray[np.float64]) -> dict[str, float]:
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "min": float(values.min()),
        "max": float(values.max()),
    }
