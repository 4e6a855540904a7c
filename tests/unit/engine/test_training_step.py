"""A classifier's step in one call of the backend equals the step in two."""

from __future__ import annotations

import numpy as np
import pytest

from qstore_appliance.engine import observables
from qstore_appliance.engine.circuit import Circuit, Gate
from qstore_appliance.engine.expressions import parse
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.runner import Runner
from qstore_appliance.engine.tasks.classification import Classification
from qstore_appliance.engine.training_step import TrainingStep
from qstore_backends.native import Native
from tests.contract.backends.circuits import reference_circuit


class InTwo(Native):
    """Without the one call."""

    def cross_entropy(self, *_: object) -> None:
        return None


def steps(n_qubits: int, head: str, weights: tuple[float, ...] | None, batch: int, circuit: Circuit | None = None):
    """The same step of both backends, and whether the first one took the short way."""
    random = np.random.default_rng(n_qubits)
    program = Program.lower(circuit or reference_circuit(n_qubits, 2))
    task = Classification(n_qubits, 3, head, weights)
    x, y = random.normal(size=(batch, program.n_features)), random.integers(0, 3, batch)
    angles, parameters = random.normal(size=program.n_weights), random.normal(size=task.n_parameters)
    found = []
    for backend in (Native({}), InTwo({})):
        runner = Runner(backend, program, observables.readout("z", n_qubits), None, "double")
        found.append(TrainingStep(runner, task)(runner.execution(angles, x), y, parameters))
    return found


@pytest.mark.parametrize("n_qubits", [3, 5, 13])
@pytest.mark.parametrize(("head", "weights"), [("linear", None), ("none", None), ("linear", (0.5, 2.0, 1.0))])
@pytest.mark.parametrize("batch", [1, 21])
def test_one_call_gives_what_two_give(n_qubits: int, head: str, weights: tuple[float, ...] | None, batch: int) -> None:
    """Loss, hits, cotangents and both gradients agree to rounding, with and without head and class weights."""
    (one, gradient), (two, gradient_of_two) = steps(n_qubits, head, weights, batch)

    assert one.loss == pytest.approx(two.loss, rel=1e-12)
    assert one.correct == two.correct
    assert one.cotangents == pytest.approx(two.cotangents, abs=1e-12)
    assert one.head_gradient == pytest.approx(two.head_gradient, abs=1e-12)
    assert gradient == pytest.approx(gradient_of_two, abs=1e-12)


def test_angles_that_are_not_linear_take_two_calls() -> None:
    """An expression of weight and feature is differentiated as before."""
    circuit = Circuit.build(2, [Gate("RY", (0,), (parse("a*x_0"),)), Gate("RX", (1,), (parse("sin(b)"),))])
    random = np.random.default_rng(0)
    program, task = Program.lower(circuit), Classification(2, 2)
    backend = Native({})
    runner = Runner(backend, program, observables.readout("z", 2), None, "double")
    execution = runner.execution(random.normal(size=2), random.normal(size=(4, 1)))
    y, head = np.array([0, 1, 1, 0]), task.initial(random)

    assert backend.cross_entropy(execution, y, head, np.ones(2)) is None
    batch, gradient = TrainingStep(runner, task)(execution, y, head)

    assert np.isfinite(batch.loss)
    assert gradient.shape == (2,)
    assert np.abs(gradient).min() > 0


def test_what_is_not_finite_is_seen() -> None:
    """A weight that is not a number makes the loss one that is not."""
    program, task, backend = Program.lower(reference_circuit(3, 1)), Classification(3, 3), Native({})
    runner = Runner(backend, program, observables.readout("z", 3), None, "single")
    weights = np.full(program.n_weights, np.nan)

    batch, _ = TrainingStep(runner, task)(
        runner.execution(weights, np.zeros((4, 3))), np.zeros(4, np.int64), np.ones(task.n_parameters)
    )

    assert not np.isfinite(batch.loss)
