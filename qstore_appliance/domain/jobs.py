"""A job: what was asked, how far it is, how it ended."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, Any

import msgspec
from pydantic import Field, StringConstraints

from qstore_appliance.domain.accounts import Name
from qstore_appliance.domain.configs import ConfigDraft
from qstore_appliance.domain.drafts import Draft


class Status(enum.StrEnum):
    #: Accepted, waiting for a slot.
    QUEUED = "queued"
    #: A slot holds its lease and trains it.
    RUNNING = "running"
    #: Stopped at a checkpoint, can go on.
    PAUSED = "paused"
    #: Trained; its model is stored.
    COMPLETED = "completed"
    #: Ended by an error; `reason` says which.
    FAILED = "failed"
    #: Ended by a person; the last checkpoint is kept.
    CANCELLED = "cancelled"


TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})
LIVE = frozenset(Status) - TERMINAL
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.PAUSED, Status.CANCELLED, Status.FAILED}),
    Status.RUNNING: frozenset({Status.QUEUED, Status.PAUSED, Status.COMPLETED, Status.FAILED, Status.CANCELLED}),
    Status.PAUSED: frozenset({Status.QUEUED, Status.CANCELLED}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
}


def sources(status: Status) -> list[str]:
    """The states from which a job may come into this one, for conditional updates."""
    return sorted(source.value for source, targets in TRANSITIONS.items() if status in targets)


class Priority(enum.StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """Huey takes the larger number first."""
        return {"low": 0, "normal": 5, "high": 10}[self.value]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    current_epoch: int = 0
    total_epochs: int = 0
    current_loss: float | None = None
    best_loss: float | None = None
    eta_seconds: float | None = None

    @property
    def percentage(self) -> int:
        return 100 * self.current_epoch // self.total_epochs if self.total_epochs else 0


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    backend_used: str | None = None
    circuits_executed: int = 0
    total_shots: int = 0
    #: Processor time of the job's processes, all threads together.
    cpu_seconds: float = 0.0
    #: Wall time of epochs on a graphics card.
    gpu_hours: float = 0.0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """
    `metrics` holds training_accuracy, validation_accuracy, test_accuracy, loss_history, val_loss_history,
    accuracy_history, val_accuracy_history, baseline, r2, energy, counts, health as they apply. Money is integer
    micro-dollars.
    """

    id: str
    organization_id: str
    user_id: str
    circuit_id: str
    status: Status
    priority: Priority
    config: dict[str, Any]
    backend: str
    progress: Progress
    metrics: dict[str, Any]
    resources: Resources
    receipt: dict[str, Any]
    reason: str | None
    error_code: str | None
    cost: int
    estimated_cost: int
    budget_limit: int | None
    project: str | None
    tags: list[str]
    model_id: str | None
    continued_from: str | None
    replay_of: str | None
    sweep_id: str | None
    seq: int
    cancel_requested: bool
    pause_requested: bool
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    completed_at: datetime | None


class JobSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a list; `progress` is the percentage (specification, List Jobs)."""

    id: str
    status: Status
    priority: Priority
    circuit_id: str
    backend: str
    dataset: str
    progress: int
    accuracy: float | None
    model_id: str | None
    reason: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """The 202 answer; `auto_backend` is what "auto" would have taken, `backend_reason` says why it is `backend`."""

    job_id: str
    status: Status
    estimated_start: datetime | None
    estimated_cost: int
    queue_position: int
    backend: str
    auto_backend: str
    backend_reason: str


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    seq: int
    timestamp: datetime
    level: str
    message: str


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The right to write to a running job. A write with an older `fence` than the row's is refused."""

    job_id: str
    organization_id: str
    fence: int


class JobDraft(Draft):
    circuit_id: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    config: ConfigDraft
    priority: Annotated[Priority, Field(strict=False)] = Priority.NORMAL
    budget_limit: float | None = Field(default=None, ge=0, le=1e9)
    project: Name | None = None
    tags: list[Annotated[str, StringConstraints(min_length=1, max_length=100)]] = Field(
        default_factory=list, max_length=50
    )


class ContinueDraft(Draft):
    """How many further epochs; left out, what was left of the job, else as many again."""

    epochs: int | None = Field(default=None, ge=1, le=100_000)
