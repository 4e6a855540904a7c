"""
The end of a training: the test part is scored once, beside the baseline, and the model is written.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine import artifact as artifacts
from qstore_appliance.engine.baseline import baseline, regression_baseline
from qstore_appliance.engine.covariances import Covariances
from qstore_appliance.engine.formats import unified
from qstore_appliance.engine.plan import Plan, Trained
from qstore_appliance.engine.problem import Part, Problem
from qstore_appliance.engine.receipt import receipt_of
from qstore_appliance.engine.tasks.energy import Energy
from qstore_appliance.engine.tasks.regression import Regression
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
    if isinstance(problem.task, Energy):
        metrics, circuits = _energy(plan, problem, problem.task, weights), 1
    else:
        metrics, circuits = _learned(plan, problem, weights, head, scores)
    metrics["loss"] = scores["loss"]
    metrics["health"] = scores.get("health")
    receipt = receipt_of(plan, problem) | {"epochs": epochs}
    return Trained(
        artifact=artifacts.write(_artifact(problem, weights, head, receipt)),
        metrics=metrics,
        parameters=by_prefix(runner.program.weight_names, weights),
        receipt=receipt,
        test_examples=_examples(problem, scored(problem)),
        circuits=circuits,
        shots=circuits * (runner.shots or 0),
    )


def _energy(plan: Plan, problem: Problem, task: Energy, weights: Floats) -> dict[str, Any]:
    """The energy at the weights that are kept, which the last epoch's loss is not: that was taken before its step."""
    runner, error = problem.runner, None
    seed = runner.seed(plan.seed, "test", 0)
    if runner.shots is None:
        expectations = runner.expectations(weights, problem.train.x, seed)
    else:
        covariances = Covariances.of(runner.observables)
        runner = replace(runner, observables=covariances.observables)
        read = runner.expectations(weights, problem.train.x, seed)
        slopes = np.array(task.hamiltonian.coefficients)[None, None, :]
        error = float(covariances.standard_errors(read, slopes, problem.runner.shots or 1)[0, 0])
        expectations = read[:, : covariances.n_readout]
    return {**task.measure(expectations, problem.train.y, np.empty(0)), "energy_std_error": error}


def scored(problem: Problem) -> Part:
    """Without a test part the best that can be said is what validation said, and it is said so."""
    if len(problem.test):
        return problem.test
    return problem.validation if len(problem.validation) else problem.train


def _learned(
    plan: Plan, problem: Problem, weights: Floats, head: Floats, scores: Mapping[str, Any]
) -> tuple[dict[str, Any], int]:
    """Metrics, and circuits executed."""
    runner, task, part = problem.runner, problem.task, scored(problem)
    metrics: dict[str, Any] = {"validation_loss": scores["val_loss"]}
    if task.counts_hits:
        metrics |= {"training_accuracy": scores["accuracy"], "validation_accuracy": scores["val_accuracy"]}
    circuits, milliseconds = 0, None
    measured: dict[str, Any] = {}
    if part is problem.test or not task.counts_hits:
        expectations, milliseconds = _measure(plan, problem, part, weights)
        circuits = runner.circuits(len(part), differentiate=False)
        measured = dict(task.measure(expectations, part.y, head))
        for row, name in zip(measured.get("per_class", ()), problem.classes, strict=False):
            row["class"] = name
        metrics["test_loss"] = task.score(expectations, part.y, head)[0] if part is problem.test else None
    else:
        validated = part is problem.validation
        measured = {
            "accuracy": scores["val_accuracy"] if validated else scores["accuracy"],
            "f1_score": None,
            "confusion_matrix": None,
            "per_class": None,
        }
    metrics |= measured
    score = "accuracy" if task.counts_hits else "r2"
    metrics[f"test_{score}"] = measured[score] if part is problem.test else None
    metrics["scored_on"] = {id(problem.test): "test", id(problem.validation): "validation"}.get(id(part), "training")
    metrics["inference_time_ms"] = milliseconds
    metrics["n_test"] = len(problem.test)
    if isinstance(task, Regression):
        in_units = (task.target.restored(problem.train.y), task.target.restored(part.y))
        metrics["baseline"] = regression_baseline(problem.train.z, in_units[0], part.z, in_units[1])
    else:
        metrics["baseline"] = baseline(problem.train.z, problem.train.y, part.z, part.y)
    return metrics, circuits


def _measure(plan: Plan, problem: Problem, part: Part, weights: Floats) -> tuple[Floats, float]:
    """Expectations of the test part; the first few samples alone, because that is how long one answer takes."""
    runner, x = problem.runner, part.x
    alone = min(EXAMPLES, len(x))
    singles, durations = [], []
    for index in range(alone):
        started = time.perf_counter()
        seed = runner.seed(plan.seed, "test", index)
        singles.append(runner.expectations(weights, x[index : index + 1], seed))
        durations.append((time.perf_counter() - started) * 1e3)
    if alone < len(x):
        singles.append(runner.expectations(weights, x[alone:], runner.seed(plan.seed, "test", alone)))
    return np.concatenate(singles), round(statistics.median(durations), 4)


def _artifact(problem: Problem, weights: Floats, head: Floats, receipt: Mapping[str, Any]) -> artifacts.Artifact:
    runner, task = problem.runner, problem.task
    return artifacts.Artifact(
        task=task.name,
        circuit={"n_qubits": problem.circuit.n_qubits, **unified.write(problem.circuit)},
        weights=dict(zip(runner.program.weight_names, map(float, weights), strict=True)),
        observables=tuple(observable.text for observable in runner.observables),
        head=task.head,
        head_parameters=head,
        classes=problem.classes,
        features=problem.features,
        feature_names=() if problem.samples is None else problem.samples.feature_names,
        backend=runner.backend.name,
        shots=runner.shots,
        precision=runner.precision,
        receipt=receipt,
        target=task.target if isinstance(task, Regression) else None,
        noise=runner.noise,
    )


def _examples(problem: Problem, part: Part) -> list[dict[str, Any]]:
    samples, task = problem.samples, problem.task
    if samples is None:
        return []
    step = max(1, len(part) // EXAMPLES)
    y = part.y[::step][:EXAMPLES]
    if isinstance(task, Regression):
        labels: list[Any] = task.target.restored(y).tolist()
    else:
        labels = [problem.classes[label] for label in y]
    return [
        {"index": int(row), "input": samples.rows(row[None])[0].tolist(), "label": label}
        for row, label in zip(part.rows[::step][:EXAMPLES], labels, strict=True)
    ]
