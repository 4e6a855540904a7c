"""
Which rows train, which validate, which test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.part_sizes import part_sizes
from qstore_appliance.engine.samples import Samples
from qstore_appliance.engine.streams import generator
from qstore_appliance.errors import ValidationFailed

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """
    Attributes:
        train, validation, test: row numbers of the data set, ascending; no row is in two of them.
        y: [n_samples] class of each row among `classes`; -1 for rows of classes that take no part.
        classes: names of the classes that take part, in the data set's own order.
    """

    train: Rows
    validation: Rows
    test: Rows
    y: NDArray[np.int64]
    classes: tuple[str, ...]


def split(
    samples: Samples,
    train_size: int | None = None,
    val_size: int | None = None,
    classes: Sequence[object] | None = None,
    seed: int = 0,
) -> Split:
    """
    Draw the parts, keeping the proportions of the classes.

    What neither trains nor validates is the test part. By default 80 % train, 10 % validate and 10 % test. Where the
    publisher of the data drew a test part (MNIST) and the publisher's training part is large enough, exactly that test
    part is used, and by default nine tenths of the rest train.

    Raises:
        ValidationFailed: `config.dataset.classes`, `.train_size` or `.val_size` cannot be had from these samples.
    """
    y, names = _chosen(samples, classes)
    pool = np.flatnonzero(y >= 0)
    n_reference = int(np.count_nonzero(pool < samples.n_reference))
    sizes = part_sizes(len(pool), len(names), train_size, val_size, n_reference)
    test = pool[n_reference:]
    if sizes.official:
        pool = pool[:n_reference]

    random = generator(seed, "split")
    shuffled = [random.permutation(pool[y[pool] == index]) for index in range(len(names))]
    available = np.array([len(rows) for rows in shuffled])
    n_train = _apportion(available, sizes.train)
    n_val = _apportion(available - n_train, sizes.validation)
    train = [rows[:count] for rows, count in zip(shuffled, n_train, strict=True)]
    validation = [rows[t : t + v] for rows, t, v in zip(shuffled, n_train, n_val, strict=True)]
    if min(len(rows) for rows in train) == 0:
        absent = names[int(np.argmin(n_train))]
        raise ValidationFailed.field("config.dataset.train_size", f"no sample of class {absent!r} is left to train on")
    if not sizes.official:
        test = np.concatenate([rows[t + v :] for rows, t, v in zip(shuffled, n_train, n_val, strict=True)])
    return Split(np.sort(np.concatenate(train)), np.sort(np.concatenate(validation)), np.sort(test), y, names)


def _chosen(samples: Samples, classes: Sequence[object] | None) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    if classes is None:
        return samples.y, samples.classes
    wanted = {str(name) for name in classes}
    for name in sorted(wanted - set(samples.classes)):
        known = ", ".join(samples.classes[:20])
        raise ValidationFailed.field(
            "config.dataset.classes", f"there is no class {name[:60]!r}; the data set has {known}"
        )
    if len(wanted) < 2:
        raise ValidationFailed.field("config.dataset.classes", "name at least two different classes")
    number = np.full(len(samples.classes), -1, dtype=np.int64)
    kept = [index for index, name in enumerate(samples.classes) if name in wanted]
    number[kept] = np.arange(len(kept))
    return number[samples.y], tuple(samples.classes[index] for index in kept)


def _apportion(available: NDArray[np.int64], seats: int) -> NDArray[np.int64]:
    """Seats per class in proportion to its size, by largest remainder (ties to the earlier class); never above it."""
    total = int(available.sum())
    if total == 0:
        return np.zeros_like(available)
    whole, remainder = np.divmod(available * seats, total)
    left = seats - int(whole.sum())
    order = np.lexsort((np.arange(len(available)), -remainder))
    whole[order[:left]] += 1
    return whole
