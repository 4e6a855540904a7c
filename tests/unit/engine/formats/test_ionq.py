"""IonQ's JSON: what it says, what we make of it, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from qstore_appliance.engine import expressions
from qstore_appliance.engine.circuit import GATES, Circuit, Gate
from qstore_appliance.engine.formats import ionq
from qstore_appliance.errors import InvalidCircuit
from tests.contract.backends import oracle

TURN = 2 * math.pi


def unitary(circuit: Circuit) -> np.ndarray:
    """Column by column, from every basis state."""
    n = circuit.n_qubits
    columns = []
    for index in range(2**n):
        start = tuple(Gate("X", (q,)) for q in range(n) if index >> (n - 1 - q) & 1)
        columns.append(oracle.state(Circuit(n, start + circuit.gates), {}))
    return np.array(columns).T


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Zero for two unitaries that differ by a global phase at the most."""
    return abs(abs(np.vdot(one, other)) / len(one) - 1)


def qis(*rows: dict[str, Any], qubits: int | None = 3) -> dict[str, Any]:
    return {"gateset": "qis", **({"qubits": qubits} if qubits else {}), "circuit": list(rows)}


def native(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"gateset": "native", "qubits": 2, "circuit": list(rows)}


@pytest.mark.parametrize("gateset", ionq.GATESETS)
@pytest.mark.parametrize("name", sorted(GATES))
def test_writing_and_reading_keeps_the_unitary(name: str, gateset: str) -> None:
    """Every gate of the circuit model survives the way through either gate set, whatever its angles and operands."""
    spec = GATES[name]
    rng = np.random.default_rng(len(name))
    for _ in range(3):
        targets = tuple(rng.permutation(spec.n_qubits + 1)[: spec.n_qubits].tolist())
        angles = tuple(float(a) for a in rng.uniform(-7, 7, len(spec.parameter_names)))
        circuit = Circuit.build(spec.n_qubits + 1, [Gate(name, targets, angles)])

        written = ionq.write(circuit, gateset)

        assert distance(unitary(circuit), unitary(ionq.read(written))) < 1e-9


def test_native_angles_are_what_the_hardware_takes() -> None:
    """Phases lie within half a turn and interaction angles between nothing and a quarter turn."""
    rng = np.random.default_rng(3)
    gates = [Gate("MS", (0, 1), tuple(map(float, rng.uniform(-20, 20, 3)))) for _ in range(50)]

    rows = ionq.write(Circuit.build(2, gates), "native")["circuit"]

    assert all(0 <= row["angle"] <= 0.25 for row in rows if row["gate"] == "ms")
    assert all(abs(phase) <= 0.5 for row in rows for phase in row.get("phases", [row.get("phase")]))


def matrix_of(row: dict[str, Any]) -> np.ndarray:
    """The unitary of one row on two qubits."""
    return unitary(ionq.read(native(row)))


def test_native_gates_are_those_of_cirq() -> None:
    """In turns, and with the signs that cirq-ionq's own matrices have."""
    import cirq_ionq

    two = np.eye(2)
    cases = [
        ({"gate": "gpi", "target": 0, "phase": 0.17}, np.kron(cirq_ionq.GPIGate(phi=0.17)._unitary_(), two)),
        ({"gate": "gpi2", "target": 0, "phase": -0.3}, np.kron(cirq_ionq.GPI2Gate(phi=-0.3)._unitary_(), two)),
        (
            {"gate": "ms", "targets": [0, 1], "phases": [0.1, 0.4], "angle": 0.2},
            cirq_ionq.MSGate(phi0=0.1, phi1=0.4, theta=0.2)._unitary_(),
        ),
        ({"gate": "ms", "targets": [0, 1], "phases": [0, 0.5]}, cirq_ionq.MSGate(phi0=0, phi1=0.5)._unitary_()),
        ({"gate": "zz", "targets": [0, 1], "phase": 0.11}, cirq_ionq.ZZGate(theta=0.11)._unitary_()),
        ({"gate": "zz", "targets": [0, 1], "angle": 0.11}, cirq_ionq.ZZGate(theta=0.11)._unitary_()),
    ]
    for row, expected in cases:
        assert distance(matrix_of(row), expected) < 1e-12, row


@pytest.mark.parametrize("name", ["x", "y", "z", "h", "s", "si", "t", "ti", "v", "vi", "rx", "ry", "rz", "not", "cnot"])
@pytest.mark.parametrize("n_controls", [1, 2, 3])
def test_any_gate_may_have_controls(name: str, n_controls: int) -> None:
    """The controlled gate is the plain one where every control is one, and nothing elsewhere, phases included."""
    rotation = {"rotation": 0.7} if name.startswith("r") else {}
    plain = "x" if name in ("cnot", "not") else name
    inverse = {"vi": "v"}.get(plain, plain)
    alone = unitary(ionq.read(qis({"gate": inverse, "target": 0, **rotation}, qubits=1)))
    if plain == "vi":
        # Alone it is written as a rotation, which leaves out a phase; controlled the phase is seen.
        alone = alone.conj().T
    controls = list(range(n_controls))
    expected = np.eye(2 ** (n_controls + 1), dtype=complex)
    expected[-2:, -2:] = alone

    row = {"gate": name, "controls": controls, "target": n_controls, **rotation}
    found = unitary(ionq.read(qis(row, qubits=n_controls + 1)))

    assert np.abs(found - expected).max() < 1e-9


@pytest.mark.parametrize("name", ["swap", "xx", "yy", "zz"])
def test_gates_on_two_qubits_may_have_controls(name: str) -> None:
    """Also with two controls and operands in any order."""
    rotation = {} if name == "swap" else {"rotation": -1.1}
    alone = unitary(ionq.read(qis({"gate": name, "targets": [0, 1], **rotation}, qubits=2)))
    expected = np.eye(16, dtype=complex)
    expected[-4:, -4:] = alone

    found = unitary(ionq.read(qis({"gate": name, "controls": [1, 0], "targets": [2, 3], **rotation}, qubits=4)))

    assert np.abs(found - expected).max() < 1e-9


def test_exponentials_of_pauli_strings() -> None:
    """exp(-i time c P), the last letter on the first target, products where the terms commute."""
    row = {"gate": "pauliexp", "terms": ["XZ", "ZX"], "coefficients": [0.5, -1.5], "targets": [0, 1], "time": 0.3}
    z_x, x_z = np.kron(oracle.PAULI["Z"], oracle.PAULI["X"]), np.kron(oracle.PAULI["X"], oracle.PAULI["Z"])
    expected = oracle._exponential(z_x, 2 * 0.3 * 0.5) @ oracle._exponential(x_z, 2 * 0.3 * -1.5)

    assert distance(unitary(ionq.read(qis(row, qubits=2))), expected) < 1e-12


@pytest.mark.parametrize("n_qubits", [1, 2, 5])
def test_little_endian_turns_the_bits_around(n_qubits: int) -> None:
    """Qubit 0 changes from the highest bit to the lowest, one by one and in arrays, and twice is nothing."""
    indices = np.arange(2**n_qubits)

    turned = ionq.little_endian(indices, n_qubits)

    assert [int(f"{i:0{n_qubits}b}"[::-1], 2) for i in indices] == turned.tolist()
    assert ionq.little_endian(turned, n_qubits).tolist() == indices.tolist()
    assert [ionq.little_endian(int(i), n_qubits) for i in indices] == turned.tolist()


REFUSED: dict[str, tuple[dict[str, Any], int | None, str]] = {
    "unknown gate": (qis({"gate": "h", "target": 0}, {"gate": "foo", "target": 0}), 1, "no such gate"),
    "native among qis": (qis({"gate": "gpi", "target": 0, "phase": 0}), 0, "no such gate"),
    "qis among native": (native({"gate": "h", "target": 0}), 0, "no such gate"),
    "unknown key": (qis({"gate": "x", "target": 0, "if": 1}), 0, "'if'"),
    "no target": (qis({"gate": "x"}), 0, "1 target"),
    "several targets": (qis({"gate": "x", "targets": [0, 1]}), 0, "not 2"),
    "qubit beyond": (qis({"gate": "x", "target": 3}), 0, "0..2"),
    "negative qubit": (qis({"gate": "x", "target": -1}), 0, "0..2"),
    "qubit twice": (qis({"gate": "cnot", "control": 1, "target": 1}), 0, "twice"),
    "control twice": (qis({"gate": "x", "controls": [1, 1], "target": 0}), 0, "twice"),
    "half a qubit": (qis({"gate": "x", "target": 0.5}), 0, "whole numbers"),
    "truth as qubit": (qis({"gate": "x", "target": True}), 0, "whole numbers"),
    "no angle": (qis({"gate": "rx", "target": 0}), 0, "needs a rotation"),
    "angle is text": (qis({"gate": "rx", "target": 0, "rotation": "pi"}), 0, "finite"),
    "angle is NaN": (qis({"gate": "rx", "target": 0, "rotation": math.nan}), 0, "finite"),
    "angle for none": (qis({"gate": "x", "target": 0, "rotation": 1}), 0, "no rotation"),
    "cnot alone": (qis({"gate": "cnot", "target": 1}), 0, "needs a control"),
    "too many controls": (qis({"gate": "x", "controls": list(range(1, 10)), "target": 0}, qubits=10), 0, "1 to 7"),
    "terms that do not commute": (
        qis({"gate": "pauliexp", "terms": ["X", "Z"], "coefficients": [1, 1], "targets": [0], "time": 1}),
        0,
        "do not commute",
    ),
    "time runs backwards": (
        qis({"gate": "pauliexp", "terms": ["X"], "coefficients": [1], "targets": [0], "time": -1}),
        0,
        "negative",
    ),
    "phase beyond sense": (native({"gate": "gpi", "target": 0, "phase": 1e12}), 0, "finite"),
    "one phase of two": (native({"gate": "ms", "targets": [0, 1], "phases": [0]}), 0, "two phases"),
    "not an object": (qis("h"), 0, "object"),  # type: ignore[arg-type]
    "no list": ({"gateset": "qis", "qubits": 1, "circuit": "h"}, None, "list of gates"),
    "no qubits at all": (qis({"gate": "x", "target": 0}, qubits=0) | {"qubits": 0}, None, "1 to 30"),
    "gate set": ({"gateset": "qasm", "circuit": []}, None, "gateset"),
    "key of the circuit": ({"circuit": [], "registers": {}}, None, "registers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_expressed_is_refused(case: str) -> None:
    """With the gate's index and name where one gate is at fault, and a sentence that names the matter."""
    definition, index, words = REFUSED[case]

    with pytest.raises(InvalidCircuit, match=words) as caught:
        ionq.read(definition)

    assert caught.value.details.get("index") == index


def test_one_gate_may_not_become_too_many() -> None:
    """Controlled gates are counted as what they stand for."""
    row = {"gate": "h", "controls": list(range(1, 8)), "target": 0}

    with pytest.raises(InvalidCircuit, match="10,000"):
        ionq.read(qis(*[row] * 30, qubits=8))


def test_batches() -> None:
    """Each circuit inherits the batch's qubits and gate set unless it has its own, and a fault names its circuit."""
    batch: dict[str, Any] = {
        "gateset": "qis",
        "qubits": 2,
        "circuits": [
            {"circuit": [{"gate": "h", "target": 0}]},
            {"circuit": [{"gate": "gpi", "target": 0, "phase": 0.5}], "gateset": "native", "qubits": 1, "name": "b"},
        ],
    }

    first, second = ionq.read_many(batch)

    assert (first.n_qubits, first.gates) == (2, (Gate("H", (0,)),))
    assert (second.n_qubits, second.gates[0].name) == (1, "GPI")
    batch["circuits"][1]["circuit"][0]["gate"] = "h"
    with pytest.raises(InvalidCircuit) as caught:
        ionq.read_many(batch)
    assert caught.value.details == {"circuit": 1, "index": 0, "gate": "h"}


def test_a_circuit_of_measurements_alone() -> None:
    """IonQ takes a list without gates; the state stays zero."""
    circuit = ionq.read({"circuit": []})

    assert np.abs(oracle.state(circuit, {}) - [1, 0]).max() < 1e-12


def test_symbols_have_to_be_bound() -> None:
    """IonQ has no parameters, so a circuit with symbols is not written."""
    circuit = Circuit.build(1, [Gate("RX", (0,), (expressions.symbol("a"),))])

    with pytest.raises(InvalidCircuit, match="bind a"):
        ionq.write(circuit)
