"""
The Fubini-Study metric of a circuit's weights, block by block: what the natural gradient divides by.

Source: Stokes et al. 2020 (arXiv:1909.02108). The approximation is theirs: a layer is a set of rotations on different
qubits that can all be moved to one point in time; within a layer the metric is exact, between layers it is taken as zero
(so where a weight occurs in several layers, how these occurrences go together is left out).
Per layer the state before it is made once and read with the Pauli matrices that the rotations turn about, so that any
backend can do it, with shots as well. Over a batch the metric is the mean; expressions follow the chain rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.calculus import derivatives
from qstore_appliance.engine.circuit import Circuit, Gate
from qstore_appliance.engine.expressions import Expression, constant
from qstore_appliance.engine.lowering import Angle, Step
from qstore_appliance.engine.observables import Observable
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.runner import Runner

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Layer:
    """
    Attributes:
        before: the circuit up to here; None at the very beginning, where the state is |0…0⟩.
        weights: positions of `before`'s weights among all weights.
        generators: the Pauli matrix of each rotation, then the products of each pair.
        angles: what each rotation turns by.
        slopes: [n_rotations, n_weights] where no angle's derivative depends on weights or features; else None.
    """

    before: Program | None
    weights: NDArray[np.int64]
    generators: tuple[Observable, ...]
    angles: tuple[Angle, ...]
    slopes: Floats | None

    @property
    def size(self) -> int:
        return len(self.angles)


class Metric:
    """The metric of one program, to be asked at any weights."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._index = {name: place for place, name in enumerate(program.weight_names)}
        self._layers = [self._layer(before, rotations) for before, rotations in _layers(program)]
        #: Circuits that one sample takes.
        self.circuits_per_sample = sum(layer.before is not None for layer in self._layers)

    def at(self, runner: Runner, weights: Floats, features: Floats, seed: int | None = None) -> Floats:
        """
        [n_weights, n_weights], positive semidefinite where expectations are exact.

        Args:
            runner: whose backend, shots and precision are used.
            features: [batch, n_features].
            seed: of the shots.
        """
        n_weights = len(weights)
        total = np.zeros((n_weights, n_weights))
        for place, layer in enumerate(self._layers):
            covariance = _covariance(self._read(runner, layer, weights, features, seed, place), layer.size)
            if layer.slopes is not None:
                total += layer.slopes.T @ covariance.mean(axis=0) @ layer.slopes
            else:
                slopes = self._slopes(layer.angles, weights, features)
                total += np.einsum("biv,bij,bjw->vw", slopes, covariance, slopes) / len(features)
        return total / 4.0  # a rotation's generator is half a Pauli matrix

    def _read(
        self, runner: Runner, layer: _Layer, weights: Floats, features: Floats, seed: int | None, place: int
    ) -> Floats:
        """Expectations [batch, n_generators] in the state before the layer."""
        if layer.before is None:
            return np.array([[float(one.diagonal) for one in layer.generators]] * len(features))
        prefix = Runner(runner.backend, layer.before, layer.generators, runner.shots, runner.precision)
        return prefix.expectations(weights[layer.weights], features, None if seed is None else seed + place)

    def _layer(self, before: list[Step], rotations: list[Step]) -> _Layer:
        program = _program(self._program.n_qubits, before) if before else None
        names = () if program is None else program.weight_names
        singles = [Observable(((step.qubits[0], step.name[1]),)) for step in rotations]
        pairs = [Observable(tuple(sorted(a.terms + b.terms))) for a, b in combinations(singles, 2)]
        angles = tuple(step.angle for step in rotations if step.angle is not None)
        affine = all(angle.parameter is None or angle.parameter.affine() is not None for angle in angles)
        return _Layer(
            before=program,
            weights=np.array([self._index[name] for name in names], np.int64),
            generators=(*singles, *pairs),
            angles=angles,
            slopes=self._slopes(angles, np.zeros(len(self._index)), np.zeros((1, self._program.n_features)))[0]
            if affine
            else None,
        )

    def _slopes(self, angles: tuple[Angle, ...], weights: Floats, features: Floats) -> Floats:
        """[batch, n_rotations, n_weights]: each angle's derivative by each weight."""
        named: dict[str, float | Floats] = dict(zip(self._program.weight_names, map(float, weights), strict=True))
        for k in self._program.circuit.features:
            named[f"x_{k}"] = features[:, k]
        out = np.zeros((len(features), len(angles), len(weights)))
        for row, angle in enumerate(angles):
            if angle.parameter is not None:
                for name, slope in derivatives(angle.parameter, named).items():
                    if name in self._index:
                        out[:, row, self._index[name]] += angle.factor * slope
        return out


def _covariance(values: Floats, size: int) -> Floats:
    """[batch, n_generators] → [batch, size, size]: ⟨P_i P_j⟩ - ⟨P_i⟩⟨P_j⟩."""
    covariance = -values[:, :size, None] * values[:, None, :size]
    for place, (i, j) in enumerate(combinations(range(size), 2), start=size):
        covariance[:, i, j] += values[:, place]
        covariance[:, j, i] += values[:, place]
    rows = np.arange(size)
    covariance[:, rows, rows] += 1.0
    return covariance


def _layers(program: Program) -> list[tuple[list[Step], list[Step]]]:
    """
    Pairs of (steps before, rotations of the layer).

    A rotation's layer is the number of weighted rotations that it must wait for, one after the other. Two of the same
    layer do not wait for each other, so all of a layer act on the state that is made by what any of them waits for.
    """
    weights = set(program.weight_names)
    steps = program.lowered.steps
    depth = [0] * program.n_qubits
    waits_for = [0] * program.n_qubits  # bit i of an entry: step i comes before what acts on this qubit next
    members: dict[int, list[Step]] = {}
    before: dict[int, int] = {}
    for place, step in enumerate(steps):
        layer = max(depth[qubit] for qubit in step.qubits)
        ancestors = 0
        for qubit in step.qubits:
            ancestors |= waits_for[qubit]
        angle = step.angle
        if angle is not None and angle.parameter is not None and weights.intersection(angle.parameter.symbols):
            members.setdefault(layer, []).append(step)
            before[layer] = before.get(layer, 0) | ancestors
            layer += 1
        for qubit in step.qubits:
            depth[qubit], waits_for[qubit] = layer, ancestors | 1 << place
    return [
        ([step for place, step in enumerate(steps) if before[layer] >> place & 1], members[layer])
        for layer in sorted(members)
    ]


def _program(n_qubits: int, steps: list[Step]) -> Program:
    gates = [Gate(step.name, step.qubits, () if step.angle is None else (_parameter(step.angle),)) for step in steps]
    return Program.lower(Circuit(n_qubits, tuple(gates)))


def _parameter(angle: Angle) -> float | Expression:
    if angle.parameter is None:
        return angle.offset
    expression = angle.parameter if angle.factor == 1.0 else angle.parameter.times(angle.factor)
    return expression.plus(constant(angle.offset)) if angle.offset else expression
