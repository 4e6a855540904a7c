"""Versions of models: which texts are one, and how they sort."""

from __future__ import annotations

import random

import pytest
from pydantic import ValidationError

from qstore_appliance.domain.model_registry import ModelPatch, PromoteDraft, Stage, version_key

#: Semantic Versioning 2.0.0, §11, and what it says of numbers; in this order.
ORDERED = (
    *(
        "0.0.1",
        "0.9.0",
        "1.0.0-0",
        "1.0.0-9",
        "1.0.0-10",
        "1.0.0-100",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.10",
    ),
    *(
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-beta-1",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
    ),
    *("1.2.0", "1.10.0", "2.0.0", "9.0.0", "10.0.0", "999999999.0.0"),
)


def test_versions_sort_as_the_standard_says() -> None:
    """Numbers by their size, words by their letters, numbers before words, less before more, a release last."""
    shuffled = list(ORDERED)
    random.Random(7).shuffle(shuffled)

    assert sorted(shuffled, key=version_key) == list(ORDERED)
    assert all(len(version_key(version)) <= 500 for version in (*ORDERED, "1.0.0-" + ".".join("a" * 22)))


def test_keys_sort_alike_under_any_collation() -> None:
    """A key is made of digits and of a to f alone, whose order every database agrees on."""
    assert {letter for version in ORDERED for letter in version_key(version)} <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "wrong",
    ["", "1", "1.0", "v1.0.0", "1.0.0.0", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.0-a..b", "1.0.0+build", "1.0.0 ", "1.0.x",
     "１.0.0", "9999999999.0.0", "1.0.0-é", "1.0.0\n"],
)  # fmt: skip
def test_what_is_no_version_is_refused(wrong: str) -> None:
    """Anything else than three numbers with an optional pre-release is named as such."""
    with pytest.raises(ValidationError, match=r"MAJOR\.MINOR\.PATCH"):
        ModelPatch.model_validate({"version": wrong})


def test_drafts_are_strict() -> None:
    """A tag has no comma, for lists are filtered by tags between commas; a stage is one of two or null."""
    assert PromoteDraft.model_validate({"stage": "production"}).stage is Stage.PRODUCTION
    assert PromoteDraft.model_validate({"stage": None}).stage is None
    for patch in (
        {"tags": ["a,b"]},
        {"tags": [""]},
        {"tags": ["t"] * 51},
        {"notes": "n" * 10_001},
        {"status": "deployed"},
    ):
        with pytest.raises(ValidationError):
            ModelPatch.model_validate(patch)
    for draft in ({"stage": "live"}, {}):
        with pytest.raises(ValidationError):
            PromoteDraft.model_validate(draft)
