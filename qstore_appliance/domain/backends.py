"""What the appliance knows of a backend."""

from __future__ import annotations

from typing import Any

import msgspec


class BackendRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    A backend as probed in a child process.

    `status` is `available`, `unavailable` (with `reason`) or `starting` while its probe runs. Prices in micro-dollars.
    """

    id: str
    name: str
    type: str
    provider: str
    status: str
    reason: str | None
    capabilities: dict[str, Any]
    prices: dict[str, int]
    limits: dict[str, Any]
    queue_depth: int = 0
    avg_latency_ms: float | None = None
    circuits_today: int = 0
    uptime: float | None = None
