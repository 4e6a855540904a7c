"""Sweeps: a group of jobs from one request, looked at and cancelled together. Their jobs are like any others."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.database.tables.sweeps import SweepRow
from qstore_appliance.domain import ids, sweeps
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.jobs import LIVE, JobDraft, Progress, Status
from qstore_appliance.domain.listing import Listed, Page
from qstore_appliance.domain.ports import Clock
from qstore_appliance.domain.sweeps import METRICS, Sweep, SweepDraft, SweepSummary, Trial
from qstore_appliance.errors import Conflict, Forbidden, NotFound
from qstore_appliance.services.jobs import Jobs
from qstore_appliance.services.sorting import order_of

SORTS = ("created_at",)
_HOW_FAR = ("id", "sweep_id", "status", "progress")


class Sweeps:
    def __init__(self, database: Database, jobs: Jobs, clock: Clock) -> None:
        self._database = database
        self._jobs = jobs
        self._clock = clock

    async def submit(self, caller: Caller, draft: SweepDraft, jobs: Sequence[JobDraft]) -> Sweep:
        """
        Accept every job of a sweep, or none.

        Args:
            jobs: The draft's `documents`, each checked for its shape.

        Raises: what `Jobs.submit` raises.
        """
        caller.require("jobs:submit")
        sweep = SweepRow(
            id=ids.new("sweep"),
            organization_id=caller.organization_id,
            user_id=caller.user_id,
            name=draft.name,
            varied=draft.varied(),
            task=jobs[0].config.task,
            created_at=self._clock.now(),
        )
        intake = self._jobs.intake
        checked = [await intake.checked(caller, job, sweep_id=sweep.id) for job in jobs]
        # Ids sort by time to the millisecond only; these shall sort as the request does.
        for new, id in zip(checked, sorted(new.row.id for new in checked), strict=True):
            new.row.id = id
        await intake.save(caller, checked, [sweep])
        return await self.get(caller, sweep.id)

    async def listed(self, caller: Caller, page: Page) -> Listed[SweepSummary]:
        caller.require("jobs:read")
        found = SweepRow.filter(organization_id=caller.organization_id)
        rows = await found.order_by(*order_of(page.sort, SORTS)).offset(page.offset).limit(page.limit)
        jobs: dict[str, list[JobRow]] = defaultdict(list)
        for job in await JobRow.filter(sweep_id__in=[row.id for row in rows]).only(*_HOW_FAR):
            jobs[str(job.sweep_id)].append(job)
        return Listed(
            items=[SweepSummary(**_summary(row, jobs[row.id])) for row in rows],
            total=await found.count(),
            limit=page.limit,
            offset=page.offset,
        )

    async def get(self, caller: Caller, id: str) -> Sweep:
        """
        Raises:
            NotFound: No such sweep in the caller's organization.
        """
        caller.require("jobs:read")
        row = await self._row(caller, id)
        jobs = await JobRow.filter(sweep_id=id).order_by("id")
        names, goal = METRICS.get(row.task, ((), "max"))
        known = {job.id: sweeps.scores(row.task, job.metrics, _progress(job)) for job in jobs}
        # One metric for all: the first that any of them has.
        metric = next((name for name in names if any(name in scores for scores in known.values())), None)
        trials = [_trial(row, job, known[job.id].get(metric or "")) for job in jobs]
        return Sweep(
            **_summary(row, jobs),
            metric=metric,
            goal=goal,
            best=sweeps.ranked(trials, goal),
            cost=sum(job.cost for job in jobs),
            estimated_cost=sum(job.estimated_cost for job in jobs),
        )

    async def cancel(self, caller: Caller, id: str) -> Sweep:
        """
        Cancel every job that has not ended. Cancelling twice is cancelling once.

        Raises:
            NotFound: No such sweep in the caller's organization.
            Forbidden: Somebody else's, and the caller may only cancel their own.
        """
        caller.require("jobs:cancel")
        row = await self._row(caller, id)
        if row.user_id != caller.user_id and not caller.may("jobs:*"):
            raise Forbidden("This sweep is somebody else's; only an admin may cancel it.")
        live = await JobRow.filter(sweep_id=id, status__in=[status.value for status in LIVE]).only("id", "status")
        # Those that wait first, so that none of them takes the slot of one that ends.
        for job in live:
            if job.status != Status.RUNNING:
                await self._cancel(caller, job.id)
        await asyncio.gather(*(self._cancel(caller, job.id) for job in live if job.status == Status.RUNNING))
        return await self.get(caller, id)

    # Inside ------------------------------------------------------------------------------------------------------

    async def _cancel(self, caller: Caller, job_id: str) -> None:
        # One that has just completed needs no cancelling.
        with contextlib.suppress(Conflict):
            await self._jobs.cancel(caller, job_id)

    async def _row(self, caller: Caller, id: str) -> SweepRow:
        row = await SweepRow.get_or_none(id=id, organization_id=caller.organization_id)
        if row is None:
            raise NotFound.of("sweep", id)
        return row


def _progress(job: JobRow) -> Progress:
    return msgspec.convert(job.progress, Progress)


def _summary(row: SweepRow, jobs: Sequence[JobRow]) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "user_id": row.user_id,
        "created_at": row.created_at,
        "n_jobs": len(jobs),
        "progress": sweeps.progress_of([(Status(job.status), _progress(job)) for job in jobs]),
        "states": dict(Counter(str(Status(job.status).value) for job in jobs)),
        "varied": row.varied,
    }


def _trial(row: SweepRow, job: JobRow, score: float | None) -> Trial:
    test = job.metrics.get("test_accuracy", job.metrics.get("test_r2"))
    return Trial(
        job_id=job.id,
        status=Status(job.status),
        parameters={key: job.circuit_id if key == "circuit_id" else job.config.get(key) for key in row.varied},
        progress=_progress(job).percentage,
        score=score,
        test_score=test,
        model_id=job.model_id,
        reason=job.reason,
    )
