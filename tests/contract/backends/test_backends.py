"""The contract that every backend keeps, checked against dense matrices and against the parameter shift."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from qstore_appliance.engine import expressions, observables
from qstore_appliance.engine.backend import Backend, Execution
from qstore_appliance.engine.circuit import GATES, Circuit, Gate
from qstore_appliance.engine.program import Program
from qstore_appliance.errors import BackendCannot, QStoreError, ValidationFailed
from tests.contract.backends import oracle
from tests.contract.backends.circuits import executions, reference_circuit

# What the product promises.
TOLERANCE = {"single": 1e-5, "double": 1e-10}


MOST_QUBITS = 8


def sizes(backend: Backend) -> range:
    """Numbers of qubits that every check goes through, one qubit first."""
    return range(1, min(MOST_QUBITS, backend.capabilities.max_qubits) + 1)


def for_random_executions(backend: Backend, check: Callable[[Execution, float], None], examples: int = 8) -> None:
    """
    Run a check on random executions of every size in every precision of the backend, with how close it has to come.

    Only our own backend is quick enough for many samples at once. Hypothesis begins with its smallest example: with few
    of them, circuits are not left to become trivial.

    Args:
        examples: Of each size and precision, for our own.
    """
    ours = backend.name == "native"
    known = backend.capabilities.gates
    for n_qubits in sizes(backend):
        if all(GATES[name].n_qubits > n_qubits for name in known):
            continue
        most = {"max_gates": 40} if ours else {"min_gates": 5, "max_gates": 16, "max_batch": 3}
        for precision in backend.capabilities.precisions:
            drawn = executions(precision, min_qubits=n_qubits, max_qubits=n_qubits, known=known, **most)

            @settings(
                max_examples=examples if ours else max(2, examples // 2), deadline=None, derandomize=True, database=None
            )
            @given(execution=drawn)
            def run(execution: Execution) -> None:
                check(execution, TOLERANCE[execution.precision])

            run()


def needs(backend: Backend, *abilities: str) -> None:
    """Skip where the capabilities say that this is not offered."""
    for ability in abilities:
        if not getattr(backend.capabilities, ability):
            pytest.skip(f"{backend.name} has no {ability}")


def takes(backend: Backend, circuit: Circuit) -> None:
    """Skip where a circuit is larger than the backend, or has a gate that it does not claim."""
    try:
        backend.check_circuit(circuit)
    except BackendCannot as reason:
        pytest.skip(reason.message)


def oracle_states(execution: Execution) -> np.ndarray:
    circuit = execution.program.circuit
    # A shifted program's circuit may name its weights in another order than the program binds them.
    bound = dict(zip(execution.program.weight_names, execution.weights, strict=True))
    rows = oracle.batch_values(circuit, [bound[name] for name in circuit.weights], execution.features)
    return np.array([oracle.state(circuit, values) for values in rows])


def oracle_expectations(execution: Execution) -> np.ndarray:
    return np.array([[oracle.expectation(s, o) for o in execution.observables] for s in oracle_states(execution)])


@pytest.mark.parametrize("name", sorted(GATES))
def test_every_gate_is_the_textbook_matrix(backend: Backend, name: str) -> None:
    """A state without symmetries, acted on by the gate with its operands reversed, equals the dense product."""
    needs(backend, "statevector")
    if name not in backend.capabilities.gates:
        pytest.skip(f"{backend.name} has no {name}")
    own = GATES[name].n_qubits
    precision = backend.capabilities.precisions[-1]
    angles = tuple(0.4 + 0.7 * k for k in range(len(GATES[name].parameter_names)))
    # Beside a qubit that it does not touch, and alone: on a single qubit, where it takes one.
    for n, targets in ((own + 1, tuple(range(own, 0, -1))), (own, tuple(range(own - 1, -1, -1)))):
        gates = [Gate("H", (q,)) for q in range(n)]
        gates += [Gate(axis, (q,), (0.3 + q,)) for axis in ("RZ", "RX") for q in range(n)]
        circuit = Circuit.build(n, [*gates, Gate(name, targets, angles)])

        state = backend.statevector(bare(circuit, precision=precision))[0]

        assert np.abs(state - oracle.state(circuit, {})).max() < (1e-12 if precision == "double" else 1e-6)


def bare(circuit: Circuit, *texts: str, precision: str = "single", shots: int | None = None) -> Execution:
    """One run of a circuit without symbols."""
    return Execution(
        program=Program.lower(circuit),
        weights=np.zeros(0),
        features=np.zeros((1, 0)),
        observables=tuple(map(observables.parse, texts)),
        precision=precision,
        shots=shots,
    )


def test_states_equal_the_dense_oracle(backend: Backend) -> None:
    """Amplitudes agree, phase included, for random circuits of every gate, from one qubit on."""
    needs(backend, "statevector")

    def check(execution: Execution, tolerance: float) -> None:
        assert np.abs(backend.statevector(execution) - oracle_states(execution)).max() < tolerance

    for_random_executions(backend, check)


def test_expectations_equal_the_dense_oracle(backend: Backend) -> None:
    """Any Pauli strings agree for random circuits, whatever the size of the batch."""
    needs(backend, "exact")

    def check(execution: Execution, tolerance: float) -> None:
        values = backend.expectations(execution)
        assert values.shape == (execution.batch, len(execution.observables))
        assert values.dtype == np.float64
        assert np.abs(values - oracle_expectations(execution)).max() < tolerance

    for_random_executions(backend, check)


def test_gradients_equal_the_parameter_shift(backend: Backend) -> None:
    """The backend's own gradient is that of the shift rule, relative to the largest derivative."""
    needs(backend, "exact")

    def check(execution: Execution, tolerance: float) -> None:
        shape = (execution.batch, len(execution.observables))
        target = np.linspace(-1, 1, execution.batch * len(execution.observables)).reshape(shape)

        def pullback(values: np.ndarray) -> np.ndarray:
            return (values - target) / execution.batch

        values, gradient = backend.differentiate(execution, pullback)
        shifted_values, shifted = Backend.differentiate(backend, execution, pullback)

        assert np.abs(values - shifted_values).max() < tolerance
        assert gradient.shape == (execution.program.n_weights,)
        scale = max(1.0, float(np.abs(shifted).max(initial=0.0)))
        assert np.abs(gradient - shifted).max(initial=0.0) < tolerance * scale

    for_random_executions(backend, check)


class Dense(Backend):
    """The oracle as a backend, so that the shift rule can be had of it: exact derivatives by dense matrices alone."""

    name, provider = "dense", "the contract suite"

    def expectations(self, execution: Execution) -> np.ndarray:
        return oracle_expectations(execution)


def test_gradients_equal_the_dense_oracles(backend: Backend) -> None:
    """The gradient of a loss is the shift rule's over dense matrices, for random circuits from one qubit on."""
    needs(backend, "exact")

    def check(execution: Execution, tolerance: float) -> None:
        execution = replace(execution, features=execution.features[:2])
        cotangents = np.linspace(-1, 1, 2 * len(execution.observables)).reshape(2, -1)[: execution.batch]

        _, gradient = backend.differentiate(execution, lambda _: cotangents)

        _, expected = Dense({}).differentiate(execution, lambda _: cotangents)
        scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
        assert np.abs(gradient - expected).max(initial=0.0) < tolerance * scale

    for_random_executions(backend, check, examples=4)


def test_gradients_equal_finite_differences_of_the_oracle(backend: Backend) -> None:
    """The derivative agrees with the dense simulator's for repeated symbols, controlled gates and expressions."""
    needs(backend, "exact")
    a, b = expressions.symbol("a"), expressions.symbol("b")
    circuit = Circuit.build(
        2,
        [
            Gate("RY", (0,), (a,)),
            Gate("CRX", (0, 1), (expressions.parse("2*a - x_0"),)),
            Gate("U3", (1,), (b, a, expressions.parse("sin(b)*x_0"))),
            Gate("RXX", (0, 1), (a,)),
        ],
    )
    takes(backend, circuit)
    execution = Execution(
        program=Program.lower(circuit),
        weights=np.array([0.7, -0.4]),
        features=np.array([[0.3], [-1.1], [0.8]]),
        observables=tuple(map(observables.parse, ("Z0", "X0 Y1", "I"))),
        precision=backend.capabilities.precisions[-1],
    )
    cotangents = np.array([[1.0, -2.0, 3.0], [0.5, 0.25, 0.0], [-1.0, 0.0, 1.0]])

    _, gradient = backend.differentiate(execution, lambda _: cotangents)

    step = 1e-5
    for k in range(2):
        moved = np.zeros(2)
        moved[k] = step
        above = oracle_expectations(replace(execution, weights=execution.weights + moved))
        below = oracle_expectations(replace(execution, weights=execution.weights - moved))
        expected = float(((above - below) * cotangents).sum() / (2 * step))
        assert gradient[k] == pytest.approx(expected, abs=1e-7 if execution.precision == "double" else 1e-4)


def test_the_reference_training_step_is_exact(backend: Backend) -> None:
    """Eight qubits, four layers, 36 observables and a batch that fills no whole number of lanes."""
    needs(backend, "exact")
    takes(backend, reference_circuit())
    program = Program.lower(reference_circuit())
    rng = np.random.default_rng(5)
    execution = Execution(
        program=program,
        weights=rng.normal(size=program.n_weights),
        features=rng.normal(size=(3, 8)),
        observables=observables.readout("z+zz", 8),
        precision=backend.capabilities.precisions[-1],
    )

    assert program.n_weights == 64
    assert np.abs(backend.expectations(execution) - oracle_expectations(execution)).max() < 1e-5


@pytest.mark.parametrize("n_qubits", range(1, MOST_QUBITS + 1))
def test_shots_estimate_the_expectation_without_bias(backend: Backend, n_qubits: int) -> None:
    """Over many samples the mean of the estimates lies within five standard errors, in every basis."""
    needs(backend, "shots")
    last, shots, samples = n_qubits - 1, 50, 200
    gates = [Gate("RY", (q,), (0.5 + q,)) for q in range(n_qubits)]
    gates += [Gate("CNOT", (q, q + 1)) for q in range(last)] + [Gate("RX", (0,), (0.7,))]
    circuit = Circuit.build(n_qubits, gates)
    takes(backend, circuit)
    texts = ("Z0", "X0", "Y0", "I") if n_qubits == 1 else ("Z0", f"Z0 Z{last}", f"X{last}", f"Y0 X{last}", "I")
    execution = replace(bare(circuit, *texts, shots=shots), seed=3, features=np.zeros((samples, 0)))

    estimates = backend.expectations(execution)

    expected = oracle_expectations(replace(execution, features=np.zeros((1, 0))))[0]
    errors = np.sqrt((1 - expected**2) / (shots * samples))
    assert np.all(np.abs(estimates.mean(axis=0) - expected) <= 5 * errors + 1e-12)
    assert np.all(np.abs(estimates * shots - np.round(estimates * shots)) < 1e-9)


@pytest.mark.parametrize("n_qubits", [1, 2])
def test_shots_follow_their_seed(backend: Backend, n_qubits: int) -> None:
    """The same seed draws the same, another seed differs, and samples of one batch are independent."""
    needs(backend, "shots")
    circuit = Circuit.build(n_qubits, [Gate("H", (q,)) for q in range(n_qubits)])
    takes(backend, circuit)
    texts = ("Z0", "X1 Z0")[:n_qubits]
    execution = replace(bare(circuit, *texts, shots=64), seed=1, features=np.zeros((12, 0)))

    first = backend.expectations(execution)

    assert np.array_equal(first, backend.expectations(execution))
    assert not np.array_equal(first, backend.expectations(replace(execution, seed=2)))
    assert len(set(first[:, 0])) > 1


def test_gradients_from_shots_approach_the_exact_ones(backend: Backend) -> None:
    """With many shots the shift rule over estimates agrees with the exact gradient to a few standard errors."""
    needs(backend, "shots", "exact")
    circuit = Circuit.build(2, [Gate("RY", (0,), (expressions.symbol("a"),)), Gate("CNOT", (0, 1))])
    takes(backend, circuit)
    execution = replace(bare(circuit, "Z0 Z1", "Z1"), weights=np.array([0.6]))

    _, exact = backend.differentiate(execution, lambda values: np.ones_like(values))
    _, sampled = backend.differentiate(replace(execution, shots=20_000, seed=4), lambda values: np.ones_like(values))

    assert exact[0] == pytest.approx(-np.sin(0.6), abs=1e-5)
    assert sampled[0] == pytest.approx(exact[0], abs=0.04)


@pytest.mark.parametrize("n_qubits", range(1, MOST_QUBITS + 1))
def test_gradients_from_shots_lie_within_five_standard_errors(backend: Backend, n_qubits: int) -> None:
    """Without bias: over many samples every derivative is as close to the exact one as its two terms' variances allow."""
    needs(backend, "shots")
    shots, samples, last = 400, 25, n_qubits - 1
    gates = [Gate("RY", (q,), (expressions.symbol(f"a_{q}"),)) for q in range(n_qubits)]
    gates += [Gate("CNOT", (q, q + 1)) for q in range(last)]
    gates += [Gate("RX", (q,), (expressions.symbol(f"b_{q}"),)) for q in range(n_qubits)]
    circuit = Circuit.build(n_qubits, gates)
    takes(backend, circuit)
    execution = replace(
        bare(circuit, f"Z{last}", shots=shots),
        weights=np.linspace(0.3, 1.2, 2 * n_qubits),
        features=np.zeros((samples, 0)),
        seed=11,
    )

    _, gradient = backend.differentiate(execution, lambda values: np.full_like(values, 1 / samples))

    one = replace(execution, features=np.zeros((1, 0)))
    for k in range(2 * n_qubits):
        moved = np.pi / 2 * np.eye(2 * n_qubits)[k]
        above, below = (
            float(oracle_expectations(replace(one, weights=one.weights + sign * moved))[0, 0]) for sign in (1, -1)
        )
        error = np.sqrt((1 - above**2 + 1 - below**2) / 4 / (shots * samples))
        assert abs(gradient[k] - (above - below) / 2) <= 5 * error + 1e-6, k


def test_counting_circuits(backend: Backend) -> None:
    """Metering counts one circuit per sample, and two more per shifted rotation where there is no adjoint pass."""
    program = Program.lower(reference_circuit(2, 1))

    assert backend.circuits_for(10, False, program) == 10
    assert backend.circuits_for(10, True, program) == (10 if backend.capabilities.adjoint else 10 * (1 + 2 * 4))
    assert backend.circuits_for(10, True, program, shots=100) == 10 * (1 + 2 * 4)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"weights": np.zeros(3)}, ValidationFailed),
        ({"features": np.zeros((2, 1))}, ValidationFailed),
        ({"observables": (observables.parse("Z7"),)}, ValidationFailed),
        ({"precision": "quadruple"}, BackendCannot),
        ({"shots": 0}, QStoreError),
    ],
)
def test_what_does_not_fit_is_refused(backend: Backend, change: dict, kind: type[QStoreError]) -> None:
    """Wrong shapes, absent qubits, unknown precision and zero shots end in an error of the family."""
    takes(backend, reference_circuit(2, 1))
    program = Program.lower(reference_circuit(2, 1))
    execution = Execution(program, np.zeros(4), np.zeros((1, 2)), (observables.parse("Z0"),))

    with pytest.raises(kind):
        backend.expectations(replace(execution, **change))


def test_a_circuit_beyond_the_backend_is_refused(backend: Backend) -> None:
    """One qubit more than the capabilities say is refused before anything is allocated."""
    n_qubits = backend.capabilities.max_qubits + 1
    circuit = Circuit(n_qubits, (Gate("H", (0,)),))

    with pytest.raises(BackendCannot, match="qubits"):
        backend.expectations(bare(circuit, "Z0"))
