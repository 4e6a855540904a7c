"""
The outbox: what has to reach somebody outside is a row first, and is delivered by one task beside the requests.

A letter is delivered at least once. It is tried again after growing pauses until its receiver takes it or it is given up;
a server that is killed in the middle leaves a row that the next one takes up.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import structlog
from tortoise.expressions import Q
from tortoise.functions import Min

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.outbox import OutboxRow
from qstore_appliance.deliveries import NotDelivered
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.listing import Listed, Page
from qstore_appliance.domain.outbox import Channel, Letter, LetterStatus
from qstore_appliance.domain.ports import Clock
from qstore_appliance.errors import Conflict, NotFound, QStoreError
from qstore_appliance.services.audit import Audit
from qstore_appliance.services.sorting import order_of
from qstore_appliance.settings import Settings

log = structlog.get_logger(__name__)

#: Twelve attempts with doubling pauses from half a minute on are spread over about 17 hours.
MAX_ATTEMPTS = 12
FIRST_PAUSE = 30.0
#: Each pause is shorter or longer by up to so much, so that letters which failed together do not come back together.
JITTER = 0.2
AT_ONCE = 8
#: Nothing that delivers takes as long as that; whoever has had a letter for longer is gone.
LEASE = timedelta(seconds=120)
LOOK_SECONDS = 2.0
#: Letters of so many organizations and receivers are looked at together.
MAX_LINES = 200
KEEP = {LetterStatus.DELIVERED: timedelta(days=30), LetterStatus.DEAD: timedelta(days=90)}
SWEEP_SECONDS = 3_600.0
SORTS = ("created_at", "next_attempt_at")
#: Every letter of this kind goes through the same mail server.
MAIL_SERVER = "mail"

Deliver = Callable[[Letter], Awaitable[None]]


class _Line(NamedTuple):
    """Letters of one organization to one receiver: they go one after another."""

    organization_id: str
    receiver: str


class Outbox:
    """
    Args:
        doors: How letters of each kind are delivered; raising `NotDelivered` where they are not.
        pause: Seconds before the second attempt.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        doors: Mapping[Channel, Deliver],
        *,
        pause: float = FIRST_PAUSE,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._doors = doors
        self._pause = pause
        self._underway: dict[asyncio.Task[None], _Line] = {}
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._swept: float | None = None

    # Writing and looking -----------------------------------------------------------------------------------------

    async def put(
        self, organization_id: str, kind: Channel, destination: str, event: str, payload: Mapping[str, Any], id: str
    ) -> None:
        """
        Write a letter down, inside the caller's transaction: it is there if what it tells of is.

        Args:
            id: From `ids.new("outbox")`.
        """
        now = self._clock.now()
        receiver = MAIL_SERVER if kind == Channel.EMAIL else urlsplit(destination).netloc.lower()
        await OutboxRow.create(
            id=id,
            organization_id=organization_id,
            kind=kind.value,
            receiver=receiver[:300],
            destination=destination,
            event=event,
            payload=dict(payload),
            status=LetterStatus.PENDING.value,
            next_attempt_at=now,
            created_at=now,
        )

    async def listed(self, caller: Caller, page: Page, statuses: list[LetterStatus] | None = None) -> Listed[Letter]:
        caller.require("settings:read")
        found = OutboxRow.filter(organization_id=caller.organization_id)
        if statuses:
            found = found.filter(status__in=[status.value for status in statuses])
        rows = await found.order_by(*order_of(page.sort, SORTS)).offset(page.offset).limit(page.limit)
        return Listed(
            items=[row.to_domain() for row in rows], total=await found.count(), limit=page.limit, offset=page.offset
        )

    async def retry(self, caller: Caller, id: str) -> Letter:
        """
        Try a letter now: a dead one from the beginning, one that waits before its time.

        Raises:
            NotFound: No such letter in the caller's organization.
            Conflict: It was delivered.
        """
        caller.require("settings:write")
        mine = OutboxRow.filter(id=id, organization_id=caller.organization_id)
        async with self._database.transaction():
            now = self._clock.now()
            await mine.filter(status=LetterStatus.DEAD).update(status=LetterStatus.PENDING, attempts=0)
            await mine.filter(status=LetterStatus.PENDING).update(next_attempt_at=now)
            row = await mine.first()
            if row is None:
                raise NotFound.of("letter", id)
            if row.status == LetterStatus.DELIVERED:
                raise Conflict("This letter was delivered already.")
            await Audit(self._database, self._clock).record(
                "outbox.retried", organization_id=caller.organization_id, caller=caller, subject=id
            )
        self.wake()
        return row.to_domain()

    def wake(self) -> None:
        """Look now."""
        self._woken.set()

    # Delivering --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take up what waits, and what a server that was killed had on its way."""
        if self._task is not None:
            return
        if not self._settings.queue.url:
            # Nobody else delivers here, so every lease is of a server that is gone.
            async with self._database.transaction():
                await OutboxRow.filter(status=LetterStatus.PENDING).update(lease_until=None)
        self._task = asyncio.create_task(self._look_always(), name="outbox")

    async def close(self) -> None:
        """What is on its way is broken off, and delivered by the next server, perhaps a second time."""
        tasks = [*self._underway, *([self._task] if self._task is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = None

    async def _look_always(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._begin_due()
                await self._sweep()
            except QStoreError as error:
                log.warning("outbox.skipped", error=error.message)
            except Exception:
                # A fault of ours in one look must not keep every later letter.
                log.exception("outbox.broke")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._woken.wait()

    async def _begin_due(self) -> None:
        """Begin as many letters as there is room for: one of each line, and of no receiver more than half of all."""
        if len(self._underway) >= AT_ONCE:
            return
        now = self._clock.now()
        due = OutboxRow.filter(_free(now), status=LetterStatus.PENDING, next_attempt_at__lte=now)
        lines = (
            await due.annotate(first=Min("id"), since=Min("next_attempt_at"))
            .group_by("organization_id", "receiver")
            .order_by("since")
            .limit(MAX_LINES)
            .values_list("organization_id", "receiver", "first")
        )
        for organization_id, receiver, first in lines:
            line = _Line(str(organization_id), str(receiver))
            taken = list(self._underway.values())
            if len(taken) >= AT_ONCE:
                return
            if line in taken or sum(one.receiver == receiver for one in taken) >= AT_ONCE // 2:
                continue
            letter = await self._claimed(str(first))
            if letter is not None:
                task = asyncio.create_task(self._deliver(letter), name=f"outbox.{letter.id}")
                self._underway[task] = line
                task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._underway.pop(task, None)
        self.wake()

    async def _claimed(self, id: str) -> Letter | None:
        """The letter, if nobody else has it now; its attempt is counted before it is made."""
        now = self._clock.now()
        async with self._database.transaction():
            row = await OutboxRow.get_or_none(id=id)
            if row is None:
                return None
            mine = OutboxRow.filter(_free(now), id=id, status=LetterStatus.PENDING, attempts=row.attempts)
            if row.attempts >= MAX_ATTEMPTS:
                await mine.update(status=LetterStatus.DEAD, last_error="The server ended during the last attempt.")
                return None
            if not await mine.update(attempts=row.attempts + 1, lease_until=now + LEASE):
                return None
            return (await OutboxRow.get(id=id)).to_domain()

    async def _deliver(self, letter: Letter) -> None:
        fault: NotDelivered | None = None
        try:
            async with asyncio.timeout(LEASE.total_seconds() / 2):
                await self._doors[letter.kind](letter)
        except NotDelivered as error:
            fault = error
        except TimeoutError:
            fault = NotDelivered("The receiver took too long.")
        except Exception:
            log.exception("outbox.door_broke", id=letter.id, kind=letter.kind)
            fault = NotDelivered("A fault of this server; its log has the cause.")
        try:
            await self._settle(letter, fault)
        except QStoreError as error:
            # The lease runs out, and the letter is sent once more: rather twice than never.
            log.warning("outbox.not_settled", id=letter.id, error=error.message)

    async def _settle(self, letter: Letter, fault: NotDelivered | None) -> None:
        now = self._clock.now()
        changes: dict[str, Any] = {"lease_until": None}
        if fault is None:
            changes |= {"status": LetterStatus.DELIVERED, "delivered_at": now, "last_error": None}
        elif fault.final or letter.attempts >= MAX_ATTEMPTS:
            changes |= {"status": LetterStatus.DEAD, "last_error": fault.reason}
        else:
            pause = self._pause * 2 ** (letter.attempts - 1) * random.uniform(1 - JITTER, 1 + JITTER)
            changes |= {"next_attempt_at": now + timedelta(seconds=pause), "last_error": fault.reason}
        async with self._database.transaction():
            mine = OutboxRow.filter(id=letter.id, status=LetterStatus.PENDING, attempts=letter.attempts)
            await mine.update(**changes)
        log.info(
            "outbox.delivered" if fault is None else "outbox.not_delivered",
            id=letter.id,
            kind=letter.kind,
            attempt=letter.attempts,
            **({} if fault is None else {"error": fault.reason}),
        )

    async def _sweep(self) -> None:
        """Forget what nobody asks for any more."""
        now = asyncio.get_running_loop().time()
        if self._swept is not None and now < self._swept + SWEEP_SECONDS:
            return
        self._swept = now
        for status, kept in KEEP.items():
            old = OutboxRow.filter(status=status, created_at__lt=self._clock.now() - kept)
            if await old.exists():
                async with self._database.transaction():
                    await old.delete()


def _free(now: Any) -> Q:
    """Nobody has it on its way."""
    return Q(lease_until__isnull=True) | Q(lease_until__lt=now)
