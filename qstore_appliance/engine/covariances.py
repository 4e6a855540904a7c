"""
What shots leave open of anything that is made of expectation values: its standard error.

Observables that one measurement serves err together. The covariance of two of them is that of their product,
⟨PQ⟩ - ⟨P⟩⟨Q⟩, and the product is read from the same measurement: asking for it costs no further circuit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.observables import Observable
from qstore_appliance.engine.shots import measurements

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Products that are read beside a readout; where there are more, errors that may go together are added up.
MOST_PRODUCTS: Final = 1_024
_AT_ONCE: Final = 2**21


@dataclass(frozen=True, eq=False)
class Covariances:
    """
    Attributes:
        observables: What to read: the readout, then the products of those that one measurement serves.
        n_readout: How many of them are the readout.
        groups: The readout's positions by measurement.
        pairs: [n_pairs, 3]: two positions of the readout in one measurement, and that of their product; None where there
            are too many products.
    """

    observables: tuple[Observable, ...]
    n_readout: int
    groups: tuple[tuple[int, ...], ...]
    pairs: Integers | None

    @classmethod
    def of(cls, readout: Sequence[Observable]) -> Covariances:
        places: dict[Observable, int] = {}
        for position, observable in enumerate(readout):
            places.setdefault(observable, position)
        groups = tuple(tuple(members) for _, members in measurements(readout))
        asked = list(readout)
        pairs: list[tuple[int, int, int]] = []
        for members in groups:
            for i, j in combinations(members, 2):
                found = product(readout[i], readout[j])
                if found not in places:
                    places[found] = len(asked)
                    asked.append(found)
                pairs.append((i, j, places[found]))
            if len(asked) > len(readout) + MOST_PRODUCTS:
                return cls(tuple(readout), len(readout), groups, None)
        return cls(tuple(asked), len(readout), groups, np.array(pairs, np.int64).reshape(-1, 3))

    def standard_errors(self, expectations: Floats, slopes: Floats, shots: int) -> Floats:
        """
        Of outputs, as far as they are linear in the expectations where those lie.

        With too many products, and from a single shot, which says nothing of its spread, it is at most so much.

        Args:
            expectations: [batch, n], estimates of `observables`.
            slopes: [batch or 1, n_outputs, n_readout], the outputs' derivatives by the readout's expectations.
            shots: Of each measurement.

        Returns:
            [batch, n_outputs]
        """
        out = np.empty((len(expectations), slopes.shape[1]))
        n_pairs = 0 if self.pairs is None else len(self.pairs)
        step = max(1, _AT_ONCE // max(1, n_pairs, slopes.shape[1] * self.n_readout))
        for first in range(0, len(out), step):
            rows = slice(first, first + step)
            own = slopes if len(slopes) == 1 else slopes[rows]
            out[rows] = self._errors(expectations[rows], own, shots)
        return out

    def _errors(self, expectations: Floats, slopes: Floats, shots: int) -> Floats:
        readout = expectations[:, None, : self.n_readout]
        # Estimated from the draws themselves, a variance comes out too small by one draw.
        variances = np.clip(1.0 - np.square(readout), 0.0, None) / (shots - 1) if shots > 1 else np.ones_like(readout)
        if self.pairs is None or shots < 2:
            errors = np.abs(slopes) * np.sqrt(variances)
            squares = [np.square(errors[..., list(members)].sum(axis=-1)) for members in self.groups]
            return np.asarray(np.sqrt(np.sum(squares, axis=0)))
        total = (np.square(slopes) * variances).sum(axis=-1)
        i, j, together = self.pairs.T
        covariances = (expectations[:, together] - expectations[:, i] * expectations[:, j]) / (shots - 1)
        for output in range(slopes.shape[1]):
            total[:, output] += 2.0 * (slopes[:, output, i] * slopes[:, output, j] * covariances).sum(axis=-1)
        # Estimates of a product and of its factors may come from different draws: rounding, and a little more.
        return np.asarray(np.sqrt(np.clip(total, 0.0, None)))


def product(one: Observable, other: Observable) -> Observable:
    """Of two observables that agree about every qubit that both act on."""
    terms = dict(one.terms)
    for qubit, pauli in other.terms:
        if terms.pop(qubit, None) is None:
            terms[qubit] = pauli
    return Observable(tuple(sorted(terms.items())))
