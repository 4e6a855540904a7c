"""Trained models and what serves them."""

from __future__ import annotations

from typing import Any

import msgspec
from graphql import GraphQLResolveInfo

from qstore_appliance.api import inputs
from qstore_appliance.api.graphql.arguments import page, sent
from qstore_appliance.api.graphql.context import argument
from qstore_appliance.api.graphql.jobs import circuit
from qstore_appliance.domain import ids
from qstore_appliance.domain.jobs import Job
from qstore_appliance.domain.model_registry import Lineage, ModelFilter, Stage
from qstore_appliance.domain.models import Deployment, DeploymentDraft, Model, ModelStatus
from qstore_appliance.errors import NotFound
from qstore_appliance.services.model_registry import SORTS
from qstore_appliance.services.models import DEPLOYMENT_SORTS


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    artifact_url: str
    size_mb: float


async def model(_: None, info: GraphQLResolveInfo, id: str) -> Model | None:
    info.context.caller.require("models:read")
    found: Model | None = await info.context.loaders.models.load(id)
    return found


async def models(_: None, info: GraphQLResolveInfo, filter: dict[str, Any] | None = None, **paging: Any) -> list[Model]:
    asked = sent(filter or {})
    wanted = ModelFilter(
        status=ModelStatus(asked["status"]) if asked.get("status") else None,
        name=asked.get("name"),
        stage=Stage(asked["stage"]) if asked.get("stage") else None,
        circuit_id=asked.get("circuit_id"),
        tags=tuple(asked.get("tags") or ()),
    )
    registry = info.context.appliance.model_registry
    return list((await registry.listed(info.context.caller, page(paging, SORTS), wanted)).items)


def lineage(model: Model, _: GraphQLResolveInfo) -> Lineage:
    return Lineage.of(model.lineage, model.training_job_id)


def storage(model: Model, _: GraphQLResolveInfo) -> Storage:
    return Storage(artifact_url=model.artifact_digest, size_mb=round(model.artifact_bytes / 1e6, 6))


async def training_job(model: Model, info: GraphQLResolveInfo) -> Job | None:
    wanted = model.training_job_id
    found: Job | None = await info.context.loaders.jobs.load(wanted) if wanted else None
    return found


async def newest_deployment(model: Model, info: GraphQLResolveInfo) -> Deployment | None:
    found: Deployment | None = await info.context.loaders.deployments.load(model.id)
    return found


async def deployment(_: None, info: GraphQLResolveInfo, id: str) -> Deployment | None:
    info.context.caller.require("models:read")
    if not ids.is_id("deploy", id):
        return None
    try:
        found: Deployment = await info.context.appliance.models.deployment(info.context.caller, id)
    except NotFound:
        return None
    return found


async def deployments(_: None, info: GraphQLResolveInfo, **paging: Any) -> list[Deployment]:
    wanted = page(paging, DEPLOYMENT_SORTS)
    listed = await info.context.appliance.models.deployments(info.context.caller, wanted)
    return list(listed.items)


async def model_of(deployment: Deployment, info: GraphQLResolveInfo) -> Model | None:
    found: Model | None = await info.context.loaders.models.load(deployment.model_id)
    return found


def endpoint(deployment: Deployment, info: GraphQLResolveInfo) -> str:
    address: str = info.context.address(deployment.endpoint)
    return address


def replicas(deployment: Deployment, info: GraphQLResolveInfo) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = info.context.appliance.replicas.state(deployment.id)
    return found


async def deploy(_: None, info: GraphQLResolveInfo, id: str, config: dict[str, Any]) -> Deployment:
    with argument("config"):
        draft = inputs.validated(DeploymentDraft, sent(config))
        made: Deployment = await info.context.appliance.models.deploy(info.context.caller, id, draft)
        return made


async def retire(_: None, info: GraphQLResolveInfo, id: str) -> bool:
    await info.context.appliance.models.retire(info.context.caller, id)
    return True


RESOLVERS = {
    "Query.model": model,
    "Query.models": models,
    "Query.deployment": deployment,
    "Query.deployments": deployments,
    "Mutation.deployModel": deploy,
    "Mutation.retireModel": retire,
    "Model.circuit": circuit,
    "Model.trainingJob": training_job,
    "Model.deployment": newest_deployment,
    "Model.storage": storage,
    "Model.lineage": lineage,
    "Deployment.model": model_of,
    "Deployment.endpoint": endpoint,
    "Deployment.replicas": replicas,
}
