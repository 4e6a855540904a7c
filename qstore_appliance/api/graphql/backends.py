"""Backends: what can run circuits, and how each does."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLResolveInfo

from qstore_appliance.domain.backends import BackendRecord, BackendStatus, Window
from qstore_appliance.domain.costs import dollars
from qstore_appliance.errors import NotFound

_PRICES = ("per_circuit", "per_shot", "minimum_charge", "per_cpu_second", "per_gpu_second")


async def backend(_: None, info: GraphQLResolveInfo, id: str) -> BackendRecord | None:
    try:
        found: BackendRecord = await info.context.appliance.backends.status(info.context.caller, id)
    except NotFound:
        return None
    return found


async def backends(_: None, info: GraphQLResolveInfo, available: bool | None = None) -> list[BackendRecord]:
    found: list[BackendRecord] = await info.context.appliance.backends.listed(info.context.caller)
    return [one for one in found if available is None or (one.status == BackendStatus.AVAILABLE) is available]


def capabilities(of: BackendRecord, _: GraphQLResolveInfo) -> dict[str, Any]:
    can = of.capabilities
    return {
        "max_qubits": can.get("max_qubits"),
        "max_depth": can.get("max_depth"),
        "supported_gates": can.get("gates", []),
        "has_gpu": bool(can.get("gpu", False)),
        "supports_shots": bool(can.get("shots", False)),
        "supports_exact": bool(can.get("exact", False)),
        "supports_noise": can.get("noise", []),
        "noise_models": can.get("noise_models", []),
    }


def performance(of: BackendRecord, _: GraphQLResolveInfo) -> dict[str, Any]:
    return {
        "avg_latency_ms": of.avg_latency_ms,
        "throughput_circuits_per_sec": of.throughput,
        "queue_depth": of.queue_depth,
        "avg_wait_time_sec": of.avg_wait_seconds,
        "availability": of.uptime,
    }


def cost(of: BackendRecord, _: GraphQLResolveInfo) -> dict[str, float]:
    return {name: dollars(of.prices.get(name, 0)) for name in _PRICES}


def window(of: BackendRecord, _: GraphQLResolveInfo) -> Window | None:
    return of.window


RESOLVERS = {
    "Query.backend": backend,
    "Query.backends": backends,
    "Backend.capabilities": capabilities,
    "Backend.performance": performance,
    "Backend.cost": cost,
    "Backend.maintenanceWindow": window,
}
