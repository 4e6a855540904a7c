"""Deployments: what is being served, and by which replicas."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import listing, success
from qstore_appliance.api.inputs import page
from qstore_appliance.api.registry import Routes
from qstore_appliance.domain.models import Deployment
from qstore_appliance.services.models import DEPLOYMENT_SORTS

routes = Routes("deployments")


class DeploymentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`config` as it was asked for; `capped` where this machine runs fewer replicas than that."""

    id: str
    model_id: str
    endpoint: str
    backend: str
    status: str
    capped: bool
    config: dict[str, Any]
    replicas: list[dict[str, Any]]
    created_at: datetime
    updated_at: datetime


def shown(request: Request, deployment: Deployment) -> DeploymentAnswer:
    path = deployment.endpoint
    return DeploymentAnswer(
        id=deployment.id,
        model_id=deployment.model_id,
        endpoint=path if "://" in path else f"{request.app.ctx.settings.address}{path}",
        backend=deployment.backend,
        status=deployment.status,
        capped=deployment.capped,
        config=deployment.config,
        replicas=request.app.ctx.appliance.replicas.state(deployment.id),
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
