from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qstore_appliance.engine import discovery
from qstore_appliance.engine.backend import Execution
from qstore_appliance.engine.circuit import Circuit
from qstore_appliance.engine.encoding import encode, expansion
from qstore_appliance.engine.expansion import preparation_angles, products
from qstore_appliance.engine.features import Features
from qstore_appliance.engine.program import Program
from qstore_appliance.errors import ValidationFailed


def states(circuit: Circuit, features: np.ndarray) -> np.ndarray:
    execution = Execution(
        program=Program.lower(circuit), weights=np.zeros(0), features=features, observables=(), precision="double"
    )
    return discovery.load("native", {}).statevector(execution)


def empty(n_qubits: int) -> Circuit:
    return Circuit(n_qubits, ())


class TestAmplitudes:
    @pytest.mark.parametrize("n_qubits", [1, 2, 3, 5])
    def test_the_state_is_the_vector(self, n_qubits: int) -> None:
        """Random vectors with negative and zero entries become the amplitudes, signs included, to twelve digits."""
        random = np.random.default_rng(n_qubits)
        vectors = random.normal(size=(6, 2**n_qubits))
        vectors[1, ::2] = 0.0
        vectors[2] = 0.0
        vectors[2, -1] = -3.0

        circuit = encode(empty(n_qubits), {"type": "amplitude"})
        found = states(circuit, preparation_angles(vectors, 2**n_qubits))

        expected = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        assert np.abs(np.sum(found.conj() * expected, axis=1)) == pytest.approx(np.ones(6), abs=1e-12)
        assert np.abs(found * np.sign(np.sum(found.real * expected, axis=1))[:, None] - expected).max() < 1e-12

    def test_short_vectors_are_filled_up_and_tiny_ones_are_not_lost(self) -> None:
        """Three numbers on two qubits leave the last amplitude empty, whatever their size."""
        circuit = encode(empty(2), {"type": "amplitude"})

        found = states(circuit, preparation_angles(np.array([[3e-200, 0.0, 4e-200]]), 4))

        assert np.abs(found[0]) == pytest.approx([0.6, 0.0, 0.8, 0.0], abs=1e-12)

    def test_a_vector_of_zeros_is_no_state(self) -> None:
        """The fault names the sample."""
        with pytest.raises(ValidationFailed, match="sample 1 is all zeros"):
            preparation_angles(np.array([[1.0, 0.0], [0.0, 0.0]]), 2)

    def test_gates_are_those_that_every_backend_has(self) -> None:
        """RY and CNOT only, 2^n - 1 and 2^n - 2 of them."""
        circuit = encode(empty(4), {"type": "amplitude"})

        names = [gate.name for gate in circuit.gates]
        assert (names.count("RY"), names.count("CNOT"), len(names)) == (15, 14, 29)

    def test_too_many_amplitudes_are_refused(self) -> None:
        """Thirteen qubits would take more gates than a circuit may have."""
        with pytest.raises(ValidationFailed, match=r"config\.encoding\.type"):
            encode(empty(13), {"type": "amplitude"})

    def test_features_know_how_many_amplitudes_fit(self) -> None:
        """Fewer columns than amplitudes are taken as they are, more are reduced; nothing is scaled to angles."""
        x = np.random.default_rng(0).normal(size=(40, 6))

        padded = Features.fit(None, x, 7, expansion="amplitude")
        reduced = Features.fit(None, x, 3, expansion="amplitude")

        assert (padded.method, padded.scale, padded.n_scaled, padded.count) == ("none", "none", 6, 7)
        assert (reduced.method, reduced.n_scaled, reduced.count) == ("pca", 4, 3)
        again = Features.from_state(*padded.to_state())
        assert np.array_equal(again.transform(x), padded.transform(x))
        with pytest.raises(ValidationFailed, match=r"features\.count"):
            Features.fit({"count": 5}, x, 3, expansion="amplitude")


class TestIqp:
    def test_the_state_is_that_of_its_definition(self) -> None:
        """Two repeats of Hadamards and diagonal phases by x_i and x_i x_j, against the dense product."""
        x = np.array([[0.3, -0.8, 1.1], [1.0, 0.2, -0.4]])
        circuit = encode(empty(3), {"type": "iqp", "repeats": 2})

        found = states(circuit, products(x))

        bits = np.array([[1 - 2 * ((b >> (2 - q)) & 1) for q in range(3)] for b in range(8)])
        hadamard = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
        hadamards = np.kron(np.kron(hadamard, hadamard), hadamard)
        for row, sample in enumerate(x):
            angle = bits @ sample
            for i, j in ((0, 1), (0, 2), (1, 2)):
                angle = angle + bits[:, i] * bits[:, j] * sample[i] * sample[j]
            state = np.eye(8)[0]
            for _ in range(2):
                state = np.exp(-0.5j * angle) * (hadamards @ state)
            assert abs(np.vdot(found[row], state)) == pytest.approx(1.0, abs=1e-12)

    def test_features_bring_the_products(self) -> None:
        """Four columns for four qubits become ten numbers."""
        x = np.random.default_rng(0).normal(size=(30, 4))

        features = Features.fit(None, x, 10, expansion="iqp")

        z, expanded = features.scaled(x), features.transform(x)
        assert (features.n_scaled, features.count) == (4, 10)
        assert np.array_equal(expanded[:, :4], z)
        assert expanded[:, 4] == pytest.approx(z[:, 0] * z[:, 1])
        assert expanded[:, 9] == pytest.approx(z[:, 2] * z[:, 3])

    @pytest.mark.parametrize("repeats", [0, 11, 1.5, True])
    def test_repeats_are_few(self, repeats: Any) -> None:
        """From one to ten."""
        with pytest.raises(ValidationFailed, match=r"config\.encoding\.repeats"):
            encode(empty(2), {"type": "iqp", "repeats": repeats})


def test_a_circuit_that_reads_features_itself_is_left_alone() -> None:
    """The encoding is for circuits without features."""
    reading = encode(empty(2), {"type": "angle", "gate": "RX"})

    assert encode(reading, {"type": "amplitude"}) is reading
    assert expansion(reading, {"type": "amplitude"}) == "none"
    assert expansion(empty(2), {"type": "amplitude"}) == "amplitude"
    assert expansion(empty(2), None) == "none"
