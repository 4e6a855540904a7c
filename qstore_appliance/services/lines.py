"""
The line of jobs that wait, as the rows have it: who is taken next, how many are before a job, and what it waits for.

The order is `domain/lines.py`'s. What a job waits for is worked out when somebody asks, so it is true and nothing has to
be written for it; only what a slot alone can know, that memory is short, is kept in the row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from tortoise.expressions import Q
from tortoise.functions import Count, Sum
from tortoise.queryset import QuerySet

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import OrganizationRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain import lines
from qstore_appliance.domain.jobs import Priority, Progress, Status
from qstore_appliance.domain.lines import Group, Share, Waiting
from qstore_appliance.domain.ports import Clock
from qstore_appliance.services.admission import BEGINNINGS
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.fleet import WAITS, Bound
from qstore_appliance.services.pauses import Pauses
from qstore_appliance.settings import Settings

#: So begins the reason of a job that did not fit beside what ran when a slot looked at it.
MEMORY = "Waits for memory: "
#: Of a line with more jobs than that the counts are a little old, so that each look at it does not count it anew.
LONG = 1_000
OLDEST = timedelta(seconds=2)
#: So many of each organization, priority and backend are looked at; whoever is behind them comes after them.
HEADS = 16
_HEADS = """
SELECT id FROM (
    SELECT id, row_number() OVER (PARTITION BY organization_id, priority, backend ORDER BY queued_at, id) AS place
    FROM training_jobs WHERE status = 'queued'
) AS line WHERE place <= {limit}
"""


class Place(NamedTuple):
    """
    Where a job stands: jobs before it, and when one of the slots will come to it: now where one is free. None where
    nobody can tell: this server has no slots, or what holds the job back is not a slot.
    """

    before: int
    starts: datetime | None

    @property
    def position(self) -> int:
        return self.before + 1


class _Now(NamedTuple):
    """What is the same for everybody who waits."""

    moment: datetime
    held: Mapping[str, str]
    full: Mapping[str, str]
    shares: Mapping[str, Share]
    groups: Sequence[Group]
    running: int
    beyond: Sequence[Bound]


class Lines:
    def __init__(
        self, database: Database, backends: Backends, clock: Clock, settings: Settings, pauses: Pauses | None = None
    ) -> None:
        self._database = database
        self._backends = backends
        self._clock = clock
        self._settings = settings
        self._pauses = pauses
        self._counted: _Now | None = None

    # For slots ---------------------------------------------------------------------------------------------------

    async def heads(self, limit: int = HEADS, *, patient: bool = False) -> list[Waiting]:
        """
        The next that may start now, in the order in which they are taken: not those that their organization's or their
        backend's limits keep waiting, nor those that are for another machine.

        Args:
            patient: Wait for the first probes of their backends, to know which are for another machine. Otherwise nobody
                is kept from trying one that was not probed yet.
        """
        found = await self._database.connection.execute_query_dict(_HEADS.format(limit=int(limit)))
        if not found:
            return []
        held, shares = await self._backends.held(), await self._shares()
        full = await self._full(shares)
        rows = await JobRow.filter(id__in=[row["id"] for row in found], status=Status.QUEUED).only(
            *("id", "organization_id", "priority", "queued_at", "created_at", "backend", "expected_bytes", "needs_gpu")
        )
        rows = [row for row in rows if row.backend not in held and row.organization_id not in full]
        if self._backends.fleet.shared:
            rows = await self._ours(rows, patient)
        waiting = [waiting_of(row) for row in rows]
        return lines.in_order(
            waiting, await self._last_starts(shares, {one.organization_id for one in waiting}), self._clock.now()
        )

    async def tell_why(self) -> None:
        """Jobs that a backend or the lack of a machine keeps waiting say so; those that wait for that no more do not."""
        held, beyond = await self._backends.held(), await self._beyond()
        queued = JobRow.filter(status=Status.QUEUED)
        stale: list[tuple[QuerySet[JobRow], str | None]] = [
            (queued.filter(backend=name).filter(Q(reason__isnull=True) | ~Q(reason=reason)), reason)
            for name, reason in held.items()
        ]
        others = queued.exclude(backend__in=list(held))
        freed = others.filter(Q(*(Q(reason__startswith=words) for words in (*BEGINNINGS, WAITS)), join_type=Q.OR))
        for bound in beyond:
            unsaid = Q(reason__isnull=True) | ~Q(reason=bound.reason)
            stale.append((others.filter(bound.rows).filter(unsaid), bound.reason))
            freed = freed.exclude(bound.rows)
        stale.append((freed, None))
        for rows, reason in stale:
            # On SQLite a transaction makes everybody wait, and mostly there is nothing to write.
            if await rows.exists():
                async with self._database.transaction():
                    await rows.update(reason=reason, updated_at=self._clock.now())

    async def full(self, organization_id: str) -> str | None:
        """Inside the transaction that takes a job: why no further job of the organization may run now."""
        # The row's lock lets one slot count at a time; SQLite has one writer anyway.
        organization = await OrganizationRow.filter(id=organization_id).select_for_update().first()
        allowed = organization.to_domain().settings.max_concurrent_jobs if organization else 1
        running = await JobRow.filter(
            organization_id=organization_id, status=Status.RUNNING, lease_until__gt=self._clock.now()
        ).count()
        return None if running < allowed else _full(running, allowed)

    # For people --------------------------------------------------------------------------------------------------

    async def place(self, row: JobRow) -> Place:
        """Where a job that waits stands now."""
        now = await self._now()
        before, seconds = await self._before(row, now)
        slots = self._slots()
        if not slots:
            return Place(before, None)
        if now.running + before < slots:
            held = row.backend in now.held or row.organization_id in now.full
            return Place(before, None if held else self._clock.now())
        for job in await JobRow.filter(status=Status.RUNNING).only("progress", "expected_seconds"):
            eta = msgspec.convert(job.progress, Progress).eta_seconds
            seconds += eta if eta is not None else job.expected_seconds or 0.0
        return Place(before, now.moment + timedelta(seconds=seconds / slots))

    async def reasons(self, rows: Collection[JobRow]) -> dict[str, str | None]:
        """By id, what each of these waits for; of one that does not wait, the reason that it has."""
        found: dict[str, str | None] = {row.id: row.reason for row in rows}
        waiting = [row for row in rows if row.status == Status.QUEUED]
        if waiting:
            now = await self._now()
            for row in waiting:
                found[row.id] = await self._reason(row, now)
        return found

    # Inside ------------------------------------------------------------------------------------------------------

    def _slots(self) -> int:
        """Of all machines, where there are several."""
        slots = self._backends.fleet.slots() if self._settings.queue.url else None
        return self._settings.jobs.slots if slots is None else slots

    async def _ours(self, rows: Sequence[JobRow], patient: bool) -> list[JobRow]:
        """Those that this machine can run."""
        if patient:
            for name in sorted({row.backend for row in rows}):
                await self._backends.probed_once(name)
        fleet = self._backends.fleet
        return [row for row in rows if not self._backends.is_settled(row.backend) or not fleet.is_for_others(row.needs)]

    async def _beyond(self) -> list[Bound]:
        """What of the jobs that wait no living machine can run."""
        fleet = self._backends.fleet
        if not fleet.shared:
            return []
        waiting = JobRow.filter(status=Status.QUEUED).distinct()
        names = sorted({str(name) for name in await waiting.values_list("backend", flat=True)})
        return fleet.beyond_all([name for name in names if self._backends.is_settled(name)])

    async def _reason(self, row: JobRow, now: _Now) -> str:
        said = row.reason or ""
        waits = await self._waits(row, now, said)
        # Of one that ran before, how it came back into the line is worth knowing too.
        earlier = said if said and not said.startswith("Waits for ") else ""
        return f"{earlier} {waits}".strip()

    async def _waits(self, row: JobRow, now: _Now, said: str) -> str:
        if row.backend in now.held:
            return now.held[row.backend]
        if row.organization_id in now.full:
            return now.full[row.organization_id]
        for bound in now.beyond:
            theirs = bound.backend == row.backend and bound.gpu == row.needs_gpu
            if theirs and (bound.most is None or (row.expected_bytes or 0) > bound.most):
                return bound.reason
        before, _ = await self._before(row, now)
        if before:
            return f"Waits for its turn: {before} job{'s are' if before > 1 else ' is'} before it."
        slots = self._slots()
        if not slots:
            return "Waits for a server that takes jobs; this one has no slots."
        if now.running >= slots:
            return f"Waits for a free slot: {now.running} of {slots} busy."
        return said if said.startswith(MEMORY) else "Waits for a free slot to take it."

    async def _before(self, row: JobRow, now: _Now) -> tuple[int, float]:
        """Jobs before this one, and the seconds that they are expected to take."""
        own = waiting_of(row)
        level = lines.level(own.priority, own.since, now.moment)
        mates = _on_level(level, now.moment).filter(organization_id=row.organization_id)
        mates = mates.exclude(backend__in=list(now.held)).exclude(id=row.id)
        earlier = Q(queued_at__lt=own.since) | Q(queued_at=own.since, id__lt=row.id)
        in_front = await mates.filter(earlier).count()
        return lines.ahead(now.groups, now.shares, row.organization_id, level, in_front)

    async def _now(self) -> _Now:
        kept = self._counted
        if kept is not None and timedelta() <= self._clock.now() - kept.moment < OLDEST:
            return kept
        found = await self._count()
        self._counted = found if sum(group.count for group in found.groups) > LONG else None
        return found

    async def _count(self) -> _Now:
        moment, shares, held = self._clock.now(), await self._shares(), await self._backends.held()
        full = await self._full(shares)
        groups: list[Group] = []
        for level in range(lines.FRONT + 1):
            mates = _on_level(level, moment).exclude(backend__in=list(held)).exclude(organization_id__in=list(full))
            counted = mates.annotate(waiting=Count("id"), seconds=Sum("expected_seconds")).group_by("organization_id")
            groups += [
                Group(str(id), level, int(count), float(seconds or 0.0))
                for id, count, seconds in await counted.values_list("organization_id", "waiting", "seconds")
            ]
        running = sum(share.running for share in shares.values())
        shares = await self._last_starts(shares, {group.organization_id for group in groups})
        return _Now(moment, held, full, shares, groups, running, await self._beyond())

    async def _shares(self) -> dict[str, Share]:
        """What the organizations have that run jobs."""
        counted = JobRow.filter(status=Status.RUNNING).annotate(running=Count("id")).group_by("organization_id")
        return {str(id): Share(int(count)) for id, count in await counted.values_list("organization_id", "running")}

    async def _last_starts(self, shares: Mapping[str, Share], organizations: Collection[str]) -> dict[str, Share]:
        rows = await OrganizationRow.filter(id__in=list(organizations)).values_list("id", "job_started_at")
        return {str(id): shares.get(str(id), Share())._replace(last_start=last) for id, last in rows}

    async def _full(self, shares: Mapping[str, Share]) -> dict[str, str]:
        """Organizations that run as many jobs as they may, or whose budget pauses them, each with the sentence that says so."""
        found = {}
        for row in await OrganizationRow.filter(id__in=list(shares)):
            running, allowed = shares[row.id].running, row.to_domain().settings.max_concurrent_jobs
            if running >= allowed:
                found[row.id] = _full(running, allowed)
        return found if self._pauses is None else {**found, **await self._pauses.held()}


def waiting_of(row: JobRow) -> Waiting:
    return Waiting(
        id=row.id,
        organization_id=row.organization_id,
        priority=Priority(row.priority),
        since=row.queued_at or row.created_at,
        backend=row.backend,
        needs_bytes=row.expected_bytes,
    )


def _on_level(level: int, now: datetime) -> QuerySet[JobRow]:
    """Jobs that wait and stand on this level."""
    standing = Q()
    for priority in Priority:
        since = dict(lines.thresholds(priority, now))
        own = lines.LEVELS[priority]
        if level < own:
            continue
        there = Q(priority=priority.value)
        if level > own:
            there &= Q(queued_at__lte=since[level])
        if level < lines.FRONT:
            there &= Q(queued_at__gt=since[level + 1])
        standing |= there
    return JobRow.filter(status=Status.QUEUED).filter(standing)


def _full(running: int, allowed: int) -> str:
    return f"Waits for another job of the organization: {running} of {allowed} run."
