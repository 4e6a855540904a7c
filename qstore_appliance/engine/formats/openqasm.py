"""
Circuits as OpenQASM 2 and 3 programs.

Only gates that the published `qelib1.inc` (arXiv:1707.03429) and `stdgates.inc` (arXiv:2104.14722) have are named, so that
any reader knows them; others are written as the steps that they are made of, up to a global phase. A symbol is an `input`
of an OpenQASM 3 program; OpenQASM 2 has none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from qstore_appliance.engine.circuit import Circuit, Gate
from qstore_appliance.engine.expressions import Expression
from qstore_appliance.engine.lowering import spelled
from qstore_appliance.errors import InvalidCircuit

VERSIONS: Final = (2, 3)

_WORD = re.compile(r"[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|[A-Za-z_][A-Za-z0-9_]*")

_BOTH: Final[Mapping[str, str]] = {
    **{
        name: name.lower() for name in ("H", "X", "Y", "Z", "S", "SDG", "T", "TDG", "RX", "RY", "RZ", "U3", "CZ", "CCX")
    },
    "CNOT": "cx",
    "CRZ": "crz",
}
NAMES: Final[Mapping[int, Mapping[str, str]]] = {
    2: {**_BOTH, "P": "u1", "CP": "cu1"},
    3: {**_BOTH, **{name: name.lower() for name in ("SX", "P", "CP", "CRX", "CRY", "SWAP", "CSWAP")}},
}
"""Our name → theirs, by version."""

#: Words of the language and of its libraries; a symbol that is called so gets an underscore behind it.
_RESERVED: Final = frozenset(
    [
        "OPENQASM",
        "include",
        "defcalgrammar",
        "def",
        "cal",
        "defcal",
        "gate",
        "extern",
        "box",
        "let",
        "break",
        "continue",
        "if",
        "else",
        "end",
        "return",
        "for",
        "while",
        "in",
        "switch",
        "case",
        "default",
        "nop",
        "pragma",
        "input",
        "output",
        "const",
        "readonly",
        "mutable",
        "qreg",
        "qubit",
        "creg",
        "bool",
        "bit",
        "int",
        "uint",
        "float",
        "angle",
        "complex",
        "array",
        "void",
        "duration",
        "stretch",
        "gphase",
        "inv",
        "pow",
        "ctrl",
        "negctrl",
        "dim",
        "durationof",
        "delay",
        "reset",
        "measure",
        "barrier",
        "true",
        "false",
        "pi",
        "tau",
        "euler",
        "sin",
        "cos",
        "tan",
        "exp",
        "ln",
        "log",
        "sqrt",
        "arcsin",
        "arccos",
        "arctan",
        "mod",
        "popcount",
        "rotl",
        "rotr",
        "sizeof",
        "real",
        "imag",
        "ceiling",
        "floor",
        "im",
        "dt",
        "ns",
        "us",
        "ms",
        "s",
        "U",
        "CX",
        "q",
        "c",
        "u1",
        "u2",
        "u3",
        "id",
        "phase",
        "cphase",
        "cu",
        "opaque",
    ]
) | {name for table in NAMES.values() for name in table.values()}


def write(circuit: Circuit, version: int) -> str:
    """
    The circuit as a program that ends with its last gate; nothing is measured.

    Args:
        version: 2 or 3.

    Raises:
        InvalidCircuit: A symbol is left and the version is 2; with the index of the gate that has it.
    """
    if version == 2:
        _check_bound(circuit)
    names = NAMES[version]
    symbols = {name: _safe(name) for name in circuit.symbols}
    if version == 2:
        lines = ["OPENQASM 2.0;", 'include "qelib1.inc";', f"qreg q[{circuit.n_qubits}];"]
    else:
        inputs = [f"input float[64] {name};" for name in symbols.values()]
        lines = ["OPENQASM 3.0;", 'include "stdgates.inc";', *inputs, f"qubit[{circuit.n_qubits}] q;"]
    # SWAP is a step of ours and no gate of the published qelib1.inc.
    swaps = "SWAP" not in names
    for gate in spelled(circuit, names).gates:
        for simple in _three_cnots(gate) if swaps and gate.name == "SWAP" else (gate,):
            lines.append(_line(simple, names[simple.name], symbols))
    return "\n".join(lines) + "\n"


def _line(gate: Gate, name: str, symbols: Mapping[str, str]) -> str:
    angles = f"({', '.join(_angle(value, symbols) for value in gate.parameters)})" if gate.parameters else ""
    return f"{name}{angles} {', '.join(f'q[{qubit}]' for qubit in gate.targets)};"


def _angle(value: float | Expression, symbols: Mapping[str, str]) -> str:
    if not isinstance(value, Expression):
        return repr(value)

    def word(found: re.Match[str]) -> str:
        # 1/2 of two integers is none; of decimals it is what we mean.
        text = found[0]
        return f"{text}.0" if text.isdigit() else symbols.get(text, text)

    return _WORD.sub(word, value.text)


def _three_cnots(gate: Gate) -> tuple[Gate, ...]:
    one, other = gate.targets
    return (Gate("CNOT", (one, other)), Gate("CNOT", (other, one)), Gate("CNOT", (one, other)))


def _safe(name: str) -> str:
    return f"{name}_" if name in _RESERVED else name


def _check_bound(circuit: Circuit) -> None:
    for index, gate in enumerate(circuit.gates):
        for parameter in gate.parameters:
            if isinstance(parameter, Expression):
                said = (
                    f"OpenQASM 2 takes numbers only, and {parameter.text[:60]} is a symbol; bind it or take OpenQASM 3."
                )
                raise InvalidCircuit.at(index, gate.name, said)
