"""Training jobs: submit, look, stop, go on, repeat, estimate. Their logs are in `live/stream.py`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import listing, success
from qstore_appliance.api.inputs import body, page, several
from qstore_appliance.api.registry import Query, Routes
from qstore_appliance.domain.budgets import TopUpDraft
from qstore_appliance.domain.costs import dollars
from qstore_appliance.domain.jobs import (
    ContinueDraft,
    Job,
    JobDraft,
    JobSummary,
    Priority,
    Resources,
    Status,
    Submitted,
)
from qstore_appliance.services.jobs import SORTS

routes = Routes("jobs")

STATUS = Query(name="status", description="Only jobs in one of these states, separated by commas.")


class SubmittedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    `auto_backend` is what `"backend": "auto"` would have taken; `backend_reason` says in one sentence why the job runs on
    `backend`. Money in US dollars.
    """

    job_id: str
    status: Status
    estimated_start: datetime | None
    estimated_cost: float
    queue_position: int
    backend: str
    auto_backend: str
    backend_reason: str


class ProgressAnswer(msgspec.Struct, frozen=True, kw_only=True):
    current_epoch: int
    total_epochs: int
    percentage: int
    current_loss: float | None
    best_loss: float | None
    eta_seconds: float | None


class JobAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    The specification's status answer and entity in one.

    `reason` says why a job waits or how it ended, `error_code` as a code. `seq` counts its events: subscribe with it as
    `last_seq` and nothing is missed. Money in US dollars.
    """

    id: str
    user_id: str
    circuit_id: str
    status: Status
    priority: Priority
    config: dict[str, Any]
    backend: str
    progress: ProgressAnswer
    metrics: dict[str, Any]
    resources: Resources
    receipt: dict[str, Any]
    cost_so_far: float
    estimated_cost: float
    budget_limit: float | None
    reason: str | None
    error_code: str | None
    project: str | None
    tags: list[str]
    model_id: str | None
    continued_from: str | None
    replay_of: str | None
    sweep_id: str | None
    cancel_requested: bool
    pause_requested: bool
    seq: int
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    completed_at: datetime | None


class StateAnswer(msgspec.Struct, frozen=True, kw_only=True):
    job_id: str
    status: Status
    cost_incurred: float
    epochs_completed: int


def shown_submitted(submitted: Submitted) -> SubmittedAnswer:
    return SubmittedAnswer(
        job_id=submitted.job_id,
        status=submitted.status,
        estimated_start=submitted.estimated_start,
        estimated_cost=dollars(submitted.estimated_cost),
        queue_position=submitted.queue_position,
        backend=submitted.backend,
        auto_backend=submitted.auto_backend,
        backend_reason=submitted.backend_reason,
    )


def shown(job: Job) -> JobAnswer:
    spent = dollars(job.cost)
    progress = job.progress
    return JobAnswer(
        id=job.id,
        user_id=job.user_id,
        circuit_id=job.circuit_id,
        status=job.status,
        priority=job.priority,
        config=job.config,
        backend=job.backend,
        progress=ProgressAnswer(
            current_epoch=progress.current_epoch,
            total_epochs=progress.total_epochs,
            percentage=progress.percentage,
            current_loss=progress.current_loss,
            best_loss=progress.best_loss,
            eta_seconds=progress.eta_seconds,
        ),
        metrics={
            **job.metrics,
            "current_loss": progress.current_loss,
            "best_loss": progress.best_loss,
            "cost_so_far": spent,
        },
        resources=job.resources,
        receipt=job.receipt,
        cost_so_far=spent,
        estimated_cost=dollars(job.estimated_cost),
        budget_limit=None if job.budget_limit is None else dollars(job.budget_limit),
        reason=job.reason,
        error_code=job.error_code,
        project=job.project,
        tags=job.tags,
        model_id=job.model_id,
        continued_from=job.continued_from,
        replay_of=job.replay_of,
        sweep_id=job.sweep_id,
        cancel_requested=job.cancel_requested,
        pause_requested=job.pause_requested,
        seq=job.seq,
        created_at=job.created_at,
        started_at=job.started_at,
        updated_at=job.updated_at,
        completed_at=job.completed_at,
    )


@routes.post("/v1/jobs", "jobs:submit", body=JobDraft, answer=SubmittedAnswer, status=202)
async def submit(request: Request) -> HTTPResponse:
    """Train a model: a circuit, a data set, and how."""
    submitted = await request.app.ctx.appliance.jobs.submit(request.ctx.caller, body(request, JobDraft))
    return _accepted(request, submitted)


@routes.get("/v1/jobs", "jobs:read", answer=JobSummary, paged=True, query=(STATUS,))
async def listed(request: Request) -> HTTPResponse:
    """The organization's jobs; `progress` is a percentage."""
    statuses = [Status(name) for name in several(request, "status", {status.value for status in Status})]
    jobs = request.app.ctx.appliance.jobs
    return listing(request, await jobs.listed(request.ctx.caller, page(request, SORTS), statuses))


@routes.get("/v1/jobs/{id}", "jobs:read", answer=JobAnswer)
async def get(request: Request, id: str) -> HTTPResponse:
    """One job: how far it is, what it measured, how it ended."""
    return success(request, shown(await request.app.ctx.appliance.jobs.get(request.ctx.caller, id)))


@routes.post("/v1/jobs/{id}/cancel", "jobs:cancel", answer=StateAnswer)
async def cancel(request: Request, id: str) -> HTTPResponse:
    """Stop a job within two seconds; its last checkpoint is kept."""
    return _state(request, await request.app.ctx.appliance.jobs.cancel(request.ctx.caller, id))


@routes.post("/v1/jobs/{id}/pause", "jobs:cancel", answer=StateAnswer)
async def pause(request: Request, id: str) -> HTTPResponse:
    """Stop a job at its last checkpoint within two seconds, until it is resumed."""
    return _state(request, await request.app.ctx.appliance.jobs.pause(request.ctx.caller, id))


@routes.post("/v1/jobs/{id}/resume", "jobs:cancel", answer=StateAnswer)
async def resume(request: Request, id: str) -> HTTPResponse:
    """Put a paused job into the line again; it goes on from its checkpoint."""
    return _state(request, await request.app.ctx.appliance.jobs.resume(request.ctx.caller, id))


@routes.post("/v1/jobs/{id}/continue", "jobs:submit", body=ContinueDraft, answer=SubmittedAnswer, status=202)
async def go_on(request: Request, id: str) -> HTTPResponse:
    """Train further where an ended job stopped, in a new job."""
    jobs = request.app.ctx.appliance.jobs
    return _accepted(request, await jobs.go_on(request.ctx.caller, id, body(request, ContinueDraft)))


@routes.post("/v1/jobs/{id}/replay", "jobs:submit", answer=SubmittedAnswer, status=202)
async def replay(request: Request, id: str) -> HTTPResponse:
    """Run an ended job again, in a new job that says whether it was the same, bit for bit."""
    return _accepted(request, await request.app.ctx.appliance.jobs.replay(request.ctx.caller, id))


def _accepted(request: Request, submitted: Submitted) -> HTTPResponse:
    response = success(request, shown_submitted(submitted), 202)
    response.headers["Location"] = f"/v1/jobs/{submitted.job_id}"
    return response


def _state(request: Request, job: Job) -> HTTPResponse:
    answer = StateAnswer(
        job_id=job.id,
        status=job.status,
        cost_incurred=dollars(job.cost),
        epochs_completed=job.progress.current_epoch,
    )
    return success(request, answer)


@routes.post("/v1/jobs/{id}/top-up", "jobs:submit", body=TopUpDraft, answer=JobAnswer)
async def top_up(request: Request, id: str) -> HTTPResponse:
    """Raise a job's `budget_limit`; where it was paused it goes on, exactly."""
    top_ups = request.app.ctx.appliance.top_ups
    return success(request, shown(await top_ups.top_up(request.ctx.caller, id, body(request, TopUpDraft))))


class IntervalAnswer(msgspec.Struct, frozen=True, kw_only=True):
    low: float
    expected: float
    high: float


class EstimateAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a job would take on this machine, and why it would be this backend; `cost` in US dollars."""

    time_seconds: IntervalAnswer
    memory_bytes: IntervalAnswer
    cost: IntervalAnswer
    backend: str
    auto_backend: str
    backend_reason: str


@routes.post("/v1/jobs/estimate", "jobs:submit", body=JobDraft, answer=EstimateAnswer)
async def estimate(request: Request) -> HTTPResponse:
    """What a job would take and cost, without submitting it; takes the same body."""
    found = await request.app.ctx.appliance.jobs.estimate(request.ctx.caller, body(request, JobDraft))
    cost = {name: dollars(amount) for name, amount in found["cost"].items()}
    return success(request, msgspec.convert({**found, "cost": cost}, EstimateAnswer))
