"""
The end of a training: the test part is scored once, beside the baseline, and the model is written.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine import artifact as artifacts
from qstore_appliance.engine.baseline import baseline
from qstore_appliance.engine.formats import unified
from qstore_appliance.engine.plan import Plan, Trained
from qstore_appliance.engine.problem import Part, Problem, shot_seed
from qstore_appliance.engine.tasks.classification import confusion, macro_f1
from qstore_appliance.engine.weights import by_prefix

Floats = NDArray[np.float64]
EXAMPLES = 10


def conclude(plan: Plan, problem: Problem, parameters: Floats, scores: Mapping[str, Any], epochs: int) -> Trained:
    """
    Args:
        parameters: [weights, head] that the model keeps; scores: of the epoch they come from.
        epochs: trained in all.
    """
    runner = problem.runner
    n_weights = runner.program.n_weights
    weights, head = parameters[:n_weights].copy(), parameters[n_weights:].copy()
    metrics: dict[str, Any] = {
        "training_accuracy": scores["accuracy"],
        "validation_accuracy": scores["val_accuracy"],
        "loss": scores["loss"],
        "validation_loss": scores["val_loss"],
    }
    # Without a test part the best that can be said is what validation said, and it is said so.
    part = problem.test if len(problem.test) else (problem.validation if len(problem.validation) else problem.train)
    circuits = 0
    if part is problem.test:
        expectations, milliseconds = _measure(plan, problem, weights)
        circuits = runner.circuits(len(part), differentiate=False)
        test_loss, correct = problem.task.score(expectations, part.y, head)
        answers = problem.task.logits(expectations, head).argmax(axis=1)
        matrix = confusion(part.y, answers, len(problem.classes))
        metrics |= {
            "accuracy": correct / len(part),
            "scored_on": "test",
            "test_accuracy": correct / len(part),
            "test_loss": test_loss,
            "f1_score": macro_f1(matrix),
            "confusion_matrix": matrix.tolist(),
            "inference_time_ms": milliseconds,
        }
    else:
        validated = part is problem.validation
        metrics |= {
            "accuracy": scores["val_accuracy"] if validated else scores["accuracy"],
            "scored_on": "validation" if validated else "training",
            "test_accuracy": None,
            "f1_score": None,
            "confusion_matrix": None,
            "inference_time_ms": None,
        }
    metrics["n_test"] = len(problem.test)
    metrics["baseline"] = baseline(problem.train.x, problem.train.y, part.x, part.y)
    receipt = _receipt(plan, problem, epochs)
    return Trained(
        artifact=artifacts.write(_artifact(plan, problem, weights, head, receipt)),
        metrics=metrics,
        parameters=by_prefix(runner.program.weight_names, weights),
        receipt=receipt,
        test_examples=_examples(problem, part),
        circuits=circuits,
        shots=circuits * (runner.shots or 0),
    )


def _measure(plan: Plan, problem: Problem, weights: Floats) -> tuple[Floats, float]:
    """Expectations of the test part; the first few samples alone, because that is how long one answer takes."""
    runner, x = problem.runner, problem.test.x
    alone = min(EXAMPLES, len(x))
    singles, durations = [], []
    for index in range(alone):
        started = time.perf_counter()
        seed = shot_seed(runner, plan.seed, "test", index)
        singles.append(runner.expectations(weights, x[index : index + 1], seed))
        durations.append((time.perf_counter() - started) * 1e3)
    if alone < len(x):
        singles.append(runner.expectations(weights, x[alone:], shot_seed(runner, plan.seed, "test", alone)))
    return np.concatenate(singles), round(statistics.median(durations), 4)


def _artifact(
    plan: Plan, problem: Problem, weights: Floats, head: Floats, receipt: Mapping[str, Any]
) -> artifacts.Artifact:
    runner = problem.runner
    return artifacts.Artifact(
        task="classification",
        circuit={"n_qubits": problem.circuit.n_qubits, **unified.write(problem.circuit)},
        weights=dict(zip(runner.program.weight_names, map(float, weights), strict=True)),
        observables=tuple(observable.text for observable in runner.observables),
        head=problem.task.head,
        head_parameters=head,
        classes=problem.classes,
        features=problem.features,
        feature_names=problem.samples.feature_names,
        backend=runner.backend.name,
        shots=runner.shots,
        precision=runner.precision,
        receipt=receipt,
    )


def _receipt(plan: Plan, problem: Problem, epochs: int) -> dict[str, Any]:
    runner = problem.runner
    return {
        "backend": runner.backend.name,
        "kind": runner.backend.kind,
        "gradient": "parameter_shift" if runner.by_shift else "adjoint",
        "precision": runner.precision,
        "shots": runner.shots,
        "seed": plan.seed,
        "epochs": epochs,
        "dataset": plan.dataset.get("name") or plan.dataset.get("digest"),
        "n_train": len(problem.train),
        "n_validation": len(problem.validation),
        "n_test": len(problem.test),
        "features": {
            "method": problem.features.method,
            "count": problem.features.count,
            "scale": problem.features.scale,
        },
        "n_qubits": problem.circuit.n_qubits,
        "n_gates": problem.circuit.gate_count,
        "n_observables": len(runner.observables),
        "versions": {"qstore_appliance": _version("qstore-appliance"), "numpy": np.__version__},
        "machine": platform.machine(),
    }


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None  # run from a tree that was never installed


def _examples(problem: Problem, part: Part) -> list[dict[str, Any]]:
    rows = part.rows[:: max(1, len(part) // EXAMPLES)][:EXAMPLES]
    labels = part.y[:: max(1, len(part) // EXAMPLES)][:EXAMPLES]
    return [
        {"index": int(row), "input": problem.samples.rows(row[None])[0].tolist(), "label": problem.classes[label]}
        for row, label in zip(rows, labels, strict=True)
    ]
