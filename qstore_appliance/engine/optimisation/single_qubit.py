"""Runs of gates on one qubit become one gate: a rotation about an axis, a gate with a name, or U3 (ZYZ)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from qstore_appliance.engine.circuit import Gate
from qstore_appliance.engine.expressions import Expression
from qstore_appliance.engine.optimisation import matrices
from qstore_appliance.engine.optimisation.matrices import Matrix
from qstore_appliance.engine.optimisation.rotations import turn

_CLOSE = 1e-10


def join(gates: Sequence[Gate]) -> list[Gate]:
    """The gates with every run of two or more on one qubit written as one, up to a global phase; symbols end a run."""
    out: list[Gate] = []
    waiting: dict[int, list[Gate]] = {}

    def flush(qubit: int) -> None:
        run = waiting.pop(qubit, None)
        if run is None:
            return
        if len(run) == 1 and run[0].name != "U3":
            out.append(run[0])
            return
        found = run_matrix(run)
        gate = written(found, qubit)
        if gate is not None:
            out.append(gate)

    for gate in gates:
        if len(gate.targets) == 1 and not symbolic(gate):
            waiting.setdefault(gate.targets[0], []).append(gate)
            continue
        for qubit in gate.targets:
            flush(qubit)
        out.append(gate)
    for qubit in sorted(waiting):
        flush(qubit)
    return out


def symbolic(gate: Gate) -> bool:
    return any(isinstance(parameter, Expression) for parameter in gate.parameters)


def run_matrix(run: Sequence[Gate]) -> Matrix:
    found = np.eye(2, dtype=np.complex128)
    for gate in run:
        found = matrices.of(Gate(gate.name, (0,), gate.parameters)) @ found
    return found


def euler(matrix: Matrix) -> tuple[float, float, float]:
    """Theta, phi and lambda of the U3 that a unitary matrix is up to a phase; theta from 0 to pi."""
    theta = 2 * math.atan2(abs(matrix[1, 0]), abs(matrix[0, 0]))
    if abs(matrix[1, 0]) < _CLOSE:
        return 0.0, 0.0, float(np.angle(matrix[1, 1] / matrix[0, 0]))
    if abs(matrix[0, 0]) < _CLOSE:
        return math.pi, 0.0, float(np.angle(-matrix[0, 1] / matrix[1, 0]))
    phi = float(np.angle(matrix[1, 0] / matrix[0, 0]))
    return theta, phi, float(np.angle(-matrix[0, 1] / matrix[0, 0]))


def written(matrix: Matrix, qubit: int) -> Gate | None:
    """One gate for a matrix; None for the identity."""
    theta, phi, lam = euler(matrix)
    if theta < _CLOSE:
        return turn("Z", qubit, lam)
    if abs(theta - math.pi / 2) < _CLOSE and _near(phi, 0) and _near(lam, math.pi):
        return Gate("H", (qubit,))
    for axis, offset in (("X", -math.pi / 2), ("Y", 0.0)):
        # RX(t) = U3(t, -pi/2, pi/2), RY(t) = U3(t, 0, 0); the other sense of rotation is a half turn further.
        if _near(phi + lam, 0):
            if _near(phi, offset):
                return turn(axis, qubit, theta)
            if _near(phi, offset + math.pi):
                return turn(axis, qubit, -theta)
    return Gate("U3", (qubit,), (theta, phi, lam))


def _near(angle: float, other: float) -> bool:
    return abs(math.remainder(angle - other, 2 * math.pi)) < _CLOSE
