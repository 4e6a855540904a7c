"""Lowering: what a program holds, which angles it computes, and the chain rule back to the weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qstore_appliance.engine.circuit import Circuit, Gate
from qstore_appliance.engine.expressions import parse
from qstore_appliance.engine.program import GROUP, Program
from qstore_appliance.errors import ValidationFailed


def circuit(*gates: tuple[str, tuple[int, ...], tuple[str | float, ...]], n_qubits: int = 2) -> Circuit:
    return Circuit.build(
        n_qubits,
        [Gate(name, q, tuple(parse(p) if isinstance(p, str) else p for p in angles)) for name, q, angles in gates],
    )


def test_runs_of_rotations_on_a_qubit_become_one_group() -> None:
    """Between entanglers all rotations of a qubit are one operation; entanglers keep their order."""
    program = Program.lower(
        circuit(
            ("RY", (0,), ("a",)),
            ("RZ", (0,), (0.5,)),
            ("RX", (1,), ("x_3",)),
            ("CNOT", (0, 1), ()),
            ("CZ", (1, 0), ()),
            ("RY", (1,), ("a",)),
        )
    )

    assert program.operations.tolist() == [
        [GROUP, 0, 0, 2],
        [GROUP, 1, 2, 3],
        [1, 0, 1, -1],
        [2, 1, 0, -1],
        [GROUP, 1, 3, 4],
    ]
    assert program.axes.tolist() == [1, 2, 0, 1]
    assert program.gradient_slots.tolist() == [0, 3]
    assert program.sample_slots.tolist() == [2]
    assert (program.n_qubits, program.n_gates, program.n_weights, program.n_features) == (2, 6, 1, 4)
    assert program.weight_names == ("a",)


def test_angles_are_linear_in_their_sources() -> None:
    """Weights, features and constants add up with their coefficients; several features may share a slot."""
    program = Program.lower(circuit(("RY", (0,), ("2*a - b + 1",)), ("RX", (0,), ("a + x_0/2 - 3*x_2",))))
    features = np.array([[1.0, 9.0, 2.0], [0.0, 9.0, -1.0]])

    angles = program.angles(np.array([0.5, 0.25]), features)

    assert angles.shared[0] == pytest.approx(1.75)
    assert angles.samples[0] == pytest.approx([0.5 + 0.5 - 6, 0.5 + 3])


def test_other_expressions_are_evaluated_per_batch() -> None:
    """Expressions that are not linear become sources of their own, shared or per sample."""
    program = Program.lower(circuit(("RY", (0,), ("sin(a)*b",)), ("P", (0,), ("a*x_0",)), ("RX", (1,), ("x_0*x_0",))))
    features = np.array([[0.3], [2.0], [-1.0]])

    angles = program.angles(np.array([0.7, 3.0]), features)

    assert angles.shared[0] == pytest.approx(3 * math.sin(0.7))
    assert angles.samples[0] == pytest.approx(0.7 * features[:, 0])
    assert angles.samples[1] == pytest.approx(features[:, 0] ** 2)
    assert program.gradient_slots.tolist() == [0, 1]


def test_the_chain_rule_sums_over_occurrences_and_samples() -> None:
    """Derivatives of angles become those of weights: linear, shared and per-sample expressions, repeated symbols."""
    program = Program.lower(
        circuit(("RY", (0,), ("a",)), ("RZ", (0,), ("2*a + b",)), ("RX", (0,), ("a*x_0",)), ("RY", (0,), ("sin(b)",)))
    )
    weights, features = np.array([0.4, 1.1]), np.array([[0.5], [-2.0]])
    slots = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])

    gradient = program.weight_gradient(weights, features, slots)

    assert gradient == pytest.approx([3 + 2 * 7 + (5 * 0.5 + 6 * -2.0), 7 + 15 * math.cos(1.1)])


def test_a_pole_gives_a_number_that_is_not_finite() -> None:
    """Dividing by a weight of zero is seen by whoever checks the loss; it is no exception in the middle of a batch."""
    program = Program.lower(circuit(("RY", (0,), ("1/a",))))

    assert not np.isfinite(program.angles(np.zeros(1), np.zeros((1, 0))).shared).all()


def test_the_shifted_program_turns_each_slot_by_its_own_feature() -> None:
    """
    Feature k of the shifted program moves gradient slot k, although slots stand by qubit and steps by time.

    The weights keep their order even where a gate names its symbols in another order than its steps do.
    """
    program = Program.lower(
        circuit(
            ("RY", (1,), ("a",)),
            ("U3", (0,), ("c", "sin(b)", "a")),
            ("RX", (1,), ("2*b + x_1",)),
            ("CRZ", (0, 1), ("c - a",)),
        )
    )
    weights, features = np.array([0.3, 0.5, 0.7]), np.array([[0.1, 0.2]])
    plain = all_angles(program, weights, features)

    for place, slot in enumerate(program.gradient_slots):
        moved = np.zeros(len(program.gradient_slots))
        moved[place] = 0.25
        shifted = all_angles(program.shifted, weights, np.concatenate([features, moved[None]], axis=1))
        expected = plain.copy()
        expected[slot] += 0.25
        assert shifted == pytest.approx(expected)

    assert program.shifted.weight_names == program.weight_names == ("a", "c", "b")
    assert len(program.gradient_slots) == 7


def all_angles(program: Program, weights: np.ndarray, features: np.ndarray) -> np.ndarray:
    angles = program.angles(weights, features)
    every = angles.shared.copy()
    every[program.sample_slots] = angles.samples[:, 0]
    return every


@pytest.mark.parametrize(
    ("weights", "features"),
    [(np.zeros(2), np.zeros((1, 2))), (np.zeros(1), np.zeros((1, 1))), (np.zeros(1), np.zeros(2))],
)
def test_shapes_that_do_not_fit_are_refused(weights: np.ndarray, features: np.ndarray) -> None:
    """One weight too many, a feature too few, a missing batch axis: VALIDATION_ERROR with the field."""
    program = Program.lower(circuit(("RY", (0,), ("a + x_1",))))

    with pytest.raises(ValidationFailed, match="shape"):
        program.check(weights, features)


def test_ten_thousand_gates_lower_quickly() -> None:
    """The largest circuit becomes a program in well under a second."""
    gates = [Gate("RY", (k % 8,), (parse(f"w_{k % 500} + x_{k % 8}"),)) for k in range(10_000)]

    program = Program.lower(Circuit.build(8, gates))

    assert program.n_slots == 10_000
    assert len(program.operations) == 8
