"""One run of a circuit: what textbooks say of it, exactly and with shots."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from qstore_appliance.engine import running
from qstore_appliance.errors import BackendCannot, QStoreError, ValidationFailed

BELL = [{"type": "H", "targets": [0]}, {"type": "CNOT", "targets": [0, 1]}]
TURN = [{"type": "RY", "targets": [0], "parameters": {"theta": "2*theta_0"}}]


def run(gates: list[dict[str, Any]], n_qubits: int = 2, **changes: Any) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "parameters": {}, "shots": None, "observables": [], "noise": None, "seed": 7, "backend": "native", **changes,
    }  # fmt: skip
    backend = wanted.pop("backend")
    return running.run(backend, {}, n_qubits, gates, **wanted)


def test_a_bell_pair() -> None:
    """Two outcomes, each qubit alone knows nothing, both together are as entangled as can be."""
    found = run(BELL, observables=["Z0 Z1", "X0 X1", "Z0"])

    assert found["probabilities"] == pytest.approx({"00": 0.5, "11": 0.5})
    assert [one["value"] for one in found["expectations"]] == pytest.approx([1.0, 1.0, 0.0], abs=1e-9)
    assert {one["std_error"] for one in found["expectations"]} == {0.0}
    assert np.allclose(found["bloch"], 0.0, atol=1e-9)
    assert found["entanglement"] == [{"qubits": [0, 1], "concurrence": pytest.approx(1.0)}]
    assert np.allclose([complex(*pair) for pair in found["statevector"]], np.array([1, 0, 0, 1]) / math.sqrt(2))
    assert "counts" not in found


def test_shots_are_drawn_and_err_as_they_say() -> None:
    """Counts add up to the shots, the same seed draws the same, and the expectation lies within its error."""
    found = run(TURN, 1, parameters={"theta_0": 0.4}, shots=4_000, observables=["Z0"])

    (expectation,) = found["expectations"]
    assert sum(found["counts"].values()) == 4_000
    assert found == run(TURN, 1, parameters={"theta_0": 0.4}, shots=4_000, observables=["Z0"]) | {
        key: found[key] for key in ("cpu_seconds", "seconds")
    }
    assert abs(expectation["value"] - math.cos(0.8)) < 5 * expectation["std_error"]
    assert expectation["std_error"] == pytest.approx(math.sin(0.8) / math.sqrt(4_000), rel=0.2)
    assert found["probabilities"]["0"] == found["counts"]["0"] / 4_000
    assert "statevector" not in found


@pytest.mark.parametrize("angle", [0.3, 1.1, 2.9])
def test_bloch_vectors_and_concurrence(angle: float) -> None:
    """RX turns about x, RZ about z; cos a |00> + sin a |11> has concurrence sin 2a."""
    rx = {"type": "RX", "targets": [0], "parameters": {"theta": angle}}
    rz = {"type": "RZ", "targets": [0], "parameters": {"theta": 0.7}}
    ry = {"type": "RY", "targets": [0], "parameters": {"theta": 2 * angle}}

    single = run([rx, rz], 1)["bloch"][0]
    pair = run([ry, BELL[1]])["entanglement"][0]["concurrence"]

    assert single == pytest.approx([math.sin(angle) * math.sin(0.7), -math.sin(angle) * math.cos(0.7), math.cos(angle)])
    assert pair == pytest.approx(abs(math.sin(2 * angle)), abs=1e-7)


def test_larger_circuits_tell_no_state() -> None:
    """Beyond 12 qubits there are probabilities and expectations alone."""
    gates = [{"type": "H", "targets": [k]} for k in range(13)]

    found = run(gates, 13, observables=["X12"])

    assert found["n_outcomes"] == 2**13
    assert len(found["probabilities"]) == 4_096
    assert found["expectations"][0]["value"] == pytest.approx(1.0, abs=1e-6)
    assert not {"statevector", "bloch", "entanglement"} & set(found)


def test_noise_wears_entanglement_out() -> None:
    """Readout errors of a tenth turn a Bell pair's ZZ from 1 into 0.64; without shots noise is refused."""
    noise = {"readout": 0.1}

    found = run(BELL, shots=20_000, observables=["Z0 Z1"], noise=noise)

    assert found["expectations"][0]["value"] == pytest.approx(0.64, abs=0.03)
    with pytest.raises(ValidationFailed, match="noise"):
        run(BELL, noise=noise)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({}, ValidationFailed, "theta_0"),
        ({"parameters": {"theta_0": 0.1, "phi": 0.2}}, ValidationFailed, "no symbol"),
        ({"parameters": {"theta_0": 1e10}}, ValidationFailed, "must lie within"),
        ({"parameters": {"theta_0": 0.1}, "observables": ["Z0", "Q1"]}, ValidationFailed, "observables"),
        ({"parameters": {"theta_0": 0.1}, "observables": ["Z7"]}, ValidationFailed, "observables"),
        ({"parameters": {"theta_0": 0.1}, "shots": 10, "noise": {"depolarizing": 0.1}}, BackendCannot, "depolarizing"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], error: type[QStoreError], words: str) -> None:
    """A symbol without a number, a number without a symbol, and what the backend cannot, each by name."""
    with pytest.raises(error) as caught:
        run(TURN, 1, **changes)

    assert words in f"{caught.value.message} {caught.value.details}"
