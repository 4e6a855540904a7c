"""
The built-in simulator: exact state vectors by our own kernels, many samples side by side, adjoint gradients.

Options: `threads` (0: all cores), `max_qubits`.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar, Final
from weakref import WeakKeyDictionary, ref

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine import kernels
from qstore_appliance.engine.backend import Backend, Capabilities, CrossEntropy, Execution, checked_cotangents
from qstore_appliance.engine.circuit import GATES, MAX_QUBITS
from qstore_appliance.engine.kernel_lanes import WIDTH as LANES
from qstore_appliance.engine.kernel_plan import KernelPlan
from qstore_appliance.engine.observables import Observable
from qstore_appliance.engine.pace import Pace
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.shots import sampled
from qstore_appliance.errors import BackendUnavailable, ConfigurationInvalid, InsufficientMemory

Floats = NDArray[np.float64]
_States = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]
"""Real and imaginary parts of states, then of costates, each [blocks or threads, rows, LANES]."""

CHUNK_BYTES: Final = 256 * 2**20
"""States and costates that are held at once; a larger batch runs in chunks."""

MOST_QUBITS: Final = MAX_QUBITS
"""As many as a circuit can have: expectation values are summed in double precision, so that none is off by more than 1e-6."""

PRECISIONS: Final = ("single", "double")

SMALL_WORK: Final = 1_000
"""Gates times rows below which waking the other cores takes longer than the work."""

SHORT_WORK: Final = 100_000
"""Gates times rows, milliseconds of one core, below which a training step finds out by itself how many cores it wants."""

MOST_READOUTS: Final = 64

# The work queue of numba takes one caller at a time in a process.
_KERNELS = threading.RLock()


class Native(Backend):
    """Exact simulation on this machine's processor."""

    name: ClassVar[str] = "native"
    kind: ClassVar[str] = "simulator"
    provider: ClassVar[str] = "Q-Store"

    def __init__(self, options: Mapping[str, object]) -> None:
        super().__init__(options)
        self._threads = _whole(options, "threads", 0, 0, 1024)
        self.capabilities = Capabilities(
            max_qubits=_whole(options, "max_qubits", MOST_QUBITS, 1, MOST_QUBITS),
            max_depth=None,
            gates=tuple(GATES),
            exact=True,
            shots=True,
            adjoint=True,
            statevector=True,
            precisions=PRECISIONS,
            noise=("readout",),
            # Real and imaginary parts of the state; with a gradient of its costate too. Of a large circuit one sample at
            # a time.
            state_bytes=(2 * 4, 2 * 8),
            gradient_bytes=(4 * 4, 4 * 8),
        )
        self._plans: WeakKeyDictionary[Program, _Plan] = WeakKeyDictionary()
        self._last: tuple[Program, _Plan] | None = None
        self._scratch: tuple[tuple[Any, ...], _States] | None = None

    def expectations(self, execution: Execution) -> Floats:
        self.check(execution)
        if execution.shots is not None:
            return sampled(execution, self.statevector, CHUNK_BYTES)

        out = np.empty((execution.batch, len(execution.observables)))
        for rows in _chunks(execution, self._plan(execution.program)):
            with self._run(execution, rows) as run:
                run.forward(out)
        return out

    def differentiate(self, execution: Execution, pullback: Callable[[Floats], Floats]) -> tuple[Floats, Floats]:
        if execution.shots is not None:
            return super().differentiate(execution, pullback)
        self.check(execution)

        program = execution.program
        out = np.empty((execution.batch, len(execution.observables)))
        slot_gradient = np.empty((len(program.gradient_slots), execution.batch))
        chunks = _chunks(execution, self._plan(program))
        if len(chunks) == 1:
            with self._run(execution, chunks[0]) as run:
                run.forward(out)
                run.backward(checked_cotangents(pullback(out), out), slot_gradient)
        else:
            # The states of all chunks do not fit into memory together: they are computed again for the way back.
            for rows in chunks:
                with self._run(execution, rows) as run:
                    run.forward(out)
            cotangents = checked_cotangents(pullback(out), out)
            for rows in chunks:
                with self._run(execution, rows) as run:
                    run.forward(out)
                    run.backward(cotangents, slot_gradient)
        return out, program.weight_gradient(execution.weights, execution.features, slot_gradient)

    def cross_entropy(
        self, execution: Execution, labels: NDArray[np.int64], head: Floats, shares: Floats
    ) -> CrossEntropy | None:
        """One call of the kernels; not with shots, nor for angles that are not linear in weights and features."""
        program = execution.program
        if execution.shots is not None or not program.linear or not execution.batch:
            return None
        plan, dtype = self._plan(program), _dtype(execution)
        if plan.ready_for is execution.observables and execution.precision in PRECISIONS:
            # The rest was checked before the step before; a training takes thousands of them a second.
            program.check(execution.weights, execution.features)
        else:
            self.check(execution)
        lane_bits, row_bits = plan.arranged.lane_bits, plan.arranged.row_bits
        n_blocks = execution.batch if lane_bits else -(-execution.batch // LANES)
        n_weights = program.n_weights
        given, found = np.empty((execution.batch, len(execution.observables))), np.empty((1, n_weights + len(head) + 2))
        with _KERNELS:
            threads = kernels.use_threads(self._threads)
            pace = plan.pace(n_blocks, threads)
            mode = pace.choose()
            # As much for either way, so that trying the other one allocates nothing.
            each = threads if pace.usual == kernels.BLOCKS else 1
            states = self._lend(each, each, 1 << row_bits, dtype)
            started = time.perf_counter()
            kernels.train(
                plan.table(execution.observables, dtype), lane_bits, mode, _plain(execution.weights),
                _plain(execution.features), _plain(head), int(len(head) > 0), _plain(labels, np.int64), _plain(shares),
                states, given, found,
            )  # fmt: skip
            pace.took(mode, time.perf_counter() - started)
            self._take_back(states)
        out = found[0]
        return CrossEntropy(float(out[-2]), int(out[-1]), given, out[:n_weights], out[n_weights:-2])

    def statevector(self, execution: Execution) -> NDArray[np.complexfloating]:
        self.check(replace(execution, shots=None))
        kind = np.complex128 if execution.precision == "double" else np.complex64
        out = np.empty((execution.batch, 2**execution.program.n_qubits), kind)
        nothing = np.empty((execution.batch, 0))
        bare = replace(execution, observables=())
        for rows in _chunks(execution, self._plan(execution.program)):
            with self._run(bare, rows) as run:
                run.forward(nothing)
                run.states(out)
        phase = execution.program.global_phase(execution.weights, execution.features)
        out *= np.exp(1j * phase).astype(kind)[:, None]
        return out

    def probe(self) -> None:
        try:
            kernels.warm()
        except Exception as fault:
            raise BackendUnavailable(f"The kernels do not run on this machine: {fault}") from fault

    def _plan(self, program: Program) -> _Plan:
        if self._last is not None and self._last[0] is program:
            return self._last[1]
        found = self._plans.get(program)
        if found is None:
            found = self._plans[program] = _Plan(program)
        self._last = program, found
        return found

    @contextmanager
    def _run(self, execution: Execution, rows: range) -> Iterator[_Run]:
        """One chunk with the kernels and scratch memory to itself."""
        plan, dtype = self._plan(execution.program), _dtype(execution)
        with _KERNELS:
            threads = kernels.use_threads(self._threads)
            n_blocks = len(rows) if plan.arranged.lane_bits else -(-len(rows) // LANES)
            mode = plan.mode(n_blocks, threads)
            costates = threads if mode == kernels.BLOCKS else 1
            states = self._lend(n_blocks, costates, 1 << plan.arranged.row_bits, dtype)
            try:
                yield _Run(plan, execution, rows, mode, states)
            finally:
                self._take_back(states)

    def _lend(self, n_states: int, n_costates: int, n_rows: int, dtype: Any) -> _States:
        """
        Scratch memory, that of the call before if it fits: fresh pages cost more than the kernels.

        It is nobody else's until it is given back: a loss that asks the same backend something must not overwrite the
        states under it.
        """
        kept, self._scratch = self._scratch, None
        shapes = (n_states, n_costates, n_rows, dtype)
        if kept is not None and kept[0] == shapes:
            return kept[1]
        del kept
        memory = _allocated((2 * n_states + 2 * n_costates, n_rows, LANES), dtype)
        ends = (n_states, 2 * n_states, 2 * n_states + n_costates)
        return (memory[: ends[0]], memory[ends[0] : ends[1]], memory[ends[1] : ends[2]], memory[ends[2] :])

    def _take_back(self, states: _States) -> None:
        self._scratch = (len(states[0]), len(states[2]), states[0].shape[1], states[0].dtype.type), states


class _Plan:
    """A program as the kernels take it, with the table for each readout."""

    def __init__(self, program: Program) -> None:
        self.arranged = KernelPlan.of(program)
        # Weakly, for the plan is kept as long as the program is.
        self._program = ref(program)
        self._work = len(self.arranged.gates) << self.arranged.row_bits
        self._tables: dict[tuple[Any, ...], tuple[NDArray[Any], ...]] = {}
        self._last: tuple[Any, tuple[NDArray[Any], ...]] = None, ()
        self._paces: dict[tuple[int, int], Pace] = {}
        #: The readout that it was asked for last: one that the backend has checked.
        self.ready_for: tuple[Observable, ...] | None = None

    def table(self, observables: tuple[Observable, ...], dtype: Any) -> tuple[NDArray[Any], ...]:
        """The first argument of every kernel."""
        if observables is self.ready_for and self._last[0] is dtype:
            return self._last[1]
        found = self._tables.get((observables, dtype))
        if found is None:
            program = self._program()
            if program is None:
                raise RuntimeError("a plan was used after its program had gone")
            if len(self._tables) >= MOST_READOUTS:
                self._tables.clear()
            found = self._tables[observables, dtype] = self.arranged.table(program, observables, dtype)
        self.ready_for, self._last = observables, (dtype, found)
        return found

    def pace(self, n_blocks: int, threads: int) -> Pace:
        """That of steps of this size."""
        found = self._paces.get((n_blocks, threads))
        if found is None:
            spread = kernels.SERIAL if threads == 1 else self._spread(n_blocks, threads)
            short = spread != kernels.SERIAL and n_blocks * self._work < SHORT_WORK
            found = self._paces[n_blocks, threads] = Pace(spread, kernels.SERIAL if short else None)
        return found

    def mode(self, n_blocks: int, threads: int) -> int:
        """How to spread the work; the result is the same."""
        if threads == 1 or n_blocks * self._work < SMALL_WORK:
            return kernels.SERIAL
        return self._spread(n_blocks, threads)

    def _spread(self, n_blocks: int, threads: int) -> int:
        return kernels.BLOCKS if n_blocks >= threads or self.arranged.direct else kernels.INSIDE


class _Run:
    """
    One chunk of a batch.

    Args:
        rows: The samples of this chunk.
        states: The blocks' states, and costates for as many blocks as run at once.
    """

    def __init__(self, plan: _Plan, execution: Execution, rows: range, mode: int, states: _States) -> None:
        self.rows, self.plan, self.mode = slice(rows.start, rows.stop), plan, mode
        self._states = states
        weights, samples = execution.program.sources(execution.weights, execution.features[self.rows])
        dtype = _dtype(execution)
        self.program = (
            plan.table(execution.observables, dtype),
            plan.arranged.lane_bits,
            mode,
            _plain(weights),
            _plain(samples),
        )

    def forward(self, out: Floats) -> None:
        """Run and put expectations into the chunk's rows of `out`."""
        kernels.forward(*self.program, self._states, out[self.rows])

    def backward(self, cotangents: Floats, slot_gradient: Floats) -> None:
        """Walk back from the states that `forward` left; fills the chunk's columns of `slot_gradient`."""
        found = np.empty((len(slot_gradient), self.rows.stop - self.rows.start))
        kernels.backward(*self.program, _plain(cotangents[self.rows]), self._states, found)
        slot_gradient[:, self.rows] = found

    def states(self, out: NDArray[np.complexfloating]) -> None:
        """Copy the states that `forward` left into the chunk's rows of `out`."""
        places, count = self.plan.arranged.places(), self.rows.stop - self.rows.start
        for part, target in zip(self._states[:2], (out.real, out.imag), strict=True):
            if self.plan.arranged.lane_bits:
                target[self.rows] = part.reshape(len(part), -1)[:, places]
            else:
                samples = part.transpose(0, 2, 1).reshape(-1, part.shape[1])
                target[self.rows] = samples[:count, places]


def _plain(values: NDArray[Any], kind: Any = np.float64) -> NDArray[Any]:
    """The same as an array of the one kind that the kernels are compiled for: another would compile them again."""
    return values if values.dtype == kind and values.flags.carray else np.array(values, kind, order="C")


def _allocated(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Memory whose rows each lie in one line of the cache."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    try:
        memory = np.empty(size + 64, np.uint8)
    except MemoryError:
        raise InsufficientMemory(
            f"The state vectors need {size / 2**30:.1f} GiB, more than this machine can give."
        ) from None
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def _dtype(execution: Execution) -> Any:
    return np.float64 if execution.precision == "double" else np.float32


def _chunks(execution: Execution, plan: _Plan) -> list[range]:
    """The batch in parts that fit into memory; they depend on sizes alone, never on the number of threads."""
    samples = 1 if plan.arranged.lane_bits else LANES
    bytes_per_block = 2 * LANES * np.dtype(_dtype(execution)).itemsize << plan.arranged.row_bits
    step = samples * max(1, CHUNK_BYTES // bytes_per_block)
    return [range(first, min(first + step, execution.batch)) for first in range(0, execution.batch, step)]


def _whole(options: Mapping[str, object], key: str, default: int, low: int, high: int) -> int:
    value = options.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigurationInvalid(f"backends.native.{key} must be a whole number from {low} to {high}.")
    return value
