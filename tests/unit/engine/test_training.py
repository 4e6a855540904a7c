from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from qstore_appliance.engine import artifact, recipe
from qstore_appliance.engine.archive import read as read_archive
from qstore_appliance.engine.checkpoint import Checkpoint
from qstore_appliance.engine.datasets import Samples
from qstore_appliance.engine.training import EpochReport, Plan, Trained, Training
from qstore_appliance.errors import (
    ArtifactCorrupt,
    BackendCannot,
    Cancelled,
    Diverged,
    InvalidCircuit,
    NotFound,
    ValidationFailed,
)


def make_circuit(n_qubits: int = 2, features: bool = True) -> dict[str, Any]:
    gates = []
    if features:
        gates += [{"type": "RY", "targets": [q], "parameters": {"theta": f"x_{q}"}} for q in range(n_qubits)]
    gates += [{"type": "RY", "targets": [q], "parameters": {"theta": f"theta_{q}"}} for q in range(n_qubits)]
    gates += [{"type": "CNOT", "targets": [q, q + 1]} for q in range(n_qubits - 1)]
    gates += [{"type": "RX", "targets": [q], "parameters": {"theta": f"phi_{q}"}} for q in range(n_qubits)]
    return {"n_qubits": n_qubits, "gates": gates}


def make_plan(
    circuit: dict[str, Any] | None = None, seed: int = 7, checkpoint: bytes | None = None, **config: Any
) -> Plan:
    """Iris on two qubits; keywords go into the job's config."""
    dataset = {"type": "iris", "features": {"method": "pca", "count": 2}}
    return Plan(
        circuit=circuit or make_circuit(),
        config={"epochs": 4, "batch_size": 16, "learning_rate": 0.1, "dataset": dataset, **config},
        backend="native",
        backend_options={},
        dataset={"kind": "builtin", "name": "iris"},
        seed=seed,
        checkpoint=checkpoint,
    )


def train(plan: Plan) -> tuple[list[EpochReport], Trained]:
    training = Training(plan)
    return list(training.epochs()), training.finish()


class TestLearning:
    def test_the_loss_falls_and_the_test_part_is_scored_beside_a_baseline(self) -> None:
        """Iris is learnt far beyond the commonest class, on samples that nobody saw."""
        reports, trained = train(make_plan(epochs=15))

        metrics = trained.metrics
        assert reports[-1].loss < 0.6 * reports[0].loss
        assert metrics["test_accuracy"] == metrics["accuracy"] > 0.7
        assert metrics["baseline"]["logistic_regression"] > 0.7 > metrics["baseline"]["majority"]
        assert metrics["baseline"]["features"] == 2
        assert metrics["n_test"] == np.sum(metrics["confusion_matrix"]) == 15
        assert metrics["scored_on"] == "test"
        assert metrics["validation_accuracy"] == reports[-1].val_accuracy
        assert metrics["inference_time_ms"] > 0
        assert 0 < metrics["f1_score"] <= 1

    @pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop", "spsa", "natural"])
    def test_every_optimizer_lowers_the_loss(self, optimizer: str) -> None:
        """The optimisers that take batches train the same circuit."""
        reports, _ = train(make_plan(optimizer=optimizer, learning_rate=0.05, epochs=6))

        assert reports[-1].loss < reports[0].loss

    def test_reports_count_time_and_circuits(self) -> None:
        """An epoch runs each training sample once and each validation sample once, and says so in its log line."""
        reports, trained = train(make_plan(epochs=3))

        assert [report.epoch for report in reports] == [1, 2, 3]
        assert {report.circuits for report in reports} == {120 + 15}
        assert {report.shots for report in reports} == {0}
        assert trained.circuits == 15
        assert reports[-1].eta_seconds == 0 < reports[0].eta_seconds
        assert reports[-1].best_loss == min(report.loss for report in reports)
        assert reports[1].message.startswith(f"Epoch 2/3 - loss: {reports[1].loss:.4f} - accuracy: ")

    def test_the_model_says_where_it_comes_from(self) -> None:
        """Parameters are grouped by prefix, the receipt names what ran, and examples are raw rows of the test part."""
        _, trained = train(make_plan(epochs=1))

        assert {prefix: len(values) for prefix, values in trained.parameters.items()} == {"theta": 2, "phi": 2}
        assert trained.receipt["backend"] == "native"
        assert trained.receipt["gradient"] == "adjoint"
        assert (trained.receipt["n_train"], trained.receipt["n_validation"], trained.receipt["n_test"]) == (120, 15, 15)
        assert len(trained.test_examples) == 10
        assert all(len(example["input"]) == 4 for example in trained.test_examples)
        assert msgspec.json.decode(msgspec.json.encode(trained.metrics)) == trained.metrics

    def test_a_circuit_without_features_gets_an_encoding_in_front(self) -> None:
        """By default one RY per qubit reads one feature each, and the model keeps it."""
        _, trained = train(make_plan(make_circuit(3, features=False), dataset={"type": "iris"}, epochs=1))

        gates = artifact.read(trained.artifact).circuit["gates"]
        assert [(gate["type"], gate["parameters"]["theta"]) for gate in gates[:3]] == [
            ("RY", "x_0"),
            ("RY", "x_1"),
            ("RY", "x_2"),
        ]

    def test_without_a_test_part_the_accuracy_says_what_it_was_scored_on(self) -> None:
        """When training and validation take everything, the accuracy is the validation part's and test is null."""
        _, trained = train(make_plan(dataset={"type": "iris", "train_size": 120, "val_size": 30}, epochs=1))

        assert trained.metrics["test_accuracy"] is None
        assert trained.metrics["scored_on"] == "validation"
        assert trained.metrics["accuracy"] == trained.metrics["validation_accuracy"]
        assert trained.circuits == 0

    def test_without_a_validation_part_there_is_nothing_to_report(self) -> None:
        """Validation numbers are null, and the test part is still scored."""
        reports, trained = train(make_plan(dataset={"type": "iris", "train_size": 100, "val_size": 0}, epochs=1))

        assert reports[0].val_loss is None
        assert reports[0].val_accuracy is None
        assert trained.metrics["n_test"] == 50

    def test_a_stored_file_trains_like_the_built_in_data(self, tmp_path: Path) -> None:
        """The same samples from a file give the same weights."""
        from qstore_appliance.engine.datasets import load_builtin

        digest, path = load_builtin("iris").keep(tmp_path)
        reference = {"kind": "file", "path": str(path), "digest": digest}

        _, by_name = train(make_plan(epochs=2))
        _, by_file = train(msgspec.structs.replace(make_plan(epochs=2), dataset=reference))

        assert by_file.parameters == by_name.parameters

    def test_the_shipped_recipe_beats_logistic_regression(self) -> None:
        """Ten epochs of the demo's circuit on one split are enough to pass the baseline on the same eight features."""
        config = recipe.config(seed=0, epochs=10)
        circuit = recipe.circuit()
        plan = Plan(
            circuit={"n_qubits": circuit["n_qubits"], "gates": circuit["gates"]},
            config=config,
            backend="native",
            backend_options={},
            dataset={"kind": "builtin", "name": "digits"},
            seed=0,
        )

        _, trained = train(plan)

        assert trained.metrics["n_test"] == 179
        assert trained.metrics["test_accuracy"] > trained.metrics["baseline"]["logistic_regression"] > 0.85


VARIANTS: dict[str, dict[str, Any]] = {
    "adam": {},
    "sgd": {"optimizer": "sgd", "schedule": "constant"},
    "shots": {"shots": 50, "epochs": 3, "batch_size": 60},
    "early stopping": {"early_stopping": {"patience": 2, "min_delta": 0.5}, "epochs": 6},
    "natural": {"optimizer": "natural", "epochs": 3, "batch_size": 60},
    "spsa": {"optimizer": "spsa", "shots": 20, "epochs": 3, "batch_size": 60},
    "spsa gradient": {"gradient": "spsa", "schedule": {"type": "step", "every": 1, "warmup": 1}, "epochs": 3},
    "clipped and weighted": {"gradient_clip": 0.1, "class_weights": "balanced", "epochs": 3},
    "regression": {
        "task": "regression",
        "epochs": 3,
        "dataset": {"type": "iris", "target": "petal width (cm)", "features": {"method": "pca", "count": 2}},
    },
}


class TestDeterminism:
    @pytest.mark.parametrize("variant", sorted(VARIANTS))
    def test_the_same_plan_gives_the_same_bytes(self, variant: str) -> None:
        """Checkpoints and artifact of two runs are equal bit for bit."""
        (first, model), (second, again) = (train(make_plan(**VARIANTS[variant])) for _ in range(2))

        assert [report.checkpoint for report in first] == [report.checkpoint for report in second]
        assert model.artifact == again.artifact

    @pytest.mark.parametrize("variant", sorted(VARIANTS))
    def test_going_on_from_any_epoch_equals_the_unbroken_run(self, variant: str) -> None:
        """From each checkpoint the remaining epochs and the model come out bit for bit, the last one included."""
        reports, model = train(make_plan(**VARIANTS[variant]))

        for index, report in enumerate(reports):
            rest, resumed = train(make_plan(checkpoint=report.checkpoint, **VARIANTS[variant]))
            assert [later.checkpoint for later in rest] == [later.checkpoint for later in reports[index + 1 :]]
            assert resumed.artifact == model.artifact
            assert resumed.metrics.keys() == model.metrics.keys()

    def test_another_seed_gives_another_model(self) -> None:
        """The seed decides split, start and order."""
        assert train(make_plan(seed=1, epochs=1))[1].parameters != train(make_plan(seed=2, epochs=1))[1].parameters

    def test_threads_do_not_change_the_result(self) -> None:
        """One thread computes the same bits as two."""
        one, two = (train(msgspec.structs.replace(make_plan(epochs=2), threads=n))[1] for n in (1, 2))

        assert one.artifact == two.artifact

    def test_a_checkpoint_of_another_problem_is_refused(self) -> None:
        """Another seed, circuit or optimiser cannot go on from it; garbage is ARTIFACT_CORRUPT."""
        checkpoint = train(make_plan(epochs=1))[0][0].checkpoint

        for plan in (
            make_plan(seed=8, checkpoint=checkpoint),
            make_plan(make_circuit(3), checkpoint=checkpoint, dataset={"type": "iris"}),
            make_plan(optimizer="sgd", checkpoint=checkpoint),
        ):
            with pytest.raises(ValidationFailed):
                Training(plan)
        with pytest.raises(ArtifactCorrupt):
            Training(make_plan(checkpoint=checkpoint[:-40]))

    def test_a_checkpoint_holds_numbers_and_json_only(self) -> None:
        """It is read without pickles, and says its version, epoch and scores."""
        content = train(make_plan(epochs=1))[0][0].checkpoint

        arrays, document = read_archive(content)
        checkpoint = Checkpoint.unpack(content)
        assert document["version"] == 1
        assert document["epoch"] == checkpoint.epoch == 1
        assert all(array.dtype.kind == "f" for array in arrays.values())
        assert len(checkpoint.parameters) == 4 + 3 * (2 + 1)


class TestEnds:
    def test_early_stopping_restores_the_best_epoch(self) -> None:
        """With a rate that overshoots, training ends before its last epoch and the model is that of the lowest loss."""
        reports, trained = train(
            make_plan(epochs=40, learning_rate=2.0, schedule="constant", early_stopping={"patience": 3})
        )

        best = min(reports, key=lambda report: report.val_loss or 0.0)
        assert len(reports) == best.epoch + 3 < 40
        assert reports[-1].eta_seconds == 0
        assert reports[-1].message.endswith("stopped early")
        kept = Checkpoint.unpack(best.checkpoint).parameters
        assert list(artifact.read(trained.artifact).weights.values()) == kept[:4].tolist()
        assert trained.metrics["validation_accuracy"] == best.val_accuracy

    def test_without_restoring_the_last_epoch_is_kept(self) -> None:
        """`restore_best: false` stops early and keeps the parameters of the last epoch."""
        stopping = {"patience": 2, "restore_best": False}
        reports, trained = train(make_plan(epochs=40, learning_rate=2.0, schedule="constant", early_stopping=stopping))

        last = Checkpoint.unpack(reports[-1].checkpoint).parameters
        assert list(artifact.read(trained.artifact).weights.values()) == last[:4].tolist()

    def test_should_stop_is_asked_before_every_batch(self) -> None:
        """The third batch of the second epoch is not run, and the first epoch's checkpoint goes on."""
        answers: Iterator[bool] = iter([False] * (8 + 2) + [True])
        epochs = Training(make_plan()).epochs(lambda: next(answers))

        first = next(epochs)
        with pytest.raises(Cancelled):
            next(epochs)

        assert first.epoch == 1
        rest, _ = train(make_plan(checkpoint=first.checkpoint))
        assert [report.epoch for report in rest] == [2, 3, 4]

    def test_a_loss_that_is_not_finite_is_diverged(self) -> None:
        """A learning rate of 1e308 overflows; the fault names the epoch, and earlier reports stay good."""
        training = Training(make_plan(learning_rate=1e308, optimizer="sgd", schedule="constant"))

        with pytest.raises(Diverged, match="epoch 1") as caught:
            list(training.epochs())

        assert caught.value.details["epoch"] == 1


class TestGradients:
    def test_both_rules_train_the_same_model(self) -> None:
        """Adjoint and parameter shift agree to single precision, and the shift rule counts its circuits."""
        by_adjoint, adjoint = train(make_plan(gradient="adjoint", epochs=1))
        by_shift, shift = train(make_plan(gradient="parameter_shift", epochs=1))

        for prefix, values in adjoint.parameters.items():
            assert shift.parameters[prefix] == pytest.approx(values, abs=1e-4)
        assert shift.receipt["gradient"] == "parameter_shift"
        assert by_adjoint[0].circuits == 135
        assert by_shift[0].circuits == 120 * (1 + 2 * 4) + 15

    def test_shots_are_counted(self) -> None:
        """With shots the shift rule runs, and every circuit counts its measurements."""
        reports, trained = train(make_plan(shots=20, epochs=1))

        assert trained.receipt["gradient"] == "parameter_shift"
        assert reports[0].shots == 20 * reports[0].circuits == 20 * (120 * 9 + 15)
        assert trained.shots == 20 * 15

    def test_adjoint_gradients_from_shots_cannot_be_had(self) -> None:
        """The combination is BACKEND_CANNOT."""
        with pytest.raises(BackendCannot):
            Training(make_plan(gradient="adjoint", shots=100))


class TestInitialParameters:
    def test_training_starts_where_it_is_told(self) -> None:
        """Names, prefixes and whole lists are taken; a rate of almost nothing leaves them there."""
        for given in ({"theta": [0.1, 0.2], "phi_0": 0.3, "phi_1": 0.4}, [0.1, 0.2, 0.3, 0.4]):
            _, trained = train(make_plan(initial_parameters=given, learning_rate=1e-12, epochs=1))
            assert trained.parameters["theta"] == pytest.approx([0.1, 0.2])
            assert trained.parameters["phi"] == pytest.approx([0.3, 0.4])

    @pytest.mark.parametrize(
        "given", [{"psi": 1.0}, {"theta": [1.0]}, [1.0], {"theta": ["a", 1.0]}, 3, {"theta": True}]
    )
    def test_what_does_not_fit_is_refused(self, given: object) -> None:
        """Unknown names, wrong lengths and things that are no numbers name the field."""
        with pytest.raises(ValidationFailed, match=r"config\.initial_parameters"):
            Training(make_plan(initial_parameters=given))


class TestBadPlans:
    @pytest.mark.parametrize(
        ("config", "field"),
        [
            ({"epochs": 0}, "epochs"),
            ({"batch_size": 0}, "batch_size"),
            ({"learning_rate": -1.0}, "learning_rate"),
            ({"optimizer": "lion"}, "optimizer"),
            ({"gradient": "magic"}, "gradient"),
            ({"task": "divination"}, "task"),
            ({"optimizer": "lbfgs"}, "optimizer"),
            ({"optimizer": "spsa", "gradient": "adjoint"}, "gradient"),
            ({"gradient_clip": 0.0}, "gradient_clip"),
            ({"gradient_clip": float("nan")}, "gradient_clip"),
            ({"class_weights": {"rose": 2.0}}, "class_weights.rose"),
            ({"class_weights": {"setosa": -1.0}}, "class_weights.setosa"),
            ({"class_weights": "heavy"}, "class_weights"),
            ({"dataset": {"type": "iris", "target": "petal width (cm)"}}, "dataset.target"),
            ({"early_stopping": {"patience": 0}}, "early_stopping.patience"),
            ({"early_stopping": {"patience": 2, "min_delta": -1.0}}, "early_stopping.min_delta"),
            ({"readout": {"observables": ["Q0"]}}, "readout.observables"),
            ({"readout": {"observables": ["Z5"]}}, "readout.observables"),
            ({"readout": {"head": "none"}}, "readout.observables"),
            ({"dataset": {"type": "iris", "train_size": 151}}, "dataset.train_size"),
            ({"dataset": {"type": "iris", "features": {"count": 3}}}, "dataset.features.count"),
            ({"dataset": {"type": "iris", "classes": ["rose", "tulip"]}}, "dataset.classes"),
        ],
    )
    def test_faults_of_the_config_name_their_field(self, config: dict[str, Any], field: str) -> None:
        """Nothing starts, and the fault says which field to change."""
        with pytest.raises(ValidationFailed, match=re.escape(f"config.{field}")):
            Training(make_plan(**config))

    @pytest.mark.parametrize("kind", ["none", "qram"])
    def test_an_encoding_that_cannot_be_had_is_refused(self, kind: str) -> None:
        """The fault names `config.encoding` and says what to do instead."""
        with pytest.raises(ValidationFailed, match=r"config\.encoding\.type"):
            Training(make_plan(make_circuit(features=False), encoding={"type": kind}))

    def test_faults_of_circuit_and_backend_have_their_own_codes(self) -> None:
        """A broken circuit, an unknown backend and a circuit beyond the backend are told apart."""
        with pytest.raises(InvalidCircuit):
            Training(make_plan({"n_qubits": 2, "gates": [{"type": "WARP", "targets": [0]}]}))
        with pytest.raises(NotFound):
            Training(msgspec.structs.replace(make_plan(), backend="abacus"))
        with pytest.raises(BackendCannot):
            Training(msgspec.structs.replace(make_plan(make_circuit(3)), backend_options={"max_qubits": 2}))

    def test_features_that_are_not_finite_are_refused(self, tmp_path: Path) -> None:
        """A stored file with NaN in its training rows does not train."""
        x = np.random.default_rng(0).normal(size=(60, 2))
        x[::3, 1] = np.nan
        samples = Samples(x=x, y=np.arange(60) % 2, classes=("a", "b"), feature_names=("p", "q"))
        digest, path = samples.keep(tmp_path)

        plan = msgspec.structs.replace(make_plan(), dataset={"kind": "file", "path": str(path), "digest": digest})
        with pytest.raises(ValidationFailed, match=r"config\.dataset"):
            Training(plan)
