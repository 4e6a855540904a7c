from __future__ import annotations

import numpy as np
import pytest

from qstore_appliance.engine import archive
from qstore_appliance.engine.datasets import load_builtin
from qstore_appliance.engine.features import Features
from qstore_appliance.errors import ValidationFailed


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return load_builtin("digits").x


def test_pca_agrees_with_scikit_learn(digits: np.ndarray) -> None:
    """The components are those of scikit-learn's exact PCA, up to their sign."""
    from sklearn.decomposition import PCA

    ours = Features.fit({"method": "pca", "count": 8, "scale": "none"}, digits[:900], 8).transform(digits[900:])
    theirs = PCA(8, svd_solver="full").fit(digits[:900]).transform(digits[900:])

    assert np.allclose(np.abs(ours), np.abs(theirs), atol=1e-8)


def test_angles_are_fitted_on_the_training_part_and_clipped(digits: np.ndarray) -> None:
    """The largest magnitude of the training part becomes π/2, and what lies beyond it elsewhere is clipped."""
    train, other = digits[:100], digits[100:]

    features = Features.fit({"method": "pca"}, train, 8)

    assert np.allclose(np.abs(features.transform(train)).max(axis=0), np.pi / 2)
    beyond = Features.fit({"method": "pca", "scale": "none"}, train, 8)
    largest = np.abs(beyond.transform(train)).max(axis=0)
    raw = beyond.transform(other)
    assert (np.abs(raw) > largest).any()
    assert np.allclose(features.transform(other), np.clip(raw / largest, -1, 1) * np.pi / 2)


def test_standard_scale_has_mean_zero_and_spread_one(digits: np.ndarray) -> None:
    """A constant column becomes zero instead of a division by zero."""
    z = Features.fit({"method": "none", "scale": "standard"}, digits, 64).transform(digits)

    spread = digits.std(axis=0)
    assert np.allclose(z.mean(axis=0), 0.0, atol=1e-12)
    assert np.allclose(z.std(axis=0), (spread > 0).astype(float))


def test_resize_averages_blocks_of_a_square_image() -> None:
    """Sixteen features of an 8×8 image are the means of its 2×2 blocks; eight are two rows of four."""
    images = np.random.default_rng(0).random((5, 8, 8))
    flat = images.reshape(5, 64)

    sixteen = Features.fit({"method": "resize", "count": 16, "scale": "none"}, flat, 16).transform(flat)
    eight = Features.fit({"method": "resize", "count": 8, "scale": "none"}, flat, 8).transform(flat)

    assert np.allclose(sixteen, images.reshape(5, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(5, 16))
    assert np.allclose(eight, images.reshape(5, 2, 4, 4, 2).mean(axis=(2, 4)).reshape(5, 8))


def test_resize_averages_along_a_line_where_there_is_no_image() -> None:
    """Thirteen columns become three averages that share the columns on their borders."""
    rows = np.random.default_rng(0).random((4, 13))

    three = Features.fit({"method": "resize", "count": 3, "scale": "none"}, rows, 3).transform(rows)

    first = (rows[:, :4].sum(axis=1) + rows[:, 4] / 3) / (13 / 3)
    assert np.allclose(three[:, 0], first)
    assert np.allclose(three.mean(axis=1), rows.mean(axis=1))


def test_the_method_follows_from_the_sizes() -> None:
    """As many columns as the circuit reads are taken as they are; otherwise their principal components."""
    x = np.random.default_rng(0).random((20, 4))

    assert Features.fit(None, x, 4).method == "none"
    assert Features.fit({}, x, 2).method == "pca"


@pytest.mark.parametrize("method", ["pca", "resize", "none"])
@pytest.mark.parametrize("scale", ["angle", "standard", "none"])
def test_the_state_survives_bit_for_bit(method: str, scale: str) -> None:
    """What was written to an archive transforms exactly as before."""
    x = np.random.default_rng(0).normal(size=(30, 9))
    count = 9 if method == "none" else 4
    features = Features.fit({"method": method, "scale": scale, "count": count}, x, count)

    arrays, document = features.to_state()
    again = Features.from_state(*archive.read(archive.pack(arrays, document)))

    assert np.array_equal(again.transform(x * 1.3), features.transform(x * 1.3))


def test_bytes_and_floats_give_the_same_features(digits: np.ndarray) -> None:
    """Images kept as bytes lose nothing."""
    by_floats = Features.fit({"method": "pca"}, digits[:500], 8)
    by_bytes = Features.fit({"method": "pca"}, digits[:500].astype(np.uint8), 8)

    assert np.array_equal(by_floats.transform(digits), by_bytes.transform(digits.astype(np.uint8)))


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"method": "umap"}, "features.method"),
        ({"scale": "log"}, "features.scale"),
        ({"count": 3}, "features.count"),
        ({"method": "none"}, "features.method"),
        ({"method": "none", "count": 4}, "features.method"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_field(config: dict[str, object], field: str) -> None:
    """The fault names the field of the job's config."""
    with pytest.raises(ValidationFailed, match=rf"config\.dataset\.{field}"):
        Features.fit(config, np.ones((20, 6)), 4)


def test_more_features_than_there_are_is_refused() -> None:
    """A circuit that reads ten features cannot be fed from six columns or four rows."""
    for x in (np.ones((20, 6)), np.ones((4, 30))):
        with pytest.raises(ValidationFailed, match=r"features\.count"):
            Features.fit({"method": "pca"}, x, 10)


def test_a_value_that_is_not_finite_is_named() -> None:
    """NaN in the training part is refused with its place."""
    x = np.ones((20, 4))
    x[7, 2] = np.nan

    with pytest.raises(ValidationFailed, match=r"config\.dataset: a feature is not finite: row 7, column 2"):
        Features.fit(None, x, 4)
