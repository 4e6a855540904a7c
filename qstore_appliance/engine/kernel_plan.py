"""
A program arranged for the kernels: what commutes is put together, what only permutes is not carried out at all.

CNOT and SWAP permute basis states linearly (over bits), so amplitudes stay where they are and the meaning of their places
changes: after them a rotation of one qubit mixes index and index ^ v, and an odd number of ones in index & u is that
qubit's |1>. A circuit of rotations and rings of CNOTs becomes rotations alone; RZZ, written CNOT RZ CNOT, one diagonal.

States that outgrow the cache are walked in *sweeps*: the masks v of a few commuting gates span a small subspace, and each
of its cosets is fetched into the cache once for all of those gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.kernel_cache import lane_bits as _lane_bits
from qstore_appliance.engine.observables import Observable
from qstore_appliance.engine.program import GROUP, Program

Integers = NDArray[np.int64]

LANE_BITS: Final = _lane_bits()

ROTATE: Final = 0
PHASE: Final = 1
CONTROLLED_Z: Final = 2
TOFFOLI: Final = 3


def _cache_bits() -> int:
    """How many rows, as a power of two, of state and costate in single precision fill half of a core's own cache."""
    try:
        text = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text(encoding="ascii").strip()
        size = int(text.removesuffix("K")) * 1024
    except (OSError, ValueError):
        size = 2**19
    return min(14, max(9, (size // 2 // (16 << LANE_BITS)).bit_length() - 1))


#: Up to so many rows (as a power of two) a state is walked as a whole.
DIRECT_BITS: Final = _cache_bits()
#: The same for a circuit that reads no features: it has no other samples, so that cores rather share its state.
DIRECT_BITS_ALONE: Final = min(10, DIRECT_BITS)
#: Samples share rows up to here; from the next size on, a row is that many amplitudes of one sample.
MOST_QUBITS_IN_LANES: Final = min(12, DIRECT_BITS)
MOST_QUBITS_IN_LANES_ALONE: Final = LANE_BITS
#: Rows that a sweep fetches at once, as a power of two: state and costate fill most of a first-level cache.
SWEEP_BITS: Final = 7
#: Columns of the table that the kernels get.
COLUMNS: Final = 13
#: How far ahead a sweep looks for gates that may come earlier.
LOOK_AHEAD: Final = 64

_LANES: Final = range(1 << LANE_BITS)
_LANE: Final = np.array([[1 - 2 * ((lane & mask).bit_count() & 1) for lane in _LANES] for mask in _LANES])

SIGNS: Final = {kind: np.concatenate([_LANE, -_LANE]).astype(kind) for kind in (np.float32, np.float64)}
"""By type; row p * lanes + m has the sign of an odd number of ones in lane & m, turned over where p is 1."""


@dataclass(frozen=True, eq=False)
class _Gate:
    """A gate on places: masks over whole indices; `slots` of a rotation."""

    code: int
    v: int
    u: int
    u2: int = 0
    slots: tuple[int, int] = (0, 0)

    def commutes(self, other: _Gate) -> bool:
        """Whether they may change places; never true by mistake."""
        return not (
            (((self.u & other.v).bit_count() | (self.u2 & other.v).bit_count()) & 1)
            or (((other.u & self.v).bit_count() | (other.u2 & self.v).bit_count()) & 1)
        )


@dataclass(frozen=True, eq=False)
class KernelPlan:
    """
    What the kernels interpret.

    Attributes:
        lane_bits: 0 where lanes are samples, `LANE_BITS` where they are amplitudes.
        row_bits: A state has 2**row_bits rows.
        direct: Whether a state is walked as a whole.
        gates: int64[n, 13], see `_row`.
        sweeps: int64[n, 13]: first gate, one past the last, dimension, cosets on the way forward and in all, and (unless
            a state is walked as a whole) the basis that spans a coset, by ascending highest bit.
        slots: int64[n_slots, 3]: axis, row among the sample slots or -1, row among the gradient slots or -1.
        u, v: The masks of each qubit at the end.
    """

    lane_bits: int
    row_bits: int
    direct: bool
    gates: Integers
    sweeps: Integers
    slots: Integers
    u: tuple[int, ...]
    v: tuple[int, ...]

    @classmethod
    def of(cls, program: Program) -> KernelPlan:
        """Arrange a program; the arrangement depends on the circuit alone."""
        n_qubits = program.n_qubits
        alone = program.n_features == 0
        most = MOST_QUBITS_IN_LANES_ALONE if alone else MOST_QUBITS_IN_LANES
        lane_bits = 0 if n_qubits <= most else LANE_BITS
        row_bits = n_qubits - lane_bits
        gates, u, v = _followed(program)
        gates, opening = _opened(gates)
        gradient = np.full(program.n_slots, -1, np.int64)
        gradient[program.gradient_slots] = np.arange(len(program.gradient_slots))
        if row_bits <= (DIRECT_BITS_ALONE if alone else DIRECT_BITS):
            direct, parts = True, [gates] if gates else []
            bases = [[1 << bit for bit in range(row_bits)]] * len(parts)
        else:
            direct, (parts, bases) = False, _swept(gates, lane_bits)
        return cls(
            lane_bits,
            row_bits,
            direct,
            *_arrays(parts, bases, opening, lane_bits, row_bits, gradient >= 0),
            np.stack([program.axes.astype(np.int64), _places(program), gradient], axis=1),
            tuple(u),
            tuple(v),
        )

    def table(self, program: Program, observables: Sequence[Observable], kind: Any) -> tuple[NDArray[Any], ...]:
        """
        All of it as the kernels take it: whole numbers, floating ones, and signs in the precision of the states.

        The first row of the whole numbers says where each part begins and the last one ends: gates, sweeps, slots, the
        slots that differ between samples, terms (slot, source) that samples share, terms (row of those slots, source) of a
        sample's own, observables. The floating ones are the slots' offsets, then the terms' factors.
        """
        shared, own = program.shared_terms, program.sample_terms
        parts = [
            self.gates,
            self.sweeps,
            self.slots,
            program.sample_slots.reshape(-1, 1),
            np.stack([shared.rows, shared.columns], axis=1),
            np.stack([own.rows, own.columns], axis=1),
            self.masks(observables),
        ]
        rows = np.zeros((1 + sum(map(len, parts)), COLUMNS), np.int64)
        end = 1
        for place, part in enumerate(parts):
            rows[0, place] = end
            rows[end : end + len(part), : part.shape[1]] = part
            end += len(part)
        rows[0, len(parts)] = end
        return rows, np.concatenate([program.offsets, shared.factors, own.factors]), SIGNS[kind]

    def masks(self, observables: Sequence[Observable]) -> Integers:
        """Rows (mask that flips, mask that signs, number of Y modulo 4) of Pauli strings on the final places."""
        rows = []
        for observable in observables:
            flip = sign = turns = 0
            for qubit, pauli in observable.terms:
                flip ^= self.v[qubit] if pauli != "Z" else 0
                sign ^= self.u[qubit] if pauli != "X" else 0
                turns += pauli == "Y"
            rows.append((flip, sign, turns % 4))
        return np.array(rows, np.int64).reshape(-1, 3)

    def places(self) -> Integers:
        """The place of each amplitude: index by index of the usual order."""
        found = np.zeros(1, np.int64)
        for v in self.v:
            found = np.stack([found, found ^ v], axis=1).reshape(-1)
        return found


def _places(program: Program) -> Integers:
    places = np.full(program.n_slots, -1, np.int64)
    places[program.sample_slots] = np.arange(len(program.sample_slots))
    return places


def _followed(program: Program) -> tuple[list[_Gate], list[int], list[int]]:
    """The gates that are carried out, with the masks that hold when each of them comes."""
    n = program.n_qubits
    u = [1 << (n - 1 - qubit) for qubit in range(n)]
    v = list(u)
    gates = []
    for code, a, b, c in program.operations.tolist():
        if code == GROUP:
            diagonal = bool((program.axes[b:c] == 2).all())
            gates.append(_Gate(PHASE if diagonal else ROTATE, 0 if diagonal else v[a], u[a], slots=(b, c)))
        elif code == 1:
            v[a] ^= v[b]
            u[b] ^= u[a]
        elif code == 2:
            gates.append(_Gate(CONTROLLED_Z, 0, u[a], u[b]))
        elif code == 3:
            u[a], u[b], v[a], v[b] = u[b], u[a], v[b], v[a]
        else:
            gates.append(_Gate(TOFFOLI, v[c], u[a], u[b]))
    return gates, u, v


def _opened(gates: list[_Gate]) -> tuple[list[_Gate], set[_Gate]]:
    """
    Gates that may come first, one to a bit, by ascending bit: over a state that is still zero elsewhere they cost little.

    Returns:
        All gates, and those of them that open.
    """
    opening: dict[int, _Gate] = {}
    rest: list[_Gate] = []
    for gate in gates:
        single = gate.u.bit_count() == 1 and gate.v in (0, gate.u) and gate.code in (ROTATE, PHASE)
        free = len(rest) <= LOOK_AHEAD and all(gate.commutes(other) for other in rest)
        if single and free and gate.u not in opening:
            opening[gate.u] = gate
        else:
            rest.append(gate)
    return [opening[bit] for bit in sorted(opening)] + rest, set(opening.values())


def _swept(gates: list[_Gate], lane_bits: int) -> tuple[list[list[_Gate]], list[list[int]]]:
    """Gates in sweeps, each with a basis of the rows that it needs together, in echelon form."""
    parts, bases = [], []
    remaining = gates
    while remaining:
        # The lowest bit always belongs to it: what is fetched is then at least a cache line.
        basis = [1]
        part: list[_Gate] = []
        skipped: list[_Gate] = []
        for place, gate in enumerate(remaining):
            if len(skipped) >= LOOK_AHEAD:
                skipped += remaining[place:]
                break
            wider = _joined(basis, gate.v >> lane_bits)
            if len(wider) <= SWEEP_BITS and all(gate.commutes(other) for other in skipped):
                basis = wider
                part.append(gate)
            else:
                skipped.append(gate)
        parts.append(part)
        bases.append(sorted(basis))
        remaining = skipped
    return parts, bases


def _joined(basis: list[int], vector: int) -> list[int]:
    """A basis in reduced echelon form (each leading one stands in no other member) with one more vector."""
    for member in basis:
        if vector >> (member.bit_length() - 1) & 1:
            vector ^= member
    if not vector:
        return basis
    lead = vector.bit_length() - 1
    return [member ^ vector if member >> lead & 1 else member for member in basis] + [vector]


def _arrays(
    parts: list[list[_Gate]],
    bases: list[list[int]],
    opening: set[_Gate],
    lane_bits: int,
    row_bits: int,
    wanted: NDArray[np.bool_],
) -> tuple[Integers, Integers]:
    gates: list[tuple[int, ...]] = []
    sweeps = np.zeros((len(parts), COLUMNS), np.int64)
    backs = _backs([gate for part in parts for gate in part], wanted)
    filled = 1  # rows that may differ from zero
    for sweep, part, basis in zip(sweeps, parts, bases, strict=True):
        first, size = len(gates), 1 << len(basis)
        leads = [member.bit_length() - 1 for member in basis]
        direct = len(basis) == row_bits
        reach = filled
        for gate in part:
            if gate in opening:
                filled = max(filled, 2 * (gate.v >> lane_bits))
            else:
                filled = 1 << row_bits
            rows = filled if direct else size
            gates.append(_row(gate, basis, leads, lane_bits, backs[len(gates)], rows))
        cosets = 1 << (row_bits - len(basis))
        # Only gates that open leave zeros in whole cosets: their bases are single bits.
        below = sum(1 << bit < reach for bit in range(row_bits) if bit not in leads)
        filling = 1 << below if all(gate in opening for gate in part) else cosets
        sweep[:5] = first, len(gates), len(basis), filling, cosets
        if not direct:
            sweep[5 : 5 + len(basis)] = basis
    return np.array(gates, np.int64).reshape(-1, COLUMNS), sweeps


def _row(gate: _Gate, basis: list[int], leads: list[int], lane_bits: int, back: int, rows: int) -> tuple[int, ...]:
    """Code; v, u and u2, each as local rows and lanes; u and u2 over all rows; slots; way back; rows forward."""
    lanes = (1 << lane_bits) - 1
    v, u, u2 = gate.v >> lane_bits, gate.u >> lane_bits, gate.u2 >> lane_bits
    local_v = sum((v >> lead & 1) << place for place, lead in enumerate(leads))
    local_u = sum(((member & u).bit_count() & 1) << place for place, member in enumerate(basis))
    local_u2 = sum(((member & u2).bit_count() & 1) << place for place, member in enumerate(basis))
    return (
        gate.code, local_v, gate.v & lanes, local_u, gate.u & lanes, local_u2, gate.u2 & lanes, u, u2,
        *gate.slots, back, rows,
    )  # fmt: skip


def _backs(gates: list[_Gate], wanted: NDArray[np.bool_]) -> list[int]:
    """What to do with each gate on the way back: 1 undo it, 2 measure it, 3 both, 0 nothing."""
    backs = []
    touched: list[_Gate] = []
    for gate in gates:
        measure = bool(wanted[gate.slots[0] : gate.slots[1]].any())
        # What commutes with everything that comes after it on the way back may stay: the first layer is never undone.
        far = len(touched) > LOOK_AHEAD
        undo = far or any(not gate.commutes(other) for other in touched)
        backs.append(2 * measure + undo)
        if measure or undo:
            touched.append(gate)
    return backs
