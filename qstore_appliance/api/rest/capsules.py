"""Models as signed archives: out, looked at, in. The archive is `.qcap`, see `docs/api.md`."""

from __future__ import annotations

import asyncio

from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api import idempotency, uploads
from qstore_appliance.api.envelope import created, success
from qstore_appliance.api.registry import Routes
from qstore_appliance.api.rest.models import ModelAnswer, shown
from qstore_appliance.domain.capsules import Inspection, Signer

#: They are models' routes, in a file of their own.
routes = Routes("models")

MEDIA = "application/zip"
MAX_BYTES = 64_000_000
_FILE = {"type": "string", "format": "binary", "description": "A .qcap archive, at most 64 MB."}
INSPECTED = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {"file": _FILE},
}
IMPORTED = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": _FILE,
        "name": {"type": "string", "maxLength": 255, "description": "Default: its name."},
        "version": {"type": "string", "maxLength": 50, "description": "Default: its version."},
        "accept": {
            "type": "string",
            "maxLength": 60,
            "description": "The fingerprint of a key that is not among the trusted ones, trusted for this once.",
        },
    },
}


@routes.get("/v1/models/{id}/export", "models:read", answer=str, bare=True, media=(MEDIA,))
async def export(request: Request, id: str) -> HTTPResponse:
    """A model as one signed archive: circuit, weights, metrics and receipt."""
    name, content = await request.app.ctx.appliance.capsules.export(request.ctx.caller, id)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HTTPResponse(content, content_type=MEDIA, headers=headers)


@routes.get("/v1/models/signer", "models:read", answer=Signer)
async def signer(request: Request) -> HTTPResponse:
    """The key that this installation signs archives with, for others to trust."""
    return success(request, await request.app.ctx.appliance.capsules.signer(request.ctx.caller))


@routes.post("/v1/models/verify", "models:read", form=INSPECTED, answer=Inspection)
async def verify(request: Request) -> HTTPResponse:
    """Whether an archive is whole and rightly signed, by whom, and which model is in it; nothing is stored."""
    folder = request.app.ctx.settings.data_dir / "uploads"
    async with uploads.received(request, folder, set(), MAX_BYTES) as sent:
        content = await asyncio.to_thread(sent.path.read_bytes)
    return success(request, await request.app.ctx.appliance.capsules.inspect(request.ctx.caller, content))


@routes.post("/v1/models/import", "models:write", form=IMPORTED, answer=ModelAnswer, status=201)
async def import_from(request: Request) -> HTTPResponse | None:
    """Take in a model from an archive that a trusted key has signed, with its circuit."""
    folder = request.app.ctx.settings.data_dir / "uploads"
    async with uploads.received(request, folder, {"name", "version", "accept"}, MAX_BYTES) as sent:

        async def act() -> HTTPResponse:
            content = await asyncio.to_thread(sent.path.read_bytes)
            fields = {key: value or None for key, value in sent.fields.items()}
            model = await request.app.ctx.appliance.capsules.import_from(request.ctx.caller, content, **fields)
            return created(request, shown(request, model), f"/v1/models/{model.id}")

        return await idempotency.once(request, sent.digest, act)
