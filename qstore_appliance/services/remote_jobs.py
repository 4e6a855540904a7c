"""
What jobs have sent to providers: written down before it is sent, charged at what the provider says, and ended where a job
is over before its provider is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import structlog
from tortoise.expressions import F
from tortoise.functions import Sum

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.database.tables.remote_jobs import RemoteJobRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.costs import CostEvent
from qstore_appliance.domain.jobs import TERMINAL, Lease
from qstore_appliance.domain.ports import Calculator, Clock
from qstore_appliance.engine.remote_jobs import OPEN, RemoteJob
from qstore_appliance.errors import QStoreError
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.costs import Costs

log = structlog.get_logger(__name__)

END = "qstore_appliance.engine.remote_jobs:end"
#: A provider that does not answer is given up for now after so long, and asked again after growing pauses.
END_SECONDS = 120.0
#: Seconds between two looks for what is left; and between two attempts at one of them, at the most.
LOOK_SECONDS = 5.0
LONGEST_PAUSE = 3_600.0


class Charges(NamedTuple):
    """
    Of the submissions of one job.

    Attributes:
        amount: Micro-dollars that the provider says it charged.
        circuits, shots: Of what ran without its saying so; the price list has to do for these.
    """

    amount: int
    circuits: int
    shots: int


async def record(lease: Lease, backend: str, job: RemoteJob, clock: Clock) -> bool:
    """
    Save how a submission stands, inside the transaction that has checked the lease.

    Returns: whether it is the first of its job that ended without the provider saying what it charged.
    """
    now = clock.now()
    values: dict[str, Any] = {"external_id": job.external_id, "status": job.status, "charged": job.charged}
    values["updated_at"] = now
    if job.status == "noted":
        values["noted_at"] = now
    # The organization and the job beside the token: no child reaches another job's rows.
    mine = RemoteJobRow.filter(token=job.token, job_id=lease.job_id, organization_id=lease.organization_id)
    unsaid = RemoteJobRow.filter(job_id=lease.job_id, status="completed", charged=None)
    first = job.status == "completed" and job.charged is None and not await unsaid.exists()
    if not await mine.update(**values):
        await RemoteJobRow.create(
            token=job.token,
            organization_id=lease.organization_id,
            job_id=lease.job_id,
            backend=backend,
            key=job.key,
            epoch=job.epoch,
            digest=job.digest,
            circuits=job.circuits,
            shots=job.shots,
            created_at=now,
            **{"noted_at": now, **values},
        )
    return first


async def since(job_id: str, epoch: int) -> list[RemoteJob]:
    """What a job has sent after the epoch of its checkpoint, oldest first."""
    rows = await RemoteJobRow.filter(job_id=job_id, epoch__gt=epoch).order_by("created_at", "token")
    return [row.to_domain() for row in rows]


async def charges(job_id: str) -> Charges | None:
    """What a job's submissions cost so far; None where it has sent nothing."""
    if not await RemoteJobRow.exists(job_id=job_id):
        return None
    said = await _sums(RemoteJobRow.filter(job_id=job_id, charged__isnull=False), "charged")
    unsaid = await _sums(RemoteJobRow.filter(job_id=job_id, status="completed", charged=None), "circuits", "shots")
    return Charges(said[0], unsaid[0], unsaid[1])


class RemoteJobs:
    """
    Ends what is left at providers of jobs that are over: cancelled while they waited, failed, or killed in the middle.

    Args:
        pause: Seconds before the second attempt at one of them; it doubles.
    """

    def __init__(
        self,
        database: Database,
        backends: Backends,
        calculator: Calculator,
        costs: Costs,
        clock: Clock,
        *,
        pause: float = LOOK_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._backends = backends
        self._calculator = calculator
        self._costs = costs
        self._clock = clock
        self._pause = pause
        self._monotonic = monotonic
        #: By token: when it is tried again, and the pause that was.
        self._later: dict[str, tuple[float, float]] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._look_always(), name="remote_jobs")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def end_left(self) -> int:
        """One look. Returns: how many were ended."""
        rows = await RemoteJobRow.filter(status__in=OPEN).order_by("created_at")
        jobs = JobRow.filter(id__in=list({row.job_id for row in rows}), status__in=[one.value for one in TERMINAL])
        over = {str(id) for id in await jobs.values_list("id", flat=True)}
        left = [row for row in rows if row.job_id in over]
        self._later = {row.token: self._later[row.token] for row in left if row.token in self._later}
        ended = 0
        for row in left:
            due, pause = self._later.get(row.token, (0.0, self._pause / 2))
            if self._monotonic() < due:
                continue
            try:
                found = await self._calculator.call(
                    END, row.backend, self._backends.options(row.backend), row.to_domain(), timeout=END_SECONDS
                )
            except QStoreError as error:
                pause = min(LONGEST_PAUSE, 2 * pause)
                self._later[row.token] = (self._monotonic() + pause, pause)
                log.warning(
                    "remote_jobs.not_ended", job_id=row.job_id, external_id=row.external_id, error=error.message
                )
                continue
            await self._ended(row, found)
            ended += 1
        return ended

    async def _ended(self, row: RemoteJobRow, found: RemoteJob) -> None:
        """Save how it ended. The job has had its charge; what comes on top of that is one more."""
        now = self._clock.now()
        async with self._database.transaction():
            # Servers that share a database may look at the same time; one of them charges.
            mine = RemoteJobRow.filter(token=row.token, status__in=OPEN)
            won = await mine.update(
                status=found.status, external_id=found.external_id, charged=found.charged, updated_at=now
            )
            job = await JobRow.get_or_none(id=row.job_id)
            if won and job is not None and found.charged:
                await JobRow.filter(id=job.id).update(cost=F("cost") + found.charged)
                await self._costs.record(
                    CostEvent(
                        id=ids.new("cost"),
                        organization_id=job.organization_id,
                        user_id=job.user_id,
                        event_type="training",
                        backend=row.backend,
                        amount=found.charged,
                        circuits=0,
                        shots=0,
                        job_id=job.id,
                    )
                )
        log.info("remote_jobs.ended", job_id=row.job_id, external_id=found.external_id, status=found.status)

    async def _look_always(self) -> None:
        while True:
            try:
                await self.end_left()
            except QStoreError as error:
                log.warning("remote_jobs.skipped", error=error.message)
            except Exception:
                # What is left at a provider costs money as long as nobody looks.
                log.exception("remote_jobs.broke")
            await asyncio.sleep(LOOK_SECONDS)


async def _sums(rows: object, *columns: str) -> list[int]:
    totals = {f"sum_{column}": Sum(column) for column in columns}
    found = await rows.annotate(**totals).values(*totals)  # type: ignore[attr-defined]
    # Sums of bigints are decimals on Postgres.
    return [int(found[0][name] or 0) if found else 0 for name in totals]
