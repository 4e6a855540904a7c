"""The arrangement of programs: gates that only permute vanish, sweeps and lanes give what the plain walk gives."""

from __future__ import annotations

import numpy as np
import pytest

from qstore_appliance.engine import kernel_plan, kernels, observables
from qstore_appliance.engine.backend import Execution
from qstore_appliance.engine.circuit import Circuit, Gate
from qstore_appliance.engine.expressions import symbol
from qstore_appliance.engine.kernel_plan import CONTROLLED_Z, PHASE, ROTATE, TOFFOLI, KernelPlan
from qstore_appliance.engine.observables import parse
from qstore_appliance.engine.program import Program
from qstore_backends import native
from qstore_backends.native import Native
from tests.contract.backends import oracle
from tests.contract.backends.circuits import random_circuit, reference_circuit


def codes(*gates: Gate, n_qubits: int = 3) -> list[int]:
    return KernelPlan.of(Program.lower(Circuit.build(n_qubits, list(gates)))).gates[:, 0].tolist()


def test_permutations_are_not_carried_out() -> None:
    """A ring of CNOTs and a SWAP leave nothing to do; what follows is told other places."""
    assert codes(Gate("CNOT", (0, 1)), Gate("CNOT", (1, 2)), Gate("CNOT", (2, 0)), Gate("SWAP", (0, 2))) == []
    assert codes(Gate("CNOT", (0, 1)), Gate("RX", (0,), (0.3,)), Gate("CNOT", (0, 1))) == [ROTATE]


def test_an_interaction_is_one_diagonal() -> None:
    """RZZ, a run of RZ, and CRZ are phases; CZ and CCX stay what they are."""
    assert codes(Gate("RZZ", (0, 1), (0.3,))) == [PHASE]
    assert codes(Gate("RZ", (0,), (0.3,)), Gate("T", (0,))) == [PHASE]
    assert codes(Gate("CRZ", (0, 1), (0.3,))) == [PHASE, PHASE]
    assert codes(Gate("CZ", (0, 1)), Gate("CCX", (0, 1, 2))) == [CONTROLLED_Z, TOFFOLI]


def test_a_run_of_rotations_is_one_gate() -> None:
    """All rotations of a qubit between two entanglers are one matrix."""
    assert codes(*(Gate(name, (0,), (0.2,)) for name in ("RX", "RY", "RZ", "RX"))) == [ROTATE]


def test_the_first_layer_is_measured_but_never_undone() -> None:
    """The way back ends at the earliest gates that have weights; features before them are not touched."""
    circuit = Circuit.build(
        2,
        [
            Gate("RY", (0,), (symbol("x_0"),)),
            Gate("CZ", (0, 1)),
            Gate("RY", (0,), (symbol("a"),)),
            Gate("RX", (1,), (symbol("b"),)),
            Gate("CZ", (0, 1)),
            Gate("RY", (0,), (symbol("c"),)),
        ],
    )

    backs = KernelPlan.of(Program.lower(circuit)).gates[:, 11].tolist()

    assert backs == [0, 0, 2, 2, 1, 3]


# (most qubits whose samples share rows, most row bits walked as a whole, bits of a sweep, how the work is spread)
ARRANGEMENTS = [
    (kernel_plan.LANE_BITS, 10, 7, kernels.SERIAL),
    (kernel_plan.LANE_BITS, 0, 2, kernels.SERIAL),
    (kernel_plan.LANE_BITS, 1, 3, kernels.INSIDE),
    (kernel_plan.LANE_BITS, 0, 2, kernels.BLOCKS),
    (12, 1, 3, kernels.INSIDE),
    (12, 1, 3, kernels.BLOCKS),
]


@pytest.mark.parametrize(("in_lanes", "direct", "sweep", "mode"), ARRANGEMENTS)
def test_every_arrangement_computes_the_same(
    monkeypatch: pytest.MonkeyPatch, in_lanes: int, direct: int, sweep: int, mode: int
) -> None:
    """Lanes of amplitudes, sweeps of cosets and work spread inside a state: states and gradients of the dense oracle."""
    cases = [random_case(seed, kernel_plan.LANE_BITS + 1 + seed % 3) for seed in range(12)]
    expected = [
        Native({"threads": 1}).differentiate(execution, lambda _, given=cotangents: given)
        for execution, cotangents in cases
    ]

    monkeypatch.setattr(kernel_plan, "MOST_QUBITS_IN_LANES", in_lanes)
    monkeypatch.setattr(kernel_plan, "DIRECT_BITS", direct)
    monkeypatch.setattr(kernel_plan, "DIRECT_BITS_ALONE", direct)
    monkeypatch.setattr(kernel_plan, "SWEEP_BITS", sweep)
    monkeypatch.setattr(native._Plan, "mode", lambda *_: mode)
    backend = Native({})

    for (execution, cotangents), (values, gradient) in zip(cases, expected, strict=True):
        again, gradient_again = backend.differentiate(execution, lambda _, given=cotangents: given)
        assert np.abs(again - values).max() < 1e-12
        assert np.abs(gradient_again - gradient).max(initial=0.0) < 1e-10
        circuit = execution.program.circuit
        state = oracle.state(circuit, oracle.batch_values(circuit, execution.weights, execution.features)[0])
        assert np.abs(backend.statevector(execution)[0] - state).max() < 1e-12


def random_case(seed: int, n_qubits: int) -> tuple[Execution, np.ndarray]:
    random = np.random.default_rng(seed)
    circuit = random_circuit(random, n_qubits, 40) if seed % 3 else reference_circuit(n_qubits, 2)
    program = Program.lower(circuit)
    texts = ("X0 Y1 Z2", "Y0", f"X{n_qubits - 1}", f"Z0 Y{n_qubits - 1}", "I")
    readout = (*observables.readout("z+zz", n_qubits), *map(parse, texts))
    weights, features = random.normal(size=program.n_weights), random.normal(size=(3, max(1, program.n_features)))
    execution = Execution(program, weights, features, readout, precision="double")
    return execution, random.normal(size=(3, len(readout)))


@pytest.mark.parametrize("n_qubits", [5, 14])
def test_parts_of_a_state_give_the_same_bits(monkeypatch: pytest.MonkeyPatch, n_qubits: int) -> None:
    """One core or all of them inside one state: not a bit differs."""
    monkeypatch.setattr(kernel_plan, "MOST_QUBITS_IN_LANES", 4)
    monkeypatch.setattr(kernel_plan, "DIRECT_BITS", 0)
    program = Program.lower(reference_circuit(n_qubits, 1))
    random = np.random.default_rng(0)
    execution = Execution(
        program, random.normal(size=program.n_weights), random.normal(size=(1, n_qubits)), (parse("Z0 Z1"), parse("X1"))
    )
    results = []
    for mode in (kernels.SERIAL, kernels.BLOCKS, kernels.INSIDE):
        monkeypatch.setattr(native._Plan, "mode", lambda *_, chosen=mode: chosen)
        results.append(Native({}).differentiate(execution, lambda values: np.cos(values)))

    for values, gradient in results[1:]:
        assert np.array_equal(values, results[0][0])
        assert np.array_equal(gradient, results[0][1])


@pytest.mark.parametrize("angle", [0.0, 1e-9, -3.7, 31.4, 9.9e4, -2.5e6, 1e15, np.nan, np.inf])
def test_angles_of_any_size(angle: float) -> None:
    """The kernels' own cosine keeps its digits, and what is not finite stays so."""
    program = Program.lower(Circuit.build(1, [Gate("RY", (0,), (symbol("x_0"),))]))
    execution = Execution(program, np.zeros(0), np.array([[angle]]), (parse("Z0"), parse("X0")), precision="double")

    values = Native({}).expectations(execution)[0]

    if np.isfinite(angle):
        assert values == pytest.approx([np.cos(angle), np.sin(angle)], abs=1e-14)
    else:
        assert np.isnan(values).all()


def test_a_sweep_fetches_no_more_than_it_may() -> None:
    """Every gate is in exactly one sweep, and every sweep's basis fits."""
    gates = [gate for gate in reference_circuit(18, 3).gates if "x_" not in str(gate.parameters)]
    plan = KernelPlan.of(Program.lower(Circuit.build(18, gates)))

    assert plan.sweeps[:, 2].max() <= kernel_plan.SWEEP_BITS
    assert plan.sweeps[0, 0] == 0
    assert plan.sweeps[-1, 1] == len(plan.gates)
    assert np.array_equal(plan.sweeps[1:, 0], plan.sweeps[:-1, 1])
    # A layer has 18 gates: far fewer passes over memory than gates.
    assert len(plan.sweeps) < len(plan.gates) / 2
