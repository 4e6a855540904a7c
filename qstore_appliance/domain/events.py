"""
Events: what subscribers of a channel receive.

The docstring of each is its public documentation. Every event belongs to one organization, or to everybody where it is
about the installation, and carries a sequence number. Those of a job are counted in the job's row, all its channels together and without a hole, so a subscriber that
returns with its last one misses nothing, and a server notices when an event did not reach it.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

JOB_PROGRESS = "job.progress"
JOB_METRICS = "job.metrics"
JOB_LOGS = "job.logs"
COST_UPDATES = "cost.updates"
BACKEND_STATUS = "backend.status"
DEPLOYMENT_STATUS = "deployment.status"
NOTIFICATIONS = "notifications"
#: Channels that belong to one job, and need its id.
JOB_CHANNELS = frozenset({JOB_PROGRESS, JOB_METRICS, JOB_LOGS})

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


class JobLog(msgspec.Struct, frozen=True, kw_only=True):
    """`job.logs`: a line of a job's log; its number is that of the event."""

    job_id: str
    level: str
    message: str
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


class DeploymentUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """`deployment.status`: a deployment changed its status. `replicas` run now; `reason` says why there are none."""

    deployment_id: str
    model_id: str
    status: str
    replicas: int
    reason: str | None
    timestamp: datetime


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """
    `notifications`: something that people of the organization want to know, in one sentence.

    `kind` is `job.completed`, `job.failed`, `deployment.deployed`, `deployment.failed` or `budget.alert`; `about` is the id
    of what it is about, of a budget the organization's.
    """

    kind: str
    about: str
    message: str
    timestamp: datetime


Data = JobProgress | JobMetrics | JobLog | CostUpdate | BackendUpdate | DeploymentUpdate | Notification


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """
    What can be subscribed to.

    `subject` is the field of a subscription that says what it is about, None where that is the whole organization;
    `event` is the name under which Socket.IO and server-sent events carry it.
    """

    name: str
    shape: type[Data]
    permissions: tuple[str, ...]
    subject: str | None = None
    #: Its own name, unless the specification prints another.
    event: str = ""
    #: The same for all organizations.
    shared: bool = False

    @property
    def spoken(self) -> str:
        return self.event or self.name


CHANNELS: dict[str, Channel] = {
    channel.name: channel
    for channel in (
        Channel(name=JOB_PROGRESS, shape=JobProgress, permissions=("jobs:read",), subject="job_id"),
        Channel(name=JOB_METRICS, shape=JobMetrics, permissions=("jobs:read",), subject="job_id"),
        Channel(name=JOB_LOGS, shape=JobLog, permissions=("jobs:read",), subject="job_id"),
        Channel(name=COST_UPDATES, shape=CostUpdate, permissions=("usage:read",), event="cost.update"),
        Channel(
            name=BACKEND_STATUS,
            shape=BackendUpdate,
            permissions=("backends:read",),
            subject="backend_id",
            shared=True,
        ),
        Channel(name=DEPLOYMENT_STATUS, shape=DeploymentUpdate, permissions=("models:read",), subject="deployment_id"),
        Channel(name=NOTIFICATIONS, shape=Notification, permissions=("jobs:read", "models:read"), event="notification"),
    )
}


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """
    One event on its way. `subject` is the id of what its channel is about, else empty; `seq` counts where rows count
    (channels of jobs), and is 0 elsewhere: there each server numbers what passes it.
    """

    organization_id: str
    channel: str
    subject: str
    seq: int
    data: Data
