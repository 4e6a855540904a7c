"""
The gates of `qelib1.inc` and `stdgates.inc`, and those of Qiskit's library that people write without defining them.

Each is written in gates of ours, up to a global phase; of a controlled gate the phase of what it controls counts, so that
each has a row of its own.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Final

from qstore_appliance.engine import expressions
from qstore_appliance.engine.circuit import Gate
from qstore_appliance.engine.expressions import Expression

Number = float | Expression
Rule = tuple[int, int, Callable[[list[Number], tuple[int, ...]], list[Gate]]]
"""Angles, qubits, and what it is made of."""

_OWN_INVERSES: Final = frozenset(("H", "X", "Y", "Z", "CNOT", "CZ", "SWAP", "CCX", "CSWAP", "GPI"))
_PAIRS: Final = {"S": "SDG", "SDG": "S", "T": "TDG", "TDG": "T"}


def inverse(gate: Gate) -> list[Gate]:
    """What undoes a gate, up to a global phase."""
    name, q, angles = gate.name, gate.targets, gate.parameters
    if name in _OWN_INVERSES:
        return [gate]
    if name in _PAIRS:
        return [Gate(_PAIRS[name], q)]
    if name == "SX":
        return [Gate("RX", q, (-math.pi / 2,))]
    if name == "ISWAP":
        return [Gate("RXX", q, (math.pi / 2,)), Gate("RYY", q, (math.pi / 2,))]
    if name == "GPI2":
        return [Gate(name, q, (total(angles[0], math.pi),))]
    if name == "U3":
        theta, phi, lam = map(negated, angles)
        return [Gate(name, q, (theta, lam, phi))]
    if name == "MS":
        return [Gate(name, q, (*angles[:2], negated(angles[2])))]
    return [Gate(name, q, tuple(map(negated, angles)))]


def negated(value: Number) -> Number:
    return value.times(-1.0) if isinstance(value, Expression) else -value


def total(*values: Number, factor: float = 1.0) -> Number:
    """A sum, multiplied."""
    number = factor * sum(value for value in values if not isinstance(value, Expression))
    symbolic = [value.times(factor) if factor != 1.0 else value for value in values if isinstance(value, Expression)]
    if not symbolic:
        return number
    if number:
        symbolic.append(expressions.constant(number))
    return functools.reduce(Expression.plus, symbolic)


def _plain(name: str, n_qubits: int = 1) -> Rule:
    return 0, n_qubits, lambda angles, qubits: [Gate(name, qubits)]


def _turn(name: str, n_qubits: int = 1) -> Rule:
    return 1, n_qubits, lambda angles, qubits: [Gate(name, qubits, tuple(angles))]


def _fixed(name: str, angle: float) -> Rule:
    return 0, 1, lambda angles, qubits: [Gate(name, qubits, (angle,))]


def _cy(angles: list[Number], q: tuple[int, ...]) -> list[Gate]:
    return [Gate("SDG", q[1:]), Gate("CNOT", q), Gate("S", q[1:])]


def _ch(angles: list[Number], q: tuple[int, ...]) -> list[Gate]:
    """H = RY(pi/4) Z RY(-pi/4), phase included."""
    return [Gate("RY", q[1:], (-math.pi / 4,)), Gate("CZ", q), Gate("RY", q[1:], (math.pi / 4,))]


def _csx(angles: list[Number], q: tuple[int, ...]) -> list[Gate]:
    """SX = H P(pi/2) H, phase included."""
    return [Gate("H", q[1:]), Gate("CP", q, (math.pi / 2,)), Gate("H", q[1:])]


def _ccz(angles: list[Number], q: tuple[int, ...]) -> list[Gate]:
    return [Gate("H", q[2:]), Gate("CCX", q), Gate("H", q[2:])]


def _cu3(angles: list[Number], q: tuple[int, ...]) -> list[Gate]:
    theta, phi, lam = angles
    return [
        Gate("P", q[:1], (total(lam, phi, factor=0.5),)),
        Gate("P", q[1:], (total(lam, negated(phi), factor=0.5),)),
        Gate("CNOT", q),
        Gate("U3", q[1:], (total(theta, factor=-0.5), 0.0, total(phi, lam, factor=-0.5))),
        Gate("CNOT", q),
        Gate("U3", q[1:], (total(theta, factor=0.5), phi, 0.0)),
    ]


def _cu(angles: list[Number], q: tuple[int, ...]) -> list[Gate]:
    return [Gate("P", q[:1], (angles[3],)), *_cu3(angles[:3], q)]


GATES: Final[Mapping[str, Rule]] = {
    "id": (0, 1, lambda angles, qubits: []),
    "u0": (1, 1, lambda angles, qubits: []),
    **{name.lower(): _plain(name) for name in ("H", "X", "Y", "Z", "S", "SDG", "T", "TDG", "SX")},
    "sxdg": _fixed("RX", -math.pi / 2),
    **{name.lower(): _turn(name) for name in ("P", "RX", "RY", "RZ")},
    **dict.fromkeys(("u1", "phase"), _turn("P")),
    "u2": (2, 1, lambda a, q: [Gate("U3", q, (math.pi / 2, *a))]),
    **dict.fromkeys(("u3", "u"), (3, 1, lambda a, q: [Gate("U3", q, tuple(a))])),
    "cx": _plain("CNOT", 2),
    **{name.lower(): _plain(name, 2) for name in ("CZ", "SWAP", "ISWAP")},
    "cy": (0, 2, _cy),
    "ch": (0, 2, _ch),
    "csx": (0, 2, _csx),
    "cs": (0, 2, lambda a, q: [Gate("CP", q, (math.pi / 2,))]),
    "csdg": (0, 2, lambda a, q: [Gate("CP", q, (-math.pi / 2,))]),
    "ct": (0, 2, lambda a, q: [Gate("CP", q, (math.pi / 4,))]),
    **{name.lower(): _turn(name, 2) for name in ("CP", "CRX", "CRY", "CRZ", "RXX", "RYY", "RZZ")},
    **dict.fromkeys(("cu1", "cphase"), _turn("CP", 2)),
    "cu3": (3, 2, _cu3),
    "cu": (4, 2, _cu),
    "ccx": _plain("CCX", 3),
    "cswap": _plain("CSWAP", 3),
    "ccz": (0, 3, _ccz),
}
"""By name. A `ctrl @` is looked up as a `c` in front of the name."""
