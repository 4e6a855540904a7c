"""The machines that take jobs, for the operator of the installation."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import listing
from qstore_appliance.api.inputs import page
from qstore_appliance.api.registry import SIGNED_IN, Routes
from qstore_appliance.domain.workers import Worker
from qstore_appliance.services.workers import SORTS

routes = Routes("workers")


class WorkerBackend(msgspec.Struct, frozen=True, kw_only=True):
    """A backend on that machine; `reason` says why it does not work there."""

    name: str
    available: bool
    has_gpu: bool
    max_qubits: int | None
    reason: str | None


class WorkerAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    `kind` is `server` or `worker`; `state` is `alive`, or `lost` where nothing was heard of it for 15 seconds.

    `memory_bytes` is what its jobs may use together, `jobs` are the ids of those that it runs.
    """

    id: str
    host: str
    pid: int
    kind: str
    state: str
    slots: int
    cores: int
    memory_bytes: int
    gpus: int
    backends: list[WorkerBackend]
    jobs: list[str]
    version: str
    started_at: datetime
    heartbeat_at: datetime


def shown(worker: Worker, now: datetime) -> WorkerAnswer:
    backends = [
        WorkerBackend(
            name=name,
            available=found.available,
            has_gpu=found.capabilities is not None and found.capabilities.gpu,
            max_qubits=None if found.capabilities is None else found.capabilities.max_qubits,
            reason=found.reason,
        )
        for name, found in sorted(worker.backends.items())
    ]
    return WorkerAnswer(
        id=worker.id,
        host=worker.host,
        pid=worker.pid,
        kind=worker.kind.value,
        state=worker.state(now).value,
        slots=worker.slots,
        cores=worker.cores,
        memory_bytes=worker.memory_bytes,
        gpus=worker.gpus,
        backends=backends,
        jobs=list(worker.job_ids),
        version=worker.version,
        started_at=worker.started_at,
        heartbeat_at=worker.heartbeat_at,
    )


@routes.get("/v1/workers", SIGNED_IN, answer=WorkerAnswer, paged=True)
async def listed(request: Request) -> HTTPResponse:
    """The machines that take jobs, with their heartbeats; only for the operator of the installation."""
    found = await request.app.ctx.appliance.workers.listed(request.ctx.caller, page(request, SORTS, "started_at"))
    now = datetime.now(UTC)
    return listing(request, found, [shown(worker, now) for worker in found.items])
