#!/usr/bin/env python3
"""
Gates on two qubits that are left of well-known circuits, beside Qiskit at level 3 and tket's full peephole, in one run.

Every optimiser gets the same circuit, written with CNOT and gates on one qubit, on qubits that are all connected, and
answers in those gates. Each answer of ours is certified. The peers come from the extra `bench`; Qiskit also from `dev`.

    python scripts/bench/optimise.py [--only qft,grover]
"""

from __future__ import annotations

import argparse
import math
import platform
import random
import time
from collections.abc import Callable, Sequence

from qstore_appliance.engine import equivalence
from qstore_appliance.engine.circuit import Circuit, Gate
from qstore_appliance.engine.formats import openqasm
from qstore_appliance.engine.optimisation import levels
from qstore_appliance.engine.optimisation.cancellation import cancel

Gates = list[Gate]


def gate(name: str, *qubits: int, angles: Sequence[float] = ()) -> Gate:
    return Gate(name, qubits, tuple(angles))


def qft(n: int) -> Circuit:
    gates: Gates = []
    for i in range(n):
        gates.append(gate("H", i))
        gates += [gate("CP", j, i, angles=[math.pi / 2 ** (j - i)]) for j in range(i + 1, n)]
    gates += [gate("SWAP", i, n - 1 - i) for i in range(n // 2)]
    return Circuit.build(n, gates)


def qaoa(n: int, layers: int, seed: int) -> Circuit:
    chance = random.Random(seed)
    edges = sorted({tuple(sorted(chance.sample(range(n), 2))) for _ in range(3 * n // 2)})
    gates = [gate("H", q) for q in range(n)]
    for _ in range(layers):
        gamma, beta = chance.uniform(0, 3), chance.uniform(0, 3)
        gates += [gate("RZZ", *edge, angles=[gamma]) for edge in edges]
        gates += [gate("RX", q, angles=[beta]) for q in range(n)]
    return Circuit.build(n, gates)


def ansatz(n: int, layers: int, full: bool, seed: int) -> Circuit:
    """RY and RZ on each qubit, then CNOTs between all pairs or in a ring."""
    chance = random.Random(seed)
    gates: Gates = []
    for _ in range(layers):
        for q in range(n):
            gates += [gate(name, q, angles=[chance.uniform(-3, 3)]) for name in ("RY", "RZ")]
        pairs = [(a, b) for a in range(n) for b in range(a + 1, n)] if full else [(q, (q + 1) % n) for q in range(n)]
        gates += [gate("CNOT", *pair) for pair in pairs]
    return Circuit.build(n, gates)


def excitations(n: int, seed: int) -> Circuit:
    """Pauli exponentials as UCCSD has them: ladders of CNOTs about a turn, in two bases each."""
    chance = random.Random(seed)
    gates = [gate("X", q) for q in range(n // 2)]
    for low in range(n // 2):
        for high in range(n // 2, n):
            angle = chance.uniform(-1, 1)
            for x_at, y_at, sign in ((low, high, 1), (high, low, -1)):
                turns = [gate("H", x_at), gate("RX", y_at, angles=[math.pi / 2])]
                back = [gate("H", x_at), gate("RX", y_at, angles=[-math.pi / 2])]
                ladder = [gate("CNOT", q, q + 1) for q in range(low, high)]
                gates += [*turns, *ladder, gate("RZ", high, angles=[sign * angle]), *reversed(ladder), *back]
    return Circuit.build(n, gates)


def adder(bits: int) -> Circuit:
    """Cuccaro's ripple-carry adder (arXiv:quant-ph/0410184) on 2 bits + 2 qubits."""
    n = 2 * bits + 2
    a, b = [2 * i + 2 for i in range(bits)], [2 * i + 1 for i in range(bits)]
    carry, high = 0, n - 1
    order = [carry, *a]
    gates: Gates = []
    for i in range(bits):
        x, y, z = order[i], b[i], a[i]
        gates += [gate("CNOT", z, y), gate("CNOT", z, x), gate("CCX", x, y, z)]
    if a[-1] != high:
        gates.append(gate("CNOT", a[-1], high))
    for i in reversed(range(bits)):
        x, y, z = order[i], b[i], a[i]
        gates += [gate("CCX", x, y, z), gate("CNOT", z, x), gate("CNOT", x, y)]
    return Circuit.build(n, gates)


def grover(n: int, rounds: int) -> Circuit:
    """n qubits searched with n - 2 helpers, the wanted one all ones."""
    helpers = list(range(n, 2 * n - 2))
    total = n + max(0, n - 2)

    def phase() -> Gates:
        if n == 3:
            return [gate("H", 2), gate("CCX", 0, 1, 2), gate("H", 2)]
        climb = [gate("CCX", 0, 1, helpers[0])]
        climb += [gate("CCX", i + 2, helpers[i], helpers[i + 1]) for i in range(n - 3)]
        return [*climb, gate("CZ", helpers[n - 3], n - 1), *reversed(climb)]

    gates = [gate("H", q) for q in range(n)]
    for _ in range(rounds):
        gates += phase()
        gates += [gate(name, q) for name in ("H", "X") for q in range(n)]
        gates += phase()
        gates += [gate(name, q) for name in ("X", "H") for q in range(n)]
    return Circuit.build(total, gates)


def clifford_t(n: int, count: int, seed: int) -> Circuit:
    chance = random.Random(seed)
    gates: Gates = []
    for _ in range(count):
        name = chance.choice(("H", "S", "SDG", "T", "TDG", "X", "CNOT", "CNOT", "CNOT"))
        gates.append(gate(name, *chance.sample(range(n), 2 if name == "CNOT" else 1)))
    return Circuit.build(n, gates)


def ising(n: int, steps: int) -> Circuit:
    """Trotter steps of a chain of spins with all three interactions."""
    gates: Gates = []
    for _ in range(steps):
        for start in (0, 1):
            for q in range(start, n - 1, 2):
                gates += [gate(name, q, q + 1, angles=[0.2]) for name in ("RXX", "RYY", "RZZ")]
        gates += [gate("RZ", q, angles=[0.1]) for q in range(n)]
    return Circuit.build(n, gates)


SET: dict[str, Callable[[], Circuit]] = {
    **{f"qft-{n}": lambda n=n: qft(n) for n in (4, 8, 12, 16)},
    **{f"qaoa-{n}x{p}": lambda n=n, p=p: qaoa(n, p, n) for n, p in ((4, 2), (8, 2), (12, 2), (16, 1), (20, 1))},
    **{f"ring-{n}x{p}": lambda n=n, p=p: ansatz(n, p, False, n) for n, p in ((4, 3), (8, 3), (12, 2), (20, 2))},
    **{f"full-{n}x{p}": lambda n=n, p=p: ansatz(n, p, True, n) for n, p in ((4, 3), (6, 2), (8, 2))},
    **{f"uccsd-{n}": lambda n=n: excitations(n, n) for n in (4, 6, 8)},
    **{f"adder-{n}": lambda n=n: adder(n) for n in (1, 2, 4, 6, 9)},
    **{f"grover-{n}x{r}": lambda n=n, r=r: grover(n, r) for n, r in ((3, 2), (4, 2), (5, 2), (7, 1))},
    **{f"clifford-t-{n}": lambda n=n, k=k: clifford_t(n, k, n) for n, k in
       ((4, 100), (5, 200), (6, 300), (8, 300), (10, 400), (14, 400))},
    **{f"heisenberg-{n}": lambda n=n: ising(n, 2) for n in (4, 8, 16)},
}  # fmt: skip


def with_qiskit(circuit: Circuit) -> int:
    from qiskit import QuantumCircuit, transpile

    given = QuantumCircuit.from_qasm_str(openqasm.write(circuit, 2))
    found = transpile(given, basis_gates=["cx", "u"], optimization_level=3, seed_transpiler=1)
    return int(found.count_ops().get("cx", 0))


def with_tket(circuit: Circuit) -> int:
    from pytket.circuit import OpType
    from pytket.passes import FullPeepholeOptimise
    from pytket.qasm import circuit_from_qasm_str

    given = circuit_from_qasm_str(openqasm.write(circuit, 2))
    # A permutation of the qubits at the end would be another unitary.
    FullPeepholeOptimise(allow_swaps=False).apply(given)
    assert {command.op.type for command in given if command.op.n_qubits > 1} <= {OpType.CX}
    return int(given.n_gates_of_type(OpType.CX))


def timed(work: Callable[..., int], *given: Circuit) -> tuple[int, float]:
    began = time.perf_counter()
    return work(*given), time.perf_counter() - began


def speed() -> float:
    """Seconds of level 1 on 10,000 gates: the best of five."""
    circuit = clifford_t(20, 10_000, 1)
    return min(timed(lambda: len(cancel(circuit.gates)))[1] for _ in range(5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="beginnings of names, separated by commas")
    wanted = tuple(parser.parse_args().only.split(","))
    print(f"Python {platform.python_version()}, {platform.machine()}")
    print("| circuit | qubits | CNOTs | level 3 | Qiskit | tket | seconds: ours | Qiskit | tket | overlap |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    totals, good, rows = [0, 0, 0, 0, 0], 0, 0
    for name, build in SET.items():
        if not name.startswith(wanted):
            continue
        written = build()
        circuit = Circuit(written.n_qubits, tuple(levels.apart(written.gates)))
        before = sum(len(one.targets) > 1 for one in circuit.gates)
        began = time.perf_counter()
        gates = circuit.gates
        for _, stage in levels.stages_of(3, None):
            gates = tuple(stage(gates))
        seconds = time.perf_counter() - began
        ours = sum(levels.CNOTS.get(one.name, 0) for one in gates)
        overlap = equivalence.compare(circuit, Circuit(circuit.n_qubits, gates), 7).overlap
        (qiskit, theirs), (tket, others) = timed(with_qiskit, circuit), timed(with_tket, circuit)
        best = min(qiskit, tket)
        good, rows = good + (ours <= best), rows + 1
        totals = [total + one for total, one in zip(totals, (before, ours, qiskit, tket, best), strict=True)]
        mark = "" if ours <= best else " (more)"
        print(f"| {name} | {circuit.n_qubits} | {before} | {ours}{mark} | {qiskit} | {tket} | {seconds:.2f} | "
              f"{theirs:.2f} | {others:.2f} | {overlap:.12f} |", flush=True)  # fmt: skip
    print(f"\ntotals: before {totals[0]}, ours {totals[1]}, Qiskit {totals[2]}, tket {totals[3]}, best of them "
          f"{totals[4]}; ours by theirs {totals[1] / totals[4]:.3f}; no more on {good} of {rows}")  # fmt: skip
    print(f"level 1 on 10,000 gates: {speed() * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
