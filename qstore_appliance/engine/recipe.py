"""
The shipped recipe: ten handwritten digits on eight qubits. Light; the demo sends it over the public API.

Layers re-upload the features (Pérez-Salinas et al. 2020, arXiv:1907.02085). The rotations and the learning rate were
chosen by validation accuracy over five split seeds; `scripts/bench/recipe.py` prints the table.
"""

from __future__ import annotations

from typing import Any

NAME = "Digits on eight qubits"
DESCRIPTION = "Four layers of feature re-uploading, RY and RZ on every qubit and a ring of CNOTs."
N_QUBITS = 8
N_LAYERS = 4
#: Features are angles up to π/2; three fifths of that keep four uploads on one turn of the sphere.
FEATURE_FACTOR = 0.6


def gates(n_qubits: int = N_QUBITS, n_layers: int = N_LAYERS) -> list[dict[str, Any]]:
    """The circuit in the unified spelling; weights are `theta_0` … `theta_<2·qubits·layers − 1>`."""
    listed: list[dict[str, Any]] = []
    weight = 0
    for _ in range(n_layers):
        for qubit in range(n_qubits):
            listed.append(_rotation("RY", qubit, f"{FEATURE_FACTOR}*x_{qubit}"))
        for qubit in range(n_qubits):
            for gate in ("RY", "RZ"):
                listed.append(_rotation(gate, qubit, f"theta_{weight}"))
                weight += 1
        for qubit in range(n_qubits):
            listed.append({"type": "CNOT", "targets": [qubit, (qubit + 1) % n_qubits]})
    return listed


def _rotation(gate: str, qubit: int, angle: str) -> dict[str, Any]:
    return {"type": gate, "targets": [qubit], "parameters": {"theta": angle}}


def circuit() -> dict[str, Any]:
    """The body of `POST /v1/circuits`."""
    return {
        "name": NAME,
        "description": DESCRIPTION,
        "n_qubits": N_QUBITS,
        "gates": gates(),
        "metadata": {"tags": ["demo", "digits"]},
    }


def config(seed: int = 0, epochs: int = 40, backend: str = "native") -> dict[str, Any]:
    """The `config` of `POST /v1/jobs`."""
    return {
        "backend": backend,
        "task": "classification",
        "epochs": epochs,
        "batch_size": 32,
        "learning_rate": 0.1,
        "optimizer": "adam",
        "seed": seed,
        "dataset": {"type": "digits", "features": {"method": "pca", "count": N_QUBITS, "scale": "angle"}},
        "readout": {"observables": "z+zz", "head": "linear"},
    }
