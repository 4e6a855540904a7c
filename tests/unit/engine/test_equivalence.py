"""The certificate: who is the same up to a phase, and the state that tells two circuits apart."""

from __future__ import annotations

import numpy as np
import pytest

from qstore_appliance.engine import comparing, equivalence
from qstore_appliance.engine.circuit import Circuit
from qstore_appliance.engine.formats import unified
from tests.unit.engine.optimisation.test_passes import plain, unitary


def circuit(n_qubits: int, *rows: str) -> Circuit:
    return Circuit.build(n_qubits, plain(*rows))


@pytest.mark.parametrize("n_qubits", [2, 12])
def test_the_same_up_to_a_phase(n_qubits: int) -> None:
    """Z and RZ(pi) differ by a phase of all states, which nobody sees; with matrices and with random states."""
    found = equivalence.compare(circuit(n_qubits, "H 0", "Z 0"), circuit(n_qubits, "H 0", "RZ 0 pi"), 1)

    assert found.equivalent
    assert found.overlap == pytest.approx(1, abs=1e-12)
    assert found.method == ("unitary" if n_qubits == 2 else "random_states")
    assert found.counter_example is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("H 0", "T 1"), ("H 0",)),
        (("CNOT 0 1",), ("CNOT 1 0",)),
        (("X 0", "X 1"), ("X 1",)),
        (("CZ 0 1",), ("RZ 0 0",)),
        (("RZ 0 a",), ("RZ 0 -a",)),
        (("RZ 0 a",), ("RZ 0 b",)),
    ],
)
def test_a_state_that_tells_them_apart(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    """The preparation in the counter-example, run through both circuits, gives the overlap that it names."""
    a, b = circuit(2, *one), circuit(2, *other)

    found = equivalence.compare(a, b, 1)

    example = found.counter_example
    assert found.equivalent is False
    assert example is not None
    state = np.eye(4)[0]
    if example["preparation"]:
        state = unitary(unified.read({"n_qubits": 2, "gates": example["preparation"]})) @ state
    images = []
    for each in (a, b):
        bound = each.bind({name: example["parameters"][name] for name in each.symbols})
        images.append(unitary(bound) @ state)
    assert abs(np.vdot(*images)) == pytest.approx(example["overlap"], abs=1e-9)
    assert example["overlap"] < 0.999


def test_a_difference_is_seen_by_random_states() -> None:
    """One T too many on 12 qubits."""
    found = equivalence.compare(circuit(12, "H 11", "T 3"), circuit(12, "H 11"), 1)

    assert found.equivalent is False
    assert found.states == equivalence.STATES
    assert found.counter_example is not None


def test_symbols_get_several_sets_of_numbers() -> None:
    """Each is told; expressions with roots get positive ones."""
    found = equivalence.compare(circuit(1, "RX 0 sqrt(a)"), circuit(1, "RX 0 sqrt(a)", "RZ 0 b", "RZ 0 -b"), 1)

    assert found.equivalent
    assert len(found.bindings) == equivalence.BINDINGS
    assert all(numbers["a"] > 0 for numbers in found.bindings)


def test_too_much_is_not_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where even one state is too much work there is no certificate, and no claim."""
    monkeypatch.setattr(equivalence, "MOST_WORK", 100.0)

    found = equivalence.compare(circuit(12, "H 0"), circuit(12, "X 0"), 1)

    assert (found.equivalent, found.method, found.overlap) == (None, "none", None)


def test_the_difference_of_gates() -> None:
    """Runs of gates that only one of the two has, with their places."""
    one, other = circuit(2, "H 0", "CNOT 0 1", "T 1"), circuit(2, "H 0", "S 0", "CNOT 0 1")

    found = comparing.difference(one, other)

    assert (found["removed"], found["added"], found["same"], found["complete"]) == (1, 1, 2, True)
    assert found["changes"] == [
        {"index_a": 1, "removed": [], "index_b": 1, "added": [{"type": "S", "targets": [0]}]},
        {"index_a": 2, "removed": [{"type": "T", "targets": [1]}], "index_b": 3, "added": []},
    ]
