"""Data sets: built in, imported on the host, uploaded."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api import idempotency, uploads
from qstore_appliance.api.envelope import created, listing, nothing, success
from qstore_appliance.api.inputs import page
from qstore_appliance.api.registry import Routes
from qstore_appliance.domain.datasets import Dataset
from qstore_appliance.errors import ValidationFailed
from qstore_appliance.services.datasets import SORTS

routes = Routes("datasets")

FORM = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": {
            "type": "string",
            "format": "binary",
            "description": "CSV with a header line, or NPZ with arrays x and y.",
        },
        "name": {"type": "string", "maxLength": 255, "description": "Default: the file's name."},
        "label": {"type": "string", "maxLength": 255, "description": "The CSV column to learn. Default: the last."},
    },
}


class DatasetAnswer(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    source: str
    n_samples: int
    n_features: int
    classes: list[str]
    digest: str | None
    user_id: str | None
    created_at: datetime | None


def shown(dataset: Dataset) -> DatasetAnswer:
    return DatasetAnswer(
        id=dataset.id,
        name=dataset.name,
        source=dataset.source,
        n_samples=dataset.n_samples,
        n_features=dataset.n_features,
        classes=dataset.classes,
        digest=dataset.digest,
        user_id=dataset.user_id,
        created_at=dataset.created_at,
    )


@routes.get("/v1/datasets", "datasets:read", answer=DatasetAnswer, paged=True)
async def listed(request: Request) -> HTTPResponse:
    """Data sets that jobs of your organization can learn from."""
    datasets = await request.app.ctx.appliance.datasets.listed(request.ctx.caller, page(request, SORTS))
    return listing(request, datasets, [shown(dataset) for dataset in datasets.items])


@routes.post("/v1/datasets", "datasets:write", form=FORM, answer=DatasetAnswer, status=201)
async def upload(request: Request) -> HTTPResponse | None:
    """Upload a data set: CSV with a header line, or NPZ with arrays `x` and `y`."""
    settings = request.app.ctx.settings
    await request.app.ctx.appliance.datasets.require_room(request.ctx.caller)
    folder = settings.data_dir / "uploads"
    async with uploads.received(request, folder, {"name", "label"}, settings.datasets.max_bytes) as sent:
        name = (sent.fields.get("name") or sent.filename.rpartition(".")[0] or sent.filename).strip()
        label = sent.fields.get("label") or None
        for field, text in (("name", name), ("label", label or "")):
            if len(text) > 255:
                raise ValidationFailed.field(field, "must be at most 255 characters")
        if not name:
            raise ValidationFailed.field("name", "is required")

        async def act() -> HTTPResponse:
            dataset = await request.app.ctx.appliance.datasets.upload(
                request.ctx.caller, path=sent.path, filename=sent.filename, name=name, label=label
            )
            return created(request, shown(dataset), f"/v1/datasets/{dataset.id}")

        return await idempotency.once(request, sent.digest, act)


@routes.get("/v1/datasets/{id}", "datasets:read", answer=DatasetAnswer)
async def get(request: Request, id: str) -> HTTPResponse:
    """One data set. A built-in or imported one has its name as id."""
    return success(request, shown(await request.app.ctx.appliance.datasets.get(request.ctx.caller, id)))


@routes.get("/v1/datasets/{id}/statistics", "datasets:read", answer=dict[str, Any])
async def statistics(request: Request, id: str) -> HTTPResponse:
    """Samples by class, and the range, mean and spread of each feature."""
    datasets, caller = request.app.ctx.appliance.datasets, request.ctx.caller
    dataset = await datasets.get(caller, id)
    return success(request, await datasets.statistics(caller, dataset.id))


@routes.delete("/v1/datasets/{id}", "datasets:write", status=204)
async def delete(request: Request, id: str) -> HTTPResponse:
    """Delete an upload. Models that learned from it stay."""
    await request.app.ctx.appliance.datasets.delete(request.ctx.caller, id)
    return nothing()
