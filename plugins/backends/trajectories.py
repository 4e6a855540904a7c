"""
Noise on qsim by quantum trajectories: each shot runs the circuit once, with its own random choice in every channel.

Circuits are handed to qsim's own module rather than through Cirq, which would decompose every channel anew for each
sample: that takes tens of milliseconds per circuit, a trajectory a tenth of one. For the same reason a readout is not a
measurement but one more channel, whose every outcome leaves a basis state: the bit that is read. Expectations in such a
state are plus or minus one, and qsim averages them over its shots without a word to Python.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.backend import Execution
from qstore_appliance.engine.noise import Noise, ReadoutError
from qstore_appliance.engine.observables import Observable
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.shots import Basis, measurements
from qstore_appliance.errors import Cancelled

Floats = NDArray[np.float64]

#: Trajectories between two looks at whether to stop.
AT_ONCE: Final = 4_096
#: What qsim takes for a seed; trajectory k of a call has the call's seed plus k.
SEEDS: Final = 2**31 - 1

_AXES: Final = {"RX": "kXPowGate", "RY": "kYPowGate", "RZ": "kZPowGate"}
_ENTANGLERS: Final = {"CNOT": "kCX", "CZ": "kCZ", "SWAP": "kSWAP", "CCX": "kCCX"}


@dataclass(frozen=True)
class _Channel:
    """
    Attributes:
        parts: for each operator the probability that it has at the least, its entries row by row (real and imaginary
            part in turn), and whether it is unitary; the form that qsim takes.
    """

    parts: tuple[tuple[float, list[float], bool], ...]


@dataclass(frozen=True)
class _Gate:
    """A gate of qsim; a rotation's angle is bound per sample."""

    kind: Any
    rotation: bool


_Move = tuple[_Channel | _Gate, list[int]]


class Trajectories:
    """
    Args:
        qsim: the module of qsimcirq that computes.
        options: qsim's own, such as the number of threads.
        should_stop: asked between trajectories.
    """

    def __init__(self, qsim: Any, options: dict[str, Any], should_stop: Callable[[], bool]) -> None:
        self._qsim = qsim
        self._options = options
        self._should_stop = should_stop
        self._moves: WeakKeyDictionary[Program, tuple[Noise, list[_Move]]] = WeakKeyDictionary()

    def expectations(self, execution: Execution) -> Floats:
        """
        Unbiased estimates [batch, n_observables]: means of `execution.shots` outcomes that are plus or minus one.

        Raises:
            Cancelled: `should_stop` said so.
        """
        shots, noise = _asked(execution)
        out = np.ones((execution.batch, len(execution.observables)))
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(execution.seed)))
        for basis, members in measurements(execution.observables):
            first = int(random.integers(SEEDS))
            if not basis:
                continue  # the identity is one whatever happens
            ending = [*self._turned(basis), *((_readout(noise.readout), [qubit]) for qubit, _ in basis)]
            words = [([self._parity(execution.observables[place])], len(basis)) for place in members]
            for row, circuit in enumerate(self._circuits(execution, noise, ending)):
                total = np.zeros(len(members))
                # Each sample has seeds of its own, whatever the batch is.
                for seed, n in self._portions(first + row * shots, shots):
                    options = {**self._options, "c": circuit, "s": seed, "r": n}
                    means = np.real(self._qsim.qtrajectory_simulate_expectation_values(options, words, 0))
                    # Single precision leaves a digit or two; a sum of n signs is a whole number.
                    total += np.rint(means * n)
                out[row, members] = total / shots
        return out

    def counts(self, execution: Execution) -> list[dict[str, int]]:
        """
        Bit strings (qubit 0 leftmost) and how often each was read, for each sample of the batch.

        Raises:
            Cancelled: `should_stop` said so.
        """
        shots, noise = _asked(execution)
        n_qubits = execution.program.n_qubits
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(execution.seed)))
        first = int(random.integers(SEEDS))
        everything = list(range(n_qubits))
        ending: list[_Move] = [(_readout(noise.readout), [qubit]) for qubit in everything]
        ending.append((_Gate(self._qsim.kMeasurement, rotation=False), everything))
        found = []
        for row, circuit in enumerate(self._circuits(execution, noise, ending)):
            times: dict[str, int] = {}
            for seed, n in self._portions(first + row * shots, shots):
                for step in range(n):
                    options = {**self._options, "c": circuit, "s": (seed + step) % SEEDS}
                    outcome = "".join(map(str, self._qsim.qtrajectory_sample(options)))
                    times[outcome] = times.get(outcome, 0) + 1
            found.append(times)
        return found

    def _portions(self, first: int, shots: int) -> Iterator[tuple[int, int]]:
        """(seed of the first, how many) until all shots are done."""
        for done in range(0, shots, AT_ONCE):
            if self._should_stop():
                raise Cancelled
            yield (first + done) % SEEDS, min(AT_ONCE, shots - done)

    def _circuits(self, execution: Execution, noise: Noise, ending: list[_Move]) -> Iterator[Any]:
        """One noisy circuit of qsim for each sample, its angles bound."""
        qsim, program = self._qsim, execution.program
        moves = [*self._moves_of(program, noise), *ending]
        # Qubit q is qsim's qubit q here: nothing is read by its place in an amplitude's index.
        for angles in program.rotation_angles(execution.weights, execution.features).T.tolist():
            circuit = qsim.NoisyCircuit()
            circuit.num_qubits = program.n_qubits
            remaining = iter(angles)
            for time, (what, qubits) in enumerate(moves):
                if isinstance(what, _Channel):
                    qsim.add_channel(time, qubits, what.parts, circuit)
                elif what.rotation:
                    turn = {"exponent": next(remaining) / math.pi, "global_shift": -0.5}
                    qsim.add_gate_channel(what.kind, time, qubits, turn, circuit)
                else:
                    qsim.add_gate_channel(what.kind, time, qubits, {}, circuit)
            yield circuit

    def _moves_of(self, program: Program, noise: Noise) -> list[_Move]:
        known = self._moves.get(program)
        if known is not None and known[0] == noise:
            return known[1]
        channels = _of_gates(noise)
        gates = {
            **{name: _Gate(getattr(self._qsim, kind), rotation=True) for name, kind in _AXES.items()},
            **{name: _Gate(getattr(self._qsim, kind), rotation=False) for name, kind in _ENTANGLERS.items()},
        }
        moves: list[_Move] = []
        over = 0
        for end, touched in program.lowered.ends:
            moves += [(gates[step.name], list(step.qubits)) for step in program.lowered.steps[over:end]]
            moves += [(channel, [qubit]) for qubit in touched for channel in channels]
            over = end
        self._moves[program] = (noise, moves)
        return moves

    def _turned(self, basis: Basis) -> list[_Move]:
        """The gates that bring a measurement basis to Z; they are the measurement's, and have no noise."""
        moves: list[_Move] = []
        for qubit, pauli in basis:
            if pauli == "Y":
                moves.append((_inverse_s(), [qubit]))
            if pauli != "Z":
                moves.append((_Gate(self._qsim.kH, rotation=False), [qubit]))
        return moves

    def _parity(self, observable: Observable) -> Any:
        """The product of Z on an observable's qubits, once its factors have been turned."""
        word = self._qsim.OpString()
        word.weight = 1.0
        for qubit, _ in observable.terms:
            self._qsim.add_gate_to_opstring(self._qsim.kZ, [qubit], word)
        return word


def _asked(execution: Execution) -> tuple[int, Noise]:
    if execution.shots is None or execution.noise is None:
        raise ValueError("trajectories are for noise, and need a number of shots")
    return execution.shots, execution.noise


def _of_gates(noise: Noise) -> list[_Channel]:
    """What a qubit suffers after a gate, in order."""
    found = []
    if noise.depolarizing:
        p = noise.depolarizing
        paulis = ([[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]])
        shares = (1.0 - p, p / 3, p / 3, p / 3)
        found.append(_Channel(tuple((p, _flat(m), True) for p, m in zip(shares, paulis, strict=True))))
    if noise.amplitude_damping:
        gamma = noise.amplitude_damping
        stays, relaxes = [[1, 0], [0, math.sqrt(1.0 - gamma)]], [[0, math.sqrt(gamma)], [0, 0]]
        # Whatever the state, nothing happens with a probability of at least 1 - gamma.
        found.append(_Channel(((1.0 - gamma, _flat(stays), False), (0.0, _flat(relaxes), False))))
    return found


def _readout(error: ReadoutError | None) -> _Channel:
    """The qubit becomes the bit that is read: four operators |read><is|, those that never happen left out."""
    p01, p10 = (0.0, 0.0) if error is None else (error.p01, error.p10)
    operators = (
        (1.0 - p01, [[1, 0], [0, 0]]),
        (p01, [[0, 0], [1, 0]]),
        (p10, [[0, 1], [0, 0]]),
        (1.0 - p10, [[0, 0], [0, 1]]),
    )
    return _Channel(tuple((0.0, _flat(np.multiply(math.sqrt(p), m)), False) for p, m in operators if p > 0.0))


def _inverse_s() -> _Channel:
    return _Channel(((1.0, _flat([[1, 0], [0, -1j]]), True),))


def _flat(matrix: Any) -> list[float]:
    entries = np.asarray(matrix, np.complex64).reshape(-1)
    return [float(number) for number in entries.view(np.float32)]
