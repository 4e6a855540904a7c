"""The ledger: what was executed and what it costs, in integer micro-dollars, and the running sum of the month."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tortoise.expressions import F
from tortoise.functions import Sum
from tortoise.queryset import QuerySet

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.costs import BudgetRow, CostEventRow
from qstore_appliance.domain.costs import CostEvent, month_of
from qstore_appliance.domain.ports import Alerts, Clock


class NoAlerts:
    """`Alerts` where nobody wants to be told."""

    async def charged(self, organization_id: str) -> None:
        return None

    async def fired(self, organization_id: str, month: str) -> set[int]:
        return set()

    async def checked(self, alerts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [dict(alert) for alert in alerts]

    async def changed(self, organization_id: str) -> None:
        return None


class Costs:
    """
    Args:
        alerts: Told of every charge, inside its transaction.
        changed: Told which organization's spend or limit has changed, once that is saved.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        alerts: Alerts | None = None,
        changed: Callable[[str], None] | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._changed = changed
        self.alerts: Alerts = NoAlerts() if alerts is None else alerts

    async def record(self, event: CostEvent, *, freed: int = 0) -> None:
        """
        Append to the ledger, inside the caller's transaction: a charge and what it is for are saved together.

        Args:
            freed: Micro-dollars that were reserved for this, and are no longer, since they are spent now.
        """
        await CostEventRow.create(
            id=event.id,
            organization_id=event.organization_id,
            user_id=event.user_id,
            event_type=event.event_type,
            backend=event.backend,
            amount=event.amount,
            circuits=event.circuits,
            shots=event.shots,
            cpu_microseconds=event.cpu_microseconds,
            gpu_microseconds=event.gpu_microseconds,
            job_id=event.job_id,
            model_id=event.model_id,
            project=event.project,
            created_at=self._clock.now(),
        )
        if event.amount:
            mine = await self.budget_of(event.organization_id)
            await mine.update(spent=F("spent") + event.amount, reserved=F("reserved") - freed)
            await self.alerts.charged(event.organization_id)
            self.tell(event.organization_id)

    def tell(self, organization_id: str) -> None:
        """Inside a transaction that changes an organization's spend or limit: who listens hears of it afterwards."""
        if self._changed is not None:
            changed = self._changed
            self._database.after_commit(lambda: changed(organization_id))

    async def budget_of(self, organization_id: str) -> QuerySet[BudgetRow]:
        """
        Inside a transaction: the organization's row, made where there is none, its spend that of the present month.

        A clock that goes back does not bring the old month back: it changes once.
        """
        month = self.month()
        mine = BudgetRow.filter(organization_id=organization_id)
        found = await mine.values_list("month", flat=True)
        if not found:
            # Two jobs may be an organization's first at the same time.
            await BudgetRow.bulk_create(
                [BudgetRow(organization_id=organization_id, month=month)], ignore_conflicts=True
            )
        elif str(found[0]) < month:
            await mine.filter(month__lt=month).update(month=month, spent=0)
        return mine

    def month(self) -> str:
        """The present one, as `BudgetRow.month` has it."""
        return month_of(self._clock.now())

    async def month_spend(self, organization_id: str) -> int:
        """Micro-dollars of the calendar month so far, in UTC."""
        row = await BudgetRow.get_or_none(organization_id=organization_id, month__gte=self.month())
        return 0 if row is None else row.spent

    async def monthly_limit(self, organization_id: str) -> int | None:
        """Micro-dollars, None where the organization has set no limit."""
        row = await BudgetRow.get_or_none(organization_id=organization_id)
        return None if row is None else row.monthly_limit

    async def circuits_today(self, organization_id: str, backend: str) -> int:
        """Circuits that the organization ran on a backend since midnight UTC, as far as the ledger has them."""
        midnight = self._clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        return await self._sum("circuits", organization_id=organization_id, backend=backend, created_at__gte=midnight)

    async def _sum(self, column: str, **conditions: Any) -> int:
        rows = await CostEventRow.filter(**conditions).annotate(total=Sum(column)).values("total")
        # Sums of bigints are decimals on Postgres.
        return int(rows[0]["total"] or 0) if rows else 0
