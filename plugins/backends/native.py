"""
The built-in simulator: exact state vectors by our own kernels, many samples side by side, adjoint gradients.

Options: `threads` (0: all cores), `max_qubits` (the default follows from the machine's memory).
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar, Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine import kernels
from qstore_appliance.engine.backend import Backend, Capabilities, Execution, checked_cotangents
from qstore_appliance.engine.circuit import GATES
from qstore_appliance.engine.kernel_lanes import WIDTH
from qstore_appliance.engine.observables import Observable
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.shots import sampled
from qstore_appliance.errors import BackendUnavailable, ConfigurationInvalid, InsufficientMemory

Floats = NDArray[np.float64]

CHUNK_BYTES: Final = 256 * 2**20
"""States and costates that are held at once; a larger batch runs in chunks."""

BYTES_PER_AMPLITUDE: Final = 8 * 4 * 4
"""Eight samples, state and costate, real and imaginary parts, in single precision."""

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
            max_qubits=_whole(options, "max_qubits", _qubits_in_memory(), 1, 28),
            max_depth=None,
            gates=tuple(GATES),
            exact=True,
            shots=True,
            adjoint=True,
            statevector=True,
            precisions=("single", "double"),
        )
        self._plans: WeakKeyDictionary[Program, _Plan] = WeakKeyDictionary()
        self._scratch: dict[tuple[Any, ...], tuple[NDArray[Any], ...]] = {}

    def expectations(self, execution: Execution) -> Floats:
        self.check(execution)
        if execution.shots is not None:
            return sampled(execution, self.statevector, CHUNK_BYTES)

        out = np.empty((execution.batch, len(execution.observables)))
        observables = _masks(execution.observables, execution.program.n_qubits)
        for rows in _chunks(execution):
            with self._run(execution, observables, rows) as run:
                run.forward(out)
        return out

    def differentiate(self, execution: Execution, pullback: Callable[[Floats], Floats]) -> tuple[Floats, Floats]:
        if execution.shots is not None:
            return super().differentiate(execution, pullback)
        self.check(execution)

        program = execution.program
        out = np.empty((execution.batch, len(execution.observables)))
        slot_gradient = np.empty((len(program.gradient_slots), execution.batch))
        observables = _masks(execution.observables, program.n_qubits)
        chunks = _chunks(execution)
        if len(chunks) == 1:
            with self._run(execution, observables, chunks[0]) as run:
                run.forward(out)
                run.backward(checked_cotangents(pullback(out), out), slot_gradient)
        else:
            # The states of all chunks do not fit into memory together: they are computed again for the way back.
            for rows in chunks:
                with self._run(execution, observables, rows) as run:
                    run.forward(out)
            cotangents = checked_cotangents(pullback(out), out)
            for rows in chunks:
                with self._run(execution, observables, rows) as run:
                    run.forward(out)
                    run.backward(cotangents, slot_gradient)
        return out, program.weight_gradient(execution.weights, execution.features, slot_gradient)

    def statevector(self, execution: Execution) -> NDArray[np.complexfloating]:

        self.check(replace(execution, shots=None))
        kind = np.complex128 if execution.precision == "double" else np.complex64
        out = np.empty((execution.batch, 2**execution.program.n_qubits), kind)
        nothing = np.empty((execution.batch, 0))
        for rows in _chunks(execution):
            with self._run(execution, _masks((), execution.program.n_qubits), rows) as run:
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
        plan = self._plans.get(program)
        if plan is None:
            plan = self._plans[program] = _Plan.of(program)
        return plan

    @contextmanager
    def _run(self, execution: Execution, observables: NDArray[np.int64], rows: range) -> Iterator[_Run]:
        """One chunk with the kernels and scratch memory to itself."""

        dtype = _dtype(execution)
        shape = (-(-len(rows) // WIDTH), 2**execution.program.n_qubits, WIDTH)
        with _KERNELS:
            kernels.use_threads(self._threads)
            # Fresh pages cost more than the kernels, so the arrays of the last shape are kept. They are taken out while
            # in use: a loss that asks the same backend something must not overwrite the states under it.
            arrays = self._scratch.pop((shape, dtype), None) or _allocated(shape, dtype)
            try:
                yield _Run(self._plan(execution.program), execution, observables, rows, arrays)
            finally:
                self._scratch.clear()
                self._scratch[shape, dtype] = arrays


@dataclass(frozen=True, eq=False)
class _Plan:
    """A program in the form that the kernels take: bits for qubits, rows for slots."""

    operations: NDArray[np.int64]
    axes: NDArray[np.int32]
    places: NDArray[np.int64]
    gradient_rows: NDArray[np.int64]

    @classmethod
    def of(cls, program: Program) -> _Plan:

        operations = program.operations.astype(np.int64)
        group = operations[:, 0] == 0
        bits = np.where(operations[:, 1:] >= 0, 1 << np.maximum(program.n_qubits - 1 - operations[:, 1:], 0), 0)
        operations[:, 1] = bits[:, 0]
        operations[~group, 2:] = bits[~group, 1:]
        places, rows = np.full(program.n_slots, -1, np.int64), np.full(program.n_slots, -1, np.int64)
        places[program.sample_slots] = np.arange(len(program.sample_slots))
        rows[program.gradient_slots] = np.arange(len(program.gradient_slots))
        return cls(operations, program.axes, places, rows)


class _Run:
    """
    One chunk of a batch, padded to whole lanes.

    Args:
        rows: The samples of this chunk.
        arrays: Real and imaginary parts of states and costates, [blocks, 2^n, lanes] each.
    """

    def __init__(
        self, plan: _Plan, execution: Execution, observables: Any, rows: range, arrays: tuple[NDArray[Any], ...]
    ) -> None:

        self.first, self.last, self.arrays = rows.start, rows.stop, arrays
        self.dtype: Any = arrays[0].dtype
        self.n_blocks = len(arrays[0])
        self.plan, self.observables = plan, observables
        angles = execution.program.angles(execution.weights, execution.features[rows.start : rows.stop])
        half = angles.shared * 0.5
        lanes = self._in_lanes(angles.samples * 0.5, np.float64)
        self.program = (
            plan.operations,
            plan.axes,
            np.cos(half).astype(self.dtype),
            np.sin(half).astype(self.dtype),
            plan.places,
            np.cos(lanes).astype(self.dtype),
            np.sin(lanes).astype(self.dtype),
            observables,
        )

    def forward(self, out: Floats) -> None:
        """Run and put expectations into the chunk's rows of `out`."""

        values = np.empty((self.n_blocks, len(self.observables), WIDTH), self.dtype)
        re, im, work, _ = self.arrays
        kernels.forward(*self.program, re, im, work, values)
        out[self.first : self.last] = self._from_lanes(values).T

    def backward(self, cotangents: Floats, slot_gradient: Floats) -> None:
        """Walk back from the states that `forward` left; fills the chunk's columns of `slot_gradient`."""

        gradient = np.empty((self.n_blocks, len(slot_gradient), WIDTH), self.dtype)
        upstream = self._in_lanes(cotangents[self.first : self.last].T, self.dtype)
        kernels.backward(*self.program, self.plan.gradient_rows, upstream, *self.arrays, gradient)
        slot_gradient[:, self.first : self.last] = self._from_lanes(gradient)

    def states(self, out: NDArray[np.complexfloating]) -> None:
        """Copy the states that `forward` left into the chunk's rows of `out`."""
        re, im, _, _ = self.arrays
        out.real[self.first : self.last] = self._from_lanes(re).T
        out.imag[self.first : self.last] = self._from_lanes(im).T

    def _in_lanes(self, rows: Floats, dtype: type) -> NDArray[Any]:
        """[rows, samples] to [blocks, rows, lanes]; the last block is filled up with zeros."""

        padded: NDArray[Any] = np.zeros((len(rows), self.n_blocks * WIDTH), dtype)
        padded[:, : rows.shape[1]] = rows
        return np.ascontiguousarray(padded.reshape(len(rows), self.n_blocks, WIDTH).transpose(1, 0, 2))

    def _from_lanes(self, blocks: NDArray[Any]) -> NDArray[Any]:
        """[blocks, rows, lanes] to [rows, samples]."""
        joined = blocks.transpose(1, 0, 2).reshape(blocks.shape[1], self.n_blocks * blocks.shape[2])
        return joined[:, : self.last - self.first]


def _allocated(shape: tuple[int, ...], dtype: type) -> tuple[NDArray[Any], ...]:
    try:
        return tuple(np.empty(shape, dtype) for _ in range(4))
    except MemoryError:
        size = 4 * math.prod(shape) * np.dtype(dtype).itemsize / 2**30
        raise InsufficientMemory(f"The state vectors need {size:.1f} GiB, more than this machine can give.") from None


def _dtype(execution: Execution) -> Any:

    return np.float64 if execution.precision == "double" else np.float32


def _chunks(execution: Execution) -> list[range]:
    """The batch in parts that fit into memory; they depend on sizes alone, never on the number of threads."""

    bytes_per_block = 4 * 2**execution.program.n_qubits * WIDTH * np.dtype(_dtype(execution)).itemsize
    step = WIDTH * max(1, CHUNK_BYTES // bytes_per_block)
    return [range(first, min(first + step, execution.batch)) for first in range(0, execution.batch, step)]


@lru_cache(maxsize=64)
def _masks(observables: tuple[Observable, ...], n_qubits: int) -> NDArray[np.int64]:
    """Rows (bits that flip, bits that sign, number of Y modulo 4)."""

    rows = []
    for observable in observables:
        flip = sum(1 << (n_qubits - 1 - qubit) for qubit, pauli in observable.terms if pauli != "Z")
        sign = sum(1 << (n_qubits - 1 - qubit) for qubit, pauli in observable.terms if pauli != "X")
        rows.append((flip, sign, sum(pauli == "Y" for _, pauli in observable.terms) % 4))
    return np.array(rows, np.int64).reshape(-1, 3)


def _qubits_in_memory() -> int:
    """The largest circuit whose block of samples takes at most half of the machine's memory."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        total = 4 * 2**30
    return max(1, min(26, (total // 2 // BYTES_PER_AMPLITUDE).bit_length() - 1))


def _whole(options: Mapping[str, object], key: str, default: int, low: int, high: int) -> int:
    value = options.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigurationInvalid(f"backends.native.{key} must be a whole number from {low} to {high}.")
    return value
