"""
What a job really ran: kept with the job and inside its model.
"""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from qstore_appliance.engine.plan import Plan
from qstore_appliance.engine.problem import Problem
from qstore_appliance.engine.runner import Runner
from qstore_appliance.engine.tasks.energy import Energy


def receipt_of(plan: Plan, problem: Problem, epochs: int) -> dict[str, Any]:
    """Of a training."""
    features = problem.features
    found = ran(plan, problem.runner, problem.task.name) | {"gradient": problem.runner.rule, "epochs": epochs}
    if isinstance(problem.task, Energy):
        return found | {"hamiltonian": problem.task.hamiltonian.label, "n_terms": len(problem.runner.observables)}
    return found | {
        "dataset": plan.dataset.get("name") or plan.dataset.get("digest"),
        "n_train": len(problem.train),
        "n_validation": len(problem.validation),
        "n_test": len(problem.test),
        "features": {
            "method": features.method,
            "count": features.n_scaled,
            "scale": features.scale,
            "expansion": features.expansion,
        },
        "n_observables": len(problem.runner.observables),
    }


def ran(plan: Plan, runner: Runner, task: str) -> dict[str, Any]:
    """Of anything that runs circuits."""
    return {
        "task": task,
        "backend": runner.backend.name,
        "kind": runner.backend.kind,
        "device": runner.backend.device,
        "precision": runner.precision,
        "shots": runner.shots,
        "noise": None if runner.noise is None else runner.noise.document(),
        "seed": plan.seed,
        "n_qubits": runner.program.n_qubits,
        "n_gates": runner.program.n_gates,
        "versions": {"qstore_appliance": _version("qstore-appliance"), "numpy": np.__version__},
        "machine": platform.machine(),
    }


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None  # run from a tree that was never installed
