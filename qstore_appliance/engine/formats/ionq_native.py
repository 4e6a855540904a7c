"""
IonQ's native gates: `gpi`, `gpi2`, `ms`, `zz` and `nop`, with phases and angles in turns.

Written circuits use `gpi`, `gpi2` and `ms` with an angle from 0 to a quarter turn, which is what the hardware takes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from qstore_appliance.engine.circuit import MAX_ANGLE, Circuit, Gate
from qstore_appliance.engine.lowering import lower

NAMES: Final = ("gpi", "gpi2", "ms", "zz", "nop")
TURN: Final = 2 * math.pi
#: Backends that take these gates, and that circuits are compiled for.
TARGETS: Final = frozenset(("ionq_hardware", "ionq_simulator"))

_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "gpi": frozenset(("gate", "target", "targets", "phase")),
    "gpi2": frozenset(("gate", "target", "targets", "phase")),
    "ms": frozenset(("gate", "targets", "phases", "angle")),
    "zz": frozenset(("gate", "targets", "phase", "angle")),
    "nop": frozenset(("gate", "target", "targets", "time")),
}


def gates(row: Mapping[str, Any]) -> list[Gate]:
    """
    What one row stands for.

    Raises:
        ValueError: With what is wrong.
    """
    name = row.get("gate")
    if not isinstance(name, str) or name not in NAMES:
        raise ValueError(f"there is no such gate; native has {', '.join(NAMES)}")
    for key in row:
        if key not in _KEYS[name]:
            raise ValueError(f"the key {str(key)[:40]!r} is not known")
    if name == "nop":
        return []
    if "target" in row and "targets" in row:
        raise ValueError("target and targets are given at once")
    targets = row.get("targets", row.get("target"))
    targets = tuple(targets) if isinstance(targets, (list, tuple)) else (targets,)
    needed = 1 if name.startswith("gpi") else 2
    if len(targets) != needed or any(type(qubit) is not int for qubit in targets):
        raise ValueError(f"acts on {needed} target{'s' if needed > 1 else ''}, given as whole numbers")
    if name.startswith("gpi"):
        return [Gate(name.upper(), targets, (_radians(row, "phase"),))]
    if name == "zz":
        if ("phase" in row) == ("angle" in row):
            raise ValueError("needs an angle")
        return [Gate("RZZ", targets, (_radians(row, "angle" if "angle" in row else "phase"),))]
    phases = row.get("phases")
    if not isinstance(phases, (list, tuple)) or len(phases) != 2:
        raise ValueError("needs two phases")
    phi0, phi1 = (_radians({"phase": phase}, "phase") for phase in phases)
    return [Gate("MS", targets, (phi0, phi1, _radians(row, "angle", 0.25)))]


def written(circuit: Circuit) -> list[dict[str, Any]]:
    """The rows of a circuit without symbols, up to a global phase."""
    out = _Rows()
    for gate in circuit.gates:
        angles = [float(angle) for angle in gate.parameters if not hasattr(angle, "symbols")]
        if gate.name in ("GPI", "GPI2"):
            out.single(gate.name.lower(), gate.targets[0], angles[0])
        elif gate.name == "MS":
            out.ms(gate.targets, *angles)
        elif gate.name == "RXX":
            out.ms(gate.targets, 0.0, 0.0, angles[0])
        elif gate.name == "RYY":
            out.ms(gate.targets, math.pi / 2, math.pi / 2, angles[0])
        else:
            for step in lower(Circuit(circuit.n_qubits, (gate,))).steps:
                out.step(step.name, step.qubits, None if step.angle is None else step.angle.offset)
    return out.rows


class _Rows:
    """Collects rows; each method is right up to a global phase."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def single(self, name: str, qubit: int, phase: float) -> None:
        self.rows.append({"gate": name, "target": qubit, "phase": _turns(phase)})

    def step(self, name: str, qubits: tuple[int, ...], angle: float | None) -> None:
        if angle is not None:
            getattr(self, name.lower())(qubits[0], angle)
        elif name == "CNOT":
            self.cnot(*qubits)
        elif name == "CZ":
            self.h(qubits[1])
            self.cnot(*qubits)
            self.h(qubits[1])
        elif name == "SWAP":
            a, b = qubits
            for pair in ((a, b), (b, a), (a, b)):
                self.cnot(*pair)
        else:
            self.ccx(*qubits)

    def rz(self, qubit: int, angle: float) -> None:
        """Two half turns about axes that lie half the angle apart."""
        self.single("gpi", qubit, 0.0)
        self.single("gpi", qubit, angle / 2)

    def rx(self, qubit: int, angle: float) -> None:
        self._about(qubit, 0.0, angle)

    def ry(self, qubit: int, angle: float) -> None:
        self._about(qubit, math.pi / 2, angle)

    def _about(self, qubit: int, axis: float, angle: float) -> None:
        """A rotation about an axis of the equator: to the pole, round it by the angle, and back."""
        self.single("gpi2", qubit, axis + math.pi / 2)
        self.single("gpi", qubit, axis + angle / 2 + math.pi / 2)
        self.single("gpi2", qubit, axis + math.pi / 2)

    def h(self, qubit: int) -> None:
        self.rz(qubit, math.pi)
        self.ry(qubit, math.pi / 2)

    def cnot(self, control: int, target: int) -> None:
        self.single("gpi2", control, math.pi / 2)
        self.ms((control, target), 0.0, 0.0, math.pi / 2)
        self.single("gpi2", control, math.pi)
        self.single("gpi2", target, math.pi)
        self.single("gpi2", control, -math.pi / 2)

    def ccx(self, a: int, b: int, target: int) -> None:
        """Six CNOTs and seven eighth turns (Nielsen and Chuang, figure 4.9)."""
        eighth = math.pi / 4
        self.h(target)
        for control, sign in ((b, -1), (a, 1), (b, -1), (a, 1)):
            self.cnot(control, target)
            self.rz(target, sign * eighth)
        self.h(target)
        self.rz(b, eighth)
        self.cnot(a, b)
        self.rz(a, eighth)
        self.rz(b, -eighth)
        self.cnot(a, b)

    def ms(self, qubits: tuple[int, ...], phi0: float, phi1: float, angle: float) -> None:
        """The hardware turns by nothing to a quarter: a half turn is a pair of `gpi`, less than nothing a phase of pi."""
        angle = math.remainder(angle, TURN)
        if abs(angle) > math.pi / 2:
            self.single("gpi", qubits[0], phi0)
            self.single("gpi", qubits[1], phi1)
            angle -= math.copysign(math.pi, angle)
        if angle < 0:
            phi0, angle = phi0 + math.pi, -angle
        phases = [_turns(phi0), _turns(phi1)]
        self.rows.append({"gate": "ms", "targets": list(qubits), "phases": phases, "angle": angle / TURN})


def _turns(radians: float) -> float:
    """Between minus and plus half a turn."""
    return math.remainder(radians, TURN) / TURN


def _radians(row: Mapping[str, Any], key: str, default: float | None = None) -> float:
    value = row.get(key, default)
    if value is None:
        raise ValueError(f"needs a {key}")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= MAX_ANGLE / TURN:
        raise ValueError(f"{key} must be a finite number of turns")
    return float(value) * TURN
