"""
Reservations: what live jobs may still cost, held against the month's limit before anything runs.

Everything here belongs inside a transaction of the caller's, after its write to the job's own row: on Postgres job,
reservation and budget are locked in this order everywhere.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

import msgspec
from tortoise.expressions import F, Q

from qstore_appliance.database.tables.costs import BudgetRow, ReservationRow
from qstore_appliance.domain.costs import CostEvent, Metered, dollars
from qstore_appliance.domain.ports import Clock
from qstore_appliance.errors import BudgetExceeded
from qstore_appliance.services.costs import Costs

#: Micro-dollars. Nothing dearer is booked, and no organization has more reserved: the sums must stay whole numbers of 64
#: bits, which SQLite would turn into inexact ones without a word.
MOST = 10**15
MOST_RESERVED = 4 * 10**18


class Held(NamedTuple):
    """
    Of one job, in micro-dollars.

    Attributes:
        amount: That is still reserved.
        charged: That its events in the ledger amount to.
        ahead: That its next epoch will cost, as far as one knows.
    """

    amount: int
    charged: int
    ahead: int


class Reservations:
    def __init__(self, costs: Costs, clock: Clock) -> None:
        self.costs = costs
        self._clock = clock

    async def hold(
        self, id: str, organization_id: str, amount: int, *, ahead: int = 0, seconds: float | None = None
    ) -> None:
        """
        Reserve for a new job.

        Args:
            ahead: What its first epoch will cost.
            seconds: How long at the most, for what is over soon and has no row that survives a crash.

        Raises:
            BudgetExceeded: The month has no room for it; nothing was reserved.
        """
        if seconds is not None:
            await self._free_forgotten(organization_id)
        await self._reserve(organization_id, amount)
        now = self._clock.now()
        await ReservationRow.create(
            job_id=id,
            organization_id=organization_id,
            amount=amount,
            ahead=ahead,
            until=None if seconds is None else now + timedelta(seconds=seconds),
            created_at=now,
        )

    async def held(self, id: str) -> Held:
        """Zeros where nothing is."""
        row = await ReservationRow.get_or_none(job_id=id)
        return Held(0, 0, 0) if row is None else Held(row.amount, row.charged, row.ahead)

    async def extend(self, id: str, organization_id: str, more: int) -> None:
        """
        Reserve more for a job.

        Raises:
            BudgetExceeded: The month has no room for it; what was reserved stays.
        """
        await self._reserve(organization_id, more)
        if not await ReservationRow.filter(job_id=id).update(amount=F("amount") + more):
            await ReservationRow.create(
                job_id=id, organization_id=organization_id, amount=more, created_at=self._clock.now()
            )

    async def look_ahead(self, id: str, ahead: int) -> None:
        """Keep what the next epoch will cost."""
        await ReservationRow.filter(job_id=id).update(ahead=ahead)

    async def charge(self, event: CostEvent, total: Metered, cost: int) -> None:
        """
        Append what a job ran and cost since the last time to the ledger, out of what is reserved for it.

        Args:
            event: Whose, and on what; its amount and its meters are filled in here.
            total: All that the job ran.
            cost: All that it costs.
        """
        id = str(event.job_id)
        row = await ReservationRow.get_or_none(job_id=id)
        if row is None:
            # A job that was brought in without one is charged all the same, and once.
            row = await ReservationRow.create(
                job_id=id, organization_id=event.organization_id, amount=0, created_at=self._clock.now()
            )
        ran, amount = total - row.metered(), cost - row.charged
        if ran == Metered() and not amount:
            return
        freed = min(max(amount, 0), row.amount)
        await ReservationRow.filter(job_id=id).update(
            amount=row.amount - freed,
            charged=cost,
            circuits=total.circuits,
            shots=total.shots,
            cpu_microseconds=total.cpu_microseconds,
            gpu_microseconds=total.gpu_microseconds,
        )
        values = {name: getattr(ran, name) for name in Metered.__struct_fields__}
        await self.costs.record(msgspec.structs.replace(event, amount=amount, **values), freed=freed)

    async def settle(self, id: str, event: CostEvent) -> None:
        """The one charge of a short reservation, and its end."""
        row = await ReservationRow.filter(job_id=id).select_for_update().first()
        freed = 0 if row is None else min(max(event.amount, 0), row.amount)
        await ReservationRow.filter(job_id=id).update(amount=F("amount") - freed)
        await self.costs.record(event, freed=freed)
        await self.release(id)

    async def release(self, id: str) -> None:
        """The job is over: give back what is left of its reservation; doing it twice is doing it once."""
        row = await ReservationRow.get_or_none(job_id=id)
        if row is not None and await ReservationRow.filter(job_id=id).delete() and row.amount:
            mine = BudgetRow.filter(organization_id=row.organization_id)
            await mine.update(reserved=F("reserved") - row.amount)

    async def _reserve(self, organization_id: str, amount: int) -> None:
        if amount > MOST:
            raise BudgetExceeded(f"This may cost more than {dollars(MOST):,.0f} US dollars, the most that is booked.")
        if amount <= 0:
            # What costs nothing is welcome whatever the budget says.
            return
        month, mine = self.costs.month(), BudgetRow.filter(organization_id=organization_id)
        room = Q(monthly_limit__isnull=True) | Q(monthly_limit__gte=F("spent") + (F("reserved") + amount))
        room &= Q(month__gte=month, reserved__lte=MOST_RESERVED - amount)
        while True:
            # One statement decides: however many ask at the same time, no two get the same dollar.
            if await mine.filter(room).update(reserved=F("reserved") + amount):
                return
            row = await mine.first()
            if row is not None and row.month >= month:
                break
            await self.costs.budget_of(organization_id)
        raise BudgetExceeded(
            f"This may cost {dollars(amount):g} US dollars; the month's budget has room for "
            f"{dollars(max(0, (row.monthly_limit or 0) - row.spent - row.reserved)):g}.",
            details={
                "limit": None if row.monthly_limit is None else dollars(row.monthly_limit),
                "spent": dollars(row.spent),
                "reserved": dollars(row.reserved),
                "needed": dollars(amount),
            },
        )

    async def _free_forgotten(self, organization_id: str) -> None:
        """Short reservations whose makers are gone."""
        forgotten = ReservationRow.filter(organization_id=organization_id, until__lt=self._clock.now())
        for id in await forgotten.values_list("job_id", flat=True):
            await self.release(str(id))
