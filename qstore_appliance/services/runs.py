"""Runs: one execution of a job, from its lease to its end. What it reports is saved epoch by epoch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import structlog

from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain.events import Event, JobMetrics, JobProgress, Metrics
from qstore_appliance.domain.jobs import Lease, Progress, Resources, Status
from qstore_appliance.engine.plan import EpochReport
from qstore_appliance.engine.remote_jobs import RemoteJob
from qstore_appliance.services import remote_jobs, replays
from qstore_appliance.services.bills import used
from qstore_appliance.services.endings import LeaseLost
from qstore_appliance.services.journal import Entry, Line
from qstore_appliance.services.leases import Leases

log = structlog.get_logger(__name__)

#: Jobs of one organization, priority and backend that one look of the reaper wakes: more than a machine has slots.
MAX_WOKEN = 100
#: Workers that are gone, in one look.
MAX_REAPED = 1_000


class Runs(Leases):
    """Runs of jobs. How they begin is in `leases.py`, their ends are in `endings.py`."""

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
            checkpoint_bytes=len(latest.checkpoint),
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

    async def _keep_checkpoint(self, job_id: str, content: bytes) -> str:
        # The job's id in front: two jobs of the same plan have the same checkpoints, and each frees its own.
        return await self._blobs.put(job_id.encode() + b"\n" + content)

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
