"""
`cost.updates`: whoever listens hears what the organization has spent, at most a few times a second however often it is
charged. And `notifications` of the budget: what a charge has set off, once.

What is told is read from the budget's row after the charge was saved, so the last event of a burst is the truth, and one
that was left out is no loss.
"""

from __future__ import annotations

import asyncio

import structlog

from qstore_appliance.database.tables.costs import BudgetRow
from qstore_appliance.domain.budgets import percentage
from qstore_appliance.domain.costs import dollars, month_of
from qstore_appliance.domain.events import COST_UPDATES, CostUpdate, Event
from qstore_appliance.domain.ports import Clock, EventBus
from qstore_appliance.errors import QStoreError

log = structlog.get_logger(__name__)

#: Seconds between two events of one organization, at the least.
PAUSE_SECONDS = 0.25
#: After the database did not answer.
AGAIN_SECONDS = 1.0


class Spending:
    def __init__(self, events: EventBus, clock: Clock) -> None:
        self._events = events
        self._clock = clock
        self._changed: set[str] = set()
        self._news: list[Event] = []
        self._told = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def changed(self, organization_id: str) -> None:
        """An organization's spend or limit has changed, and is saved; who listens is told soon. From the loop."""
        self._changed.add(organization_id)
        self._wake()

    def notify(self, event: Event) -> None:
        """Something that a charge has set off, and that is saved; who listens is told soon. From the loop."""
        self._news.append(event)
        self._wake()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    # Inside ------------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._told.set()
        if self._task is None:
            self._task = asyncio.create_task(self._tell_always(), name="spending")

    async def _tell_always(self) -> None:
        while True:
            await self._told.wait()
            self._told.clear()
            changed, self._changed = self._changed, set()
            pause = PAUSE_SECONDS
            try:
                while self._news:
                    await self._events.publish(self._news[0])
                    del self._news[0]
                await self._tell(changed)
            except QStoreError as error:
                log.warning("spending.not_told", error=error.message)
                pause = AGAIN_SECONDS
                self._changed |= changed
                self._told.set()
            except Exception:
                # A fault of ours must not leave everybody in the dark for ever.
                log.exception("spending.broke")
            await asyncio.sleep(pause)

    async def _tell(self, changed: set[str]) -> None:
        now = self._clock.now()
        for row in await BudgetRow.filter(organization_id__in=sorted(changed)):
            spent = row.spent if row.month >= month_of(now) else 0
            update = CostUpdate(
                current_spend=dollars(spent),
                budget_limit=None if row.monthly_limit is None else dollars(row.monthly_limit),
                percentage_used=percentage(spent, row.monthly_limit),
                timestamp=now,
            )
            await self._events.publish(
                Event(organization_id=row.organization_id, channel=COST_UPDATES, subject="", seq=0, data=update)
            )
