"""
What a plan asks for, made concrete and checked before the first step: circuit, data, readout, backend.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine import discovery, observables
from qstore_appliance.engine.backend import Backend, Execution
from qstore_appliance.engine.circuit import Circuit
from qstore_appliance.engine.datasets import Samples, Split, fetch, split
from qstore_appliance.engine.encoding import encode
from qstore_appliance.engine.features import Features
from qstore_appliance.engine.formats import unified
from qstore_appliance.engine.observables import Observable
from qstore_appliance.engine.plan import Plan
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.streams import number
from qstore_appliance.engine.tasks.classification import Classification
from qstore_appliance.errors import BackendCannot, ValidationFailed

GRADIENTS = ("auto", "adjoint", "parameter_shift")
_CHUNK = 4096  # samples per call where nothing is trained
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows of the data: what the circuit reads, the class, and the row's number in the data set."""

    x: Floats
    y: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, eq=False)
class Runner:
    """A program on a backend, with a readout: weights and features in, expectations out."""

    backend: Backend
    program: Program
    observables: tuple[Observable, ...]
    shots: int | None
    precision: str
    gradient: str = "auto"

    def execution(self, weights: Floats, features: Floats, seed: int | None = None) -> Execution:
        return Execution(
            program=self.program,
            weights=weights,
            features=features,
            observables=self.observables,
            shots=self.shots,
            seed=seed,
            precision=self.precision,
        )

    def expectations(self, weights: Floats, features: Floats, seed: int | None = None) -> Floats:
        """[n, n_observables], in as few calls as the backend's limits allow."""
        size = max(1, min(_CHUNK, self.backend.limits.max_circuits_per_request))
        if len(features) <= size:
            return self.backend.expectations(self.execution(weights, features, seed))
        parts = [
            self.backend.expectations(
                self.execution(weights, features[start : start + size], None if seed is None else seed + start)
            )
            for start in range(0, len(features), size)
        ]
        return np.concatenate(parts)

    @property
    def by_shift(self) -> bool:
        """Whether gradients come from the shift rule; else from one adjoint pass."""
        if self.gradient == "auto":
            return self.shots is not None or not self.backend.capabilities.adjoint
        return self.gradient == "parameter_shift"

    def differentiate(self, execution: Execution, pullback: Any) -> tuple[Floats, Floats]:
        if self.gradient == "parameter_shift":
            # The rule that every backend inherits, even where the backend has something faster of its own.
            return Backend.differentiate(self.backend, execution, pullback)
        return self.backend.differentiate(execution, pullback)

    def circuits(self, n: int, differentiate: bool) -> int:
        """Circuits that a call with n samples runs."""
        if differentiate and self.gradient == "parameter_shift":
            return n * (1 + 2 * len(self.program.gradient_slots))
        return self.backend.circuits_for(n, differentiate, self.program, self.shots)


@dataclass(frozen=True, eq=False)
class Problem:
    """Everything of a training that does not change while it runs."""

    circuit: Circuit
    runner: Runner
    task: Classification
    samples: Samples
    classes: tuple[str, ...]
    features: Features
    train: Part
    validation: Part
    test: Part
    fingerprint: str


def pose(plan: Plan, features: Features | None = None) -> Problem:
    """
    Load and check what the plan names.

    Args:
        plan: what to train.
        features: the transform fitted before, when a training goes on; else it is fitted here.

    Raises:
        ValidationFailed, InvalidCircuit, DatasetMissing, BackendUnavailable, BackendCannot: with the field or reason.
    """
    config = plan.config
    task_name = config.get("task") or "classification"
    if task_name != "classification":
        raise ValidationFailed.field("config.task", f"{str(task_name)[:40]!r} is not available; classification is")
    circuit = encode(unified.read(plan.circuit), config.get("encoding"))
    program = Program.lower(circuit)
    runner = _runner(plan, program)
    samples = fetch(plan.dataset)
    dataset = config.get("dataset") or {}
    parts = split(samples, dataset.get("train_size"), dataset.get("val_size"), dataset.get("classes"), plan.seed)
    readout = config.get("readout") or {}
    task = Classification(len(runner.observables), len(parts.classes), readout.get("head") or "linear")
    if features is None:
        features = Features.fit(dataset.get("features"), samples.x[parts.train], program.n_features)

    def part(rows: NDArray[np.int64]) -> Part:
        x = features.transform(samples.x[rows])
        if not np.isfinite(x).all():
            row, column = np.argwhere(~np.isfinite(x))[0]
            raise ValidationFailed.field("config.dataset", f"row {rows[row]}: feature {column} is not a finite number")
        return Part(x, parts.y[rows], rows)

    return Problem(
        circuit=circuit,
        runner=runner,
        task=task,
        samples=samples,
        classes=parts.classes,
        features=features,
        train=part(parts.train),
        validation=part(parts.validation),
        test=part(parts.test),
        fingerprint=_fingerprint(plan, circuit, parts),
    )


def _runner(plan: Plan, program: Program) -> Runner:
    config = plan.config
    try:
        readout = observables.readout((config.get("readout") or {}).get("observables") or "z", program.n_qubits)
    except ValueError as error:
        raise ValidationFailed.field("config.readout.observables", f"{error}") from error
    gradient = config.get("gradient") or "auto"
    if gradient not in GRADIENTS:
        raise ValidationFailed.field("config.gradient", f"{str(gradient)[:40]!r} is none of {', '.join(GRADIENTS)}")
    options = dict(plan.backend_options)
    if plan.threads is not None:
        options.setdefault("threads", plan.threads)
    backend = discovery.load(plan.backend, options)
    runner = Runner(backend, program, readout, config.get("shots"), config.get("precision") or "single", gradient)
    if gradient == "adjoint" and not backend.capabilities.adjoint:
        raise BackendCannot(f"The backend {backend.name} has no adjoint gradients.")
    if gradient == "adjoint" and runner.shots is not None:
        raise BackendCannot("Adjoint gradients are exact; they cannot be had from shots.")
    backend.check(runner.execution(np.zeros(program.n_weights), np.zeros((1, program.n_features))))
    return runner


def _fingerprint(plan: Plan, circuit: Circuit, parts: Split) -> str:
    config = plan.config
    matter: Mapping[str, Any] = {
        "circuit": unified.write(circuit),
        "n_qubits": circuit.n_qubits,
        "dataset": plan.dataset.get("digest") or plan.dataset.get("name"),
        "parts": [len(parts.train), len(parts.validation), list(parts.classes)],
        "features": (config.get("dataset") or {}).get("features"),
        "readout": config.get("readout"),
        "optimizer": config.get("optimizer"),
        "seed": plan.seed,
    }
    return hashlib.sha256(json.dumps(matter, sort_keys=True).encode()).hexdigest()


def shot_seed(runner: Runner, seed: int, purpose: str, *position: int) -> int | None:
    """A seed for one call with shots; None where nothing is sampled."""
    return None if runner.shots is None else number(seed, purpose, *position)
