"""What two circuits differ in: gate by gate, in size, and in what they do. Runs in a calculator process."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Any, Final

from qstore_appliance.engine import equivalence
from qstore_appliance.engine.circuit import Circuit
from qstore_appliance.engine.formats import unified
from qstore_appliance.engine.optimisation.levels import counted

#: Changes that are told one by one.
MAX_CHANGES: Final = 1_000


def compare(a: tuple[int, list[dict[str, Any]]], b: tuple[int, list[dict[str, Any]]], seed: int) -> dict[str, Any]:
    """
    Args:
        a: Qubits and gates; likewise `b`. The one with fewer qubits gets idle ones at its end.

    Returns: `resources` of both, `diff` and `certificate`.

    Raises:
        InvalidCircuit: The circuits have no finite value for any numbers that were tried.
    """
    one, other = (unified.read({"n_qubits": n_qubits, "gates": gates}) for n_qubits, gates in (a, b))
    return {
        "resources": {"a": sized(one), "b": sized(other)},
        "diff": difference(one, other),
        "certificate": equivalence.compare(one, other, seed).told(),
    }


def differ(a: tuple[int, list[dict[str, Any]]], b: tuple[int, list[dict[str, Any]]]) -> dict[str, Any]:
    """What `compare` answers as `diff`, alone."""
    one, other = (unified.read({"n_qubits": n_qubits, "gates": gates}) for n_qubits, gates in (a, b))
    return difference(one, other)


def difference(one: Circuit, other: Circuit) -> dict[str, Any]:
    """
    The gates that are in one of two circuits alone, in runs: what to take out of the first, and what to put there.

    Returns: `changes` with `index_a`, `removed`, `index_b` and `added`; `removed`, `added` and `same` in numbers;
        `complete`, false where there are more changes than are told.
    """
    rows, others = (unified.write(circuit)["gates"] for circuit in (one, other))
    changes: list[dict[str, Any]] = []
    removed = added = same = 0
    # By number, so that equal gates are equal at once.
    numbers: dict[Any, int] = {}
    first, second = ([numbers.setdefault(gate, len(numbers)) for gate in circuit.gates] for circuit in (one, other))
    for kind, start, end, from_, to in SequenceMatcher(None, first, second).get_opcodes():
        if kind == "equal":
            same += end - start
            continue
        removed, added = removed + end - start, added + to - from_
        changes.append({"index_a": start, "removed": rows[start:end], "index_b": from_, "added": others[from_:to]})
    complete = len(changes) <= MAX_CHANGES
    return {
        "changes": changes[:MAX_CHANGES],
        "removed": removed,
        "added": added,
        "same": same,
        "complete": complete,
    }


def sized(circuit: Circuit) -> dict[str, Any]:
    return {"n_qubits": circuit.n_qubits, **counted(circuit), "symbols": len(circuit.symbols)}
