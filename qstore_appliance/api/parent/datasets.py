"""
Data sets as `BackendAPIClient` of the 4.x library expects them: `/datasets`, without the envelope.

Refusals are in the envelope, since that client looks at the status alone.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api import files
from qstore_appliance.api.envelope import bare, nothing
from qstore_appliance.api.inputs import MAX_OFFSET, body, choice, one, whole
from qstore_appliance.api.registry import PAGING, Query, Routes
from qstore_appliance.domain.datasets import Dataset
from qstore_appliance.domain.drafts import Draft
from qstore_appliance.domain.listing import MAX_LIMIT, Page
from qstore_appliance.errors import DatasetMissing, NotFound, ValidationFailed

routes = Routes("datasets")

#: What that library calls the parts of a data set.
SPLITS = {"train": "train", "val": "validation", "test": "test"}
FORMATS = {"numpy": ("npz", "application/octet-stream"), "json": ("json", "application/json")}
#: What it calls where they come from.
SOURCES = {"upload": "custom"}

SOURCE = Query(name="source", description="`custom` (uploads), `builtin` or `imported`; nothing comes from elsewhere.")
LIMIT = Query(name="limit", description="Rows in the answer, at most 100.", schema={"type": "integer", "minimum": 1})
SPLIT = Query(name="split", description="The part.", schema={"type": "string", "enum": list(SPLITS)})
FORMAT = Query(
    name="format", description="NPZ with arrays x and y, or JSON.", schema={"type": "string", "enum": list(FORMATS)}
)


class ParentDataset(msgspec.Struct, frozen=True, kw_only=True):
    """A data set in that library's words. `splits` are the parts of a job that says nothing about them."""

    id: str
    name: str
    source: str
    description: str | None
    num_samples: int
    num_classes: int
    splits: list[str]
    metadata: dict[str, Any]


class ParentArrays(msgspec.Struct, frozen=True):
    """Rows `x`, and for each of them in `y` the index of its class, or the number that it is labelled with."""

    x: list[list[float]]
    y: list[float]


class HubImport(Draft):
    """What is to be imported from a hub. This server fetches nothing, and answers what it has of that name."""

    dataset_name: str
    dataset_config: str | None = None
    split_mapping: dict[str, str] | None = None


class AugmentationDraft(Draft):
    dataset_id: str
    transformations: list[dict[str, Any]]


def shown(dataset: Dataset) -> ParentDataset:
    return ParentDataset(
        id=dataset.id,
        name=dataset.name,
        source=SOURCES.get(dataset.source, dataset.source),
        description=None,
        num_samples=dataset.n_samples,
        num_classes=len(dataset.classes),
        splits=list(SPLITS),
        metadata={"n_features": dataset.n_features, "classes": dataset.classes, "digest": dataset.digest},
    )


@routes.get("/datasets", "datasets:read", answer=list[ParentDataset], bare=True, query=(SOURCE, LIMIT, PAGING[1]))
async def parent_listed(request: Request) -> HTTPResponse:
    """Data sets for the 4.x library's client; at most 100 at once."""
    # Whoever wants more asks again with an offset; that client takes any number for a limit.
    limit = min(MAX_LIMIT, whole(request, "limit", MAX_LIMIT, 1, MAX_OFFSET))
    wanted = Page(limit=limit, offset=whole(request, "offset", 0, 0, MAX_OFFSET))
    source = one(request, "source")
    source = next((ours for ours, theirs in SOURCES.items() if theirs == source), source)
    found = await request.app.ctx.appliance.datasets.listed(request.ctx.caller, wanted, source)
    return bare([shown(dataset) for dataset in found.items])


@routes.get("/datasets/{id}", "datasets:read", answer=ParentDataset, bare=True)
async def parent_get(request: Request, id: str) -> HTTPResponse:
    """One data set for the 4.x library's client."""
    return bare(shown(await request.app.ctx.appliance.datasets.get(request.ctx.caller, id)))


@routes.delete("/datasets/{id}", "datasets:write", status=204)
async def parent_delete(request: Request, id: str) -> HTTPResponse:
    """Delete an upload, for the 4.x library's client."""
    await request.app.ctx.appliance.datasets.delete(request.ctx.caller, id)
    return nothing()


@routes.get(
    "/datasets/{id}/download",
    "datasets:read",
    answer=ParentArrays,
    bare=True,
    query=(SPLIT, FORMAT),
    media=("application/json", "application/octet-stream"),
)
async def parent_download(request: Request, id: str) -> HTTPResponse | None:
    """One part of a data set, for the 4.x library's client: rows `x`, and `y` as class indices or as numbers."""
    split, format = choice(request, "split", tuple(SPLITS)) or "train", choice(request, "format", tuple(FORMATS))
    kind, media = FORMATS[format or "numpy"]
    datasets, caller = request.app.ctx.appliance.datasets, request.ctx.caller
    async with datasets.part(caller, id, SPLITS[split], kind) as path:
        await files.sent(request, path, media, f"{split}.{kind}")
    return None


@routes.get("/datasets/{id}/statistics", "datasets:read", answer=dict[str, Any], bare=True)
async def parent_statistics(request: Request, id: str) -> HTTPResponse:
    """Samples by class, and mean and spread by feature, for the 4.x library's client."""
    datasets, caller = request.app.ctx.appliance.datasets, request.ctx.caller
    found = await datasets.statistics(caller, (await datasets.get(caller, id)).id)
    return bare(
        {
            **found,
            "num_samples": found["n_samples"],
            "mean": [feature["mean"] for feature in found["features"]],
            "std": [feature["std"] for feature in found["features"]],
            "class_distribution": {one["label"]: one["count"] for one in found["classes"]},
        }
    )


@routes.post("/datasets/huggingface/import", "datasets:read", body=HubImport, answer=ParentDataset, bare=True)
async def parent_import(request: Request) -> HTTPResponse:
    """Answer the data set of that name where it is here; this server fetches nothing from a hub."""
    name = body(request, HubImport).dataset_name
    try:
        dataset = await request.app.ctx.appliance.datasets.get(request.ctx.caller, name.rpartition("/")[2])
    except NotFound:
        raise DatasetMissing(
            "This server fetches nothing from a hub. Upload the data: POST /v1/datasets.",
            details={"dataset": name[:200], "command": "POST /v1/datasets"},
        ) from None
    return bare(shown(dataset))


@routes.post(
    "/datasets/augmentation/pipeline", "datasets:read", body=AugmentationDraft, answer=dict[str, Any], bare=True
)
async def parent_augment(request: Request) -> HTTPResponse:
    """Refused: images are not augmented here."""
    draft = body(request, AugmentationDraft)
    await request.app.ctx.appliance.datasets.get(request.ctx.caller, draft.dataset_id)
    raise ValidationFailed.field("transformations", "this appliance has no augmentation; augment before uploading")
