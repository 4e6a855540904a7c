"""
How a run ends: completed with its model, failed, cancelled, or given back to be tried again.

Each end is one transaction, conditional on the lease's fence, with its last charge in the ledger.
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
from qstore_appliance.domain.configs import subject
from qstore_appliance.domain.events import Event
from qstore_appliance.domain.jobs import LIVE, Lease, Progress, Resources, Status, sources
from qstore_appliance.domain.lines import back_in_front
from qstore_appliance.domain.model_registry import version_key
from qstore_appliance.domain.models import ModelStatus
from qstore_appliance.domain.ports import BlobStore, Clock, EventBus
from qstore_appliance.engine.plan import Trained
from qstore_appliance.errors import QStoreError
from qstore_appliance.services import replays
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.bills import Bills, used
from qstore_appliance.services.costs import Costs
from qstore_appliance.services.journal import Entry, Journal, Line
from qstore_appliance.services.reservations import Reservations
from qstore_appliance.settings import Settings

log = structlog.get_logger(__name__)

#: A job whose worker process died so often without finishing an epoch is not tried again.
MAX_DEATHS = 3
#: Metrics of `Trained` that the job shows too; the model keeps them all.
SHOWN = (
    *("training_accuracy", "validation_accuracy", "test_accuracy", "baseline", "scored_on", "f1_score", "n_test"),
    *("per_class", "confusion_matrix", "r2", "test_r2", "mae", "rmse"),
    *("energy", "energy_std_error", "exact_energy", "energy_error", "hartree_fock_energy"),
    *("counts", "probabilities", "std_errors", "n_outcomes", "other"),
)


#: What a model is called after what it is about.
KINDS = {"classification": "classifier", "regression": "regressor", "energy": "ground state"}


class LeaseLost(Exception):
    """Another worker has the job, or it has ended; whatever this one still wanted to write is refused."""


class Endings:
    """What `Runs` does last; it is one class in three files."""

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
        self.reservations = Reservations(costs, clock)
        self._bills = Bills(backends, self.reservations)
        self._clock = clock
        self._settings = settings
        self._journal = Journal(events, clock)

    async def complete(self, lease: Lease, trained: Trained, inputs: Mapping[str, Any] | None = None) -> str | None:
        """
        The model is trained: save it, charge, and end the job, all in one transaction. The last checkpoint is kept, for
        whoever wants to go on from there.

        Args:
            inputs: `n_features`, `feature_names`, `classes` of the model, for forms and clients.

        Returns: the model's id; None where nothing was trained.

        Raises:
            LeaseLost: The job is another worker's by now.
        """
        repeated = await JobRow.exists(id=lease.job_id, replay_of__isnull=False)
        # A replay says whether it is the same; a second model that is would only stand in the way.
        digest = None if trained.artifact is None or repeated else await self._blobs.put(trained.artifact)
        for attempt in range(5):
            try:
                events, model_id = await self._completed(lease, trained, dict(inputs or {}), digest)
            except IntegrityError:
                # On Postgres another job of the organization may take the same version at the same time.
                if attempt == 4:
                    raise
            else:
                break
        await self._journal.publish(events)
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

    async def pause(self, lease: Lease, reason: str) -> None:
        """
        Stop at the last checkpoint until somebody resumes the job. Its lease ends; what is reserved for it stays so.

        Raises:
            LeaseLost: The job is another worker's by now, or it has ended.
        """
        async with self._database.transaction():
            row = await self._mine(lease)
            if row.cancel_requested:
                events = await self._end(row, Status.CANCELLED, None, [Line("Cancelled.")])
            else:
                events = await self._paused(row, reason)
        await self._journal.publish(events)

    async def pause_waiting(self, lease: Lease, reason: str) -> None:
        """
        Pause a job that nobody runs: it waits, or its worker is gone.

        Raises:
            LeaseLost: Somebody took it just now, or it has ended.
        """
        async with self._database.transaction():
            row = await JobRow.get_or_none(id=lease.job_id, fence=lease.fence)
            if row is None or row.status not in sources(Status.PAUSED) or not is_idle(row, self._clock.now()):
                raise LeaseLost
            events = await self._paused(row, reason)
        await self._journal.publish(events)

    async def stopped(self, lease: Lease) -> None:
        """The worker has stopped because it was asked to: by whom, the row says."""
        row = await self._mine(lease)
        if row.cancel_requested:
            await self.cancelled(lease)
        elif row.pause_reason is not None:
            await self.pause(lease, row.pause_reason)
        else:
            # It was to be paused and was resumed before it had stopped.
            await self.release(lease, f"It goes on after epoch {row.checkpoint_epoch}.")

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
        self, lease: Lease, trained: Trained, inputs: dict[str, Any], digest: str | None
    ) -> tuple[list[Event], str | None]:
        async with self._database.transaction():
            row = await self._mine(lease)
            resources = used(
                msgspec.convert(row.resources, Resources),
                row.backend,
                trained.circuits,
                trained.shots,
                trained.cpu_seconds,
                trained.gpu_seconds,
            )
            model_id = None if digest is None else ids.new("model")
            metrics = {**row.metrics, **{key: trained.metrics[key] for key in SHOWN if key in trained.metrics}}
            differs = await replays.compare(row, metrics, last=True)
            progress = msgspec.structs.replace(msgspec.convert(row.progress, Progress), eta_seconds=0.0)
            if not progress.current_epoch:  # a task without epochs is done in one go
                progress = msgspec.structs.replace(progress, current_epoch=progress.total_epochs)
            row.resources = msgspec.to_builtins(resources)
            await self._write(
                lease,
                metrics=metrics,
                receipt={**row.receipt, **trained.receipt},
                model_id=model_id,
                progress=msgspec.to_builtins(progress),
                resources=row.resources,
            )
            if model_id is not None:
                await self._save_model(row, trained, inputs, model_id, str(digest))
            row.model_id = model_id
            said = _said(model_id, trained.metrics)
            if row.replay_of is not None:
                said = f"Completed: {'' if metrics['replay']['bit_equal'] else 'not '}bit-equal to {row.replay_of}."
            lines: list[Entry] = [] if differs is None else [Line(differs, "WARNING")]
            events = await self._end(row, Status.COMPLETED, None, [*lines, Line(said)])
            await self._backends.ran(row.backend, trained.circuits)
        return events, model_id

    async def _save_model(
        self, row: JobRow, trained: Trained, inputs: dict[str, Any], model_id: str, digest: str
    ) -> None:
        name = await self._model_name(row)
        version = await _next_version(row.organization_id, name)
        now = self._clock.now()
        await ModelRow.create(
            id=model_id,
            organization_id=row.organization_id,
            user_id=row.user_id,
            name=name,
            version=version,
            version_key=version_key(version),
            circuit_id=row.circuit_id,
            training_job_id=row.id,
            status=ModelStatus.TRAINED,
            metrics=trained.metrics,
            parameters=trained.parameters,
            inputs={**inputs, "examples": trained.test_examples},
            deployment={"backend": row.backend},
            artifact_digest=digest,
            artifact_bytes=len(trained.artifact or b""),
            lineage={
                "circuit_version": row.circuit.get("version"),
                "config": row.config,
                "receipt": {**row.receipt, **trained.receipt},
                "continued_from": row.continued_from,
            },
            created_at=now,
            updated_at=now,
        )

    async def _paused(self, row: JobRow, reason: str) -> list[Event]:
        """Inside the caller's transaction."""
        now = self._clock.now()
        paused = await JobRow.filter(id=row.id, fence=row.fence, status=row.status).update(
            status=Status.PAUSED,
            reason=reason,
            error_code=None,
            pause_reason=None,
            lease_owner=None,
            lease_until=None,
            updated_at=now,
        )
        if not paused:
            raise LeaseLost
        written = await JobRow.get(id=row.id)
        line = Line(f"Paused after epoch {row.checkpoint_epoch}. {reason}")
        return await self._journal.record(row.organization_id, row.id, [line, self._journal.progress(written)])

    async def _ended(self, lease: Lease, status: Status, code: str | None, reason: str | None, line: Line) -> None:
        async with self._database.transaction():
            row = await self._mine(lease)
            events = await self._end(row, status, code, [line], reason)
        await self._journal.publish(events)

    async def _end(
        self, row: JobRow, status: Status, code: str | None, lines: list[Entry], reason: str | None = None
    ) -> list[Event]:
        """The last write to a job, with its last charge and the rest of its reservation; in the caller's transaction."""
        resources = msgspec.convert(row.resources, Resources)
        cost = (await self._bills.of(row, resources)).amount
        now = self._clock.now()
        ended = await JobRow.filter(id=row.id, fence=row.fence, status=row.status).update(
            status=status,
            reason=reason,
            error_code=code,
            cost=cost,
            pause_reason=None,
            lease_owner=None,
            lease_until=None,
            completed_at=now,
            updated_at=now,
        )
        if not ended:
            raise LeaseLost
        await self._bills.charge(row, resources, cost)
        await self.reservations.release(row.id)
        written = await JobRow.get(id=row.id)
        return await self._journal.record(row.organization_id, row.id, [*lines, self._journal.progress(written)])

    async def _requeue(self, lease: Lease, message: str, *, deaths: int, code: str | None) -> None:
        async with self._database.transaction():
            row = await self._mine(lease)
            await self._write(
                lease,
                status=Status.QUEUED,
                queued_at=back_in_front(row.queued_at or row.created_at, self._clock.now()),
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
        about = subject(row.config)
        if ids.is_id("dataset", about):
            uploaded = await DatasetRow.get_or_none(id=about)
            about = uploaded.name if uploaded is not None else about
        kind = KINDS.get(str(row.config.get("task")), "classifier")
        return f"{about[:240]} {kind}"

    async def _free(self, digest: str) -> None:
        try:
            await self._blobs.delete(digest)
        except (QStoreError, OSError) as error:
            # Space that is not freed now hurts nobody; the job must not fail for it.
            log.warning("runs.checkpoint_not_freed", digest=digest, error=str(error))


def _said(model_id: str | None, metrics: Mapping[str, Any]) -> str:
    """The last log line."""
    said = "Completed" if model_id is None else f"Completed: model {model_id}"
    part = metrics.get("scored_on", "test")
    if isinstance(accuracy := metrics.get("accuracy"), float):
        said += f", {part} accuracy {accuracy:.4f}"
    if isinstance(r2 := metrics.get("r2"), float):
        said += f", {part} R² {r2:.4f}"
    if isinstance(energy := metrics.get("energy"), float):
        said += f", energy {energy:.6f}"
        if isinstance(exact := metrics.get("exact_energy"), float):
            said += f" where {exact:.6f} is exact"
    if model_id is None:
        said += f": {metrics.get('n_outcomes', 0)} outcomes"
    return f"{said}."


def is_idle(row: JobRow, now: datetime) -> bool:
    """Whether nobody runs the job now."""
    return row.status != Status.RUNNING or row.lease_until is None or row.lease_until < now


async def _next_version(organization_id: str, name: str) -> str:
    versions = await ModelRow.filter(organization_id=organization_id, name=name).values_list("version", flat=True)
    majors = [int(str(version).partition(".")[0]) for version in versions]
    return f"{max(majors, default=0) + 1}.0.0"
