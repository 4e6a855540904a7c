"""
How jobs come into the line: submitted, gone on from another, or run again to compare. All are checked, saved with their
events, and announced in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from tortoise.models import Model

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.configs import ConfigDraft
from qstore_appliance.domain.costs import dollars, micros
from qstore_appliance.domain.events import Event
from qstore_appliance.domain.jobs import TERMINAL, ContinueDraft, JobDraft, Priority, Progress, Status, Submitted
from qstore_appliance.domain.ports import Clock, Queue
from qstore_appliance.errors import Conflict, RateLimited, ValidationFailed
from qstore_appliance.services.bills import first_epoch
from qstore_appliance.services.journal import Entry, Journal, Line
from qstore_appliance.services.pauses import Pauses
from qstore_appliance.services.runs import Runs
from qstore_appliance.services.storage import Storage
from qstore_appliance.services.submission import Accepted, Earlier, Submission
from qstore_appliance.settings import Settings

#: What a job that goes on from another takes over of its metrics: the curves so far.
HISTORIES = ("loss_history", "accuracy_history", "val_loss_history", "val_accuracy_history", "parameter_digests")
MAX_EPOCHS = 100_000


class New(NamedTuple):
    """A job that is checked and not saved yet, with its first log line."""

    row: JobRow
    accepted: Accepted
    draft: JobDraft
    line: str


class Intake:
    def __init__(
        self,
        database: Database,
        queue: Queue,
        runs: Runs,
        submission: Submission,
        journal: Journal,
        clock: Clock,
        settings: Settings,
        pauses: Pauses | None = None,
    ) -> None:
        self._database = database
        self._queue = queue
        self._runs = runs
        self._submission = submission
        self._storage = Storage(database, settings)
        self._journal = journal
        self._clock = clock
        self._settings = settings
        self._pauses = pauses

    async def submit(self, caller: Caller, draft: JobDraft) -> Submitted:
        """
        Raises: what `Submission.check` raises; RateLimited: too many jobs of the organization wait already.
        """
        caller.require("jobs:submit")
        return await self._accept(caller, await self.checked(caller, draft))

    async def go_on(self, caller: Caller, earlier: JobRow, draft: ContinueDraft) -> Submitted:
        """
        A new job that begins where an ended one stopped: parameters, optimiser, order of the data, curves.

        Raises:
            Conflict: It has not ended, has no epochs, or its checkpoint was not kept.
            ValidationFailed: `epochs`: too many together.
            ArtifactCorrupt: Its checkpoint is lost.
        """
        caller.require("jobs:submit")
        _check_ended(earlier, "resume or cancel it")
        if earlier.config.get("task") == "sampling":
            raise Conflict("A sampling has no epochs to go on with; submit it again.")
        done = earlier.checkpoint_epoch
        if earlier.checkpoint is None and msgspec.convert(earlier.progress, Progress).current_epoch:
            raise Conflict("The job's last checkpoint was not kept; submit it again.")
        asked = int(earlier.config["epochs"])
        # One that completed before its last epoch had stopped early: of that nothing is left.
        left = 0 if earlier.status == Status.COMPLETED else asked - done
        further = draft.epochs or left or asked
        if done + further > MAX_EPOCHS:
            raise ValidationFailed.field("epochs", f"{done} and {further} are more than {MAX_EPOCHS:,} together")
        new = await self._again(caller, earlier, done + further, further)
        new.row.continued_from = earlier.id
        new.row.receipt = {**new.row.receipt, "continued_at": done}
        return await self._from_checkpoint(caller, new, earlier, done, f"Goes on from {earlier.id} after epoch {done}")

    async def replay(self, caller: Caller, earlier: JobRow) -> Submitted:
        """
        A new job with the same plan, whose epochs are compared with the earlier one's as they come. It makes no model.

        Raises:
            Conflict: The earlier has not ended, or nothing of it can be compared.
            ArtifactCorrupt: The checkpoint that it went on from is lost.
        """
        caller.require("jobs:submit")
        _check_ended(earlier, "wait for its end")
        digests = earlier.metrics.get("parameter_digests") or []
        began = int(earlier.receipt.get("continued_at", 0))
        sampled = earlier.config.get("task") == "sampling" and earlier.status == Status.COMPLETED
        if len(digests) <= began and not sampled:
            raise Conflict("The job has no epochs whose parameters could be compared.")
        total = int(earlier.config["epochs"])
        new = await self._again(caller, earlier, total, total - began)
        new.row.replay_of = earlier.id
        new.row.metrics = {"replay": {"of": earlier.id, "bit_equal": None, "first_difference": None}}
        kept = {"threads": earlier.receipt.get("threads"), "continued_at": began}
        new.row.receipt = {**new.row.receipt, **{key: value for key, value in kept.items() if value}}
        said = f"Repeats {earlier.id}"
        if not began:
            return await self._accept(caller, new._replace(line=_line(said, new.row)))
        origin = await JobRow.get_or_none(id=earlier.continued_from, organization_id=caller.organization_id)
        if origin is None or origin.checkpoint_epoch != began:
            raise Conflict("The checkpoint that the job went on from was not kept.")
        return await self._from_checkpoint(caller, new, origin, began, f"{said} from epoch {began}")

    async def checked(
        self, caller: Caller, draft: JobDraft, earlier: Earlier | None = None, sweep_id: str | None = None
    ) -> New:
        """
        Raises: what `Submission.check` raises; BudgetExceeded: an alert of the budget admits no new jobs; StorageFull: the
            organization keeps all that it may.
        """
        if self._pauses is not None:
            await self._pauses.admit(caller.organization_id)
        await self._storage.admit(caller.organization_id)
        accepted = await self._submission.check(*((caller, draft) if earlier is None else (caller, draft, earlier)))
        now = self._clock.now()
        row = JobRow(
            id=ids.new("job"),
            organization_id=caller.organization_id,
            user_id=caller.user_id,
            circuit_id=draft.circuit_id,
            circuit=accepted.circuit,
            status=Status.QUEUED.value,
            priority=draft.priority.value,
            config=accepted.config,
            backend=accepted.backend,
            progress=msgspec.to_builtins(Progress(total_epochs=draft.config.epochs)),
            receipt={
                "estimate": msgspec.to_builtins(accepted.estimate),
                "backend": accepted.backend,
                "auto_backend": accepted.auto_backend,
                "backend_reason": accepted.backend_reason,
            },
            estimated_cost=int(accepted.cost.expected),
            expected_seconds=accepted.estimate.seconds.expected,
            expected_bytes=accepted.needs.memory_bytes,
            needs_gpu=accepted.needs.gpu,
            budget_limit=None if draft.budget_limit is None else micros(draft.budget_limit),
            project=draft.project,
            tags=list(draft.tags),
            sweep_id=sweep_id,
            created_at=now,
            queued_at=now,
            updated_at=now,
        )
        return New(row, accepted, draft, _line("Queued", row))

    async def save(self, caller: Caller, jobs: Sequence[New], also: Sequence[Model] = ()) -> None:
        """
        Save checked jobs, all or none, and tell the slots.

        Args:
            also: Rows that belong to them.

        Raises:
            BudgetExceeded: The month's budget has no room for them.
            RateLimited: Too many jobs of the organization wait already.
            NotFound: What one of them uses was deleted since it was checked.
        """
        events: list[Event] = []
        async with self._database.transaction():
            for row, accepted, *_ in jobs:
                # First, since it is what most often says no where many ask.
                reserved = math.ceil(accepted.cost.high) if row.budget_limit is None else row.budget_limit
                await self._runs.reservations.hold(row.id, row.organization_id, reserved, ahead=first_epoch(row))
            await self.check_room(caller.organization_id, len(jobs))
            for other in also:
                await other.save(force_create=True)
            for row, _, draft, line in jobs:
                if row.continued_from is None and row.replay_of is None:
                    await self._submission.confirm(caller, draft)
                await row.save(force_create=True)
                entries: list[Entry] = [Line(line), self._journal.progress(row)]
                events += await self._journal.record(row.organization_id, row.id, entries)
        for row, *_ in jobs:
            await self._queue.wake(row.id, Priority(row.priority).rank)
        await self._journal.publish(events)

    async def check_room(self, organization_id: str, more: int = 1) -> None:
        """
        Raises:
            RateLimited: So many more would be too many waiting jobs of one organization.
        """
        waiting = await JobRow.filter(organization_id=organization_id, status=Status.QUEUED).count()
        if waiting + more > self._settings.jobs.max_queued:
            raise RateLimited(f"{waiting} jobs of your organization wait already.", retry_after=60.0)

    # Inside ------------------------------------------------------------------------------------------------------

    async def _again(self, caller: Caller, earlier: JobRow, total: int, to_run: int) -> New:
        """A job with an earlier one's plan, but for the number of its epochs."""
        # Where it ran, not where "auto" would send it today: another backend would round otherwise.
        config = {**earlier.config, "epochs": total, "backend": earlier.backend}
        draft = JobDraft(
            circuit_id=earlier.circuit_id,
            config=ConfigDraft.model_validate(config),
            priority=Priority(earlier.priority),
            budget_limit=None if earlier.budget_limit is None else dollars(earlier.budget_limit),
            project=earlier.project,
            tags=list(earlier.tags),
        )
        return await self.checked(caller, draft, Earlier(earlier.circuit, to_run))

    async def _from_checkpoint(self, caller: Caller, new: New, origin: JobRow, epoch: int, said: str) -> Submitted:
        """Save a job with an ended one's checkpoint in its hands; the blob becomes its own, and is freed with it."""
        row, progress = new.row, msgspec.convert(origin.progress, Progress)
        row.metrics = {**_so_far(origin.metrics, epoch), **row.metrics}
        row.checkpoint_epoch = epoch
        row.progress = msgspec.to_builtins(
            Progress(
                current_epoch=epoch,
                total_epochs=int(row.config["epochs"]),
                current_loss=progress.current_loss,
                best_loss=progress.best_loss,
            )
        )
        if origin.checkpoint is not None:
            row.checkpoint = await self._runs.adopt_checkpoint(row.id, origin)
            row.checkpoint_bytes = origin.checkpoint_bytes
        try:
            return await self._accept(caller, new._replace(line=_line(said, row)))
        except BaseException:
            if row.checkpoint is not None and not await JobRow.exists(id=row.id):
                await self._runs.free_checkpoint(row.checkpoint)
            raise

    async def _accept(self, caller: Caller, new: New) -> Submitted:
        await self.save(caller, [new])
        row, accepted, *_ = new
        place = await self._runs.lines.place(row)
        starts = [moment for moment in (place.starts, accepted.not_before) if moment is not None]
        return Submitted(
            job_id=row.id,
            status=Status.QUEUED,
            estimated_start=max(starts, default=None),
            estimated_cost=row.estimated_cost,
            queue_position=place.position,
            backend=row.backend,
            auto_backend=accepted.auto_backend,
            backend_reason=accepted.backend_reason,
        )


def _line(said: str, row: JobRow) -> str:
    return f"{said} for {row.backend} with seed {row.config['seed']}."


def _check_ended(row: JobRow, instead: str) -> None:
    if Status(row.status) not in TERMINAL:
        raise Conflict(f"The job is {Status(row.status)}; {instead}.", details={"status": Status(row.status).value})


def _so_far(metrics: Mapping[str, Any], epoch: int) -> dict[str, Any]:
    """The curves up to an epoch."""
    found: dict[str, Any] = {key: list(metrics[key])[:epoch] for key in HISTORIES if key in metrics}
    if "health" in metrics:
        norms = list(metrics["health"].get("gradient_norm_history", ()))
        found["health"] = {**metrics["health"], "gradient_norm_history": norms[:epoch]}
    for key, history in (("training_accuracy", "accuracy_history"), ("validation_accuracy", "val_accuracy_history")):
        values = found.get(history)
        if values and values[-1] is not None:
            found[key] = values[-1]
    return found
