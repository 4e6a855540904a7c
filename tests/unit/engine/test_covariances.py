"""Standard errors from shots: what is reported is how far repetitions scatter, no less and no more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qstore_appliance.engine import discovery, expressions, observables
from qstore_appliance.engine.backend import Execution
from qstore_appliance.engine.circuit import Circuit, Gate
from qstore_appliance.engine.covariances import MOST_PRODUCTS, Covariances, product
from qstore_appliance.engine.hamiltonians import build
from qstore_appliance.engine.plan import Trained
from qstore_appliance.engine.predictor import Predictor
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.shots import measurements
from qstore_appliance.engine.tasks.sampling import counted
from qstore_appliance.engine.training import Plan, Training

REPEATS = 2_000
#: Five standard errors of a standard deviation that is estimated from so many repetitions.
SCATTER = 5 / np.sqrt(2 * REPEATS)


def parsed(*texts: str) -> tuple[observables.Observable, ...]:
    return tuple(map(observables.parse, texts))


def entangled(n_qubits: int) -> Circuit:
    gates = [Gate("RY", (q,), (0.4 + 0.5 * q,)) for q in range(n_qubits)]
    gates += [Gate("CNOT", (q, q + 1)) for q in range(n_qubits - 1)]
    return Circuit.build(n_qubits, gates + [Gate("RX", (q,), (0.3 * q + 0.2,)) for q in range(n_qubits)])


def repeated(circuit: Circuit, asked: tuple[observables.Observable, ...], shots: int, seed: int) -> np.ndarray:
    """[REPEATS, n]: estimates that know nothing of each other."""
    backend = discovery.load("native", {})
    execution = Execution(Program.lower(circuit), np.zeros(0), np.zeros((REPEATS, 0)), asked, shots=shots, seed=seed)
    return backend.expectations(execution)


def test_products() -> None:
    """Equal factors vanish, others stay, in the order of qubits."""
    assert product(*parsed("Z0 Z2", "Z1 Z2")).text == "Z0 Z1"
    assert product(*parsed("X0 Z1", "X0 Z1")).text == "I"
    assert product(*parsed("I", "Y3")).text == "Y3"


def test_no_further_measurement_is_asked_for() -> None:
    """The products of a readout are read from the measurements that it needs anyway, and equal ones once."""
    for spec in (build({"molecule": "H2"}, 4).observables, observables.readout("z+zz", 5)):
        covariances = Covariances.of(spec)

        assert covariances.observables[: len(spec)] == tuple(spec)
        assert len(set(covariances.observables)) == len(covariances.observables)
        assert len(measurements(covariances.observables)) == len(measurements(spec))
        assert len(covariances.observables) > len(spec)


@pytest.mark.parametrize("n_qubits", [1, 2, 4])
@pytest.mark.parametrize("shots", [20, 500])
def test_energies_scatter_as_is_said(n_qubits: int, shots: int) -> None:
    """For sums of observables that err together, in several bases, the reported error is the spread of repetitions."""
    alone = [{"pauli": text, "coeff": coefficient} for text, coefficient in (("X0", 0.7), ("Z0", -1.3))]
    hamiltonian = build(alone if n_qubits == 1 else {"model": "heisenberg", "j": 0.8, "h": 0.5}, n_qubits)
    covariances = Covariances.of(hamiltonian.observables)
    slopes = np.array(hamiltonian.coefficients)

    read = repeated(entangled(n_qubits), covariances.observables, shots, seed=7)
    reported = covariances.standard_errors(read, slopes[None, None, :], shots)[:, 0]

    spread = (read[:, : covariances.n_readout] @ slopes).std(ddof=1)
    assert np.sqrt(np.square(reported).mean()) == pytest.approx(spread, rel=SCATTER)


def test_errors_that_go_together_are_not_taken_for_independent() -> None:
    """In a Bell state Z0 and Z1 err alike: their sum errs twice as far as one, their difference not at all."""
    circuit = Circuit.build(2, [Gate("H", (0,)), Gate("CNOT", (0, 1))])
    covariances = Covariances.of(parsed("Z0", "Z1"))
    slopes = np.array([[[1.0, 1.0], [1.0, -1.0], [1.0, 0.0]]])

    read = repeated(circuit, covariances.observables, 101, seed=3)
    reported = covariances.standard_errors(read, slopes, 101)

    one = np.sqrt((1 - np.square(read[:, 0])) / 100)
    assert np.allclose(reported, np.stack([2 * one, 0 * one, one], axis=1), atol=1e-7)


def test_too_many_products_and_a_single_shot_are_bounds() -> None:
    """Errors of one measurement add up, those of two are independent; one shot may err by all of an outcome."""
    covariances = Covariances.of(parsed("Z0", "Z1", "X0"))
    bound = Covariances(covariances.observables[:3], 3, covariances.groups, None)
    slopes = np.full((1, 1, 3), 2.0)

    assert bound.standard_errors(np.zeros((1, 3)), slopes, 101)[0, 0] == pytest.approx(np.sqrt(0.4**2 + 0.2**2))
    assert bound.standard_errors(np.ones((1, 3)), slopes, 101)[0, 0] == 0.0
    assert covariances.standard_errors(np.ones((1, 4)), slopes, 1)[0, 0] == pytest.approx(np.sqrt(4**2 + 2**2))
    many = Covariances.of(observables.readout("z+zz", 16))
    assert many.pairs is None
    assert len(many.observables) == 136 < MOST_PRODUCTS


def trained(task: str, **config: Any) -> Trained:
    gates = [
        *({"type": "RY", "targets": [q], "parameters": {"theta": f"x_{q}"}} for q in range(3)),
        *({"type": "CNOT", "targets": [q, (q + 1) % 3]} for q in range(3)),
        *({"type": "RY", "targets": [q], "parameters": {"theta": f"theta_{q}"}} for q in range(3)),
    ]
    settings = {
        "task": task,
        "epochs": 8,
        "learning_rate": 0.2,
        "readout": {"observables": "z+zz"},
        "dataset": {"features": {"method": "pca"}, **({"target": "petal width (cm)"} if task == "regression" else {})},
        **config,
    }
    training = Training(
        Plan(
            circuit={"n_qubits": 3, "gates": gates},
            config=settings,
            backend="native",
            backend_options={},
            dataset={"kind": "builtin", "name": "iris"},
            seed=2,
        )
    )
    list(training.epochs())
    return training.finish()


@pytest.mark.parametrize("head", ["linear", "none"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_predictions_scatter_as_is_said(task: str, head: str) -> None:
    """The same input asked again and again: values, or probabilities of every class, scatter by the reported error."""
    predictor = Predictor(trained(task, readout={"observables": "z+zz", "head": head}).artifact)
    row = np.array([[6.1, 2.9, 4.7, 1.4]])[:, : predictor.n_inputs]
    shots = 400

    found = predictor.predict(np.repeat(row, REPEATS, axis=0), shots=shots, seed=5)
    exact = predictor.predict(row)

    answers = found.probabilities if found.values is None else found.values[:, None]
    truth = exact.probabilities[0] if exact.values is None else exact.values[:1]
    assert found.std_errors is not None
    assert exact.std_errors is None
    reported = np.sqrt(np.square(found.std_errors.reshape(answers.shape)).mean(axis=0))
    spread = answers.std(axis=0, ddof=1)
    # Beside the statistics: a probability is not quite linear in what is measured.
    curved = 0.02 if task == "classification" else 0.0
    assert np.all(np.abs(reported / spread - 1) < SCATTER + curved)
    assert np.all(np.abs(answers.mean(axis=0) - truth) < 5 * spread / np.sqrt(REPEATS) + 5 * curved * spread)


def test_frequencies_scatter_as_is_said() -> None:
    """The shares of a sampling's outcomes scatter over seeds by their reported errors."""
    backend, program, shots, runs = discovery.load("native", {}), Program.lower(entangled(2)), 200, 1_000
    execution = Execution(program, np.zeros(0), np.zeros((runs, 0)), (), shots=shots, seed=9)

    found = [counted(counts) for counts in backend.sample(execution)]

    for outcome in ("00", "01", "10", "11"):
        shares = np.array([one["probabilities"].get(outcome, 0.0) for one in found])
        errors = np.array([one["std_errors"].get(outcome, 0.0) for one in found])
        assert shares.std(ddof=1) == pytest.approx(np.sqrt(np.square(errors).mean()), rel=5 / np.sqrt(2 * runs))


def test_a_gradient_from_shots_has_no_bias() -> None:
    """The mean gradient of an energy over many samples is the exact one, within five standard errors."""
    circuit = Circuit.build(2, [Gate("RY", (0,), (expressions.symbol("a"),)), Gate("CNOT", (0, 1))])
    backend, program = discovery.load("native", {}), Program.lower(circuit)
    asked, shots = parsed("Z0", "Z1", "X0 X1"), 50
    cotangents = np.array([0.5, -1.0, 2.0])

    def gradient(n: int, shots: int | None) -> float:
        execution = Execution(program, np.array([0.7]), np.zeros((n, 0)), asked, shots=shots, seed=1)
        return float(backend.differentiate(execution, lambda values: np.tile(cotangents / n, (n, 1)))[1][0])

    # Two terms of the shift rule, of which each errs by at most the sum of its observables' errors.
    most = np.abs(cotangents).sum() / np.sqrt(2 * shots * REPEATS)
    assert abs(gradient(REPEATS, shots) - gradient(1, None)) < 5 * most
