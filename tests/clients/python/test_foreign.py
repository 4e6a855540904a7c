"""Circuits of Cirq, Qiskit and PennyLane arrive as what they are: the state that their own library has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from qstore_client import SyncQStoreClient

from tests.clients.python.conftest import Laboratory

pytestmark = pytest.mark.xdist_group("python-client")

ANGLE = 0.7


def state(lab: SyncQStoreClient, circuit: Any, parameters: dict[str, float] | None = None, **more: Any) -> Any:
    stored = lab.circuits.create_from(circuit, name="foreign", **more)
    run = lab.circuits.run(stored.id, parameters or {})
    assert run.statevector is not None
    return np.array([complex(*amplitude) for amplitude in run.statevector])


def overlap(ours: Any, theirs: Any) -> float:
    return float(abs(np.vdot(ours, np.asarray(theirs, dtype=complex))))


def test_cirq(lab: SyncQStoreClient) -> None:
    """With numbers through OpenQASM, with symbols gate by gate."""
    import cirq
    import sympy

    a, b, c = cirq.LineQubit.range(3)
    theta = sympy.Symbol("theta_0")
    plain = cirq.Circuit(
        cirq.H(a), cirq.CNOT(a, b), cirq.ISWAP(b, c) ** 0.5, cirq.PhasedXPowGate(phase_exponent=0.3)(a)
    )
    symbolic = cirq.Circuit(
        cirq.H(a), cirq.ry(2 * theta + math.pi / 3)(b), cirq.CNOT(a, b), cirq.X(c) ** theta, cirq.CZ(b, c) ** 0.5,
        cirq.ZZ(a, c) ** theta, cirq.T(b), cirq.SWAP(a, c), cirq.measure(a, b),
    )  # fmt: skip
    resolved = cirq.resolve_parameters(symbolic[:-1], {"theta_0": ANGLE})

    assert overlap(state(lab, plain), plain.final_state_vector(qubit_order=[a, b, c])) == pytest.approx(1)
    with pytest.raises(ValueError, match="resolve the parameters"):
        lab.circuits.create_from(symbolic + cirq.PhasedXPowGate(phase_exponent=theta)(a), name="no")
    ours = state(lab, symbolic, {"theta_0": ANGLE})
    assert overlap(ours, resolved.final_state_vector(qubit_order=[a, b, c])) == pytest.approx(1)


def test_qiskit(lab: SyncQStoreClient) -> None:
    """Parameters stay symbols."""
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter
    from qiskit.quantum_info import Statevector

    theta = Parameter("theta_0")
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.ry(2 * theta, 1)
    circuit.cx(0, 1)
    circuit.ccx(0, 1, 2)
    circuit.rzz(theta, 0, 2)
    # Qiskit's first qubit is the last bit.
    expected = Statevector(circuit.assign_parameters({theta: ANGLE})).reverse_qargs().data
    circuit.measure_all()

    assert overlap(state(lab, circuit, {"theta_0": ANGLE}), expected) == pytest.approx(1)


def test_pennylane(lab: SyncQStoreClient) -> None:
    """A QNode is drawn up with its arguments, a tape as it is."""
    import pennylane as qml

    device = qml.device("default.qubit", wires=3)

    @qml.qnode(device)
    def ansatz(theta: float) -> Any:
        qml.Hadamard(0)
        qml.RY(theta, 1)
        qml.CNOT([0, 1])
        qml.IsingZZ(2 * theta, [1, 2])
        qml.Toffoli([0, 1, 2])
        return qml.state()

    tape = qml.workflow.construct_tape(ansatz)(ANGLE)

    assert overlap(state(lab, ansatz, args=[ANGLE]), ansatz(ANGLE)) == pytest.approx(1)
    assert overlap(state(lab, tape), ansatz(ANGLE)) == pytest.approx(1)


def test_anything_else(lab: SyncQStoreClient, laboratory: Laboratory) -> None:
    """What is no circuit is refused before anything is sent."""
    with pytest.raises(TypeError, match=r"builtins\.dict is no circuit"):
        lab.circuits.create_from({}, name="no")
