"""
What a running job costs: charged as it runs, held against its budget before each epoch.

Two bounds are looked at between two epochs: the job's `budget_limit`, and where it has none the month's limit. The next
epoch is taken to cost what the dearest so far did, and does not begin where that would lead beyond a bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.costs import CostEvent, Metered, dollars
from qstore_appliance.domain.jobs import Resources
from qstore_appliance.engine.plan import EpochReport
from qstore_appliance.errors import BudgetExceeded
from qstore_appliance.services import remote_jobs
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.reservations import Reservations

#: Percent of a job's `budget_limit` at which it is paused.
PAUSED_AT = 95


class Bill(NamedTuple):
    """
    Micro-dollars so far, epochs that were broken off included.

    Attributes:
        amount: What the provider says it charged, and the price list for what it does not say, or where there is none.
        bare: The same without minimum charges: what grows with each epoch.
        remote: A provider has been sent something; what it charges is known from its rows, not from resources.
    """

    amount: int
    bare: int
    remote: bool


class Bills:
    def __init__(self, backends: Backends, reservations: Reservations) -> None:
        self._backends = backends
        self._reservations = reservations

    async def of(self, row: JobRow, resources: Resources) -> Bill:
        """What a job costs that has used these resources."""
        found = await remote_jobs.charges(row.id)
        used = metered(resources)
        said = 0
        if found is not None:
            said, used = found.amount, msgspec.structs.replace(used, circuits=found.circuits, shots=found.shots)
        return Bill(
            said + self._backends.price_of(row.backend, used),
            said + self._backends.price_of(row.backend, used, minimum=False),
            found is not None,
        )

    async def charge(self, row: JobRow, resources: Resources, cost: int) -> None:
        """Append to the ledger what has come since the last time, out of what is reserved for the job."""
        event = CostEvent(
            id=ids.new("cost"),
            organization_id=row.organization_id,
            user_id=row.user_id,
            event_type="training",
            backend=row.backend,
            amount=0,
            circuits=0,
            shots=0,
            job_id=row.id,
            model_id=row.model_id,
            project=row.project,
        )
        await self._reservations.charge(event, metered(resources), cost)

    async def look_ahead(
        self, row: JobRow, before: Resources, after: Bill, reports: Sequence[EpochReport]
    ) -> str | None:
        """
        Once epochs are charged: keep what the next one will cost, and hold it against the bounds.

        Args:
            row, before: The job and its resources as they were before them.
            after: What it costs now.

        Returns: why it must not begin, or None.
        """
        latest, circuits = reports[-1], sum(report.circuits for report in reports)
        once = row.cost if after.remote else self._backends.price_of(row.backend, metered(before), minimum=False)
        ahead = -(-max(0, after.bare - once) // len(reports))
        over = latest.finish_circuits is not None
        if row.checkpoint_epoch and not over:
            # Before the first epoch it was an estimate.
            ahead = max(ahead, (await self._reservations.held(row.id)).ahead)
        if latest.finish_circuits is not None:
            ahead = -(-ahead * len(reports) * latest.finish_circuits // circuits) if circuits else 0
        await self._reservations.look_ahead(row.id, ahead)
        nearly = row.budget_limit is not None and 100 * after.amount >= PAUSED_AT * row.budget_limit
        if nearly and after.amount and not over:
            return _limit_reached(after.amount, row.budget_limit or 0)
        return await self.no_room(row, after)

    async def no_room(self, row: JobRow, bill: Bill) -> str | None:
        """
        Reserve more for the next epoch where that is needed and allowed.

        Returns: why it must not begin, or None.
        """
        held = await self._reservations.held(row.id)
        then = max(bill.amount, bill.bare + held.ahead)
        if row.budget_limit is not None:
            if then <= row.budget_limit:
                return None
            return (
                f"{BudgetExceeded.code}: The next epoch costs about {dollars(held.ahead):g} US dollars, and "
                f"{dollars(max(0, row.budget_limit - bill.amount)):g} of the job's budget_limit are left."
            )
        missing = then - held.charged - held.amount
        if missing > 0:
            try:
                await self._reservations.extend(row.id, row.organization_id, missing)
            except BudgetExceeded as error:
                return f"{error.code}: {error.message}"
        return None


def first_epoch(row: JobRow) -> int:
    """What a job's first epoch will cost by its estimate; of a sampling, which has none, all of it."""
    # Of a job that goes on from another one, those that are left.
    epochs = 1 if row.config["task"] == "sampling" else int(row.config["epochs"]) - row.checkpoint_epoch
    return int(-(-row.estimated_cost // max(1, epochs)))


def metered(resources: Resources) -> Metered:
    """What a job used, in the whole numbers of the ledger."""
    return Metered(
        circuits=resources.circuits_executed,
        shots=resources.total_shots,
        cpu_microseconds=round(resources.cpu_seconds * 1e6),
        gpu_microseconds=round(resources.gpu_hours * 3.6e9),
    )


def used(
    resources: Resources, backend: str, circuits: int, shots: int, cpu_seconds: float, gpu_seconds: float
) -> Resources:
    """Resources with so much more."""
    return msgspec.structs.replace(
        resources,
        backend_used=backend,
        circuits_executed=resources.circuits_executed + circuits,
        total_shots=resources.total_shots + shots,
        cpu_seconds=round(resources.cpu_seconds + cpu_seconds, 6),
        gpu_hours=resources.gpu_hours + gpu_seconds / 3600,
    )


def _limit_reached(cost: int, limit: int) -> str:
    return (
        f"{BudgetExceeded.code}: {dollars(cost):g} of the job's budget_limit of {dollars(limit):g} US dollars are spent; "
        "it goes on once that is raised."
    )
