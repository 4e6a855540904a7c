"""
Gates with any number of controls, written exactly in the gates of the circuit model and without extra qubits.

Everything comes down to a phase on the state in which all qubits are one: that phase is a sum over parities
(x AND y = (x + y - x XOR y) / 2 and so on), and a Gray code visits the parities with one CNOT between two of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from qstore_appliance.engine.circuit import Gate

MAX_CONTROLS: Final = 7
"""Beyond it one gate would stand for more than five hundred."""

# The gate as a phase on |1> in the basis of a Pauli matrix: (matrix, phase).
_PHASES: Final[dict[str, tuple[str, float]]] = {
    "X": ("X", math.pi),
    "Y": ("Y", math.pi),
    "Z": ("Z", math.pi),
    "S": ("Z", math.pi / 2),
    "SDG": ("Z", -math.pi / 2),
    "T": ("Z", math.pi / 4),
    "TDG": ("Z", -math.pi / 4),
    "SX": ("X", math.pi / 2),
    "SXDG": ("X", -math.pi / 2),
}
_PAIRS: Final = {"RXX": "X", "RYY": "Y", "RZZ": "Z"}

NAMES: Final = frozenset((*_PHASES, *_PAIRS, "H", "RX", "RY", "RZ", "SWAP"))
"""What `controlled` takes; `SXDG` is the inverse of `SX`."""


def controlled(name: str, controls: Sequence[int], targets: Sequence[int], angle: float = 0.0) -> list[Gate]:
    """
    The gates that apply `name` to the targets where every control is one.

    Args:
        name: One of `NAMES`.
        controls: One to `MAX_CONTROLS` qubits.
        targets: Qubits of the gate itself, none of them a control.
        angle: Radians, for a gate that has one.

    Raises:
        ValueError: With a sentence.
    """
    if not 1 <= len(controls) <= MAX_CONTROLS:
        raise ValueError(f"takes 1 to {MAX_CONTROLS} controls, not {len(controls)}")
    if name in _PHASES:
        axis, phase = _PHASES[name]
        if axis == "X" and phase == math.pi and len(controls) <= 2:
            return [Gate("CNOT" if len(controls) == 1 else "CCX", (*controls, targets[0]))]
        if axis == "Z" and phase == math.pi and len(controls) == 1:
            return [Gate("CZ", (controls[0], targets[0]))]
        return _in_basis(axis, targets[0], _phase([*controls, targets[0]], phase))
    if name in ("RX", "RY", "RZ"):
        if len(controls) == 1:
            return [Gate(f"C{name}", (controls[0], targets[0]), (angle,))]
        return _in_basis(name[1], targets[0], _rz(controls, targets[0], angle))
    if name == "H":
        turned = controlled("Z", controls, targets)
        return [_ry(targets[0], -math.pi / 4), *turned, _ry(targets[0], math.pi / 4)]
    if name == "SWAP":
        a, b = targets
        if len(controls) == 1:
            return [Gate("CSWAP", (controls[0], a, b))]
        return [Gate("CNOT", (b, a)), *controlled("X", [*controls, a], [b]), Gate("CNOT", (b, a))]
    if name in _PAIRS:
        a, b = targets
        inner = [Gate("CNOT", (a, b)), *controlled("RZ", controls, [b], angle), Gate("CNOT", (a, b))]
        return _in_basis(_PAIRS[name], a, _in_basis(_PAIRS[name], b, inner))
    raise ValueError("cannot have controls")


def rotation(paulis: Sequence[tuple[int, str]], angle: float) -> list[Gate]:
    """
    exp(-i angle P / 2) for a product P of Pauli matrices on distinct qubits; nothing for the empty product, a phase.

    Args:
        paulis: Pairs of (qubit, "X" | "Y" | "Z").
        angle: Radians.
    """
    if not paulis:
        return []
    qubits = [qubit for qubit, _ in paulis]
    ladder = [Gate("CNOT", pair) for pair in pairwise(qubits)]
    gates = [*ladder, Gate("RZ", (qubits[-1],), (angle,)), *reversed(ladder)]
    for qubit, pauli in paulis:
        gates = _in_basis(pauli, qubit, gates)
    return gates


def _in_basis(axis: str, qubit: int, gates: list[Gate]) -> list[Gate]:
    """Gates that act on a qubit through Z, turned so that they act through another Pauli matrix."""
    if axis == "X":
        return [Gate("H", (qubit,)), *gates, Gate("H", (qubit,))]
    if axis == "Y":
        before = [Gate("SDG", (qubit,)), Gate("H", (qubit,))]
        return [*before, *gates, Gate("H", (qubit,)), Gate("S", (qubit,))]
    return gates


def _ry(qubit: int, angle: float) -> Gate:
    return Gate("RY", (qubit,), (angle,))


def _rz(controls: Sequence[int], target: int, angle: float) -> list[Gate]:
    """RZ is a phase on |1> and half of it taken back, which the controls have to do together."""
    return [*_phase([*controls, target], angle), *_phase(list(controls), -angle / 2)]


def _phase(qubits: list[int], angle: float) -> list[Gate]:
    """e^{i angle} on the state in which all qubits are one."""
    if len(qubits) == 1:
        return [Gate("P", (qubits[0],), (angle,))]
    if len(qubits) == 2:
        return [Gate("CP", (qubits[0], qubits[1]), (angle,))]
    share = angle / 2 ** (len(qubits) - 1)
    gates: list[Gate] = []
    for place, holder in enumerate(qubits):
        inside = 0
        gates.append(Gate("P", (holder,), (share,)))
        for step in range(1, 2**place):
            code = step ^ (step >> 1)
            gates.append(Gate("CNOT", (qubits[(code ^ inside).bit_length() - 1], holder)))
            inside = code
            odd = inside.bit_count() % 2 == 0
            gates.append(Gate("P", (holder,), (share if odd else -share,)))
        if inside:
            gates.append(Gate("CNOT", (qubits[inside.bit_length() - 1], holder)))
    return gates
