"""Every pass leaves the circuit what it was, against dense matrices; and makes of known circuits what is known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from qstore_appliance.engine import expressions
from qstore_appliance.engine.circuit import GATES, Circuit, Gate
from qstore_appliance.engine.optimisation import levels, native
from qstore_appliance.engine.optimisation.cancellation import cancel
from qstore_appliance.engine.optimisation.folding import fold
from qstore_appliance.engine.optimisation.rotations import total
from qstore_appliance.engine.optimisation.single_qubit import join
from qstore_appliance.engine.optimisation.swaps import absorb
from qstore_appliance.engine.optimisation.two_qubit import needed, squash
from tests.contract.backends.oracle import matrix

Pass = Callable[[Sequence[Gate]], list[Gate]]
PASSES = {
    "cancel": cancel, "fold": fold, "join": join, "squash": squash, "native": native.compiled, "apart": levels.apart,
    "absorb": absorb,
    "level 3": lambda gates: levels.stages_of(3, None)[-1][1](gates),
}  # fmt: skip
TEXTS = ("a", "b", "a + b", "2*a", "-b + pi/2", "sin(a)")
VALUES = {"a": 0.37, "b": -1.21}


def unitary(circuit: Circuit) -> np.ndarray:
    """By the oracle's matrices, which share nothing with the engine."""
    n = circuit.n_qubits
    found = np.eye(2**n, dtype=complex)
    for gate in circuit.bind({name: VALUES[name] for name in circuit.symbols}).gates:
        size = len(gate.targets)
        small = matrix(gate.name, [float(angle) for angle in gate.parameters]).reshape((2,) * (2 * size))
        tensor = found.reshape((2,) * n + (2**n,))
        tensor = np.tensordot(small, tensor, axes=(range(size, 2 * size), gate.targets))
        found = np.moveaxis(tensor, range(size), gate.targets).reshape(2**n, 2**n)
    return found


def drawn(n_qubits: int, count: int, seed: int, symbols: bool) -> Circuit:
    chance = random.Random(seed)
    gates = []
    for _ in range(count):
        name = chance.choice([name for name, spec in GATES.items() if spec.n_qubits <= n_qubits])
        angles: list[float | expressions.Expression] = []
        for _ in GATES[name].parameter_names:
            if symbols and chance.random() < 0.4:
                angles.append(expressions.parse(chance.choice(TEXTS)))
            else:
                angles.append(chance.choice((chance.randrange(-8, 9) * math.pi / 4, chance.uniform(-7, 7))))
        gates.append(Gate(name, tuple(chance.sample(range(n_qubits), GATES[name].n_qubits)), tuple(angles)))
    return Circuit.build(n_qubits, gates)


def plain(*rows: str) -> list[Gate]:
    """`plain("CNOT 0 1", "RZ 0 a")`: gates from words."""
    gates = []
    for row in rows:
        name, *words = row.split()
        n = GATES[name].n_qubits
        angles = [expressions.parse(word) for word in words[n:]]
        gates.append(
            Gate(name, tuple(map(int, words[:n])), tuple(one if one.symbols else one.evaluate({}) for one in angles))
        )
    return gates


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize("symbols", [False, True], ids=["numbers", "symbols"])
def test_a_pass_keeps_the_unitary(name: str, symbols: bool) -> None:
    """Over every gate of the house, in random circuits of one to four qubits."""
    for seed in range(12):
        circuit = drawn(1 + seed % 4, 30, seed, symbols)
        gates = PASSES[name](circuit.gates) or plain("RZ 0 0")
        Circuit.build(circuit.n_qubits, gates)

        inner = np.trace(unitary(circuit).conj().T @ unitary(Circuit(circuit.n_qubits, tuple(gates))))

        assert abs(inner) / 2**circuit.n_qubits == pytest.approx(1, abs=1e-9), seed


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (("H 0", "CNOT 0 1", "CNOT 0 1", "H 0"), ()),
        (("CNOT 0 1", "RZ 0 0.3", "X 1", "CNOT 0 1"), ("RZ 0 0.3", "X 1")),
        (("RZ 0 a", "CNOT 0 1", "RZ 0 b"), ("RZ 0 a+b", "CNOT 0 1")),
        (("RZ 0 a", "CZ 0 1", "RZ 0 -a"), ("CZ 0 1",)),
        (("T 0", "T 0"), ("S 0",)),
        (("RZZ 0 1 a", "RZZ 1 0 a"), ("RZZ 0 1 2*a",)),
        (("CNOT 0 1", "CNOT 1 0"), ("CNOT 0 1", "CNOT 1 0")),
    ],
)
def test_what_undoes_itself_goes(given: Sequence[str], left: Sequence[str]) -> None:
    """Also past gates that commute, and with symbols that add up; what does not commute stays."""
    assert cancel(plain(*given)) == plain(*left)


def test_turns_on_one_parity_become_one() -> None:
    """T and T dagger on the same sum of bits are nothing, though CNOTs stand between them."""
    gates = plain("CNOT 0 1", "T 1", "CNOT 0 1", "X 0", "CNOT 0 1", "T 1", "CNOT 0 1", "X 0")

    assert sum(gate.name in ("T", "TDG") for gate in fold(gates)) == 0


@pytest.mark.parametrize(
    ("gates", "count"),
    [
        (("H 0", "T 1"), 0), (("CNOT 0 1",), 1), (("CZ 0 1", "H 0"), 1), (("RZZ 0 1 0.3",), 2), (("ISWAP 0 1",), 2),
        (("SWAP 0 1",), 3), (("RXX 0 1 0.3", "RYY 0 1 0.4", "RZZ 0 1 0.5"), 3),
    ],
)  # fmt: skip
def test_how_many_cnots_a_matrix_needs(gates: Sequence[str], count: int) -> None:
    """The numbers that are known of these gates."""
    assert needed(unitary(Circuit.build(2, plain(*gates)))) == count


def test_any_block_of_two_qubits_comes_to_three_cnots() -> None:
    """However many gates it had."""
    circuit = drawn(2, 200, 5, symbols=False)

    found = squash(levels.apart(circuit.gates))

    assert sum(len(gate.targets) > 1 for gate in found) <= 3


def test_a_swap_goes_where_it_costs_least() -> None:
    """Next to an earlier gate on its pair, the gates between being renamed: five CNOTs become three."""
    gates = plain("CP 0 1 0.7", "H 1", "CP 1 2 0.3", "CNOT 0 1", "CNOT 1 0", "CNOT 0 1")

    assert absorb(gates) == plain("CP 0 1 0.7", "SWAP 0 1", "H 0", "CP 0 2 0.3")
    assert sum(len(gate.targets) > 1 for gate in squash(absorb(levels.apart(gates)))) == 5


def test_ionq_gets_its_own_gates() -> None:
    """GPI, GPI2 and MS alone, with angles that the hardware has; a controlled phase is one MS."""
    found = native.compiled(drawn(3, 40, 3, symbols=False).gates)

    assert {gate.name for gate in found} <= {"GPI", "GPI2", "MS"}
    angles = [float(gate.parameters[2]) for gate in found if gate.name == "MS"]
    assert angles
    assert all(0 <= angle <= math.pi / 2 + 1e-9 for angle in angles)
    assert sum(gate.name == "MS" for gate in native.compiled(plain("CP 0 1 a"))) == 1


def test_sums_are_written_shortly() -> None:
    """What cancels is gone, also where only a number is left."""
    a, b = expressions.parse("a + pi/2"), expressions.parse("b - a")

    assert str(total(a, b)).startswith("b + 1.57")
    assert total(expressions.parse("a"), expressions.parse("-a + 1")) == 1.0


def test_every_level_does_no_harm() -> None:
    """A higher level never leaves more entanglers, and the certificate says that each did the same."""
    circuit = drawn(4, 60, 9, symbols=True)
    counts = []
    for level in levels.LEVELS:
        found, applied, refused, certificate = levels.certified(circuit, level, None, 1)
        assert certificate.equivalent
        assert refused == []
        assert len(applied) == len(levels.stages_of(level, None))
        counts.append(sum(levels.CNOTS.get(gate.name, 0) for gate in found.gates))

    assert counts == sorted(counts, reverse=True)


def test_a_pass_without_certificate_is_not_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that loses a gate is left out and named; the others are applied."""
    circuit = Circuit.build(2, plain("H 0", "T 0", "T 0", "CNOT 0 1"))
    stages = [("loses", lambda gates: list(gates)[1:]), ("cancel", cancel)]
    monkeypatch.setattr(levels, "stages_of", lambda level, target: stages)

    found, applied, refused, certificate = levels.certified(circuit, 3, None, 1)

    assert (applied, refused, certificate.equivalent) == (["cancel"], ["loses"], True)
    assert found.gate_count == 3
