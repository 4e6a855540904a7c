"""
A circuit drawn as SVG: no script, no style sheet, nothing from elsewhere, and every text escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal
from xml.sax.saxutils import escape

from qstore_appliance.engine import drawing
from qstore_appliance.engine.circuit import Circuit
from qstore_appliance.engine.drawing import Placed

Theme = Literal["light", "dark"]
#: The dashboard's own: ink, wires, boxes, their rim, and what acts on several qubits.
COLOURS: Final[Mapping[str, Mapping[str, str]]] = {
    "light": {"ink": "#10151c", "wire": "#8b95a3", "box": "#e1f1f5", "rim": "#0a6b83", "mark": "#0a6b83"},
    "dark": {"ink": "#e8edf2", "wire": "#64717f", "box": "#10303a", "rim": "#5cc8dc", "mark": "#5cc8dc"},
}
FONT: Final = "Inter, system-ui, sans-serif"
WIRE, GAP, BOX, LETTER, MARGIN = 40, 18, 28, 7.4, 46
"""Between two wires, between two boxes and two rows, a box's height, a letter's width, and room for the wires' names."""


def svg(circuit: Circuit, theme: Theme = "light", width: int = 1_100) -> str:
    """
    The drawing as an SVG document.

    Args:
        width: Of a row, in pixels; a column that is wider stands alone in a row.
    """
    colours = COLOURS[theme]
    placed = drawing.place(circuit)
    widths = [0] * (max(gate.column for gate in placed) + 1)
    for gate in placed:
        widths[gate.column] = max(widths[gate.column], *(_wide(label) + GAP for label in gate.labels))
    columns: list[list[Placed]] = [[] for _ in widths]
    for gate in placed:
        columns[gate.column].append(gate)
    parts, top, widest = [], GAP, 0
    for row in drawing.rows(widths, width - MARGIN):
        right = MARGIN + sum(widths[column] for column in row) + GAP // 2
        widest = max(widest, right)
        for qubit in range(circuit.n_qubits):
            y = top + qubit * WIRE + BOX // 2
            parts.append(f'<text x="4" y="{y + 4}" fill="{colours["wire"]}">q{qubit}</text>')
            parts.append(f'<path d="M{MARGIN - 12} {y}H{right}" stroke="{colours["wire"]}"/>')
        left = MARGIN
        for column in row:
            middle = left + widths[column] // 2
            for gate in columns[column]:
                parts.extend(_gate(gate, middle, top, colours))
            left += widths[column]
        top += circuit.n_qubits * WIRE + GAP
    title = escape(f"Circuit of {circuit.gate_count} gates on {circuit.n_qubits} qubits")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {widest} {top}" width="{widest}" height="{top}" role="img" '
        f'font-family="{FONT}" font-size="13" fill="none"><title>{title}</title>{"".join(parts)}</svg>\n'
    )


def _gate(gate: Placed, x: int, top: int, colours: Mapping[str, str]) -> list[str]:
    ys = [top + qubit * WIRE + BOX // 2 for qubit in gate.qubits]
    parts = []
    if len(ys) > 1:
        parts.append(f'<path d="M{x} {ys[0]}V{ys[-1]}" stroke="{colours["mark"]}" stroke-width="1.5"/>')
    for y, label in zip(ys, gate.labels, strict=True):
        parts.append(_mark(label, x, y, colours) if label in drawing.MARKS else _box(label, x, y, colours))
    return parts


def _mark(label: str, x: int, y: int, colours: Mapping[str, str]) -> str:
    mark = colours["mark"]
    if label == "●":
        return f'<circle cx="{x}" cy="{y}" r="4.5" fill="{mark}"/>'
    if label == "⊕":
        cross = f'<path d="M{x - 10} {y}h20M{x} {y - 10}v20" stroke="{mark}" stroke-width="1.5"/>'
        return f'<circle cx="{x}" cy="{y}" r="10" fill="{colours["box"]}" stroke="{mark}" stroke-width="1.5"/>{cross}'
    return f'<path d="M{x - 6} {y - 6}l12 12M{x - 6} {y + 6}l12 -12" stroke="{mark}" stroke-width="2"/>'


def _box(label: str, x: int, y: int, colours: Mapping[str, str]) -> str:
    wide = _wide(label)
    rect = f'<rect x="{x - wide / 2:g}" y="{y - BOX // 2}" width="{wide}" height="{BOX}" rx="5"'
    return (
        f'{rect} fill="{colours["box"]}" stroke="{colours["rim"]}"/>'
        f'<text x="{x}" y="{y + 4.5:g}" text-anchor="middle" fill="{colours["ink"]}">{escape(label)}</text>'
    )


def _wide(label: str) -> int:
    """A box's width, in pixels; a mark's as well."""
    return BOX if label in drawing.MARKS else max(BOX, round(len(label) * LETTER) + 14)
