from __future__ import annotations

import math

import numpy as np
import pytest

from qstore_appliance.engine import archive, optimizers
from qstore_appliance.errors import ValidationFailed


def gradients(n: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 5))


@pytest.mark.parametrize("name", sorted(optimizers.OPTIMIZERS))
def test_every_optimizer_finds_the_bottom_of_a_bowl(name: str) -> None:
    """A quadratic with curvatures from 1 to 9 is minimised with a falling rate."""
    curvature = np.array([1.0, 3.0, 5.0, 7.0, 9.0])
    parameters = np.full(5, 2.0)
    optimizer = optimizers.create(name, 5, 0.05, "cosine", 400)

    for _ in range(400):
        optimizer.step(parameters, curvature * (parameters - 1.0))

    assert np.abs(parameters - 1.0).max() < 1e-3


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
    whole, broken = np.ones(5), np.ones(5)
    optimizer = optimizers.create(name, 5, 0.1, "cosine", 10)
    first = optimizers.create(name, 5, 0.1, "cosine", 10)
    for gradient in gradients(10):
        optimizer.step(whole, gradient)
    for gradient in gradients(10)[:4]:
        first.step(broken, gradient)

    second = optimizers.create(name, 5, 0.1, "cosine", 10)
    second.restore(*archive.read(archive.pack(*first.state())))
    for gradient in gradients(10)[4:]:
        second.step(broken, gradient)

    assert np.array_equal(whole, broken)


@pytest.mark.parametrize("other", [("sgd", 5), ("adam", 4)])
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
        ({"schedule": "step"}, "schedule"),
        ({"momentum": 0.9}, "momentum"),
        ({"name": "sgd", "momentum": 1.0}, "momentum"),
    ],
)
def test_nonsense_is_refused_by_its_field(arguments: dict[str, object], field: str) -> None:
    """The fault names the field of the job's config."""
    valid: dict[str, object] = {"name": "adam", "size": 5, "learning_rate": 0.1}

    with pytest.raises(ValidationFailed, match=rf"config\.{field}"):
        optimizers.create(**{**valid, **arguments})  # type: ignore[arg-type]
