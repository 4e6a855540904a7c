"""
A trained model as bytes: arrays and one JSON document. No pickles, nothing that is executed on reading.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine import archive
from qstore_appliance.engine.features import Features
from qstore_appliance.engine.noise import Noise
from qstore_appliance.engine.tasks.regression import Target
from qstore_appliance.errors import ArtifactCorrupt, QStoreError

FORMAT = "qstore-model"
VERSION = 1


@dataclass(frozen=True, eq=False)
class Artifact:
    """
    What it takes to answer.

    Attributes:
        task: `classification`, `regression` or `energy`.
        circuit: `n_qubits` and gates in the unified spelling, the encoding included.
        weights: values by name.
        observables: Pauli strings that are read out.
        head: `linear` or `none`; head_parameters: its flat vector.
        classes: names of the answers; empty where answers are numbers.
        features: raw columns → what the circuit reads; feature_names: of the raw columns.
        backend, shots, precision: as trained, the defaults of a prediction.
        receipt: where the model comes from.
        target: of a regression, how its answers get the data's units.
        noise: that it was trained and tested under, and answers under.
    """

    task: str
    circuit: Mapping[str, Any]
    weights: Mapping[str, float]
    observables: tuple[str, ...]
    head: str
    head_parameters: NDArray[np.float64]
    classes: tuple[str, ...]
    features: Features
    feature_names: tuple[str, ...]
    backend: str
    shots: int | None
    precision: str
    receipt: Mapping[str, Any]
    target: Target | None = None
    noise: Noise | None = None


def write(artifact: Artifact) -> bytes:
    """The same model always gives the same bytes."""
    arrays, features = artifact.features.to_state()
    return archive.pack(
        {
            "weights": np.array(list(artifact.weights.values()), dtype=np.float64),
            "head": artifact.head_parameters,
            **{f"features.{name}": array for name, array in arrays.items()},
        },
        {
            "format": FORMAT,
            "version": VERSION,
            "task": artifact.task,
            "circuit": dict(artifact.circuit),
            "weight_names": list(artifact.weights),
            "observables": list(artifact.observables),
            "head": artifact.head,
            "classes": list(artifact.classes),
            "features": features,
            "feature_names": list(artifact.feature_names),
            "backend": artifact.backend,
            "shots": artifact.shots,
            "precision": artifact.precision,
            "receipt": dict(artifact.receipt),
            **({} if artifact.target is None else {"target": asdict(artifact.target)}),
            **({} if artifact.noise is None else {"noise": artifact.noise.document()}),
        },
    )


def read(content: bytes) -> Artifact:
    """
    Raises:
        ArtifactCorrupt: these are not the bytes of a model that this version reads.
    """
    try:
        arrays, document = archive.read(content)
        if document.get("format") != FORMAT or document.get("version") != VERSION:
            raise ArtifactCorrupt("The artifact is not a model, or of another version.")
        values = arrays["weights"]
        if values.shape != (len(document["weight_names"]),) or not all(map(math.isfinite, values)):
            raise ArtifactCorrupt("The artifact's weights do not fit their names.")
        return Artifact(
            task=document["task"],
            circuit=document["circuit"],
            weights=dict(zip(document["weight_names"], map(float, values), strict=True)),
            observables=tuple(document["observables"]),
            head=document["head"],
            head_parameters=arrays["head"],
            classes=tuple(document["classes"]),
            features=Features.from_state(
                {
                    name.removeprefix("features."): array
                    for name, array in arrays.items()
                    if name.startswith("features.")
                },
                document["features"],
            ),
            feature_names=tuple(document["feature_names"]),
            backend=document["backend"],
            shots=document["shots"],
            precision=document["precision"],
            receipt=document["receipt"],
            target=Target(**document["target"]) if document.get("target") else None,
            noise=Noise.of(document.get("noise")),
        )
    except ArtifactCorrupt:
        raise
    except (QStoreError, KeyError, TypeError, ValueError) as error:
        raise ArtifactCorrupt(f"The artifact cannot be read: {error}") from error
