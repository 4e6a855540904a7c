"""OpenQASM 2 and 3: every gate keeps its unitary, and what no circuit can hold is refused with its place."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qstore_appliance.engine import expressions
from qstore_appliance.engine.circuit import GATES, MAX_GATES, Circuit, Gate
from qstore_appliance.engine.formats import openqasm, openqasm_reader
from qstore_appliance.errors import InvalidCircuit
from tests.unit.engine.formats.test_ionq import distance, unitary


def program(*lines: str, version: int = 3, qubits: int = 3) -> str:
    library = "stdgates.inc" if version == 3 else "qelib1.inc"
    register = f"qubit[{qubits}] q;" if version == 3 else f"qreg q[{qubits}];"
    return "\n".join([f"OPENQASM {version}.0;", f'include "{library}";', register, *lines, ""])


def refused(source: str) -> InvalidCircuit:
    with pytest.raises(InvalidCircuit) as caught:
        openqasm_reader.read(source)
    return caught.value


@pytest.mark.parametrize("version", openqasm.VERSIONS)
@pytest.mark.parametrize("name", sorted(GATES))
def test_writing_and_reading_keeps_the_unitary(name: str, version: int) -> None:
    """Every gate of the circuit model survives the way through either version, whatever its angles and operands."""
    spec = GATES[name]
    rng = np.random.default_rng(len(name))
    for _ in range(3):
        targets = tuple(rng.permutation(spec.n_qubits + 1)[: spec.n_qubits].tolist())
        angles = tuple(float(a) for a in rng.uniform(-7, 7, len(spec.parameter_names)))
        circuit = Circuit.build(spec.n_qubits + 1, [Gate(name, targets, angles)])

        text = openqasm.write(circuit, version)

        assert distance(unitary(circuit), unitary(openqasm_reader.read(text))) < 1e-9


@pytest.mark.parametrize("version", openqasm.VERSIONS)
def test_qiskit_reads_what_is_written(version: int) -> None:
    """Qiskit's readers, which take nothing that the libraries do not define, find the same unitary."""
    from qiskit import qasm2, qasm3
    from qiskit.quantum_info import Operator

    gates = [
        Gate(name, tuple(range(spec.n_qubits)), tuple(0.1 * (k + 1) for k in range(len(spec.parameter_names))))
        for name, spec in GATES.items()
    ]
    circuit = Circuit.build(3, gates)
    text = openqasm.write(circuit, version)

    found = qasm2.loads(text) if version == 2 else qasm3.loads(text)

    # Qiskit counts qubit 0 in the lowest bit.
    assert distance(unitary(circuit), Operator(found.reverse_bits()).data) < 1e-9


def test_what_qiskit_writes_is_read() -> None:
    """A circuit of Qiskit's library comes through its own version 3 and version 2 texts."""
    from qiskit import QuantumCircuit, qasm2, qasm3
    from qiskit.quantum_info import Operator

    theirs = QuantumCircuit(3)
    theirs.h(0)
    theirs.cp(0.3, 0, 2)
    theirs.u(0.1, 0.2, 0.3, 1)
    theirs.cry(-1.0, 1, 2)
    theirs.rzz(0.7, 0, 1)
    theirs.ccx(0, 1, 2)
    theirs.cu(0.1, 0.2, 0.3, 0.4, 2, 0)
    theirs.sxdg(1)
    theirs.iswap(0, 2)
    expected = Operator(theirs.reverse_bits()).data

    for text in (qasm2.dumps(theirs), qasm3.dumps(theirs)):
        assert distance(unitary(openqasm_reader.read(text)), expected) < 1e-9, text


def test_symbols_are_inputs() -> None:
    """A symbol is written as an input of a version 3 program and read back as the same symbol; version 2 refuses it."""
    angle = expressions.parse("2*theta_0 + pi/2")
    circuit = Circuit.build(
        2, [Gate("H", (0,)), Gate("RY", (1,), (angle,)), Gate("CRZ", (0, 1), (expressions.symbol("x_1"),))]
    )

    found = openqasm_reader.read(openqasm.write(circuit, 3))

    assert found.symbols == ("theta_0", "x_1")
    values = {"theta_0": 0.3, "x_1": -1.1}
    assert distance(unitary(circuit.bind(values)), unitary(found.bind(values))) < 1e-9
    with pytest.raises(InvalidCircuit) as caught:
        openqasm.write(circuit, 2)
    assert caught.value.details["index"] == 1


def test_whole_numbers_are_written_as_decimals() -> None:
    """`1/2` of two integers would be nothing; a symbol that is called like a word of the language is renamed."""
    circuit = Circuit.build(1, [Gate("RX", (0,), (expressions.parse("1/2*gate + 3"),))])

    text = openqasm.write(circuit, 3)

    assert "rx(1.0/2.0*gate_ + 3.0) q[0];" in text
    assert "input float[64] gate_;" in text


@pytest.mark.parametrize("name", sorted(openqasm_reader.GATES))
def test_gates_of_the_libraries(name: str) -> None:
    """Every gate that is known by name, plain, inverted and squared, is what its definition says."""
    n_angles, n_qubits, _ = openqasm_reader.GATES[name]
    angles = [0.3, -1.2, 0.7, 2.2][:n_angles]
    call = f"({', '.join(map(str, angles))})" if angles else ""
    operands = ", ".join(f"q[{k}]" for k in range(n_qubits))
    one = unitary(openqasm_reader.read(program("h q[0];", f"{name}{call} {operands};")))
    hadamard = unitary(openqasm_reader.read(program("h q[0];")))
    gate = one @ hadamard.conj().T

    inverted = unitary(openqasm_reader.read(program("h q[0];", f"inv @ {name}{call} {operands};"))) @ hadamard.conj().T
    squared = (
        unitary(openqasm_reader.read(program("h q[0];", f"pow(2) @ {name}{call} {operands};"))) @ hadamard.conj().T
    )

    assert distance(gate.conj().T, inverted) < 1e-9
    assert distance(gate @ gate, squared) < 1e-9
    if name.startswith("c") and name != "cu" and name[1:] in openqasm_reader.GATES:
        plain = openqasm_reader.read(program(f"{name[1:]}{call} q[1]{', q[2]' if n_qubits == 3 else ''};"))
        block = unitary(plain)[: 2**2, : 2**2]
        # Where the control is set the gate itself is applied, its phase included; where it is not, nothing is.
        assert np.allclose(gate[:4, :4], np.eye(4) * gate[0, 0], atol=1e-9)
        assert distance(gate[4:, 4:], block) < 1e-9
        if name in ("cx", "cy", "cz", "ch", "cp", "crx", "cry", "crz", "cs", "ct", "csdg", "csx", "cu3"):
            assert np.allclose(gate[4:, 4:] / gate[0, 0], exact(name[1:], angles), atol=1e-9)


def exact(name: str, angles: list[float]) -> np.ndarray:
    """The gate on qubit 1 of two, with the phase of its textbook matrix."""
    s = 1 / math.sqrt(2)
    theta = angles[0] if angles else 0.0
    cos, sin = math.cos(theta / 2), math.sin(theta / 2)
    matrices = {
        "x": [[0, 1], [1, 0]],
        "y": [[0, -1j], [1j, 0]],
        "z": [[1, 0], [0, -1]],
        "h": [[s, s], [s, -s]],
        "s": [[1, 0], [0, 1j]],
        "sdg": [[1, 0], [0, -1j]],
        "t": [[1, 0], [0, np.exp(1j * math.pi / 4)]],
        "sx": [[0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j]],
        "p": [[1, 0], [0, np.exp(1j * theta)]],
        "rx": [[cos, -1j * sin], [-1j * sin, cos]],
        "ry": [[cos, -sin], [sin, cos]],
        "rz": [[np.exp(-0.5j * theta), 0], [0, np.exp(0.5j * theta)]],
    }
    if name == "u3":
        _, phi, lam = angles
        matrices["u3"] = [[cos, -np.exp(1j * lam) * sin], [np.exp(1j * phi) * sin, np.exp(1j * (phi + lam)) * cos]]
    return np.kron(np.array(matrices[name]), np.eye(2))


def test_definitions_registers_and_modifiers() -> None:
    """Gates that the program defines, broadcasting over registers, controls and constants become plain gates."""
    source = """OPENQASM 3.0;
include "stdgates.inc";
const float half = pi/2;
input angle theta;
gate turn(a) one, other { rx(a/2) one; cx one, other; barrier one; inv @ s other; }
gate twice(a) one, other { turn(a) one, other; turn(-a) other, one; }
qubit[2] q;
qubit r;
bit[3] c;
h q;
ctrl @ x q[0], r;
twice(theta + half) q[0], r;
gphase(pi);
barrier q;
c[0] = measure q[0];
"""
    a = expressions.parse("theta + pi/2")
    half = a.times(0.5)

    circuit = openqasm_reader.read(source)

    assert circuit.n_qubits == 3
    names = [(gate.name, gate.targets) for gate in circuit.gates]
    assert names == [
        ("H", (0,)), ("H", (1,)), ("CNOT", (0, 2)), ("RX", (0,)), ("CNOT", (0, 2)), ("SDG", (2,)),
        ("RX", (2,)), ("CNOT", (2, 0)), ("SDG", (0,)),
    ]  # fmt: skip
    value = {"theta": 0.4}
    assert circuit.gates[3].parameters[0].evaluate(value) == pytest.approx(half.evaluate(value))
    assert circuit.gates[6].parameters[0].evaluate(value) == pytest.approx(-half.evaluate(value))


def test_version_2_as_people_write_it() -> None:
    """The Bell pair of the first page of every manual, with its classical register and measurement."""
    source = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nh q[0];\ncx q[0],q[1];\nmeasure q -> c;\n'

    circuit = openqasm_reader.read(source)

    assert [(gate.name, gate.targets) for gate in circuit.gates] == [("H", (0,)), ("CNOT", (0, 1))]


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        (["h q[0]"], 5, "the program ends too early"),
        (["rx(1 2) q[0];"], 4, "unexpected '2'"),
        (["$$ q[0];"], 4, "token recognition error"),
        (["hh q[0];"], 4, "the gate hh is not known here"),
        (["rx q[0];"], 4, "rx takes 1 parameter, not 0"),
        (["rx(0.1, 0.2) q[0];"], 4, "rx takes 1 parameter, not 2"),
        (["cx q[0];"], 4, "cx acts on 2 qubits, not 1"),
        (["cx q[1], q[1];"], 4, "names the same qubit twice"),
        (["h q[3];"], 4, "q has no qubit 3, only 3"),
        (["h p[0];"], 4, "there is no qubit register p"),
        (["h q[0:1];"], 4, "slices"),
        (["rx(theta) q[0];"], 4, "theta has no value"),
        (["rx(1/0) q[0];"], 4, "no finite value"),
        (["rx(1e400) q[0];"], 4, "no finite number"),
        (["reset q[0];"], 4, "a quantum reset cannot be part of a circuit"),
        (["for int i in [0:3] { h q[0]; }"], 4, "a for in loop cannot be part of a circuit"),
        (["bit c;", "if (c == 1) { h q[0]; }"], 5, "a branching statement cannot be part of a circuit"),
        (["bit c;", "c = measure q[0];", "h q[0];"], 6, "a gate after a measurement of its qubit"),
        (['include "/etc/passwd";'], 4, "no file is ever read"),
        (["qubit[28] r;"], 4, "at most 30 qubits"),
        (["gate g a { g a; }", "g q[0];"], 4, "the gate g is not known here"),
        (["pow(0.5) @ x q[0];"], 4, "a whole number is needed here"),
        (["ctrl(2) @ h q[0], q[1], q[2];"], 4, "the gate h with 2 more controls is not known here"),
        (["input float nan;"], 4, "nan cannot be the name of a symbol"),
    ],
)
def test_what_is_refused(lines: list[str], line: int, words: str) -> None:
    """Every refusal has line and column, and a sentence that says what is wrong."""
    error = refused(program(*lines))

    assert words in error.message
    assert error.details["line"] == line, error.message
    assert error.details["column"] >= 1
    assert error.message.startswith(f"Line {line}, column ")


def test_hostile_programs_end_soon() -> None:
    """Nesting, growth by definitions, huge registers and long texts are refused before they cost memory or time."""
    doubling = [f"gate g{k + 1} a {{ g{k} a; g{k} a; }}" for k in range(29)]
    empty = program("gate g0 a { }", *doubling, "g29 q[0];")
    growing = program("gate g0 a { x a; }", *doubling, "g29 q[0];")

    assert "gates are called" in refused(empty).message
    assert f"at most {MAX_GATES:,} gates" in refused(growing).message
    assert "nested more than" in refused(program(f"rx({'(' * 100_000}1{')' * 100_000}) q[0];")).message
    assert "characters" in refused(program("h q[0];" * 100_000)).message
    assert "whole number" in refused(program("qubit[99999999999999999999] r;")).message
    assert f"at most {MAX_GATES:,} gates" in refused(program("pow(10000) @ x q[0];", "x q[0];")).message


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(
    ["OPENQASM 3.0;", 'include "stdgates.inc";', "qubit[2] q;", "h q[0];", "gate a b {", "}", "cx q;", "rx(pi/", ")", "q", ";",
     "ctrl @", "inv @", "pow(-2) @", "measure q;", "bit c;", "let a = q;", "def f() {", "{", "[", "é", "/*", "#pragma x",
     "if (", "1e999", "@x\n", "defcal x q {", "box {", "\0"]
), max_size=12))  # fmt: skip
def test_anything_is_read_or_refused(pieces: list[str]) -> None:
    """Programs put together of right and wrong pieces end as a circuit or as INVALID_CIRCUIT, never otherwise."""
    try:
        found: Any = openqasm_reader.read(" ".join(pieces))
    except InvalidCircuit as fault:
        found = fault.message

    assert isinstance(found, Circuit) or re.match(r"Line|A circuit|The program", found)


def test_reading_imports_nothing_heavy() -> None:
    """Neither module loads the parser before a program is read."""
    code = (
        "import sys; import qstore_appliance.engine.formats.openqasm_reader, qstore_appliance.engine.formats.openqasm; "
        "print(any(name in sys.modules for name in ('openqasm3', 'antlr4', 'cirq', 'numba')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "False"
