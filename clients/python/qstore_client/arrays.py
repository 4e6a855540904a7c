"""Arrays and data frames as the API takes them. numpy is imported where somebody brings an array, and not before."""

from __future__ import annotations

import io
import json
from typing import Any


def encoded(body: Any) -> bytes:
    """
    A body as JSON; times, and the numbers and arrays of numpy, are written as what they mean.

    Raises:
        ValueError: NaN or infinity, which JSON has not.
    """
    return json.dumps(body, default=_plain, allow_nan=False, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    for name in ("isoformat", "tolist"):
        if hasattr(value, name):
            return getattr(value, name)()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def rows(inputs: Any) -> list[list[float]]:
    """
    Samples for `predict`: a list of lists, a numpy array, a data frame, or whatever has `tolist`.

    Raises:
        ValueError: It has not two dimensions.
    """
    if hasattr(inputs, "to_numpy"):
        inputs = inputs.to_numpy()
    if getattr(inputs, "ndim", 2) > 2:
        inputs = inputs.reshape(len(inputs), -1)
    found = inputs.tolist() if hasattr(inputs, "tolist") else [_row(one) for one in inputs]
    if not isinstance(found, list) or not all(isinstance(one, list) for one in found):
        raise ValueError("inputs have one row for each sample: two dimensions, even for a single sample")
    return found


def _row(sample: Any) -> Any:
    if hasattr(sample, "tolist"):
        return sample.tolist()
    return list(sample) if isinstance(sample, (list, tuple)) else sample


def npz(x: Any, y: Any) -> bytes:
    """Arrays as an upload: `x` with one row for each sample, `y` with its label or number."""
    import numpy as np

    labels = np.asarray(y)
    if labels.dtype == object:
        # A data frame's column of texts; pickles are refused by the server, unread.
        labels = labels.astype(str)
    written = io.BytesIO()
    np.savez_compressed(written, x=np.asarray(x), y=labels)
    return written.getvalue()


def csv(frame: Any) -> bytes:
    """A data frame of pandas as an upload."""
    return str(frame.to_csv(index=False)).encode()
