"""Distributions of whole circuits, as they are answered to IonQ's clients."""

from __future__ import annotations

import json
from typing import Any

import pytest

from qstore_appliance.engine import distributions
from qstore_appliance.engine.distributions import ionq_results
from qstore_appliance.errors import TooLarge

ASYMMETRIC = {"qubits": 3, "circuit": [{"gate": "x", "target": 0}, {"gate": "ry", "target": 2, "rotation": 1.0}]}


def run(definition: dict[str, Any], *child_ids: str, shots: int | None = None, seed: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ionq_results("native", {}, definition, child_ids, shots, seed))
    return found


def test_exact_probabilities() -> None:
    """Qubit 0 is the lowest bit, outcomes ascend, and what cannot happen is left out."""
    found = run(ASYMMETRIC)

    assert list(found) == ["1", "5"]
    assert found == pytest.approx({"1": 0.7701511529340699, "5": 0.2298488470659301}, abs=1e-12)


def test_drawn_frequencies() -> None:
    """Frequencies of whole shots that add up, the same for the same seed and others for another."""
    first, again, other = (run(ASYMMETRIC, shots=1000, seed=seed) for seed in (1, 1, 2))

    assert first == again != other
    assert sum(round(1000 * value) for value in first.values()) == 1000
    assert first["1"] == pytest.approx(0.77, abs=0.07)


def test_a_batch() -> None:
    """Each circuit under its own id, in order, whatever its size."""
    circuits = [{"circuit": [{"gate": "x", "target": 1}]}, {"circuit": [{"gate": "x", "target": 0}], "qubits": 1}]

    found = run({"qubits": 2, "circuits": circuits}, "b", "a")

    assert list(found.items()) == [("b", {"2": 1.0}), ("a", {"1": 1.0})]


def test_too_many_outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that would be too long is refused, however many circuits share it."""
    monkeypatch.setattr(distributions, "MAX_OUTCOMES", 3)
    spread = {"qubits": 1, "circuits": [{"circuit": [{"gate": "h", "target": 0}]}] * 2}

    with pytest.raises(TooLarge, match="outcomes"):
        run(spread, "a", "b")
