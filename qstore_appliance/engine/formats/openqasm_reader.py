"""
Reads OpenQASM 2 and 3 by the reference parser of the OpenQASM project.

Circuits are read, programs are not: what a circuit cannot hold (loops, conditions, resets, measurements in the middle) is
refused with its line and column. Measurements at the end, barriers and global phases leave nothing behind. No file is ever
opened: an `include` may only name the two standard libraries, whose gates are built in.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from qstore_appliance.engine import expressions
from qstore_appliance.engine.circuit import MAX_GATES, MAX_QUBITS, Circuit, Gate
from qstore_appliance.engine.expressions import Expression
from qstore_appliance.engine.formats.openqasm_gates import GATES, inverse
from qstore_appliance.errors import InvalidCircuit

#: Characters of a program: some 15,000 gates.
MAX_SOURCE: Final = 500_000
#: Parentheses, brackets and braces inside each other; the parser descends into each.
MAX_NESTING: Final = 50
#: Bodies of gates inside bodies of gates.
MAX_DEFINITIONS: Final = 30
#: Calls of gates, also of those that do nothing.
MAX_CALLS: Final = 100_000
LIBRARIES: Final = ("stdgates.inc", "qelib1.inc")

Number = float | Expression
_PLACE = re.compile(r"L(\d+):C(\d+): (.*)", re.DOTALL)
_CONSTANTS: Final = {"pi": "pi", "π": "pi", "tau": "2*pi", "τ": "2*pi"}


def read(source: str) -> Circuit:
    """
    Read a program.

    Raises:
        InvalidCircuit: With `line` and `column` in `details` (counted from 1), and the gate's `index` where gates came
            before.
    """
    if len(source) > MAX_SOURCE:
        raise InvalidCircuit(f"An OpenQASM program may have {MAX_SOURCE:,} characters, not {len(source):,}.")
    if not source.strip():
        raise InvalidCircuit("The program is empty.")
    _check_nesting(source)
    from openqasm3 import parser

    try:
        # The parser also prints what it refuses.
        with contextlib.redirect_stderr(io.StringIO()):
            program = parser.parse(source, permissive=False)
    except parser.QASM3ParsingError as error:
        line, column, said = _place(error)
        details = {"line": line, "column": column}
        raise InvalidCircuit(f"Line {line}, column {column}: {said}.", details=details) from None
    except RecursionError:
        raise InvalidCircuit("The program is nested too deeply.") from None
    except Exception as error:
        # The parser stumbles over some wrong programs instead of saying what is wrong with them.
        raise InvalidCircuit(f"The program cannot be read ({type(error).__name__}).") from error
    return _Reader().read(program)


def _place(error: Exception) -> tuple[int, int, str]:
    """Line and column, from 1, and what is wrong there."""
    if found := _PLACE.search(str(error)):
        return int(found[1]), int(found[2]) + 1, found[3][:200]
    inner = getattr(error.__cause__, "args", ())
    token = getattr(inner[0], "offendingToken", None) if inner else None
    if token is None:
        return 1, 1, "this is no OpenQASM"
    said = "the program ends too early" if token.text == "<EOF>" else f"unexpected {token.text[:40]!r}"
    return token.line, token.column + 1, said


def _check_nesting(source: str) -> None:
    depth = 0
    for found in re.finditer(r"[()\[\]{}]", source):
        depth += 1 if found[0] in "([{" else -1
        if depth > MAX_NESTING:
            line = source.count("\n", 0, found.start()) + 1
            raise InvalidCircuit(
                f"Line {line}: the program is nested more than {MAX_NESTING} deep.", details={"line": line}
            )


class _Body:
    """A gate that the program defines."""

    def __init__(self, definition: Any) -> None:
        self.parameters = [identifier.name for identifier in definition.arguments]
        self.qubits = [identifier.name for identifier in definition.qubits]
        self.statements = definition.body


class _Reader:
    """Walks over the statements of one program."""

    def __init__(self) -> None:
        self._registers: dict[str, range] = {}
        self._bits: set[str] = set()
        self._bodies: dict[str, _Body] = {}
        self._scope: dict[str, Number] = {}
        self._measured: set[int] = set()
        self._n_qubits = 0
        self._gates: list[Gate] = []
        self._node: Any = None
        self._calls = 0

    def read(self, program: Any) -> Circuit:
        for statement in program.statements:
            self._node = statement
            kind = type(statement).__name__
            found = getattr(self, f"_on_{kind}", None)
            if found is None:
                self._refuse(f"{_words(kind)} cannot be part of a circuit")
            found(statement)
        return Circuit.build(self._n_qubits, self._gates)

    # Declarations ------------------------------------------------------------------------------------------------

    def _on_Include(self, node: Any) -> None:
        if node.filename not in LIBRARIES:
            self._refuse(f"only {' and '.join(LIBRARIES)} can be included; no file is ever read")

    def _on_QubitDeclaration(self, node: Any) -> None:
        size = 1 if node.size is None else self._whole(node.size)
        if self._n_qubits + size > MAX_QUBITS:
            self._refuse(f"a circuit has at most {MAX_QUBITS} qubits")
        if node.qubit.name in self._registers:
            self._refuse(f"{node.qubit.name} is declared twice")
        self._registers[node.qubit.name] = range(self._n_qubits, self._n_qubits + size)
        self._n_qubits += size

    def _on_ClassicalDeclaration(self, node: Any) -> None:
        if type(node.type).__name__ != "BitType" or node.init_expression is not None:
            self._refuse("only bits for measurements can be declared")
        self._bits.add(node.identifier.name)

    def _on_ConstantDeclaration(self, node: Any) -> None:
        self._scope[node.identifier.name] = self._number(node.init_expression, self._scope)

    def _on_IODeclaration(self, node: Any) -> None:
        kind = type(node.type).__name__
        if node.io_identifier.name != "input" or kind not in ("FloatType", "AngleType"):
            self._refuse("only an input of type float or angle can be declared; it becomes a symbol")
        name = node.identifier.name
        if name in expressions.FUNCTIONS or name in expressions.CONSTANTS or name.lower() in expressions.NO_NUMBERS:
            self._refuse(f"{name} cannot be the name of a symbol")
        self._scope[name] = expressions.symbol(name)

    def _on_QuantumGateDefinition(self, node: Any) -> None:
        name = node.name.name
        if name in self._bodies:
            self._refuse(f"the gate {name} is defined twice")
        # A body sees what was defined before it, so that no gate can call itself.
        self._bodies[name] = _Body(node)

    # What leaves nothing behind ----------------------------------------------------------------------------------

    def _on_QuantumBarrier(self, node: Any) -> None:
        return

    def _on_QuantumPhase(self, node: Any) -> None:
        if node.modifiers:
            self._refuse("a controlled global phase is a phase gate; write it as one")

    def _on_QuantumMeasurementStatement(self, node: Any) -> None:
        self._measured.update(self._operand(node.measure.qubit, {}))

    # Gates -------------------------------------------------------------------------------------------------------

    def _on_QuantumGate(self, node: Any) -> None:
        operands = [self._operand(qubit, {}) for qubit in node.qubits]
        lengths = {len(operand) for operand in operands if len(operand) != 1}
        if len(lengths) > 1:
            self._refuse("registers of different sizes cannot be operands of one gate")
        for turn in range(lengths.pop() if lengths else 1):
            qubits = tuple(operand[turn] if len(operand) > 1 else operand[0] for operand in operands)
            self._apply(node, qubits, self._scope, 0, self._gates)

    def _apply(
        self, node: Any, qubits: tuple[int, ...], scope: Mapping[str, Number], depth: int, out: list[Gate]
    ) -> None:
        """One call of a gate on single qubits."""
        self._calls += 1
        if self._calls > MAX_CALLS:
            self._refuse(f"more than {MAX_CALLS:,} gates are called, counting those inside of gates")
        name, controls, inverted, times = node.name.name, 0, False, 1
        for modifier in node.modifiers:
            kind = modifier.modifier.name
            if kind == "inv":
                inverted = not inverted
            elif kind == "ctrl":
                controls += 1 if modifier.argument is None else self._whole(modifier.argument)
            elif kind == "pow":
                power = self._whole(modifier.argument, negative=True)
                inverted, times = inverted != (power < 0), times * abs(power)
            else:
                self._refuse(f"the modifier {kind} is not known here")
        angles = [self._number(argument, scope) for argument in node.arguments]
        made: list[Gate] = []
        self._call(name, angles, qubits, controls, depth, made)
        if inverted:
            made = [undone for gate in reversed(made) for undone in inverse(gate)]
        if len(made) * times + len(out) > MAX_GATES:
            self._refuse(f"a circuit has at most {MAX_GATES:,} gates")
        for gate in made * times:
            if not self._measured.isdisjoint(gate.targets):
                self._refuse("a gate after a measurement of its qubit cannot be part of a circuit")
            out.append(gate)

    def _call(
        self, name: str, angles: list[Number], qubits: tuple[int, ...], controls: int, depth: int, out: list[Gate]
    ) -> None:
        body = self._bodies.get(name)
        if body is None or controls:
            rule = GATES.get(("c" * controls) + {"U": "u3", "CX": "cx"}.get(name, name))
            if rule is None:
                said = f"the gate {name[:60]} with {controls} more controls" if controls else f"the gate {name[:60]}"
                self._refuse(f"{said} is not known here")
            n_angles, n_qubits, write = rule
            self._check_call(name, angles, qubits, n_angles, n_qubits)
            out.extend(write(angles, qubits))
            return
        self._check_call(name, angles, qubits, len(body.parameters), len(body.qubits))
        if depth >= MAX_DEFINITIONS:
            self._refuse(f"gates are defined by each other more than {MAX_DEFINITIONS} deep")
        scope = dict(zip(body.parameters, angles, strict=True))
        inside = dict(zip(body.qubits, qubits, strict=True))
        outer, known = self._node, self._bodies
        # Its own body sees only the gates that were defined before it.
        self._bodies = {key: known[key] for key in list(known)[: list(known).index(name)]}
        for statement in body.statements:
            self._node = statement
            kind = type(statement).__name__
            if kind in ("QuantumBarrier", "QuantumPhase"):
                continue
            if kind != "QuantumGate":
                self._refuse(f"{_words(kind)} cannot be part of a gate")
            operands = tuple(self._operand(qubit, inside)[0] for qubit in statement.qubits)
            self._apply(statement, operands, scope, depth + 1, out)
        self._node, self._bodies = outer, known

    def _check_call(
        self, name: str, angles: list[Number], qubits: tuple[int, ...], n_angles: int, n_qubits: int
    ) -> None:
        if len(angles) != n_angles:
            self._refuse(f"{name} takes {n_angles} parameter{'' if n_angles == 1 else 's'}, not {len(angles)}")
        if len(qubits) != n_qubits:
            self._refuse(f"{name} acts on {n_qubits} qubit{'' if n_qubits == 1 else 's'}, not {len(qubits)}")
        if len(set(qubits)) != len(qubits):
            self._refuse(f"{name} names the same qubit twice")

    # Operands and numbers ----------------------------------------------------------------------------------------

    def _operand(self, node: Any, inside: Mapping[str, int]) -> range | tuple[int, ...]:
        """The qubits that an operand names: one of them, or a whole register."""
        if type(node).__name__ == "Identifier":
            if node.name in inside:
                return (inside[node.name],)
            if not inside and node.name in self._registers:
                return self._registers[node.name]
            self._refuse(f"there is no qubit {node.name[:60]}")
        if type(node).__name__ != "IndexedIdentifier" or inside:
            self._refuse("an operand is a qubit or a register")
        register = self._registers.get(node.name.name)
        if register is None:
            self._refuse(f"there is no qubit register {node.name.name[:60]}")
        if len(node.indices) != 1 or not isinstance(node.indices[0], list) or len(node.indices[0]) != 1:
            self._refuse("an operand has one index")
        index = node.indices[0][0]
        if type(index).__name__ == "RangeDefinition":
            self._refuse("slices of registers are not read; name the qubits")
        number = self._whole(index)
        if number >= len(register):
            self._refuse(f"{node.name.name} has no qubit {number}, only {len(register)}")
        return (register[number],)

    def _whole(self, node: Any, *, negative: bool = False) -> int:
        value = self._number(node, self._scope)
        if isinstance(value, Expression) or not value.is_integer() or abs(value) > MAX_GATES:
            self._refuse("a whole number is needed here")
        if value < 0 and not negative:
            self._refuse("a number from 0 on is needed here")
        return int(value)

    def _number(self, node: Any, scope: Mapping[str, Number]) -> Number:
        try:
            expression = expressions.parse(self._text(node, scope))
            return expression if expression.symbols else expression.evaluate({})
        except ValueError as fault:
            self._refuse(str(fault))

    def _text(self, node: Any, scope: Mapping[str, Number]) -> str:
        """An expression in our words, with what its names stand for put in."""
        kind = type(node).__name__
        if kind in ("IntegerLiteral", "FloatLiteral"):
            return repr(float(node.value))
        if kind == "Identifier":
            value = scope.get(node.name)
            if value is not None:
                return f"({value.text if isinstance(value, Expression) else repr(value)})"
            if node.name not in _CONSTANTS:
                self._refuse(f"{node.name[:60]} has no value")
            return f"({_CONSTANTS[node.name]})"
        if kind == "UnaryExpression" and node.op.name == "-":
            return f"(-{self._text(node.expression, scope)})"
        if kind == "BinaryExpression" and node.op.name in ("+", "-", "*", "/"):
            return f"({self._text(node.lhs, scope)} {node.op.name} {self._text(node.rhs, scope)})"
        known = kind == "FunctionCall" and node.name.name in expressions.FUNCTIONS and len(node.arguments) == 1
        if not known:
            self._refuse("angles are numbers, pi, inputs, + - * / and sin, cos, sqrt")
        return f"{node.name.name}({self._text(node.arguments[0], scope)})"

    def _refuse(self, said: str) -> NoReturn:
        span = getattr(self._node, "span", None)
        line, column = (span.start_line, span.start_column + 1) if span is not None else (1, 1)
        details = {"line": line, "column": column, "index": len(self._gates)}
        raise InvalidCircuit(f"Line {line}, column {column}: {said}.", details=details)


def _words(kind: str) -> str:
    """`ForInLoop` as "a for in loop"."""
    article = "an" if kind[0] in "AEIOU" else "a"
    return f"{article} {re.sub('(?<=[a-z])(?=[A-Z])', ' ', kind).lower()}"
