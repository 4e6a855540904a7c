"""
Circuits: an ordered list of gates on numbered qubits, checked once when they are built.

The set of gates, their operands and their parameters live here in one table; readers, writers, backends and passes look
things up in it. What each gate does as a matrix is in `program.py`, which lowers it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Final

import msgspec

from qstore_appliance.engine.expressions import Expression
from qstore_appliance.errors import InvalidCircuit

MAX_QUBITS: Final = 30
MAX_GATES: Final = 10_000
MAX_FEATURE: Final = 65_535
"""Highest k of a feature `x_<k>`; a job allocates one column per feature."""

MAX_ANGLE: Final = 1e9
"""Largest angle in magnitude, radians: beyond it a double no longer resolves a rotation well."""

_FEATURE = re.compile(r"x_([0-9]+)", re.ASCII)


class GateSpec(msgspec.Struct, frozen=True):
    """
    What a gate needs.

    Attributes:
        n_qubits: Operands, controls first.
        parameter_names: Angles in radians, in the order of `Gate.parameters`.
    """

    n_qubits: int
    parameter_names: tuple[str, ...] = ()


_PLAIN_1, _ANGLE_1 = GateSpec(1), GateSpec(1, ("theta",))
_PLAIN_2, _ANGLE_2 = GateSpec(2), GateSpec(2, ("theta",))

GATES: Final[Mapping[str, GateSpec]] = MappingProxyType(
    {
        **dict.fromkeys(("H", "X", "Y", "Z", "S", "SDG", "T", "TDG", "SX"), _PLAIN_1),
        **dict.fromkeys(("P", "RX", "RY", "RZ", "GPI", "GPI2"), _ANGLE_1),
        "U3": GateSpec(1, ("theta", "phi", "lambda")),
        **dict.fromkeys(("CNOT", "CZ", "SWAP", "ISWAP"), _PLAIN_2),
        **dict.fromkeys(("CRX", "CRY", "CRZ", "CP", "RXX", "RYY", "RZZ"), _ANGLE_2),
        "MS": GateSpec(2, ("phi0", "phi1", "theta")),
        "CCX": GateSpec(3),
        "CSWAP": GateSpec(3),
    }
)


class Gate(msgspec.Struct, frozen=True):
    """
    One gate.

    Attributes:
        name: Canonical, upper case: a key of `GATES`.
        targets: Operands, controls first (CNOT: control, target).
        parameters: Angles in radians: numbers or expressions, in the order of the gate's specification.
    """

    name: str
    targets: tuple[int, ...]
    parameters: tuple[float | Expression, ...] = ()


@dataclass(frozen=True)
class Circuit:
    """
    Gates on `n_qubits` qubits; qubit 0 is the leftmost (most significant) bit of a printed bit string.

    Make one through `Circuit.build`, which refuses what makes no sense.
    """

    n_qubits: int
    gates: tuple[Gate, ...]

    @classmethod
    def build(cls, n_qubits: int, gates: Iterable[Gate]) -> Circuit:
        """
        A checked circuit.

        Raises:
            InvalidCircuit: With the gate's position and name wherever one gate is at fault.
        """
        circuit = cls(n_qubits, tuple(gates))
        circuit.validate()
        return circuit

    def validate(self) -> None:
        """
        Check every rule of a circuit.

        Raises:
            InvalidCircuit: With the gate's position and name wherever one gate is at fault.
        """
        check_size(self.n_qubits, len(self.gates))
        symbols_seen: set[Expression] = set()
        for index, gate in enumerate(self.gates):
            fault = _fault(gate, self.n_qubits, symbols_seen)
            if fault is not None:
                raise InvalidCircuit.at(index, str(gate.name), fault)

    @property
    def gate_count(self) -> int:
        return len(self.gates)

    @cached_property
    def depth(self) -> int:
        """Layers when every gate starts as soon as its qubits are free."""
        busy = [0] * self.n_qubits
        for gate in self.gates:
            targets = gate.targets
            if len(targets) == 1:
                busy[targets[0]] += 1
            else:
                layer = max(busy[qubit] for qubit in targets) + 1
                for qubit in targets:
                    busy[qubit] = layer
        return max(busy, default=0)

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol in order of first appearance."""
        found: dict[str, None] = {}
        for gate in self.gates:
            for parameter in gate.parameters:
                if isinstance(parameter, Expression):
                    for name in parameter.symbols:
                        found[name] = None
        return tuple(found)

    @cached_property
    def features(self) -> tuple[int, ...]:
        """The k of every symbol `x_<k>`, ascending."""
        return tuple(sorted(k for k in map(feature_index, self.symbols) if k is not None))

    @cached_property
    def weights(self) -> tuple[str, ...]:
        """Symbols that are not features, in order of first appearance."""
        return tuple(name for name in self.symbols if feature_index(name) is None)

    def bind(self, values: Mapping[str, float]) -> Circuit:
        """
        The circuit with given symbols replaced by numbers; an expression with a symbol left over stays as it is.

        Raises:
            InvalidCircuit: An expression has no finite value for these numbers.
        """
        gates: list[Gate] = []
        for index, gate in enumerate(self.gates):
            if not any(isinstance(parameter, Expression) for parameter in gate.parameters):
                gates.append(gate)
                continue
            parameters: list[float | Expression] = []
            for parameter in gate.parameters:
                if isinstance(parameter, Expression) and all(name in values for name in parameter.symbols):
                    try:
                        parameters.append(parameter.evaluate(values))
                    except ValueError as fault:
                        raise InvalidCircuit.at(index, gate.name, f"{fault}.") from None
                else:
                    parameters.append(parameter)
            gates.append(Gate(gate.name, gate.targets, tuple(parameters)))
        return Circuit.build(self.n_qubits, gates)


def feature_index(name: str) -> int | None:
    """k of a symbol `x_<k>`, None for a weight."""
    match = _FEATURE.fullmatch(name) if name.startswith("x_") else None
    return int(match[1]) if match and len(match[1]) <= 9 else None


def check_size(n_qubits: object, n_gates: int) -> None:
    """
    Check the two bounds that concern no single gate.

    Raises:
        InvalidCircuit: Always without an index.
    """
    if type(n_qubits) is not int:
        raise InvalidCircuit("n_qubits must be a whole number.")
    if not 1 <= n_qubits <= MAX_QUBITS:
        raise InvalidCircuit(f"A circuit has 1 to {MAX_QUBITS} qubits, not {str(n_qubits)[:20]}.")
    if n_gates == 0:
        raise InvalidCircuit("A circuit needs at least one gate.")
    if n_gates > MAX_GATES:
        raise InvalidCircuit(f"A circuit has at most {MAX_GATES:,} gates, not {n_gates:,}.")


def _fault(gate: Gate, n_qubits: int, seen: set[Expression]) -> str | None:
    """What is wrong with a gate, or None; expressions in `seen` have passed before."""
    spec = GATES.get(gate.name) if type(gate.name) is str else None
    if spec is None:
        return "there is no such gate."
    targets = gate.targets
    if len(targets) != spec.n_qubits:
        return f"acts on {spec.n_qubits} qubit{'s' if spec.n_qubits > 1 else ''}, not {len(targets)}."
    for target in targets:
        if type(target) is not int:
            return "qubits are whole numbers."
        if not 0 <= target < n_qubits:
            return f"qubit {str(target)[:20]} is not in 0..{n_qubits - 1}."
    if spec.n_qubits > 1 and len(set(targets)) != spec.n_qubits:
        return "names the same qubit twice."
    if len(gate.parameters) != len(spec.parameter_names):
        expected = ", ".join(spec.parameter_names) or "none"
        return f"takes {len(spec.parameter_names)} parameters ({expected}), not {len(gate.parameters)}."
    for name, parameter in zip(spec.parameter_names, gate.parameters, strict=True):
        if isinstance(parameter, Expression):
            if parameter not in seen:
                fault = _expression_fault(parameter)
                if fault is not None:
                    return f"{name}: {fault}"
                seen.add(parameter)
        elif type(parameter) is not float:
            return f"{name} must be a number or an expression."
        elif not -MAX_ANGLE <= parameter <= MAX_ANGLE:
            return f"{name} must be a finite angle in radians (at most {MAX_ANGLE:.0e})."
    return None


def _expression_fault(expression: Expression) -> str | None:
    if not expression.symbols:
        try:
            value = expression.evaluate({})
        except ValueError as fault:
            return f"{fault}."
        return None if abs(value) <= MAX_ANGLE else f"must be a finite angle in radians (at most {MAX_ANGLE:.0e})."
    for name in expression.symbols:
        if name.startswith("x_") and (match := _FEATURE.fullmatch(name)):
            digits = match[1]
            if len(digits) > 1 and digits[0] == "0":
                return f"write the feature {name[:40]} without leading zeros."
            if len(digits) > 5 or int(digits) > MAX_FEATURE:
                return f"{name[:40]} is beyond the last feature, x_{MAX_FEATURE}."
    return None
