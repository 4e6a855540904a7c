"""
Files that become data sets: what a calculator process does for `services/datasets.py`. Paths in, plain values out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from qstore_appliance.engine.datasets import UploadLimits, fetch, read_csv, read_idx, read_npz, statistics
from qstore_appliance.engine.samples import Samples
from qstore_appliance.engine.split import split
from qstore_appliance.errors import TooLarge, UnsupportedMediaType, ValidationFailed

#: Numbers of a part that is written as JSON.
MAX_JSON_CELLS = 5_000_000


def ingest(source: str, kind: str, label: str | None, target: str, max_bytes: int) -> dict[str, Any]:
    """
    Check an upload and write it down as the canonical npz.

    Args:
        source: the file as it was uploaded.
        kind: `csv` or `npz`.
        label: the CSV column with the classes; the last one if None.
        target: where the canonical file goes.
        max_bytes: largest file.

    Returns:
        `{"n_samples", "n_features", "classes", "digest"}`, the digest as bare SHA-256.

    Raises:
        ValidationFailed: what is wrong, and where.
        TooLarge: a limit was met.
    """
    limits = UploadLimits(max_bytes=max_bytes)
    if kind == "csv":
        return _written(read_csv(Path(source), label, limits), target)
    if kind == "npz":
        return _written(read_npz(Path(source), limits), target)
    raise UnsupportedMediaType(f"A data set is a CSV or an NPZ file, not {kind[:20]!r}.")


def ingest_idx(
    folder: str, name: str, digests: Mapping[str, str | Sequence[str]] | None, target: str
) -> dict[str, Any]:
    """
    Read the four original files of `mnist` or `fashion_mnist` and write them down as one canonical npz.

    Raises:
        ValidationFailed: a file is missing, has another shape or another digest.
    """
    return _written(read_idx(Path(folder), name, digests), target)


def describe(reference: Mapping[str, Any]) -> dict[str, Any]:
    """
    The statistics of the data set that `reference` means (see `datasets.fetch`).

    Raises:
        DatasetMissing: the file is gone.
        ArtifactCorrupt: the file is not what it was.
    """
    return statistics(fetch(reference))


def part(reference: Mapping[str, Any], name: str, kind: str, target: str) -> None:
    """
    Write one part of a data set as plain arrays: `x` [n, f], and `y` [n] with class indices, or with the numbers themselves
    where labels are measurements. The parts are those of a job that says nothing about them and has seed 0; where there
    are too few samples to show every class in each, they are drawn without a look at the classes.

    Args:
        name: `train`, `validation` or `test`.
        kind: `npz`, without pickles, or `json`.

    Raises:
        DatasetMissing, ArtifactCorrupt: as `fetch`.
        ValidationFailed: it is too small to have parts at all.
        TooLarge: more numbers than JSON is written for.
    """
    samples = fetch(reference)
    y: Any = samples.y if samples.targets is None else samples.targets
    alike = replace(samples, y=np.zeros(samples.n_samples, np.int64), classes=("value",))
    try:
        parts = split(samples if samples.targets is None else alike)
    except ValidationFailed:
        parts = split(alike)
    rows = getattr(parts, name)
    x = samples.x[rows]
    if kind == "npz":
        with Path(target).open("wb") as file:
            np.savez_compressed(file, x=x, y=y[rows])
        return
    if x.size > MAX_JSON_CELLS:
        raise TooLarge(f"As JSON at most {MAX_JSON_CELLS} numbers are written; ask for numpy.")
    Path(target).write_text(json.dumps({"x": x.tolist(), "y": y[rows].tolist()}), encoding="utf-8")


def _written(samples: Samples, target: str) -> dict[str, Any]:
    digest = samples.save(Path(target))
    return {
        "n_samples": samples.n_samples,
        "n_features": samples.n_features,
        "classes": list(samples.classes),
        "digest": digest,
    }
