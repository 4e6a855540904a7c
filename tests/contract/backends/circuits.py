"""Circuits for the backend suite: random ones over every gate, and the reference training step."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from hypothesis import strategies as st

from qstore_appliance.engine import expressions
from qstore_appliance.engine.backend import Execution
from qstore_appliance.engine.circuit import GATES, Circuit, Gate
from qstore_appliance.engine.observables import Observable
from qstore_appliance.engine.program import Program

PARAMETERS = (
    "a",
    "b",
    "x_0",
    "x_2",
    "2*a - pi/3",
    "-x_0",
    "a + 0.5*b - x_2/2",
    "sin(a)*b",
    "cos(x_0) + a",
    "x_0*x_2",
    "a*x_0 - b",
    "sqrt(2 + sin(b))/(1 + a_2)",
)


def random_circuit(
    rng: np.random.Generator, n_qubits: int, n_gates: int, known: Collection[str] = tuple(GATES)
) -> Circuit:
    """Any of the known gates on any qubits; numbers, linear and other expressions as angles."""
    names = sorted(name for name, spec in GATES.items() if spec.n_qubits <= n_qubits and name in known)
    gates = []
    for _ in range(n_gates):
        name = str(rng.choice(names))
        spec = GATES[name]
        targets = rng.permutation(n_qubits)[: spec.n_qubits].tolist()
        angles = [
            float(rng.uniform(-7, 7)) if rng.random() < 0.3 else expressions.parse(str(rng.choice(PARAMETERS)))
            for _ in spec.parameter_names
        ]
        gates.append(Gate(name, tuple(targets), tuple(angles)))
    return Circuit.build(n_qubits, gates)


@st.composite
def executions(
    draw: st.DrawFn,
    precision: str,
    max_qubits: int,
    max_gates: int,
    max_batch: int = 19,
    *,
    min_qubits: int = 1,
    min_gates: int = 1,
    known: Collection[str] = tuple(GATES),
) -> Execution:
    """
    A random circuit with random numbers for its symbols and random Pauli strings to read.

    Only sizes and a seed are drawn: hypothesis prefers tiny examples, and tiny circuits prove little.
    """
    n_qubits, n_gates = draw(st.integers(min_qubits, max_qubits)), draw(st.integers(min_gates, max_gates))
    batch = draw(st.integers(1, max_batch))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    program = Program.lower(random_circuit(rng, n_qubits, n_gates, known))
    observables = []
    for _ in range(rng.integers(1, 6)):
        letters = rng.choice(list("IXYZ"), n_qubits)
        observables.append(Observable(tuple((q, str(p)) for q, p in enumerate(letters) if p != "I")))
    return Execution(
        program=program,
        weights=rng.uniform(0.3, 2.5, program.n_weights),
        features=rng.uniform(-1.5, 1.5, (batch, program.n_features)),
        observables=tuple(observables),
        precision=precision,
    )


def reference_circuit(n_qubits: int = 8, layers: int = 4) -> Circuit:
    """Layers that load the features again, turn every qubit by RY and RZ, and close with a ring of CNOTs."""
    gates = []
    for layer in range(layers):
        for qubit in range(n_qubits):
            gates.append(Gate("RY", (qubit,), (expressions.symbol(f"x_{qubit}"),)))
            gates.append(Gate("RY", (qubit,), (expressions.symbol(f"theta_{layer}_{qubit}_y"),)))
            gates.append(Gate("RZ", (qubit,), (expressions.symbol(f"theta_{layer}_{qubit}_z"),)))
        gates.extend(Gate("CNOT", (qubit, (qubit + 1) % n_qubits)) for qubit in range(n_qubits))
    return Circuit.build(n_qubits, gates)
