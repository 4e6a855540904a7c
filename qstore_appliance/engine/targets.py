"""
What a regression learns: a measured label, a label that is a number, or one of the columns.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.samples import Samples
from qstore_appliance.errors import ValidationFailed

_FIELD = "config.dataset.target"


class Measured(NamedTuple):
    """Samples without the column that is learned, its values [n] and its name."""

    samples: Samples
    values: NDArray[np.float64]
    name: str


def measured(samples: Samples, column: str | None = None) -> Measured:
    """
    Args:
        column: the name of the column to learn; None learns the label.

    Raises:
        ValidationFailed: `config.dataset.target`: there is no such column, or labels that are no finite numbers.
    """
    if column is not None:
        if column not in samples.feature_names:
            known = ", ".join(samples.feature_names[:20])
            raise ValidationFailed.field(_FIELD, f"there is no column {column[:60]!r}; the data set has {known}")
        if samples.n_features < 2:
            raise ValidationFailed.field(_FIELD, "no column is left to learn from")
        place = samples.feature_names.index(column)
        rest = replace(
            samples,
            x=np.ascontiguousarray(np.delete(samples.x, place, axis=1)),
            feature_names=samples.feature_names[:place] + samples.feature_names[place + 1 :],
        )
        return _whole(rest, samples.x[:, place].astype(np.float64), column)
    if samples.targets is not None:
        return _whole(samples, samples.targets, "value")
    try:
        numbers = np.array([float(name) for name in samples.classes])
    except ValueError:
        words = ", ".join(samples.classes[:3])
        raise ValidationFailed.field(
            _FIELD, f"the labels ({words}, …) are no numbers; name a column to learn, or classify"
        ) from None
    return _whole(samples, numbers[samples.y], "label")


def _whole(samples: Samples, values: NDArray[np.float64], name: str) -> Measured:
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise ValidationFailed.field(_FIELD, f"row {row} is not a finite number: {values[row]}")
    if np.abs(values).max() > math.sqrt(np.finfo(np.float64).max) / len(values):
        raise ValidationFailed.field(_FIELD, "its values are too large to be squared")
    return Measured(samples, values, name)
