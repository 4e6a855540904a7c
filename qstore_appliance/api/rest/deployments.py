"""Deployments: what is being served, and by which replicas."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import listing, success
from qstore_appliance.api.inputs import body, page
from qstore_appliance.api.registry import Routes
from qstore_appliance.domain.models import Canary, Deployment, RolloutDraft
from qstore_appliance.services.models import DEPLOYMENT_SORTS

routes = Routes("deployments")


class Shadow(msgspec.Struct, frozen=True, kw_only=True):
    """`compared` inputs so far, on this server, of which it gave `agreed` the same class as was answered."""

    model_id: str
    compared: int
    agreed: int


class DeploymentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    `config` as it was asked for; `capped` where this machine runs fewer replicas than that. `serves` is the version that
    answers, `previous` the one that a rollback brings back.
    """

    id: str
    model_id: str
    endpoint: str
    backend: str
    status: str
    capped: bool
    config: dict[str, Any]
    replicas: list[dict[str, Any]]
    serves: str
    previous: str | None
    canary: Canary | None
    shadow: Shadow | None
    created_at: datetime
    updated_at: datetime


def shown(request: Request, deployment: Deployment) -> DeploymentAnswer:
    path, rollout = deployment.endpoint, deployment.rollout
    compared, agreed = request.app.ctx.appliance.models.agreement(deployment.id)
    return DeploymentAnswer(
        id=deployment.id,
        model_id=deployment.model_id,
        endpoint=path if "://" in path else f"{request.app.ctx.settings.address}{path}",
        backend=deployment.backend,
        status=deployment.status,
        capped=deployment.capped,
        config=deployment.config,
        replicas=request.app.ctx.appliance.replicas.state(deployment.id),
        serves=rollout.serves or deployment.model_id,
        previous=rollout.previous,
        canary=rollout.canary,
        shadow=Shadow(model_id=rollout.shadow, compared=compared, agreed=agreed) if rollout.shadow else None,
        created_at=deployment.created_at,
        updated_at=deployment.updated_at,
    )


@routes.get("/v1/deployments", "models:read", answer=DeploymentAnswer, paged=True)
async def listed(request: Request) -> HTTPResponse:
    """The organization's deployments."""
    found = await request.app.ctx.appliance.models.deployments(request.ctx.caller, page(request, DEPLOYMENT_SORTS))
    return listing(request, found, [shown(request, deployment) for deployment in found.items])


@routes.get("/v1/deployments/{id}", "models:read", answer=DeploymentAnswer)
async def get(request: Request, id: str) -> HTTPResponse:
    """One deployment with its replicas: process, state, how many predictions each has answered."""
    return success(request, shown(request, await request.app.ctx.appliance.models.deployment(request.ctx.caller, id)))


@routes.patch("/v1/deployments/{id}", "models:deploy", body=RolloutDraft, answer=DeploymentAnswer)
async def roll_out(request: Request, id: str) -> HTTPResponse:
    """Put another version behind the address, give one a share of the requests, or ask one in the shadow."""
    draft = body(request, RolloutDraft)
    return success(
        request, shown(request, await request.app.ctx.appliance.models.rollout(request.ctx.caller, id, draft))
    )


@routes.post("/v1/deployments/{id}/rollback", "models:deploy", answer=DeploymentAnswer)
async def roll_back(request: Request, id: str) -> HTTPResponse:
    """End a canary and a shadow; where there is neither, the version that answered before answers again."""
    return success(request, shown(request, await request.app.ctx.appliance.models.rollback(request.ctx.caller, id)))
