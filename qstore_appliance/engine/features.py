"""
From raw columns to the few numbers that a circuit reads: reduce, scale, and what the encoding makes of them. Fitted on
the training part alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.expansion import n_expanded, preparation_angles, products
from qstore_appliance.errors import ValidationFailed

METHODS = ("pca", "resize", "none")
SCALES = ("angle", "standard", "none")
_FIELD = "config.dataset.features"
_BLOCK = 4096
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Features:
    """
    A fitted transform: `(x - mean) @ matrix`, then `(z - offset) * factor`, then clipped to ±`bound`, then expanded.

    Attributes:
        method, scale: as configured.
        n_inputs: raw columns expected.
        mean: [n_inputs] or None; matrix: [n_inputs, n_scaled] or None for the identity.
        offset, factor: [n_scaled]; bound: inf where nothing is clipped.
        expansion: of `expansion.EXPANSIONS`; room: amplitudes that there is room for, 0 for other expansions.
    """

    method: str
    scale: str
    n_inputs: int
    mean: Floats | None
    matrix: Floats | None
    offset: Floats
    factor: Floats
    bound: float
    expansion: str = "none"
    room: int = 0

    @property
    def n_scaled(self) -> int:
        """Numbers per sample after reducing and scaling: what a classical model on the same features sees."""
        return len(self.factor)

    @property
    def count(self) -> int:
        """Numbers per sample that the circuit reads."""
        return n_expanded(self.expansion, self.room or self.n_scaled)

    @classmethod
    def nothing(cls) -> Features:
        """Of a circuit that reads no data."""
        return cls("none", "none", 0, None, None, np.zeros(0), np.ones(0), math.inf)

    @classmethod
    def fit(
        cls,
        config: Mapping[str, Any] | None,
        x_train: NDArray[Any],
        n_features: int,
        default_scale: str = "angle",
        expansion: str = "none",
    ) -> Features:
        """
        Fit on the training rows.

        Args:
            config: `{"method", "count", "scale"}`, each optional. Without a method the raw columns are taken as they
                are if they are exactly `n_features`, else their principal components.
            x_train: [n, columns] real numbers.
            n_features: how many numbers the circuit reads; without an expansion the only count there can be.
            default_scale: what `scale` means when it is not given; amplitudes are never scaled by default.
            expansion: what the encoding makes of the scaled numbers.

        Raises:
            ValidationFailed: `config.dataset.features.…`, or values that are not finite.
        """
        config = config or {}
        n, n_inputs = x_train.shape
        room = n_features + 1 if expansion == "amplitude" else 0
        fitting = _count_for(expansion, n_features)
        wanted = min(room, n_inputs) if room else fitting
        count = wanted if config.get("count") is None else int(config["count"])
        method = config.get("method") or ("none" if n_inputs == count else "pca")
        scale = config.get("scale") or ("none" if room else default_scale)
        if method not in METHODS:
            raise ValidationFailed.field(f"{_FIELD}.method", f"{str(method)[:40]!r} is none of {', '.join(METHODS)}")
        if scale not in SCALES:
            raise ValidationFailed.field(f"{_FIELD}.scale", f"{str(scale)[:40]!r} is none of {', '.join(SCALES)}")
        if count > room if room else count != fitting:
            most = f"at most {room}" if room else f"{fitting}"
            raise ValidationFailed.field(f"{_FIELD}.count", f"the circuit reads {most} features, not {count}")
        if method == "none" and count != n_inputs:
            raise ValidationFailed.field(
                f"{_FIELD}.method", f"the data set has {n_inputs} columns and the circuit reads {count}; try pca"
            )
        if count > n_inputs or (method == "pca" and count > n - 1):
            raise ValidationFailed.field(
                f"{_FIELD}.count", f"{count} features cannot be drawn from {n} rows of {n_inputs} columns"
            )
        centre, covariance = _moments(x_train)
        mean, matrix = None, None
        if method == "pca":
            mean, matrix = centre, _principal_axes(covariance(), count)
        elif method == "resize":
            matrix = _area_average(n_inputs, count)
        plain = cls(method, scale, n_inputs, mean, matrix, np.zeros(count), np.ones(count), math.inf)
        return replace(plain._scaled(plain.transform(x_train)), expansion=expansion, room=room)

    def _scaled(self, z: Floats) -> Features:
        offset, factor, bound = self.offset, self.factor, self.bound
        if self.scale == "angle":
            largest = np.abs(z).max(axis=0)
            factor = np.divide(np.pi / 2, largest, out=np.zeros_like(largest), where=largest > 0)
            bound = math.pi / 2
        elif self.scale == "standard":
            offset = z.mean(axis=0)
            spread = z.std(axis=0)
            factor = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
        return replace(self, offset=offset, factor=factor, bound=bound)

    def transform(self, x: NDArray[Any]) -> Floats:
        """
        [n, n_inputs] raw numbers → [n, count] float64.

        Raises:
            ValidationFailed: `config.encoding.type`: a sample of zeros cannot be amplitudes.
        """
        return self.expanded(self.scaled(x))

    def expanded(self, z: Floats) -> Floats:
        """[n, n_scaled] → [n, count]"""
        if self.expansion == "iqp":
            return products(z)
        return preparation_angles(z, self.room) if self.expansion == "amplitude" else z

    def scaled(self, x: NDArray[Any]) -> Floats:
        """[n, n_inputs] raw numbers → [n, n_scaled] float64."""
        result = np.empty((len(x), self.n_scaled))
        for start in range(0, len(x), _BLOCK):
            z = np.asarray(x[start : start + _BLOCK], dtype=np.float64)
            if self.mean is not None:
                z = z - self.mean
            if self.matrix is not None:
                z = z @ self.matrix
            np.multiply(z - self.offset, self.factor, out=result[start : start + _BLOCK])
        return np.clip(result, -self.bound, self.bound, out=result) if math.isfinite(self.bound) else result

    def to_state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and a JSON document; `from_state` gives back the same transform, bit for bit."""
        arrays: dict[str, NDArray[Any]] = {"offset": self.offset, "factor": self.factor}
        if self.mean is not None:
            arrays["mean"] = self.mean
        if self.matrix is not None:
            arrays["matrix"] = self.matrix
        return arrays, {
            "method": self.method,
            "scale": self.scale,
            "n_inputs": self.n_inputs,
            "clipped": math.isfinite(self.bound),
            "expansion": self.expansion,
            "room": self.room,
        }

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], document: Mapping[str, Any]) -> Features:
        return cls(
            method=document["method"],
            scale=document["scale"],
            n_inputs=document["n_inputs"],
            mean=arrays.get("mean"),
            matrix=arrays.get("matrix"),
            offset=arrays["offset"],
            factor=arrays["factor"],
            bound=math.pi / 2 if document["clipped"] else math.inf,
            expansion=document.get("expansion", "none"),
            room=document.get("room", 0),
        )


def _count_for(expansion: str, n_features: int) -> int:
    """Scaled numbers from which an expansion makes `n_features`."""
    if expansion != "iqp":
        return n_features
    return next(count for count in range(n_features + 1) if n_expanded("iqp", count) >= n_features)


def _moments(x: NDArray[Any]) -> tuple[Floats, Callable[[], Floats]]:
    """The mean, and a function for the covariance (only PCA pays for it); a block of rows at a time."""
    total = np.zeros(x.shape[1])
    for start in range(0, len(x), _BLOCK):
        block = x[start : start + _BLOCK].astype(np.float64)
        if not np.isfinite(block).all():
            row, column = np.argwhere(~np.isfinite(block))[0]
            raise ValidationFailed.field(
                "config.dataset", f"a feature is not finite: row {start + row}, column {column}"
            )
        total += block.sum(axis=0)
    mean = total / len(x)

    def covariance() -> Floats:
        products = np.zeros((x.shape[1], x.shape[1]))
        for start in range(0, len(x), _BLOCK):
            centred = x[start : start + _BLOCK].astype(np.float64) - mean
            products += centred.T @ centred
        return products / max(len(x) - 1, 1)

    return mean, covariance


def _principal_axes(covariance: Floats, count: int) -> Floats:
    """[n_inputs, count]; largest variance first, each axis with its largest component positive."""
    _, axes = np.linalg.eigh(covariance)
    chosen = axes[:, ::-1][:, :count]
    largest = np.abs(chosen).argmax(axis=0)
    return np.ascontiguousarray(chosen * np.sign(chosen[largest, np.arange(count)]))


def _area_average(n_inputs: int, count: int) -> Floats:
    """
    Average over equal areas: of a square image if the numbers allow it (8 features are 2 rows of 4), else along a line.
    """
    side = math.isqrt(n_inputs)
    if side * side != n_inputs:
        return _overlaps(n_inputs, count).T
    rows = next(rows for rows in range(math.isqrt(count), 0, -1) if count % rows == 0)
    if count // rows > side:
        return _overlaps(n_inputs, count).T
    return np.asarray(np.kron(_overlaps(side, rows), _overlaps(side, count // rows)).T, dtype=np.float64)


def _overlaps(n: int, count: int) -> Floats:
    """[count, n]: how much of each of n unit cells lies in each of `count` equal stretches, as an average."""
    edges = np.linspace(0.0, n, count + 1)
    cells = np.arange(n)
    low = np.maximum(edges[:-1, None], cells[None, :])
    high = np.minimum(edges[1:, None], cells[None, :] + 1.0)
    return np.asarray(np.maximum(high - low, 0.0) * (count / n), dtype=np.float64)
