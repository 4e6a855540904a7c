"""
Circuits of Cirq, Qiskit and PennyLane as the server's import takes them.

None of the three is imported here: whoever brings a circuit has its library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: What `circuits.import_` takes: a format and a source.
Imported = tuple[str, Any]


def source_of(circuit: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Imported:
    """
    A circuit in a format of the server's: symbols stay symbols, as far as the format has them.

    Args:
        args, kwargs: With what a QNode of PennyLane is to be drawn up; it has no symbols.

    Raises:
        TypeError: It is no circuit of these libraries.
        ValueError: It holds something that cannot be written down.
    """
    names = {kind.__module__.partition(".")[0] for kind in type(circuit).__mro__}
    if "cirq" in names:
        return _cirq(circuit)
    if "qiskit" in names:
        from qiskit import qasm3

        return "qasm3", qasm3.dumps(circuit)
    if "pennylane" in names:
        return "qasm2", _pennylane(circuit, args, kwargs or {})
    kind = type(circuit)
    raise TypeError(f"{kind.__module__}.{kind.__qualname__} is no circuit of Cirq, Qiskit or PennyLane")


def _cirq(circuit: Any) -> Imported:
    import cirq

    if not cirq.is_parameterized(circuit):
        # Ten digits, its default, are fewer than an angle has.
        return "qasm2", circuit.to_qasm(precision=17)
    # OpenQASM as Cirq writes it has no symbols.
    order = {qubit: index for index, qubit in enumerate(sorted(circuit.all_qubits()))}
    gates = [
        gate
        for operation in circuit.all_operations()
        if not cirq.is_measurement(operation)
        for gate in _cirq_gates(operation, [order[qubit] for qubit in operation.qubits])
    ]
    return "unified", {"n_qubits": len(order), "gates": gates}


def _cirq_gates(operation: Any, targets: list[int]) -> list[dict[str, Any]]:
    import cirq

    gate = operation.gate
    # Rotations know their angle; powers are one up to a global phase.
    turns = {cirq.XPowGate: "RX", cirq.YPowGate: "RY", cirq.ZPowGate: "RZ",
             cirq.XXPowGate: "RXX", cirq.YYPowGate: "RYY", cirq.ZZPowGate: "RZZ"}  # fmt: skip
    for kind, name in turns.items():
        if isinstance(gate, kind):
            return [{"type": name, "targets": targets, "parameters": {"theta": _angle(gate.exponent)}}]
    if isinstance(gate, cirq.CZPowGate) and gate != cirq.CZ:
        return [{"type": "CP", "targets": targets, "parameters": {"theta": _angle(gate.exponent)}}]
    plain = {cirq.H: "H", cirq.CNOT: "CNOT", cirq.CZ: "CZ", cirq.SWAP: "SWAP", cirq.ISWAP: "ISWAP",
             cirq.CCX: "CCX", cirq.CSWAP: "CSWAP"}  # fmt: skip
    for one, name in plain.items():
        if gate == one:
            return [{"type": name, "targets": targets}]
    if isinstance(gate, cirq.IdentityGate):
        return []
    raise ValueError(f"{gate!r} cannot be written down beside symbols; resolve the parameters first")


def _angle(exponent: Any) -> Any:
    """Half turns as radians; a symbol's as the server reads expressions."""
    import cirq

    if not cirq.is_parameterized(exponent):
        return float(exponent) * 3.141592653589793
    import sympy

    return str(sympy.simplify(exponent * sympy.pi))


def _pennylane(circuit: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    import pennylane as qml

    if isinstance(circuit, qml.QNode):
        return str(qml.to_openqasm(circuit, measure_all=False)(*args, **kwargs))
    return str(qml.to_openqasm(circuit, measure_all=False))
