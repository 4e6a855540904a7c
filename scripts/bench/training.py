#!/usr/bin/env python3
"""
One training step of a classifier on every simulator that is installed, all in one run and with the same gradient.

The circuit: RY of one feature on each qubit, then layers of RY and RZ with a weight each and a ring of CNOTs; Z of every
qubit goes through a linear softmax head with ten classes, and Adam moves all parameters. Every step includes all of that.
The peers come from the extra `bench`; compiling (JAX) is timed apart. They take turns, so that whatever else the machine
does falls on all of them. The best of the runs' medians counts.

    python scripts/bench/training.py [--runs 3] [--steps 20] [--sizes 4x4x32,8x4x32] [--only steps,growth,epoch,memory]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qstore_appliance.engine import expressions, observables, optimizers
from qstore_appliance.engine.circuit import Circuit, Gate
from qstore_appliance.engine.discovery import load
from qstore_appliance.engine.machine_speed import auto_order
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.runner import Runner
from qstore_appliance.engine.tasks.classification import Classification
from qstore_appliance.engine.training_step import TrainingStep

CLASSES = 10
SIZES = "4x4x32,8x4x32,10x4x32,12x4x32,14x4x8,16x4x4,18x4x2,20x4x1"
TOLERANCE = 1e-5
Step = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Size:
    n_qubits: int
    layers: int
    batch: int

    @classmethod
    def parse(cls, text: str) -> Size:
        return cls(*map(int, text.split("x")))


class Problem:
    """One batch with its labels, weights and head; every peer starts from them."""

    def __init__(self, size: Size, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.size = size
        self.circuit = circuit(size.n_qubits, size.layers)
        self.program = Program.lower(self.circuit)
        self.observables = observables.readout("z", size.n_qubits)
        self.task = Classification(size.n_qubits, CLASSES)
        self.features = random.uniform(-np.pi / 2, np.pi / 2, (size.batch, size.n_qubits))
        self.labels = random.integers(0, CLASSES, size.batch)
        self.weights = random.normal(size=(size.layers, size.n_qubits, 2))
        self.head = self.task.initial(random)
        self.n_weights = self.weights.size


def circuit(n_qubits: int, layers: int) -> Circuit:
    gates = [Gate("RY", (q,), (expressions.symbol(f"x_{q}"),)) for q in range(n_qubits)]
    for layer in range(layers):
        for q in range(n_qubits):
            for k, name in enumerate(("RY", "RZ")):
                gates.append(Gate(name, (q,), (expressions.symbol(f"w_{layer}_{q}_{k}"),)))
        gates += [Gate("CNOT", (q, (q + 1) % n_qubits)) for q in range(n_qubits)]
    return Circuit.build(n_qubits, gates)


class Walk:
    """Parameters on their way: what a peer calls with its gradient."""

    def __init__(self, problem: Problem) -> None:
        self.parameters = np.concatenate([problem.weights.ravel(), problem.head])
        self.weights = self.parameters[: problem.n_weights]
        self.head = self.parameters[problem.n_weights :]
        self._optimizer = optimizers.create(
            "adam", len(self.parameters), 0.01, "constant", total_steps=1_000_000, momentum=None
        )

    def move(self, gradient: np.ndarray) -> np.ndarray:
        self._optimizer.step(self.parameters, gradient)
        return gradient


# The peers. Each function returns a step, which returns the gradient of its first call's parameters and so on. -------


def ours(problem: Problem, name: str = "native", options: dict[str, object] | None = None) -> Step:
    """A backend of the product, as a training job drives it."""
    runner = Runner(load(name, options or {}), problem.program, problem.observables, None, "single")
    walk, step = Walk(problem), TrainingStep(runner, problem.task)

    def run() -> np.ndarray:
        batch, gradient = step(runner.execution(walk.weights, problem.features), problem.labels, walk.head)
        return walk.move(np.concatenate([gradient, batch.head_gradient]))

    return run


def jax_compiled(problem: Problem) -> Step:
    """A state vector written by hand, vmap over the batch, jit over the whole step, complex64."""
    import jax
    import jax.numpy as jnp

    n = problem.size.n_qubits
    rows = np.arange(2**n)
    ring = rows.copy()
    for q in range(n):
        control, target = n - 1 - q, n - 1 - (q + 1) % n
        ring = ring[rows ^ ((rows >> control & 1) << target)]
    signs = jnp.asarray(1 - 2 * (rows[None, :] >> np.arange(n - 1, -1, -1)[:, None] & 1), jnp.float32)

    def one(state: Any, matrix: Any, q: int) -> Any:
        split = state.reshape(2**q, 2, -1)
        return jnp.einsum("ij,ajb->aib", matrix, split).reshape(-1)

    def ry(angle: Any) -> Any:
        c, s = jnp.cos(angle / 2), jnp.sin(angle / 2)
        return jnp.array([[c, -s], [s, c]])

    def expectations(weights: Any, x: Any, ring: Any, signs: Any) -> Any:
        state = jnp.zeros(2**n, jnp.complex64).at[0].set(1.0)
        for q in range(n):
            state = one(state, ry(x[q]).astype(jnp.complex64), q)
        for layer in range(problem.size.layers):
            for q in range(n):
                phase = jnp.exp(0.5j * weights[layer, q, 1])
                turn = jnp.array([jnp.conj(phase), phase])[:, None] * ry(weights[layer, q, 0])
                state = one(state, turn, q)
            state = state[ring]
        return signs @ (jnp.abs(state) ** 2)

    def loss(parameters: Any, features: Any, labels: Any, ring: Any, signs: Any) -> Any:
        weights, head = parameters
        values = jax.vmap(expectations, (None, 0, None, None))(weights, features, ring, signs)
        logits = values @ head[: CLASSES * n].reshape(CLASSES, n).T + head[CLASSES * n :]
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels])

    @jax.jit
    def step(parameters: Any, moments: Any, count: Any, *data: Any) -> Any:
        gradient = jax.grad(loss)(parameters, *data)
        tree = jax.tree_util.tree_map
        mean = tree(lambda m, g: 0.9 * m + 0.1 * g, moments[0], gradient)
        square = tree(lambda v, g: 0.999 * v + 0.001 * g * g, moments[1], gradient)
        rate = 0.01 * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        moved = tree(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), parameters, mean, square)
        return moved, (mean, square), gradient

    parameters = (jnp.asarray(problem.weights, jnp.float32), jnp.asarray(problem.head, jnp.float32))
    zeros = tuple(map(jnp.zeros_like, parameters))
    # Large tables are arguments: as constants, the compiler would spend minutes on them.
    data = (jnp.asarray(problem.features, jnp.float32), jnp.asarray(problem.labels), jnp.asarray(ring), signs)
    state = [parameters, (zeros, zeros), 0]

    def run() -> np.ndarray:
        state[2] += 1
        state[0], state[1], gradient = step(state[0], state[1], float(state[2]), *data)
        return np.concatenate([np.asarray(part).ravel() for part in jax.block_until_ready(gradient)])

    return run


def pennylane(problem: Problem, device: str, method: str) -> Step:
    """PennyLane as its documentation has it at its fastest: one call with the broadcast batch."""
    import autograd
    import autograd.numpy as anp
    import pennylane as qml

    n, walk = problem.size.n_qubits, Walk(problem)
    labels = np.arange(len(problem.labels)), problem.labels

    @qml.qnode(qml.device(device, wires=n), diff_method=method)
    def values(weights: Any, features: Any) -> Any:
        for q in range(n):
            qml.RY(features[:, q], wires=q)
        for layer in range(problem.size.layers):
            for q in range(n):
                qml.RY(weights[layer, q, 0], wires=q)
                qml.RZ(weights[layer, q, 1], wires=q)
            for q in range(n):
                qml.CNOT(wires=[q, (q + 1) % n])
        return [qml.expval(qml.PauliZ(q)) for q in range(n)]

    def loss(weights: Any, head: Any) -> Any:
        found = anp.stack(values(weights.reshape(problem.weights.shape), problem.features)).T
        logits = found @ head[: CLASSES * n].reshape(CLASSES, n).T + head[CLASSES * n :]
        logits = logits - anp.max(logits, axis=1, keepdims=True)
        return -anp.mean(logits[labels] - anp.log(anp.sum(anp.exp(logits), axis=1)))

    slope = autograd.grad(loss, argnum=(0, 1))
    return lambda: walk.move(np.concatenate([np.asarray(part).ravel() for part in slope(walk.weights, walk.head)]))


def qulacs(problem: Problem) -> Step:
    """Its reverse pass, one a sample, with the weighted sum of observables; all cores."""
    from qulacs import Observable, ParametricQuantumCircuit, QuantumState

    n, walk = problem.size.n_qubits, Walk(problem)
    compiled = ParametricQuantumCircuit(n)
    # Its qubit 0 is the least significant and its angles have the other sign; Z of each qubit is the same.
    for q in range(n):
        compiled.add_parametric_RY_gate(q, 0.0)
    for _ in range(problem.size.layers):
        for q in range(n):
            compiled.add_parametric_RY_gate(q, 0.0)
            compiled.add_parametric_RZ_gate(q, 0.0)
        for q in range(n):
            compiled.add_CNOT_gate(q, (q + 1) % n)
    state = QuantumState(n)
    each = []
    for q in range(n):
        each.append(Observable(n))
        each[-1].add_operator(1.0, f"Z {q}")

    def bind(x: np.ndarray) -> None:
        for place, angle in enumerate((*x, *walk.weights)):
            compiled.set_parameter(place, -float(angle))

    def step() -> np.ndarray:
        found = np.empty((problem.size.batch, n))
        for row, x in enumerate(problem.features):
            bind(x)
            state.set_zero_state()
            compiled.update_quantum_state(state)
            found[row] = [observable.get_expectation_value(state) for observable in each]
        batch = problem.task.differentiate(found, problem.labels, walk.head)
        gradient = np.zeros(problem.n_weights)
        for x, cotangents in zip(problem.features, batch.cotangents, strict=True):
            bind(x)
            weighted = Observable(n)
            for q, factor in enumerate(cotangents):
                weighted.add_operator(float(factor), f"Z {q}")
            gradient -= compiled.backprop(weighted)[n:]
        return walk.move(np.concatenate([gradient, batch.head_gradient]))

    return step


PEERS: dict[str, Callable[[Problem], Step]] = {
    "native": ours,
    "jax": jax_compiled,
    "lightning broadcast": lambda problem: pennylane(problem, "lightning.qubit", "adjoint"),
    "lightning per sample": lambda problem: ours(problem, "lightning"),
    "default.qubit": lambda problem: pennylane(problem, "default.qubit", "backprop"),
    "qulacs": qulacs,
}
#: Reverse mode through every intermediate state: at 18 qubits it takes more memory than a workstation has.
MOST_QUBITS = {"default.qubit": 12}
LIGHTNING = ("lightning broadcast", "lightning per sample")


@dataclass
class Timing:
    step: Step
    compiling: float
    seconds: list[float]

    def take(self) -> None:
        started = time.perf_counter()
        self.step()
        self.seconds.append(time.perf_counter() - started)


def compare(size: Size, names: Sequence[str], runs: int, steps: int, patience: float) -> dict[str, float]:
    """Best median seconds of a step by peer; prints which gradients differ, or which peer is missing."""
    problem = Problem(size)
    timings: dict[str, Timing] = {}
    expected: np.ndarray | None = None
    for name in names:
        if size.n_qubits > MOST_QUBITS.get(name, size.n_qubits):
            continue
        try:
            started = time.perf_counter()
            step = PEERS[name](problem)
            gradient = step()
        except ImportError as fault:
            print(f"  {name}: not installed ({fault.name}); the extra `bench` has it")
            continue
        except Exception as fault:  # a peer that fails at some size shall not end the others' run
            print(f"  {name} fails at {size.n_qubits} qubits: {type(fault).__name__}: {str(fault)[:80]}")
            continue
        timings[name] = Timing(step, time.perf_counter() - started, [])
        if expected is None:
            expected = gradient
        off = float(np.abs(gradient - expected).max())
        if not off < TOLERANCE:
            raise SystemExit(f"{name} has another gradient at {size}: off by {off:.1e}")
    best: dict[str, float] = {}
    for _ in range(runs):
        for timing in timings.values():
            timing.seconds.clear()
        for turn in range(steps):
            for timing in timings.values():
                # The slowest are asked less often than the rest; three steps are the least.
                if turn < 3 or sum(timing.seconds) < patience:
                    timing.take()
        quick = [timing for timing in timings.values() if sum(timing.seconds) < 0.1]
        for timing in quick:  # a fraction of a millisecond: take more, and still in turns
            for _ in range(10 * steps):
                timing.take()
        for name, timing in timings.items():
            best[name] = min(best.get(name, np.inf), statistics.median(timing.seconds))
    print(f"{size.n_qubits:>3} qubits {size.layers:>2} layers batch {size.batch:>3}: ", end="")
    print(", ".join(f"{name} {1e3 * seconds:.4g} ms" for name, seconds in best.items()))
    if "jax" in timings:
        print(f"      compiling JAX's step took {timings['jax'].compiling:.1f} s")
    return best


def print_table(found: dict[Size, dict[str, float]]) -> None:
    print("\n| qubits x layers x batch | " + " | ".join(f"{name}, ms" for name in PEERS), end=" |")
    print(" JAX : native | best of Lightning : native | best peer : auto | auto takes |")
    print("|" + "---|" * (len(PEERS) + 5))
    for size, best in found.items():
        row = [f"{size.n_qubits} x {size.layers} x {size.batch}"]
        row += [f"{1e3 * best[name]:.3g}" if name in best else "" for name in PEERS]
        native = best["native"]
        lightning = [best[name] for name in LIGHTNING if name in best]
        row.append(f"{best['jax'] / native:.1f}" if "jax" in best else "")
        row.append(f"{min(lightning) / native:.0f}" if lightning else "")
        taken = auto_order(size.n_qubits, ("native", "lightning"))[0]
        time_of_auto = native if taken == "native" else best.get("lightning per sample", np.inf)
        others = [seconds for name, seconds in best.items() if name != "native"]
        row += [f"{min(others) / time_of_auto:.1f}" if others else "", taken]
        print("| " + " | ".join(row) + " |")


def median(step: Step, steps: int) -> float:
    step()
    timing = Timing(step, 0.0, [])
    for _ in range(steps):
        timing.take()
    return statistics.median(timing.seconds)


def print_growth() -> None:
    """How a step grows; eight qubits, four layers, batch 32 and all cores unless said otherwise."""
    base = Size(8, 4, 32)
    rows = {
        "qubits": [Size(n, 4, 32) for n in (2, 4, 6, 8, 10, 12, 14)],
        "layers": [Size(8, layers, 32) for layers in (1, 2, 4, 8, 16)],
        "batch": [Size(8, 4, batch) for batch in (1, 8, 32, 128, 512)],
    }
    for what, sizes in rows.items():
        cells = []
        for size in sizes:
            value = {"qubits": size.n_qubits, "layers": size.layers, "batch": size.batch}[what]
            cells.append(f"{value}: {1e3 * median(ours(Problem(size)), 50):.3g} ms")
        print(f"{what:>7}  " + ", ".join(cells))
    cores = [k for k in (1, 2, 4, 8, 16, 32, 64) if k <= (os.cpu_count() or 1)]
    for size in (base, Size(12, 4, 32), Size(20, 4, 1)):
        cells = [f"{k}: {1e3 * median(ours(Problem(size), options={'threads': k}), 20):.3g} ms" for k in cores]
        print(f"  cores  {size.n_qubits} qubits, batch {size.batch}: " + ", ".join(cells))


def print_epoch() -> None:
    """60,000 samples in batches of 32, eight qubits, four layers: the loop of a training job."""
    size, n_samples = Size(8, 4, 32), 60_000
    problem, random = Problem(size), np.random.default_rng(1)
    step = ours(problem)
    x = random.uniform(-1.5, 1.5, (n_samples, size.n_qubits))
    y = random.integers(0, CLASSES, n_samples)
    started = time.perf_counter()
    order = random.permutation(n_samples)
    for start in range(0, n_samples, size.batch):
        rows = order[start : start + size.batch]
        problem.features, problem.labels = x[rows], y[rows]
        step()
    seconds = time.perf_counter() - started
    print(
        f"\none epoch of {n_samples:,} samples: {seconds:.2f} s, {n_samples / seconds:,.0f} circuits/s with gradients"
    )


def print_memory() -> None:
    """What a step adds to the process at its peak, beside what its states take."""
    print()
    ours(Problem(Size(2, 1, 2)))()  # loads the kernels
    for size in (Size(16, 2, 4), Size(20, 2, 2), Size(22, 1, 1)):
        step = ours(Problem(size))
        before = _peak(reset=True)
        step()
        added = _peak() - before
        # As many samples at once as there are cores, but the cores share the states of fewer.
        cores = min(os.cpu_count() or 1, size.batch)
        state = 8 * 2**size.n_qubits
        print(
            f"{size.n_qubits} qubits batch {size.batch}: {added / 2**20:.1f} MiB at the peak, "
            f"{added / state:.2f} states of {state / 2**20:.1f} MiB in all, {added / state / cores:.2f} per sample in flight"
        )


def _peak(*, reset: bool = False) -> int:
    """Bytes of memory that the process has had since the last reset; Linux."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument(
        "--patience", type=float, default=60.0, help="seconds of a run that one peer may take at a size"
    )
    parser.add_argument("--sizes", default=SIZES, help="qubits x layers x batch, with commas")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--only", default="steps,growth,epoch,memory")
    options = parser.parse_args()
    wanted = options.only.split(",")
    names = [name for name in PEERS if name in options.peers.split(",")]
    print(f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    if "memory" in wanted:  # first, while no peer has left memory behind that a step could reuse
        print_memory()
    if "steps" in wanted:
        sizes = [Size.parse(text) for text in options.sizes.split(",")]
        found = {size: compare(size, names, options.runs, options.steps, options.patience) for size in sizes}
        print_table(found)
    if "growth" in wanted:
        print_growth()
    if "epoch" in wanted:
        print_epoch()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
