"""
Leases: who has a job, from the line to a worker's hands. The job's row is the truth.

Taking a job is one conditional update; every later write names the lease's fence, so a worker that was given up for dead
and comes back writes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
import structlog
from tortoise.expressions import Q

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import OrganizationRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain.jobs import Lease, Priority, Resources, Status
from qstore_appliance.domain.lines import OVERDUE, Waiting, level
from qstore_appliance.domain.ports import BlobStore, Clock, EventBus
from qstore_appliance.engine.plan import Plan
from qstore_appliance.errors import ArtifactCorrupt, NotFound, QStoreError
from qstore_appliance.services import remote_jobs
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.costs import Costs
from qstore_appliance.services.datasets import Datasets
from qstore_appliance.services.endings import Endings, is_idle
from qstore_appliance.services.journal import Line
from qstore_appliance.services.lines import MEMORY, Lines
from qstore_appliance.services.machine import cores, memory_available, memory_capacity
from qstore_appliance.services.pauses import Pauses
from qstore_appliance.settings import Settings

log = structlog.get_logger(__name__)


class Leases(Endings):
    """What `Runs` does first; it is one class in three files."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        events: EventBus,
        backends: Backends,
        datasets: Datasets,
        costs: Costs,
        clock: Clock,
        settings: Settings,
        pauses: Pauses | None = None,
    ) -> None:
        super().__init__(database, blobs, events, backends, costs, clock, settings)
        self._datasets = datasets
        self._pauses = pauses
        self.lines = Lines(database, backends, clock, settings, pauses)
        self._taking = asyncio.Lock()

    async def wanted(self) -> bool:
        """Whether any job waits for a slot or has lost its worker: a server that starts has something to go on with."""
        lost = Q(status=Status.RUNNING, lease_until__lt=self._clock.now())
        return await JobRow.filter(lost | Q(status=Status.QUEUED)).exists()

    async def take(self, owner: str, resident: Mapping[str, int] | None = None) -> tuple[Lease, Plan] | None:
        """
        Take the best of those that wait, by the rule of `domain/lines.py`, that fits into this machine's memory.

        Args:
            owner: Who takes it: `<data directory>:<host>:<process>`.
            resident: Bytes that the workers of this owner's jobs hold by now, by job.

        Returns: None where nobody may start now.
        """
        # One at a time on this machine: two that look at once would both see the same memory.
        async with self._taking:
            taken = await self._best(owner, resident or {})
        return None if taken is None else await self._planned(*taken)

    async def begin(self, job_id: str, owner: str) -> tuple[Lease, Plan] | None:
        """
        Take this job, if it waits or its worker is gone.

        Args:
            owner: Who takes it: `<data directory>:<host>:<process>`.

        Returns: None where there is nothing to do: the job has ended, somebody else has it, its organization runs as many
            as it may, its backend takes no further job now, it is for another machine (see `left_to_others`), its budget
            has no room for another epoch (then it is paused), or its plan turned out to be impossible (then it has failed).
        """
        if await self._is_for_others(job_id):
            return None
        taken = await self._taken(job_id, owner)
        return None if taken is None else await self._planned(*taken)

    async def left_to_others(self, job_id: str) -> int | None:
        """The queue's number of a waiting job's priority, where another living machine can run it and this one cannot."""
        row = await JobRow.get_or_none(id=job_id, status=Status.QUEUED)
        fleet = self._backends.fleet
        if row is None or not fleet.is_for_others(row.needs) or not fleet.has_other(row.needs):
            return None
        return Priority(row.priority).rank

    async def heartbeat(self, lease: Lease) -> bool:
        """Keep the lease. False: the job shall stop, or the lease is lost; `stop_requested` says which."""
        mine = JobRow.filter(
            id=lease.job_id, fence=lease.fence, status=Status.RUNNING, cancel_requested=False, pause_reason=None
        )
        return await mine.update(lease_until=self._lease_end()) == 1

    async def cancel_requested(self, lease: Lease) -> bool:
        mine = JobRow.filter(id=lease.job_id, fence=lease.fence, status=Status.RUNNING, cancel_requested=True)
        return await mine.exists()

    async def stop_requested(self, lease: Lease) -> bool:
        """Whether somebody wants the job cancelled or paused."""
        mine = JobRow.filter(id=lease.job_id, fence=lease.fence, status=Status.RUNNING)
        return await mine.filter(Q(cancel_requested=True) | Q(pause_reason__isnull=False)).exists()

    # Inside ------------------------------------------------------------------------------------------------------

    async def _best(self, owner: str, resident: Mapping[str, int]) -> tuple[Lease, JobRow] | None:
        waiting = await self.lines.heads(patient=True)
        if not waiting:
            return None
        running = JobRow.filter(status=Status.RUNNING, lease_owner=owner, lease_until__gt=self._clock.now())
        here = await running.values_list("id", "expected_bytes")
        # What runs has been promised its memory, and may not have taken it yet.
        promised = sum(max(0, int(needs or 0) - resident.get(str(id), 0)) for id, needs in here)
        room = memory_available() - promised
        for job in waiting:
            needs = job.needs_bytes or 0
            if needs > room:
                await self._wait_for_memory(job, needs, max(0, room), len(here))
                if here and level(job.priority, job.since, self._clock.now()) >= OVERDUE and needs <= memory_capacity():
                    # Smaller ones have passed it for long enough; it starts once those that run here are done.
                    return None
                continue
            if (taken := await self._taken(job.id, owner)) is not None:
                return taken
        return None

    async def _wait_for_memory(self, job: Waiting, needs: int, room: int, running: int) -> None:
        beside = f"beside {running} job{'' if running == 1 else 's'} that run{'s' if running == 1 else ''}"
        reason = f"{MEMORY}it needs {needs / 1e9:.1f} GB, and {room / 1e9:.1f} GB are free {beside}."
        rows = JobRow.filter(id=job.id, status=Status.QUEUED).filter(Q(reason__isnull=True) | ~Q(reason=reason))
        if await rows.exists():
            async with self._database.transaction():
                await rows.update(reason=reason, updated_at=self._clock.now())

    async def _is_for_others(self, job_id: str) -> bool:
        """Whether this machine leaves the job alone, once it knows whether the job's backend works here."""
        fleet = self._backends.fleet
        if not fleet.shared:
            return False
        row = await JobRow.get_or_none(id=job_id)
        if row is None:
            return False
        await self._backends.probed_once(row.backend)
        return fleet.is_for_others(row.needs)

    async def _taken(self, job_id: str, owner: str) -> tuple[Lease, JobRow] | None:
        """The conditional update that decides who has a job."""
        async with self._database.transaction():
            row = await JobRow.get_or_none(id=job_id)
            now = self._clock.now()
            if row is None or row.status not in (Status.QUEUED, Status.RUNNING) or not is_idle(row, now):
                return None
            lease, refusal = None, None
            if row.cancel_requested:
                events = await self._end(row, Status.CANCELLED, None, [Line("Cancelled before it went on.")])
            elif row.pause_reason is not None:
                events = await self._paused(row, row.pause_reason)
            else:
                waits = await self._pauses.hold(row.organization_id) if self._pauses is not None else None
                if waits is None and row.status == Status.QUEUED:
                    waits = await self.lines.full(row.organization_id)
                waits = waits or await self._backends.hold(row.backend)
                if waits is not None:
                    # One whose worker is gone is put back in line by the reaper, and says so.
                    if waits != row.reason and row.status == Status.QUEUED:
                        await JobRow.filter(id=job_id, fence=row.fence).update(reason=waits, updated_at=now)
                    return None
                lease = Lease(job_id=row.id, organization_id=row.organization_id, fence=row.fence + 1)
                taken = await JobRow.filter(id=job_id, fence=row.fence, status=row.status).update(
                    status=Status.RUNNING,
                    fence=lease.fence,
                    lease_owner=owner,
                    lease_until=self._lease_end(),
                    reason=None,
                    error_code=None,
                    started_at=row.started_at or now,
                    updated_at=now,
                )
                if not taken:
                    return None
                if row.status == Status.QUEUED:
                    # Its row is locked since its jobs were counted; of one that only changes workers it is not.
                    await OrganizationRow.filter(id=row.organization_id).update(job_started_at=now)
                first = row.started_at is None
                row = await JobRow.get(id=job_id)
                refusal = await self._bills.no_room(
                    row, await self._bills.of(row, msgspec.convert(row.resources, Resources))
                )
                line = f"Started on {row.backend}."
                if row.checkpoint_epoch:
                    line = f"Goes on after epoch {row.checkpoint_epoch} on {row.backend}."
                events = await self._journal.record(
                    row.organization_id, row.id, [Line(line), self._journal.progress(row)]
                )
                if first:
                    await self._backends.started(row.backend, (now - row.created_at).total_seconds())
        await self._journal.publish(events)
        if lease is not None and refusal is not None:
            await self.pause(lease, refusal)
            return None
        return None if lease is None else (lease, row)

    async def _planned(self, lease: Lease, row: JobRow) -> tuple[Lease, Plan] | None:
        try:
            return lease, await self._plan(row)
        except QStoreError as error:
            await self.fail(lease, error)
            return None

    async def _checkpoint(self, row: JobRow) -> bytes:
        try:
            stored = await self._blobs.get(str(row.checkpoint))
        except (NotFound, ArtifactCorrupt) as error:
            log.error("runs.checkpoint_lost", job_id=row.id, error=error.message)
            raise ArtifactCorrupt(f"The checkpoint of epoch {row.checkpoint_epoch} is lost.") from error
        return stored.partition(b"\n")[2]

    async def _plan(self, row: JobRow) -> Plan:
        learned = row.config.get("dataset")
        dataset = await self._datasets.resolve(row.organization_id, str(learned["type"])) if learned else {}
        checkpoint = None if row.checkpoint is None else await self._checkpoint(row)
        threads = self._settings.jobs.threads or max(1, cores() // max(1, self._settings.jobs.slots))
        if row.replay_of is not None:
            # As many as the job had that is repeated: sums in another order round otherwise.
            threads = int(row.receipt.get("threads") or threads)
        return Plan(
            circuit={key: row.circuit[key] for key in ("n_qubits", "format", "gates") if key in row.circuit},
            config=row.config,
            backend=row.backend,
            backend_options=self._backends.options(row.backend),
            dataset=dataset,
            seed=int(row.config["seed"]),
            checkpoint=checkpoint,
            threads=threads,
            remote_jobs=await remote_jobs.since(row.id, row.checkpoint_epoch),
            goes_on=row.continued_from is not None and row.checkpoint_epoch == row.receipt.get("continued_at"),
            waits=self._backends.costs_something(row.backend),
        )
