"""
What this process hears from the bus: one subscription per subject, however many people listen to it.

A job's channels are one feed, since their numbers have no hole: an event that did not come, or not in its turn, shows by
the next one and is read from the rows. Other channels are numbered here. A feed outlives its last reader for a while, so
that who lost a connection finds what came meanwhile.
"""

from __future__ import annotations

import asyncio
import time

import structlog

from qstore_appliance.domain import ids
from qstore_appliance.domain.events import CHANNELS, EVERYBODY, JOB_CHANNELS, BackendUpdate, Event
from qstore_appliance.domain.ports import EventBus, Subscription
from qstore_appliance.errors import NotFound
from qstore_appliance.services.journal import position, told
from qstore_appliance.services.windows import Window

log = structlog.get_logger(__name__)

#: A feed without readers is kept so long, ...
LINGER_SECONDS = 60.0
#: ... and no more than so many of them.
LINGERING = 1_000
#: Readers are told at once. Then the feed rests a few times as long as telling them took, so that what comes meanwhile
#: travels together: one reader hears each event by itself, a thousand hear what came in a fiftieth of a second.
REST_TIMES = 8
REST_SECONDS = 0.02
#: A quiet feed looks this often whether it missed something.
LOOK_SECONDS = 1.0
#: An event that is late gets so long before it is looked for in the rows; and so long again where those do not answer.
LATE_SECONDS = 0.05
AGAIN_SECONDS = 1.0
#: Events that came before their turn; further ones are in the rows as well.
EARLY = 256
PAGE = 256


class Feed:
    """One subject, heard: a window for each of its channels."""

    def __init__(self, bus: EventBus, organization_id: str, channels: tuple[str, ...], subject: str) -> None:
        self.organization_id = organization_id
        self.subject = subject
        self.windows: dict[str, Window] = {}
        #: The number of the newest event, on whichever channel.
        self.head = 0
        self.readers = 0
        #: Done once everything from `head` on is heard.
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._bus = bus
        self._channels = channels
        self._is_job = channels[0] in JOB_CHANNELS
        self._early: dict[int, Event] = {}
        #: Of a backend: what was told last.
        self._status: str | None = None
        self._lagged = False
        self._repairing: asyncio.Task[None] | None = None
        self._untold: set[str] = set()
        self._rests = False
        self._task = asyncio.create_task(self._run(), name=f"feed {channels[0]} {subject}")

    async def close(self) -> None:
        tasks = [task for task in (self._task, self._repairing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        first, *others = self._channels
        while True:
            try:
                async with self._bus.subscribe(self.organization_id, first, self.subject, also=others) as subscription:
                    if self.ready.done():
                        self._miss()
                    else:
                        self.head = await position(self.organization_id, self.subject) if self._is_job else 0
                        stream = self.subject if self._is_job else ids.new("stream")
                        for name in self._channels:
                            self.windows[name] = Window(CHANNELS[name], self.subject, stream, self.head)
                        self.ready.set_result(None)
                    await self._listen(subscription)
            except Exception as error:
                if not self.ready.done():
                    self.ready.set_exception(error)
                    # Whoever waits for it hears of it; if they have gone meanwhile, nobody has to.
                    self.ready.exception()
                    return
                log.exception("feeds.broke", channel=first, subject=self.subject)
                await asyncio.sleep(AGAIN_SECONDS)

    async def _listen(self, subscription: Subscription) -> None:
        events = aiter(subscription)
        while True:
            event: Event | None = None
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    event = await anext(events)
            except TimeoutError:
                pass
            if subscription.lagged:
                # Cleared first: whatever is dropped from here on is found by the next look.
                subscription.lagged = False
                self._miss()
            if event is not None:
                self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event.data, BackendUpdate):
            if event.data.status == self._status:
                # Each server of an installation says so when a maintenance window begins.
                return
            self._status = event.data.status
        if not self._is_job:
            self._append(self.head + 1, event)
        elif event.seq == self.head + 1:
            self._append(event.seq, event)
            self._take_early()
        elif event.seq > self.head:
            if len(self._early) < EARLY:
                self._early[event.seq] = event
            else:
                self._lagged = True
            self._repair()

    def _take_early(self) -> None:
        while (event := self._early.pop(self.head + 1, None)) is not None:
            self._append(event.seq, event)

    def _append(self, seq: int, event: Event) -> None:
        self.windows[event.channel].append(seq, event.data)
        self.head = seq
        self._tell(event.channel)

    # Telling readers ---------------------------------------------------------------------------------------------

    def _tell(self, *channels: str) -> None:
        self._untold.update(channels)
        if not self._rests:
            self._rests = True
            asyncio.get_running_loop().call_soon(self._tell_now)

    def _tell_now(self) -> None:
        channels, self._untold = self._untold, set()
        if not channels:
            self._rests = False
            return
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        for channel in channels:
            self.windows[channel].tell()
        loop.call_later(min(REST_SECONDS, REST_TIMES * (time.perf_counter() - began)), self._tell_now)

    # What was missed ---------------------------------------------------------------------------------------------

    def _miss(self) -> None:
        if self._is_job:
            self._lagged = True
            self._repair()
        else:
            # A number that nobody has seen: every reader is behind it.
            self._status = None
            self._lose(self.head + 1)

    def _lose(self, head: int) -> None:
        self.head = head
        for window in self.windows.values():
            window.lose(head)
        self._tell(*self.windows)

    def _repair(self) -> None:
        if self._repairing is None or self._repairing.done():
            self._repairing = asyncio.create_task(self._repaired())

    async def _repaired(self) -> None:
        """Until there is no hole any more."""
        await asyncio.sleep(LATE_SECONDS)
        while self._lagged or self._early:
            try:
                await self._fill()
            except NotFound:
                # The job is deleted, and whoever asks for it is told so.
                self._lagged = False
                self._early.clear()
            except Exception as error:
                log.warning("feeds.not_repaired", subject=self.subject, error=str(error))
                await asyncio.sleep(AGAIN_SECONDS)

    async def _fill(self) -> None:
        lagged, self._lagged = self._lagged, False
        try:
            upto = await position(self.organization_id, self.subject) if lagged else min(self._early) - 1
            while self.head < upto:
                events = await told(
                    self.organization_id, self.subject, self._channels, after=self.head, upto=upto, most=PAGE
                )
                if events is None:
                    self._lose(upto)
                    break
                for event in events:
                    # What came in its turn meanwhile is not taken twice.
                    if event.seq > self.head:
                        self._append(event.seq, event)
                if len(events) < PAGE:
                    self.head = max(self.head, upto)
        except Exception:
            self._lagged = self._lagged or lagged
            raise
        for seq in [seq for seq in self._early if seq <= self.head]:
            del self._early[seq]
        self._take_early()


class Feeds:
    """All that this process hears."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._feeds: dict[tuple[str, str, str], Feed] = {}
        #: Feeds without readers, the oldest first, and when they end.
        self._idle: dict[tuple[str, str, str], asyncio.TimerHandle] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def open(self, organization_id: str, channel: str, subject: str) -> Feed:
        """
        Everything after its `head` is heard from here on, until it is left.

        Raises:
            NotFound: No such job in this organization.
            Unavailable: The bus does not answer.
        """
        key = _key(organization_id, channel, subject)
        feed = self._feeds.get(key)
        if feed is None:
            channels = tuple(sorted(JOB_CHANNELS)) if channel in JOB_CHANNELS else (channel,)
            feed = self._feeds[key] = Feed(self._bus, key[0], channels, subject)
        feed.readers += 1
        if (timer := self._idle.pop(key, None)) is not None:
            timer.cancel()
        try:
            await asyncio.shield(feed.ready)
        except BaseException:
            self.leave(feed, channel)
            raise
        return feed

    def leave(self, feed: Feed, channel: str) -> None:
        key = _key(feed.organization_id, channel, feed.subject)
        feed.readers -= 1
        if feed.readers or self._feeds.get(key) is not feed:
            return
        if not feed.ready.done() or feed.ready.exception() is not None:
            self._end(key)
            return
        self._idle[key] = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._end, key)
        if len(self._idle) > LINGERING:
            self._end(next(iter(self._idle)))

    def _end(self, key: tuple[str, str, str]) -> None:
        if (timer := self._idle.pop(key, None)) is not None:
            timer.cancel()
        task = asyncio.create_task(self._feeds.pop(key).close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        for key in list(self._feeds):
            self._end(key)
        await asyncio.gather(*self._closing)


def _key(organization_id: str, channel: str, subject: str) -> tuple[str, str, str]:
    family = "job" if channel in JOB_CHANNELS else channel
    return (EVERYBODY if CHANNELS[channel].shared else organization_id, family, subject)
