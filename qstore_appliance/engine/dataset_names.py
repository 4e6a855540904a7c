"""
Names, sizes and digests of the known data sets. Light on purpose: the serving process lists them without numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Summary:
    """What a listing says of a data set before anybody opens it."""

    n_samples: int
    n_features: int
    classes: tuple[str, ...]
    description: str


_DIGITS = tuple(str(digit) for digit in range(10))

#: Data sets that come with the installation, inside scikit-learn's wheel.
BUILTIN: Mapping[str, Summary] = MappingProxyType(
    {
        "digits": Summary(1797, 64, _DIGITS, "Handwritten digits, 8x8 grey images (UCI optical recognition)."),
        "iris": Summary(150, 4, ("setosa", "versicolor", "virginica"), "Iris flowers, four lengths (Fisher 1936)."),
        "wine": Summary(178, 13, ("class_0", "class_1", "class_2"), "Italian wines, chemical analysis (UCI)."),
        "breast_cancer": Summary(569, 30, ("malignant", "benign"), "Breast cancer cell nuclei, Wisconsin (UCI)."),
    }
)

#: Data sets that an operator imports from the four original idx files.
IMPORTABLE: Mapping[str, Summary] = MappingProxyType(
    {
        "mnist": Summary(70_000, 784, _DIGITS, "Handwritten digits, 28x28 grey images (LeCun, Cortes, Burges)."),
        "fashion_mnist": Summary(
            70_000,
            784,
            (
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ),
            "Articles of clothing, 28x28 grey images (Zalando Research).",
        ),
    }
)

#: File stems of an idx data set: images and labels of the training part, then of the test part.
IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

#: Accepted digests: SHA-256 of the published `.gz` file, MD5 of the same file unpacked. The settings replace single
#: entries by `[dataset_digests.<name>]`.
IDX_DIGESTS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "mnist": MappingProxyType(
            {
                "train-images-idx3-ubyte": (
                    "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                    "md5:6bbc9ace898e44ae57da46a324031adb",
                ),
                "train-labels-idx1-ubyte": (
                    "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                    "md5:a25bea736e30d166cdddb491f175f624",
                ),
                "t10k-images-idx3-ubyte": (
                    "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                    "md5:2646ac647ad5339dbf082846283269ea",
                ),
                "t10k-labels-idx1-ubyte": (
                    "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                    "md5:27ae3e4e09519cfbb04c329615203637",
                ),
            }
        ),
        "fashion_mnist": MappingProxyType(
            {
                "train-images-idx3-ubyte": (
                    "sha256:3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                    "md5:f4a8712d7a061bf5bd6d2ca38dc4d50a",
                ),
                "train-labels-idx1-ubyte": (
                    "sha256:a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                    "md5:9018921c3c673c538a1fc5bad174d6f9",
                ),
                "t10k-images-idx3-ubyte": (
                    "sha256:346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                    "md5:8181f5470baa50b63fa0f6fddb340f0a",
                ),
                "t10k-labels-idx1-ubyte": (
                    "sha256:67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                    "md5:15d484375f8d13e6eb1aabb0c3f46965",
                ),
            }
        ),
    }
)


def import_command(name: str) -> str:
    """The command that brings an importable data set, for DATASET_MISSING."""
    return f"qstore dataset import {name} FOLDER"
