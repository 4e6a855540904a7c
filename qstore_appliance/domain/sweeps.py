"""A sweep: one request, a group of jobs that differ in some keys, one table that says which did best."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from pydantic import Field, StringConstraints, model_validator

from qstore_appliance.domain.accounts import Name
from qstore_appliance.domain.drafts import Draft
from qstore_appliance.domain.jobs import TERMINAL, Priority, Progress, Status

#: Jobs of one sweep.
MAX_JOBS = 100

_Id = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class SweepDraft(Draft):
    """
    As a job's, but a list in `config`, or of circuits, stands for one job for each of its values; several lists for each
    combination. `budget_limit` is that of each job.
    """

    name: Name | None = None
    circuit_id: _Id | Annotated[list[_Id], Field(min_length=1, max_length=MAX_JOBS)]
    config: dict[str, Any]
    priority: Annotated[Priority, Field(strict=False)] = Priority.NORMAL
    budget_limit: float | None = Field(default=None, ge=0, le=1e9)
    project: Name | None = None
    tags: list[Annotated[str, StringConstraints(min_length=1, max_length=100)]] = Field(
        default_factory=list, max_length=50
    )

    @model_validator(mode="after")
    def _some_jobs(self) -> SweepDraft:
        varied = self.varied()
        if not varied:
            raise ValueError("give a list for what shall vary, such as config.learning_rate")
        empty = next((key for key, values in varied.items() if not values), None)
        if empty is not None:
            raise ValueError(f"config.{empty} is an empty list")
        count = math.prod(len(values) for values in varied.values())
        if count > MAX_JOBS:
            raise ValueError(f"these lists make {count} jobs; a sweep has at most {MAX_JOBS}")
        return self

    def varied(self) -> dict[str, list[Any]]:
        """What differs between the jobs, with its values."""
        found = {key: value for key, value in self.config.items() if _is_varied(key, value)}
        if isinstance(self.circuit_id, list):
            return {"circuit_id": list(self.circuit_id), **found}
        return found

    def documents(self, seed: int) -> list[dict[str, Any]]:
        """
        One job's submit body for each combination; the last list varies fastest.

        Args:
            seed: Of all jobs where none is given: what is compared shall differ in nothing else.
        """
        varied = self.varied()
        documents = []
        for values in itertools.product(*varied.values()):
            chosen = dict(zip(varied, values, strict=True))
            circuit_id = chosen.pop("circuit_id", self.circuit_id)
            documents.append(
                {
                    "circuit_id": circuit_id,
                    "config": {"seed": seed, **self.config, **chosen},
                    "priority": self.priority.value,
                    "budget_limit": self.budget_limit,
                    "project": self.project,
                    "tags": self.tags,
                }
            )
        return documents


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """
    One job of a sweep. `score` is by the sweep's `metric`, null until there is one; `test_score` is of the test part and
    decides nothing.
    """

    job_id: str
    status: Status
    parameters: dict[str, Any]
    progress: int
    score: float | None
    test_score: float | None
    model_id: str | None
    reason: str | None


class SweepSummary(msgspec.Struct, frozen=True, kw_only=True):
    """`progress` is a percentage of all epochs; what has ended counts as done. `states` counts jobs."""

    id: str
    name: str | None
    user_id: str
    created_at: datetime
    n_jobs: int
    progress: int
    states: dict[str, int]
    varied: dict[str, list[Any]]


class Sweep(SweepSummary, frozen=True, kw_only=True):
    """`best` has every job, the best first by `metric`; `goal` is `max` or `min`. Money is integer micro-dollars."""

    metric: str | None
    goal: str
    best: list[Trial]
    cost: int
    estimated_cost: int


#: By task: the metric that decides, beside what stands in for it where nothing validates, and which way is better.
METRICS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "classification": (("validation_accuracy", "training_accuracy"), "max"),
    "regression": (("validation_loss", "loss"), "min"),
    "energy": (("energy", "loss"), "min"),
    "sampling": ((), "max"),
}


def scores(task: str, metrics: Mapping[str, Any], progress: Progress) -> dict[str, float]:
    """What of `METRICS` is known of a job."""
    history = metrics.get("val_loss_history") or [None]
    known = {
        "validation_accuracy": metrics.get("validation_accuracy"),
        "training_accuracy": metrics.get("training_accuracy"),
        "validation_loss": history[-1],
        "energy": metrics.get("energy"),
        "loss": progress.current_loss,
    }
    names, _ = METRICS.get(task, ((), "max"))
    return {name: float(value) for name in names if isinstance(value := known[name], int | float)}


def ranked(trials: Sequence[Trial], goal: str) -> list[Trial]:
    """The best first; those without a score last, in the order of the request."""
    sign = -1.0 if goal == "max" else 1.0
    return sorted(trials, key=lambda trial: math.inf if trial.score is None else sign * trial.score)


def progress_of(jobs: Sequence[tuple[Status, Progress]]) -> int:
    """Percentage of the epochs of all jobs; of one that has ended nothing is left."""
    total = sum(max(1, progress.total_epochs) for _, progress in jobs)
    done = sum(
        max(1, progress.total_epochs) if status in TERMINAL else progress.current_epoch for status, progress in jobs
    )
    return 100 * done // total if total else 0


def _is_varied(key: str, value: Any) -> bool:
    if not isinstance(value, list):
        return False
    # A Hamiltonian is a list of terms by itself; a list of Hamiltonians is one of lists, molecules or models.
    return key != "hamiltonian" or not any(isinstance(one, dict) and "pauli" in one for one in value)
