"""What a provider says a job would cost, for the estimate: asked in a child, briefly, and remembered for a minute."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from qstore_appliance.domain.costs import MICRO
from qstore_appliance.domain.ports import Calculator
from qstore_appliance.errors import QStoreError
from qstore_appliance.services.backends import Backends

log = structlog.get_logger(__name__)

ESTIMATE = "qstore_appliance.engine.remote_costs:estimate"
#: Whoever submits a job waits so long for its provider; then the price list has to do.
PATIENCE_SECONDS = 4.0
KEEP_SECONDS = 60.0
MAX_KEPT = 1_000


class RemoteCosts:
    """
    Args:
        monotonic: Seconds, ever growing.
    """

    def __init__(
        self, backends: Backends, calculator: Calculator, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._backends = backends
        self._calculator = calculator
        self._monotonic = monotonic
        self._kept: dict[str, tuple[float, float | None]] = {}

    async def per_execution(self, backend: str, circuit: Mapping[str, Any], config: Mapping[str, Any]) -> float | None:
        """Micro-dollars for one sample; None where the provider does not say in time."""
        matter = [backend, circuit, {key: config.get(key) for key in ("task", "dataset", "encoding", "shots", "readout",
                  "hamiltonian")}]  # fmt: skip
        key = hashlib.sha256(json.dumps(matter, sort_keys=True, default=str).encode()).hexdigest()
        now = self._monotonic()
        until, found = self._kept.get(key, (0.0, None))
        if now < until:
            return found
        found = await self._asked(backend, circuit, config)
        if len(self._kept) >= MAX_KEPT:
            self._kept = {k: kept for k, kept in self._kept.items() if now < kept[0]}
        if len(self._kept) < MAX_KEPT:
            self._kept[key] = (now + KEEP_SECONDS, found)
        return found

    async def _asked(self, backend: str, circuit: Mapping[str, Any], config: Mapping[str, Any]) -> float | None:
        asking = self._calculator.call(
            ESTIMATE, backend, self._backends.options(backend), dict(circuit), dict(config), timeout=PATIENCE_SECONDS
        )
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                found: float | None = await asking
        except (QStoreError, TimeoutError) as error:
            log.info("remote_costs.not_estimated", backend=backend, error=str(error))
            return None
        return None if found is None else found * MICRO
