"""An organization's budget: shown, and set by whoever may. What is held against it is in `reservations.py`."""

from __future__ import annotations

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.costs import BudgetRow
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.budgets import Alert, Budget, BudgetDraft, projected
from qstore_appliance.domain.costs import micros
from qstore_appliance.domain.ports import Clock
from qstore_appliance.services.audit import Audit
from qstore_appliance.services.costs import Costs


class Budgets:
    def __init__(self, database: Database, costs: Costs, clock: Clock) -> None:
        self._database = database
        self._costs = costs
        self._clock = clock
        self._audit = Audit(database, clock)

    async def get(self, caller: Caller) -> Budget:
        """The budget of the caller's organization, with the calendar month so far in UTC."""
        caller.require("budget:read")
        month, now = self._costs.month(), self._clock.now()
        row = await BudgetRow.get_or_none(organization_id=caller.organization_id)
        if row is None:
            return Budget(monthly_limit=None, spent=0, reserved=0, projected=0, alerts=[])
        spent = row.spent if row.month >= month else 0
        fired = await self._costs.alerts.fired(caller.organization_id, month) if row.alerts else set()
        return Budget(
            monthly_limit=row.monthly_limit,
            spent=spent,
            reserved=row.reserved,
            projected=projected(spent, now),
            alerts=[
                Alert(
                    threshold=alert["threshold"],
                    status="triggered" if alert["threshold"] in fired else "not_triggered",
                    action=alert["action"],
                )
                for alert in row.alerts
            ],
        )

    async def update(self, caller: Caller, draft: BudgetDraft) -> Budget:
        """
        Set the limit, and the alerts where the draft has some.

        A limit below what is spent and reserved takes nothing back: what was accepted goes on, and nothing more that
        costs is accepted.

        Raises:
            WebhookForbidden: An address that may not be called, naming `alerts[i].webhook`.
        """
        caller.require("billing:write")
        changes: dict[str, object] = {
            "monthly_limit": None if draft.monthly_limit is None else micros(draft.monthly_limit),
            "updated_at": self._clock.now(),
        }
        if draft.alerts is not None:
            alerts = [alert.model_dump(mode="json", exclude_none=True) for alert in draft.alerts]
            changes["alerts"] = await self._costs.alerts.checked(alerts)
        async with self._database.transaction():
            mine = await self._costs.budget_of(caller.organization_id)
            before = await mine.first()
            await mine.update(**changes)
            await self._costs.alerts.changed(caller.organization_id)
            self._costs.tell(caller.organization_id)
            await self._audit.record(
                "budget.updated",
                organization_id=caller.organization_id,
                caller=caller,
                limit_before=before.monthly_limit if before else None,
                limit=changes["monthly_limit"],
                alerts=None if draft.alerts is None else [[one.threshold, one.action] for one in draft.alerts],
            )
        return await self.get(caller)
