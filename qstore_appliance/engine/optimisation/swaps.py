"""
An exchange of two qubits moves next to another gate on the same two, where it costs at most what is left to three CNOTs.

Past any gate it may go: that gate then acts on the other of the two qubits. Three CNOTs to and fro are an exchange.
"""

from __future__ import annotations

from collections.abc import Sequence

from qstore_appliance.engine.circuit import Gate
from qstore_appliance.engine.optimisation.single_qubit import symbolic


def absorb(gates: Sequence[Gate]) -> list[Gate]:
    """The gates with every SWAP that has an earlier or later gate on its pair right beside that one."""
    out = recognised(gates)
    for _ in range(sum(gate.name == "SWAP" for gate in out)):
        found = next(filter(None, (_move(out, place) for place in range(len(out)))), None)
        if found is None:
            break
        place, home = found
        gate = out[place]
        between = out[home + 1 : place] if home < place else out[place + 1 : home]
        renamed = [_exchanged(one, gate.targets) for one in between]
        out[min(home + 1, place) : max(home, place + 1)] = [gate, *renamed] if home < place else [*renamed, gate]
    return out


def _move(gates: Sequence[Gate], place: int) -> tuple[int, int] | None:
    """From where to beside which gate a SWAP can go; None where it is beside it already, or is none."""
    if gates[place].name != "SWAP":
        return None
    home = _home(gates, place)
    return None if home is None or abs(home - place) == 1 else (place, home)


def recognised(gates: Sequence[Gate]) -> list[Gate]:
    """Three CNOTs to and fro with nothing between them on their qubits, as SWAP."""
    out: list[Gate | None] = []
    last: dict[int, list[int]] = {}
    for gate in gates:
        chains = [last.setdefault(qubit, []) for qubit in gate.targets]
        if gate.name == "CNOT" and all(len(chain) > 1 for chain in chains) and chains[0][-2:] == chains[1][-2:]:
            second, first = out[chains[0][-1]], out[chains[0][-2]]
            if first == gate and second == Gate("CNOT", gate.targets[::-1]):
                out[chains[0][-1]] = None
                out[chains[0][-2]] = Gate("SWAP", gate.targets)
                for chain in chains:
                    chain.pop()
                continue
        for chain in chains:
            chain.append(len(out))
        out.append(gate)
    return [gate for gate in out if gate is not None]


def _home(gates: Sequence[Gate], place: int) -> int | None:
    """The nearest gate on the same pair, if it can be put together with others."""
    pair = {*gates[place].targets}
    for distance in range(1, len(gates)):
        for index in (place - distance, place + distance):
            if 0 <= index < len(gates):
                other = gates[index]
                if len(other.targets) == 2 and {*other.targets} == pair and not symbolic(other):
                    return index
    return None


def _exchanged(gate: Gate, pair: tuple[int, ...]) -> Gate:
    if pair[0] not in gate.targets and pair[1] not in gate.targets:
        return gate
    names = {pair[0]: pair[1], pair[1]: pair[0]}
    return Gate(gate.name, tuple(names.get(qubit, qubit) for qubit in gate.targets), gate.parameters)
