"""No call hands a backend more circuits than it takes at once, whatever rule finds the gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from qstore_appliance.engine import discovery, pieces
from qstore_appliance.engine.backend import Backend, Execution, Limits
from qstore_appliance.engine.observables import readout
from qstore_appliance.engine.plan import Plan
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.runner import Runner
from qstore_appliance.engine.spsa import Perturbation
from qstore_appliance.engine.training import Training
from qstore_appliance.errors import ConfigurationInvalid
from qstore_backends.native import Native
from tests.contract.backends.circuits import reference_circuit

MOST = 5
SAMPLES = 13


class Narrow(Native):
    """Takes five circuits at once, and remembers how many each call brought."""

    limits = Limits(max_circuits_per_request=MOST)

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        super().__init__(options or {})
        self.calls: list[int] = []
        self.seeds: list[int | None] = []

    def expectations(self, execution: Execution) -> np.ndarray:
        self._note(execution)
        return super().expectations(execution)

    def differentiate(self, execution: Execution, pullback: Callable) -> tuple[np.ndarray, np.ndarray]:
        self._note(execution)
        return super().differentiate(execution, pullback)

    def cross_entropy(self, execution: Execution, *rest: Any) -> Any:
        self._note(execution)
        return super().cross_entropy(execution, *rest)

    def _note(self, execution: Execution) -> None:
        self.calls.append(execution.batch)
        self.seeds.append(execution.seed)


class Inheriting(Narrow):
    """With no gradient but the one that every backend inherits."""

    differentiate = Backend.differentiate


def runner_of(backend: Backend, gradient: str = "auto", shots: int | None = None) -> Runner:
    program = Program.lower(reference_circuit(3, 1))
    return Runner(backend, program, readout("z+zz", 3), shots, "double", gradient)


def differentiated(
    backend: Backend, gradient: str, samples: int = SAMPLES, shots: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    runner = runner_of(backend, gradient, shots)
    weights, x = random.normal(size=runner.program.n_weights), random.normal(size=(samples, runner.program.n_features))
    targets = random.normal(size=(samples, len(runner.observables)))
    perturbation = Perturbation.draw(len(weights), random) if gradient == "spsa" else None
    execution = runner.execution(weights, x, None if shots is None else 7)
    return runner.differentiate(execution, lambda values: values - targets, perturbation)


@pytest.mark.parametrize("gradient", ["auto", "adjoint", "parameter_shift", "spsa"])
@pytest.mark.parametrize("kind", [Narrow, Inheriting])
def test_gradients_in_pieces(kind: type[Narrow], gradient: str) -> None:
    """Every rule gives what it gives in one call, and no call has more circuits than the limit."""
    narrow = kind()
    values, found = differentiated(narrow, gradient)
    whole_values, whole = differentiated(Native({}), gradient)

    assert max(narrow.calls) <= MOST
    assert sum(narrow.calls) >= SAMPLES
    assert values == pytest.approx(whole_values, abs=1e-12)
    assert found == pytest.approx(whole, abs=1e-10)


@pytest.mark.parametrize("gradient", ["auto", "parameter_shift", "spsa"])
def test_every_piece_draws_shots_of_its_own(gradient: str) -> None:
    """With shots no two calls of a gradient have the same seed, and the same seed gives the same again."""
    narrow = Inheriting()
    first = differentiated(narrow, gradient, shots=50)

    assert max(narrow.calls) <= MOST
    assert len(set(narrow.seeds)) == len(narrow.seeds)
    assert all(map(np.array_equal, first, differentiated(Inheriting(), gradient, shots=50)))


@pytest.mark.parametrize("samples", [MOST, SAMPLES])
def test_circuits_are_counted_as_they_run(samples: int) -> None:
    """In pieces an adjoint gradient runs its expectations once more, and that is what is metered and charged."""
    narrow = Narrow()
    differentiated(narrow, "auto", samples)

    assert sum(narrow.calls) == runner_of(narrow).circuits(samples, differentiate=True)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"gradient": "parameter_shift", "epochs": 1},
        {"optimizer": "spsa", "gradient": "spsa"},
        {"optimizer": "natural"},
        {"shots": 20, "epochs": 1},
    ],
)
def test_training_keeps_to_the_limit(monkeypatch: pytest.MonkeyPatch, config: dict[str, Any]) -> None:
    """A whole training with batches of 32 (steps, validation, test score) never calls with more than five circuits."""
    narrow = Narrow()
    monkeypatch.setattr(discovery, "load", lambda name, options: narrow)
    gates = [
        {"type": "RY", "targets": [0], "parameters": {"theta": "x_0 + a"}},
        {"type": "RY", "targets": [1], "parameters": {"theta": "x_1 + b"}},
        {"type": "CNOT", "targets": [0, 1]},
    ]
    plan = Plan(
        circuit={"n_qubits": 2, "gates": gates},
        config={
            "epochs": 2,
            "batch_size": 32,
            "dataset": {"type": "iris", "train_size": 40, "val_size": 12},
            "readout": {"observables": "z", "head": "linear"},
            **config,
        },
        backend="native",
        backend_options={},
        dataset={"kind": "builtin", "name": "iris"},
        seed=1,
    )
    training = Training(plan)
    reports = list(training.epochs())
    training.finish()

    assert len(reports) == plan.config["epochs"]
    assert max(narrow.calls) == MOST


def test_the_door_tightens_limits() -> None:
    """`[backends.<name>]` makes a plugin's limits stricter, never looser, and the plugin does not see these keys."""
    options = {"threads": 1, "max_circuits_per_request": 9, "max_concurrent_jobs": 1_000, "rate_limit_per_hour": 7}

    backend = discovery.load("native", options)

    assert backend.limits == Limits(9, Native.limits.max_concurrent_jobs, 7)
    assert backend.options == {"threads": 1}
    assert pieces.most(backend) == 9
    assert Native.limits == Limits()


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "many", None])
def test_limits_that_make_no_sense(value: object) -> None:
    """A limit is a whole number of at least 1."""
    with pytest.raises(ConfigurationInvalid, match="max_concurrent_jobs"):
        Limits().tightened({"max_concurrent_jobs": value})
