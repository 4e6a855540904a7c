"""
How a run ends: completed with its model, failed, cancelled, or given back to be tried again.

Each end is one transaction, conditional on the lease's fence, with its charge in the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog
from tortoise.exceptions import IntegrityError

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.datasets import DatasetRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.database.tables.models import ModelRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.costs import CostEvent
from qstore_appliance.domain.events import Event
from qstore_appliance.domain.jobs import LIVE, Lease, Progress, Resources, Status
from qstore_appliance.domain.models import ModelStatus
from qstore_appliance.domain.ports import BlobStore, Clock, EventBus
from qstore_appliance.engine.plan import Trained
from qstore_appliance.errors import QStoreError
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.costs import Costs
from qstore_appliance.services.journal import Entry, Journal, Line
from qstore_appliance.settings import Settings

log = structlog.get_logger(__name__)

#: A job whose worker process died so often without finishing an epoch is not tried again.
MAX_DEATHS = 3
#: Metrics of `Trained` that the job shows too; the model keeps them all.
SHOWN = ("training_accuracy", "validation_accuracy", "test_accuracy", "baseline", "scored_on", "f1_score", "n_test")


class LeaseLost(Exception):
    """Another worker has the job, or it has ended; whatever this one still wanted to write is refused."""


class Endings:
    """What `Runs` does last; it is one class in two files."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        events: EventBus,
        backends: Backends,
        costs: Costs,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._backends = backends
        self._costs = costs
        self._clock = clock
        self._settings = settings
        self._journal = Journal(events, clock)

    async def complete(self, lease: Lease, trained: Trained, inputs: Mapping[str, Any] | None = None) -> str:
        """
        The model is trained: save it, charge, and end the job, all in one transaction.

        Args:
            inputs: `n_features`, `feature_names`, `classes` of the model, for forms and clients.

        Returns: the model's id.

        Raises:
            LeaseLost: The job is another worker's by now.
        """
        digest = await self._blobs.put(trained.artifact)
        for attempt in range(5):
            try:
                events, model_id, checkpoint = await self._completed(lease, trained, dict(inputs or {}), digest)
            except IntegrityError:
                # On Postgres another job of the organization may take the same version at the same time.
                if attempt == 4:
                    raise
            else:
                break
        await self._journal.publish(events)
        if checkpoint is not None:
            await self._free(checkpoint)
        return model_id

    async def fail(self, lease: Lease, error: QStoreError) -> None:
        """End the job by an error. The last checkpoint is kept."""
        reason = f"{error.code}: {error.message}"
        await self._ended(lease, Status.FAILED, error.code, reason, Line(reason, "ERROR"))

    async def cancelled(self, lease: Lease) -> None:
        """End the job because a person said so. The last checkpoint is kept."""
        await self._ended(lease, Status.CANCELLED, None, None, Line("Cancelled."))

    async def cancel_waiting(self, lease: Lease) -> None:
        """
        End a job that nobody runs: it waits, or its worker is gone.

        Raises:
            LeaseLost: Somebody took it just now, or it has ended.
        """
        async with self._database.transaction():
            row = await JobRow.get_or_none(id=lease.job_id, fence=lease.fence)
            if row is None or Status(row.status) not in LIVE or not is_idle(row, self._clock.now()):
                raise LeaseLost
            events = await self._end(row, Status.CANCELLED, None, [Line("Cancelled.")])
        await self._journal.publish(events)

    async def release(self, lease: Lease, message: str = "The server stops; the job goes on when it is back.") -> None:
        """Give the job back at its last checkpoint, through no fault of its own."""
        await self._requeue(lease, message, deaths=0, code=None)

    async def died(self, lease: Lease, error: QStoreError) -> bool:
        """
        The worker process died. After `MAX_DEATHS` without a finished epoch the job has failed.

        Returns: whether it waits to be tried again.
        """
        row = await JobRow.get_or_none(id=lease.job_id, fence=lease.fence)
        if row is None:
            raise LeaseLost
        deaths = row.attempt + 1
        if deaths >= MAX_DEATHS:
            kind = type(error)
            await self.fail(lease, kind(f"{error.message} That was attempt {deaths} of {MAX_DEATHS}."))
            return False
        message = f"{error.message} Attempt {deaths} of {MAX_DEATHS}; it goes on after epoch {row.checkpoint_epoch}."
        await self._requeue(lease, message, deaths=deaths, code=error.code)
        return True

    # Inside ------------------------------------------------------------------------------------------------------

    def _lease_end(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self._settings.jobs.lease_seconds)

    async def _mine(self, lease: Lease) -> JobRow:
        row = await JobRow.get_or_none(id=lease.job_id, fence=lease.fence, status=Status.RUNNING)
        if row is None:
            raise LeaseLost
        return row

    async def _write(self, lease: Lease, **values: Any) -> None:
        mine = JobRow.filter(id=lease.job_id, fence=lease.fence, status=Status.RUNNING)
        if await mine.update(**values, updated_at=self._clock.now()) != 1:
            raise LeaseLost

    async def _completed(
        self, lease: Lease, trained: Trained, inputs: dict[str, Any], digest: str
    ) -> tuple[list[Event], str, str | None]:
        async with self._database.transaction():
            row = await self._mine(lease)
            resources = msgspec.convert(row.resources, Resources)
            resources = msgspec.structs.replace(
                resources,
                circuits_executed=resources.circuits_executed + trained.circuits,
                total_shots=resources.total_shots + trained.shots,
            )
            model_id = ids.new("model")
            name = await self._model_name(row)
            metrics = {key: trained.metrics[key] for key in SHOWN if key in trained.metrics}
            progress = msgspec.structs.replace(msgspec.convert(row.progress, Progress), eta_seconds=0.0)
            row.resources = msgspec.to_builtins(resources)
            now = self._clock.now()
            await self._write(
                lease,
                metrics={**row.metrics, **metrics},
                receipt={**row.receipt, **trained.receipt},
                model_id=model_id,
                progress=msgspec.to_builtins(progress),
                resources=row.resources,
            )
            await ModelRow.create(
                id=model_id,
                organization_id=row.organization_id,
                user_id=row.user_id,
                name=name,
                version=await _next_version(row.organization_id, name),
                circuit_id=row.circuit_id,
                training_job_id=row.id,
                status=ModelStatus.TRAINED,
                metrics=trained.metrics,
                parameters=trained.parameters,
                inputs={**inputs, "examples": trained.test_examples},
                deployment={"backend": row.backend},
                artifact_digest=digest,
                artifact_bytes=len(trained.artifact),
                created_at=now,
                updated_at=now,
            )
            accuracy = trained.metrics.get("accuracy")
            said = f"Completed: model {model_id}"
            if isinstance(accuracy, float):
                said += f", {trained.metrics.get('scored_on', 'test')} accuracy {accuracy:.4f}"
            row.model_id = model_id
            events = await self._end(row, Status.COMPLETED, None, [Line(said + ".")])
            await JobRow.filter(id=row.id).update(checkpoint=None)
            checkpoint: str | None = row.checkpoint
        return events, model_id, checkpoint

    async def _ended(self, lease: Lease, status: Status, code: str | None, reason: str | None, line: Line) -> None:
        async with self._database.transaction():
            row = await self._mine(lease)
            events = await self._end(row, status, code, [line], reason)
        await self._journal.publish(events)

    async def _end(
        self, row: JobRow, status: Status, code: str | None, lines: list[Entry], reason: str | None = None
    ) -> list[Event]:
        """The last write to a job, with its charge; inside the caller's transaction."""
        resources = msgspec.convert(row.resources, Resources)
        cost = self._backends.price(row.backend, resources.circuits_executed, resources.total_shots)
        now = self._clock.now()
        ended = await JobRow.filter(id=row.id, fence=row.fence, status=row.status).update(
            status=status,
            reason=reason,
            error_code=code,
            cost=cost,
            lease_owner=None,
            lease_until=None,
            completed_at=now,
            updated_at=now,
        )
        if not ended:
            raise LeaseLost
        if resources.circuits_executed:
            await self._costs.record(
                CostEvent(
                    id=ids.new("cost"),
                    organization_id=row.organization_id,
                    user_id=row.user_id,
                    event_type="training",
                    backend=row.backend,
                    amount=cost,
                    circuits=resources.circuits_executed,
                    shots=resources.total_shots,
                    job_id=row.id,
                    model_id=row.model_id,
                )
            )
        written = await JobRow.get(id=row.id)
        return await self._journal.record(row.organization_id, row.id, [*lines, self._journal.progress(written)])

    async def _requeue(self, lease: Lease, message: str, *, deaths: int, code: str | None) -> None:
        async with self._database.transaction():
            row = await self._mine(lease)
            await self._write(
                lease,
                status=Status.QUEUED,
                reason=message,
                error_code=code,
                attempt=deaths if code is not None else row.attempt,
                lease_owner=None,
                lease_until=None,
            )
            written = await JobRow.get(id=lease.job_id)
            entries: list[Entry] = [Line(message, "WARNING" if code else "INFO"), self._journal.progress(written)]
            events = await self._journal.record(lease.organization_id, lease.job_id, entries)
        await self._journal.publish(events)

    async def _model_name(self, row: JobRow) -> str:
        dataset = str(row.config["dataset"]["type"])
        if ids.is_id("dataset", dataset):
            uploaded = await DatasetRow.get_or_none(id=dataset)
            dataset = uploaded.name if uploaded is not None else dataset
        return f"{dataset[:240]} classifier"

    async def _free(self, digest: str) -> None:
        try:
            await self._blobs.delete(digest)
        except (QStoreError, OSError) as error:
            # Space that is not freed now hurts nobody; the job must not fail for it.
            log.warning("runs.checkpoint_not_freed", digest=digest, error=str(error))


def is_idle(row: JobRow, now: datetime) -> bool:
    """Whether nobody runs the job now."""
    return row.status != Status.RUNNING or row.lease_until is None or row.lease_until < now


async def _next_version(organization_id: str, name: str) -> str:
    versions = await ModelRow.filter(organization_id=organization_id, name=name).values_list("version", flat=True)
    majors = [int(str(version).partition(".")[0]) for version in versions]
    return f"{max(majors, default=0) + 1}.0.0"
