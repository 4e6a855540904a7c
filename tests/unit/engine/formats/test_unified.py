"""The four JSON dialects of circuits: all are read, one is written, nothing is dropped."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from typing import Any

import pytest

from qstore_appliance.engine.circuit import GATES, Circuit, Gate
from qstore_appliance.engine.expressions import parse
from qstore_appliance.engine.formats import unified
from qstore_appliance.errors import InvalidCircuit

THETA = parse("theta_0")


def read(*gates: Any, n_qubits: Any = 3, **more: Any) -> tuple[Gate, ...]:
    return unified.read({"n_qubits": n_qubits, "gates": list(gates), **more}).gates


@pytest.mark.parametrize(
    ("row", "gate"),
    [
        ({"type": "RY", "targets": [0], "parameters": {"theta": "theta_0"}}, Gate("RY", (0,), (THETA,))),
        ({"type": "CNOT", "targets": [0, 1]}, Gate("CNOT", (0, 1))),
        ({"gate_type": "RX", "targets": [1], "parameters": {"angle": 0.3}}, Gate("RX", (1,), (0.3,))),
        (
            {
                "gate_type": "RY",
                "targets": [0],
                "parameters": {"angle": {"name": "theta_0", "value": None, "is_symbolic": True}},
            },
            Gate("RY", (0,), (THETA,)),
        ),
        (
            {
                "gate_type": "RZ",
                "targets": [0],
                "parameters": {"angle": {"name": "t", "value": 2, "is_symbolic": False}},
            },
            Gate("RZ", (0,), (2.0,)),
        ),
        ({"gate_type": "GPI", "targets": [0], "parameters": {"phi": 1}, "name": "label"}, Gate("GPI", (0,), (1.0,))),
        ({"gate_type": "MS", "targets": [0, 1]}, Gate("MS", (0, 1), (0.0, 0.0, math.pi / 4))),
        ({"gate_type": "MS", "targets": [0, 1], "parameters": {"angle": 1}}, Gate("MS", (0, 1), (0.0, 0.0, 1.0))),
        (
            {"gate_type": "MS", "targets": [0, 1], "parameters": {"phi0": 1, "phi1": 2, "theta": "theta_0"}},
            Gate("MS", (0, 1), (1.0, 2.0, THETA)),
        ),
        ({"type": "RY", "qubit": 0, "param": "theta_0"}, Gate("RY", (0,), (THETA,))),
        ({"type": "CNOT", "control": 0, "target": 1}, Gate("CNOT", (0, 1))),
        ({"gate": "toffoli", "qubits": [2, 0, 1]}, Gate("CCX", (2, 0, 1))),
        ({"gate": "rx", "qubits": [2], "angle": "pi/2"}, Gate("RX", (2,), (math.pi / 2,))),
        ({"gate": "rx", "qubits": [2], "parameters": {"angle": -1}}, Gate("RX", (2,), (-1.0,))),
        ({"type": "cx", "controls": [1], "targets": [0]}, Gate("CNOT", (1, 0))),
        ({"type": "CNOT", "controls": [1], "targets": [1, 0]}, Gate("CNOT", (1, 0))),
        ({"type": "X", "controls": [1, 2], "targets": [0]}, Gate("CCX", (1, 2, 0))),
        ({"type": "RY", "control": 1, "target": 0, "theta": 0.5}, Gate("CRY", (1, 0), (0.5,))),
        ({"type": "H", "targets": [0], "controls": None, "parameters": None}, Gate("H", (0,))),
        ({"type": "u", "qubit": 0, "parameters": {"theta": 1, "phi": 2, "lam": 3}}, Gate("U3", (0,), (1.0, 2.0, 3.0))),
        ({"type": "Hadamard", "targets": 0}, Gate("H", (0,))),
    ],
)
def test_every_dialect_is_read(row: dict[str, Any], gate: Gate) -> None:
    """Name, operands, angle and value in any of their spellings give the same gate."""
    assert read(row) == (gate,)


def test_an_angle_encoding_becomes_rotations() -> None:
    """The library's encoding row stands for RY(x_k) on its k-th qubit."""
    gates = read({"type": "encoding", "method": "angle", "qubits": [2, 0]}, {"type": "H", "qubit": 0})

    assert gates == (Gate("RY", (2,), (parse("x_0"),)), Gate("RY", (0,), (parse("x_1"),)), Gate("H", (0,)))


def test_the_index_counts_rows_even_after_an_encoding() -> None:
    """A fault behind an encoding row is reported at the row that was written."""
    with pytest.raises(InvalidCircuit) as caught:
        read({"type": "encoding", "method": "angle", "qubits": [0, 1]}, {"type": "H", "qubit": 7})

    assert caught.value.details == {"gate": "H", "index": 1}


RX = {"type": "RX", "targets": [0]}


@pytest.mark.parametrize(
    "row",
    [
        {"type": "WARP", "targets": [0]},
        {"type": "H", "targets": [0], "power": 2},
        {"type": "H", "targets": [0], "parameters": {"theta": 1}},
        {"type": "H", "gate": "X", "targets": [0]},
        {"targets": [0]},
        {"type": 3, "targets": [0]},
        {"type": "H"},
        {"type": "H", "targets": [0], "qubit": 0},
        {"type": "H", "targets": [True]},
        {"type": "H", "targets": ["0"]},
        {"type": "H", "targets": [0.0]},
        {"type": "H", "targets": [[0]]},
        {"type": "H", "targets": "0"},
        {"type": "H", "targets": list(range(100))},
        {"type": "CNOT", "targets": [1, 1]},
        {"type": "CNOT", "targets": [0, 3]},
        {"type": "H", "controls": [1], "targets": [0]},
        {"type": "H", "targets": [0], "name": {"deep": []}},
        RX,
        {**RX, "parameters": {}},
        {**RX, "parameters": [0.3]},
        {**RX, "parameters": {"beta": 0.3}},
        {**RX, "parameters": {"theta": 0.3, "phi": 0.2}},
        {**RX, "parameters": {"theta": 0.3}, "theta": 0.3},
        {**RX, "theta": True},
        {**RX, "theta": None},
        {**RX, "theta": math.nan},
        {**RX, "theta": -math.inf},
        {**RX, "theta": 10**400},
        {**RX, "theta": 1e300},
        {**RX, "theta": "1e400"},
        {**RX, "theta": "1/0"},
        {**RX, "theta": "nan + 1 +"},
        {**RX, "theta": "__import__('os')"},
        {**RX, "theta": "(" * 10_000},
        {**RX, "theta": "1" * 1_000_000},
        {**RX, "theta": [1]},
        {**RX, "theta": {"name": "t", "value": 1.0, "is_symbolic": True}},
        {**RX, "theta": {"name": "t", "value": None, "is_symbolic": False}},
        {**RX, "theta": {"name": "t", "value": {"name": "t"}, "is_symbolic": False}},
        {**RX, "theta": {"name": "t", "value": None, "is_symbolic": True, "extra": 1}},
        {"type": "MS", "targets": [0, 1], "parameters": {"phi0": 1}},
        {"type": "U3", "targets": [0], "parameters": {"theta": 1, "phi": 1, "lambda": 1, "mu": 1}},
        {"type": "encoding", "method": "amplitude", "qubits": [0]},
        {"type": "encoding", "method": "angle", "qubits": [True]},
        "H",
        None,
        ["H", 0],
    ],
)
def test_a_wrong_row_is_refused_with_its_index(row: Any) -> None:
    """Unknown gates and keys, wrong operands, wrong and hostile values name the row and are answered at once."""
    start = time.process_time()
    with pytest.raises(InvalidCircuit) as caught:
        read({"type": "H", "targets": [0]}, row)

    assert caught.value.details["index"] == 1
    assert len(caught.value.message) < 300
    assert time.process_time() - start < 0.1


@pytest.mark.parametrize(
    "definition",
    [
        {},
        [],
        None,
        {"n_qubits": 2},
        {"gates": [{"type": "H", "targets": [0]}]},
        {"n_qubits": True, "gates": [{"type": "H", "targets": [0]}]},
        {"n_qubits": 31, "gates": [{"type": "H", "targets": [0]}]},
        {"n_qubits": 2, "gates": []},
        {"n_qubits": 2, "gates": {"0": "H"}},
        {"n_qubits": 2, "gates": [None] * 10_001},
        {"n_qubits": 2, "gates": [{"type": "H", "targets": [0]}], "gatez": 1},
        {"n_qubits": 2, "gates": [{"type": "H", "targets": [0]}], "format": "qasm2"},
        {"n_qubits": 30, "gates": [{"type": "encoding", "method": "angle", "qubits": list(range(30))}] * 10_000},
    ],
)
def test_a_wrong_circuit_is_refused(definition: Any) -> None:
    """Missing or wrong counts, lists and keys of the circuit itself are INVALID_CIRCUIT without an index."""
    with pytest.raises(InvalidCircuit) as caught:
        unified.read(definition)

    assert "index" not in caught.value.details


def test_expressions_together_are_bounded() -> None:
    """Ten thousand long expressions are refused before they cost seconds."""
    rows = [{**RX, "theta": f"{'a+' * 200}{k}"} for k in range(10_000)]

    with pytest.raises(InvalidCircuit, match="characters together"):
        read(*rows)


def test_what_is_written_reads_back_equal() -> None:
    """Every gate with numbers and expressions survives write, JSON and read."""
    gates = [
        Gate(
            name, tuple(range(spec.n_qubits)), (parse("2*a - x_1/3"), 0.1, parse("sin(b)"))[: len(spec.parameter_names)]
        )
        for name, spec in GATES.items()
    ]
    circuit = Circuit.build(3, gates)

    written = unified.write(circuit)

    assert written["format"] == "unified"
    assert written["gates"][0] == {"type": "H", "targets": [0]}
    assert unified.read({"n_qubits": 3, **json.loads(json.dumps(written))}) == circuit


def test_ten_thousand_gates_are_read_quickly() -> None:
    """The largest circuit takes tens of milliseconds of processor time (the bound leaves room for a busy machine)."""
    rows: list[dict[str, Any]] = []
    for k in range(2_500):
        rows.append({"type": "RY", "targets": [k % 8], "parameters": {"theta": f"theta_{k}"}})
        rows.append({"type": "RZ", "targets": [k % 8], "parameters": {"theta": f"2*theta_{k % 64} + pi/2"}})
        rows.append({"type": "CNOT", "targets": [k % 8, (k + 1) % 8]})
        rows.append({"type": "RX", "targets": [k % 8], "parameters": {"theta": 0.3}})
    best = math.inf
    for _ in range(3):
        start = time.process_time()
        circuit = unified.read({"n_qubits": 8, "gates": rows})
        best = min(best, time.process_time() - start)

    assert circuit.gate_count == 10_000
    assert best < 0.2


def test_reading_circuits_imports_nothing_heavy() -> None:
    """The serving process reads circuits, observables, capabilities and backend names without numpy or numba."""
    script = (
        "import sys\n"
        "from qstore_appliance.engine import backend, circuit, discovery, expressions, kernel_cache, observables\n"
        "from qstore_appliance.engine.formats import unified\n"
        "discovery.names()\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'numpy', 'numba', 'scipy', 'cirq', 'qstore_backends'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
