"""The IonQ backends against our own IonQ endpoint: the same physics as every other backend's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings

from qstore_appliance.engine import discovery, observables
from qstore_appliance.engine.backend import Backend, Execution
from qstore_appliance.engine.circuit import GATES, Circuit, Gate
from qstore_appliance.engine.discovery import load
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.training import Plan, Training
from qstore_appliance.errors import BackendCannot
from tests.contract.backends.circuits import executions, reference_circuit
from tests.contract.backends.test_backends import TOLERANCE, bare, oracle_expectations
from tests.ionq_endpoint import Endpoint, endpoint


@pytest.fixture(scope="module")
def ionq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with endpoint(tmp_path_factory.mktemp("ionq") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def simulator(ionq: Endpoint) -> Backend:
    return load("ionq_simulator", ionq.options())


@pytest.fixture(scope="module")
def hardware(ionq: Endpoint) -> Backend:
    return load("ionq_hardware", ionq.options(target="qpu.forte-1"))


def test_both_answer_a_probe(ionq: Endpoint) -> None:
    """Both find their target at the endpoint, and say that circuits leave the machine."""
    for name in ("ionq_simulator", "ionq_hardware"):
        found = discovery.describe(name, ionq.options())
        assert found.available, found.reason
        assert found.capabilities is not None
        assert found.capabilities.remote


def test_expectations_equal_the_dense_oracle(simulator: Backend) -> None:
    """Random circuits of every gate with any Pauli strings, whatever the size of the batch."""

    @settings(max_examples=12, deadline=None, derandomize=True, database=None)
    @given(execution=executions("single", max_qubits=4, max_gates=12, max_batch=4))
    def run(execution: Execution) -> None:
        values = simulator.expectations(execution)

        assert values.shape == (execution.batch, len(execution.observables))
        assert np.abs(values - oracle_expectations(execution)).max() < TOLERANCE["single"]

    run()


def test_every_gate(simulator: Backend) -> None:
    """Each gate of the circuit model, with its operands reversed, on a state that has no symmetries."""
    for name, spec in sorted(GATES.items()):
        n = spec.n_qubits + 1
        gates = [Gate(axis, (q,), (0.3 + q,)) for axis in ("RY", "RZ") for q in range(n)]
        angles = tuple(0.4 + 0.7 * k for k in range(len(spec.parameter_names)))
        circuit = Circuit.build(n, [*gates, Gate(name, tuple(range(n - 1, 0, -1)), angles)])
        execution = bare(circuit, "X0 Z1", "Y1", *(f"Z{q}" for q in range(n)))

        assert np.abs(simulator.expectations(execution) - oracle_expectations(execution)).max() < 1e-9, name


def test_gradients_equal_those_of_native(simulator: Backend) -> None:
    """The shift rule over the wire gives the built-in simulator's adjoint gradient."""
    program = Program.lower(reference_circuit(3, 1))
    rng = np.random.default_rng(5)
    execution = Execution(
        program=program,
        weights=rng.normal(size=program.n_weights),
        features=rng.normal(size=(3, 3)),
        observables=(*observables.readout("z+zz", 3), observables.parse("X0 Y2")),
    )
    values, gradient = simulator.differentiate(execution, np.cos)
    expected_values, expected = load("native", {}).differentiate(execution, np.cos)

    assert np.abs(values - expected_values).max() < 1e-5
    assert np.abs(gradient - expected).max() < 1e-4


def test_one_qubit(simulator: Backend) -> None:
    """The smallest circuit works, and so does an empty batch."""
    execution = bare(Circuit.build(1, [Gate("X", (0,))]), "Z0", "I")

    assert simulator.expectations(execution).tolist() == [[-1.0, 1.0]]
    assert simulator.expectations(replace(execution, features=np.zeros((0, 0)))).shape == (0, 2)


@pytest.mark.parametrize("which", ["simulator", "hardware"])
def test_shots_are_unbiased(which: str, request: pytest.FixtureRequest) -> None:
    """The mean of many estimates lies within five standard errors, and each is a number of shots."""
    backend: Backend = request.getfixturevalue(which)
    circuit = Circuit.build(3, [Gate("RY", (q,), (0.5 + q,)) for q in range(3)] + [Gate("CNOT", (0, 2))])
    shots, samples = 50, 120
    execution = replace(
        bare(circuit, "Z0", "Z0 Z1", "X1", "Y0 X2", "I", shots=shots), seed=3, features=np.zeros((samples, 0))
    )

    estimates = backend.expectations(execution)

    expected = oracle_expectations(replace(execution, features=np.zeros((1, 0))))[0]
    errors = np.sqrt((1 - expected**2) / (shots * samples))
    assert np.all(np.abs(estimates.mean(axis=0) - expected) <= 5 * errors + 1e-12)
    assert np.abs(estimates * shots - np.round(estimates * shots)).max() < 1e-9
    assert len(set(estimates[:, 0])) > 3


def test_the_simulators_shots_follow_the_seed(simulator: Backend) -> None:
    """The same seed draws the same, another one does not."""
    execution = replace(bare(Circuit.build(1, [Gate("H", (0,))]), "Z0", shots=200), features=np.zeros((5, 0)), seed=1)

    first = simulator.expectations(execution)

    assert np.array_equal(first, simulator.expectations(execution))
    assert not np.array_equal(first, simulator.expectations(replace(execution, seed=2)))


def test_counts(simulator: Backend, hardware: Backend) -> None:
    """Bit strings have qubit 0 on the left, and every shot is counted."""
    circuit = Circuit.build(3, [Gate("X", (0,)), Gate("H", (2,))])
    for backend in (simulator, hardware):
        (counts,) = backend.sample(bare(circuit, shots=100))

        assert set(counts) == {"100", "101"}
        assert sum(counts.values()) == 100


def test_large_batches_are_sent_in_parts(ionq: Endpoint, simulator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """More circuits than one job takes become several jobs, in order."""
    monkeypatch.setattr("qstore_backends.ionq.backend.MAX_CIRCUITS", 4)
    program = Program.lower(reference_circuit(2, 1))
    features = np.linspace(-1, 1, 18).reshape(9, 2)
    execution = Execution(program, np.array([0.1, 0.2, 0.3, 0.4]), features, observables.readout("z", 2))
    before = len(simulator.jobs)

    values = simulator.expectations(execution)

    assert len(simulator.jobs) - before == 3
    assert np.abs(values - oracle_expectations(execution)).max() < 1e-9


def test_the_operator_makes_parts_smaller(ionq: Endpoint) -> None:
    """`max_circuits_per_request` of `[backends.ionq_simulator]` is what one job holds at the most, bases included."""
    tight: Any = load("ionq_simulator", {**ionq.options(), "max_circuits_per_request": 4})
    program = Program.lower(reference_circuit(2, 1))
    # Two bases: eighteen circuits.
    readout = tuple(observables.parse(text) for text in ("Z0", "X0"))
    execution = Execution(program, np.array([0.1, 0.2, 0.3, 0.4]), np.linspace(-1, 1, 18).reshape(9, 2), readout)

    values = tight.expectations(execution)

    assert len(tight.jobs) == 5
    assert np.abs(values - oracle_expectations(execution)).max() < 1e-9


def test_what_cannot_be_run(hardware: Backend) -> None:
    """No amplitudes, no exact values, no more qubits than there are; nothing is sent."""
    circuit = Circuit.build(2, [Gate("H", (0,))])
    with pytest.raises(BackendCannot, match="state vectors"):
        hardware.statevector(bare(circuit))
    with pytest.raises(BackendCannot, match="shots"):
        hardware.expectations(bare(circuit, "Z0"))


def test_a_training_job(ionq: Endpoint, tmp_path: Path) -> None:
    """A classifier is trained on the endpoint, gradient and all, and ends where the built-in simulator ends."""
    gates: list[dict[str, Any]] = [
        {"type": kind, "targets": [q], "parameters": {"theta": f"{name}_{q}"}}
        for kind, name in (("RY", "x"), ("RY", "theta"))
        for q in range(2)
    ]
    plan = Plan(
        circuit={"n_qubits": 2, "gates": [*gates, {"type": "CNOT", "targets": [0, 1]}]},
        config={
            "epochs": 2,
            "batch_size": 16,
            "learning_rate": 0.2,
            "dataset": {
                "type": "iris", "train_size": 32, "val_size": 12, "features": {"method": "pca", "count": 2},
            },
        },
        backend="ionq_simulator",
        backend_options=ionq.options(),
        dataset={"kind": "builtin", "name": "iris"},
        seed=3,
    )  # fmt: skip

    trained = {}
    for name, options in (("ionq_simulator", ionq.options()), ("native", {})):
        training = Training(msgspec.structs.replace(plan, backend=name, backend_options=options))
        reports = list(training.epochs())
        trained[name] = (reports, training.finish())

    reports, model = trained["ionq_simulator"]
    native_reports, native = trained["native"]
    assert reports[-1].loss < reports[0].loss
    assert reports[-1].loss == pytest.approx(native_reports[-1].loss, abs=1e-3)
    assert model.parameters["theta"] == pytest.approx(native.parameters["theta"], abs=1e-2)
    # Each of 32 samples and the two terms of two rotations, and the validation part.
    assert reports[0].circuits == 32 * (1 + 2 * 2) + 12
