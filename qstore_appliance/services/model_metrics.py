"""Counting what models in service do, and telling it by the day."""

from __future__ import annotations

import asyncio
import secrets
from datetime import datetime, timedelta

import structlog

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.model_metrics import ModelHourRow
from qstore_appliance.domain.model_metrics import MOST_DAYS, Hour, ModelMetrics, Window, merged, percentile
from qstore_appliance.domain.ports import Clock
from qstore_appliance.errors import (
    BackendUnavailable,
    DeadlineExceeded,
    InsufficientMemory,
    NoCapacity,
    QStoreError,
    Unavailable,
    ValidationFailed,
)

log = structlog.get_logger(__name__)

#: What was counted is saved after so long; what a killed server has counted since is lost.
SAVE_SECONDS = 5.0
#: What says that the service failed, not that its caller did.
FAILURES = (Unavailable, BackendUnavailable, NoCapacity, DeadlineExceeded, InsufficientMemory)
_COUNTS = ("requests", "errors", "inputs", "cost", "milliseconds", "buckets")


class MetricsOfModels:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        #: Names this process's rows.
        self._server = secrets.token_hex(8)
        self._hours: dict[tuple[str, str, datetime], Hour] = {}
        self._changed: set[tuple[str, str, datetime]] = set()
        self._saving: asyncio.Task[None] | None = None
        self._swept: datetime | None = None

    def answered(self, organization_id: str, model_id: str, milliseconds: float, inputs: int, cost: int) -> None:
        self._hour(organization_id, model_id).answered(milliseconds, inputs, cost)

    def failed(self, organization_id: str, model_id: str, error: BaseException) -> None:
        """Counts as a failure of the service, unless the caller is to blame."""
        known = isinstance(error, QStoreError)
        if isinstance(error, FAILURES) or (not known and isinstance(error, Exception)):
            self._hour(organization_id, model_id).failed()

    async def of(self, organization_id: str, model_id: str, window: str) -> ModelMetrics:
        """
        Raises:
            ValidationFailed: `window` is no such span.
        """
        now = self._clock.now()
        try:
            span = Window.of(window, now)
        except ValueError as error:
            raise ValidationFailed.field("window", str(error)) from None
        rows = {
            row.id: row
            for row in await ModelHourRow.filter(
                organization_id=organization_id, model_id=model_id, hour__gte=span.since
            )
        }
        for key in self._hours:
            if key[:2] == (organization_id, model_id) and key[2] >= span.since:
                rows[self._row_id(key)] = self._row(key)
        days = span.days(now)
        requests, costs = [0] * len(days), [0] * len(days)
        for row in rows.values():
            day = (row.hour - days[0]).days
            requests[day] += row.requests
            costs[day] += row.cost
        answers = merged({int(bucket): n for bucket, n in row.buckets.items()} for row in rows.values())
        total, errors = sum(requests), sum(row.errors for row in rows.values())
        answered = total - errors
        mean = sum(row.milliseconds for row in rows.values()) / answered if answered else None
        p50, p95, p99 = (percentile(answers, share) for share in (0.5, 0.95, 0.99))
        return ModelMetrics(
            window=window,
            since=span.since,
            days=[day.date().isoformat() for day in days],
            requests_per_day=requests,
            cost_per_day=costs,
            requests=total,
            inputs=sum(row.inputs for row in rows.values()),
            avg_latency_ms=mean,
            p50_latency_ms=p50,
            p95_latency_ms=p95,
            p99_latency_ms=p99,
            error_rate=errors / total if total else 0.0,
        )

    async def close(self) -> None:
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.gather(self._saving, return_exceptions=True)
        await self.save()

    async def save(self) -> None:
        """Write what has changed; what cannot be written now is written the next time."""
        changed, self._changed = self._changed, set()
        if not changed:
            return
        try:
            async with self._database.transaction():
                await ModelHourRow.bulk_create(
                    [self._row(key) for key in sorted(changed)], on_conflict=["id"], update_fields=list(_COUNTS)
                )
                await self._sweep()
        except QStoreError as error:
            log.warning("model_metrics.not_saved", error=error.message)
            self._changed |= changed
            return
        this_hour = self._this_hour()
        for key in [key for key in self._hours if key[2] < this_hour and key not in self._changed]:
            del self._hours[key]

    # Inside ------------------------------------------------------------------------------------------------------

    def _hour(self, organization_id: str, model_id: str) -> Hour:
        key = (organization_id, model_id, self._this_hour())
        self._changed.add(key)
        if self._saving is None or self._saving.done():
            self._saving = asyncio.create_task(self._save_later(), name="model_metrics.save")
        found = self._hours.get(key)
        if found is None:
            found = self._hours[key] = Hour()
        return found

    def _this_hour(self) -> datetime:
        return self._clock.now().replace(minute=0, second=0, microsecond=0)

    def _row_id(self, key: tuple[str, str, datetime]) -> str:
        return f"{key[1]}/{key[2]:%Y%m%d%H}/{self._server}"

    def _row(self, key: tuple[str, str, datetime]) -> ModelHourRow:
        found = self._hours[key]
        return ModelHourRow(
            id=self._row_id(key),
            organization_id=key[0],
            model_id=key[1],
            hour=key[2],
            requests=found.requests,
            errors=found.errors,
            inputs=found.inputs,
            cost=found.cost,
            milliseconds=found.milliseconds,
            buckets={str(bucket): n for bucket, n in found.buckets.items()},
        )

    async def _save_later(self) -> None:
        await asyncio.sleep(SAVE_SECONDS)
        await self.save()

    async def _sweep(self) -> None:
        """Once a day: nobody can ask for what is older than the longest window."""
        now = self._clock.now()
        if self._swept is not None and now - self._swept < timedelta(days=1):
            return
        self._swept = now
        await ModelHourRow.filter(hour__lt=now - timedelta(days=MOST_DAYS + 1)).delete()
