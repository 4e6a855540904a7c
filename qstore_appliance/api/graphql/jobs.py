"""Training jobs."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLResolveInfo

from qstore_appliance.api import inputs
from qstore_appliance.api.graphql.arguments import page, sent
from qstore_appliance.api.graphql.context import argument
from qstore_appliance.domain.circuits import CircuitHead
from qstore_appliance.domain.costs import dollars
from qstore_appliance.domain.jobs import Job, JobDraft, Status, Submitted
from qstore_appliance.domain.models import Model
from qstore_appliance.services.jobs import SORTS


async def job(_: None, info: GraphQLResolveInfo, id: str) -> Job | None:
    info.context.caller.require("jobs:read")
    found: Job | None = await info.context.loaders.jobs.load(id)
    return found


async def jobs(_: None, info: GraphQLResolveInfo, status: str | None = None, **paging: Any) -> list[Job]:
    wanted = [Status(status)] if status is not None else []
    found: list[Job] = await info.context.appliance.jobs.paged(info.context.caller, page(paging, SORTS), wanted)
    return found


async def submit(_: None, info: GraphQLResolveInfo, input: dict[str, Any]) -> Job:
    with argument("input"):
        draft = inputs.validated(JobDraft, sent(input))
        submitted: Submitted = await info.context.appliance.jobs.submit(info.context.caller, draft)
    info.context.submitted[submitted.job_id] = submitted
    made: Job = await info.context.appliance.jobs.get(info.context.caller, submitted.job_id)
    return made


async def cancel(_: None, info: GraphQLResolveInfo, id: str) -> bool:
    """Whether it is cancelled by now; a slow machine may take longer than this answer."""
    stopped: Job = await info.context.appliance.jobs.cancel(info.context.caller, id)
    return stopped.status == Status.CANCELLED or stopped.cancel_requested


def submission(job: Job, info: GraphQLResolveInfo) -> Submitted | None:
    found: Submitted | None = info.context.submitted.get(job.id)
    return found


def metrics(job: Job, _: GraphQLResolveInfo) -> dict[str, Any]:
    more = {"current_loss": job.progress.current_loss, "best_loss": job.progress.best_loss}
    return {**job.metrics, **more, "cost_so_far": dollars(job.cost)}


def cost_so_far(job: Job, _: GraphQLResolveInfo) -> float:
    return dollars(job.cost)


def estimated_cost(job: Job, _: GraphQLResolveInfo) -> float:
    return dollars(job.estimated_cost)


def budget_limit(job: Job, _: GraphQLResolveInfo) -> float | None:
    return None if job.budget_limit is None else dollars(job.budget_limit)


async def reason(job: Job, info: GraphQLResolveInfo) -> str | None:
    if job.status != Status.QUEUED:
        return job.reason
    found: str | None = await info.context.loaders.reasons.load(job.id)
    return found


async def circuit(of: Job | Model, info: GraphQLResolveInfo) -> CircuitHead | None:
    found: CircuitHead | None = await info.context.loaders.circuits.load(of.circuit_id)
    return found


async def model(job: Job, info: GraphQLResolveInfo) -> Model | None:
    found: Model | None = await info.context.loaders.models.load(job.model_id) if job.model_id else None
    return found


RESOLVERS = {
    "Query.job": job,
    "Query.jobs": jobs,
    "Mutation.submitTrainingJob": submit,
    "Mutation.cancelJob": cancel,
    "TrainingJob.metrics": metrics,
    "TrainingJob.costSoFar": cost_so_far,
    "TrainingJob.estimatedCost": estimated_cost,
    "TrainingJob.budgetLimit": budget_limit,
    "TrainingJob.reason": reason,
    "TrainingJob.submission": submission,
    "TrainingJob.circuit": circuit,
    "TrainingJob.model": model,
}
