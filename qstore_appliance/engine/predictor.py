"""
A trained model that answers.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine import artifact as artifacts
from qstore_appliance.engine import discovery, observables
from qstore_appliance.engine.backend import Backend
from qstore_appliance.engine.covariances import Covariances
from qstore_appliance.engine.deciding import FIRST_SHOTS, Decision, decide
from qstore_appliance.engine.formats import unified
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.runner import Runner
from qstore_appliance.engine.tasks.classification import Classification
from qstore_appliance.engine.tasks.regression import Regression
from qstore_appliance.errors import ArtifactCorrupt, BackendCannot, InvalidCircuit, ValidationFailed


@dataclass(frozen=True, eq=False)
class Prediction:
    """
    Attributes:
        labels, class_indices: the most probable class of each input; empty where answers are numbers.
        probabilities: [n, n_classes]; each row sums to 1.
        values: [n] of a regression, in the data's units; else None.
        std_errors: what shots leave open of the values [n], or of the probabilities [n, n_classes]; None without shots.
        duration_ms: features, circuits and head together.
        shots_each, decided: [n] where shots were drawn until the class was decided: how many measurements, and whether it
            was before there were too many; else None.
        encode_ms, simulate_ms, read_out_ms: the three of them: raw columns into angles, circuits, expectations into
            answers.
        circuits, shots: executed.
        cpu_seconds: processor time of this process, all threads together.
        gpu_seconds: wall time where the backend is on a graphics card, else 0.
    """

    labels: list[str]
    class_indices: list[int]
    probabilities: NDArray[np.float64]
    duration_ms: float
    circuits: int
    shots: int
    values: NDArray[np.float64] | None = None
    std_errors: NDArray[np.float64] | None = None
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    encode_ms: float = 0.0
    simulate_ms: float = 0.0
    read_out_ms: float = 0.0
    shots_each: NDArray[np.int64] | None = None
    decided: NDArray[np.bool_] | None = None


class Predictor:
    """
    Args:
        artifact: bytes of a model.
        options_by_backend: options of `[backends.<name>]`, by name.

    Raises:
        ArtifactCorrupt: the bytes are not those of a model.
        BackendUnavailable, BackendCannot: the model's backend cannot be had or cannot run it.
    """

    def __init__(self, artifact: bytes, options_by_backend: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._artifact = artifacts.read(artifact)
        self._options = dict(options_by_backend or {})
        self._backends: dict[str, Backend] = {}
        try:
            self._program = Program.lower(unified.read(self._artifact.circuit))
            self._observables = tuple(observables.parse(text) for text in self._artifact.observables)
            self._task = self._task_of(self._artifact)
            values = [self._artifact.weights[name] for name in self._program.weight_names]
        except (InvalidCircuit, ValidationFailed, KeyError, ValueError) as error:
            raise ArtifactCorrupt(f"The model's parts do not fit together: {error}") from error
        self._weights = np.array(values, dtype=np.float64)
        fits = self._artifact.head_parameters.shape == (self._task.n_parameters,)
        if not fits or self._artifact.features.count < self._program.n_features:
            raise ArtifactCorrupt("The model's parts do not fit together: its head or its features.")
        self._backend(self._artifact.backend)

    def _task_of(self, artifact: artifacts.Artifact) -> Classification | Regression:
        if artifact.task == "energy":
            raise BackendCannot("An energy's model reads no inputs: its parameters and its energy are the answer.")
        if artifact.target is not None:
            return Regression(len(self._observables), artifact.head, artifact.target)
        return Classification(len(self._observables), len(self.classes), artifact.head)

    @property
    def n_inputs(self) -> int:
        """Raw columns of one input."""
        return self._artifact.features.n_inputs

    @property
    def n_qubits(self) -> int:
        return self._program.n_qubits

    @property
    def classes(self) -> tuple[str, ...]:
        return self._artifact.classes

    @property
    def feature_names(self) -> tuple[str, ...]:
        return self._artifact.feature_names

    @cached_property
    def _covariances(self) -> Covariances:
        return Covariances.of(self._observables)

    def _backend(self, name: str) -> Backend:
        if name not in self._backends:
            self._backends[name] = discovery.load(name, self._options.get(name, {}))
        return self._backends[name]

    def is_exact(self, shots: int | str | None, backend: str | None) -> bool:
        """
        Whether nothing is drawn for such a question: then its answer does not depend on the company it is computed in.
        """
        chosen = self._backend(backend or self._artifact.backend)
        return shots is None and self._artifact.noise is None and chosen.capabilities.exact

    def predict(
        self,
        inputs: Sequence[Sequence[float]] | NDArray[np.float64],
        shots: int | Literal["auto"] | None = None,
        backend: str | None = None,
        seed: int | None = None,
    ) -> Prediction:
        """
        Answer for raw inputs.

        Args:
            inputs: [n, n_inputs], n ≥ 1, finite numbers.
            shots: measurements per input; None is exact where the backend can be and the model knows no noise, else as
                trained; "auto" draws until the class of each input is decided (`deciding.py`).
            backend: another one than the model was trained on.
            seed: makes shots reproducible.

        Raises:
            ValidationFailed: naming `inputs[i]` or `shots`.
            BackendUnavailable, BackendCannot: about the backend.
        """
        started, cpu = time.perf_counter(), time.process_time()
        chosen = self._backend(backend or self._artifact.backend)
        noise = self._artifact.noise
        if shots is None and (noise is not None or not chosen.capabilities.exact):
            shots = self._artifact.shots or 1000
        if shots == "auto" and isinstance(self._task, Regression):
            raise ValidationFailed.field("options.shots", '"auto" decides between classes; this model answers numbers')
        if shots not in (None, "auto") and (isinstance(shots, bool) or not isinstance(shots, int) or shots < 1):
            raise ValidationFailed.field("shots", "must be a whole number of at least 1")
        features = self._features(self._checked(inputs))
        encoded = time.perf_counter()
        precision = self._artifact.precision
        if precision not in chosen.capabilities.precisions:
            precision = chosen.capabilities.precisions[0]
        # Its head was fitted to noisy expectations, and its scores are those of noisy answers: so are these.
        drawn = FIRST_SHOTS if isinstance(shots, str) else shots
        runner = Runner(chosen, self._program, self._observables, drawn, precision, noise=noise)
        chosen.check(replace(runner.execution(self._weights, features[:1]), seed=seed))
        head, errors = self._artifact.head_parameters, None
        circuits, decision = runner.circuits(len(features), differentiate=False), None
        if isinstance(shots, str):
            decision = self._decided(runner, features, seed)
            expectations, errors, circuits = decision.expectations, decision.std_errors, decision.circuits
            simulated = time.perf_counter()
        elif shots is None:
            expectations = runner.expectations(self._weights, features, seed)
            simulated = time.perf_counter()
        else:
            covariances = self._covariances
            read = replace(runner, observables=covariances.observables).expectations(self._weights, features, seed)
            expectations = read[:, : covariances.n_readout]
            simulated = time.perf_counter()
            errors = covariances.standard_errors(read, self._task.slopes(expectations, head), shots)
        if isinstance(self._task, Regression):
            errors = None if errors is None else errors[:, 0]
            answers, probabilities, values = [], np.zeros((len(features), 0)), self._task.values(expectations, head)
        else:
            probabilities, values = self._task.probabilities(expectations, head), None
            answers = probabilities.argmax(axis=1).tolist()
        ended = time.perf_counter()
        seconds = ended - started
        return Prediction(
            labels=[self.classes[answer] for answer in answers],
            class_indices=answers,
            probabilities=probabilities,
            duration_ms=seconds * 1e3,
            circuits=circuits,
            shots=decision.shots if decision is not None else circuits * (drawn or 0),
            shots_each=None if decision is None else decision.shots_each,
            decided=None if decision is None else decision.decided,
            values=values,
            std_errors=errors,
            cpu_seconds=time.process_time() - cpu,
            gpu_seconds=seconds if chosen.capabilities.gpu else 0.0,
            encode_ms=(encoded - started) * 1e3,
            simulate_ms=(simulated - encoded) * 1e3,
            read_out_ms=(ended - simulated) * 1e3,
        )

    def _decided(self, runner: Runner, features: NDArray[np.float64], seed: int | None) -> Decision:
        covariances, head = self._covariances, self._artifact.head_parameters
        task = self._task
        if not isinstance(task, Classification):
            raise BackendCannot("Only classes can be decided.")
        whole = replace(runner, observables=covariances.observables)

        def judged(read: NDArray[np.float64], shots: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            expectations = read[:, : covariances.n_readout]
            errors = covariances.standard_errors(read, task.slopes(expectations, head), shots)
            return task.probabilities(expectations, head), errors

        found = decide(whole, self._weights, features, seed, judged)
        return replace(found, expectations=found.expectations[:, : covariances.n_readout])

    def _features(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        scaled = self._artifact.features.scaled(inputs)
        try:
            return self._artifact.features.expanded(scaled)
        except ValidationFailed as error:
            index = int(np.argmin(scaled.any(axis=1)))
            raise ValidationFailed.field(
                f"inputs[{index}]", "is all zeros once scaled and cannot be amplitudes"
            ) from error

    def _checked(self, inputs: Sequence[Sequence[float]] | NDArray[np.float64]) -> NDArray[np.float64]:
        if len(inputs) == 0:
            raise ValidationFailed.field("inputs", "give at least one input")
        whole = isinstance(inputs, np.ndarray) and inputs.dtype.kind in "iuf" and inputs.ndim == 2
        if not whole or len(inputs[0]) != self.n_inputs:
            for index, row in enumerate(inputs):
                self._check_row(index, row)
        array = np.asarray(inputs, dtype=np.float64)
        finite = np.isfinite(array)
        if not finite.all():
            index, column = np.argwhere(~finite)[0]
            raise ValidationFailed.field(
                f"inputs[{index}][{column}]", f"must be a finite number ({self._name(column)})"
            )
        return array

    def _check_row(self, index: int, row: Any) -> None:
        place = f"inputs[{index}]"
        try:
            numbers = np.asarray(row)
        except ValueError:  # lists of different lengths inside
            numbers = np.empty((0, 0))
        if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iuf"):
            raise ValidationFailed.field(place, f"must be a list of {self.n_inputs} numbers")
        if len(numbers) != self.n_inputs:
            raise ValidationFailed.field(place, f"the model reads {self.n_inputs} numbers, not {len(numbers)}")

    def _name(self, column: int) -> str:
        names = self.feature_names
        return names[column] if column < len(names) else f"feature {column}"
