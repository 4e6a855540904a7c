"""
Runs: one execution of a job, from its lease to its end. The job's row is the truth.

Taking a job is one conditional update; every later write names the lease's fence, so a worker that was given up for dead
and comes back writes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import structlog
from tortoise.expressions import Q
from tortoise.functions import Count
from tortoise.queryset import QuerySet

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import OrganizationRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain.events import JobMetrics, JobProgress, Metrics
from qstore_appliance.domain.jobs import Lease, Priority, Progress, Resources, Status
from qstore_appliance.domain.ports import BlobStore, Clock, EventBus
from qstore_appliance.engine.plan import EpochReport, Plan
from qstore_appliance.engine.remote_jobs import RemoteJob
from qstore_appliance.errors import ArtifactCorrupt, BudgetExceeded, NotFound, QStoreError
from qstore_appliance.services import remote_jobs
from qstore_appliance.services.admission import BEGINNINGS
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.costs import Costs
from qstore_appliance.services.datasets import Datasets
from qstore_appliance.services.endings import Endings, LeaseLost, is_idle
from qstore_appliance.services.journal import Entry, Line
from qstore_appliance.services.machine import cores
from qstore_appliance.settings import Settings

log = structlog.get_logger(__name__)

#: Jobs of one priority that one look of the reaper wakes.
MAX_WOKEN = 1_000


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
    ) -> None:
        super().__init__(database, blobs, events, backends, costs, clock, settings)
        self._datasets = datasets

    # Taking and keeping ------------------------------------------------------------------------------------------

    async def begin(self, job_id: str, owner: str) -> tuple[Lease, Plan] | None:
        """
        Take a job that waits, or one whose worker is gone.

        Args:
            owner: Who takes it: `<data directory>:<host>:<process>`.

        Returns: None where there is nothing to do: the job has ended, somebody else has it, its organization runs as many
            as it may, its backend takes no further job now, or its plan turned out to be impossible (then it has failed).
        """
        async with self._database.transaction():
            row = await JobRow.get_or_none(id=job_id)
            now = self._clock.now()
            if row is None or row.status not in (Status.QUEUED, Status.RUNNING) or not is_idle(row, now):
                return None
            if row.cancel_requested:
                events = await self._end(row, Status.CANCELLED, None, [Line("Cancelled before it went on.")])
                lease = None
            else:
                waits = await self._full(row.organization_id) if row.status == Status.QUEUED else None
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
                first = row.started_at is None
                row = await JobRow.get(id=job_id)
                line = f"Started on {row.backend}."
                if row.checkpoint_epoch:
                    line = f"Goes on after epoch {row.checkpoint_epoch} on {row.backend}."
                events = await self._journal.record(
                    row.organization_id, row.id, [Line(line), self._journal.progress(row)]
                )
                if first:
                    await self._backends.started(row.backend, (now - row.created_at).total_seconds())
        await self._journal.publish(events)
        if lease is None:
            return None
        try:
            return lease, await self._plan(row)
        except QStoreError as error:
            await self.fail(lease, error)
            return None

    async def heartbeat(self, lease: Lease) -> bool:
        """Keep the lease. False: the job shall be cancelled, or the lease is lost; `cancel_requested` says which."""
        mine = JobRow.filter(id=lease.job_id, fence=lease.fence, status=Status.RUNNING, cancel_requested=False)
        return await mine.update(lease_until=self._lease_end()) == 1

    async def cancel_requested(self, lease: Lease) -> bool:
        mine = JobRow.filter(id=lease.job_id, fence=lease.fence, status=Status.RUNNING, cancel_requested=True)
        return await mine.exists()

    # Epochs ------------------------------------------------------------------------------------------------------

    async def record_epoch(self, lease: Lease, report: EpochReport) -> None:
        await self.record_epochs(lease, [report])

    async def record_epochs(self, lease: Lease, reports: Sequence[EpochReport]) -> None:
        """
        Save epochs that have come since the last time, with the checkpoint of the latest.

        A backend with a limit by the hour is left alone between two epochs: once the hour's circuits are used up the job
        waits in line again, with its checkpoint.

        Raises:
            LeaseLost: The job is another worker's by now, or waits in line again.
            BudgetExceeded: What has run costs more than the job's budget; it was saved, the job shall end.
        """
        latest = reports[-1]
        # The job's id in front: two jobs of the same plan have the same checkpoints, and each frees its own.
        digest = await self._blobs.put(lease.job_id.encode() + b"\n" + latest.checkpoint)
        async with self._database.transaction():
            row = await self._mine(lease)
            old = row.checkpoint
            # Others were saved by a call that never heard so: the database went away with its answer, or right after it.
            reports = [report for report in reports if report.epoch > row.checkpoint_epoch]
            progress = Progress(
                current_epoch=latest.epoch,
                total_epochs=latest.total_epochs,
                current_loss=latest.loss,
                best_loss=latest.best_loss,
                eta_seconds=round(latest.eta_seconds, 1),
            )
            resources = msgspec.convert(row.resources, Resources)
            resources = msgspec.structs.replace(
                resources,
                backend_used=row.backend,
                circuits_executed=resources.circuits_executed + sum(report.circuits for report in reports),
                total_shots=resources.total_shots + sum(report.shots for report in reports),
            )
            cost = await self._cost(row, resources)
            await self._write(
                lease,
                progress=msgspec.to_builtins(progress),
                metrics=_with_history(row.metrics, reports),
                resources=msgspec.to_builtins(resources),
                cost=cost,
                checkpoint=digest,
                checkpoint_epoch=latest.epoch,
                attempt=0,
                lease_until=self._lease_end(),
            )
            entries = [entry for report in reports for entry in self._told(row, report)]
            events = await self._journal.record(lease.organization_id, lease.job_id, entries)
            await self._backends.ran(
                row.backend, sum(report.circuits for report in reports), sum(report.seconds for report in reports)
            )
        await self._journal.publish(events)
        if old is not None and old != digest:
            await self._free(old)
        if row.budget_limit is not None and cost > row.budget_limit:
            raise BudgetExceeded("What has run so far costs more than the job's budget_limit.")
        used_up = await self._backends.used_up(row.backend) if latest.epoch < latest.total_epochs else None
        if used_up is not None:
            await self.release(lease, used_up)
            raise LeaseLost

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
        expired = await JobRow.filter(status=Status.RUNNING, lease_until__lt=self._clock.now()).limit(MAX_WOKEN)
        for row in expired:
            lease = Lease(job_id=row.id, organization_id=row.organization_id, fence=row.fence)
            try:
                if row.cancel_requested:
                    await self.cancelled(lease)
                else:
                    await self.release(lease, f"Its worker is gone; it goes on after epoch {row.checkpoint_epoch}.")
            except LeaseLost:
                continue
        # Waking those that may not run would only send them back, again and again.
        held = await self._backends.held()
        await self._tell_why(held)
        queued = JobRow.filter(status=Status.QUEUED).exclude(organization_id__in=await self._full_organizations())
        queued = queued.exclude(backend__in=list(held))
        woken: list[tuple[str, int]] = []
        for priority in sorted(Priority, key=lambda one: -one.rank):
            inline = queued.filter(priority=priority).order_by("created_at", "id").limit(MAX_WOKEN)
            ids = [str(id) for id in await inline.values_list("id", flat=True)]
            woken += [(id, priority.rank) for id in ids if id not in pending]
        return woken

    # Inside ------------------------------------------------------------------------------------------------------

    async def _full(self, organization_id: str) -> str | None:
        """The reason why no further job of the organization may run now."""
        # The row's lock lets one slot count at a time; SQLite has one writer anyway.
        organization = await OrganizationRow.filter(id=organization_id).select_for_update().first()
        allowed = organization.to_domain().settings.max_concurrent_jobs if organization else 1
        running = await JobRow.filter(
            organization_id=organization_id, status=Status.RUNNING, lease_until__gt=self._clock.now()
        ).count()
        if running < allowed:
            return None
        return f"Waits for another job of the organization: {running} of {allowed} run."

    async def _tell_why(self, held: Mapping[str, str]) -> None:
        """Jobs that a backend keeps waiting say so; those that it keeps waiting no more do not."""
        queued = JobRow.filter(status=Status.QUEUED)
        stale: list[tuple[QuerySet[JobRow], str | None]] = [
            (queued.filter(backend=name).filter(Q(reason__isnull=True) | ~Q(reason=reason)), reason)
            for name, reason in held.items()
        ]
        freed = Q(*(Q(reason__startswith=words) for words in BEGINNINGS), join_type=Q.OR)
        stale.append((queued.exclude(backend__in=list(held)).filter(freed), None))
        for rows, reason in stale:
            # On SQLite a transaction makes everybody wait, and mostly there is nothing to write.
            if await rows.exists():
                async with self._database.transaction():
                    await rows.update(reason=reason, updated_at=self._clock.now())

    async def _full_organizations(self) -> list[str]:
        """Organizations that run as many jobs as they may."""
        counted = JobRow.filter(status=Status.RUNNING).annotate(running=Count("id")).group_by("organization_id")
        running = {str(id): int(count) for id, count in await counted.values_list("organization_id", "running")}
        rows = await OrganizationRow.filter(id__in=list(running))
        return [row.id for row in rows if running[row.id] >= row.to_domain().settings.max_concurrent_jobs]

    async def _plan(self, row: JobRow) -> Plan:
        learned = row.config.get("dataset")
        dataset = await self._datasets.resolve(row.organization_id, str(learned["type"])) if learned else {}
        checkpoint = None
        if row.checkpoint is not None:
            try:
                stored = await self._blobs.get(row.checkpoint)
                checkpoint = stored.partition(b"\n")[2]
            except (NotFound, ArtifactCorrupt) as error:
                log.error("runs.checkpoint_lost", job_id=row.id, error=error.message)
                raise ArtifactCorrupt(f"The checkpoint of epoch {row.checkpoint_epoch} is lost.") from error
        threads = self._settings.jobs.threads or max(1, cores() // max(1, self._settings.jobs.slots))
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


def _with_history(metrics: Mapping[str, Any], reports: Sequence[EpochReport]) -> dict[str, Any]:
    found = dict(metrics)
    if not reports:
        return found
    for key, values in (
        ("loss_history", [report.loss for report in reports]),
        ("accuracy_history", [report.accuracy for report in reports]),
        ("val_loss_history", [report.val_loss for report in reports]),
        ("val_accuracy_history", [report.val_accuracy for report in reports]),
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
