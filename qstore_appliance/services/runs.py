"""
Runs: one execution of a job, from its lease to its end. The job's row is the truth.

Taking a job is one conditional update; every later write names the lease's fence, so a worker that was given up for dead
and comes back writes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import structlog
from tortoise.expressions import Q

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import OrganizationRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain.events import Event, JobMetrics, JobProgress, Metrics
from qstore_appliance.domain.jobs import Lease, Priority, Progress, Resources, Status
from qstore_appliance.domain.lines import OVERDUE, Waiting, level
from qstore_appliance.domain.ports import BlobStore, Clock, EventBus
from qstore_appliance.engine.plan import EpochReport, Plan
from qstore_appliance.engine.remote_jobs import RemoteJob
from qstore_appliance.errors import ArtifactCorrupt, NotFound, QStoreError
from qstore_appliance.services import remote_jobs, replays
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.bills import used
from qstore_appliance.services.costs import Costs
from qstore_appliance.services.datasets import Datasets
from qstore_appliance.services.endings import Endings, LeaseLost, is_idle
from qstore_appliance.services.journal import Entry, Line
from qstore_appliance.services.lines import MEMORY, Lines
from qstore_appliance.services.machine import cores, memory_available, memory_capacity
from qstore_appliance.services.pauses import Pauses
from qstore_appliance.settings import Settings

log = structlog.get_logger(__name__)

#: Jobs of one organization, priority and backend that one look of the reaper wakes: more than a machine has slots.
MAX_WOKEN = 100
#: Workers that are gone, in one look.
MAX_REAPED = 1_000


class Runs(Endings):
    """Runs of jobs. Their ends are in `endings.py`."""

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

    # Taking and keeping ------------------------------------------------------------------------------------------

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

    # Epochs ------------------------------------------------------------------------------------------------------

    async def record_epoch(self, lease: Lease, report: EpochReport) -> None:
        await self.record_epochs(lease, [report])

    async def record_epochs(self, lease: Lease, reports: Sequence[EpochReport]) -> None:
        """
        Save epochs that have come since the last time, with the checkpoint of the latest.

        A backend with a limit by the hour is left alone between two epochs: once the hour's circuits are used up the job
        waits in line again, with its checkpoint. Where an alert of the organization's budget pauses jobs, it is paused.

        Raises:
            LeaseLost: The job is another worker's by now, or waits in line again, or was paused: its budget has no room for
                the next epoch, or one of its alerts pauses jobs.
        """
        latest = reports[-1]
        digest = await self._keep_checkpoint(lease.job_id, latest.checkpoint)
        async with self._database.transaction():
            row = await self._mine(lease)
            old = row.checkpoint
            # Others were saved by a call that never heard so: the database went away with its answer, or right after it.
            fresh = [report for report in reports if report.epoch > row.checkpoint_epoch]
            if fresh:
                events, refusal = await self._saved(lease, row, fresh, digest)
            else:
                bill = await self._bills.of(row, msgspec.convert(row.resources, Resources))
                events, refusal = [], await self._bills.no_room(row, bill)
        await self._journal.publish(events)
        if old is not None and old != digest:
            await self._free(old)
        if refusal is not None:
            await self.pause(lease, refusal)
            raise LeaseLost
        if latest.epoch >= latest.total_epochs:
            return
        paused = await self._pauses.hold(row.organization_id) if self._pauses is not None else None
        if paused is not None:
            await self.pause(lease, paused)
            raise LeaseLost
        used_up = await self._backends.used_up(row.backend)
        if used_up is not None:
            await self.release(lease, used_up)
            raise LeaseLost

    # Checkpoints -------------------------------------------------------------------------------------------------

    async def adopt_checkpoint(self, job_id: str, origin: JobRow) -> str:
        """
        Copy an ended job's checkpoint for another one. Returns its digest.

        Raises:
            ArtifactCorrupt: It is lost.
        """
        return await self._keep_checkpoint(job_id, await self._checkpoint(origin))

    async def free_checkpoint(self, digest: str) -> None:
        """Of a job that came to nothing."""
        await self._free(digest)

    # Providers ---------------------------------------------------------------------------------------------------

    async def keep_remote_job(self, lease: Lease, job: RemoteJob) -> None:
        """
        Save how a submission to a provider stands; after this one that is `noted` may be sent.

        Raises:
            LeaseLost: The job is another worker's by now; nothing may be sent.
        """
        async with self._database.transaction():
            # A write, not a look: on Postgres it holds the row until this is saved.
            await self._write(lease, lease_until=self._lease_end())
            row = await self._mine(lease)
            entries: list[Entry] = []
            if await remote_jobs.record(lease, row.backend, job, self._clock):
                said = f"{row.backend} does not say what its provider charged; the price list counts."
                entries.append(Line(said, "WARNING"))
            events = await self._journal.record(lease.organization_id, lease.job_id, entries) if entries else []
        await self._journal.publish(events)

    async def say(self, lease: Lease, message: str) -> None:
        """
        A line of the log.

        Raises:
            LeaseLost: The job is another worker's by now.
        """
        async with self._database.transaction():
            await self._mine(lease)
            events = await self._journal.record(lease.organization_id, lease.job_id, [Line(message)])
        await self._journal.publish(events)

    # The reaper --------------------------------------------------------------------------------------------------

    async def bury(self, directory: str) -> list[str]:
        """
        At the start of the only server of a data directory: leases of its former servers end now.

        Args:
            directory: The first part of `owner`. Where no Redis joins several machines, every lease is of a dead server.
        """
        dead = JobRow.filter(status=Status.RUNNING)
        if self._settings.queue.url:
            dead = dead.filter(lease_owner__startswith=f"{directory}:")
        found = [str(id) for id in await dead.values_list("id", flat=True)]
        if found:
            await dead.update(lease_until=self._clock.now() - timedelta(seconds=1))
        return found

    async def reap(self, pending: Collection[str] = ()) -> list[tuple[str, int]]:
        """
        Put jobs whose worker is gone back in line, and find those that wait without a message.

        Args:
            pending: Jobs whose message still waits in the queue.

        Returns: jobs to wake, with the queue's number of their priority, in the order in which they shall run.
        """
        expired = await JobRow.filter(status=Status.RUNNING, lease_until__lt=self._clock.now()).limit(MAX_REAPED)
        for row in expired:
            lease = Lease(job_id=row.id, organization_id=row.organization_id, fence=row.fence)
            try:
                if row.cancel_requested:
                    await self.cancelled(lease)
                elif row.pause_reason is not None:
                    await self.pause(lease, row.pause_reason)
                else:
                    await self.release(lease, f"Its worker is gone; it goes on after epoch {row.checkpoint_epoch}.")
            except LeaseLost:
                continue
        if self._pauses is not None:
            await self._pauses.look()
        await self.lines.tell_why()
        # Waking those that may not run would only send them back, again and again.
        woken = await self.lines.heads(MAX_WOKEN)
        return [(job.id, job.priority.rank) for job in woken if job.id not in pending]

    # Inside ------------------------------------------------------------------------------------------------------

    async def _saved(
        self, lease: Lease, row: JobRow, reports: Sequence[EpochReport], digest: str
    ) -> tuple[list[Event], str | None]:
        """Inside the transaction of `record_epochs`. Returns: what to publish, and why the next epoch must not begin."""
        latest = reports[-1]
        progress = Progress(
            current_epoch=latest.epoch,
            total_epochs=latest.total_epochs,
            current_loss=latest.loss,
            best_loss=latest.best_loss,
            eta_seconds=round(latest.eta_seconds, 1),
        )
        before = msgspec.convert(row.resources, Resources)
        resources = used(
            before,
            row.backend,
            sum(report.circuits for report in reports),
            sum(report.shots for report in reports),
            sum(report.cpu_seconds for report in reports),
            sum(report.gpu_seconds for report in reports),
        )
        bill = await self._bills.of(row, resources)
        metrics = _with_history(row.metrics, reports)
        differs = await replays.compare(row, metrics, last=False)
        await self._write(
            lease,
            progress=msgspec.to_builtins(progress),
            metrics=metrics,
            receipt={**row.receipt, **_first_receipt(reports)},
            resources=msgspec.to_builtins(resources),
            cost=bill.amount,
            checkpoint=digest,
            checkpoint_epoch=latest.epoch,
            attempt=0,
            lease_until=self._lease_end(),
        )
        await self._bills.charge(row, resources, bill.amount)
        refusal = await self._bills.look_ahead(row, before, bill, reports)
        entries = [entry for report in reports for entry in self._told(row, report)]
        if differs is not None:
            entries.append(Line(differs, "WARNING"))
        events = await self._journal.record(lease.organization_id, lease.job_id, entries)
        await self._backends.ran(
            row.backend, sum(report.circuits for report in reports), sum(report.seconds for report in reports)
        )
        return events, refusal

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
                if here and level(job.priority, job.since, self._clock.now()) == OVERDUE and needs <= memory_capacity():
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

    async def _keep_checkpoint(self, job_id: str, content: bytes) -> str:
        # The job's id in front: two jobs of the same plan have the same checkpoints, and each frees its own.
        return await self._blobs.put(job_id.encode() + b"\n" + content)

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

    def _told(self, row: JobRow, report: EpochReport) -> list[Entry]:
        now = self._clock.now()
        return [
            Line(report.message),
            *(Line(warning, "WARNING") for warning in report.warnings),
            JobProgress(
                job_id=row.id,
                status=Status.RUNNING,
                current_epoch=report.epoch,
                total_epochs=report.total_epochs,
                current_loss=report.loss,
                best_loss=report.best_loss,
                eta_seconds=round(report.eta_seconds, 1),
                reason=None,
                model_id=None,
                timestamp=now,
            ),
            JobMetrics(
                job_id=row.id,
                epoch=report.epoch,
                metrics=Metrics(
                    loss=report.loss,
                    accuracy=report.accuracy,
                    val_loss=report.val_loss,
                    val_accuracy=report.val_accuracy,
                ),
                timestamp=now,
            ),
        ]


def _first_receipt(reports: Sequence[EpochReport]) -> dict[str, Any]:
    return next((report.receipt for report in reports if report.receipt is not None), {})


def _with_history(metrics: Mapping[str, Any], reports: Sequence[EpochReport]) -> dict[str, Any]:
    found = dict(metrics)
    for key, values in (
        ("loss_history", [report.loss for report in reports]),
        ("accuracy_history", [report.accuracy for report in reports]),
        ("val_loss_history", [report.val_loss for report in reports]),
        ("val_accuracy_history", [report.val_accuracy for report in reports]),
        ("parameter_digests", [report.digest for report in reports]),
    ):
        found[key] = [*found.get(key, ()), *values]
    if reports[-1].health is not None:
        norms = [(report.health or {}).get("gradient_norm") for report in reports]
        earlier = found.get("health", {}).get("gradient_norm_history", ())
        found["health"] = {**reports[-1].health, "gradient_norm_history": [*earlier, *norms]}
    if reports[-1].accuracy is not None:
        found["training_accuracy"] = reports[-1].accuracy
    if reports[-1].val_accuracy is not None:
        found["validation_accuracy"] = reports[-1].val_accuracy
    return found
