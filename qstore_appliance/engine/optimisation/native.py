"""
Circuits in IonQ's native gates: GPI, GPI2 and MS.

Turns about Z cost nothing there: each is kept as the phase of all later gates on its qubit. What is left at the end is
written as two GPI, so that the whole circuit is what it was. A run of gates on one qubit comes to at most two GPI2,
and symbols become symbols of the phases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from qstore_appliance.engine.circuit import Circuit, Gate
from qstore_appliance.engine.lowering import ROTATIONS, lower, parameter
from qstore_appliance.engine.optimisation import matrices
from qstore_appliance.engine.optimisation.cancellation import cancel
from qstore_appliance.engine.optimisation.rotations import NOTHING, Parameter, negated, scaled, total
from qstore_appliance.engine.optimisation.single_qubit import euler, join, symbolic

_QUARTER = math.pi / 2


def compiled(gates: Sequence[Gate]) -> list[Gate]:
    """The gates as GPI, GPI2 and MS, up to a global phase."""
    plain = cancel(join(cancel(_interactions(gates))))
    frames = _Frames()
    for gate in plain:
        frames.add(gate)
    return frames.finished()


def _interactions(gates: Sequence[Gate]) -> list[Gate]:
    """Every entangler as turns about XX and turns of one qubit."""
    out: list[Gate] = []
    for gate in gates:
        if gate.name in ("GPI", "GPI2", "MS", "U3") or (gate.name == "RXX" or len(gate.targets) == 1):
            out.extend(_conjugated(gate) if gate.name == "MS" else [gate])
        elif gate.name == "RYY":
            out.extend(_between(gate, "RZ", _QUARTER, gate.targets))
        elif gate.name == "RZZ":
            out.extend(_between(gate, "RY", _QUARTER, gate.targets))
        elif gate.name in ("CP", "CRZ", "CRX", "CRY"):
            out.extend(_controlled(gate))
        elif gate.name == "ISWAP":
            for name in ("RXX", "RYY"):
                out.extend(_interactions([Gate(name, gate.targets, (-_QUARTER,))]))
        elif gate.name == "CNOT":
            out.extend(_cnot(*gate.targets))
        elif gate.name == "CZ":
            turn = Gate("H", (gate.targets[1],))
            out.extend((turn, *_cnot(*gate.targets), turn))
        elif gate.name == "SWAP":
            for name in ("RXX", "RYY", "RZZ"):
                out.extend(_interactions([Gate(name, gate.targets, (_QUARTER,))]))
        elif gate.name == "CCX":
            out.extend(_interactions(toffoli(*gate.targets)))
        else:
            out.extend(_interactions(_steps(gate)))
    return out


def _steps(gate: Gate) -> list[Gate]:
    steps = lower(Circuit(1 + max(gate.targets), (gate,))).steps
    return [Gate(step.name, step.qubits, () if step.angle is None else (parameter(step.angle),)) for step in steps]


def toffoli(a: int, b: int, target: int) -> list[Gate]:
    """Six CNOTs and seven eighth turns (Nielsen and Chuang, figure 4.9)."""
    out = [Gate("H", (target,))]
    for control, name in ((b, "TDG"), (a, "T"), (b, "TDG"), (a, "T")):
        out.extend((Gate("CNOT", (control, target)), Gate(name, (target,))))
    out.extend((Gate("H", (target,)), Gate("T", (b,)), Gate("CNOT", (a, b)), Gate("T", (a,)), Gate("TDG", (b,))))
    return [*out, Gate("CNOT", (a, b))]


def _conjugated(gate: Gate) -> list[Gate]:
    """MS as a turn about XX between turns about Z."""
    before = [Gate("RZ", (q,), (negated(phi),)) for q, phi in zip(gate.targets, gate.parameters, strict=False)]
    after = [Gate("RZ", (q,), (phi,)) for q, phi in zip(gate.targets, gate.parameters, strict=False)]
    return [*before, Gate("RXX", gate.targets, (gate.parameters[2],)), *after]


def _between(gate: Gate, name: str, angle: float, qubits: tuple[int, ...]) -> list[Gate]:
    """A turn about XX seen in another basis: RZ takes X to Y, RY takes X to -Z."""
    return [
        *(Gate(name, (q,), (-angle,)) for q in qubits),
        Gate("RXX", gate.targets, gate.parameters),
        *(Gate(name, (q,), (angle,)) for q in qubits),
    ]


def _controlled(gate: Gate) -> list[Gate]:
    """A controlled turn is half of it alone and half of it with the control: one interaction."""
    control, target = gate.targets
    half = scaled(gate.parameters[0], 0.5)
    axis = "Z" if gate.name == "CP" else gate.name[2]
    out = [Gate(f"R{axis}", (target,), (half,))]
    if gate.name == "CP":
        out.append(Gate("RZ", (control,), (half,)))
    both = Gate("RXX", gate.targets, (negated(half),))
    # X of the control becomes Z, X of the target becomes the axis; two signs of RY cancel each other or are made good.
    before, after = [Gate("RY", (control,), (-_QUARTER,))], [Gate("RY", (control,), (_QUARTER,))]
    if axis == "Z":
        before.append(Gate("RY", (target,), (-_QUARTER,)))
        after.append(Gate("RY", (target,), (_QUARTER,)))
        return [*out, *before, both, *after]
    if axis == "Y":
        before.append(Gate("RZ", (target,), (-_QUARTER,)))
        after.append(Gate("RZ", (target,), (_QUARTER,)))
    return [*out, *before, Gate("RXX", gate.targets, (half,)), *after]


def _cnot(control: int, target: int) -> list[Gate]:
    return [
        Gate("RY", (control,), (_QUARTER,)),
        Gate("RXX", (control, target), (_QUARTER,)),
        Gate("RX", (control,), (-_QUARTER,)),
        Gate("RX", (target,), (-_QUARTER,)),
        Gate("RY", (control,), (-_QUARTER,)),
    ]


class _Frames:
    """Writes gates while the turns about Z before them are still owed: a gate then has its phase turned back by them."""

    def __init__(self) -> None:
        self._out: list[Gate] = []
        self._owed: dict[int, Parameter] = {}

    def add(self, gate: Gate) -> None:
        if gate.name == "RXX":
            self._pair(gate)
            return
        qubit = gate.targets[0]
        if gate.name in ("GPI", "GPI2"):
            self._write(gate.name, qubit, gate.parameters[0])
        elif gate.name in ROTATIONS and symbolic(gate):
            self._rotation(gate.name, qubit, gate.parameters[0])
        elif gate.name in ("U3", "P") and symbolic(gate):
            angles = gate.parameters if gate.name == "U3" else (0.0, 0.0, gate.parameters[0])
            self._owe(qubit, angles[2])
            self._rotation("RY", qubit, angles[0])
            self._owe(qubit, angles[1])
        else:
            theta, phi, lam = euler(matrices.of(Gate(gate.name, (0,), gate.parameters)))
            self._owe(qubit, lam)
            self._rotation("RY", qubit, theta)
            self._owe(qubit, phi)

    def finished(self) -> list[Gate]:
        for qubit in sorted(self._owed):
            angle = self._owed[qubit]
            if not isinstance(angle, float) or abs(math.remainder(angle, 2 * math.pi)) > NOTHING:
                self._out.append(Gate("GPI", (qubit,), (0.0,)))
                self._out.append(Gate("GPI", (qubit,), (_short(scaled(angle, 0.5)),)))
        return self._out

    def _rotation(self, name: str, qubit: int, angle: Parameter) -> None:
        if name == "RZ":
            self._owe(qubit, angle)
            return
        axis = 0.0 if name == "RX" else _QUARTER
        if isinstance(angle, float):
            angle = math.remainder(angle, 2 * math.pi)
            if abs(angle) < NOTHING:
                return
            if abs(abs(angle) - math.pi) < NOTHING:
                self._write("GPI", qubit, axis)
                return
            if abs(abs(angle) - _QUARTER) < NOTHING:
                self._write("GPI2", qubit, axis if angle > 0 else axis + math.pi)
                return
        # RY(t) = RZ(pi) RX(pi/2) RZ(t + pi) RX(pi/2), up to a phase.
        self._owe(qubit, _QUARTER - axis)
        self._write("GPI2", qubit, 0.0)
        self._owe(qubit, angle)
        self._owe(qubit, math.pi)
        self._write("GPI2", qubit, 0.0)
        self._owe(qubit, math.pi + axis - _QUARTER)

    def _pair(self, gate: Gate) -> None:
        one, other = gate.targets
        angle, first = gate.parameters[0], 0.0
        if isinstance(angle, float):
            angle = math.remainder(angle, 2 * math.pi)
            if abs(angle) < NOTHING:
                return
            if abs(angle) > _QUARTER + NOTHING:
                self._write("GPI", one, 0.0)
                self._write("GPI", other, 0.0)
                angle -= math.copysign(math.pi, angle)
            if abs(angle) < NOTHING:
                return
            if angle < 0:
                angle, first = -angle, math.pi
        phases = (self._turned(one, first), self._turned(other, 0.0))
        self._out.append(Gate("MS", gate.targets, (*phases, angle)))

    def _write(self, name: str, qubit: int, phase: Parameter) -> None:
        self._out.append(Gate(name, (qubit,), (self._turned(qubit, phase),)))

    def _turned(self, qubit: int, phase: Parameter) -> Parameter:
        found = total(phase, negated(self._owed.get(qubit, 0.0)))
        if found is None:
            # Too long to write down: what is owed is paid here.
            self._pay(qubit)
            return phase
        return _short(found)

    def _pay(self, qubit: int) -> None:
        angle = self._owed.pop(qubit, 0.0)
        self._out.append(Gate("GPI", (qubit,), (0.0,)))
        self._out.append(Gate("GPI", (qubit,), (scaled(angle, 0.5),)))

    def _owe(self, qubit: int, angle: Parameter) -> None:
        found = total(self._owed.get(qubit, 0.0), angle)
        if found is None:
            self._pay(qubit)
            found = angle
        self._owed[qubit] = found


def _short(angle: Parameter) -> Parameter:
    return math.remainder(angle, 2 * math.pi) if isinstance(angle, float) else angle
