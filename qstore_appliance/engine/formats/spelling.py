"""Circuits in every format that goes in or out, by its name. Called in a process of the engine: parsing may take seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from qstore_appliance.engine import drawing, drawing_svg
from qstore_appliance.engine.circuit import Circuit
from qstore_appliance.engine.drawing_svg import Theme
from qstore_appliance.engine.formats import ionq, openqasm, openqasm_reader, qstore4, unified
from qstore_appliance.errors import InvalidCircuit

#: Formats that are a text, with the version of OpenQASM; the others are JSON objects.
TEXTS: Final[Mapping[str, int]] = {"qasm2": 2, "qasm3": 3}
_OBJECTS: Final[Mapping[str, Callable[[Mapping[str, Any]], Circuit]]] = {
    "unified": unified.read,
    "qstore4": unified.read,
    "ionq": ionq.read,
    "ionq_native": ionq.read,
}
FORMATS: Final = (*_OBJECTS, *TEXTS)


def read(format: str, source: str | dict[str, Any]) -> dict[str, Any]:
    """
    Read a circuit.

    Args:
        format: One of `FORMATS`. Both versions of OpenQASM are read by one reader.
        source: The program's text, or the object.

    Returns: `n_qubits` and `gates` in the specification's own spelling.

    Raises:
        InvalidCircuit: With the gate's index, or the line and column of a text.
    """
    if format in TEXTS:
        if not isinstance(source, str):
            raise InvalidCircuit(f"The source of a circuit in {format} is a text.")
        circuit = openqasm_reader.read(source)
    else:
        if not isinstance(source, Mapping):
            raise InvalidCircuit(f"The source of a circuit in {format} is an object.")
        circuit = _OBJECTS[format](source)
    return {"n_qubits": circuit.n_qubits, "gates": unified.write(circuit)["gates"]}


def write(format: str, n_qubits: int, gates: list[dict[str, Any]]) -> str | dict[str, Any]:
    """
    Write a circuit, up to a global phase.

    Args:
        format: One of `FORMATS`.
        gates: In any spelling of JSON.

    Raises:
        InvalidCircuit: The format cannot express a gate; with its index.
    """
    circuit = unified.read({"n_qubits": n_qubits, "gates": gates})
    if format in TEXTS:
        return openqasm.write(circuit, TEXTS[format])
    if format == "qstore4":
        return qstore4.write(circuit)
    if format in ("ionq", "ionq_native"):
        return ionq.write(circuit, "native" if format == "ionq_native" else "qis")
    return {"n_qubits": n_qubits, **unified.write(circuit)}


def draw(format: str, n_qubits: int, gates: list[dict[str, Any]], theme: Theme = "light") -> str:
    """
    A circuit as a drawing.

    Args:
        format: `svg` or `text`.
    """
    circuit = unified.read({"n_qubits": n_qubits, "gates": gates})
    return drawing_svg.svg(circuit, theme) if format == "svg" else drawing.text(circuit)
