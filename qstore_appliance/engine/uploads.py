"""
Reading what users upload: CSV with a header line, NPZ with `x` and `y`. Memory stays within the limits given.
"""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine import archive
from qstore_appliance.engine.samples import MAX_CLASSES, MAX_LABEL_LENGTH, Samples
from qstore_appliance.errors import TooLarge, ValidationFailed

_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
_MAX_LINE = 1 << 20


@dataclass(frozen=True)
class UploadLimits:
    """The most that one data set may hold; 64 million numbers are 512 MB in memory."""

    max_bytes: int = 2_000_000_000
    max_rows: int = 10_000_000
    max_columns: int = 10_000
    max_cells: int = 64_000_000


def read_csv(path: Path, label: str | None = None, limits: UploadLimits | None = None) -> Samples:
    """
    Read a table of numbers with one column of labels.

    Args:
        path: the file; UTF-8, comma separated, the first line names the columns.
        label: the column with the classes; the last one if None.
        limits: bounds on bytes, rows, columns and cells.

    Raises:
        ValidationFailed: what is wrong, with row (the header is row 1) and column.
        TooLarge: a limit was met.
    """
    limits = limits or UploadLimits()
    if path.stat().st_size > limits.max_bytes:
        raise TooLarge(f"The file is larger than {limits.max_bytes} bytes.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return _read_table(csv.reader(_lines(stream), strict=True), label, limits)
    except UnicodeDecodeError as error:
        raise _refuse("this is not UTF-8 text") from error
    except csv.Error as error:
        raise _refuse(f"this is not well-formed CSV: {error}") from error


def _refuse(message: str) -> ValidationFailed:
    return ValidationFailed.field("file", message)


def _lines(stream: IO[str]) -> Iterator[str]:
    while line := stream.readline(_MAX_LINE + 1):
        if len(line) > _MAX_LINE:
            raise TooLarge(f"A line is longer than {_MAX_LINE} characters.")
        yield line


def _read_table(reader: Iterator[list[str]], label: str | None, limits: UploadLimits) -> Samples:
    names = [name.strip() for name in next(reader, [])]
    position = _check_header(names, label, limits)
    values, labels = array("d"), _Labels(names[position])
    rows = 0
    for row, cells in enumerate(reader, start=2):
        if not cells:
            continue  # a blank line, usually the last
        if len(cells) != len(names):
            raise _refuse(f"row {row} has {len(cells)} cells; the header names {len(names)} columns")
        rows += 1
        if rows > limits.max_rows:
            raise TooLarge(f"The table has more than {limits.max_rows} rows.")
        if rows * (len(names) - 1) > limits.max_cells:
            raise TooLarge(f"The table has more than {limits.max_cells} cells.")
        labels.add(cells.pop(position).strip(), row)
        try:
            values.extend(map(float, cells))
        except ValueError:
            raise _bad_cell(cells, row, names, position) or _refuse(f"row {row} cannot be read") from None
        # Only a suspicion at first: a sum of finite numbers may overflow as well.
        suspicious = not math.isfinite(sum(values[-len(cells) :])) or any("_" in cell for cell in cells)
        if suspicious and (bad := _bad_cell(cells, row, names, position)):
            raise bad
    if rows < 2:
        raise _refuse("the table has fewer than two rows of data")
    x = np.frombuffer(values, dtype=np.float64).reshape(rows, len(names) - 1)
    features = tuple(name for index, name in enumerate(names) if index != position)
    if labels.measured is not None:
        return _measured(x, np.frombuffer(labels.measured, dtype=np.float64), features)
    return _assemble(x, np.frombuffer(labels.places, dtype=np.int64), list(labels.numbers), features)


def _check_header(names: list[str], label: str | None, limits: UploadLimits) -> int:
    """Returns: the position of the label's column."""
    if len(names) < 2:
        raise _refuse("the first line must name at least two columns: features and a label")
    if len(names) > limits.max_columns:
        raise TooLarge(f"The table has more than {limits.max_columns} columns.")
    if all(_is_number(name) for name in names):
        raise _refuse("the first line holds numbers; it must name the columns")
    for index, name in enumerate(names):
        if not name:
            names[index] = f"column_{index + 1}"
        elif len(name) > MAX_LABEL_LENGTH or not name.isprintable():
            raise _refuse(f"the name of column {index + 1} is too long or holds control characters")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise _refuse(f"two columns are named {twice!r}")
    if label is None:
        return len(names) - 1
    if label not in names:
        raise ValidationFailed.field("label", f"there is no column {label[:60]!r}; there are {', '.join(names[:20])}")
    return names.index(label)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class _Labels:
    """
    The column of labels as it is read: classes, until there are more of them than classes may be. If they are all numbers
    they are measurements from then on, for a regression.

    Attributes:
        places: each row's class among `numbers`.
        measured: each row's number, once labels are measurements.
    """

    def __init__(self, column: str) -> None:
        self._column = column
        self.numbers: dict[str, int] = {}
        self.places = array("q")
        self.measured: array[float] | None = None

    def add(self, label: str, row: int) -> None:
        if self.measured is not None:
            self.measured.append(self._measurement(label, row))
            return
        known = self.numbers.get(label)
        if known is None:
            known = self._new(label, row)
            if known is None:
                return
        self.places.append(known)

    def _new(self, label: str, row: int) -> int | None:
        place = f"row {row}, column {self._column!r}"
        if label.lower() in _MISSING:
            raise _refuse(f"{place}: the label is missing")
        if len(label) > MAX_LABEL_LENGTH or not label.isprintable():
            raise _refuse(f"{place}: a label is too long or holds control characters")
        if len(self.numbers) < MAX_CLASSES:
            return self.numbers.setdefault(label, len(self.numbers))
        if not all(map(_is_number, self.numbers)):
            raise _refuse(
                f"column {self._column!r} has more than {MAX_CLASSES} different labels, and they are no numbers"
            )
        values = [self._measurement(known, row) for known in self.numbers]
        self.measured = array("d", [values[known] for known in self.places])
        self.measured.append(self._measurement(label, row))
        return None

    def _measurement(self, label: str, row: int) -> float:
        if "_" in label or not _is_number(label) or not math.isfinite(float(label)):
            raise _refuse(
                f"row {row}, column {self._column!r}: {label[:40]!r} is not a finite number, where there are more labels "
                f"than the {MAX_CLASSES} that may be classes"
            )
        return float(label)


def _bad_cell(cells: list[str], row: int, names: list[str], position: int) -> ValidationFailed | None:
    columns = [name for index, name in enumerate(names) if index != position]
    for column, cell in zip(columns, cells, strict=True):
        place = f"row {row}, column {column!r}"
        if cell.strip().lower() in _MISSING:
            return _refuse(f"{place}: a value is missing")
        if not _is_number(cell) or "_" in cell:
            return _refuse(f"{place}: {cell.strip()[:40]!r} is not a number")
        if not math.isfinite(float(cell)):
            return _refuse(f"{place}: {cell.strip()[:40]!r} is not a finite number")
    return None


def read_npz(path: Path, limits: UploadLimits | None = None) -> Samples:
    """
    Read `x` (numbers, two dimensions or more; flattened to rows) and `y` (one label per row).

    Raises:
        ValidationFailed: not such a file; objects (pickles) are refused unread.
        TooLarge: it would unpack to more than the limits, or it is compressed beyond belief.
    """
    limits = limits or UploadLimits()
    if path.stat().st_size > limits.max_bytes:
        raise TooLarge(f"The file is larger than {limits.max_bytes} bytes.")
    arrays, _ = archive.read(path, archive.Bounds(total_bytes=limits.max_bytes), only=frozenset({"x", "y"}))
    if set(arrays) != {"x", "y"}:
        raise _refuse("the archive must hold two arrays, `x` and `y`")
    x, y = arrays["x"], arrays["y"]
    if x.dtype.kind not in "biuf" or x.dtype.itemsize > 8:
        raise _refuse(f"`x` has dtype {x.dtype}; it must hold real numbers")
    if x.ndim < 2 or x.shape[0] < 2 or 0 in x.shape:
        raise _refuse(f"`x` has shape {x.shape}; it needs at least two rows of at least one number")
    if x.shape[0] > limits.max_rows or x.size > limits.max_cells:
        raise TooLarge(f"`x` is larger than {limits.max_rows} rows or {limits.max_cells} numbers.")
    x = x.reshape(x.shape[0], -1)
    if x.shape[1] > limits.max_columns:
        raise TooLarge(f"`x` has more than {limits.max_columns} numbers a row.")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        row, column = np.argwhere(~np.isfinite(x))[0]
        raise _refuse(f"x[{row}, {column}] is not a finite number")
    if x.dtype != np.uint8:
        x = np.ascontiguousarray(x, dtype=np.float64)
    features = tuple(f"x_{index}" for index in range(x.shape[1]))
    labels = _labels(y, x.shape[0])
    if labels.dtype.kind == "f":
        return _measured(x, labels, features)
    names, numbers = np.unique(labels, return_inverse=True)
    if len(names) > MAX_CLASSES:
        if names.dtype.kind in "biu":
            return _measured(x, labels.astype(np.float64), features)
        raise _refuse(f"`y` has more than {MAX_CLASSES} different labels, and they are no numbers")
    texts = [str(name) for name in names.tolist()]
    if any(len(text) > MAX_LABEL_LENGTH or not text.isprintable() or not text for text in texts):
        raise _refuse("a label in `y` is empty, too long or holds control characters")
    return _assemble(x, numbers.astype(np.int64), texts, features)


def _labels(y: NDArray[Any], n: int) -> NDArray[Any]:
    if y.shape == (n, 1):
        y = y.reshape(n)
    if y.shape != (n,):
        raise _refuse(f"`y` has shape {y.shape}; it needs one label for each of the {n} rows of `x`")
    if y.dtype.kind == "f":
        if not np.isfinite(y).all():
            raise _refuse(f"y[{int(np.argmin(np.isfinite(y)))}] is not a finite number")
        # Whole numbers are classes, anything else is a measurement.
        whole = (y == np.rint(y)).all() and np.abs(y).max() <= 2**53
        return y.astype(np.int64) if whole else y.astype(np.float64)
    if y.dtype.kind == "S":
        try:
            return np.char.decode(y, "utf-8")
        except UnicodeDecodeError as error:
            raise _refuse("a label in `y` is not UTF-8 text") from error
    if y.dtype.kind == "U" and y.dtype.itemsize:
        # A file can hold any 32 bits where numpy expects a code point, and dies in C on what is none.
        points = np.ascontiguousarray(y.astype(y.dtype.newbyteorder("="))).view(np.uint32)
        if ((points > 0x10FFFF) | ((points >= 0xD800) & (points <= 0xDFFF))).any():
            raise _refuse("a label in `y` is not Unicode text")
    if y.dtype.kind not in "biuU":
        raise _refuse(f"`y` has dtype {y.dtype}; it must hold whole numbers or text")
    return y


def _measured(x: NDArray[Any], values: NDArray[np.float64], features: tuple[str, ...]) -> Samples:
    if values.min() == values.max():
        raise _refuse("all rows have the same label; there is nothing to learn")
    return Samples(x=x, y=np.zeros(len(values), np.int64), classes=(), feature_names=features, targets=values)


def _assemble(x: NDArray[Any], y: NDArray[np.int64], names: list[str], features: tuple[str, ...]) -> Samples:
    """Classes in natural order: by value where all are whole numbers, else by name."""
    if len(names) < 2:
        raise _refuse("all rows have the same label; at least two classes are needed")
    whole = all(name.lstrip("-").isdecimal() and name.isascii() and name.count("-") <= 1 for name in names)
    order = sorted(
        range(len(names)), key=lambda index: (int(names[index]), names[index]) if whole else (0, names[index])
    )
    number = np.empty(len(names), dtype=np.int64)
    number[order] = np.arange(len(names))
    return Samples(x=x, y=number[y], classes=tuple(names[index] for index in order), feature_names=features)
