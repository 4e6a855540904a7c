"""
`backend.status`: whoever listens hears within a second that a backend has changed its status.

Every process says what it has found out itself; that a backend is degraded on another machine, that machine says.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from qstore_appliance.domain.backends import BackendStatus
from qstore_appliance.domain.events import BACKEND_STATUS, EVERYBODY, BackendUpdate, Event
from qstore_appliance.domain.ports import Clock, EventBus
from qstore_appliance.errors import QStoreError
from qstore_appliance.services.backends import Backends

log = structlog.get_logger(__name__)

#: Seconds between two looks where nobody tells of a change, for what other machines change.
LOOK_SECONDS = 5.0
#: After the database did not answer.
AGAIN_SECONDS = 1.0


class Announcements:
    """Looks whenever `Backends` has found out something, and when a maintenance window begins or ends."""

    def __init__(self, backends: Backends, events: EventBus, clock: Clock) -> None:
        self._backends = backends
        self._events = events
        self._clock = clock
        self._known: dict[str, BackendStatus] = {}
        self._told = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """From now on changes are announced; how it stands now is taken to be known."""
        self._loop = asyncio.get_running_loop()
        self._known, _ = await self._backends.states()
        self._backends.changed = self.tell
        self._task = asyncio.create_task(self._look_always(), name="announcements")

    def tell(self) -> None:
        """Something may have changed. From any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._told.set)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    # Inside ------------------------------------------------------------------------------------------------------

    async def _look_always(self) -> None:
        pause = LOOK_SECONDS
        while True:
            # Not `wait_for`: up to Python 3.11 it loses a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._told.wait()
            self._told.clear()
            try:
                pause = await self._look()
            except QStoreError as error:
                log.warning("announcements.skipped", error=error.message)
                pause = AGAIN_SECONDS
            except Exception:
                # A fault of ours in one look must not be the end of all announcements.
                log.exception("announcements.broke")
                pause = LOOK_SECONDS

    async def _look(self) -> float:
        """Returns: seconds until the next look."""
        states, boundary = await self._backends.states()
        changed = [name for name, status in states.items() if status != self._known.get(name)]
        if changed:
            now = self._clock.now()
            for record in await self._backends.records(changed):
                update = BackendUpdate(
                    backend_id=record.id,
                    # Of the record may be said what another machine has found; that has been announced there.
                    status=states[record.name],
                    queue_depth=record.queue_depth,
                    avg_latency_ms=record.avg_latency_ms,
                    timestamp=now,
                )
                await self._events.publish(
                    Event(organization_id=EVERYBODY, channel=BACKEND_STATUS, subject=record.id, seq=0, data=update)
                )
                self._known[record.name] = states[record.name]
        if boundary is None:
            return LOOK_SECONDS
        return min(LOOK_SECONDS, max(0.0, (boundary - self._clock.now()).total_seconds()))
