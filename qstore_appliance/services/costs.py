"""The ledger: what was executed and what it costs, in integer micro-dollars."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tortoise.functions import Sum

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.costs import BudgetRow, CostEventRow
from qstore_appliance.domain.costs import CostEvent
from qstore_appliance.domain.ports import Clock


class Costs:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def record(self, event: CostEvent) -> None:
        """Append to the ledger, inside the caller's transaction: a charge and what it is for are saved together."""
        await CostEventRow.create(
            id=event.id,
            organization_id=event.organization_id,
            user_id=event.user_id,
            event_type=event.event_type,
            backend=event.backend,
            amount=event.amount,
            circuits=event.circuits,
            shots=event.shots,
            job_id=event.job_id,
            model_id=event.model_id,
            created_at=self._clock.now(),
        )

    async def month_spend(self, organization_id: str) -> int:
        """Micro-dollars of the calendar month so far, in UTC."""
        return await self._sum("amount", organization_id=organization_id, created_at__gte=self._month())

    async def monthly_limit(self, organization_id: str) -> int | None:
        """Micro-dollars, None where the organization has set no limit."""
        row = await BudgetRow.get_or_none(organization_id=organization_id)
        return None if row is None else row.monthly_limit

    async def circuits_today(self, organization_id: str, backend: str) -> int:
        """Circuits that the organization ran on a backend since midnight UTC, as far as the ledger has them."""
        midnight = self._clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        return await self._sum("circuits", organization_id=organization_id, backend=backend, created_at__gte=midnight)

    def _month(self) -> datetime:
        return self._clock.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)

    async def _sum(self, column: str, **conditions: Any) -> int:
        rows = await CostEventRow.filter(**conditions).annotate(total=Sum(column)).values("total")
        # Sums of bigints are decimals on Postgres.
        return int(rows[0]["total"] or 0) if rows else 0
