"""
Runs circuit jobs, one after the other, in a calculator process.

The row is the truth: a job that was running when its server went away runs again at the next start. That costs nothing
but time, since running has no effect beyond the row, and the answer and its charge are saved together, once.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import structlog
from tortoise.expressions import Q

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.circuit_jobs import CircuitJobRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.circuit_jobs import SIMULATOR, CircuitJobStatus
from qstore_appliance.domain.costs import CostEvent, Metered
from qstore_appliance.domain.ports import Calculator, Clock
from qstore_appliance.errors import BackendCannot, DeadlineExceeded, InsufficientMemory, QStoreError, TooLarge
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.costs import Costs
from qstore_appliance.services.pauses import Pauses
from qstore_appliance.services.reservations import Reservations
from qstore_appliance.settings import Settings

log = structlog.get_logger(__name__)

FUNCTION = "qstore_appliance.engine.distributions:metered_ionq_results"
#: A job that takes longer is stopped.
DEADLINE_SECONDS = 300.0
#: Beyond the deadline, for the process to start and the answer to be saved.
LEASE = timedelta(seconds=DEADLINE_SECONDS + 60)
#: How often to look for jobs that another server has taken in or left behind.
LOOK_SECONDS = 5.0
#: IonQ's names for why a job failed.
_FAILURES: dict[type[QStoreError], str] = {
    DeadlineExceeded: "SimulationTimeout",
    BackendCannot: "NotEnoughQubits",
    InsufficientMemory: "NotEnoughQubits",
    TooLarge: "QuantumCircuitComplexityError",
}


class CircuitRuns:
    def __init__(
        self,
        database: Database,
        backends: Backends,
        calculator: Calculator,
        costs: Costs,
        clock: Clock,
        settings: Settings,
        pauses: Pauses | None = None,
    ) -> None:
        self._database = database
        self._pauses = pauses
        self._backends = backends
        self._calculator = calculator
        self._costs = costs
        self._clock = clock
        self._settings = settings
        self.reservations = Reservations(costs, clock)
        self._waiting = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._current: tuple[str, int] | None = None
        #: Organization → the number of its turn, so that one with thousands of jobs does not make the others wait.
        self._turns: dict[str, int] = {}

    async def start(self) -> None:
        """Take up what waits and what an earlier server was running."""
        if self._task is not None:
            return
        if not self._settings.queue.url:
            async with self._database.transaction():
                await CircuitJobRow.filter(status=CircuitJobStatus.RUNNING).update(status=CircuitJobStatus.READY)
        self._task = asyncio.create_task(self._serve(), name="circuit_runs")

    def wake(self) -> None:
        """There is a job."""
        self._waiting.set()

    async def close(self) -> None:
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        if self._current is not None:
            id, fence = self._current
            with contextlib.suppress(QStoreError):
                async with self._database.transaction():
                    mine = CircuitJobRow.filter(id=id, fence=fence, status=CircuitJobStatus.RUNNING)
                    await mine.update(status=CircuitJobStatus.READY)

    async def _serve(self) -> None:
        while True:
            self._waiting.clear()
            try:
                while (row := await self._claim()) is not None:
                    self._current = (row.id, row.fence)
                    await self._run(row)
                    self._current = None
            except QStoreError as error:
                log.warning("circuit_runs.failed", code=error.code, message=error.message)
            except Exception:
                # A fault of ours must not leave every later job waiting.
                log.exception("circuit_runs.failed")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._waiting.wait(), LOOK_SECONDS)

    async def _claim(self) -> CircuitJobRow | None:
        """The oldest job of the organization whose turn is longest ago."""
        now = self._clock.now()
        free = Q(status=CircuitJobStatus.READY) | Q(status=CircuitJobStatus.RUNNING, lease_until__lt=now)
        free &= ~Q(backend__in=list(await self._backends.held()))
        if self._pauses is not None:
            free &= ~Q(organization_id__in=list(await self._pauses.held()))
        organizations = await CircuitJobRow.filter(free).distinct().values_list("organization_id", flat=True)
        for organization in sorted((str(o) for o in organizations), key=lambda o: self._turns.get(o, 0)):
            wanted = CircuitJobRow.filter(free, organization_id=organization)
            row = (
                await wanted.order_by("id").first().only("id", "fence", "status", "backend", "started_at", "created_at")
            )
            if row is None:
                continue
            async with self._database.transaction():
                if await self._backends.hold(row.backend) is not None:
                    continue
                # What was looked up before took its time: the job starts now.
                now = self._clock.now()
                taken = await CircuitJobRow.filter(id=row.id, fence=row.fence, status=row.status).update(
                    status=CircuitJobStatus.RUNNING, fence=row.fence + 1, lease_until=now + LEASE, started_at=now
                )
                if taken and row.started_at is None:
                    await self._backends.started(row.backend, (now - row.created_at).total_seconds())
            if taken:
                self._turns[organization] = 1 + max(self._turns.values(), default=0)
                return await CircuitJobRow.get_or_none(id=row.id)
        return None

    async def _run(self, row: CircuitJobRow) -> None:
        drawn = row.shots if row.target != SIMULATOR else None
        # The same job draws the same outcomes, however often it has to be run.
        seed = int(row.id.replace("-", ""), 16)
        began = asyncio.get_running_loop().time()
        try:
            content, cpu_seconds = await self._calculator.call(
                FUNCTION,
                row.backend,
                self._backends.options(row.backend),
                row.input,
                row.child_ids,
                drawn,
                seed,
                timeout=DEADLINE_SECONDS,
            )
        except QStoreError as error:
            code = next((name for kind, name in _FAILURES.items() if isinstance(error, kind)), "SimulationError")
            message = error.message if error.code != "INTERNAL" else "The simulation failed."
            log.info("circuit_runs.job_failed", job_id=row.id, code=error.code, message=error.message)
            await self._end(row, status=CircuitJobStatus.FAILED, failure={"code": code, "message": message})
            return
        shots = (drawn or 0) * row.n_circuits
        ran = Metered(circuits=row.n_circuits, shots=shots, cpu_microseconds=round(cpu_seconds * 1e6))
        cost = self._backends.price_of(row.backend, ran)
        event = CostEvent(
            id=ids.new("cost"),
            organization_id=row.organization_id,
            user_id=row.user_id,
            event_type="circuit",
            backend=row.backend,
            amount=cost,
            circuits=ran.circuits,
            shots=ran.shots,
            cpu_microseconds=ran.cpu_microseconds,
            job_id=row.id,
        )
        seconds = asyncio.get_running_loop().time() - began
        await self._end(row, event, seconds, status=CircuitJobStatus.COMPLETED, results=content, cost=cost)

    async def _end(
        self, row: CircuitJobRow, event: CostEvent | None = None, seconds: float = 0.0, **changes: object
    ) -> None:
        """
        Save the end, unless the job was canceled, deleted or taken by another server meanwhile.

        Args:
            event: The charge for what ran; None where it failed.
            seconds: That it took.
        """
        async with self._database.transaction():
            mine = CircuitJobRow.filter(id=row.id, fence=row.fence, status=CircuitJobStatus.RUNNING)
            saved = await mine.update(**changes, lease_until=None, completed_at=self._clock.now())
            if not saved:
                return
            if event is not None:
                # A job that costs nothing has no reservation, and is metered all the same.
                ran = Metered(circuits=event.circuits, shots=event.shots, cpu_microseconds=event.cpu_microseconds)
                await self.reservations.charge(event, ran, event.amount)
            await self.reservations.release(row.id)
            if event is not None:
                await self._backends.ran(row.backend, row.n_circuits, seconds)
