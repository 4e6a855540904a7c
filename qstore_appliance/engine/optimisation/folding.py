"""
Turns about Z that act on the same parity become one, however far apart they stand (phase folding).

Between Hadamards, CNOT, X and SWAP only add up bits: each qubit carries a sum of unknown bits, and a turn about Z there
is a phase of that sum. Two turns on the same sum are one turn by both angles (Amy, Maslov and Mosca 2014,
arXiv:1303.2042). Symbols are kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from qstore_appliance.engine.circuit import Gate
from qstore_appliance.engine.optimisation.rotations import AXES, Parameter, negated, total, turn, turn_of

#: A sum of unknown bits, one bit of the number each, and whether it is flipped.
_Sum = tuple[int, bool]


def fold(gates: Sequence[Gate]) -> list[Gate]:
    """The gates with such turns put together where the first of them stood, up to a global phase."""
    folding = _Folding()
    for gate in gates:
        folding.add(gate)
    return folding.gates()


class _Folding:
    def __init__(self) -> None:
        self._out: list[Gate | None] = []
        self._sums: dict[int, _Sum] = {}
        self._unknown = 0
        #: By sum: where its turn stands, by how much it turns, and whether the sum was flipped there.
        self._turns: dict[int, tuple[int, int, Parameter, bool]] = {}

    def gates(self) -> list[Gate]:
        out = self._out
        for place, qubit, angle, flipped in self._turns.values():
            out[place] = turn("Z", qubit, negated(angle) if flipped else angle)
        return [gate for gate in out if gate is not None]

    def add(self, gate: Gate) -> None:
        name, targets = gate.name, gate.targets
        found = turn_of(gate) if len(targets) == 1 else None
        if found is not None and found[0] == "Z":
            self._fold(targets[0], found[1])
            return
        self._out.append(gate)
        if name == "X":
            bits, flipped = self._sum(targets[0])
            self._sums[targets[0]] = (bits, not flipped)
        elif name == "CNOT":
            (bits, flipped), (others, turned) = self._sum(targets[0]), self._sum(targets[1])
            self._sums[targets[1]] = (bits ^ others, flipped != turned)
        elif name == "SWAP":
            self._sums[targets[0]], self._sums[targets[1]] = self._sum(targets[1]), self._sum(targets[0])
        else:
            for qubit, axis in zip(targets, AXES[name], strict=True):
                if axis != "Z":
                    self._sums[qubit] = self._fresh()

    def _fold(self, qubit: int, angle: Parameter) -> None:
        bits, flipped = self._sum(qubit)
        known = self._turns.get(bits)
        if known is not None:
            place, first, before, there = known
            joined = total(before, negated(angle) if flipped else angle)
            if joined is not None:
                self._turns[bits] = (place, first, joined, there)
                return
        self._out.append(None)
        if known is not None:
            place, first, before, there = known
            self._out[place] = turn("Z", first, negated(before) if there else before)
        self._turns[bits] = (len(self._out) - 1, qubit, negated(angle) if flipped else angle, flipped)

    def _sum(self, qubit: int) -> _Sum:
        if qubit not in self._sums:
            self._sums[qubit] = self._fresh()
        return self._sums[qubit]

    def _fresh(self) -> _Sum:
        self._unknown += 1
        return (1 << self._unknown, False)
