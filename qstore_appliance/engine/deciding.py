"""
Shots until the class is decided: rounds that double the measurements of those inputs that are still open.

An input is decided when the most probable class leads the next one by more than both estimates may err. Looking several
times makes a lead by chance likelier, so each look asks for more than the usual 95 %.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.runner import Runner
from qstore_appliance.engine.streams import number

Floats = NDArray[np.float64]

#: Measurements of the first round, and in all: what is not decided then is as good as a tie.
FIRST_SHOTS: Final = 128
MOST_SHOTS: Final = 16_384
#: Standard errors by which the first must lead: 99.5 % in each of eight looks is 96 % in all.
LEAD: Final = 2.81


@dataclass(frozen=True, eq=False)
class Decision:
    """
    Attributes:
        expectations: [n, n_observables], means over all rounds.
        std_errors: [n, n_classes], of the probabilities.
        shots_each: [n] measurements of each input and group of observables.
        decided: [n].
        circuits, shots: executed.
    """

    expectations: Floats
    std_errors: Floats
    shots_each: NDArray[np.int64]
    decided: NDArray[np.bool_]
    circuits: int
    shots: int


def decide(
    runner: Runner,
    weights: Floats,
    features: Floats,
    seed: int | None,
    judged: Callable[[Floats, int], tuple[Floats, Floats]],
) -> Decision:
    """
    Args:
        runner: of `FIRST_SHOTS`, with all observables that `judged` wants.
        features: [n, n_features].
        judged: from expectations [m, n_observables] of so many shots to probabilities and their standard errors
            [m, n_classes].
    """
    n = len(features)
    sums = np.zeros((n, len(runner.observables)))
    total = np.zeros(n, np.int64)
    decided = np.zeros(n, bool)
    errors: Floats | None = None
    circuits = shots = 0
    step, rounds, pending = FIRST_SHOTS, 0, np.arange(n)
    while len(pending):
        now = replace(runner, shots=step)
        own = None if seed is None else number(seed, "deciding", rounds)
        sums[pending] += step * now.expectations(weights, features[pending], own)
        total[pending] += step
        ran = now.circuits(len(pending), differentiate=False)
        circuits, shots = circuits + ran, shots + ran * step
        probabilities, found = judged(sums[pending] / total[pending][:, None], int(total[pending[0]]))
        errors = np.zeros((n, found.shape[1])) if errors is None else errors
        errors[pending] = found
        decided[pending] = leads(probabilities, found)
        pending = pending[~decided[pending] & (2 * total[pending] <= MOST_SHOTS)]
        # As many again as there were.
        step = int(total[pending[0]]) if len(pending) else step
        rounds += 1
    assert errors is not None
    return Decision(sums / total[:, None], errors, total, decided, circuits, shots)


def leads(probabilities: Floats, errors: Floats) -> NDArray[np.bool_]:
    """[n]: whether the first class is ahead of the second by more than chance; errors are taken to add up."""
    order = np.argsort(probabilities, axis=1)
    rows = np.arange(len(probabilities))
    first, second = order[:, -1], order[:, -2]
    lead = probabilities[rows, first] - probabilities[rows, second]
    return np.asarray(lead > LEAD * (errors[rows, first] + errors[rows, second]))
