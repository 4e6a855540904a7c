"""
Drawings of circuits: where each gate stands, and the drawing as text.

A gate stands in the earliest column in which all wires between its first and its last qubit are free, so that no line
crosses a box. Long circuits are wrapped into rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import msgspec

from qstore_appliance.engine.circuit import Circuit, Gate
from qstore_appliance.engine.expressions import Expression

#: How many operands, from the first, are controls, and what is drawn on the others.
CONTROLLED: Final = {
    "CNOT": (1, "⊕"),
    "CZ": (1, "●"),
    "CCX": (2, "⊕"),
    "CSWAP": (1, "✕"),
    "CRX": (1, "RX"),
    "CRY": (1, "RY"),
    "CRZ": (1, "RZ"),
    "CP": (1, "P"),
}
CONTROL: Final = "●"
#: Marks that stand on the wire itself, without a box.
MARKS: Final = ("●", "⊕", "✕")
_NAMES: Final = {"SDG": "S†", "TDG": "T†", "SX": "√X"}
#: Characters of a parameter.
LONGEST: Final = 16
#: An angle is shown as a fraction of π with this denominator at the most.
DENOMINATOR: Final = 16


class Placed(msgspec.Struct, frozen=True):
    """
    A gate in a drawing.

    Attributes:
        qubits: From the topmost to the lowest that it touches.
        labels: What stands on each of these.
    """

    column: int
    qubits: tuple[int, ...]
    labels: tuple[str, ...]


def place(circuit: Circuit) -> list[Placed]:
    """Every gate with its column, in the order of the circuit."""
    free = [0] * circuit.n_qubits
    found = []
    for gate in circuit.gates:
        low, high = min(gate.targets), max(gate.targets)
        column = max(free[low : high + 1])
        free[low : high + 1] = [column + 1] * (high - low + 1)
        labels = dict(zip(gate.targets, _labels(gate), strict=True))
        qubits = tuple(sorted(gate.targets))
        found.append(Placed(column, qubits, tuple(labels[qubit] for qubit in qubits)))
    return found


def rows(widths: Sequence[int], most: int) -> list[range]:
    """Columns of these widths in rows that are no wider than `most`, one column at the least."""
    found, first, used = [], 0, 0
    for column, width in enumerate(widths):
        if column > first and used + width > most:
            found.append(range(first, column))
            first, used = column, 0
        used += width
    found.append(range(first, len(widths)))
    return found


def text(circuit: Circuit, width: int = 100) -> str:
    """
    The drawing in characters.

    Args:
        width: Of a row, in characters.
    """
    placed = place(circuit)
    heads = [f"q{qubit}" for qubit in range(circuit.n_qubits)]
    margin = max(map(len, heads))
    widths = [0] * (max(gate.column for gate in placed) + 1)
    for gate in placed:
        widths[gate.column] = max(widths[gate.column], *map(len, gate.labels))
    columns: list[list[Placed]] = [[] for _ in widths]
    for gate in placed:
        columns[gate.column].append(gate)
    blocks = []
    for row in rows([w + 2 for w in widths], max(1, width - margin - 2)):
        # Lines of wires and of what is between them, alternating.
        lines = [
            f"{heads[k // 2]:>{margin}} ─" if k % 2 == 0 else " " * (margin + 2) for k in range(2 * len(heads) - 1)
        ]
        for column in row:
            _draw(lines, columns[column], widths[column])
        blocks.append("\n".join(line.rstrip() for line in lines))
    return "\n\n".join(blocks) + "\n"


def angle(value: float | Expression) -> str:
    """A parameter as people write it."""
    if isinstance(value, Expression):
        return _short(value.text.replace("pi", "π"))
    if value == 0.0:
        return "0"
    turns = Fraction(value / math.pi).limit_denominator(DENOMINATOR)
    if turns and abs(float(turns) * math.pi - value) < 1e-9 and abs(turns) <= 16:
        sign, over, under = "-" if turns < 0 else "", abs(turns.numerator), turns.denominator
        return f"{sign}{'' if over == 1 else over}π{'' if under == 1 else f'/{under}'}"
    return f"{value:.4g}"


def _labels(gate: Gate) -> tuple[str, ...]:
    """What is drawn on each operand, in the gate's order."""
    angles = f"({', '.join(map(angle, gate.parameters))})" if gate.parameters else ""
    controls, mark = CONTROLLED.get(gate.name, (0, ""))
    others = len(gate.targets) - controls
    if controls:
        return (CONTROL,) * controls + (mark + angles,) * others
    if gate.name == "SWAP":
        return ("✕", "✕")
    name = _NAMES.get(gate.name, gate.name)
    return (name + angles,) + (name,) * (others - 1)


def _short(label: str) -> str:
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…"


def _draw(lines: list[str], gates: Sequence[Placed], width: int) -> None:
    """Append one column to every line."""
    wires = dict.fromkeys(range(0, len(lines), 2), "")
    joints: dict[int, str] = {}
    for gate in gates:
        for line in range(2 * gate.qubits[0] + 1, 2 * gate.qubits[-1]):
            joints[line] = "│" if line % 2 else "┼"
        for qubit, label in zip(gate.qubits, gate.labels, strict=True):
            wires[2 * qubit] = label
            joints.pop(2 * qubit, None)
    middle = width // 2
    for line in range(len(lines)):
        if line % 2:
            lines[line] += " " * middle + joints.get(line, " ") + " " * (width + 1 - middle)
            continue
        label = wires[line] or joints.get(line, "─")
        before = middle - len(label) // 2
        lines[line] += "─" * before + label + "─" * (width + 2 - before - len(label))
