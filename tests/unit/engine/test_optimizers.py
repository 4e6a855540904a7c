from __future__ import annotations

import math

import numpy as np
import pytest

from qstore_appliance.engine import archive, optimizers
from qstore_appliance.errors import ValidationFailed

CURVATURE = np.array([1.0, 3.0, 5.0, 7.0, 9.0])


def gradients(n: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 5))


class Bowl:
    """A quadratic with curvatures from 1 to 9 around ones, with its own curvature as metric."""

    rounding = 1e-15

    def __init__(self, parameters: np.ndarray) -> None:
        self.loss, self.gradient = self.evaluate(parameters)

    def evaluate(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        offset = parameters - 1.0
        return float(CURVATURE @ offset**2) / 2.0, CURVATURE * offset

    def metric(self, parameters: np.ndarray) -> np.ndarray:
        return np.diag(CURVATURE)


@pytest.mark.parametrize("name", sorted(optimizers.OPTIMIZERS))
def test_every_optimizer_finds_the_bottom_of_a_bowl(name: str) -> None:
    """A quadratic is minimised with the schedule that the optimiser brings along."""
    parameters = np.full(5, 2.0)
    optimizer = optimizers.create(name, 5, 0.05, None, 400)

    for _ in range(400):
        bowl = Bowl(parameters)
        optimizer.step(parameters, bowl.gradient, bowl)

    assert np.abs(parameters - 1.0).max() < 1e-3


def test_curvature_brings_lbfgs_to_the_bottom_in_a_few_steps() -> None:
    """Ten line searches solve a quadratic of five numbers to ten digits."""
    parameters = np.full(5, 2.0)
    optimizer = optimizers.create("lbfgs", 5, 0.1)

    for _ in range(15):
        bowl = Bowl(parameters)
        optimizer.step(parameters, bowl.gradient, bowl)

    assert np.abs(parameters - 1.0).max() < 1e-6


def test_lbfgs_never_goes_uphill() -> None:
    """On Rosenbrock's valley every step lowers the loss, and the bottom is found."""

    class Valley:
        rounding = 1e-15

        def __init__(self, parameters: np.ndarray) -> None:
            self.loss, self.gradient = self.evaluate(parameters)

        def evaluate(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
            x, y = parameters
            slope = np.array([-400 * x * (y - x * x) - 2 * (1 - x), 200 * (y - x * x)])
            return float(100 * (y - x * x) ** 2 + (1 - x) ** 2), slope

        def metric(self, parameters: np.ndarray) -> np.ndarray:
            raise AssertionError("L-BFGS asks for no metric")

    parameters = np.array([-1.2, 1.0])
    optimizer = optimizers.create("lbfgs", 2, 0.1)
    losses = []
    for _ in range(60):
        valley = Valley(parameters)
        losses.append(valley.loss)
        optimizer.step(parameters, valley.gradient, valley)

    assert losses == sorted(losses, reverse=True)
    assert np.abs(parameters - 1.0).max() < 1e-5


def test_the_natural_gradient_divides_by_the_metric_of_the_weights_alone() -> None:
    """With three weights and two numbers of the head, the head takes a plain step."""

    class Around(Bowl):
        def metric(self, parameters: np.ndarray) -> np.ndarray:
            return np.diag(CURVATURE[:3])

    parameters = np.full(5, 2.0)
    bowl = Around(parameters)
    optimizers.create("natural", 5, 0.1, "constant").step(parameters, bowl.gradient, bowl)

    assert parameters[:3] == pytest.approx(2.0 - 0.1 * CURVATURE[:3] / (CURVATURE[:3] + 1e-3))
    assert parameters[3:] == pytest.approx(2.0 - 0.1 * CURVATURE[3:])


def test_gains_of_spsa_fall_as_spall_says() -> None:
    """Steps fall by the power 0.602 behind a tenth of the run, looks to the side by the power 0.101."""
    optimizer = optimizers.create("spsa", 1, 0.2, total_steps=90)

    assert optimizer.rate() == pytest.approx(0.2)
    first = optimizer.perturbation_size  # type: ignore[attr-defined]
    for _ in range(10):
        optimizer.step(np.zeros(1), np.zeros(1))

    assert optimizer.rate() == pytest.approx(0.2 * 0.5**0.602)
    assert optimizer.perturbation_size == pytest.approx(first / 11**0.101)  # type: ignore[attr-defined]


def test_adam_follows_its_paper() -> None:
    """Three steps equal the update of Kingma and Ba written out, but for where epsilon stands."""
    parameters, mean, square = np.ones(5), np.zeros(5), np.zeros(5)
    expected = parameters.copy()
    optimizer = optimizers.create("adam", 5, 0.1, "constant")

    for step, gradient in enumerate(gradients(3), start=1):
        optimizer.step(parameters, gradient)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        expected -= 0.1 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)

    assert np.allclose(parameters, expected, atol=1e-6)


def test_momentum_carries_on() -> None:
    """A velocity of 0.5 keeps half of the step before; without momentum nothing is kept."""
    with_momentum, without = np.zeros(1), np.zeros(1)
    heavy = optimizers.create("sgd", 1, 0.1, "constant", momentum=0.5)
    light = optimizers.create("sgd", 1, 0.1, "constant", momentum=0.0)

    for gradient in (np.ones(1), np.zeros(1)):
        heavy.step(with_momentum, gradient)
        light.step(without, gradient)

    assert with_momentum[0] == pytest.approx(-0.15)
    assert without[0] == pytest.approx(-0.1)


def test_the_cosine_falls_from_the_peak_to_zero() -> None:
    """The first step has the whole rate, the middle one half of it, and after the last one it is zero."""
    optimizer = optimizers.create("sgd", 1, 0.2, "cosine", 100)
    rates = []
    for _ in range(101):
        rates.append(optimizer.rate())
        optimizer.step(np.zeros(1), np.zeros(1))

    assert rates[0] == 0.2
    assert rates[50] == pytest.approx(0.1)
    assert rates[100] == pytest.approx(0.0)
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("name", sorted(optimizers.OPTIMIZERS))
def test_a_restored_optimizer_goes_on_bit_for_bit(name: str) -> None:
    """Ten steps, saved and restored after four, equal ten steps without a break."""
    whole, broken = np.full(5, 2.0), np.full(5, 2.0)
    optimizer = optimizers.create(name, 5, 0.1, "cosine", 10)
    first = optimizers.create(name, 5, 0.1, "cosine", 10)
    for gradient in gradients(10):
        optimizer.step(whole, Bowl(whole).gradient + 0.01 * gradient, Bowl(whole))
    for gradient in gradients(10)[:4]:
        first.step(broken, Bowl(broken).gradient + 0.01 * gradient, Bowl(broken))

    second = optimizers.create(name, 5, 0.1, "cosine", 10)
    second.restore(*archive.read(archive.pack(*first.state())))
    for gradient in gradients(10)[4:]:
        second.step(broken, Bowl(broken).gradient + 0.01 * gradient, Bowl(broken))

    assert np.array_equal(whole, broken)


@pytest.mark.parametrize("other", [("sgd", 5), ("adam", 4), ("lbfgs", 5)])
def test_a_state_of_something_else_is_refused(other: tuple[str, int]) -> None:
    """Neither another optimiser's state nor one of another length is taken."""
    state = optimizers.create(*other, 0.1).state()

    with pytest.raises(ValidationFailed, match=r"config\.optimizer"):
        optimizers.create("adam", 5, 0.1).restore(*state)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"name": "lion"}, "optimizer"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": math.inf}, "learning_rate"),
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"schedule": "staircase"}, "schedule"),
        ({"schedule": {"type": "cosine", "every": 3}}, "schedule.every"),
        ({"schedule": {"type": "cosine", "factor": 0.5}}, "schedule.factor"),
        ({"schedule": {"type": "step", "factor": 0.0}}, "schedule.factor"),
        ({"schedule": {"type": "step", "every": 0}}, "schedule.every"),
        ({"schedule": {"type": "constant", "warmup": -1}}, "schedule.warmup"),
        ({"momentum": 0.9}, "momentum"),
        ({"name": "sgd", "momentum": 1.0}, "momentum"),
    ],
)
def test_nonsense_is_refused_by_its_field(arguments: dict[str, object], field: str) -> None:
    """The fault names the field of the job's config."""
    valid: dict[str, object] = {"name": "adam", "size": 5, "learning_rate": 0.1}

    with pytest.raises(ValidationFailed, match=rf"config\.{field}"):
        optimizers.create(**{**valid, **arguments})  # type: ignore[arg-type]
