"""
Executions in pieces: no call hands a backend more circuits than it takes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qstore_appliance.engine.backend import Backend, Execution

    Floats = NDArray[np.float64]

FAR: Final = 2**32
"""A stride that keeps the seeds of pieces away from those that callers give to neighbouring executions."""


def most(backend: Backend, otherwise: int | None = None) -> int:
    """Samples in one call: the backend's limit, or `otherwise` where that is less."""
    limit = max(1, backend.limits.max_circuits_per_request)
    return limit if otherwise is None else min(limit, otherwise)


def cut(execution: Execution, size: int, stride: int = FAR) -> Iterator[tuple[slice, Execution]]:
    """
    The execution, a few samples at a time, with the rows that each piece has.

    Args:
        size: Samples of a piece.
        stride: Between the seeds of one sample's piece and the next sample's: each piece draws shots of its own.
    """
    for start in range(0, execution.batch, size):
        rows = slice(start, min(start + size, execution.batch))
        seed = None if execution.seed is None else execution.seed + start * stride
        yield rows, replace(execution, features=execution.features[rows], seed=seed)


def expectations(backend: Backend, execution: Execution, size: int | None = None, stride: int = FAR) -> Floats:
    """[batch, n_observables], in as few calls as the backend's limit (and `size`) allows."""
    import numpy as np

    size = most(backend, size)
    if execution.batch <= size:
        return backend.expectations(execution)
    return np.concatenate([backend.expectations(piece) for _, piece in cut(execution, size, stride)])


def differentiate(
    backend: Backend, execution: Execution, pullback: Callable[[Floats], Floats]
) -> tuple[Floats, Floats]:
    """
    Expectations [batch, n_observables] and the gradient [n_weights], where a batch is more than one call takes.

    The loss sees all expectations together before any piece is differentiated, which costs one more execution.
    """
    import numpy as np

    from qstore_appliance.engine.backend import checked_cotangents

    found = expectations(backend, execution)
    cotangents = checked_cotangents(pullback(found), found)
    gradient = np.zeros(len(execution.weights))
    for rows, piece in cut(execution, most(backend)):
        # The piece of the cotangents is bound now: the next turn has another.
        gradient += backend.differentiate(piece, lambda _, own=cotangents[rows]: own)[1]  # type: ignore[misc]
    return found, gradient
