from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from qstore_appliance.engine import discovery, spsa
from qstore_appliance.engine.backend import Execution
from qstore_appliance.engine.formats import unified
from qstore_appliance.engine.observables import readout
from qstore_appliance.engine.program import Program


@pytest.fixture
def execution() -> Execution:
    gates = [
        {"type": "RY", "targets": [0], "parameters": {"theta": "x_0 + a"}},
        {"type": "CNOT", "targets": [0, 1]},
        {"type": "CRX", "targets": [0, 1], "parameters": {"theta": "b"}},
        {"type": "RY", "targets": [1], "parameters": {"theta": "2*a - c"}},
    ]
    program = Program.lower(unified.read({"n_qubits": 2, "gates": gates}))
    return Execution(
        program=program,
        weights=np.array([0.4, 1.1, -0.3]),
        features=np.array([[0.2], [-0.9], [1.4]]),
        observables=readout("z+zz", 2),
        precision="double",
    )


def test_the_mean_over_all_directions_is_the_gradient(execution: Execution) -> None:
    """Estimates are unbiased but for the square of the size: over the eight directions they average to the gradient."""
    backend = discovery.load("native", {})
    targets = np.random.default_rng(0).normal(size=(3, 3))

    def pullback(expectations: np.ndarray) -> np.ndarray:
        return expectations - targets

    _, exact = backend.differentiate(execution, pullback)
    directions = [np.array(signs) for signs in product((-1.0, 1.0), repeat=3)]
    estimates = [
        spsa.differentiate(backend, execution, pullback, spsa.Perturbation(direction, 1e-3))[1]
        for direction in directions
    ]

    assert np.mean(estimates, axis=0) == pytest.approx(exact, abs=1e-4)


def test_two_executions_are_run_whatever_the_number_of_weights(execution: Execution) -> None:
    """With shots the two sides draw from different streams, and the same seed draws the same again."""
    backend = discovery.load("native", {})
    sampled = Execution(**{**vars(execution), "shots": 100, "seed": 5})
    direction = spsa.Perturbation(np.array([1.0, -1.0, 1.0]), 1e-12)

    first = spsa.differentiate(backend, sampled, np.ones_like, direction)
    again = spsa.differentiate(backend, sampled, np.ones_like, direction)

    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert first[1].any()  # equal draws on both sides would cancel
