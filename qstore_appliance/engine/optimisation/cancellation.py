"""
What undoes itself goes, and turns about the same axis become one, also past gates that they commute with.

One sweep in order of time: each gate looks back along its qubits for a partner, no further than a gate that it does not
commute with. Linear in the number of gates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from qstore_appliance.engine.circuit import Gate
from qstore_appliance.engine.expressions import Expression
from qstore_appliance.engine.optimisation.rotations import (
    INVOLUTIONS,
    NOTHING,
    PAIR_TURNS,
    SYMMETRIC,
    commute,
    total,
    turn,
    turn_of,
)

#: Gates that one gate looks back over.
REACH: Final = 60


def cancel(gates: Sequence[Gate], reach: int = REACH) -> list[Gate]:
    """The gates without what cancels, up to a global phase."""
    sweep = _Sweep(reach)
    for gate in gates:
        sweep.add(gate)
    return [gate for gate in sweep.kept if gate is not None]


class _Sweep:
    """
    Attributes:
        kept: What is left so far; None where a gate is gone.
    """

    def __init__(self, reach: int) -> None:
        self.kept: list[Gate | None] = []
        self._wires: dict[int, list[int]] = {}
        self._reach = reach

    def add(self, gate: Gate) -> None:
        plain = _plain(gate)
        if plain is None:
            return
        place = self._partner(plain)
        if place is None:
            self._append(plain)
            return
        partner = self.kept[place]
        assert partner is not None
        joined = _joined(partner, plain)
        assert joined is not None
        self.kept[place] = joined[0]
        if joined[0] is None:
            for qubit in partner.targets:
                wire = self._wires[qubit]
                # Nearly always the last few.
                del wire[len(wire) - 1 - wire[::-1].index(place)]

    def _append(self, gate: Gate) -> None:
        place = len(self.kept)
        self.kept.append(gate)
        for qubit in gate.targets:
            self._wires.setdefault(qubit, []).append(place)

    def _partner(self, gate: Gate) -> int | None:
        wires = [self._wires.get(qubit, ()) for qubit in gate.targets]
        ends = [len(wire) - 1 for wire in wires]
        for _ in range(self._reach):
            place = max((wire[end] for wire, end in zip(wires, ends, strict=True) if end >= 0), default=-1)
            if place < 0:
                return None
            other = self.kept[place]
            assert other is not None
            if _joined(other, gate) is not None:
                return place
            if not commute(other, gate):
                return None
            for number, wire in enumerate(wires):
                if ends[number] >= 0 and wire[ends[number]] == place:
                    ends[number] -= 1
        return None


def _plain(gate: Gate) -> Gate | None:
    """A rotation under its own name, or gone where it turns by nothing; other gates as they are."""
    if gate.name in PAIR_TURNS:
        return _pair(gate, gate.parameters[0])
    if gate.parameters and (found := turn_of(gate)) is not None:
        return turn(found[0], gate.targets[0], found[1])
    return gate


def _pair(gate: Gate, angle: float | Expression) -> Gate | None:
    if isinstance(angle, Expression):
        return Gate(gate.name, gate.targets, (angle,))
    angle = math.remainder(angle, PAIR_TURNS[gate.name])
    return None if abs(angle) < NOTHING else Gate(gate.name, gate.targets, (angle,))


def _joined(one: Gate, other: Gate) -> tuple[Gate | None] | None:
    """What two neighbours are together, (None,) where that is nothing; None where they stay two."""
    if one.targets != other.targets and not (
        one.name == other.name and one.name in SYMMETRIC and one.targets == other.targets[::-1]
    ):
        return None
    if one.name == other.name and one.name in INVOLUTIONS:
        return (None,)
    if len(one.targets) == 1:
        mine, theirs = turn_of(one), turn_of(other)
        if mine is None or theirs is None or mine[0] != theirs[0]:
            return None
        angle = total(mine[1], theirs[1])
        return None if angle is None else (turn(mine[0], one.targets[0], angle),)
    if one.name == other.name and one.name in PAIR_TURNS:
        angle = total(one.parameters[0], other.parameters[0])
        return None if angle is None else (_pair(one, angle),)
    return None
