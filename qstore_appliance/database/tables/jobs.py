"""Training jobs: the row is the truth, with lease, fence and last checkpoint; their epochs and logs."""

from __future__ import annotations

from typing import Any

import msgspec
from tortoise import fields

from qstore_appliance.database.tables.row import Row
from qstore_appliance.domain.configs import subject
from qstore_appliance.domain.jobs import Job, JobSummary, Priority, Progress, Resources, Status
from qstore_appliance.domain.workers import Needs


class JobRow(Row):
    id = fields.CharField(max_length=40, primary_key=True)
    organization_id = fields.CharField(max_length=40)
    user_id = fields.CharField(max_length=40, db_index=True)
    circuit_id = fields.CharField(max_length=40, db_index=True)
    #: The circuit as it was when the job was submitted: later edits of the circuit change nothing here.
    circuit: dict[str, Any] = fields.JSONField()
    status = fields.CharField(max_length=50)
    priority = fields.CharField(max_length=50, default="normal")
    config: dict[str, Any] = fields.JSONField()
    backend = fields.CharField(max_length=50)
    progress: dict[str, Any] = fields.JSONField(default=dict)
    metrics: dict[str, Any] = fields.JSONField(default=dict)
    resources: dict[str, Any] = fields.JSONField(default=dict)
    receipt: dict[str, Any] = fields.JSONField(default=dict)
    reason = fields.TextField(null=True)
    error_code = fields.CharField(max_length=50, null=True)
    estimated_cost = fields.BigIntField(default=0)
    cost = fields.BigIntField(default=0)
    budget_limit = fields.BigIntField(null=True)
    project = fields.CharField(max_length=255, null=True)
    tags: list[str] = fields.JSONField(default=list)
    model_id = fields.CharField(max_length=40, null=True)
    continued_from = fields.CharField(max_length=40, null=True)
    replay_of = fields.CharField(max_length=40, null=True)
    sweep_id = fields.CharField(max_length=40, null=True)
    #: What the estimate expects, for whoever looks at the whole line.
    expected_seconds = fields.FloatField(null=True)
    expected_bytes = fields.BigIntField(null=True)
    #: Counts this job's events; a subscriber resumes by it.
    seq = fields.BigIntField(default=0)
    fence = fields.IntField(default=0)
    attempt = fields.IntField(default=0)
    lease_owner = fields.CharField(max_length=80, null=True)
    lease_until = fields.DatetimeField(null=True)
    cancel_requested = fields.BooleanField(default=False)
    #: Why the worker shall pause the job; None where it shall not.
    pause_reason = fields.TextField(null=True)
    checkpoint = fields.CharField(max_length=80, null=True)
    checkpoint_epoch = fields.IntField(default=0)
    checkpoint_bytes = fields.BigIntField(default=0, db_default=0)
    #: Of the machine that runs it.
    needs_gpu = fields.BooleanField(db_default=False, default=False)
    created_at = fields.DatetimeField(auto_now_add=True)
    #: Since when it waits; a job that is given back keeps its place, one that is resumed begins anew.
    queued_at = fields.DatetimeField(null=True, auto_now_add=True)
    started_at = fields.DatetimeField(null=True)
    updated_at = fields.DatetimeField(auto_now=True)
    completed_at = fields.DatetimeField(null=True)

    class Meta:
        table = "training_jobs"
        indexes = (
            ("organization_id", "created_at", "id"),
            ("status", "created_at"),
            ("sweep_id", "id"),
            # The line as slots read it, without its rows.
            ("status", "organization_id", "priority", "backend", "queued_at", "id"),
        )

    def to_domain(self) -> Job:
        return Job(
            id=self.id,
            organization_id=self.organization_id,
            user_id=self.user_id,
            circuit_id=self.circuit_id,
            status=Status(self.status),
            priority=Priority(self.priority),
            config=self.config,
            backend=self.backend,
            progress=msgspec.convert(self.progress, Progress),
            metrics=self.metrics,
            resources=msgspec.convert(self.resources, Resources),
            receipt=self.receipt,
            reason=self.reason,
            error_code=self.error_code,
            cost=self.cost,
            estimated_cost=self.estimated_cost,
            budget_limit=self.budget_limit,
            project=self.project,
            tags=list(self.tags),
            model_id=self.model_id,
            continued_from=self.continued_from,
            replay_of=self.replay_of,
            sweep_id=self.sweep_id,
            seq=self.seq,
            cancel_requested=self.cancel_requested,
            pause_requested=self.pause_reason is not None,
            created_at=self.created_at,
            started_at=self.started_at,
            updated_at=self.updated_at,
            completed_at=self.completed_at,
        )

    @property
    def needs(self) -> Needs:
        return Needs(backend=self.backend, memory_bytes=self.expected_bytes or 0, gpu=self.needs_gpu)

    def to_summary(self) -> JobSummary:
        return JobSummary(
            id=self.id,
            status=Status(self.status),
            priority=Priority(self.priority),
            circuit_id=self.circuit_id,
            backend=self.backend,
            dataset=subject(self.config),
            progress=msgspec.convert(self.progress, Progress).percentage,
            accuracy=self.metrics.get("test_accuracy", self.metrics.get("validation_accuracy")),
            model_id=self.model_id,
            reason=self.reason,
            created_at=self.created_at,
            started_at=self.started_at,
            completed_at=self.completed_at,
        )


class JobEventRow(Row):
    """What a job told its subscribers, by sequence number: the window in which `last_seq` resumes."""

    id = fields.BigIntField(primary_key=True)
    job: fields.ForeignKeyRelation[JobRow] = fields.ForeignKeyField(
        "qstore.JobRow", related_name="events", on_delete=fields.CASCADE
    )
    job_id: str
    seq = fields.BigIntField()
    channel = fields.CharField(max_length=40)
    data: dict[str, Any] = fields.JSONField()
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "job_events"
        unique_together = (("job", "seq"),)


class JobLogRow(Row):
    id = fields.BigIntField(primary_key=True)
    job: fields.ForeignKeyRelation[JobRow] = fields.ForeignKeyField(
        "qstore.JobRow", related_name="logs", on_delete=fields.CASCADE
    )
    job_id: str
    seq = fields.BigIntField()
    level = fields.CharField(max_length=10)
    message = fields.TextField()
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "job_logs"
        unique_together = (("job", "seq"),)
