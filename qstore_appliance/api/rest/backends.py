"""Backends: what can run circuits on this machine, and what each costs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import listing, success
from qstore_appliance.api.inputs import one, page
from qstore_appliance.api.registry import Query, Routes
from qstore_appliance.domain.backends import BackendRecord, BackendStatus
from qstore_appliance.domain.costs import dollars
from qstore_appliance.domain.listing import Listed
from qstore_appliance.errors import ValidationFailed

routes = Routes("backends")

STATUSES = tuple(BackendStatus)
STATUS = Query(
    name="status",
    description="Only backends in this state.",
    schema={"type": "string", "enum": [status.value for status in STATUSES]},
)


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    max_qubits: int | None
    max_depth: int | None
    supported_gates: list[str]
    has_gpu: bool
    supports_shots: bool
    supports_exact: bool
    #: Channels of `config.noise`, and names for `config.noise.model`.
    supports_noise: list[str]
    noise_models: list[str]


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """
    Over the last 30 days, by everybody on this installation; None where nothing has been measured yet.

    `avg_latency_ms` is the mean wall time of one circuit, `throughput_circuits_per_sec` counts while circuits run, and
    `availability` is the share of probes that found the backend working.
    """

    avg_latency_ms: float | None
    throughput_circuits_per_sec: float | None
    queue_depth: int
    availability: float | None


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars."""

    per_circuit: float
    per_shot: float
    minimum_charge: float
    per_cpu_second: float
    per_gpu_second: float


class WindowAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The present maintenance window, or the next one."""

    start: datetime
    end: datetime


class BackendAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The specification's row and entity in one; `reason` says why its status is not `available`."""

    id: str
    name: str
    type: str
    provider: str
    status: str
    reason: str | None
    queue_depth: int
    avg_latency_ms: float | None
    cost_per_circuit: float
    capabilities: Capabilities
    performance: Performance
    cost: Cost
    limits: dict[str, Any]
    maintenance_window: WindowAnswer | None


class QueueAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`avg_wait_time_sec` is from submit to start, over the last 30 days."""

    depth: int
    avg_wait_time_sec: float | None


class TodayAnswer(msgspec.Struct, frozen=True, kw_only=True):
    circuits_today: int
    avg_latency_ms: float | None
    throughput_circuits_per_sec: float | None


class StatusAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`circuits_today` counts those of your organization; the rest is the whole installation's."""

    id: str
    status: str
    reason: str | None
    uptime: float | None
    queue: QueueAnswer
    performance: TodayAnswer
    maintenance_window: WindowAnswer | None


def shown(backend: BackendRecord) -> BackendAnswer:
    can, prices = backend.capabilities, backend.prices
    cost = Cost(
        per_circuit=dollars(prices.get("per_circuit", 0)),
        per_shot=dollars(prices.get("per_shot", 0)),
        minimum_charge=dollars(prices.get("minimum_charge", 0)),
        per_cpu_second=dollars(prices.get("per_cpu_second", 0)),
        per_gpu_second=dollars(prices.get("per_gpu_second", 0)),
    )
    return BackendAnswer(
        id=backend.id,
        name=backend.name,
        type=backend.type,
        provider=backend.provider,
        status=backend.status,
        reason=backend.reason,
        queue_depth=backend.queue_depth,
        avg_latency_ms=backend.avg_latency_ms,
        cost_per_circuit=cost.per_circuit,
        capabilities=Capabilities(
            max_qubits=can.get("max_qubits"),
            max_depth=can.get("max_depth"),
            supported_gates=list(can.get("gates", [])),
            has_gpu=bool(can.get("gpu", False)),
            supports_shots=bool(can.get("shots", False)),
            supports_exact=bool(can.get("exact", False)),
            supports_noise=list(can.get("noise", [])),
            noise_models=list(can.get("noise_models", [])),
        ),
        performance=Performance(
            avg_latency_ms=backend.avg_latency_ms,
            throughput_circuits_per_sec=backend.throughput,
            queue_depth=backend.queue_depth,
            availability=backend.uptime,
        ),
        cost=cost,
        limits=backend.limits,
        maintenance_window=_window(backend),
    )


def _window(backend: BackendRecord) -> WindowAnswer | None:
    window = backend.window
    return None if window is None else WindowAnswer(start=window.start, end=window.end)


@routes.get("/v1/backends", "backends:read", answer=BackendAnswer, paged=True, query=(STATUS,))
async def listed(request: Request) -> HTTPResponse:
    """Every backend that is installed, with the reason where one cannot be used."""
    status = one(request, "status")
    if status is not None and status not in STATUSES:
        raise ValidationFailed.field("status", f"must be one of {', '.join(STATUSES)}")
    wanted = page(request, ("name",), "name")
    found = await request.app.ctx.appliance.backends.listed(request.ctx.caller, status)
    found = sorted(found, key=lambda backend: backend.name, reverse=wanted.sort.startswith("-"))
    rows = found[wanted.offset : wanted.offset + wanted.limit]
    whole = Listed(items=rows, total=len(found), limit=wanted.limit, offset=wanted.offset)
    return listing(request, whole, [shown(backend) for backend in rows])


@routes.get("/v1/backends/{id}", "backends:read", answer=BackendAnswer)
async def get(request: Request, id: str) -> HTTPResponse:
    """One backend: what it can do, what it costs, what it allows."""
    return success(request, shown(await request.app.ctx.appliance.backends.status(request.ctx.caller, id)))


@routes.get("/v1/backends/{id}/status", "backends:read", answer=StatusAnswer)
async def status(request: Request, id: str) -> HTTPResponse:
    """How a backend is doing now."""
    backend = await request.app.ctx.appliance.backends.status(request.ctx.caller, id)
    answer = StatusAnswer(
        id=backend.id,
        status=backend.status,
        reason=backend.reason,
        uptime=backend.uptime,
        queue=QueueAnswer(depth=backend.queue_depth, avg_wait_time_sec=backend.avg_wait_seconds),
        performance=TodayAnswer(
            circuits_today=backend.circuits_today,
            avg_latency_ms=backend.avg_latency_ms,
            throughput_circuits_per_sec=backend.throughput,
        ),
        maintenance_window=_window(backend),
    )
    return success(request, answer)
