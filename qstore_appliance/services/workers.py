"""
The machines that take jobs: each writes down that it is there and what it can do, every few seconds, and reads of the
others. Nothing depends on these rows but whom a job is left to: who runs a job is told by its lease.
"""

from __future__ import annotations

import asyncio
import os
import socket
from datetime import timedelta
from importlib import metadata

import msgspec
import structlog

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.database.tables.workers import WorkerRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.jobs import Status
from qstore_appliance.domain.listing import Listed, Page
from qstore_appliance.domain.ports import Clock
from qstore_appliance.domain.workers import BEAT_SECONDS, LOST_SECONDS, Worker, WorkerKind
from qstore_appliance.errors import Forbidden, QStoreError
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.machine import cores, graphics_cards, memory_capacity
from qstore_appliance.services.sorting import order_of
from qstore_appliance.settings import Settings

log = structlog.get_logger(__name__)

SORTS = ("started_at", "heartbeat_at", "host", "kind")
#: One that was lost is shown for so long; then nobody wonders any more where it went.
FORGOTTEN = timedelta(hours=1)


class Workers:
    """Keeps `backends.fleet` up to date, and this machine's own row."""

    def __init__(self, database: Database, backends: Backends, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._backends = backends
        self._fleet = backends.fleet
        self._clock = clock
        self._settings = settings
        self._me: Worker | None = None
        self._written: dict[str, object] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self, kind: WorkerKind, owner: str) -> None:
        """Say that this process takes jobs, and go on saying it. Rows of former ones of its data directory go."""
        now = self._clock.now()
        self._me = Worker(
            id=ids.new("worker"),
            owner=owner,
            host=socket.gethostname(),
            pid=os.getpid(),
            kind=kind,
            slots=self._settings.jobs.slots,
            cores=cores(),
            memory_bytes=memory_capacity(),
            gpus=graphics_cards(),
            backends={},
            version=await asyncio.to_thread(metadata.version, "qstore-appliance"),
            started_at=now,
            heartbeat_at=now,
        )
        directory = owner.partition(":")[0]
        values = {key: value for key, value in msgspec.structs.asdict(self._me).items() if key != "job_ids"}
        async with self._database.transaction():
            await WorkerRow.filter(directory=directory).delete()
            await WorkerRow.create(**{**values, "directory": directory, "kind": kind.value})
        self._fleet.here = self._here
        await self._look()
        self._task = asyncio.create_task(self._beat_always(), name="workers")

    async def close(self) -> None:
        """Stopped in order, so that nobody takes this machine to be lost."""
        if self._task is None or self._me is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        try:
            async with self._database.transaction():
                await WorkerRow.filter(id=self._me.id).delete()
        except QStoreError as error:
            log.info("workers.not_signed_off", error=error.message)

    async def listed(self, caller: Caller, page: Page) -> Listed[Worker]:
        """
        Every machine that takes jobs, those that were lost within the last hour too, with the jobs that each runs.

        Raises:
            Forbidden: The caller is not the operator.
        """
        if not caller.operator:
            raise Forbidden("Only the operator of this installation sees its machines.")
        rows = await WorkerRow.all().order_by(*order_of(page.sort, SORTS)).offset(page.offset).limit(page.limit)
        running: dict[str, list[str]] = {}
        jobs = JobRow.filter(status=Status.RUNNING, lease_owner__in=[row.owner for row in rows]).order_by("id")
        for owner, id in await jobs.values_list("lease_owner", "id"):
            running.setdefault(str(owner), []).append(str(id))
        items = [msgspec.structs.replace(row.to_domain(), job_ids=tuple(running.get(row.owner, ()))) for row in rows]
        return Listed(items=items, total=await WorkerRow.all().count(), limit=page.limit, offset=page.offset)

    async def beat(self) -> None:
        """Say that this process is there, with what its backends can do by now; then see who else is."""
        if self._me is None:
            return
        now = self._clock.now()
        values: dict[str, object] = {"heartbeat_at": now}
        described: dict[str, object] = msgspec.to_builtins(self._backends.descriptions())
        if described != self._written:
            values["backends"] = described
        async with self._database.transaction():
            mine = WorkerRow.filter(id=self._me.id)
            if not await mine.update(**values):
                # Tidied away by others while this process was stopped or cut off for long.
                whole = {key: value for key, value in msgspec.structs.asdict(self._me).items() if key != "job_ids"}
                await WorkerRow.create(
                    **{**whole, "directory": self._me.owner.partition(":")[0], "backends": described, **values}
                )
            await WorkerRow.filter(heartbeat_at__lt=now - FORGOTTEN).delete()
        self._written = described
        await self._look()

    # Inside ------------------------------------------------------------------------------------------------------

    def _here(self) -> Worker:
        assert self._me is not None
        return msgspec.structs.replace(self._me, backends=self._backends.descriptions())

    async def _look(self) -> None:
        if not self._fleet.shared or self._me is None:
            return
        since = self._clock.now() - timedelta(seconds=LOST_SECONDS)
        rows = await WorkerRow.filter(heartbeat_at__gte=since).exclude(id=self._me.id)
        self._fleet.others = tuple(row.to_domain() for row in rows)
        self._backends.changed()

    async def _beat_always(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await self.beat()
            except QStoreError as error:
                log.warning("workers.no_heartbeat", error=error.message)
            except Exception:
                # One beat that breaks must not be the last: the machine would be taken to be lost.
                log.exception("workers.heartbeat_broke")
