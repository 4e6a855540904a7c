"""Trained models: find, keep in order, compare, deploy, ask, retire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import created, listing, nothing, success
from qstore_appliance.api.inputs import body, choice, one, page, several
from qstore_appliance.api.registry import LARGE_BODY, Query, Routes
from qstore_appliance.domain.costs import dollars
from qstore_appliance.domain.model_registry import (
    CompareDraft,
    Comparison,
    Lineage,
    ModelFilter,
    ModelPatch,
    PromoteDraft,
    Stage,
)
from qstore_appliance.domain.models import (
    Answer,
    Deployment,
    DeploymentDraft,
    Model,
    ModelStatus,
    PredictDraft,
    Timing,
)
from qstore_appliance.errors import ValidationFailed
from qstore_appliance.services.model_registry import SORTS

routes = Routes("models")

STATUS = Query(
    name="status",
    description="Only models in this state.",
    schema={"type": "string", "enum": [status.value for status in ModelStatus]},
)
FILTERS = (
    STATUS,
    Query(name="name", description="Only versions of the model of this name."),
    Query(
        name="stage",
        description="Only models in this stage.",
        schema={"type": "string", "enum": [stage.value for stage in Stage]},
    ),
    Query(name="tags", description="Only models with any of these tags, separated by commas."),
    Query(name="circuit_id", description="Only models of this circuit."),
)


DEFAULT_WINDOW = "7d"
WINDOW = Query(
    name="window",
    description="`7d` or `24h`: so many UTC days or hours, the present one included; at most 90 days.",
    schema={"type": "string", "pattern": "^[1-9][0-9]{0,3}[hd]$", "default": DEFAULT_WINDOW},
)


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """`artifact_url` is the digest of the stored artifact."""

    artifact_url: str
    size_mb: float


class ModelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    `inputs` says what predictions take: raw features, as in the data set that the model learned from. `lineage` says where
    the model comes from.
    """

    id: str
    user_id: str
    name: str
    version: str
    stage: Stage | None
    notes: str | None
    tags: list[str]
    circuit_id: str
    training_job_id: str | None
    status: ModelStatus
    metrics: dict[str, Any]
    parameters: dict[str, Any]
    inputs: dict[str, Any]
    deployment: dict[str, Any] | None
    storage: Storage
    lineage: Lineage
    created_at: datetime
    deployed_at: datetime | None
    updated_at: datetime


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    version: str
    status: ModelStatus
    stage: Stage | None
    tags: list[str]
    circuit_id: str
    training_job_id: str | None
    metrics: dict[str, Any]
    created_at: datetime
    deployed_at: datetime | None


class DeployAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`replicas` really run; `capped` where that is fewer than were asked for."""

    deployment_id: str
    endpoint: str
    status: str
    eta_seconds: float
    capped: bool
    replicas: int


class ModelMetricsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`days` are UTC days, which the lists go by; costs in US dollars. Latencies are of answers, null where there are none."""

    window: str
    since: datetime
    days: list[str]
    requests_per_day: list[int]
    cost_per_day: list[float]
    requests: int
    inputs: int
    avg_latency_ms: float | None
    p50_latency_ms: float | None
    p95_latency_ms: float | None
    p99_latency_ms: float | None
    error_rate: float


class PredictionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`cost` in US dollars; `model_id` is the version that answered, `timing_ms` says where `inference_time_ms` went."""

    model_id: str
    predictions: list[Answer]
    inference_time_ms: float
    timing_ms: Timing
    cost: float
    backend: str


def endpoint(request: Request, path: str) -> str:
    """An address as clients reach it."""
    return path if "://" in path else f"{request.app.ctx.settings.address}{path}"


def shown(request: Request, model: Model) -> ModelAnswer:
    deployment = dict(model.deployment)
    if isinstance(deployment.get("endpoint"), str):
        deployment["endpoint"] = endpoint(request, deployment["endpoint"])
    return ModelAnswer(
        id=model.id,
        user_id=model.user_id,
        name=model.name,
        version=model.version,
        stage=Stage(model.stage) if model.stage else None,
        notes=model.notes,
        tags=model.tags,
        circuit_id=model.circuit_id,
        training_job_id=model.training_job_id,
        status=model.status,
        metrics=model.metrics,
        parameters=model.parameters,
        inputs=model.inputs,
        deployment=deployment or None,
        storage=Storage(artifact_url=model.artifact_digest, size_mb=round(model.artifact_bytes / 1e6, 6)),
        lineage=Lineage.of(model.lineage, model.training_job_id),
        created_at=model.created_at,
        deployed_at=model.deployed_at,
        updated_at=model.updated_at,
    )


def row(model: Model) -> ModelRow:
    return ModelRow(
        id=model.id,
        name=model.name,
        version=model.version,
        status=model.status,
        stage=Stage(model.stage) if model.stage else None,
        tags=model.tags,
        circuit_id=model.circuit_id,
        training_job_id=model.training_job_id,
        metrics={
            name: value for name, value in model.metrics.items() if isinstance(value, int | float) or name == "baseline"
        },
        created_at=model.created_at,
        deployed_at=model.deployed_at,
    )


@routes.get("/v1/models", "models:read", answer=ModelRow, paged=True, query=FILTERS)
async def listed(request: Request) -> HTTPResponse:
    """The organization's models, with the numbers of their metrics; `sort=version` sorts as versions do."""
    status, stage = choice(request, "status", tuple(ModelStatus)), choice(request, "stage", tuple(Stage))
    wanted = ModelFilter(
        status=ModelStatus(status) if status else None,
        name=one(request, "name", 255),
        stage=Stage(stage) if stage else None,
        circuit_id=one(request, "circuit_id"),
        tags=tuple(several(request, "tags")),
    )
    registry = request.app.ctx.appliance.model_registry
    models = await registry.listed(request.ctx.caller, page(request, SORTS), wanted)
    return listing(request, models, [row(model) for model in models.items])


@routes.post("/v1/models/compare", "models:read", body=CompareDraft, answer=Comparison)
async def compare(request: Request) -> HTTPResponse:
    """Two models side by side: their numbers, what differs in where they come from, and whether their scores compare."""
    draft = body(request, CompareDraft)
    registry = request.app.ctx.appliance.model_registry
    return success(request, await registry.compare(request.ctx.caller, draft.a, draft.b))


@routes.get("/v1/models/{id}", "models:read", answer=ModelAnswer)
async def get(request: Request, id: str) -> HTTPResponse:
    """One model with its parameters, what it takes and where it comes from."""
    return success(request, shown(request, await request.app.ctx.appliance.models.get(request.ctx.caller, id)))


@routes.patch("/v1/models/{id}", "models:write", body=ModelPatch, answer=ModelAnswer)
async def update(request: Request, id: str) -> HTTPResponse:
    """Change a model's name, version, notes or tags; what is not sent stays."""
    patch = body(request, ModelPatch)
    return success(
        request, shown(request, await request.app.ctx.appliance.model_registry.update(request.ctx.caller, id, patch))
    )


@routes.delete("/v1/models/{id}", "models:write", status=204)
async def delete(request: Request, id: str) -> HTTPResponse:
    """Delete a model. For 24 hours it can be restored, then its space is freed. One that is served stays: 409."""
    await request.app.ctx.appliance.model_registry.delete(request.ctx.caller, id)
    return nothing()


@routes.post("/v1/models/{id}/restore", "models:write", answer=ModelAnswer)
async def restore(request: Request, id: str) -> HTTPResponse:
    """Bring back a model that was deleted within the last 24 hours; its stage is not."""
    return success(
        request, shown(request, await request.app.ctx.appliance.model_registry.restore(request.ctx.caller, id))
    )


@routes.post("/v1/models/{id}/promote", "models:deploy", body=PromoteDraft, answer=ModelAnswer)
async def promote(request: Request, id: str) -> HTTPResponse:
    """Give a model a stage, which the version of its name that had it loses; `null` takes it away."""
    draft = body(request, PromoteDraft)
    return success(
        request, shown(request, await request.app.ctx.appliance.model_registry.promote(request.ctx.caller, id, draft))
    )


@routes.post("/v1/models/{id}/deploy", "models:deploy", body=DeploymentDraft, answer=DeployAnswer, status=201)
async def deploy(request: Request, id: str) -> HTTPResponse:
    """Serve a model: its replicas stay warm until it is retired."""
    draft = body(request, DeploymentDraft)
    deployment: Deployment = await request.app.ctx.appliance.models.deploy(request.ctx.caller, id, draft)
    answer = DeployAnswer(
        deployment_id=deployment.id,
        endpoint=endpoint(request, deployment.endpoint),
        status=deployment.status,
        eta_seconds=deployment.config.get("eta_seconds", 0),
        capped=deployment.capped,
        replicas=deployment.config.get("running", 0),
    )
    return created(request, answer, f"/v1/deployments/{deployment.id}")


@routes.post(
    "/v1/models/{id}/predict", "models:predict", body=PredictDraft, answer=PredictionAnswer, body_bytes=LARGE_BODY
)
async def predict(request: Request, id: str) -> HTTPResponse:
    """Ask a deployed model: one answer for each input."""
    try:
        draft = body(request, PredictDraft)
    except ValidationFailed as error:
        raise await request.app.ctx.appliance.models.named(request.ctx.caller, id, error) from None
    prediction = await request.app.ctx.appliance.models.predict(request.ctx.caller, id, draft)
    answer = PredictionAnswer(
        model_id=prediction.model_id,
        predictions=prediction.predictions,
        inference_time_ms=prediction.inference_time_ms,
        timing_ms=prediction.timing_ms,
        cost=dollars(prediction.cost),
        backend=prediction.backend,
    )
    return success(request, answer)


@routes.get("/v1/models/{id}/metrics", "models:read", answer=ModelMetricsAnswer, query=(WINDOW,))
async def metrics(request: Request, id: str) -> HTTPResponse:
    """Requests, latency, errors and cost of a model in service, by day."""
    window = one(request, "window") or DEFAULT_WINDOW
    found = await request.app.ctx.appliance.models.metrics(request.ctx.caller, id, window)
    values = msgspec.structs.asdict(found)
    costs = [dollars(cost) for cost in found.cost_per_day]
    return success(request, ModelMetricsAnswer(**{**values, "cost_per_day": costs}))


@routes.post("/v1/models/{id}/retire", "models:retire", answer=ModelAnswer)
async def retire(request: Request, id: str) -> HTTPResponse:
    """Take a model out of service for good; predictions answer 410 afterwards."""
    return success(request, shown(request, await request.app.ctx.appliance.models.retire(request.ctx.caller, id)))
