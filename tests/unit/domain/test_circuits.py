"""Circuit drafts: what a request may say beside the gates."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from qstore_appliance.domain.circuits import CircuitDraft, CircuitPatch

GATES = [{"type": "H", "targets": [0]}]


def test_unknown_fields_are_refused() -> None:
    """Nobody sets an owner, an organization or a cost through a draft."""
    for field in ("organization_id", "user_id", "created_at", "__proto__"):
        with pytest.raises(ValidationError):
            CircuitDraft.model_validate({"name": "a", "n_qubits": 1, "gates": GATES, field: "x"})


@pytest.mark.parametrize(
    "metadata", [{"tags": "vqe"}, {"tags": [1]}, {"tags": [""]}, {"tags": ["a"] * 51}, {"note": "x" * 10_001}]
)
def test_metadata_is_small_and_its_tags_are_strings(metadata: dict[str, object]) -> None:
    """More than 10 KB, or tags that are no list of short strings, are refused."""
    with pytest.raises(ValidationError):
        CircuitDraft.model_validate({"name": "a", "n_qubits": 1, "gates": GATES, "metadata": metadata})


@pytest.mark.parametrize("n_qubits", [True, 2.0, "2", None])
def test_the_number_of_qubits_is_a_whole_number(n_qubits: object) -> None:
    """Booleans, floats and strings are not silently converted."""
    with pytest.raises(ValidationError):
        CircuitDraft.model_validate({"name": "a", "n_qubits": n_qubits, "gates": GATES})


def test_an_empty_patch_sends_nothing() -> None:
    """None is "not sent" in every field."""
    assert CircuitPatch.model_validate({}).model_dump(exclude_none=True) == {}
