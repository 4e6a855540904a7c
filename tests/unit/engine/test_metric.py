from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qstore_appliance.engine import discovery
from qstore_appliance.engine.formats import unified
from qstore_appliance.engine.metric import Metric
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.runner import Runner


def gate(name: str, *targets: int, theta: Any = None) -> dict[str, Any]:
    return {"type": name, "targets": list(targets)} | ({} if theta is None else {"parameters": {"theta": theta}})


def runner_of(n_qubits: int, gates: list[dict[str, Any]], shots: int | None = None) -> Runner:
    program = Program.lower(unified.read({"n_qubits": n_qubits, "gates": gates}))
    return Runner(discovery.load("native", {}), program, (), shots, "double")


def by_differences(runner: Runner, weights: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The whole metric, Re⟨∂i|∂j⟩ - ⟨∂i|ψ⟩⟨ψ|∂j⟩, by differences of the states themselves; mean over the batch."""

    def states(at: np.ndarray) -> np.ndarray:
        return runner.backend.statevector(runner.execution(at, features))

    here, step = states(weights), 1e-5
    slopes = []
    for k in range(len(weights)):
        offset = step * np.eye(len(weights))[k]
        slopes.append((states(weights + offset) - states(weights - offset)) / (2 * step))
    overlaps = np.array([[np.sum(a.conj() * b, axis=1) for b in slopes] for a in slopes])
    lengths = np.array([np.sum(a.conj() * here, axis=1) for a in slopes])
    return (overlaps - lengths[:, None] * lengths[None].conj()).real.mean(axis=-1)


ENTANGLED = [gate("H", 0), gate("CNOT", 0, 1), gate("RY", 2, theta=0.7), gate("CZ", 1, 2), gate("RX", 1, theta=0.4)]


@pytest.mark.parametrize("axis", ["RX", "RY", "RZ"])
def test_one_layer_has_its_exact_metric(axis: str) -> None:
    """Rotations on three entangled qubits: the block with its correlations is that of the states."""
    runner = runner_of(3, [*ENTANGLED, *(gate(axis, qubit, theta=f"t_{qubit}") for qubit in range(3))])
    weights, nothing = np.array([0.3, -1.1, 0.8]), np.zeros((1, 0))

    found = Metric(runner.program).at(runner, weights, nothing)

    assert found == pytest.approx(by_differences(runner, weights, nothing), abs=1e-8)
    assert np.abs(found - np.diag(np.diag(found))).max() > 1e-3


def test_blocks_are_exact_and_between_them_is_nothing() -> None:
    """Two layers of two qubits: the blocks on the diagonal are those of the whole metric, the others are zero."""
    layers = [[gate("RY", q, theta=f"a_{q}") for q in (0, 1)], [gate("RX", q, theta=f"b_{q}") for q in (0, 1)]]
    runner = runner_of(2, [*layers[0], gate("CNOT", 0, 1), *layers[1], gate("CNOT", 1, 0)])
    weights, nothing = np.array([0.3, -1.1, 0.8, 0.5]), np.zeros((1, 0))

    metric = Metric(runner.program)
    found, whole = metric.at(runner, weights, nothing), by_differences(runner, weights, nothing)

    assert found[:2, :2] == pytest.approx(whole[:2, :2], abs=1e-8)
    assert found[2:, 2:] == pytest.approx(whole[2:, 2:], abs=1e-8)
    assert not found[:2, 2:].any()
    assert metric.circuits_per_sample == 1


def test_rotations_written_qubit_after_qubit_share_a_layer() -> None:
    """RY and RZ on each of four qubits are two layers, not eight, and the first needs no circuit at all."""
    gates = [gate(name, q, theta=f"{name.lower()}_{q}") for q in range(4) for name in ("RY", "RZ")]
    runner = runner_of(4, gates)

    assert Metric(runner.program).circuits_per_sample == 1


def test_expressions_and_features_follow_the_chain_rule() -> None:
    """Slopes that depend on weights and on samples; the metric is the mean over the batch."""
    gates = [
        gate("RX", 0, theta="x_0"),
        gate("CNOT", 0, 1),
        gate("RY", 0, theta="2*a + 0.1"),
        gate("RY", 1, theta="x_1*b"),
    ]
    runner = runner_of(2, gates)
    weights, features = np.array([0.4, -0.9]), np.array([[0.3, 1.2], [-0.7, 0.5], [0.2, -2.0]])

    found = Metric(runner.program).at(runner, weights, features)

    assert found == pytest.approx(by_differences(runner, weights, features), abs=1e-8)


def test_shots_estimate_the_same_metric() -> None:
    """From shots the metric is right within five standard errors of its entries."""
    gates = [*ENTANGLED, *(gate("RY", qubit, theta=f"t_{qubit}") for qubit in range(3))]
    exact, sampled = runner_of(3, gates), runner_of(3, gates, shots=20_000)
    weights, nothing = np.array([0.3, -1.1, 0.8]), np.zeros((1, 0))

    found = Metric(sampled.program).at(sampled, weights, nothing, seed=3)

    difference = np.abs(found - Metric(exact.program).at(exact, weights, nothing))
    assert 0.0 < difference.max() < 5 * 3 / (4 * np.sqrt(20_000))
