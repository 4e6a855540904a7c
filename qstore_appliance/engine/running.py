"""
One run of a circuit with numbers for its symbols: what would be measured, and what its state is. Runs in a calculator
process.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine import discovery
from qstore_appliance.engine.backend import Backend, Execution
from qstore_appliance.engine.circuit import MAX_ANGLE
from qstore_appliance.engine.formats import unified
from qstore_appliance.engine.noise import Noise
from qstore_appliance.engine.observables import Observable, check_fit, parse
from qstore_appliance.engine.program import Program
from qstore_appliance.engine.shots import measurements
from qstore_appliance.engine.tasks.sampling import counted, exact
from qstore_appliance.errors import BackendCannot, ValidationFailed

#: Qubits up to which the state itself is told: 4,096 amplitudes.
MAX_TOLD: Final = 12

State = NDArray[np.complex128]


def run(
    backend: str,
    options: Mapping[str, object],
    n_qubits: int,
    gates: list[dict[str, Any]],
    parameters: Mapping[str, float],
    shots: int | None,
    observables: Sequence[str],
    noise: Mapping[str, Any] | None,
    seed: int,
) -> dict[str, Any]:
    """
    Run a circuit once.

    Args:
        parameters: A number for every symbol, features included.
        shots: Draw so many outcomes; None for exact probabilities.
        observables: Pauli strings whose expectations are wanted.

    Returns:
        `counts` (with shots), `probabilities`, `n_outcomes`, `other`, `expectations`, `receipt`-like numbers, and where the
        run is exact and has at most `MAX_TOLD` qubits `statevector`, `bloch` and `entanglement`.

    Raises:
        ValidationFailed: `parameters`: a symbol without a number, or a number without a symbol; `observables[i]`; `noise`.
        InvalidCircuit, BackendCannot, BackendUnavailable, InsufficientMemory: It cannot be run.
    """
    cpu, began = time.process_time(), time.perf_counter()
    program = Program.lower(_bound(n_qubits, gates, parameters))
    wanted = _observables(observables, n_qubits)
    simulator = discovery.load(backend, options)
    asked = Noise.of(noise)
    if asked is not None and shots is None:
        raise ValidationFailed.field("noise", "needs shots: every shot is another trajectory")
    execution = Execution(
        program=program,
        weights=np.zeros(0),
        features=np.zeros((1, 0)),
        observables=wanted,
        shots=shots,
        seed=seed,
        precision=simulator.capabilities.precisions[-1],
        noise=asked,
    )
    simulator.check(execution)
    found = _sampled(simulator, execution) if shots is not None else _exact(simulator, execution)
    ran = 1 + (len(measurements(wanted)) if wanted else 0)
    return {
        **found,
        "n_qubits": n_qubits,
        "circuits": ran,
        "shots": ran * (shots or 0),
        "cpu_seconds": time.process_time() - cpu,
        "seconds": time.perf_counter() - began,
    }


def _bound(n_qubits: int, gates: list[dict[str, Any]], parameters: Mapping[str, float]) -> Any:
    circuit = unified.read({"n_qubits": n_qubits, "gates": gates})
    missing = [name for name in circuit.symbols if name not in parameters]
    if missing:
        raise ValidationFailed.field("parameters", f"give a value to {', '.join(missing[:5])}")
    for name, value in parameters.items():
        if name not in circuit.symbols:
            raise ValidationFailed.field(f"parameters.{str(name)[:60]}", "is no symbol of the circuit")
        if not -MAX_ANGLE <= value <= MAX_ANGLE:
            raise ValidationFailed.field(f"parameters.{str(name)[:60]}", f"must lie within {MAX_ANGLE:.0e} of zero")
    return circuit.bind(parameters)


def _observables(texts: Sequence[str], n_qubits: int) -> tuple[Observable, ...]:
    found = []
    for place, text in enumerate(texts):
        try:
            observable = parse(text)
            check_fit([observable], n_qubits)
        except ValueError as fault:
            raise ValidationFailed.field(f"observables[{place}]", str(fault)) from None
        found.append(observable)
    return tuple(found)


def _sampled(simulator: Backend, execution: Execution) -> dict[str, Any]:
    found = counted(simulator.sample(execution)[0])
    values = simulator.expectations(execution)[0] if execution.observables else np.zeros(0)
    shots = execution.shots or 1
    errors = [float(np.sqrt(max(0.0, 1.0 - value * value) / max(1, shots - 1))) for value in values]
    return {**found, "expectations": _told(execution.observables, values, errors)}


def _exact(simulator: Backend, execution: Execution) -> dict[str, Any]:
    if not simulator.capabilities.statevector:
        raise BackendCannot(f"The backend {simulator.name} computes no probabilities; ask for shots.")
    state = simulator.statevector(execution)[0].astype(np.complex128)
    state /= np.linalg.norm(state)
    n_qubits = execution.program.n_qubits
    values = simulator.expectations(execution)[0] if execution.observables else np.zeros(0)
    found = {
        **exact(np.square(np.abs(state)), n_qubits),
        "expectations": _told(execution.observables, values, [0.0] * len(values)),
    }
    if n_qubits <= MAX_TOLD:
        found["statevector"] = [[float(value.real), float(value.imag)] for value in state]
        found["bloch"] = [bloch(state, qubit) for qubit in range(n_qubits)]
        found["entanglement"] = [
            {"qubits": [one, other], "concurrence": concurrence(state, one, other)}
            for one, other in combinations(range(n_qubits), 2)
        ]
    return found


def _told(observables: Sequence[Observable], values: Any, errors: Sequence[float]) -> list[dict[str, Any]]:
    return [
        {"observable": observable.text, "value": float(value), "std_error": error}
        for observable, value, error in zip(observables, values, errors, strict=True)
    ]


def reduced(state: State, qubits: Sequence[int]) -> State:
    """The density matrix of some qubits, the others traced out; the first of them is the highest bit."""
    n_qubits = int(state.size).bit_length() - 1
    kept = np.moveaxis(state.reshape((2,) * n_qubits), list(qubits), range(len(qubits))).reshape(2 ** len(qubits), -1)
    return np.asarray(kept @ kept.conj().T)


def bloch(state: State, qubit: int) -> list[float]:
    """The Bloch vector (x, y, z) of one qubit: as long as 1 where it is not entangled with others."""
    rho = reduced(state, [qubit])
    return [float(2 * rho[0, 1].real), float(-2 * rho[0, 1].imag), float((rho[0, 0] - rho[1, 1]).real)]


def concurrence(state: State, one: int, other: int) -> float:
    """
    How entangled two qubits are with each other, from 0 to 1 (Wootters 1998, doi:10.1103/PhysRevLett.80.2245).
    """
    rho = reduced(state, [one, other])
    flip = np.array([[0, 0, 0, -1], [0, 0, 1, 0], [0, 1, 0, 0], [-1, 0, 0, 0]])
    values = np.linalg.eigvals(rho @ flip @ rho.conj() @ flip)
    roots = np.sqrt(np.clip(np.sort(values.real)[::-1], 0.0, None))
    return float(min(1.0, max(0.0, roots[0] - roots[1:].sum())))
