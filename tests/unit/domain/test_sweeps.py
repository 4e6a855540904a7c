"""Sweeps: which lists make which jobs, how far they are together, and which did best."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from qstore_appliance.domain.jobs import Progress, Status
from qstore_appliance.domain.sweeps import SweepDraft, Trial, progress_of, ranked, scores


def draft(config: dict[str, Any], circuit_id: Any = "circuit_1", **more: Any) -> SweepDraft:
    return SweepDraft.model_validate({"circuit_id": circuit_id, "config": config, **more})


def test_every_combination_once() -> None:
    """Two lists and two circuits make eight jobs that differ in nothing else, not even in a seed that nobody gave."""
    sweep = draft({"learning_rate": [0.1, 0.2], "optimizer": ["adam", "sgd"], "epochs": 3}, ["circuit_1", "circuit_2"])

    found = sweep.documents(seed=11)

    assert sweep.varied() == {
        "circuit_id": ["circuit_1", "circuit_2"], "learning_rate": [0.1, 0.2], "optimizer": ["adam", "sgd"]
    }  # fmt: skip
    combinations = [(one["circuit_id"], one["config"]["learning_rate"], one["config"]["optimizer"]) for one in found]
    assert len(set(combinations)) == len(found) == 8
    assert combinations[:2] == [("circuit_1", 0.1, "adam"), ("circuit_1", 0.1, "sgd")]
    assert {(one["config"]["seed"], one["config"]["epochs"]) for one in found} == {(11, 3)}
    assert [one["config"]["seed"] for one in draft({"seed": [1, 2]}).documents(11)] == [1, 2]


def test_a_hamiltonian_is_a_list_by_itself() -> None:
    """Terms of one Hamiltonian do not vary; several molecules or lists of terms do."""
    terms = [{"pauli": "Z0", "coeff": 1.0}, {"pauli": "X0", "coeff": 0.5}]
    molecules = [{"molecule": "H2", "bond_length": length} for length in (0.7, 0.9)]

    assert draft({"hamiltonian": terms, "seed": [1, 2]}).varied() == {"seed": [1, 2]}
    assert draft({"hamiltonian": molecules}).varied() == {"hamiltonian": molecules}
    assert draft({"hamiltonian": [terms, terms[:1]]}).varied() == {"hamiltonian": [terms, terms[:1]]}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"epochs": 3}, "give a list"),
        ({"seed": []}, "config.seed is an empty list"),
        ({"seed": list(range(11)), "epochs": list(range(1, 11))}, "make 110 jobs"),
    ],
)
def test_what_is_no_sweep(config: dict[str, Any], words: str) -> None:
    """Without a list, with an empty one, or with more than a hundred combinations."""
    with pytest.raises(ValidationError, match=words):
        draft(config)


def trial(job_id: str, score: float | None) -> Trial:
    return Trial(
        job_id=job_id, status=Status.COMPLETED, parameters={}, progress=100, score=score, test_score=None,
        model_id=None, reason=None,
    )  # fmt: skip


def test_the_best_first() -> None:
    """By the larger accuracy or the smaller loss; who has no score comes last."""
    trials = [trial("a", None), trial("b", 0.5), trial("c", 0.9)]

    assert [one.job_id for one in ranked(trials, "max")] == ["c", "b", "a"]
    assert [one.job_id for one in ranked(trials, "min")] == ["b", "c", "a"]


def test_scores_by_task() -> None:
    """Validation decides where there is one; an energy is itself, and its loss while it trains."""
    progress = Progress(current_epoch=1, total_epochs=2, current_loss=0.3)

    assert scores("classification", {"validation_accuracy": 0.8, "training_accuracy": 0.9}, progress) == {
        "validation_accuracy": 0.8, "training_accuracy": 0.9
    }  # fmt: skip
    assert scores("regression", {"val_loss_history": [0.5, 0.4]}, progress) == {"validation_loss": 0.4, "loss": 0.3}
    assert scores("energy", {}, progress) == {"loss": 0.3}
    assert scores("sampling", {"counts": {}}, progress) == {}


def test_progress_of_all() -> None:
    """Epochs of those that train, and all of those that have ended."""
    jobs = [
        (Status.COMPLETED, Progress(current_epoch=3, total_epochs=10)),
        (Status.RUNNING, Progress(current_epoch=5, total_epochs=10)),
        (Status.QUEUED, Progress(current_epoch=0, total_epochs=10)),
    ]

    assert progress_of(jobs) == 50
    assert progress_of([]) == 0
