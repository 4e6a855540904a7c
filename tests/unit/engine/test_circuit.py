"""Circuits: what is refused when one is built, and what can be read from one."""

from __future__ import annotations

import math

import pytest

from qstore_appliance.engine.circuit import GATES, MAX_GATES, Circuit, Gate
from qstore_appliance.engine.expressions import of_tape, parse
from qstore_appliance.errors import InvalidCircuit

H, CNOT = Gate("H", (0,)), Gate("CNOT", (0, 1))


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (Gate("TELEPORT", (0,)), "no such gate"),
        (Gate("h", (0,)), "no such gate"),
        (Gate("H", (3,)), "not in 0..2"),
        (Gate("H", (-1,)), "not in 0..2"),
        (Gate("H", (True,)), "whole numbers"),
        (Gate("H", ("0",)), "whole numbers"),  # type: ignore[arg-type]
        (Gate("H", (10**400,)), "not in 0..2"),
        (Gate("H", (0, 1)), "acts on 1 qubit, not 2"),
        (Gate("CNOT", (1, 1)), "same qubit twice"),
        (Gate("H", (0,), (0.3,)), "takes 0 parameters"),
        (Gate("U3", (0,), (0.1, 0.2)), "takes 3 parameters"),
        (Gate("RX", (0,), (math.nan,)), "finite"),
        (Gate("RX", (0,), (math.inf,)), "finite"),
        (Gate("RX", (0,), (1e300,)), "finite"),
        (Gate("RX", (0,), (True,)), "number or an expression"),
        (Gate("RX", (0,), (1j,)), "number or an expression"),  # type: ignore[arg-type]
        (Gate("RX", (0,), ("theta",)), "number or an expression"),  # type: ignore[arg-type]
        (Gate("RX", (0,), (parse("1e5*1e9"),)), "finite"),
        (Gate("RX", (0,), (of_tape((1.0, 0.0, "/")),)), "no finite value"),
        (Gate("RX", (0,), (parse("x_65536"),)), "beyond the last feature"),
        (Gate("RX", (0,), (parse("x_" + "9" * 300),)), "beyond the last feature"),
        (Gate("RX", (0,), (parse("x_007"),)), "leading zeros"),
    ],
)
def test_a_wrong_gate_is_named_with_its_place(gate: Gate, message: str) -> None:
    """Every fault of a gate is INVALID_CIRCUIT with index and name in its details."""
    with pytest.raises(InvalidCircuit, match=message) as caught:
        Circuit.build(3, [H, gate, H])

    assert caught.value.details == {"gate": gate.name, "index": 1}


@pytest.mark.parametrize("n_qubits", [0, 31, -1, 10**9, True, 2.0, "2", None])
def test_one_to_thirty_qubits(n_qubits: object) -> None:
    """Any other count, and anything that is no whole number, is refused without an index."""
    with pytest.raises(InvalidCircuit) as caught:
        Circuit.build(n_qubits, [H])  # type: ignore[arg-type]

    assert "index" not in caught.value.details


@pytest.mark.parametrize("count", [0, MAX_GATES + 1])
def test_one_to_ten_thousand_gates(count: int) -> None:
    """An empty circuit and one gate too many are refused."""
    with pytest.raises(InvalidCircuit, match="gate"):
        Circuit.build(1, [H] * count)


@pytest.mark.parametrize(
    ("gates", "depth"),
    [
        ([H, CNOT, Gate("RY", (0,), (0.1,))], 3),
        ([H, Gate("H", (1,)), Gate("H", (2,))], 1),
        ([H, H, CNOT, Gate("H", (2,))], 3),
        ([CNOT, Gate("CCX", (2, 1, 0)), Gate("CNOT", (1, 2))], 3),
    ],
)
def test_depth_layers_gates_as_soon_as_possible(gates: list[Gate], depth: int) -> None:
    """Gates on free qubits share a layer."""
    assert Circuit.build(3, gates).depth == depth


def test_symbols_are_features_or_weights() -> None:
    """`x_<k>` are features by number; everything else is a weight, in order of first appearance."""
    angles = ["b", "2*x_10 + a", "x_2", "x_y + b", "x_"]
    circuit = Circuit.build(1, [Gate("RX", (0,), (parse(text),)) for text in angles])

    assert circuit.symbols == ("b", "x_10", "a", "x_2", "x_y", "x_")
    assert circuit.features == (2, 10)
    assert circuit.weights == ("b", "a", "x_y", "x_")
    assert circuit.gate_count == 5


def test_binding_replaces_what_is_known() -> None:
    """Expressions whose symbols all have values become numbers; others stay."""
    circuit = Circuit.build(1, [Gate("RX", (0,), (parse("2*a"),)), Gate("RY", (0,), (parse("a + b"),))])

    bound = circuit.bind({"a": 0.5})

    assert bound.gates[0].parameters == (1.0,)
    assert bound.weights == ("a", "b")
    assert bound.bind({"a": 1.0, "b": 1.0}).symbols == ()


def test_binding_to_no_number_is_refused() -> None:
    """A value for which an expression is infinite names the gate."""
    circuit = Circuit.build(1, [H, Gate("RX", (0,), (parse("1/a"),))])

    with pytest.raises(InvalidCircuit) as caught:
        circuit.bind({"a": 0.0})

    assert caught.value.details["index"] == 1


def test_the_gate_table_is_complete() -> None:
    """The specification's gates, those of the version 4 library and the further ones are all there."""
    wanted = "H X Y Z S SDG T TDG SX P RX RY RZ U3 GPI GPI2 MS CNOT CZ SWAP ISWAP CRX CRY CRZ CP RXX RYY RZZ CCX CSWAP"

    assert set(GATES) == set(wanted.split())
