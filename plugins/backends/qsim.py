"""
Google's qsim through Cirq: exact state vectors on this machine, gradients by the parameter shift, noise by trajectories.

Options: `threads` (0: all cores), `max_qubits`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.backend import Backend, Capabilities, Execution
from qstore_appliance.engine.circuit import GATES
from qstore_appliance.engine.noise import CHANNELS
from qstore_appliance.engine.observables import Observable
from qstore_appliance.engine.shots import sampled
from qstore_appliance.errors import BackendBadResponse, BackendCannot, BackendUnavailable, ConfigurationInvalid
from qstore_backends.trajectories import Trajectories

if TYPE_CHECKING:
    from qstore_appliance.engine.program import Program

Floats = NDArray[np.float64]

CHUNK_BYTES: Final = 256 * 2**20
"""Amplitudes that are held at once while outcomes are drawn."""


class Qsim(Backend):
    """qsim computes in single precision and takes any gate; every rotation is resolved per sample."""

    name: ClassVar[str] = "qsim"
    kind: ClassVar[str] = "simulator"
    provider: ClassVar[str] = "Google"

    def __init__(self, options: Mapping[str, object]) -> None:
        super().__init__(options)
        import cirq
        import qsimcirq

        self._cirq: Any = cirq
        threads = _whole(options, "threads", 0, 0, 1024) or os.cpu_count() or 1
        self._simulator: Any = qsimcirq.QSimSimulator(qsim_options={"t": threads})
        self._trajectories = Trajectories(
            qsimcirq.qsim, qsimcirq.QSimOptions(cpu_threads=threads).as_dict(), lambda: self.should_stop()
        )
        self.capabilities = Capabilities(
            max_qubits=_whole(options, "max_qubits", 26, 1, 30),
            max_depth=None,
            gates=tuple(GATES),
            exact=True,
            shots=True,
            adjoint=False,
            statevector=True,
            noise=CHANNELS,
            state_bytes=(8,),
        )
        self._circuits: WeakKeyDictionary[Program, Any] = WeakKeyDictionary()

    def expectations(self, execution: Execution) -> Floats:
        self.check(execution)
        if execution.noise is not None and execution.noise.on_gates:
            return self._trajectories.expectations(execution)
        if execution.shots is not None:
            return sampled(execution, self.statevector, CHUNK_BYTES)
        out = np.ones((execution.batch, len(execution.observables)))
        # Cirq has no expectation of the empty product; it is one.
        asked = [place for place, observable in enumerate(execution.observables) if observable.terms]
        if not asked or not execution.batch:
            return out
        values = self._simulator.simulate_expectation_values_sweep(
            self._circuit(execution.program),
            [self._pauli(execution.observables[place]) for place in asked],
            params=self._resolvers(execution),
            qubit_order=self._qubits(execution.program),
        )
        found = np.asarray(values)
        if found.shape != (execution.batch, len(asked)):
            raise BackendBadResponse(f"qsim answered {found.shape} values for {(execution.batch, len(asked))}.")
        out[:, asked] = found.real
        return out

    def sample(self, execution: Execution) -> list[dict[str, int]]:
        if execution.noise is None or not execution.noise.on_gates:
            return super().sample(execution)
        self.check(execution)
        return self._trajectories.counts(execution)

    def statevector(self, execution: Execution) -> NDArray[np.complexfloating]:
        self.check(execution)
        if execution.noise is not None and execution.noise.on_gates:
            raise BackendCannot("A state that suffers noise is no vector; ask for shots.")
        out = np.empty((execution.batch, 2**execution.program.n_qubits), np.complex64)
        results = self._simulator.simulate_sweep_iter(
            self._circuit(execution.program),
            self._resolvers(execution),
            qubit_order=self._qubits(execution.program),
        )
        for row, result in enumerate(results):
            out[row] = result.final_state_vector
        phase = execution.program.global_phase(execution.weights, execution.features)
        out *= np.exp(1j * phase).astype(np.complex64)[:, None]
        return out

    def probe(self) -> None:
        cirq = self._cirq
        qubit = cirq.LineQubit(0)
        (value,) = self._simulator.simulate_expectation_values(cirq.Circuit(cirq.X(qubit)), [cirq.Z(qubit)])
        if abs(value.real + 1) > 1e-5:
            raise BackendUnavailable(f"qsim finds {value.real:.3g} where -1 is right.")

    def _qubits(self, program: Program) -> list[Any]:
        return list(self._cirq.LineQubit.range(program.n_qubits))

    def _circuit(self, program: Program) -> Any:
        """The program in Cirq's words; the k-th rotation turns by the symbol `r<k>`, resolved per sample."""
        circuit = self._circuits.get(program)
        if circuit is None:
            import sympy  # type: ignore[import-untyped]

            cirq = self._cirq
            rotations = {"RX": cirq.rx, "RY": cirq.ry, "RZ": cirq.rz}
            entanglers = {"CNOT": cirq.CNOT, "CZ": cirq.CZ, "SWAP": cirq.SWAP, "CCX": cirq.TOFFOLI}
            qubits = self._qubits(program)
            operations: list[Any] = []
            count = 0
            for step in program.lowered.steps:
                if step.angle is None:
                    operations.append(entanglers[step.name](*(qubits[q] for q in step.qubits)))
                else:
                    operations.append(rotations[step.name](sympy.Symbol(f"r{count}"))(qubits[step.qubits[0]]))
                    count += 1
            circuit = self._circuits[program] = cirq.Circuit(operations)
        return circuit

    def _resolvers(self, execution: Execution) -> list[Any]:
        angles = execution.program.rotation_angles(execution.weights, execution.features)
        names = [f"r{k}" for k in range(len(angles))]
        return [self._cirq.ParamResolver(dict(zip(names, column.tolist(), strict=True))) for column in angles.T]

    def _pauli(self, observable: Observable) -> Any:
        cirq = self._cirq
        return cirq.PauliString({cirq.LineQubit(q): getattr(cirq, pauli) for q, pauli in observable.terms})


def _whole(options: Mapping[str, object], key: str, default: int, low: int, high: int) -> int:
    value = options.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigurationInvalid(f"backends.qsim.{key} must be a whole number from {low} to {high}.")
    return value
