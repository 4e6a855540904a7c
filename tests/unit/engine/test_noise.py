"""Jobs under noise, from the plan to the model; the physics is proven in `tests/contract/backends/test_noise.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from qstore_appliance.engine import archive, artifact
from qstore_appliance.engine.backend import Capabilities
from qstore_appliance.engine.circuit import GATES
from qstore_appliance.engine.discovery import load
from qstore_appliance.engine.estimate import estimate
from qstore_appliance.engine.formats import unified
from qstore_appliance.engine.hamiltonians import build
from qstore_appliance.engine.lowering import lower
from qstore_appliance.engine.noise import Noise, ReadoutError
from qstore_appliance.engine.predictor import Predictor
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.tasks.energy import Energy
from qstore_appliance.engine.training import EpochReport, Plan, Trained, Training
from qstore_appliance.errors import BackendCannot, BackendUnavailable, QStoreError, ValidationFailed
from tests.contract.backends import density

#: Two qubits that read two features and learn two angles, one of them in a gate of several steps.
CIRCUIT: dict[str, Any] = {
    "n_qubits": 2,
    "gates": [
        *({"type": "RY", "targets": [q], "parameters": {"theta": f"x_{q}"}} for q in range(2)),
        {"type": "RY", "targets": [0], "parameters": {"theta": "theta_0"}},
        {"type": "RZZ", "targets": [0, 1], "parameters": {"theta": "theta_1"}},
    ],
}
NOISE: dict[str, Any] = {"depolarizing": 0.02, "amplitude_damping": 0.03, "readout": {"p01": 0.01, "p10": 0.05}}
ANSATZ: dict[str, Any] = {
    "n_qubits": 2,
    "gates": [
        {"type": "RY", "targets": [0], "parameters": {"theta": "theta_0"}},
        {"type": "CRY", "targets": [0, 1], "parameters": {"theta": "theta_1"}},
    ],
}
START = {"theta_0": 0.8, "theta_1": 1.3}
ISING = {"model": "ising", "j": 1.0, "h": 0.5}


def make_plan(checkpoint: bytes | None = None, backend: str = "qsim", **config: Any) -> Plan:
    """A little iris; keywords go into the config."""
    dataset = {"type": "iris", "train_size": 12, "val_size": 6, "features": {"method": "pca"}}
    asked = {"epochs": 2, "batch_size": 6, "learning_rate": 0.1, "shots": 20, "noise": NOISE, "dataset": dataset}
    return Plan(
        circuit=CIRCUIT,
        config={**asked, **config},
        backend=backend,
        backend_options={},
        dataset={"kind": "builtin", "name": "iris"},
        seed=3,
        checkpoint=checkpoint,
    )


def train(plan: Plan) -> tuple[list[EpochReport], Trained]:
    training = Training(plan)
    return list(training.epochs()), training.finish()


@pytest.fixture(scope="module", autouse=True)
def qsim() -> None:
    """qsim is what runs these; where there is no wheel of it, its own reason is the excuse."""
    try:
        load("qsim", {})
    except BackendUnavailable as reason:
        pytest.skip(reason.message)


def test_the_same_seed_gives_the_same_model_and_noise_changes_it() -> None:
    """Bit for bit; gradients are by the shift rule, and the receipt names the noise."""
    _, first = train(make_plan())
    _, again = train(make_plan())
    _, clean = train(make_plan(noise=None))

    assert first.artifact == again.artifact
    assert first.parameters != clean.parameters
    assert first.receipt["noise"] == NOISE
    assert first.receipt["gradient"] == "parameter_shift"
    assert clean.receipt["noise"] is None


def test_a_checkpoint_goes_on_under_the_same_noise_only() -> None:
    """The second epoch is the same after a restart; other noise is refused, and none at all as well."""
    reports, whole = train(make_plan())

    _, resumed = train(make_plan(checkpoint=reports[0].checkpoint))

    assert resumed.artifact == whole.artifact
    for noise in (None, {"depolarizing": 0.02}):
        with pytest.raises(ValidationFailed, match="noise"):
            Training(make_plan(checkpoint=reports[0].checkpoint, noise=noise))


def test_checkpoints_from_before_there_was_noise_still_fit() -> None:
    """A config without the key and one with null are the same training."""
    without = make_plan(backend="native", shots=None)
    del without.config["noise"]
    reports, _ = train(without)

    resumed = Training(make_plan(backend="native", shots=None, noise=None, checkpoint=reports[0].checkpoint))

    assert [report.epoch for report in resumed.epochs()] == [2]


def test_a_model_answers_under_the_noise_that_it_learned() -> None:
    """Its head was fitted to noisy expectations: answers have the noise, the job's shots, and a seed."""
    dataset = {**make_plan().config["dataset"], "target": "petal width (cm)"}
    _, trained = train(make_plan(task="regression", dataset=dataset))
    assert trained.artifact is not None
    assert artifact.read(trained.artifact).noise == Noise.of(NOISE)
    predictor = Predictor(trained.artifact)
    flower = [[5.1, 3.5, 1.4]]  # without the column that is learned

    answers = [predictor.predict(flower, seed=seed) for seed in (1, 1, 2)]

    assert answers[0].shots == 20
    assert answers[0].std_errors is not None
    assert answers[0].values is not None
    assert np.array_equal(answers[0].values, answers[1].values)
    assert not np.array_equal(answers[0].values, answers[2].values)
    with pytest.raises(BackendCannot, match="depolarizing"):
        predictor.predict(flower, backend="native")


def test_models_without_noise_are_written_as_before() -> None:
    """An artifact names noise only where there is some, so that older ones read the same."""
    _, trained = train(make_plan(backend="native", noise=None, shots=None))

    assert trained.artifact is not None
    assert "noise" not in archive.read(trained.artifact)[1]
    assert artifact.read(trained.artifact).noise is None


def energies(seeds: Sequence[int], **config: Any) -> list[dict[str, Any]]:
    """What a training of two weights, hardly moved, measures at its end."""
    asked = {"task": "energy", "hamiltonian": ISING, "epochs": 1, "learning_rate": 1e-9, "shots": 200, "noise": NOISE}
    plan = Plan(
        circuit=ANSATZ,
        config={**asked, "initial_parameters": START, **config},
        backend="qsim",
        backend_options={},
        dataset={},
        seed=0,
    )
    return [train(msgspec.structs.replace(plan, seed=seed))[1].metrics for seed in seeds]


def test_an_energy_under_noise_is_unbiased_and_no_surer_than_it_says() -> None:
    """The mean over seeds meets the density matrix's energy; the spread stays within the standard error that is told."""
    found = energies(range(40))

    measured = np.array([metrics["energy"] for metrics in found])
    told = np.array([metrics["energy_std_error"] for metrics in found])
    noise = Noise.of(NOISE)
    hamiltonian = build(ISING, 2)
    rho = density.state(unified.read(ANSATZ), START, noise)
    values = [density.expectation(rho, observable, noise) for observable in hamiltonian.observables]
    expected = Energy(hamiltonian).energy(np.array([values]))
    assert abs(measured.mean() - expected) <= 5 * measured.std(ddof=1) / np.sqrt(len(measured))
    assert measured.std(ddof=1) <= told.mean() * (1 + 5 / np.sqrt(2 * len(measured)))


@pytest.mark.parametrize("optimizer", ["natural", "spsa", "rmsprop"])
def test_optimizers_run_under_noise(optimizer: str) -> None:
    """Those that ask for more than a gradient as well; their numbers are finite and follow the seed."""
    first, again = energies([5, 5], optimizer=optimizer, epochs=2, learning_rate=0.05)

    assert np.isfinite(first["energy"])
    assert first["energy"] == again["energy"]


def test_outcomes_are_counted_under_noise() -> None:
    """A surely excited qubit relaxes and is misread as often as the channels say; the seed decides the draw."""
    plan = Plan(
        circuit={"n_qubits": 2, "gates": [{"type": "X", "targets": [0]}]},
        config={"task": "sampling", "shots": 4_000, "noise": {"amplitude_damping": 0.2, "readout": {"p10": 0.1}}},
        backend="qsim",
        backend_options={},
        dataset={},
        seed=1,
    )

    _, trained = train(plan)

    share = trained.metrics["probabilities"]["10"]
    assert set(trained.metrics["counts"]) == {"10", "00"}
    assert abs(share - 0.8 * 0.9) <= 5 * np.sqrt(0.72 * 0.28 / 4_000)
    assert trained.metrics["std_errors"]["10"] == pytest.approx(np.sqrt(share * (1 - share) / 4_000))
    assert train(plan)[1].metrics == trained.metrics
    assert trained.receipt["noise"] == {"amplitude_damping": 0.2, "readout": {"p01": 0.0, "p10": 0.1}}


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"shots": None}, ValidationFailed, "config.shots"),
        ({"gradient": "adjoint"}, BackendCannot, "without noise"),
        ({"backend": "native"}, BackendCannot, "only readout, not depolarizing, amplitude_damping"),
        ({"noise": {"model": "aria-1"}}, BackendCannot, "no noise models"),
        ({"noise": {}}, ValidationFailed, "config.noise"),
        ({"noise": {"thermal": 0.1}}, ValidationFailed, "config.noise.thermal"),
        ({"noise": {"depolarizing": 1.5}}, ValidationFailed, "config.noise.depolarizing"),
        ({"noise": {"readout": {"p11": 0.1}}}, ValidationFailed, "config.noise.readout.p11"),
        ({"noise": {"readout": {"p01": -0.1}}}, ValidationFailed, "config.noise.readout.p01"),
        ({"noise": {"model": "aria-1", "readout": 0.1}}, ValidationFailed, "config.noise.model"),
    ],
)
def test_noise_that_makes_no_sense_is_refused(change: dict[str, Any], error: type[QStoreError], says: str) -> None:
    """Before anything is trained, with the field or what the backend has."""
    with pytest.raises(error) as refused:
        Training(make_plan(**change))

    assert says in f"{refused.value.message} {refused.value.details}"


def test_gates_keep_their_ends_where_the_shift_rule_writes_them_in_steps() -> None:
    """The shifted circuit has a gate for every step, and the same places for noise as the circuit that was written."""
    program = Program.lower(unified.read(CIRCUIT))

    assert program.lowered.ends == ((1, (0,)), (2, (1,)), (3, (0,)), (6, (0, 1)))
    assert program.shifted.lowered.ends == program.lowered.ends
    assert len(program.shifted.lowered.steps) == len(program.lowered.steps)
    assert len(lower(program.shifted.circuit).ends) == 6


def test_an_even_readout_is_written_by_one_number() -> None:
    """A number stands for both ways of misreading, and a document leaves out what was not asked for."""
    noise = Noise.of({"readout": 0.25, "depolarizing": None})

    assert noise is not None
    assert noise.readout == ReadoutError(0.25, 0.25)
    assert noise.document() == {"readout": {"p01": 0.25, "p10": 0.25}}
    assert Noise.of(noise.document()) == noise


def test_an_estimate_counts_every_trajectory() -> None:
    """Ten times the shots take nearly ten times as long under noise of gates, and hardly longer without."""
    able = Capabilities(
        max_qubits=20, max_depth=None, gates=tuple(GATES), exact=True, shots=True, adjoint=False, statevector=True
    )

    def seconds(shots: int, noise: dict[str, Any] | None) -> float:
        plan = make_plan(epochs=500, shots=shots, noise=noise)
        sizes = {"n_samples": 150, "n_inputs": 4, "n_classes": 3}
        found = estimate(unified.read(CIRCUIT), plan.config, capabilities=able, backend="qsim", **sizes)
        return found.seconds.expected

    assert 8 < seconds(100_000, NOISE) / seconds(10_000, NOISE) < 10.1
    assert seconds(10_000, NOISE) > 5 * seconds(10_000, None)
    assert seconds(10_000, {"readout": 0.1}) == seconds(10_000, None)
