"""Sweeps: many jobs from one request."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import listing, success
from qstore_appliance.api.inputs import body, page, validated
from qstore_appliance.api.registry import Routes
from qstore_appliance.domain.costs import dollars
from qstore_appliance.domain.jobs import JobDraft
from qstore_appliance.domain.sweeps import Sweep, SweepDraft, SweepSummary, Trial
from qstore_appliance.services.sweeps import SORTS

routes = Routes("sweeps")


class SweepAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    `best` has every job of the sweep, the best first by `metric`; `goal` says which way is better. `progress` is a
    percentage of all epochs. Money in US dollars.
    """

    id: str
    name: str | None
    user_id: str
    created_at: datetime
    n_jobs: int
    progress: int
    states: dict[str, int]
    varied: dict[str, list[Any]]
    metric: str | None
    goal: str
    best: list[Trial]
    cost_so_far: float
    estimated_cost: float


def shown(sweep: Sweep) -> SweepAnswer:
    fields = msgspec.structs.asdict(sweep)
    cost, estimated = fields.pop("cost"), fields.pop("estimated_cost")
    return SweepAnswer(**fields, cost_so_far=dollars(cost), estimated_cost=dollars(estimated))


@routes.post("/v1/sweeps", "jobs:submit", body=SweepDraft, answer=SweepAnswer, status=202)
async def submit(request: Request) -> HTTPResponse:
    """Submit a job for each combination of the lists in `config`, at most 100."""
    draft = body(request, SweepDraft)
    jobs = [validated(JobDraft, document) for document in draft.documents(secrets.randbelow(2**53))]
    sweep = await request.app.ctx.appliance.sweeps.submit(request.ctx.caller, draft, jobs)
    response = success(request, shown(sweep), 202)
    response.headers["Location"] = f"/v1/sweeps/{sweep.id}"
    return response


@routes.get("/v1/sweeps", "jobs:read", answer=SweepSummary, paged=True)
async def listed(request: Request) -> HTTPResponse:
    """The organization's sweeps, with their progress and their jobs by state."""
    return listing(request, await request.app.ctx.appliance.sweeps.listed(request.ctx.caller, page(request, SORTS)))


@routes.get("/v1/sweeps/{id}", "jobs:read", answer=SweepAnswer)
async def get(request: Request, id: str) -> HTTPResponse:
    """One sweep: how far it is, and its jobs, the best first."""
    return success(request, shown(await request.app.ctx.appliance.sweeps.get(request.ctx.caller, id)))


@routes.post("/v1/sweeps/{id}/cancel", "jobs:cancel", answer=SweepAnswer)
async def cancel(request: Request, id: str) -> HTTPResponse:
    """Cancel every job of a sweep that has not ended."""
    return success(request, shown(await request.app.ctx.appliance.sweeps.cancel(request.ctx.caller, id)))
