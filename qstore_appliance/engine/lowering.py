"""
What every gate is made of: rotations about one axis, and CNOT, CZ, SWAP, CCX.

A rotation is exp(-i angle P / 2) for a Pauli matrix P, so each parametrised gate keeps an exact two-term shift rule and
an exact adjoint derivative, and a run of rotations on one qubit is one unit quaternion. The phase that a decomposition
leaves over is kept, so that states agree to the last digit and not only up to a phase.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Final

import msgspec

from qstore_appliance.engine import expressions
from qstore_appliance.engine.circuit import Circuit, Gate
from qstore_appliance.engine.expressions import Expression

ROTATIONS: Final = {"RX": 0, "RY": 1, "RZ": 2}
ENTANGLERS: Final = {"CNOT": 1, "CZ": 2, "SWAP": 3, "CCX": 4}

_HALF, _QUARTER, _EIGHTH = math.pi, math.pi / 2, math.pi / 4


class Angle(msgspec.Struct, frozen=True):
    """`factor * parameter + offset`; without a parameter a constant."""

    offset: float = 0.0
    factor: float = 1.0
    parameter: Expression | None = None

    def times(self, factor: float) -> Angle:
        return Angle(self.offset * factor, self.factor * factor, self.parameter)


class Step(msgspec.Struct, frozen=True):
    """One rotation (with its angle) or one entangler (without)."""

    name: str
    qubits: tuple[int, ...]
    angle: Angle | None = None


class Lowered(msgspec.Struct, frozen=True):
    """
    A circuit as steps.

    Attributes:
        steps: In order of time.
        phases: The state is multiplied by exp(i * sum of these).
        ends: For each gate as it was written, how many steps are over when it is, and the qubits that it touches: noise
            comes after gates, not inside them.
    """

    steps: tuple[Step, ...]
    phases: tuple[Angle, ...]
    ends: tuple[tuple[int, tuple[int, ...]], ...]


def lower(circuit: Circuit) -> Lowered:
    """Write every gate of a circuit as steps, exactly."""
    out = _Steps()
    ends: list[tuple[int, tuple[int, ...]]] = []
    for gate in circuit.gates:
        _RULES[gate.name](out, gate.targets, tuple(_angle(parameter) for parameter in gate.parameters))
        ends.append((len(out.steps), gate.targets))
    return Lowered(tuple(out.steps), tuple(out.phases), tuple(ends))


def with_shifts(circuit: Circuit, features: Sequence[int]) -> Circuit:
    """
    The circuit written in steps, each rotation that depends on a weight turned further by a feature of its own.

    Each step is one gate and is lowered to itself again, so that the first circuit's `ends` hold for the second.

    Setting such a feature to plus and minus pi/2 gives the two terms of the shift rule for that rotation.

    Args:
        features: The number of the feature for each of these rotations, in order of time.
    """
    weights = set(circuit.weights)
    free = iter(features)
    gates: list[Gate] = []
    for step in lower(circuit).steps:
        if step.angle is None:
            gates.append(Gate(step.name, step.qubits))
            continue
        turned = parameter(step.angle)
        if isinstance(turned, Expression) and weights.intersection(turned.symbols):
            turned = turned.plus(expressions.symbol(f"x_{next(free)}"))
        gates.append(Gate(step.name, step.qubits, (turned,)))
    return Circuit(circuit.n_qubits, tuple(gates))


def spelled(circuit: Circuit, names: Container[str]) -> Circuit:
    """
    The circuit with every gate that is not one of these names written as its steps, up to a global phase.

    Args:
        names: Gates that may stand; rotations and entanglers always may.
    """
    gates: list[Gate] = []
    for gate in circuit.gates:
        if gate.name in names or gate.name in ROTATIONS or gate.name in ENTANGLERS:
            gates.append(gate)
            continue
        for step in lower(Circuit(circuit.n_qubits, (gate,))).steps:
            gates.append(Gate(step.name, step.qubits, () if step.angle is None else (parameter(step.angle),)))
    return Circuit(circuit.n_qubits, tuple(gates))


def parameter(angle: Angle) -> float | Expression:
    """An angle as the parameter of a gate."""
    if angle.parameter is None:
        return angle.offset
    expression = angle.parameter if angle.factor == 1.0 else angle.parameter.times(angle.factor)
    return expression.plus(expressions.constant(angle.offset)) if angle.offset else expression


class _Steps:
    """Collects steps; one method per kind, so that the rules below read like circuits."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.phases: list[Angle] = []

    def rx(self, qubit: int, angle: Angle | float) -> None:
        self.steps.append(Step("RX", (qubit,), _as_angle(angle)))

    def ry(self, qubit: int, angle: Angle | float) -> None:
        self.steps.append(Step("RY", (qubit,), _as_angle(angle)))

    def rz(self, qubit: int, angle: Angle | float) -> None:
        self.steps.append(Step("RZ", (qubit,), _as_angle(angle)))

    def p(self, qubit: int, angle: Angle | float) -> None:
        """diag(1, e^{i angle}) is RZ(angle) with the phase angle/2 taken out."""
        self.rz(qubit, angle)
        self.phase(_as_angle(angle).times(0.5))

    def h(self, qubit: int) -> None:
        """H = i RY(pi/2) RZ(pi)."""
        self.rz(qubit, _HALF)
        self.ry(qubit, _QUARTER)
        self.phase(_QUARTER)

    def phase(self, angle: Angle | float) -> None:
        self.phases.append(_as_angle(angle))

    def entangle(self, name: str, *qubits: int) -> None:
        self.steps.append(Step(name, qubits))

    def cnot(self, control: int, target: int) -> None:
        self.entangle("CNOT", control, target)


Qubits = tuple[int, ...]
Angles = tuple[Angle, ...]
_Rule = Callable[[_Steps, Qubits, Angles], None]


def _angle(parameter: float | Expression) -> Angle:
    return Angle(parameter=parameter) if isinstance(parameter, Expression) else Angle(parameter, 0.0)


def _as_angle(angle: Angle | float) -> Angle:
    return angle if isinstance(angle, Angle) else Angle(angle, 0.0)


def _pauli(axis: str) -> _Rule:
    def rule(out: _Steps, q: Qubits, a: Angles) -> None:
        getattr(out, f"r{axis}")(q[0], _HALF)
        out.phase(_QUARTER)

    return rule


def _phase_gate(angle: float) -> _Rule:
    return lambda out, q, a: out.p(q[0], angle)


def _entangler(name: str) -> _Rule:
    return lambda out, q, a: out.entangle(name, *q)


def _sx(out: _Steps, q: Qubits, a: Angles) -> None:
    out.rx(q[0], _QUARTER)
    out.phase(_EIGHTH)


def _u3(out: _Steps, q: Qubits, a: Angles) -> None:
    theta, phi, lam = a
    out.p(q[0], lam)
    out.ry(q[0], theta)
    out.p(q[0], phi)


def _gpi(out: _Steps, q: Qubits, a: Angles) -> None:
    out.rz(q[0], a[0].times(-1.0))
    out.rx(q[0], _HALF)
    out.rz(q[0], a[0])
    out.phase(_QUARTER)


def _gpi2(out: _Steps, q: Qubits, a: Angles) -> None:
    out.rz(q[0], a[0].times(-1.0))
    out.rx(q[0], _QUARTER)
    out.rz(q[0], a[0])


def _ms(out: _Steps, q: Qubits, a: Angles) -> None:
    for qubit, phi in zip(q, a, strict=False):
        out.rz(qubit, phi.times(-1.0))
    _rxx(out, q, (a[2],))
    for qubit, phi in zip(q, a, strict=False):
        out.rz(qubit, phi)


def _iswap(out: _Steps, q: Qubits, a: Angles) -> None:
    """iSWAP = exp(i pi/4 (XX + YY))."""
    _rxx(out, q, (Angle(-_QUARTER, 0.0),))
    _ryy(out, q, (Angle(-_QUARTER, 0.0),))


def _crx(out: _Steps, q: Qubits, a: Angles) -> None:
    out.h(q[1])
    _crz(out, q, a)
    out.h(q[1])


def _cry(out: _Steps, q: Qubits, a: Angles) -> None:
    out.ry(q[1], a[0].times(0.5))
    out.cnot(*q)
    out.ry(q[1], a[0].times(-0.5))
    out.cnot(*q)


def _crz(out: _Steps, q: Qubits, a: Angles) -> None:
    out.rz(q[1], a[0].times(0.5))
    out.cnot(*q)
    out.rz(q[1], a[0].times(-0.5))
    out.cnot(*q)


def _cp(out: _Steps, q: Qubits, a: Angles) -> None:
    out.p(q[0], a[0].times(0.5))
    out.p(q[1], a[0].times(0.5))
    out.cnot(*q)
    out.p(q[1], a[0].times(-0.5))
    out.cnot(*q)


def _rzz(out: _Steps, q: Qubits, a: Angles) -> None:
    out.cnot(*q)
    out.rz(q[1], a[0])
    out.cnot(*q)


def _rxx(out: _Steps, q: Qubits, a: Angles) -> None:
    """exp(-i t XX / 2): CNOT turns X of the control alone into XX."""
    out.cnot(*q)
    out.rx(q[0], a[0])
    out.cnot(*q)


def _ryy(out: _Steps, q: Qubits, a: Angles) -> None:
    for qubit in q:
        out.rx(qubit, _QUARTER)
    _rzz(out, q, a)
    for qubit in q:
        out.rx(qubit, -_QUARTER)


def _cswap(out: _Steps, q: Qubits, a: Angles) -> None:
    out.cnot(q[2], q[1])
    out.entangle("CCX", *q)
    out.cnot(q[2], q[1])


_RULES: Final[Mapping[str, _Rule]] = {
    "H": lambda out, q, a: out.h(q[0]),
    "X": _pauli("x"),
    "Y": _pauli("y"),
    "Z": _pauli("z"),
    "S": _phase_gate(_QUARTER),
    "SDG": _phase_gate(-_QUARTER),
    "T": _phase_gate(_EIGHTH),
    "TDG": _phase_gate(-_EIGHTH),
    "SX": _sx,
    "P": lambda out, q, a: out.p(q[0], a[0]),
    "RX": lambda out, q, a: out.rx(q[0], a[0]),
    "RY": lambda out, q, a: out.ry(q[0], a[0]),
    "RZ": lambda out, q, a: out.rz(q[0], a[0]),
    "U3": _u3,
    "GPI": _gpi,
    "GPI2": _gpi2,
    "MS": _ms,
    "CNOT": _entangler("CNOT"),
    "CZ": _entangler("CZ"),
    "SWAP": _entangler("SWAP"),
    "ISWAP": _iswap,
    "CRX": _crx,
    "CRY": _cry,
    "CRZ": _crz,
    "CP": _cp,
    "RXX": _rxx,
    "RYY": _ryy,
    "RZZ": _rzz,
    "CCX": _entangler("CCX"),
    "CSWAP": _cswap,
}
