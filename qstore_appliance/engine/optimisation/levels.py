"""
The levels of optimisation: which passes run, in which order, until when, and that each is certified.

0 changes nothing (a native target is compiled for), 1 is one linear sweep, 2 adds resynthesis of one and two qubits and
phase folding, 3 repeats them, and takes composed gates apart where that leaves fewer entanglers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from qstore_appliance.engine import equivalence
from qstore_appliance.engine.circuit import MAX_GATES, Circuit, Gate
from qstore_appliance.engine.equivalence import Certificate
from qstore_appliance.engine.formats import ionq_native, unified
from qstore_appliance.engine.lowering import spelled
from qstore_appliance.engine.optimisation import native
from qstore_appliance.engine.optimisation.cancellation import cancel
from qstore_appliance.engine.optimisation.folding import fold
from qstore_appliance.engine.optimisation.single_qubit import join
from qstore_appliance.engine.optimisation.swaps import absorb
from qstore_appliance.engine.optimisation.two_qubit import CNOTS, squash

LEVELS: Final = (0, 1, 2, 3)
#: Rounds of level 3; nearly always three or four leave nothing to do.
ROUNDS: Final = 12

Pass = Callable[[Sequence[Gate]], list[Gate]]


def optimise(n_qubits: int, gates: list[dict[str, Any]], level: int, target: str | None, seed: int) -> dict[str, Any]:
    """
    Shrink a circuit.

    Args:
        gates: In any spelling of JSON.
        target: The backend that it shall run on; None for any.

    Returns: `n_qubits`, `gates`, `before` and `after` (depth and counts), `passes` (the names of those that were
        applied), `refused` (of those that were not, having no certificate) and `certificate`.

    Raises:
        InvalidCircuit: The circuit has no finite value for any numbers that were tried.
    """
    before = unified.read({"n_qubits": n_qubits, "gates": gates})
    after, applied, refused, certificate = certified(before, level, target, seed)
    return {
        "n_qubits": n_qubits,
        "gates": unified.write(after)["gates"],
        "before": counted(before),
        "after": counted(after),
        "passes": applied,
        "refused": refused,
        "certificate": certificate.told(),
    }


def certified(
    circuit: Circuit, level: int, target: str | None, seed: int
) -> tuple[Circuit, list[str], list[str], Certificate]:
    """The smaller circuit with the names of the passes applied and refused, and the certificate of the whole."""
    stages = stages_of(level, target)
    found = circuit
    for _, stage in stages:
        found = _staged(stage, found)
    certificate = equivalence.compare(circuit, found, seed)
    if certificate.equivalent:
        return found, [name for name, _ in stages], [], certificate
    # One of them cannot be certified: each is applied alone, and left out where it is that one.
    kept, applied, refused = circuit, [], []
    for name, stage in stages:
        candidate = _staged(stage, kept)
        if equivalence.compare(circuit, candidate, seed).equivalent:
            kept = candidate
            applied.append(name)
        else:
            refused.append(name)
    return kept, applied, refused, equivalence.compare(circuit, kept, seed)


def stages_of(level: int, target: str | None) -> list[tuple[str, Pass]]:
    """The passes of a level by name, in their order."""
    found: list[tuple[str, Pass]] = []
    if level == 1:
        found = [("cancel", cancel)]
    elif level == 2:
        found = [("cancel", cancel), ("fold_phases", fold), ("join_single_qubit", join), ("squash_pairs", squash),
                 ("tidy", _tidied)]  # fmt: skip
    elif level == 3:
        found = [("cancel", cancel), ("shrink", _smallest)]
    if target in ionq_native.TARGETS:
        found.append(("ionq_native", native.compiled))
    return found


def counted(circuit: Circuit) -> dict[str, Any]:
    """Depth, gates, those on two or more qubits, and how many of each name."""
    names: dict[str, int] = {}
    for gate in circuit.gates:
        names[gate.name] = names.get(gate.name, 0) + 1
    several = sum(len(gate.targets) > 1 for gate in circuit.gates)
    return {
        "depth": circuit.depth,
        "gate_count": circuit.gate_count,
        "two_qubit_gates": several,
        "gates": dict(sorted(names.items())),
    }


def _staged(stage: Pass, circuit: Circuit) -> Circuit:
    gates = stage(circuit.gates)
    if len(gates) > MAX_GATES:
        return circuit
    # A circuit has one gate at the least: what does nothing is a turn by nothing.
    return Circuit(circuit.n_qubits, tuple(gates) or (Gate("RZ", (0,), (0.0,)),))


def _cost(gates: Sequence[Gate]) -> tuple[int, int]:
    return sum(CNOTS.get(gate.name, 0) for gate in gates), len(gates)


def _tidied(gates: Sequence[Gate]) -> list[Gate]:
    """Never more than there was."""
    found = join(cancel(gates))
    return found if _cost(found) <= _cost(gates) else list(gates)


def _smallest(gates: Sequence[Gate]) -> list[Gate]:
    """The better of two: with composed gates as they are, and with all of them taken apart."""
    kept = _repeated(gates)
    taken = _repeated(apart(gates))
    return min((list(gates), kept, taken), key=_cost)


def _repeated(gates: Sequence[Gate]) -> list[Gate]:
    best = cancel(fold(cancel(gates)))
    for _ in range(ROUNDS):
        found = cancel(squash(absorb(cancel(join(cancel(fold(best)))))))
        found = min(found, join(found), key=_cost)
        if _cost(found) >= _cost(best):
            return best
        best = found
    return best


def apart(gates: Sequence[Gate]) -> list[Gate]:
    """Every gate as CNOT and gates of one qubit."""
    out: list[Gate] = []
    for gate in gates:
        if len(gate.targets) == 1 or gate.name == "CNOT":
            out.append(gate)
            continue
        n_qubits = 1 + max(gate.targets)
        for part in spelled(Circuit(n_qubits, (gate,)), ()).gates:
            if part.name == "CCX":
                out.extend(native.toffoli(*part.targets))
            elif part.name == "SWAP":
                a, b = part.targets
                out.extend(Gate("CNOT", pair) for pair in ((a, b), (b, a), (a, b)))
            elif part.name == "CZ":
                turn = Gate("H", (part.targets[1],))
                out.extend((turn, Gate("CNOT", part.targets), turn))
            else:
                out.append(part)
    return out
