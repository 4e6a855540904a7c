"""
Events: what subscribers of a channel receive.

The docstring of each is its public documentation. Every event belongs to one organization, or to everybody where it is
about the installation, and carries a sequence number; those of a job are counted in the job's row, so a subscriber that
returns with its last one misses nothing.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

JOB_PROGRESS = "job.progress"
JOB_METRICS = "job.metrics"
COST_UPDATES = "cost.updates"
BACKEND_STATUS = "backend.status"
#: Channels that belong to one job, and need its id.
JOB_CHANNELS = frozenset({JOB_PROGRESS, JOB_METRICS})
CHANNELS = JOB_CHANNELS | {COST_UPDATES, BACKEND_STATUS}
#: Stands for the organization of events that are about the installation.
EVERYBODY = ""


class JobProgress(msgspec.Struct, frozen=True, kw_only=True):
    """`job.progress`: a job changed its status or finished an epoch."""

    job_id: str
    status: str
    current_epoch: int
    total_epochs: int
    current_loss: float | None
    best_loss: float | None
    eta_seconds: float | None
    reason: str | None
    model_id: str | None
    timestamp: datetime


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    loss: float
    accuracy: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None


class JobMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """`job.metrics`: the metrics of one finished epoch."""

    job_id: str
    epoch: int
    metrics: Metrics
    timestamp: datetime


class CostUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """`cost.updates` (event `cost.update`): the organization's spend this month, in US dollars."""

    current_spend: float
    budget_limit: float | None
    percentage_used: float | None
    timestamp: datetime


class BackendUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """
    `backend.status`: a backend changed its status, to `starting`, `available`, `degraded`, `maintenance` or `unavailable`.

    What was not measured yet is null.
    """

    backend_id: str
    status: str
    queue_depth: int
    avg_latency_ms: float | None
    timestamp: datetime


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way. `subject` is the id of the job or the backend that it is about, else empty."""

    organization_id: str
    channel: str
    subject: str
    seq: int
    data: JobProgress | JobMetrics | CostUpdate | BackendUpdate
