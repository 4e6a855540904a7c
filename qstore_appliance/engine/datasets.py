"""
Data sets by name: the built-in ones, imported idx files, uploads. The door to this corner of the engine.

Runs in children only: it imports numpy. The serving process lists names from `dataset_names`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qstore_appliance.engine.dataset_files import read_builtin
from qstore_appliance.engine.dataset_names import BUILTIN, IMPORTABLE, import_command
from qstore_appliance.engine.idx import read_idx
from qstore_appliance.engine.samples import Samples, statistics
from qstore_appliance.engine.split import Split, split
from qstore_appliance.engine.uploads import UploadLimits, read_csv, read_npz
from qstore_appliance.errors import DatasetMissing, ValidationFailed

__all__ = [
    "BUILTIN",
    "IMPORTABLE",
    "Samples",
    "Split",
    "UploadLimits",
    "fetch",
    "load_builtin",
    "read_csv",
    "read_idx",
    "read_npz",
    "split",
    "statistics",
]


def load_builtin(name: str) -> Samples:
    """
    One of the data sets inside scikit-learn's wheel; nothing is fetched from anywhere.

    Raises:
        ValidationFailed: there is no such name.
        DatasetMissing: it is one of those that must be imported first.
    """
    if name in IMPORTABLE:
        raise DatasetMissing(
            f"The data set {name} is not on this machine. Bring it with: {import_command(name)}",
            details={"name": name, "command": import_command(name)},
        )
    if name not in BUILTIN:
        raise ValidationFailed.field("config.dataset.type", f"{name[:60]!r} is none of {', '.join(BUILTIN)}")
    x, y, feature_names = read_builtin(name)
    return Samples(x=x, y=y, classes=BUILTIN[name].classes, feature_names=feature_names)


def fetch(reference: Mapping[str, Any]) -> Samples:
    """
    The samples that a plan refers to.

    Args:
        reference: `{"kind": "builtin", "name"}` or `{"kind": "file", "path", "digest"}`, written by
            `Samples.save`.

    Raises:
        DatasetMissing: the file is gone.
        ArtifactCorrupt: the file is not what it was.
    """
    if reference["kind"] == "builtin":
        return load_builtin(str(reference["name"]))
    path = Path(str(reference["path"]))
    if not path.is_file():
        raise DatasetMissing("The data set's file is not on this machine.", details={"digest": reference.get("digest")})
    return Samples.load(path, reference.get("digest"))
