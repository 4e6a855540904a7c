"""
How many rows train, validate and test. Light: a submitted job is checked with it before anything is loaded.
"""

from __future__ import annotations

from typing import NamedTuple

from qstore_appliance.errors import ValidationFailed


class PartSizes(NamedTuple):
    """Rows of each part; `official` if the test part is the one that the publisher of the data drew."""

    train: int
    validation: int
    test: int
    official: bool


def part_sizes(
    n_samples: int, n_classes: int, train_size: int | None, val_size: int | None, n_reference: int = 0
) -> PartSizes:
    """
    Args:
        n_samples, n_classes: that take part.
        train_size, val_size: as asked for; None takes the default: 80 % train, 10 % validate, 10 % test.
        n_reference: rows of the publisher's training part; 0 if there is none. Where it is large enough, the
            publisher's test part is the test part, and by default nine tenths of the rest train.

    Raises:
        ValidationFailed: `config.dataset.train_size` or `.val_size`.
    """
    official = 0 < n_reference < n_samples and (train_size or 0) + (val_size or 0) <= n_reference
    pool = n_reference if official else n_samples
    share = pool // 10
    if val_size is None:
        left = pool - (train_size or 0)
        val_size = share if train_size is None else max(0, min(share, left if official else left // 2))
    if train_size is None:
        train_size = pool - val_size - (0 if official else share)
    if not 0 <= val_size < pool:
        raise ValidationFailed.field("config.dataset.val_size", f"{val_size} of {pool} samples cannot validate")
    if train_size < n_classes:
        raise ValidationFailed.field(
            "config.dataset.train_size", f"{train_size} samples cannot show {n_classes} classes"
        )
    if train_size + val_size > pool:
        raise ValidationFailed.field(
            "config.dataset.train_size", f"train_size + val_size is {train_size + val_size}; there are {pool} samples"
        )
    return PartSizes(train_size, val_size, n_samples - (n_reference if official else train_size + val_size), official)
