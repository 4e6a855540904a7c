"""The version 4 library's JSON: only its own words, and the same unitary."""

from __future__ import annotations

import numpy as np
import pytest

from qstore_appliance.engine import expressions
from qstore_appliance.engine.circuit import GATES, Circuit, Gate
from qstore_appliance.engine.formats import qstore4, unified
from tests.unit.engine.formats.test_ionq import distance, unitary

LIBRARY = {"H", "X", "Y", "Z", "S", "T", "RX", "RY", "RZ", "CNOT", "CZ", "SWAP", "GPI", "GPI2", "MS", "CCX", "CSWAP"}


@pytest.mark.parametrize("name", sorted(GATES))
def test_writing_and_reading_keeps_the_unitary(name: str) -> None:
    """Every gate of the circuit model comes through, in gates that the library knows and with its keys."""
    spec = GATES[name]
    rng = np.random.default_rng(len(name))
    angles = tuple(float(a) for a in rng.uniform(-7, 7, len(spec.parameter_names)))
    circuit = Circuit.build(3, [Gate(name, tuple(rng.permutation(3)[: spec.n_qubits].tolist()), angles)])

    written = qstore4.write(circuit)

    assert {row["gate_type"] for row in written["gates"]} <= LIBRARY
    assert all(set(row) <= {"gate_type", "targets", "parameters"} for row in written["gates"])
    assert distance(unitary(circuit), unitary(unified.read(written))) < 1e-9


def test_it_prints_as_the_library_does() -> None:
    """The example of circuit formats, B: symbols with name, value and is_symbolic, and once more at the top."""
    theta = expressions.symbol("theta_0")
    circuit = Circuit.build(
        2, [Gate("H", (0,)), Gate("CNOT", (0, 1)), Gate("RY", (0,), (theta,)), Gate("RX", (1,), (0.3,))]
    )
    symbol = {"name": "theta_0", "value": None, "is_symbolic": True}

    assert qstore4.write(circuit) == {
        "n_qubits": 2,
        "gates": [
            {"gate_type": "H", "targets": [0]},
            {"gate_type": "CNOT", "targets": [0, 1]},
            {"gate_type": "RY", "targets": [0], "parameters": {"angle": symbol}},
            {"gate_type": "RX", "targets": [1], "parameters": {"angle": 0.3}},
        ],
        "parameters": {"theta_0": symbol},
        "metadata": {},
    }
