from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qstore_appliance.engine.tasks.sampling import MOST_OUTCOMES, counted, exact
from qstore_appliance.engine.training import Plan, Training
from qstore_appliance.errors import Cancelled, ValidationFailed

BELL = {"n_qubits": 2, "gates": [{"type": "H", "targets": [0]}, {"type": "CNOT", "targets": [0, 1]}]}
TURNED = {"n_qubits": 3, "gates": [{"type": "RY", "targets": [2], "parameters": {"theta": "theta_0"}}]}


def make_plan(circuit: dict[str, Any], seed: int = 0, **config: Any) -> Plan:
    return Plan(
        circuit=circuit,
        config={"task": "sampling", **config},
        backend="native",
        backend_options={},
        dataset={},
        seed=seed,
    )


def sample(plan: Plan) -> Any:
    training = Training(plan)
    assert list(training.epochs()) == []
    return training.finish()


def test_outcomes_are_counted() -> None:
    """A Bell pair gives 00 and 11, each within five standard errors of a half, and no model."""
    trained = sample(make_plan(BELL, shots=10_000))

    counts = trained.metrics["counts"]
    assert set(counts) == {"00", "11"}
    assert sum(counts.values()) == 10_000
    assert abs(counts["00"] - 5_000) < 5 * 50
    assert trained.metrics["std_errors"]["00"] == pytest.approx(0.005, rel=0.01)
    assert trained.artifact is None
    assert (trained.circuits, trained.shots) == (1, 10_000)
    assert trained.receipt["task"] == "sampling"


def test_qubit_0_is_leftmost() -> None:
    """Turning the last of three qubits by pi gives 001."""
    trained = sample(make_plan(TURNED, shots=7, initial_parameters={"theta_0": np.pi}))

    assert trained.metrics["counts"] == {"001": 7}
    assert trained.parameters == {"theta": [pytest.approx(np.pi)]}


def test_without_shots_probabilities_are_exact() -> None:
    """There are no counts then, and outcomes that cannot occur are left out."""
    trained = sample(make_plan(TURNED, precision="double", initial_parameters={"theta": [2 * np.pi / 3]}))

    assert trained.metrics["probabilities"] == {"001": pytest.approx(0.75), "000": pytest.approx(0.25)}
    assert "counts" not in trained.metrics


def test_the_seed_decides_the_draw() -> None:
    """The same seed gives the same counts, another one others."""
    first, again, other = (sample(make_plan(BELL, seed, shots=1_000)).metrics["counts"] for seed in (1, 1, 2))

    assert first == again != other


def test_long_lists_are_cut_and_say_so() -> None:
    """The commonest outcomes are listed; the rest is one number."""
    counts = {f"{outcome:013b}": 1 + (outcome == 5) for outcome in range(5_000)}

    found = counted(counts)

    assert len(found["counts"]) == MOST_OUTCOMES
    assert next(iter(found["counts"])) == f"{5:013b}"
    assert found["n_outcomes"] == 5_000
    assert found["other"] == 5_001 - sum(found["counts"].values())
    assert len(exact(np.full(2**13, 2.0**-13), 13)["probabilities"]) == MOST_OUTCOMES


def test_the_wish_to_stop_is_heard() -> None:
    """A sampling that is cancelled before it runs runs nothing."""
    with pytest.raises(Cancelled):
        list(Training(make_plan(BELL, shots=10)).epochs(lambda: True))


@pytest.mark.parametrize(
    ("circuit", "config", "field"),
    [
        (TURNED, {}, "config.initial_parameters"),
        (TURNED, {"initial_parameters": {"theta_1": 0.1}}, "config.initial_parameters"),
        (TURNED, {"initial_parameters": {"theta_0": float("nan")}}, "config.initial_parameters.theta_0[0]"),
        (TURNED, {"initial_parameters": {"theta_0": 0.1}, "shots": 0}, "shots"),
        (
            {"n_qubits": 1, "gates": [{"type": "RX", "targets": [0], "parameters": {"theta": "x_3"}}]},
            {"shots": 10},
            "circuit",
        ),
    ],
)
def test_what_cannot_be_sampled_is_refused(circuit: dict[str, Any], config: dict[str, Any], field: str) -> None:
    """Weights without values, values that are none, and circuits that read data."""
    with pytest.raises(ValidationFailed) as refused:
        Training(make_plan(circuit, **config))

    assert refused.value.details["errors"][0]["field"] == field
