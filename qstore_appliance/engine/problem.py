"""
What a plan asks for, made concrete and checked before the first step: circuit, data, readout, backend.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine import discovery, hamiltonians, observables
from qstore_appliance.engine.circuit import Circuit
from qstore_appliance.engine.datasets import Samples, fetch, split
from qstore_appliance.engine.encoding import encode, expansion
from qstore_appliance.engine.features import Features
from qstore_appliance.engine.formats import unified
from qstore_appliance.engine.noise import Noise, needs_shots
from qstore_appliance.engine.observables import Observable
from qstore_appliance.engine.plan import Plan
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.runner import GRADIENTS, Runner
from qstore_appliance.engine.targets import measured
from qstore_appliance.engine.tasks.classification import Classification, class_weights
from qstore_appliance.engine.tasks.energy import Energy
from qstore_appliance.engine.tasks.regression import Regression, Target
from qstore_appliance.engine.tasks.task import Task
from qstore_appliance.errors import BackendCannot, ValidationFailed

TASKS: Final = ("classification", "regression", "energy", "sampling")
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Part:
    """
    Some rows of the data.

    Attributes:
        x: what the circuit reads; z: the same before the encoding expanded it, for classical models.
        y: the class, or the standardised target.
        rows: their numbers in the data set.
    """

    x: Floats
    z: Floats
    y: NDArray[Any]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.y)

    @classmethod
    def empty(cls) -> Part:
        nothing = np.zeros((0, 0))
        return cls(nothing, nothing, np.zeros(0), np.zeros(0, np.int64))


@dataclass(frozen=True, eq=False)
class Problem:
    """
    Everything of a training that does not change while it runs.

    Attributes:
        samples: None where nothing is learned from data; then one empty row trains.
    """

    circuit: Circuit
    runner: Runner
    task: Task
    samples: Samples | None
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
    name = task_name(plan.config)
    if name == "sampling":
        raise ValidationFailed.field("config.task", "sampling trains nothing")
    return _energy(plan) if name == "energy" else _supervised(plan, name, features)


def task_name(config: Mapping[str, Any]) -> str:
    """
    Raises:
        ValidationFailed: `config.task`.
    """
    name = str(config.get("task") or "classification")
    if name not in TASKS:
        raise ValidationFailed.field("config.task", f"{name[:40]!r} is none of {', '.join(TASKS)}")
    return name


def unencoded(plan: Plan, task: str) -> Circuit:
    """
    The circuit of a task that learns from no data.

    Raises:
        ValidationFailed: `circuit`: it reads features.
    """
    circuit = unified.read(plan.circuit)
    if circuit.features:
        raise ValidationFailed.field(
            "circuit", f"it reads the feature x_{circuit.features[0]}; {task} has no data to read it from"
        )
    return circuit


def _energy(plan: Plan) -> Problem:
    circuit = unencoded(plan, "energy")
    if not circuit.weights:
        raise ValidationFailed.field("circuit", "it has no weights; there is nothing to minimise the energy with")
    task = Energy(hamiltonians.build(plan.config.get("hamiltonian"), circuit.n_qubits))
    row = np.zeros((1, 0))
    return Problem(
        circuit=circuit,
        runner=prepare(plan, Program.lower(circuit), task.hamiltonian.observables),
        task=task,
        samples=None,
        classes=(),
        features=Features.nothing(),
        train=Part(row, row, np.zeros(1), np.zeros(1, np.int64)),
        validation=Part.empty(),
        test=Part.empty(),
        fingerprint=_fingerprint(plan, circuit, []),
    )


def _supervised(plan: Plan, name: str, features: Features | None) -> Problem:
    config = plan.config
    stored = unified.read(plan.circuit)
    circuit = encode(stored, config.get("encoding"))
    program = Program.lower(circuit)
    runner = prepare(plan, program, _readout(config, program.n_qubits))
    dataset = config.get("dataset") or {}
    if not plan.dataset:
        raise ValidationFailed.field("config.dataset", f"{name} learns from a data set; name one")
    samples = fetch(plan.dataset)
    head = (config.get("readout") or {}).get("head") or "linear"
    y: NDArray[Any]
    task: Task
    classes: tuple[str, ...] = ()
    if name == "regression":
        if dataset.get("classes") is not None:
            raise ValidationFailed.field("config.dataset.classes", "a regression has no classes")
        if config.get("class_weights") is not None:
            raise ValidationFailed.field("config.class_weights", "a regression has no classes")
        samples, values, target_name = measured(samples, dataset.get("target"))
        one = replace(samples, y=np.zeros(samples.n_samples, np.int64), classes=(target_name,))
        parts = split(one, dataset.get("train_size"), dataset.get("val_size"), None, plan.seed)
        target = Target.fit(target_name, values[parts.train], head)
        task, y = Regression(len(runner.observables), head, target), target.standardised(values)
    else:
        if dataset.get("target") is not None:
            raise ValidationFailed.field("config.dataset.target", "only a regression learns a column")
        if not samples.classes:
            raise ValidationFailed.field(
                "config.task", "the data set's labels are measurements, not classes; use regression"
            )
        parts = split(samples, dataset.get("train_size"), dataset.get("val_size"), dataset.get("classes"), plan.seed)
        y, classes = parts.y, parts.classes
        weights = class_weights(config.get("class_weights"), y[parts.train], classes)
        task = Classification(len(runner.observables), len(classes), head, weights)
    if features is None:
        expanding = expansion(stored, config.get("encoding"))
        fitted = Features.fit(dataset.get("features"), samples.x[parts.train], program.n_features, expansion=expanding)
    else:
        fitted = features

    def part(rows: NDArray[np.int64]) -> Part:
        z = fitted.scaled(samples.x[rows])
        if not np.isfinite(z).all():
            row, column = np.argwhere(~np.isfinite(z))[0]
            raise ValidationFailed.field("config.dataset", f"row {rows[row]}: feature {column} is not a finite number")
        return Part(fitted.expanded(z), z, y[rows], rows)

    return Problem(
        circuit=circuit,
        runner=runner,
        task=task,
        samples=samples,
        classes=classes,
        features=fitted,
        train=part(parts.train),
        validation=part(parts.validation),
        test=part(parts.test),
        fingerprint=_fingerprint(plan, circuit, [len(parts.train), len(parts.validation), list(classes)]),
    )


def _readout(config: Mapping[str, Any], n_qubits: int) -> tuple[Observable, ...]:
    try:
        return observables.readout((config.get("readout") or {}).get("observables") or "z", n_qubits)
    except ValueError as error:
        raise ValidationFailed.field("config.readout.observables", f"{error}") from error


def prepare(plan: Plan, program: Program, readout: tuple[Observable, ...]) -> Runner:
    """
    The plan's backend, checked for this program.

    Raises:
        ValidationFailed, BackendUnavailable, BackendCannot: with the field or reason.
    """
    config = plan.config
    gradient = config.get("gradient") or "auto"
    if gradient not in GRADIENTS:
        raise ValidationFailed.field("config.gradient", f"{str(gradient)[:40]!r} is none of {', '.join(GRADIENTS)}")
    if config.get("optimizer") == "spsa":
        if gradient not in ("auto", "spsa"):
            raise ValidationFailed.field("config.gradient", "the optimizer spsa estimates its gradients itself")
        gradient = "spsa"
    options = dict(plan.backend_options)
    if plan.threads is not None:
        options.setdefault("threads", plan.threads)
    backend = discovery.load(plan.backend, options)
    shots, precision, noise = config.get("shots"), config.get("precision") or "single", Noise.of(config.get("noise"))
    if noise is not None and gradient == "adjoint":
        raise BackendCannot("Adjoint gradients are those of states without noise; use auto or parameter_shift.")
    if noise is not None and shots is None:
        raise needs_shots()
    runner = Runner(backend, program, readout, shots, precision, gradient, noise)
    if gradient == "adjoint" and not backend.capabilities.adjoint:
        raise BackendCannot(f"The backend {backend.name} has no adjoint gradients.")
    if gradient == "adjoint" and runner.shots is not None:
        raise BackendCannot("Adjoint gradients are exact; they cannot be had from shots.")
    backend.check(runner.execution(np.zeros(program.n_weights), np.zeros((1, program.n_features))))
    return runner


def _fingerprint(plan: Plan, circuit: Circuit, parts: list[Any]) -> str:
    config = plan.config
    matter: dict[str, Any] = {
        "circuit": unified.write(circuit),
        "n_qubits": circuit.n_qubits,
        "dataset": plan.dataset.get("digest") or plan.dataset.get("name"),
        "parts": parts,
        "features": (config.get("dataset") or {}).get("features"),
        "readout": config.get("readout"),
        "optimizer": config.get("optimizer"),
        "seed": plan.seed,
    }
    # Named only where they are asked for, so that checkpoints from before they existed still fit.
    for key in ("hamiltonian", "class_weights", "noise"):
        if config.get(key) is not None:
            matter[key] = config[key]
    if task_name(config) != "classification":
        matter["task"] = config["task"]
        matter["target"] = (config.get("dataset") or {}).get("target")
    return hashlib.sha256(json.dumps(matter, sort_keys=True).encode()).hexdigest()
