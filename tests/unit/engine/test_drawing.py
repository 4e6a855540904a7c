"""Drawings of circuits: every gate stands where it acts, long ones wrap, and nothing in an SVG can act."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest

from qstore_appliance.engine import drawing, drawing_svg, expressions
from qstore_appliance.engine.circuit import GATES, MAX_GATES, Circuit, Gate

SVG = "{http://www.w3.org/2000/svg}"


def circuit(*gates: Gate, n_qubits: int = 3) -> Circuit:
    return Circuit.build(n_qubits, gates)


def test_a_circuit_as_text() -> None:
    """Controls, targets, boxes and the wires that a line crosses."""
    drawn = drawing.text(
        circuit(
            Gate("H", (0,)),
            Gate("CNOT", (0, 2)),
            Gate("RZ", (1,), (math.pi / 2,)),
            Gate("SWAP", (2, 1)),
            Gate("SDG", (0,)),
        )
    )

    assert drawn == (
        "q0 ─H──●────S†────────\n       │\nq1 ────┼──RZ(π/2)──✕──\n       │           │\nq2 ────⊕───────────✕──\n"
    )


def test_columns_are_as_early_as_wires_are_free() -> None:
    """A gate waits for the wires between its qubits too, so that no line crosses a box."""
    placed = drawing.place(circuit(Gate("H", (1,)), Gate("CZ", (0, 2)), Gate("X", (1,)), Gate("Y", (0,))))

    assert [gate.column for gate in placed] == [0, 1, 2, 2]


@pytest.mark.parametrize("name", sorted(GATES))
def test_every_gate_is_drawn(name: str) -> None:
    """Each operand of each gate has its label, in both drawings."""
    spec = GATES[name]
    gate = Gate(name, tuple(range(spec.n_qubits))[::-1], tuple(0.1 * (k + 1) for k in range(len(spec.parameter_names))))
    (placed,) = drawing.place(circuit(gate))

    text, root = drawing.text(circuit(gate)), ElementTree.fromstring(drawing_svg.svg(circuit(gate)))

    assert placed.qubits == tuple(range(spec.n_qubits))
    assert all(label in text for label in placed.labels)
    written = [element.text for element in root.iter(f"{SVG}text")]
    assert all(label in written for label in placed.labels if label not in drawing.MARKS)
    assert sum("0.1" in label for label in placed.labels) == (1 if spec.parameter_names else 0)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (math.pi, "π"), (-math.pi / 4, "-π/4"), (3 * math.pi / 8, "3π/8"), (0.0, "0"), (0.3, "0.3"), (1e-12, "1e-12"),
        (100 * math.pi, "314.2"), (expressions.parse("2*theta_0 + pi/2"), "2*theta_0 + π/2"),
        (expressions.parse("alpha_beta_gamma_delta"), "alpha_beta_gamm…"),
    ],
)  # fmt: skip
def test_angles(value: float, shown: str) -> None:
    """Fractions of π as such, other numbers with four digits, long expressions shortened."""
    assert drawing.angle(value) == shown


def test_long_circuits_wrap() -> None:
    """Rows are no wider than they may be, each with the names of all wires; 10,000 gates on 30 qubits are drawn."""
    many = circuit(*(Gate("RX", (k % 30,), (0.1,)) for k in range(MAX_GATES)), n_qubits=30)

    text = drawing.text(many, width=80)
    root = ElementTree.fromstring(drawing_svg.svg(many, width=800))

    assert max(map(len, text.splitlines())) <= 80
    assert text.count("RX(0.1)") == MAX_GATES
    assert text.count("q29 ─") == text.count("q0 ─") > 1
    assert float(root.get("width", "0")) <= 800 + drawing_svg.GAP
    assert len(list(root.iter(f"{SVG}rect"))) == MAX_GATES


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_svg_can_do_nothing(theme: drawing_svg.Theme) -> None:
    """Only shapes and texts: no script, style, link or handler, whatever the symbols are called."""
    root = ElementTree.fromstring(
        drawing_svg.svg(circuit(Gate("RX", (0,), (expressions.symbol("onload_script"),))), theme)
    )

    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg",
        "title",
        "text",
        "path",
        "rect",
        "circle",
    }
    names = {name for element in root.iter() for name in element.attrib}
    assert not any(name.startswith("on") or "href" in name or name == "style" for name in names)
    assert drawing_svg.COLOURS[theme]["rim"] in ElementTree.tostring(root, encoding="unicode")
