"""
IonQ's JSON circuits (API v0.4): the abstract gate set `qis` and the hardware's own, `native`, to circuits and back.

Angles of `qis` are in radians, phases and angles of `native` in turns. IonQ counts basis states with qubit 0 in the
lowest bit; `little_endian` is the one place where that meets our order. What cannot be expressed is refused with the
gate's index.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from qstore_appliance.engine import controlled
from qstore_appliance.engine.circuit import MAX_ANGLE, MAX_GATES, Circuit, Gate, check_size
from qstore_appliance.engine.formats import ionq_native
from qstore_appliance.engine.lowering import lower
from qstore_appliance.errors import InvalidCircuit

GATESETS: Final = ("qis", "native")
MAX_CIRCUITS: Final = 5_000
MAX_TOTAL_GATES: Final = 150_000
"""Of one batch, as IonQ has it."""

QIS: Final[Mapping[str, str]] = {
    "x": "X", "not": "X", "y": "Y", "z": "Z", "h": "H", "s": "S", "si": "SDG", "t": "T", "ti": "TDG", "v": "SX",
    "vi": "SXDG", "rx": "RX", "ry": "RY", "rz": "RZ", "cnot": "X", "swap": "SWAP", "xx": "RXX", "yy": "RYY",
    "zz": "RZZ", "pauliexp": "",
}  # fmt: skip
"""IonQ's name → ours, without its controls."""

_ROTATIONS: Final = frozenset(("rx", "ry", "rz", "xx", "yy", "zz"))
_PAIRS: Final = frozenset(("swap", "xx", "yy", "zz"))
_KEYS: Final = frozenset(("gate", "target", "targets", "control", "controls", "rotation"))
_PAULIEXP_KEYS: Final = frozenset(("gate", "targets", "terms", "coefficients", "time"))
_WRITTEN: Final = {ours: theirs for theirs, ours in QIS.items() if theirs not in ("not", "cnot", "pauliexp", "vi")}


class _Fault(ValueError):
    """What is wrong with the gate at hand."""


def little_endian(index: Any, n_qubits: int) -> Any:
    """
    A basis state's index in our order (qubit 0 in the highest bit) as IonQ's (qubit 0 in the lowest), and back.

    Args:
        index: A whole number, or an array of them.
    """
    reversed_bits = index & 0
    for _ in range(n_qubits):
        reversed_bits = (reversed_bits << 1) | (index & 1)
        index = index >> 1
    return reversed_bits


def read(definition: Mapping[str, Any]) -> Circuit:
    """
    Read the `input` of a single circuit: `gateset` ("qis" where it is missing), `qubits` and `circuit`.

    Raises:
        InvalidCircuit: With the gate's index and name wherever one gate is at fault.
    """
    _check_keys(definition, ("format", "gateset", "qubits", "circuit"))
    return _circuit(definition.get("circuit"), definition.get("qubits"), _gateset(definition, "qis"))


def read_many(definition: Mapping[str, Any]) -> list[Circuit]:
    """
    Read the `input` of a batch; each circuit may have `qubits` and a `gateset` of its own.

    Raises:
        InvalidCircuit: As `read`, with the circuit's number under `details.circuit`.
    """
    _check_keys(definition, ("format", "gateset", "qubits", "circuits"))
    rows = definition.get("circuits")
    if not isinstance(rows, (list, tuple)) or not 1 <= len(rows) <= MAX_CIRCUITS:
        raise InvalidCircuit(f"circuits is a list of 1 to {MAX_CIRCUITS:,} circuits.")
    circuits: list[Circuit] = []
    total = 0
    for number, row in enumerate(rows):
        try:
            _check_keys(row, ("name", "gateset", "qubits", "circuit"))
            qubits = row.get("qubits", definition.get("qubits"))
            circuits.append(_circuit(row.get("circuit"), qubits, _gateset(row, _gateset(definition, "qis"))))
        except InvalidCircuit as fault:
            details = {**fault.details, "circuit": number}
            raise InvalidCircuit(f"Circuit {number}: {fault.message}", details=details) from None
        total += circuits[-1].gate_count
        if total > MAX_TOTAL_GATES:
            raise InvalidCircuit(f"A batch has at most {MAX_TOTAL_GATES:,} gates together.")
    return circuits


def write(circuit: Circuit, gateset: str = "qis") -> dict[str, Any]:
    """
    The circuit as IonQ's `input`, up to a global phase.

    Args:
        circuit: With every symbol bound.
        gateset: `qis` or `native`.

    Raises:
        InvalidCircuit: A symbol is left, or there is no such gate set.
    """
    if gateset not in GATESETS:
        raise InvalidCircuit("gateset is 'qis' or 'native'.")
    if circuit.symbols:
        raise InvalidCircuit(f"IonQ takes numbers only; bind {', '.join(circuit.symbols[:5])} first.")
    rows = ionq_native.written(circuit) if gateset == "native" else _written(circuit)
    return {"gateset": gateset, "qubits": circuit.n_qubits, "circuit": rows}


def _check_keys(definition: Any, known: Sequence[str]) -> None:
    if not isinstance(definition, Mapping):
        raise InvalidCircuit("A circuit is an object with gateset, qubits and circuit.")
    for key in definition:
        if key not in known:
            raise InvalidCircuit(f"A circuit has no key {str(key)[:40]!r}; there are {', '.join(known)}.")


def _gateset(definition: Mapping[str, Any], default: str) -> str:
    gateset = definition.get("gateset", default)
    if gateset not in GATESETS:
        raise InvalidCircuit("gateset is 'qis' or 'native'.")
    return str(gateset)


def _circuit(rows: Any, qubits: Any, gateset: str) -> Circuit:
    if not isinstance(rows, (list, tuple)):
        raise InvalidCircuit("circuit must be a list of gates.")
    if len(rows) > MAX_GATES:
        raise InvalidCircuit(f"A circuit has at most {MAX_GATES:,} gates, not {len(rows):,}.")
    if qubits is not None:
        check_size(qubits, 1)
    read_row = ionq_native.gates if gateset == "native" else _gates
    gates: list[Gate] = []
    for index, row in enumerate(rows):
        name = row.get("gate") if isinstance(row, Mapping) else None
        try:
            if not isinstance(row, Mapping):
                raise _Fault("a gate is an object")
            gates.extend(read_row(row))
            _check_operands(row, qubits)
        except ValueError as fault:
            raise InvalidCircuit.at(index, name if isinstance(name, str) else "?", f"{fault}.") from None
        if len(gates) > MAX_GATES:
            raise InvalidCircuit.at(index, str(name), f"the circuit comes to more than {MAX_GATES:,} gates.")
    if qubits is None:
        qubits = 1 + max((qubit for gate in gates for qubit in gate.targets), default=0)
    # Nothing at all is a circuit to IonQ, of measurements only; to us it is a rotation by nothing.
    return Circuit.build(qubits, gates or [Gate("RZ", (0,), (0.0,))])


def _check_operands(row: Mapping[str, Any], n_qubits: int | None) -> None:
    operands = [*qubits_of(row, "target", "targets"), *qubits_of(row, "control", "controls")]
    if len(set(operands)) != len(operands):
        raise _Fault("names the same qubit twice")
    for qubit in operands:
        if qubit < 0 or (n_qubits is not None and qubit >= n_qubits):
            end = "" if n_qubits is None else f"{n_qubits - 1}"
            raise _Fault(f"qubit {str(qubit)[:20]} is not in 0..{end}")


def qubits_of(row: Mapping[str, Any], single: str, several: str) -> list[int]:
    """
    Operands, given as one number or as a list.

    Raises:
        ValueError: Given twice, or not whole numbers.
    """
    if single in row and several in row:
        raise _Fault(f"{single} and {several} are given at once")
    value = row.get(several, row.get(single, []))
    found = value if isinstance(value, (list, tuple)) else [value]
    if any(type(qubit) is not int for qubit in found):
        raise _Fault("qubits are whole numbers")
    return list(found)


def number_of(row: Mapping[str, Any], key: str, default: float | None = None) -> float:
    """
    Raises:
        ValueError: Missing, or not a finite number.
    """
    value = row.get(key, default)
    if value is None:
        raise _Fault(f"needs a {key}")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -MAX_ANGLE <= value <= MAX_ANGLE:
        raise _Fault(f"{key} must be a finite number (at most {MAX_ANGLE:.0e})")
    return float(value)


def _gates(row: Mapping[str, Any]) -> list[Gate]:
    """What one row of `qis` stands for."""
    theirs = row.get("gate")
    if not isinstance(theirs, str) or theirs not in QIS:
        raise _Fault(f"there is no such gate; qis has {', '.join(QIS)}")
    if theirs == "pauliexp":
        return _pauliexp(row)
    for key in row:
        if key not in _KEYS:
            raise _Fault(f"the key {str(key)[:40]!r} is not known")
    if "rotation" in row and theirs not in _ROTATIONS:
        raise _Fault("takes no rotation")
    targets, controls = qubits_of(row, "target", "targets"), qubits_of(row, "control", "controls")
    needed = 2 if theirs in _PAIRS else 1
    if len(targets) != needed:
        raise _Fault(f"acts on {needed} target{'s' if needed > 1 else ''}, not {len(targets)}")
    if theirs == "cnot" and not controls:
        raise _Fault("needs a control")
    angle = number_of(row, "rotation") if theirs in _ROTATIONS else 0.0
    name = QIS[theirs]
    if controls:
        if {*targets} & {*controls}:
            raise _Fault("names the same qubit twice")
        return controlled.controlled(name, controls, targets, angle)
    if name == "SXDG":
        return [Gate("RX", tuple(targets), (-math.pi / 2,))]
    return [Gate(name, tuple(targets), (angle,) if theirs in _ROTATIONS else ())]


def _pauliexp(row: Mapping[str, Any]) -> list[Gate]:
    """exp(-i time Σ c P): a product of rotations where the terms commute. The last letter is the first target's."""
    for key in row:
        if key not in _PAULIEXP_KEYS:
            raise _Fault(f"the key {str(key)[:40]!r} is not known")
    targets = qubits_of(row, "target", "targets")
    terms, coefficients = row.get("terms"), row.get("coefficients")
    if not isinstance(terms, (list, tuple)) or not isinstance(coefficients, (list, tuple)):
        raise _Fault("needs lists of terms and coefficients")
    if not 1 <= len(terms) == len(coefficients) <= 1_000:
        raise _Fault("has as many coefficients as terms, at most 1,000")
    for term in terms:
        if not isinstance(term, str) or len(term) != len(targets) or set(term) - set("IXYZ"):
            raise _Fault("a term is a text of I, X, Y and Z with one letter per target")
    for place, term in enumerate(terms):
        if any(_anticommute(term, other) for other in terms[:place]):
            raise _Fault("the terms do not commute, so their exponential is no product of rotations")
    time = number_of(row, "time")
    if time < 0:
        raise _Fault("time must not be negative")
    gates: list[Gate] = []
    for term, coefficient in zip(terms, coefficients, strict=True):
        weight = number_of({"coefficient": coefficient}, "coefficient")
        paulis = [(qubit, letter) for qubit, letter in zip(targets, reversed(term), strict=True) if letter != "I"]
        gates.extend(controlled.rotation(paulis, 2 * time * weight))
    return gates


def _anticommute(one: str, other: str) -> bool:
    return sum(a != b and "I" not in (a, b) for a, b in zip(one, other, strict=True)) % 2 == 1


def _written(circuit: Circuit) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for gate in circuit.gates:
        if gate.name in _WRITTEN:
            row: dict[str, Any] = {"gate": _WRITTEN[gate.name], "targets": list(gate.targets)}
            if gate.parameters:
                row["rotation"] = gate.parameters[0]
            rows.append(row)
            continue
        for step in lower(Circuit(circuit.n_qubits, (gate,))).steps:
            rows.extend(step_rows(step.name, step.qubits, None if step.angle is None else step.angle.offset))
    return rows


def step_rows(name: str, qubits: tuple[int, ...], angle: float | None) -> list[dict[str, Any]]:
    """One rotation or entangler of a lowered circuit in `qis`, in the gates that every IonQ backend takes."""
    if angle is not None:
        return [{"gate": name.lower(), "target": qubits[0], "rotation": angle}]
    if name == "CNOT":
        return [{"gate": "cnot", "control": qubits[0], "target": qubits[1]}]
    if name == "CZ":
        turn = {"gate": "h", "target": qubits[1]}
        return [turn, {"gate": "cnot", "control": qubits[0], "target": qubits[1]}, turn]
    if name == "SWAP":
        return [{"gate": "swap", "targets": list(qubits)}]
    return [{"gate": "cnot", "controls": list(qubits[:2]), "target": qubits[2]}]
