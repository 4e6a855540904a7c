"""
Putting features into a circuit that does not read them itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qstore_appliance.engine import expressions
from qstore_appliance.engine.circuit import Circuit, Gate
from qstore_appliance.errors import ValidationFailed

GATES = ("RX", "RY", "RZ")
DEFAULT: Mapping[str, Any] = {"type": "angle", "gate": "RY"}


def encode(circuit: Circuit, config: Mapping[str, Any] | None) -> Circuit:
    """
    The circuit itself if it reads features; else with one rotation per qubit in front, by feature i on qubit i.

    Args:
        circuit: with or without symbols `x_<k>`.
        config: `{"type": "angle", "gate": "RX" | "RY" | "RZ"}`.

    Raises:
        ValidationFailed: `config.encoding…`
    """
    if circuit.features:
        return circuit
    config = config or DEFAULT
    kind = config.get("type", "angle")
    if kind == "amplitude":
        raise ValidationFailed.field(
            "config.encoding.type", "amplitude encoding is not available yet; use angle, or put x_<k> into the circuit"
        )
    if kind == "none":
        raise ValidationFailed.field(
            "config.encoding.type", "without an encoding the circuit must read features itself: it has no symbol x_<k>"
        )
    if kind != "angle":
        raise ValidationFailed.field("config.encoding.type", f"{str(kind)[:40]!r} is none of angle, amplitude, none")
    gate = str(config.get("gate", "RY")).upper()
    if gate not in GATES:
        raise ValidationFailed.field("config.encoding.gate", f"{gate[:40]!r} is none of {', '.join(GATES)}")
    front = [Gate(gate, (qubit,), (expressions.parse(f"x_{qubit}"),)) for qubit in range(circuit.n_qubits)]
    return Circuit.build(circuit.n_qubits, [*front, *circuit.gates])
