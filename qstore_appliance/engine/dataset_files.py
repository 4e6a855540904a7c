"""
The built-in data sets as scikit-learn's wheel carries them, read without importing scikit-learn.

Importing it takes longer than anything else that a training needs before its first epoch, mostly for scipy's statistics;
a job that goes on after a restart would wait for that. The files are small tables of numbers, the label last.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.errors import DatasetMissing

_CELLS: Final = (
    *("radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points"),
    *("symmetry", "fractal dimension"),
)


class _Table(NamedTuple):
    """
    Attributes:
        file: Its name in the wheel; numpy unpacks what is packed.
        headings: Lines before the first sample.
        features: What the columns are called.
    """

    file: str
    headings: int
    features: tuple[str, ...]


_TABLES: Final = {
    "digits": _Table("digits.csv.gz", 0, tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8))),
    "iris": _Table("iris.csv", 1, ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")),
    "wine": _Table(
        "wine_data.csv",
        1,
        (
            *("alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids"),
            *("nonflavanoid_phenols", "proanthocyanins", "color_intensity", "hue", "od280/od315_of_diluted_wines"),
            "proline",
        ),
    ),
    "breast_cancer": _Table(
        "breast_cancer.csv",
        1,
        (
            *(f"mean {cell}" for cell in _CELLS),
            *(f"{cell} error" for cell in _CELLS),
            *(f"worst {cell}" for cell in _CELLS),
        ),
    ),
}


def read_builtin(name: str) -> tuple[NDArray[np.float64], NDArray[np.int64], tuple[str, ...]]:
    """
    Features, labels and the features' names.

    Raises:
        DatasetMissing: scikit-learn is not installed, or without its data sets.
    """
    table = _TABLES[name]
    try:
        rows: NDArray[Any] = np.loadtxt(_folder() / table.file, delimiter=",", skiprows=table.headings, ndmin=2)
    except OSError as error:
        raise DatasetMissing(f"The data set {name} is not in scikit-learn's package: {error.strerror}.") from error
    return np.ascontiguousarray(rows[:, :-1]), rows[:, -1].astype(np.int64), table.features


def _folder() -> Path:
    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        raise DatasetMissing("scikit-learn is not installed; the built-in data sets are a part of it.")
    return Path(found.origin).parent / "datasets" / "data"
