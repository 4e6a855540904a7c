"""Noise on every backend that has it, against density matrices; means within five standard errors at fixed seeds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from qstore_appliance.engine import expressions, observables
from qstore_appliance.engine.backend import Backend, Execution
from qstore_appliance.engine.circuit import GATES, Circuit, Gate
from qstore_appliance.engine.noise import CHANNELS, Noise
from qstore_appliance.engine.observables import Observable
from qstore_appliance.engine.program import Program
from qstore_appliance.errors import BackendCannot, ValidationFailed
from tests.contract.backends import density
from tests.contract.backends.circuits import random_circuit
from tests.contract.backends.test_backends import bare, needs

NOISES: dict[str, dict[str, Any]] = {
    "depolarizing": {"depolarizing": 0.08},
    "amplitude damping": {"amplitude_damping": 0.12},
    "readout": {"readout": 0.1},
    "uneven readout": {"readout": {"p01": 0.03, "p10": 0.25}},
    "all together": {"depolarizing": 0.05, "amplitude_damping": 0.08, "readout": {"p01": 0.02, "p10": 0.1}},
    "as strong as can be": {"depolarizing": 1.0, "amplitude_damping": 1.0, "readout": {"p01": 1.0, "p10": 0.0}},
}


def noise_of(backend: Backend, config: dict[str, Any]) -> Noise | None:
    """The noise; None where this backend has said in its capabilities, and says again when asked, that it cannot."""
    found = Noise.of(config)
    assert found is not None
    if set(found.channels) <= set(backend.capabilities.noise):
        return found
    asked = replace(bare(Circuit.build(1, [Gate("H", (0,))]), "Z0", shots=10), noise=found)
    with pytest.raises(BackendCannot):
        backend.expectations(asked)
    return None


def within(estimates: np.ndarray, expected: np.ndarray, draws: int) -> None:
    """Means of so many outcomes of plus and minus one, no further off than five standard errors."""
    errors = np.sqrt(np.clip(1 - expected**2, 0, None) / draws)
    off = np.abs(estimates - expected)
    assert np.all(off <= 5 * errors + 1e-6), (off / np.maximum(errors, 1e-12)).max()


def words(rng: np.random.Generator, n_qubits: int) -> tuple[Observable, ...]:
    """A few random Pauli strings; of up to four qubits."""
    found = []
    for _ in range(4):
        letters = rng.choice(list("IXYZ"), n_qubits)
        found.append(Observable(tuple((q, str(p)) for q, p in enumerate(letters) if p != "I")))
    return tuple(found)


@pytest.mark.parametrize("name", NOISES)
def test_random_circuits_agree_with_density_matrices(backend: Backend, name: str) -> None:
    """One to four qubits, any gates, numbers, weights, features and expressions as angles, any Pauli strings."""
    noise = noise_of(backend, NOISES[name])
    if noise is None:
        return
    rng = np.random.default_rng(20)
    for n_qubits in (1, 2, 3, 4):
        for number in range(2):
            program = Program.lower(random_circuit(rng, n_qubits, 8))
            execution = Execution(
                program=program,
                weights=rng.uniform(0.3, 2.5, program.n_weights),
                features=rng.uniform(-1.5, 1.5, (2, program.n_features)),
                observables=words(rng, n_qubits),
                shots=2_000,
                seed=number,
                noise=noise,
            )

            within(backend.expectations(execution), density.expectations(execution), 2_000)


@pytest.mark.parametrize("name", sorted(GATES))
def test_noise_comes_after_each_gate_as_it_was_written(backend: Backend, name: str) -> None:
    """Once on every qubit that the gate touches and on no other, however many steps it is made of."""
    noise = noise_of(backend, {"depolarizing": 0.15, "amplitude_damping": 0.1})
    if noise is None:
        return
    n = GATES[name].n_qubits + 1
    gates = [Gate(axis, (q,), (0.3 + q,)) for axis in ("RY", "RZ") for q in range(n)]
    angles = tuple(0.4 + 0.7 * k for k in range(len(GATES[name].parameter_names)))
    circuit = Circuit.build(n, [*gates, Gate(name, tuple(range(n - 1, 0, -1)), angles)])
    execution = replace(bare(circuit, *(f"{p}{q}" for p in "XYZ" for q in range(n)), shots=20_000), seed=5, noise=noise)

    within(backend.expectations(execution), density.expectations(execution), 20_000)


@pytest.mark.parametrize("name", NOISES)
def test_counts_agree_with_density_matrices(backend: Backend, name: str) -> None:
    """Every outcome's frequency, qubit 0 on the left; readout errs bit by bit, one way as often as is said."""
    noise = noise_of(backend, NOISES[name])
    if noise is None:
        return
    circuit = Circuit.build(
        3, [Gate("RY", (0,), (0.7,)), Gate("CNOT", (0, 1)), Gate("H", (2,)), Gate("RZZ", (1, 2), (0.9,))]
    )
    shots = 6_000
    execution = replace(bare(circuit, shots=shots), seed=2, noise=noise)

    (counts,) = backend.sample(execution)

    expected = density.probabilities(density.state(circuit, {}, noise), noise)
    found = np.array([counts.get(f"{outcome:03b}", 0) for outcome in range(8)]) / shots
    assert sum(counts.values()) == shots
    assert np.all(np.abs(found - expected) <= 5 * np.sqrt(expected * (1 - expected) / shots) + 1e-6)


def test_readout_errors_follow_their_formula(backend: Backend) -> None:
    """A bit that is surely 0 reads 1 with p01, one that is surely 1 reads 0 with p10, a parity multiplies both."""
    p01, p10 = 0.1, 0.3
    noise = noise_of(backend, {"readout": {"p01": p01, "p10": p10}})
    if noise is None:
        return
    shots = 40_000
    execution = bare(Circuit.build(2, [Gate("X", (1,))]), "Z0", "Z1", "Z0 Z1", "I", shots=shots)

    (found,) = backend.expectations(replace(execution, seed=1, noise=noise))

    expected = np.array([1 - 2 * p01, -(1 - 2 * p10), -(1 - 2 * p01) * (1 - 2 * p10), 1.0])
    within(found, expected, shots)
    (swapped,) = backend.expectations(replace(execution, seed=1, noise=Noise.of({"readout": 1.0})))
    assert swapped.tolist() == [-1.0, 1.0, -1.0, 1.0]


def test_no_strength_is_no_noise(backend: Backend) -> None:
    """Channels of zero strength give, bit for bit, what the circuit gives without noise."""
    needs(backend, "noise")
    nothing = Noise.of(dict.fromkeys(backend.capabilities.noise, 0.0))
    circuit = random_circuit(np.random.default_rng(4), 3, 8)
    program = Program.lower(circuit)
    execution = Execution(
        program,
        np.full(program.n_weights, 0.4),
        np.full((2, program.n_features), 0.3),
        observables.readout("z+zz", 3),
        shots=200,
        seed=9,
    )

    assert np.array_equal(backend.expectations(execution), backend.expectations(replace(execution, noise=nothing)))
    assert backend.sample(execution) == backend.sample(replace(execution, noise=nothing))


@pytest.mark.parametrize("name", ["all together", "uneven readout"])
def test_estimates_spread_as_their_standard_error_says(backend: Backend, name: str) -> None:
    """Shots are independent of each other: over many samples the variance is (1 - v^2)/shots."""
    noise = noise_of(backend, NOISES[name])
    if noise is None:
        return
    circuit = Circuit.build(2, [Gate("RY", (0,), (0.9,)), Gate("CNOT", (0, 1)), Gate("RX", (1,), (0.4,))])
    shots, samples = 40, 500
    execution = bare(circuit, "Z0", "Z0 Z1", "Y1", shots=shots)
    execution = replace(execution, seed=3, noise=noise, features=np.zeros((samples, 0)))

    estimates = backend.expectations(execution)

    expected = density.expectations(replace(execution, features=np.zeros((1, 0))))[0]
    within(estimates.mean(axis=0), expected, shots * samples)
    ratio = estimates.var(axis=0) / ((1 - expected**2) / shots)
    assert np.all(np.abs(ratio - 1) <= 5 * np.sqrt(2 / samples))
    assert np.array_equal(estimates * shots, np.round(estimates * shots))


@pytest.mark.parametrize("name", ["all together", "readout"])
def test_noise_follows_its_seed(backend: Backend, name: str) -> None:
    """The same seed gives the same bits, another one others, and samples of one batch differ."""
    noise = noise_of(backend, NOISES[name])
    if noise is None:
        return
    circuit = Circuit.build(2, [Gate("H", (0,)), Gate("CRX", (0, 1), (1.1,))])
    execution = replace(bare(circuit, "Z0", "X0 Y1", shots=64), seed=1, noise=noise, features=np.zeros((12, 0)))

    first = backend.expectations(execution)

    assert np.array_equal(first, backend.expectations(execution))
    assert not np.array_equal(first, backend.expectations(replace(execution, seed=2)))
    assert len(set(first[:, 0])) > 1
    assert backend.sample(execution) == backend.sample(execution)
    assert backend.sample(execution) != backend.sample(replace(execution, seed=2))
    assert not np.array_equal(
        backend.expectations(replace(execution, seed=None)), backend.expectations(replace(execution, seed=None))
    )


@pytest.mark.parametrize("name", ["all together", "uneven readout"])
def test_gradients_by_the_shift_rule_are_those_of_the_noisy_expectation(backend: Backend, name: str) -> None:
    """Gates of several steps, repeated weights and expressions: the mean over seeds meets finite differences."""
    noise = noise_of(backend, NOISES[name])
    if noise is None:
        return
    a, b = expressions.symbol("a"), expressions.symbol("b")
    circuit = Circuit.build(
        2,
        [
            Gate("RY", (0,), (a,)),
            Gate("CRX", (0, 1), (expressions.parse("2*a - x_0"),)),
            Gate("U3", (1,), (b, a, expressions.parse("sin(b)*x_0"))),
            Gate("RZZ", (0, 1), (a,)),
            Gate("RXX", (1, 0), (b,)),
        ],
    )
    execution = Execution(
        program=Program.lower(circuit),
        weights=np.array([0.7, -0.4]),
        features=np.array([[0.3], [-1.1]]),
        observables=tuple(map(observables.parse, ("Z0", "X0 Y1", "I"))),
        shots=400,
        noise=noise,
    )
    cotangents = np.array([[1.0, -2.0, 3.0], [0.5, 0.25, 0.0]])

    found = np.array(
        [backend.differentiate(replace(execution, seed=seed), lambda _: cotangents)[1] for seed in range(25)]
    )

    step = 1e-5
    for k in range(2):
        moved = np.zeros(2)
        moved[k] = step
        above = density.expectations(replace(execution, weights=execution.weights + moved))
        below = density.expectations(replace(execution, weights=execution.weights - moved))
        expected = float(((above - below) * cotangents).sum() / (2 * step))
        error = found[:, k].std(ddof=1) / np.sqrt(len(found))
        assert abs(found[:, k].mean() - expected) <= 5 * error
        assert error < 0.05


def test_noise_that_cannot_be_had_is_refused(backend: Backend) -> None:
    """Without shots, of a channel that is not offered, and by a model's name; no state vector of a noisy state."""
    needs(backend, "shots")
    execution = replace(bare(Circuit.build(1, [Gate("H", (0,))]), "Z0", shots=10), seed=1)
    for channel in CHANNELS:
        noisy = replace(execution, noise=Noise.of({channel: 0.1}))
        if channel not in backend.capabilities.noise:
            with pytest.raises(BackendCannot, match=channel):
                backend.expectations(noisy)
            with pytest.raises(BackendCannot, match=channel):
                backend.sample(noisy)
            continue
        with pytest.raises(ValidationFailed) as refused:
            backend.expectations(replace(noisy, shots=None))
        assert refused.value.details["errors"][0]["field"] == "config.shots"
        if channel != "readout":
            with pytest.raises(BackendCannot, match="state"):
                backend.statevector(noisy)
    with pytest.raises(BackendCannot, match="models"):
        backend.expectations(replace(execution, noise=Noise.of({"model": "aria-1"})))
