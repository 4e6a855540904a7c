from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qstore_appliance.engine import recipe
from qstore_appliance.engine.health import STEPS_TO_BE_SURE, Health
from qstore_appliance.engine.plan import EpochReport
from qstore_appliance.engine.training import Plan, Training

ONE = np.ones((1, 1))


def energy(circuit: dict[str, Any], **config: Any) -> list[EpochReport]:
    plan = Plan(
        circuit=circuit,
        config={"task": "energy", "epochs": 2, "learning_rate": 0.01, **config},
        backend="native",
        backend_options={},
        dataset={},
        seed=0,
    )
    return list(Training(plan).epochs())


def test_numbers_are_those_of_their_definition() -> None:
    """Root mean square norm, mean square of an entry, and the variance that shots alone would give."""
    health = Health(["a", "b"], shots=100, precision="single")
    health.observe(np.array([3.0, 4.0]), 2.0 * ONE)
    health.observe(np.array([0.0, 1.0]), 2.0 * ONE)

    found, warnings = health.epoch()

    assert found["gradient_norm"] == pytest.approx(np.sqrt((25 + 1) / 2))
    assert found["gradient_variance"] == pytest.approx((25 + 1) / 4)
    assert found["resolution"] == pytest.approx(4.0 * 0.5 / 100)
    assert not found["barren_plateau"]
    assert warnings == []


def test_gradients_below_the_noise_of_shots_are_warned_of_once() -> None:
    """The sentence comes with the first such epoch; the flag stays."""
    health = Health(["a", "b"], shots=100, precision="single")
    said = []
    for _ in range(3):
        health.observe(np.array([1e-3, -1e-3]), ONE)
        found, warnings = health.epoch()
        assert found["barren_plateau"]
        said += warnings

    assert len(said) == 1
    assert said[0].startswith("The gradients vanish")
    assert "100 shots" in said[0]


def test_a_minimum_is_no_plateau() -> None:
    """Gradients that were there once may vanish without a warning."""
    health = Health(["a", "b"], shots=None, precision="single")
    for size in (1.0, 1e-9):
        health.observe(np.array([size, -size]), ONE)
        found, warnings = health.epoch()

        assert not found["barren_plateau"]
        assert warnings == []


def test_a_dead_weight_is_named_once_it_is_sure() -> None:
    """A weight without any gradient beside one that has some; not before enough steps have been seen."""
    health = Health(["a", "b"], shots=None, precision="double")
    for step in range(STEPS_TO_BE_SURE):
        health.observe(np.array([0.5, 0.0]), ONE)
        found, warnings = health.epoch()
        assert found["dead_parameters"] == (["b"] if step == STEPS_TO_BE_SURE - 1 else [])

    assert warnings == ["1 weight does not change the readout and cannot be trained: b."]


def test_what_is_remembered_goes_through_a_checkpoint() -> None:
    """A health that was saved says what the unbroken one says."""
    whole, broken = (Health(["a", "b"], None, "double") for _ in range(2))
    for health in (whole, broken):
        for _ in range(STEPS_TO_BE_SURE - 1):
            health.observe(np.array([0.5, 0.0]), ONE)
            health.epoch()
    restored = Health(["a", "b"], None, "double")
    restored.restore(*broken.state())
    answers = []
    for health in (whole, restored):
        health.observe(np.array([0.5, 0.0]), ONE)
        answers.append(health.epoch())

    assert answers[0] == answers[1]
    assert answers[0][1] != []


def test_a_deep_random_circuit_with_a_global_observable_is_a_barren_plateau() -> None:
    """Ten qubits, twelve layers, one string of ten Z: fifty shots cannot see where to go, and the report says so."""
    gates = [gate for gate in recipe.gates(10, 12) if "x_" not in str(gate)]
    values = np.random.default_rng(0).uniform(0.0, 2 * np.pi, 240).tolist()
    observable = {"pauli": " ".join(f"Z{qubit}" for qubit in range(10)), "coeff": 1.0}

    reports = energy(
        {"n_qubits": 10, "gates": gates},
        hamiltonian=[observable],
        shots=50,
        initial_parameters={"theta": values},
    )

    assert reports[0].health is not None
    assert reports[0].health["barren_plateau"]
    assert len(reports[0].warnings) == 1
    assert reports[1].warnings == []


def test_a_weight_behind_the_readout_is_dead() -> None:
    """RZ in front of a measurement of Z changes nothing; its name is in the report after enough steps."""
    gates = [
        {"type": "RY", "targets": [0], "parameters": {"theta": "theta"}},
        {"type": "RZ", "targets": [0], "parameters": {"theta": "lost"}},
    ]

    reports = energy({"n_qubits": 1, "gates": gates}, hamiltonian=[{"pauli": "Z0", "coeff": 1.0}], epochs=25)

    assert reports[0].health == {**reports[0].health, "dead_parameters": []}  # type: ignore[dict-item]
    assert reports[-1].health is not None
    assert reports[-1].health["dead_parameters"] == ["lost"]
    assert [len(report.warnings) for report in reports].count(1) == 1
    assert reports[-1].health["gradient_norm"] > 0
