"""
Putting features into a circuit that does not read them itself.

- `angle`: one rotation per qubit, feature i on qubit i.
- `iqp`: Hadamards, RZ(x_i) on every qubit and RZZ(x_i x_j) on every pair, `repeats` times (Havlíček et al. 2019,
  arXiv:1804.11326). The products are made with the features (`expansion.py`).
- `amplitude`: the features are the state's amplitudes, up to 2^n of them, by gates that every backend has.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from qstore_appliance.engine import expressions
from qstore_appliance.engine.circuit import MAX_GATES, Circuit, Gate
from qstore_appliance.errors import ValidationFailed

TYPES = ("angle", "amplitude", "iqp", "none")
GATES = ("RX", "RY", "RZ")
MAX_REPEATS = 10
DEFAULT: Mapping[str, Any] = {"type": "angle", "gate": "RY"}


def encode(circuit: Circuit, config: Mapping[str, Any] | None) -> Circuit:
    """
    The circuit itself if it reads features; else with an encoding in front.

    Args:
        circuit: with or without symbols `x_<k>`.
        config: `{"type": "angle", "gate"?: "RX" | "RY" | "RZ"}`, `{"type": "iqp", "repeats"?: 1}` or
            `{"type": "amplitude"}`.

    Raises:
        ValidationFailed: `config.encoding…`
    """
    if circuit.features:
        return circuit
    config = config or DEFAULT
    kind = config.get("type", "angle")
    if kind == "none":
        raise ValidationFailed.field(
            "config.encoding.type", "without an encoding the circuit must read features itself: it has no symbol x_<k>"
        )
    if kind not in TYPES:
        raise ValidationFailed.field("config.encoding.type", f"{str(kind)[:40]!r} is none of {', '.join(TYPES)}")
    if kind == "amplitude":
        front = _preparation(circuit)
    elif kind == "iqp":
        front = _iqp(circuit.n_qubits, config.get("repeats"))
    else:
        gate = str(config.get("gate") or "RY").upper()
        if gate not in GATES:
            raise ValidationFailed.field("config.encoding.gate", f"{gate[:40]!r} is none of {', '.join(GATES)}")
        front = [Gate(gate, (qubit,), (expressions.symbol(f"x_{qubit}"),)) for qubit in range(circuit.n_qubits)]
    return Circuit.build(circuit.n_qubits, [*front, *circuit.gates])


def expansion(circuit: Circuit, config: Mapping[str, Any] | None) -> str:
    """What `Features` has to make of the numbers for the circuit that `encode` returns: see `expansion.EXPANSIONS`."""
    kind = (config or DEFAULT).get("type", "angle")
    return str(kind) if not circuit.features and kind in ("iqp", "amplitude") else "none"


def _iqp(n_qubits: int, repeats: object) -> list[Gate]:
    repeats = 1 if repeats is None else repeats
    if isinstance(repeats, bool) or not isinstance(repeats, int) or not 1 <= repeats <= MAX_REPEATS:
        raise ValidationFailed.field("config.encoding.repeats", f"must be a whole number from 1 to {MAX_REPEATS}")
    once = [Gate("H", (qubit,)) for qubit in range(n_qubits)]
    once += [Gate("RZ", (qubit,), (expressions.symbol(f"x_{qubit}"),)) for qubit in range(n_qubits)]
    for place, (left, right) in enumerate(combinations(range(n_qubits), 2), start=n_qubits):
        once.append(Gate("RZZ", (left, right), (expressions.symbol(f"x_{place}"),)))
    return once * repeats


def _preparation(circuit: Circuit) -> list[Gate]:
    """Level by level of the tree: the rotations of qubit `level` under the control of those before it."""
    room = 2**circuit.n_qubits
    if 2 * room - 3 + circuit.gate_count > MAX_GATES:
        raise ValidationFailed.field(
            "config.encoding.type",
            f"preparing {room:,} amplitudes takes {2 * room - 3:,} gates; a circuit has at most {MAX_GATES:,}",
        )
    gates: list[Gate] = []
    for level in range(circuit.n_qubits):
        size = 2**level
        for step in range(size):
            gates.append(Gate("RY", (level,), (expressions.symbol(f"x_{size - 1 + step}"),)))
            if level:
                # Neighbours of a Gray code differ in one bit: that of the lowest zero; the last leads back to the first.
                bit = min(((step + 1) & ~step).bit_length() - 1, level - 1)
                gates.append(Gate("CNOT", (level - 1 - bit, level)))
    return gates
