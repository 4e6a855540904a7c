from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from qstore_appliance.engine import archive, artifact
from qstore_appliance.engine.artifact import Artifact
from qstore_appliance.engine.features import Features
from qstore_appliance.errors import ArtifactCorrupt


@pytest.fixture
def model() -> Artifact:
    x = np.random.default_rng(0).normal(size=(20, 3))
    return Artifact(
        task="classification",
        circuit={"n_qubits": 1, "format": "unified", "gates": [{"type": "H", "targets": [0]}]},
        weights={"theta_0": 0.1, "theta_1": -2.5},
        observables=("Z0",),
        head="linear",
        head_parameters=np.arange(4.0),
        classes=("no", "yes, quite — so"),
        features=Features.fit({"method": "pca", "count": 2}, x, 2),
        feature_names=("p", "q", "r"),
        backend="native",
        shots=None,
        precision="single",
        receipt={"seed": 1},
    )


def test_a_model_survives_bit_for_bit(model: Artifact) -> None:
    """Everything that was written comes back, and writing it again gives the same bytes."""
    content = artifact.write(model)

    again = artifact.read(content)

    assert artifact.write(again) == content
    assert again.weights == model.weights
    assert again.classes == model.classes
    assert np.array_equal(again.head_parameters, model.head_parameters)
    x = np.ones((1, 3))
    assert np.array_equal(again.features.transform(x), model.features.transform(x))


def test_the_file_is_numbers_and_one_json_document(model: Artifact) -> None:
    """There is no pickle in it: every array is of floats, the rest is JSON."""
    arrays, document = archive.read(artifact.write(model))

    assert {array.dtype.kind for array in arrays.values()} == {"f"}
    assert document["format"] == "qstore-model"
    assert document["weight_names"] == ["theta_0", "theta_1"]


def test_flipped_bits_and_truncation_are_noticed(model: Artifact) -> None:
    """Whatever bit of a sample of positions is flipped, the model is refused or reads exactly as before."""
    content = artifact.write(model)
    refused = 0

    for position in range(0, len(content), 7):
        broken = bytearray(content)
        broken[position] ^= 1 << (position % 8)
        try:
            assert artifact.write(artifact.read(bytes(broken))) == content
        except ArtifactCorrupt:
            refused += 1

    assert refused > len(content) // 7 * 0.7
    for broken_off in (b"", content[:10], content[:-30]):
        with pytest.raises(ArtifactCorrupt):
            artifact.read(broken_off)


def test_other_archives_are_refused(model: Artifact) -> None:
    """Another format, another version, missing parts and weights that do not fit are ARTIFACT_CORRUPT."""
    arrays, document = archive.read(artifact.write(model))

    for change in ({"format": "zip"}, {"version": 2}, {"weight_names": ["theta_0"]}, {"features": {}}):
        with pytest.raises(ArtifactCorrupt):
            artifact.read(archive.pack(arrays, document | change))
    with pytest.raises(ArtifactCorrupt):
        artifact.read(archive.pack({"weights": arrays["weights"]}, document))


def test_weights_that_are_not_finite_are_refused(model: Artifact) -> None:
    """NaN has no place in a model."""
    broken = dataclasses.replace(model, weights={"theta_0": float("nan"), "theta_1": 0.0})

    with pytest.raises(ArtifactCorrupt):
        artifact.read(artifact.write(broken))
