from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from qstore_appliance.engine import discovery, expressions, recipe
from qstore_appliance.engine.backend import Capabilities
from qstore_appliance.engine.circuit import GATES, Circuit, Gate
from qstore_appliance.engine.estimate import Estimate, estimate
from qstore_appliance.engine.formats import unified
from qstore_appliance.engine.part_sizes import part_sizes
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.training import Plan, Training
from qstore_appliance.errors import ValidationFailed

NATIVE = Capabilities(
    max_qubits=20, max_depth=None, gates=tuple(GATES), exact=True, shots=True, adjoint=True, statevector=True
)


def digits_circuit() -> Circuit:
    body = recipe.circuit()
    return unified.read({"n_qubits": body["n_qubits"], "gates": body["gates"]})


def of_digits(circuit: Circuit | None = None, capabilities: Capabilities = NATIVE, **config: Any) -> Estimate:
    return estimate(
        circuit or digits_circuit(),
        {**recipe.config(), **config},
        n_samples=1797,
        n_inputs=64,
        n_classes=10,
        capabilities=capabilities,
    )


@pytest.mark.parametrize(
    "config",
    [{}, {"gradient": "parameter_shift"}, {"gradient": "spsa"}, {"optimizer": "spsa", "shots": 5}, {"shots": 10}],
)
def test_circuits_and_shots_are_those_that_training_reports(config: dict[str, Any]) -> None:
    """The expected numbers equal the sum over the reports and the final scoring, whatever the gradient."""
    gates = [
        {"type": "RY", "targets": [0], "parameters": {"theta": "x_0 + theta_0"}},
        {"type": "CRX", "targets": [0, 1], "parameters": {"theta": "theta_1"}},
    ]
    settings = {"epochs": 2, "batch_size": 50, "dataset": {"type": "iris", "features": {"method": "pca"}}, **config}
    circuit = {"n_qubits": 2, "gates": gates}
    training = Training(
        Plan(
            circuit=circuit,
            config=settings,
            backend="native",
            backend_options={},
            dataset={"kind": "builtin", "name": "iris"},
            seed=0,
        )
    )
    reports = list(training.epochs())
    trained = training.finish()

    found = estimate(unified.read(circuit), settings, n_samples=150, n_inputs=4, n_classes=3, capabilities=NATIVE)

    assert found.circuits.expected == sum(report.circuits for report in reports) + trained.circuits
    assert found.shots.expected == sum(report.shots for report in reports) + trained.shots


def test_an_estimate_is_an_interval() -> None:
    """Low, expected and high are in order, and time and memory are never nothing."""
    found = of_digits()

    for interval in (found.seconds, found.memory_bytes, found.circuits):
        assert 0 < interval.low <= interval.expected <= interval.high


def test_the_recipe_is_expected_to_take_seconds() -> None:
    """The demo's training is estimated between a fifth of a second and half a minute."""
    assert 0.2 < of_digits().seconds.expected < 30


def test_time_grows_with_qubits_and_with_the_shift_rule() -> None:
    """Each further pair of qubits costs more, and so does a gradient without adjoint."""
    bigger = unified.read({"n_qubits": 12, "gates": recipe.gates(12)})

    assert of_digits(bigger).seconds.expected > 5 * of_digits().seconds.expected
    assert of_digits(gradient="parameter_shift").seconds.expected > 10 * of_digits().seconds.expected


def test_early_stopping_lowers_the_lower_bound_alone() -> None:
    """A patience of 3 can end after four epochs of forty."""
    stopping, plain = of_digits(early_stopping={"patience": 3}), of_digits()

    assert stopping.circuits.low < 0.2 * plain.circuits.low
    assert stopping.circuits.high == plain.circuits.high


def test_the_publishers_test_part_is_counted() -> None:
    """MNIST by default scores its ten thousand test images once."""
    found = estimate(
        digits_circuit(),
        {"epochs": 1},
        n_samples=70_000,
        n_inputs=784,
        n_classes=10,
        n_reference=60_000,
        capabilities=NATIVE,
    )

    assert found.circuits.expected == 54_000 + 6_000 + 10_000


def test_parts_that_cannot_be_had_are_refused() -> None:
    """An estimate is the first to see that there are not so many samples."""
    with pytest.raises(ValidationFailed, match=r"config\.dataset\.train_size"):
        of_digits(dataset={"type": "digits", "train_size": 1800})


def test_rotations_are_counted_as_the_program_does() -> None:
    """The shift rule's price agrees with the lowered program for every gate that takes an angle."""
    for name, spec in GATES.items():
        if not spec.parameter_names:
            continue
        angles = {parameter: f"theta_{index}" for index, parameter in enumerate(spec.parameter_names)}
        gate = {"type": name, "targets": list(range(spec.n_qubits)), "parameters": angles}
        circuit = unified.read({"n_qubits": spec.n_qubits, "gates": [gate]})
        shifted = of_digits(circuit, gradient="parameter_shift", epochs=1).circuits.expected
        parts = part_sizes(1797, 10, None, None)
        per_sample = (shifted - parts.validation - parts.test) / parts.train

        assert per_sample == 1 + 2 * len(Program.lower(circuit).gradient_slots), name


def test_the_native_backend_is_the_one_that_is_described_here() -> None:
    """The capabilities of these tests have the adjoint pass and the gates of the real plugin."""
    real = discovery.load("native", {}).capabilities

    assert (real.adjoint, real.exact, set(real.gates)) == (True, True, set(GATES))


def test_light_modules_stay_light() -> None:
    """What the serving process imports of this corner brings neither numpy nor scikit-learn."""
    code = (
        "import sys\n"
        "from qstore_appliance.engine import dataset_names, estimate, part_sizes, plan, recipe\n"
        "print(sorted({'numpy', 'sklearn', 'numba', 'scipy'} & set(sys.modules)))"
    )

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("optimizer", ["adam", "spsa", "natural", "lbfgs"])
def test_an_energys_circuits_lie_within_the_bounds(optimizer: str) -> None:
    """What an optimiser asks beside the gradient is known within bounds, and they hold."""
    gates = [
        {"type": "RY", "targets": [q], "parameters": {"theta": f"theta_{layer}_{q}"}}
        for layer in (0, 1)
        for q in (0, 1)
    ]
    circuit = {"n_qubits": 2, "gates": [*gates[:2], {"type": "CNOT", "targets": [0, 1]}, *gates[2:]]}
    config = {"task": "energy", "hamiltonian": {"model": "ising"}, "optimizer": optimizer, "epochs": 8}
    training = Training(Plan(circuit=circuit, config=config, backend="native", backend_options={}, dataset={}, seed=0))
    reports = list(training.epochs())
    run = sum(report.circuits for report in reports) + training.finish().circuits

    found = estimate(unified.read(circuit), config, n_samples=1, n_inputs=0, n_classes=1, capabilities=NATIVE)

    assert found.circuits.low <= run <= found.circuits.high


def test_a_sampling_is_one_circuit() -> None:
    """Whatever its epochs would be."""
    config = {"task": "sampling", "shots": 500, "epochs": 20}
    found = estimate(digits_circuit(), config, n_samples=1, n_inputs=0, n_classes=1, capabilities=NATIVE)

    assert (found.circuits.low, found.circuits.high, found.shots.expected) == (1, 1, 500)


@pytest.mark.parametrize(
    ("name", "config", "each"),
    [
        ("native", {}, 16),
        ("native", {"precision": "double"}, 32),
        ("native", {"shots": 100}, 8 + 24),
        ("native", {"gradient": "parameter_shift"}, 8),
        ("native", {"task": "sampling", "dataset": None}, 8 + 24),
        ("lightning", {"gradient": "parameter_shift"}, 16),
        ("lightning", {"shots": 100}, 16 + 24),
        ("qsim", {}, 8),
        ("qsim", {"shots": 100}, 8 + 24),
    ],
)
def test_memory_follows_the_backend(name: str, config: dict[str, Any], each: int) -> None:
    """A large circuit takes what its backend keeps for each amplitude: precision, costates and draws are counted."""
    circuit = Circuit.build(26, [Gate("RY", (0,), (expressions.symbol("a"),))])
    capabilities = discovery.load(name, {"device": "cpu"} if name == "lightning" else {}).capabilities
    process = of_digits(capabilities=capabilities).memory_bytes.expected

    found = of_digits(circuit, capabilities=capabilities, backend=name, **config).memory_bytes.expected

    assert found == pytest.approx((each << 26) + process, rel=0.2)


MEASURED = """
import sys
from dataclasses import replace
import numpy as np
from qstore_appliance.engine import discovery, machine_speed

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

name, way, precision = sys.argv[1:]
backend = discovery.load(name, {})
backend.probe()
small, large = (machine_speed._execution(n, 1)[0] for n in (4, 22))
small, large = replace(small, precision=precision), replace(large, precision=precision)
def run(execution):
    if way == "gradient":
        backend.differentiate(execution, np.ones_like)
    else:
        backend.expectations(execution)
run(small)
before = peak()
run(large)
print((peak() - before) / 2**22)
print(backend.capabilities.memory_needed(22, precision, gradient=way == "gradient") / 2**22)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="not on this operating system: needs /proc")
@pytest.mark.parametrize(
    ("name", "way", "precision"),
    [
        ("native", "state", "single"),
        ("native", "gradient", "single"),
        ("native", "gradient", "double"),
        ("lightning", "state", "single"),
        ("lightning", "gradient", "double"),
        ("qsim", "state", "single"),
    ],
)
def test_backends_take_the_memory_that_they_state(name: str, way: str, precision: str) -> None:
    """The peak of a process that runs 22 qubits grows by what the capabilities say, within a fifth or two bytes."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, name, way, precision], capture_output=True, text=True, check=False
    )
    if "which is missing" in done.stderr:
        pytest.skip(f"not on this operating system: {name}")
    assert done.returncode == 0, done.stderr
    measured, stated = map(float, done.stdout.split())

    assert measured == pytest.approx(stated, rel=0.2, abs=2.0)
