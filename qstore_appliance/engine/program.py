"""
A circuit lowered once to flat arrays that the kernels interpret; no compiling per circuit, no Python per gate in a step.

Operations are rows of four numbers (`GROUP` applies a run of rotations on one qubit, the others are entanglers). Every
rotation is a *slot*: its angle is linear in the *sources* (weights, features, and values of expressions that are not
linear themselves), so that a step computes all angles in a few vector operations and turns the slots' derivatives back
into derivatives of the weights the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.calculus import derivatives, evaluate
from qstore_appliance.engine.circuit import Circuit, feature_index
from qstore_appliance.engine.expressions import Expression
from qstore_appliance.engine.lowering import ENTANGLERS, ROTATIONS, Angle, Lowered, lower, with_shifts
from qstore_appliance.errors import ValidationFailed

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

GROUP: Final = 0
"""Operation (GROUP, qubit, first slot, one past the last slot); entanglers follow as (code, qubit, qubit, qubit or -1)."""


@dataclass(frozen=True, eq=False)
class Terms:
    """Sparse rows: row `rows[i]` gains `factors[i]` times source `columns[i]`."""

    rows: Integers
    columns: Integers
    factors: Floats

    @classmethod
    def of(cls, triples: Sequence[tuple[int, int, float]]) -> Terms:
        rows, columns, factors = zip(*triples, strict=True) if triples else ((), (), ())
        return cls(np.array(rows, np.int64), np.array(columns, np.int64), np.array(factors, np.float64))

    def forward(self, values: Floats, n_rows: int) -> Floats:
        """Rows from the values of the sources, both one number each."""
        return np.bincount(self.rows, self.factors * values[self.columns], n_rows).astype(np.float64, copy=False)

    def backward(self, rows: Floats, n_sources: int) -> Floats:
        """Derivatives of the sources from those of the rows."""
        return np.bincount(self.columns, self.factors * rows[self.rows], n_sources).astype(np.float64, copy=False)


@dataclass(frozen=True, eq=False)
class Angles:
    """
    The angles of one execution.

    Attributes:
        shared: float64[n_slots], what all samples have in common.
        samples: float64[n_sample_slots, batch], the whole angle of the slots in `Program.sample_slots`.
    """

    shared: Floats
    samples: Floats


@dataclass(frozen=True, eq=False)
class Program:
    """
    A lowered circuit.

    Attributes:
        circuit: What was lowered; a backend that speaks gates reads it.
        lowered: The same as rotations and entanglers, for a backend that speaks only those.
        operations: int32[n_operations, 4].
        axes: int32[n_slots]: 0, 1, 2 for RX, RY, RZ.
        sample_slots: Slots whose angle differs from sample to sample, ascending.
        gradient_slots: Slots that depend on a weight, ascending.
        rotation_slots: The slot of each rotation of `lowered`, in order of time.
        weight_names: Weights in the order of `Execution.weights`.
        n_features: One more than the highest k of a feature `x_<k>`, 0 without features.
        offsets: float64[n_slots], the constant part of every angle.
        shared_terms: From the sources that all samples share to slots.
        sample_terms: From a sample's own sources to rows of `sample_slots`.
    """

    circuit: Circuit
    lowered: Lowered
    operations: NDArray[np.int32]
    axes: NDArray[np.int32]
    sample_slots: Integers
    gradient_slots: Integers
    rotation_slots: Integers
    weight_names: tuple[str, ...]
    n_features: int
    offsets: Floats
    shared_terms: Terms
    sample_terms: Terms
    _sample_layers: tuple[Terms, ...]
    _shared_tapes: tuple[Expression, ...]
    _sample_tapes: tuple[Expression, ...]

    @classmethod
    def lower(cls, circuit: Circuit) -> Program:
        """Lower a validated circuit."""
        return _Lowering(circuit, circuit.weights).program()

    @property
    def n_qubits(self) -> int:
        return self.circuit.n_qubits

    @property
    def n_gates(self) -> int:
        return self.circuit.gate_count

    @property
    def n_weights(self) -> int:
        return len(self.weight_names)

    @property
    def n_slots(self) -> int:
        return len(self.axes)

    def check(self, weights: Floats, features: Floats) -> None:
        """
        Check the shapes of what an execution binds.

        Raises:
            ValidationFailed: Naming what does not fit.
        """
        if weights.shape != (self.n_weights,):
            raise ValidationFailed.field(
                "weights", f"has shape {weights.shape}, the circuit needs ({self.n_weights},)."
            )
        if features.ndim != 2 or features.shape[1] < self.n_features:
            raise ValidationFailed.field(
                "features", f"has shape {features.shape}, the circuit needs (batch, {self.n_features})."
            )

    def angles(self, weights: Floats, features: Floats) -> Angles:
        """All angles for weights [n_weights] and features [batch, n_features or more]."""
        with np.errstate(all="ignore"):
            shared_sources, sample_sources = self.sources(weights, features)
        shared = self.offsets + self.shared_terms.forward(shared_sources, self.n_slots)
        samples = np.repeat(shared[self.sample_slots, None], len(features), axis=1)
        for layer in self._sample_layers:
            samples[layer.rows] += layer.factors[:, None] * sample_sources[:, layer.columns].T
        return Angles(shared, samples)

    def weight_gradient(self, weights: Floats, features: Floats, slot_gradient: Floats) -> Floats:
        """
        The chain rule from slots to weights.

        Args:
            weights: [n_weights].
            features: [batch, n_features or more].
            slot_gradient: [n_gradient_slots, batch], derivatives by the angles of `gradient_slots`.
        """
        rows = np.zeros(self.n_slots)
        rows[self.gradient_slots] = slot_gradient.sum(axis=1)
        n_weights, n_shared = self.n_weights, len(self._shared_tapes)
        sources = self.shared_terms.backward(rows, n_weights + n_shared)
        gradient = sources[:n_weights]
        if not (self._shared_tapes or self._sample_tapes):
            return gradient
        index = {name: i for i, name in enumerate(self.weight_names)}
        named = self._named(weights, features)
        with np.errstate(all="ignore"):
            for tape, upstream in zip(self._shared_tapes, sources[n_weights:], strict=True):
                for name, slope in derivatives(tape, named).items():
                    gradient[index[name]] += upstream * float(slope)
            if self._sample_tapes:
                per_sample = self._tape_gradient(slot_gradient)
                for tape, row in zip(self._sample_tapes, per_sample, strict=True):
                    for name, slope in derivatives(tape, named).items():
                        if name in index:
                            gradient[index[name]] += float(np.sum(row * slope))
        return gradient

    def global_phase(self, weights: Floats, features: Floats) -> Floats:
        """The phase [batch] that lowering took out of the state."""
        named = self._named(weights, features)
        total = np.zeros(len(features))
        for angle in self.lowered.phases:
            total += angle.offset
            if angle.parameter is not None:
                total += angle.factor * evaluate(angle.parameter, named)
        return total

    @cached_property
    def shifted(self) -> Program:
        """
        The same circuit with one more feature per gradient slot, added to its angle, after the features it has.

        Plus and minus pi/2 in such a feature are the two terms of the shift rule for that slot.
        """
        circuit = with_shifts(self.circuit, [self.n_features + place for place in self.gradient_places])
        # Written in steps, a gate's symbols may appear in another order; the weights keep theirs. So do the gates their
        # ends: a shift changes an angle, not where noise acts.
        return _Lowering(circuit, self.weight_names, self.lowered.ends).program()

    @cached_property
    def gradient_places(self) -> list[int]:
        """The place among `gradient_slots` of each rotation that depends on a weight, in order of time."""
        places = {int(slot): place for place, slot in enumerate(self.gradient_slots)}
        return [places[int(slot)] for slot in self.rotation_slots if int(slot) in places]

    def rotation_angles(self, weights: Floats, features: Floats) -> Floats:
        """The angle [n_rotations, batch] of each rotation of `lowered`, in order of time."""
        angles = self.angles(weights, features)
        slots = np.repeat(angles.shared[:, None], len(features), axis=1)
        slots[self.sample_slots] = angles.samples
        return np.asarray(slots[self.rotation_slots])

    @cached_property
    def _sample_slot_rows(self) -> Integers:
        rows = np.full(self.n_slots, -1, np.int64)
        rows[self.gradient_slots] = np.arange(len(self.gradient_slots))
        return rows

    def _tape_gradient(self, slot_gradient: Floats) -> Floats:
        """Derivatives [n_sample_tapes, batch] by the values of the expressions that differ between samples."""
        out = np.zeros((len(self._sample_tapes), slot_gradient.shape[1]))
        terms = self.sample_terms
        for row, column, factor in zip(terms.rows, terms.columns, terms.factors, strict=True):
            place = self._sample_slot_rows[self.sample_slots[row]]
            if column >= self.n_features and place >= 0:
                out[column - self.n_features] += factor * slot_gradient[place]
        return out

    @property
    def linear(self) -> bool:
        """Whether every angle is linear in weights and features."""
        return not (self._shared_tapes or self._sample_tapes)

    def sources(self, weights: Floats, features: Floats) -> tuple[Floats, Floats]:
        """What angles are linear in: [n] of all samples, weights first, and [batch, m] of each, features first."""
        columns = features[:, : self.n_features]
        if self.linear:
            return weights, columns
        named = self._named(weights, features)
        shared = [np.asarray(evaluate(tape, named), np.float64) for tape in self._shared_tapes]
        samples = [np.broadcast_to(evaluate(tape, named), (len(features),)) for tape in self._sample_tapes]
        return np.concatenate([weights, shared]), np.concatenate(
            [columns, np.array(samples).reshape(-1, len(features)).T], axis=1
        )

    def _named(self, weights: Floats, features: Floats) -> dict[str, float | Floats]:
        named: dict[str, float | Floats] = dict(zip(self.weight_names, map(float, weights), strict=True))
        for k in self.circuit.features:
            named[f"x_{k}"] = features[:, k]
        return named


class _Lowering:
    """Builds a program: sources get numbers, runs of rotations on a qubit become groups."""

    def __init__(
        self, circuit: Circuit, weights: tuple[str, ...], ends: tuple[tuple[int, tuple[int, ...]], ...] | None = None
    ) -> None:
        self.circuit = circuit
        self.weights = weights
        self.ends = ends
        self.n_features = max(circuit.features, default=-1) + 1
        self.weight_index = {name: i for i, name in enumerate(self.weights)}
        self.shared_tapes: dict[Expression, int] = {}
        self.sample_tapes: dict[Expression, int] = {}
        self.forms: dict[Expression, tuple[dict[str, float], float] | None] = {}
        self.offsets: list[float] = []
        self.shared: list[tuple[int, int, float]] = []
        self.samples: list[tuple[int, int, float]] = []
        self.differentiable: list[int] = []
        self.times: list[tuple[int, int]] = []

    def program(self) -> Program:
        lowered = lower(self.circuit)
        if self.ends is not None:
            lowered = msgspec.structs.replace(lowered, ends=self.ends)
        operations: list[tuple[int, int, int, int]] = []
        axes: list[int] = []
        waiting: list[list[tuple[int, int, Angle]]] = [[] for _ in range(self.circuit.n_qubits)]

        def flush(qubit: int) -> None:
            if waiting[qubit]:
                first = len(axes)
                for time, axis, angle in waiting[qubit]:
                    self._slot(len(axes), angle, time)
                    axes.append(axis)
                operations.append((GROUP, qubit, first, len(axes)))
                waiting[qubit] = []

        for time, step in enumerate(lowered.steps):
            if step.angle is not None:
                waiting[step.qubits[0]].append((time, ROTATIONS[step.name], step.angle))
            else:
                for qubit in step.qubits:
                    flush(qubit)
                a, b, c = (*step.qubits, -1)[:3]
                operations.append((ENTANGLERS[step.name], a, b, c))
        for qubit in range(self.circuit.n_qubits):
            flush(qubit)
        sample_slots = np.unique(np.array([row for row, _, _ in self.samples], np.int64))
        place = {int(slot): i for i, slot in enumerate(sample_slots)}
        samples = [(place[row], column, factor) for row, column, factor in self.samples]
        return Program(
            circuit=self.circuit,
            lowered=lowered,
            operations=np.array(operations, np.int32).reshape(-1, 4),
            axes=np.array(axes, np.int32),
            sample_slots=sample_slots,
            gradient_slots=np.array(self.differentiable, np.int64),
            # Slots stand in the order of their groups; whoever walks the steps wants them in order of time.
            rotation_slots=np.array([slot for _, slot in sorted(self.times)], np.int64),
            weight_names=self.weights,
            n_features=self.n_features,
            offsets=np.array(self.offsets, np.float64),
            shared_terms=Terms.of(self.shared),
            sample_terms=Terms.of(samples),
            _sample_layers=_layers(samples),
            _shared_tapes=tuple(self.shared_tapes),
            _sample_tapes=tuple(self.sample_tapes),
        )

    def _slot(self, slot: int, angle: Angle, time: int) -> None:
        self.times.append((time, slot))
        expression = angle.parameter
        if expression is None:
            self.offsets.append(angle.offset)
            return
        if any(name in self.weight_index for name in expression.symbols):
            self.differentiable.append(slot)
        if expression not in self.forms:
            self.forms[expression] = expression.affine()
        form = self.forms[expression]
        if form is not None:
            slopes, offset = form
            self.offsets.append(angle.offset + angle.factor * offset)
            for name, slope in slopes.items():
                k = feature_index(name)
                if k is None:
                    self.shared.append((slot, self.weight_index[name], angle.factor * slope))
                else:
                    self.samples.append((slot, k, angle.factor * slope))
            return
        self.offsets.append(angle.offset)
        if any(feature_index(name) is not None for name in expression.symbols):
            column = self.n_features + self.sample_tapes.setdefault(expression, len(self.sample_tapes))
            self.samples.append((slot, column, angle.factor))
        else:
            column = len(self.weights) + self.shared_tapes.setdefault(expression, len(self.shared_tapes))
            self.shared.append((slot, column, angle.factor))


def _layers(triples: Sequence[tuple[int, int, float]]) -> tuple[Terms, ...]:
    """Split rows that have several terms, so that each layer can be added by plain indexing."""
    layers: list[list[tuple[int, int, float]]] = []
    seen: dict[int, int] = {}
    for triple in triples:
        depth = seen.get(triple[0], 0)
        seen[triple[0]] = depth + 1
        if depth == len(layers):
            layers.append([])
        layers[depth].append(triple)
    return tuple(Terms.of(layer) for layer in layers)
