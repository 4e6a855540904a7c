"""
Circuits as the version 4 library prints them (`UnifiedCircuit.to_json`; circuit formats, B).

It knows 17 gates and drops a rotation whose angle is not called `angle`, so everything is written in its own words;
other gates are written as the steps that they are made of, up to a global phase.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from qstore_appliance.engine.circuit import Circuit, Gate
from qstore_appliance.engine.expressions import Expression
from qstore_appliance.engine.lowering import spelled

#: Our names that it has too, with its names for their parameters.
NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("H", "X", "Y", "Z", "S", "T", "CNOT", "CZ", "SWAP", "CCX", "CSWAP"), ()),
    **dict.fromkeys(("RX", "RY", "RZ"), ("angle",)),
    **dict.fromkeys(("GPI", "GPI2"), ("phi",)),
    "MS": ("phi0", "phi1", "theta"),
}


def write(circuit: Circuit) -> dict[str, Any]:
    """The circuit with the keys `n_qubits`, `gates`, `parameters` and `metadata`."""
    symbols: dict[str, dict[str, Any]] = {}

    def value(parameter: float | Expression) -> float | dict[str, Any]:
        if not isinstance(parameter, Expression):
            return parameter
        named = {"name": parameter.text, "value": None, "is_symbolic": True}
        symbols.setdefault(parameter.text, named)
        return named

    rows = [_row(gate, value) for gate in spelled(circuit, NAMES).gates]
    return {"n_qubits": circuit.n_qubits, "gates": rows, "parameters": symbols, "metadata": {}}


def _row(gate: Gate, value: Callable[[float | Expression], Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"gate_type": gate.name, "targets": list(gate.targets)}
    if gate.parameters:
        row["parameters"] = {
            name: value(parameter) for name, parameter in zip(NAMES[gate.name], gate.parameters, strict=True)
        }
    return row
