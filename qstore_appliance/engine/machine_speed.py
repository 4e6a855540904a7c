"""
How fast this machine's simulators are: measured once, kept in the user's cache, read by the serving process as plain JSON.

`python -m qstore_appliance.engine.kernels` measures at set-up; a server that finds no measurement asks a child for one.
It belongs to a version, a processor and the kernels' source, as the compiled kernels do.
"""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from qstore_appliance.engine import kernel_cache
from qstore_appliance.errors import QStoreError

if TYPE_CHECKING:
    from qstore_appliance.engine.backend import Backend, Execution

FILE_NAME: Final = "speed.json"

#: What is measured: qubits, and samples at once for a simulator that takes them together.
POINTS: Final = ((4, 64), (8, 64), (12, 16), (16, 2), (18, 1))
LAYERS: Final = 2
REPEATS: Final = 7
PATIENCE_SECONDS: Final = 0.5
#: Backends that "auto" may choose between, and that have adjoint gradients.
RIVALS: Final = ("native", "lightning")
#: A slow rival is not waited for: at this many seconds a step it is not measured at larger sizes.
ENOUGH_SECONDS: Final = 1.0


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """
    One simulator on this machine.

    Attributes:
        qubits: At which sizes it was measured, ascending.
        forward: Seconds per gate and amplitude of one circuit at those sizes, all cores busy.
        adjoint: One adjoint pass costs so many forward passes beside the one that it follows.
        call: Seconds that a call costs whatever its size.
    """

    qubits: tuple[int, ...]
    forward: tuple[float, ...]
    adjoint: float
    call: float

    def per_amplitude(self, n_qubits: int) -> float:
        """`forward` at any size: between two sizes along a straight line of logarithms, beyond them as at the last."""
        if n_qubits <= self.qubits[0]:
            return self.forward[0]
        points = list(zip(self.qubits, self.forward, strict=True))
        for (low, slow), (high, fast) in itertools.pairwise(points):
            if n_qubits <= high:
                share = (n_qubits - low) / (high - low)
                return math.exp((1 - share) * math.log(slow) + share * math.log(fast))
        return self.forward[-1]

    def step(self, n_qubits: int) -> float:
        """Seconds per gate of one sample's expectations and gradient."""
        return self.per_amplitude(n_qubits) * 2.0**n_qubits * (1.0 + self.adjoint)


class MachineSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """
    Attributes:
        key: The version, processor and source that it holds for.
        speeds: By backend.
    """

    key: str
    speeds: dict[str, Speed]

    def crossover(self, backend: str = "lightning") -> int | None:
        """The smallest circuit for which a backend is faster than `native`, from there on; None where it never is."""
        native, other = self.speeds.get("native"), self.speeds.get(backend)
        if native is None or other is None:
            return None
        last = other.qubits[-1]
        slower = [n for n in range(1, last + 1) if native.step(n) <= other.step(n)]
        first = max(slower, default=0) + 1
        return first if first <= last else None


def path() -> Path:
    """Beside the compiled kernels."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    return (Path(chosen) if chosen else _directory()) / FILE_NAME


def _directory() -> Path:
    return _directory_of(os.environ.get("XDG_CACHE_HOME"), os.environ.get("HOME"))


@lru_cache(maxsize=4)
def _directory_of(cache: str | None, home: str | None) -> Path:
    """Its name hashes the processor and the kernels' source, which takes milliseconds."""
    return kernel_cache.cache_directory()


def load() -> MachineSpeed | None:
    """What was measured on this machine with this version; None before that, or where it cannot be read."""
    file = path()
    try:
        return _read(file, file.stat().st_mtime_ns)
    except (OSError, msgspec.DecodeError):
        return None


@lru_cache(maxsize=4)
def _read(file: Path, changed: int) -> MachineSpeed | None:
    found = msgspec.json.decode(file.read_bytes(), type=MachineSpeed)
    return found if found.key == _key() else None


def _key() -> str:
    return _directory().name


def auto_order(n_qubits: int, names: Sequence[str], measured: MachineSpeed | None = None) -> list[str]:
    """
    Backends by how fast they are for a circuit of this size; what was not measured keeps its place.

    Args:
        names: The order without any measurement.
        measured: `load()` where it is not given.
    """
    measured = measured or load()
    if measured is None:
        return list(names)
    known = [name for name in names if name in measured.speeds]
    ranked = iter(sorted(known, key=lambda name: _rank(measured, name, n_qubits)))
    return [next(ranked) if name in measured.speeds else name for name in names]


def _rank(measured: MachineSpeed, name: str, n_qubits: int) -> bool:
    """False sorts first: native below the crossover, the other from there on."""
    crossover = measured.crossover()
    beyond = crossover is not None and n_qubits >= crossover
    return (name == "native") == beyond


def measure() -> MachineSpeed:
    """
    Time the rivals that work here and keep the result; about ten seconds. For a child process.

    A file that cannot be written is done without: the next start measures again.
    """
    from qstore_appliance.engine import discovery

    speeds = {}
    for name in RIVALS:
        try:
            backend = discovery.load(name, {})
            backend.probe()
        except QStoreError:
            continue
        speeds[name] = _speed(backend)
    found = MachineSpeed(key=_key(), speeds=speeds)
    target = path()
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.{os.getpid()}")
        part.write_bytes(msgspec.json.format(msgspec.json.encode(found)))
        part.replace(target)
    except OSError:
        return found
    return found


def _speed(backend: Backend) -> Speed:
    qubits: list[int] = []
    forwards: list[float] = []
    ratios: list[float] = []
    call = 0.0
    for n_qubits, samples in POINTS:
        # The others take one sample after the other; a few of them say as much.
        batch = samples if backend.name == "native" else max(1, samples // 32)
        if not qubits:
            call = _forward(backend, _execution(n_qubits, 1)[0])
        execution, gates = _execution(n_qubits, batch)
        forward, both = _forward(backend, execution), _both(backend, execution)
        work = gates * 2.0**n_qubits * batch
        qubits.append(n_qubits)
        forwards.append(max(forward - call, 0.2 * forward) / work)
        ratios.append(max(0.0, both / forward - 1.0))
        if both > ENOUGH_SECONDS:
            break
    return Speed(qubits=tuple(qubits), forward=tuple(forwards), adjoint=sorted(ratios)[len(ratios) // 2], call=call)


def _forward(backend: Backend, execution: Execution) -> float:
    return _least(lambda: backend.expectations(execution))


def _both(backend: Backend, execution: Execution) -> float:
    return _least(lambda: backend.differentiate(execution, lambda values: values))


def _least(action: Callable[[], object]) -> float:
    """The best of a few, in seconds: what other work on the machine adds is none of the backend's."""
    best, began = math.inf, time.perf_counter()
    for _ in range(REPEATS):
        started = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - started)
        if time.perf_counter() - began > PATIENCE_SECONDS:
            break
    return best


def _execution(n_qubits: int, batch: int) -> tuple[Execution, int]:
    """Features, then layers of RY, RZ and a ring of CNOTs, with Z of every qubit. Returns: it, and its gates."""
    import numpy as np

    from qstore_appliance.engine import expressions, observables
    from qstore_appliance.engine.backend import Execution
    from qstore_appliance.engine.circuit import Circuit, Gate
    from qstore_appliance.engine.program import Program

    gates = [Gate("RY", (q,), (expressions.symbol(f"x_{q}"),)) for q in range(n_qubits)]
    for layer in range(LAYERS):
        for q in range(n_qubits):
            gates.append(Gate("RY", (q,), (expressions.symbol(f"y_{layer}_{q}"),)))
            gates.append(Gate("RZ", (q,), (expressions.symbol(f"z_{layer}_{q}"),)))
        gates += [Gate("CNOT", (q, (q + 1) % n_qubits)) for q in range(n_qubits)]
    program = Program.lower(Circuit.build(n_qubits, gates))
    weights = np.linspace(-1.0, 1.0, program.n_weights)
    features = np.linspace(-1.0, 1.0, batch * n_qubits).reshape(batch, n_qubits)
    return Execution(program, weights, features, observables.readout("z", n_qubits)), len(gates)
