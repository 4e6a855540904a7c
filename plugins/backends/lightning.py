"""
Xanadu's Lightning: exact state vectors in double precision, adjoint gradients, on the processor or on a graphics card.

Each sample takes one adjoint pass with the loss's weighted sum of observables, as in the built-in simulator.
Options: `device` ("auto": lightning.gpu where its wheel and a CUDA device are there, else lightning.qubit; "cpu"; "gpu"),
`max_qubits`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.backend import Backend, Capabilities, Execution, checked_cotangents
from qstore_appliance.engine.circuit import GATES
from qstore_appliance.engine.observables import Observable
from qstore_appliance.engine.shots import sampled
from qstore_appliance.errors import BackendUnavailable, ConfigurationInvalid
from qstore_backends.cuda import Cuda, first_device

Floats = NDArray[np.float64]

CHUNK_BYTES: Final = 256 * 2**20
"""Amplitudes that are held at once while outcomes are drawn."""

CPU: Final = "lightning.qubit"
GPU: Final = "lightning.gpu"

VECTOR: Final = 16
"""Bytes for each amplitude of one state in double precision, in which everything is computed."""

ADJOINT_VECTORS: Final = 5
"""States that an adjoint pass of a sum of observables holds; on the processor two more for each thread."""

MOST_QUBITS: Final = 30


class Lightning(Backend):
    """PennyLane's C++ simulator, asked for tapes of rotations and entanglers."""

    name: ClassVar[str] = "lightning"
    kind: ClassVar[str] = "simulator"
    provider: ClassVar[str] = "Xanadu"

    def __init__(self, options: Mapping[str, object]) -> None:
        super().__init__(options)
        import pennylane

        self._qml: Any = pennylane
        self._devices: dict[int, Any] = {}
        card = self._card(options.get("device", "auto"))
        vectors = ADJOINT_VECTORS + (2 * _threads() if card is None else 0)
        most = options.get("max_qubits", MOST_QUBITS)
        if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= MOST_QUBITS:
            raise ConfigurationInvalid(f"backends.lightning.max_qubits must be a whole number from 1 to {MOST_QUBITS}.")
        self.capabilities = Capabilities(
            max_qubits=most,
            max_depth=None,
            gates=tuple(GATES),
            exact=True,
            shots=True,
            adjoint=True,
            statevector=True,
            gpu=card is not None,
            precisions=("single", "double"),
            noise=("readout",),
            state_bytes=(VECTOR, VECTOR),
            gradient_bytes=(vectors * VECTOR, vectors * VECTOR),
            memory_bytes=None if card is None else card.memory_bytes,
        )

    def _card(self, wanted: object) -> Cuda | None:
        """
        The graphics card that will be used; None for the processor. `device` says which, and why no card.

        Raises:
            BackendUnavailable: A card is wanted and cannot be used.
        """
        if wanted not in ("auto", "cpu", "gpu"):
            raise ConfigurationInvalid('backends.lightning.device must be "auto", "cpu" or "gpu".')
        self._kind, self.device = CPU, CPU
        if wanted == "cpu":
            return None
        try:
            card = self._working_card()
        except BackendUnavailable as fault:
            if wanted == "gpu":
                raise BackendUnavailable(f"{GPU} cannot be used: {fault.message}.") from fault
            self.device = f"{CPU}, since {GPU} cannot be used: {fault.message}"
            return None
        self._kind, self.device = GPU, f"{GPU} on {card.name}"
        return card

    def _working_card(self) -> Cuda:
        if find_spec("pennylane_lightning.lightning_gpu") is None:
            raise BackendUnavailable("the package pennylane-lightning-gpu is missing (`scripts/setup gpu` installs it)")
        card = first_device()
        try:
            # It says itself what it misses: cuStateVec, a newer card.
            self._devices[1] = self._qml.device(GPU, wires=1)
        except Exception as fault:
            raise BackendUnavailable(f"it does not start: {' '.join(str(fault).split())[:200]}") from fault
        return card

    def expectations(self, execution: Execution) -> Floats:
        self.check(execution)
        if execution.shots is not None:
            return sampled(execution, self.statevector, CHUNK_BYTES)
        out = np.empty((execution.batch, len(execution.observables)))
        if out.size:
            device = self._device(execution.program.n_qubits)
            measured = [self._qml.expval(self._pauli(observable)) for observable in execution.observables]
            for row, operations in enumerate(self._operations(execution)):
                (values,) = device.execute([self._tape(operations, measured)])
                out[row] = np.reshape(np.asarray(values, np.float64), len(measured))
        return out

    def differentiate(self, execution: Execution, pullback: Callable[[Floats], Floats]) -> tuple[Floats, Floats]:
        if execution.shots is not None:
            return super().differentiate(execution, pullback)
        expectations = self.expectations(execution)
        cotangents = checked_cotangents(pullback(expectations), expectations)
        program = execution.program
        slot_gradient = np.zeros((len(program.gradient_slots), execution.batch))
        trainable = self._trainable(execution)
        if trainable and cotangents.size:
            device = self._device(program.n_qubits)
            config = self._qml.devices.ExecutionConfig(gradient_method="adjoint")
            words = [self._pauli(observable) for observable in execution.observables]
            for row, operations in enumerate(self._operations(execution)):
                weighted = self._qml.dot(cotangents[row].tolist(), words)
                tape = self._tape(operations, [self._qml.expval(weighted)], trainable)
                (derivatives,) = device.compute_derivatives([tape], config)
                slot_gradient[program.gradient_places, row] = np.reshape(derivatives, len(trainable))
        return expectations, program.weight_gradient(execution.weights, execution.features, slot_gradient)

    def statevector(self, execution: Execution) -> NDArray[np.complexfloating]:
        self.check(execution)
        kind = np.complex128 if execution.precision == "double" else np.complex64
        out = np.empty((execution.batch, 2**execution.program.n_qubits), kind)
        device = self._device(execution.program.n_qubits)
        for row, operations in enumerate(self._operations(execution)):
            (out[row],) = device.execute([self._tape(operations, [self._qml.state()])])
        phase = execution.program.global_phase(execution.weights, execution.features)
        out *= np.exp(1j * phase).astype(kind)[:, None]
        return out

    def probe(self) -> None:
        qml = self._qml
        (value,) = self._device(1).execute([self._tape([qml.X(0)], [qml.expval(qml.Z(0))])])
        if abs(float(value) + 1) > 1e-9:
            raise BackendUnavailable(f"Lightning finds {float(value):.3g} where -1 is right.")

    def _device(self, n_qubits: int) -> Any:
        if n_qubits not in self._devices:
            try:
                self._devices[n_qubits] = self._qml.device(self._kind, wires=n_qubits)
            except self._qml.exceptions.DeviceError as fault:
                raise BackendUnavailable(f"PennyLane has no device {self._kind}: {fault}") from fault
        return self._devices[n_qubits]

    def _tape(self, operations: list[Any], measured: list[Any], trainable: list[int] | None = None) -> Any:
        return self._qml.tape.QuantumScript(operations, measured, trainable_params=trainable or [])

    def _operations(self, execution: Execution) -> list[list[Any]]:
        """One list of operations per sample."""
        qml = self._qml
        rotations = {"RX": qml.RX, "RY": qml.RY, "RZ": qml.RZ}
        entanglers = {"CNOT": qml.CNOT, "CZ": qml.CZ, "SWAP": qml.SWAP, "CCX": qml.Toffoli}
        fixed = {
            place: entanglers[step.name](wires=step.qubits)
            for place, step in enumerate(execution.program.lowered.steps)
            if step.angle is None
        }
        samples: list[list[Any]] = []
        for angles in execution.program.rotation_angles(execution.weights, execution.features).T.tolist():
            remaining = iter(angles)
            samples.append(
                [
                    fixed[place] if step.angle is None else rotations[step.name](next(remaining), wires=step.qubits)
                    for place, step in enumerate(execution.program.lowered.steps)
                ]
            )
        return samples

    def _trainable(self, execution: Execution) -> list[int]:
        """Which of a tape's parameters are rotations that depend on a weight."""
        program = execution.program
        wanted = {int(slot) for slot in program.gradient_slots}
        return [place for place, slot in enumerate(program.rotation_slots) if int(slot) in wanted]

    def _pauli(self, observable: Observable) -> Any:
        qml = self._qml
        factors = [getattr(qml, pauli)(qubit) for qubit, pauli in observable.terms]
        if not factors:
            return qml.Identity(0)
        return factors[0] if len(factors) == 1 else qml.prod(*factors)


def _threads() -> int:
    """Of OpenMP, as it counts them."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
