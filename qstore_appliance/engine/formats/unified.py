"""
The JSON spelling of circuits: reads four dialects, writes one.

Dialects differ in the key of the name (`type`, `gate_type`, `gate`), of the operands (`targets`, `qubits`, `qubit`,
`control` and `target`), of the angle (`theta`, `angle`, `phi`, `param`) and in how a value is written. Whatever is not
known is refused with the gate's index: a rotation that silently lost its angle would train to nonsense.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from qstore_appliance.engine import expressions
from qstore_appliance.engine.circuit import GATES, Circuit, Gate, check_size
from qstore_appliance.engine.expressions import Expression
from qstore_appliance.errors import InvalidCircuit

MAX_EXPRESSION_TEXT: Final = 200_000
"""Characters that the distinct expressions of one circuit may have together."""

MS_DEFAULT_ANGLE: Final = 0.7853981633974483
"""pi/4: the angle that the version 4 library assumes for an `MS` gate without parameters."""

ALIASES: Final[Mapping[str, str]] = {
    **{name: name for name in GATES},
    "HADAMARD": "H",
    "NOT": "X",
    "PAULIX": "X",
    "PAULIY": "Y",
    "PAULIZ": "Z",
    "S_DAGGER": "SDG",
    "SDAG": "SDG",
    "T_DAGGER": "TDG",
    "TDAG": "TDG",
    "SQRTX": "SX",
    "PHASE": "P",
    "U1": "P",
    "U": "U3",
    "CX": "CNOT",
    "CPHASE": "CP",
    "TOFFOLI": "CCX",
    "CCNOT": "CCX",
    "FREDKIN": "CSWAP",
    "XX": "RXX",
    "YY": "RYY",
    "ZZ": "RZZ",
}

_CONTROLLED: Final[Mapping[tuple[str, int], str]] = {
    ("X", 1): "CNOT",
    ("Z", 1): "CZ",
    ("RX", 1): "CRX",
    ("RY", 1): "CRY",
    ("RZ", 1): "CRZ",
    ("P", 1): "CP",
    ("X", 2): "CCX",
    ("CNOT", 1): "CCX",
    ("SWAP", 1): "CSWAP",
}
#: Operands of a gate that are controls already.
_OWN_CONTROLS: Final[Mapping[str, int]] = {
    controlled: n for (name, n), controlled in _CONTROLLED.items() if name != "CNOT"
}
_ANGLE_KEYS: Final = ("theta", "angle", "phi", "param")
_NAME_KEYS: Final = ("type", "gate_type", "gate")
_OPERAND_KEYS: Final = ("targets", "target", "qubits", "qubit", "control", "controls")
_GATE_KEYS: Final = frozenset((*_NAME_KEYS, *_OPERAND_KEYS, *_ANGLE_KEYS, "parameters", "name"))
_CIRCUIT_KEYS: Final = frozenset(("format", "n_qubits", "gates", "parameters", "metadata"))


class _Fault(ValueError):
    """What is wrong with the gate at hand."""


def read(definition: Mapping[str, Any]) -> Circuit:
    """
    Read a circuit from any of the four JSON dialects.

    Args:
        definition: `n_qubits` and `gates`; `format`, `parameters` and `metadata` may stand beside them.

    Raises:
        InvalidCircuit: With the gate's index and name wherever one gate is at fault.
    """
    if not isinstance(definition, Mapping):
        raise InvalidCircuit("A circuit is an object with n_qubits and gates.")
    for key in definition:
        if key not in _CIRCUIT_KEYS:
            raise InvalidCircuit(f"A circuit has no key {str(key)[:40]!r}.")
    if definition.get("format", "unified") not in ("unified", "qstore4"):
        raise InvalidCircuit("The format of a circuit in JSON is 'unified'.")
    if "n_qubits" not in definition:
        raise InvalidCircuit("n_qubits is missing.")
    rows = definition.get("gates")
    if not isinstance(rows, (list, tuple)):
        raise InvalidCircuit("gates must be a list.")
    check_size(definition["n_qubits"], len(rows))
    reader = _Reader()
    gates: list[Gate] = []
    for index, row in enumerate(rows):
        try:
            reader.read(row, gates)
        except _Fault as fault:
            raise InvalidCircuit.at(index, _written_name(row), f"{fault}.") from None
        if len(gates) != index + 1:
            # An encoding stands for several gates: check those of this row now, while its index is known.
            return _read_expanded(definition["n_qubits"], rows)
    return Circuit.build(definition["n_qubits"], gates)


def write(circuit: Circuit) -> dict[str, Any]:
    """The circuit in the specification's own dialect; `n_qubits` is kept beside it by the caller."""
    rows: list[dict[str, Any]] = []
    for gate in circuit.gates:
        row: dict[str, Any] = {"type": gate.name, "targets": list(gate.targets)}
        if gate.parameters:
            names = GATES[gate.name].parameter_names
            row["parameters"] = {
                name: value.text if isinstance(value, Expression) else value
                for name, value in zip(names, gate.parameters, strict=True)
            }
        rows.append(row)
    return {"format": "unified", "gates": rows}


def _read_expanded(n_qubits: int, rows: Sequence[Any]) -> Circuit:
    reader = _Reader()
    gates: list[Gate] = []
    origin: list[int] = []
    for index, row in enumerate(rows):
        try:
            reader.read(row, gates)
        except _Fault as fault:
            raise InvalidCircuit.at(index, _written_name(row), f"{fault}.") from None
        origin.extend([index] * (len(gates) - len(origin)))
        check_size(n_qubits, len(gates))
    try:
        return Circuit.build(n_qubits, gates)
    except InvalidCircuit as fault:
        if "index" not in fault.details:
            raise
        index = origin[fault.details["index"]]
        sentence = fault.message.partition("): ")[2]
        raise InvalidCircuit.at(index, _written_name(rows[index]), sentence) from None


class _Reader:
    """Reads gate after gate; expressions that were read once are not parsed again."""

    def __init__(self) -> None:
        self._parsed: dict[str, float | Expression] = {}
        self._text_left = MAX_EXPRESSION_TEXT

    def read(self, row: Any, gates: list[Gate]) -> None:
        """Append what one row of the list stands for."""
        if not isinstance(row, Mapping):
            raise _Fault("a gate is an object")
        written = row.get("type")
        if written is None or "gate_type" in row or "gate" in row:
            written = _only_one(row, ("gate_type", "type", "gate"), "name")
        if type(written) is not str:
            raise _Fault("the name of a gate is a text")
        name = ALIASES.get(written) or ALIASES.get(written.upper())
        if name is None:
            if written.lower() == "encoding":
                gates.extend(_encoding(row))
                return
            raise _Fault("there is no such gate")
        for key in row:
            if key not in _GATE_KEYS:
                raise _Fault(f"the key {str(key)[:40]!r} is not known")
        if "name" in row and type(row["name"]) not in (str, type(None)):
            raise _Fault("the label in 'name' is a text")
        name, targets = _operands(name, row)
        gates.append(Gate(name, targets, self._parameters(name, row)))

    def _parameters(self, name: str, row: Mapping[str, Any]) -> tuple[float | Expression, ...]:
        given = row.get("parameters")
        if given is None:
            given = {}
        elif not isinstance(given, Mapping):
            raise _Fault("parameters is an object such as {'theta': 0.3}")
        beside = [key for key in _ANGLE_KEYS if key in row]
        if beside:
            given = {**given, **{key: row[key] for key in beside}}
            if len(given) != len(beside) + len(row.get("parameters") or {}):
                raise _Fault("an angle is given twice")
        names = GATES[name].parameter_names
        if not names:
            if given:
                raise _Fault(f"takes no parameters, but {str(next(iter(given)))[:40]!r} is given")
            return ()
        if len(names) == 1:
            return (self._value(_single(given)),)
        if name == "MS":
            given = _ms(given)
        elif name == "U3" and "lam" in given and "lambda" not in given:
            given = {("lambda" if key == "lam" else key): value for key, value in given.items()}
        for key in given:
            if key not in names:
                raise _Fault(f"the parameter {str(key)[:40]!r} is not known; there are {', '.join(names)}")
        for key in names:
            if key not in given:
                raise _Fault(f"the parameter {key} is missing")
        return tuple(self._value(given[key]) for key in names)

    def _value(self, value: Any) -> float | Expression:
        if type(value) is str:
            known = self._parsed.get(value)
            return self._parse(value) if known is None else known
        if type(value) is float:
            return value
        if type(value) is int:
            try:
                return float(value)
            except OverflowError:
                raise _Fault("the number is too large") from None
        if isinstance(value, Mapping):
            return self._named(value)
        raise _Fault("a parameter is a number or an expression")

    def _parse(self, text: str) -> float | Expression:
        self._text_left -= len(text)
        if self._text_left < 0:
            raise _Fault(f"the circuit's expressions have more than {MAX_EXPRESSION_TEXT:,} characters together")
        try:
            expression = expressions.parse(text)
            # A constant is kept as the number that it is: nothing downstream has to ask again.
            value = expression if expression.symbols else expression.evaluate({})
        except ValueError as fault:
            raise _Fault(str(fault)) from None
        self._parsed[text] = value
        return value

    def _named(self, value: Mapping[str, Any]) -> float | Expression:
        """The version 4 library's `{name, value, is_symbolic}`: bound when a value is set and it is not symbolic."""
        for key in value:
            if key not in ("name", "value", "is_symbolic"):
                raise _Fault(f"the key {str(key)[:40]!r} of a parameter is not known")
        symbolic, number = value.get("is_symbolic"), value.get("value")
        if type(symbolic) not in (bool, type(None)):
            raise _Fault("is_symbolic is true or false")
        if number is None:
            if symbolic is False or type(value.get("name")) is not str:
                raise _Fault("a parameter has neither a value nor a symbol")
            return self._value(value["name"])
        if symbolic or isinstance(number, (str, Mapping)):
            raise _Fault("a parameter cannot be symbolic and have a value")
        return self._value(number)


def _written_name(row: Any) -> str:
    if isinstance(row, Mapping):
        for key in ("type", "gate_type", "gate"):
            if isinstance(row.get(key), str):
                return str(row[key])
    return "?"


def _only_one(row: Mapping[str, Any], keys: Sequence[str], noun: str) -> Any:
    present = [key for key in keys if key in row]
    if not present:
        raise _Fault(f"the {noun} is missing ({' or '.join(keys)})")
    if len(present) > 1:
        raise _Fault(f"the {noun} is given twice ({' and '.join(present)})")
    return row[present[0]]


def _operands(name: str, row: Mapping[str, Any]) -> tuple[str, tuple[int, ...]]:
    """The canonical name and the operands, controls first; a plain name with controls becomes its controlled gate."""
    if "targets" in row and not ("qubits" in row or "qubit" in row or "target" in row):
        targets = _qubits(row["targets"])
    else:
        targets = _qubits(_only_one(row, ("targets", "qubits", "qubit", "target"), "list of operands"))
    if "control" not in row and "controls" not in row:
        return name, targets
    if row.get("controls") is None and "control" not in row:
        return name, targets
    controls = _qubits(_only_one(row, ("controls", "control"), "control"))
    if not controls:
        return name, targets
    if len(controls) <= _OWN_CONTROLS.get(name, 0):
        if len(targets) == GATES[name].n_qubits and targets[: len(controls)] == controls:
            return name, targets
        if len(controls) + len(targets) == GATES[name].n_qubits:
            return name, controls + targets
    controlled = _CONTROLLED.get((name, len(controls)))
    if controlled is None:
        raise _Fault(f"cannot have {len(controls)} control{'s' if len(controls) > 1 else ''}")
    return controlled, controls + targets


def _qubits(value: Any) -> tuple[int, ...]:
    if type(value) is list or type(value) is tuple:
        if len(value) > 3:
            raise _Fault("no gate acts on so many qubits")
        return tuple(value)
    if type(value) is int:
        return (value,)
    raise _Fault("operands are whole numbers")


def _single(given: Mapping[str, Any]) -> Any:
    if len(given) != 1:
        raise _Fault("the angle is missing" if not given else "has one angle, but several are given")
    ((key, value),) = given.items()
    if key not in _ANGLE_KEYS:
        raise _Fault(f"the parameter {str(key)[:40]!r} is not known; the angle is called theta")
    return value


def _ms(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """`MS` of the version 4 library has one `angle` and no phases."""
    if not given:
        return {"phi0": 0.0, "phi1": 0.0, "theta": MS_DEFAULT_ANGLE}
    if set(given) in ({"angle"}, {"theta"}, {"param"}):
        return {"phi0": 0.0, "phi1": 0.0, "theta": next(iter(given.values()))}
    return given


def _encoding(row: Mapping[str, Any]) -> list[Gate]:
    """An angle encoding written as a gate: RY(x_k) on the k-th of its qubits."""
    for key in row:
        if key not in ("type", "gate_type", "gate", "method", "qubits", "name"):
            raise _Fault(f"the key {str(key)[:40]!r} is not known")
    if row.get("method") != "angle":
        raise _Fault("only the method 'angle' can be written as gates; set others in the job's config.encoding")
    qubits = row.get("qubits")
    if not isinstance(qubits, (list, tuple)) or not 1 <= len(qubits) <= 30:
        raise _Fault("qubits is a list of 1 to 30 whole numbers")
    return [Gate("RY", (qubit,), (expressions.symbol(f"x_{k}"),)) for k, qubit in enumerate(qubits)]
