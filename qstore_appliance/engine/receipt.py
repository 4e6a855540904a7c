"""
What a job really ran: kept with the job and inside its model.
"""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.kernel_cache import cache_directory
from qstore_appliance.engine.plan import Plan
from qstore_appliance.engine.problem import Problem
from qstore_appliance.engine.runner import Runner
from qstore_appliance.engine.tasks.energy import Energy

#: What a backend computes with; of others the package's own version says it all.
_LIBRARIES = {
    "native": ("numba", "llvmlite"),
    "qsim": ("qsimcirq", "cirq-core"),
    "lightning": ("pennylane", "pennylane-lightning", "pennylane-lightning-gpu"),
}


def receipt_of(plan: Plan, problem: Problem) -> dict[str, Any]:
    """Of a training."""
    features = problem.features
    found = ran(plan, problem.runner, problem.task.name) | {"gradient": problem.runner.rule}
    if isinstance(problem.task, Energy):
        return found | {"hamiltonian": problem.task.hamiltonian.label, "n_terms": len(problem.runner.observables)}
    return found | {
        "dataset": plan.dataset.get("name") or plan.dataset.get("digest"),
        "dataset_digest": plan.dataset.get("digest") or _data_digest(problem),
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
        "circuit_digest": _circuit_digest(plan),
        "n_qubits": runner.program.n_qubits,
        "n_gates": runner.program.n_gates,
        "versions": {
            "qstore_appliance": _version("qstore-appliance"),
            "python": platform.python_version(),
            "numpy": np.__version__,
            **{package: found for package in _LIBRARIES.get(runner.backend.name, ()) if (found := _version(package))},
        },
        # Processor, compiler and the kernels' sources in one word: where it differs, sums may round otherwise.
        "kernels": cache_directory().name,
        "machine": platform.machine(),
    }


def digest_of(parameters: NDArray[np.float64]) -> str:
    """16 hexadecimal digits that two vectors share if they are the same, bit for bit."""
    return hashlib.sha256(np.ascontiguousarray(parameters).tobytes()).hexdigest()[:16]


def _circuit_digest(plan: Plan) -> str:
    return hashlib.sha256(json.dumps(plan.circuit, sort_keys=True).encode()).hexdigest()


def _data_digest(problem: Problem) -> str | None:
    """Of samples that come with a library rather than as a file."""
    if problem.samples is None:
        return None
    digest = hashlib.sha256(np.ascontiguousarray(problem.samples.x).tobytes())
    digest.update(np.ascontiguousarray(problem.samples.y).tobytes())
    return f"sha256:{digest.hexdigest()}"


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None  # run from a tree that was never installed
