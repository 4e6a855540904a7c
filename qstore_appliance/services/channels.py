"""
Listening to channels: who may, from where on, and what they missed. Every door of the API asks here.

A reader is a place in a window that all readers share. Where the window begins later than the reader's place, the rows
are read; where those are gone too, the reader is told to begin anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.events import BACKEND_STATUS, CHANNELS, DEPLOYMENT_STATUS, JOB_CHANNELS, Channel
from qstore_appliance.errors import NotFound, ValidationFailed
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.feeds import Feed, Feeds
from qstore_appliance.services.jobs import Jobs
from qstore_appliance.services.journal import told
from qstore_appliance.services.models import Models
from qstore_appliance.services.windows import BATCH, Entry, fit

#: Readers that are behind read rows, so many at a time: a thousand who come back at once leave the others their database.
READING = 4
LONGEST_SUBJECT = 64


class Opened(NamedTuple):
    """`anew`: what lies between the reader's last event and `seq` cannot be had; the thing itself must be read."""

    reader: Reader
    stream: str
    seq: int
    anew: bool


News = Callable[["Reader"], None]


class Channels:
    def __init__(self, feeds: Feeds, jobs: Jobs, models: Models, backends: Backends) -> None:
        self._feeds = feeds
        self._jobs = jobs
        self._models = models
        self._backends = backends
        self._reading = asyncio.Semaphore(READING)

    async def open(
        self,
        caller: Caller,
        name: str,
        subject: str | None,
        news: News,
        last_seq: int | None = None,
        stream: str | None = None,
    ) -> Opened:
        """
        Listen to a channel, from its next event on or from the one after `last_seq`.

        Args:
            subject: The id of what the channel is about, where it is about one thing.
            news: Called with the reader when there may be something to take; not before this returns.

        Raises:
            ValidationFailed: No such channel, or its subject is missing or superfluous.
            Forbidden: The caller may not listen to it.
            NotFound: The subject is not there, or not the caller's.
            Unavailable: The bus does not answer.
        """
        channel = checked(name, subject)
        require(caller, channel)
        subject = subject or ""
        newest = await self._check(caller, channel, subject)
        feed = await self._feeds.open(caller.organization_id, name, subject)
        reader = Reader(self._feeds, feed, channel, self._reading, news)
        window = feed.windows[name]
        foreign = stream != window.stream and name not in JOB_CHANNELS
        # Another server may have told more than has come here so far.
        if last_seq is not None and not foreign and 0 <= last_seq <= max(newest, feed.head):
            reader.cursor = last_seq
            return Opened(reader, window.stream, max(feed.head, last_seq), anew=False)
        anew = last_seq is not None or (stream is not None and foreign)
        return Opened(reader, window.stream, feed.head, anew)

    async def _check(self, caller: Caller, channel: Channel, subject: str) -> int:
        """That the subject is there; of a job, the number of its newest event."""
        if channel.name in JOB_CHANNELS:
            if not ids.is_id("job", subject):
                raise NotFound.of("job", subject)
            return await self._jobs.position(caller, subject)
        if channel.name == DEPLOYMENT_STATUS:
            if not ids.is_id("deploy", subject):
                raise NotFound.of("deployment", subject)
            await self._models.deployment(caller, subject)
        elif channel.name == BACKEND_STATUS:
            self._backends.id_of(subject)
        return 0


class Reader:
    """Where one subscriber stands in a channel. `take` what there is, `earlier` where that says None."""

    __slots__ = ("_feed", "_feeds", "_news", "_reading", "_window", "channel", "cursor")

    def __init__(
        self,
        feeds: Feeds,
        feed: Feed,
        channel: Channel,
        reading: asyncio.Semaphore,
        news: News,
    ) -> None:
        self.channel = channel
        self.cursor = feed.head
        self._feeds = feeds
        self._feed = feed
        self._window = feed.windows[channel.name]
        self._reading = reading
        self._news = news
        self._window.readers.add(self._tell)

    @property
    def subject(self) -> str:
        return self._window.subject

    @property
    def stream(self) -> str:
        return self._window.stream

    @property
    def is_behind(self) -> bool:
        """What follows is not in the window any more."""
        return self.cursor < self._window.base

    @property
    def is_current(self) -> bool:
        return self.cursor >= self._window.newest

    def take(self) -> list[Entry] | None:
        """The next events, none if there are none; None where they are not in the window any more."""
        entries = self._window.after(self.cursor)
        if entries:
            self.cursor = entries[-1].seq
        return entries

    async def earlier(self) -> list[Entry] | None:
        """
        Events from before the window, read from the rows.

        Returns: None where they are gone: the reader now stands where the window begins.
        """
        base = self._window.base
        if self.channel.name in JOB_CHANNELS:
            async with self._reading:
                events = await told(
                    self._feed.organization_id,
                    self.subject,
                    (self.channel.name,),
                    after=self.cursor,
                    upto=base,
                    most=BATCH,
                )
            if events is not None:
                entries = [Entry(event.seq, msgspec.json.encode(event.data)) for event in events]
                fitting = fit(entries)
                self.cursor = base if len(fitting) == len(events) < BATCH else fitting[-1].seq
                return fitting
        self.cursor = base
        return None

    def frame(self, door: str, entries: Sequence[Entry], build: Callable[[], bytes]) -> bytes:
        """What a door sends for entries; readers at the same place share it."""
        return self._window.frame(door, entries[0].seq, entries[-1].seq, build)

    def close(self) -> None:
        """Idempotent."""
        if self._tell in self._window.readers:
            self._window.readers.discard(self._tell)
            self._feeds.leave(self._feed, self.channel.name)

    def _tell(self) -> None:
        self._news(self)


def checked(name: str, subject: str | None) -> Channel:
    """
    Raises:
        ValidationFailed: No such channel, or its subject is missing or superfluous.
    """
    channel = CHANNELS.get(name)
    if channel is None:
        raise ValidationFailed.field("channel", f"there are {', '.join(sorted(CHANNELS))}")
    if channel.subject is None and subject is not None:
        raise ValidationFailed.field("channel", f"{name} is about nothing in particular: it takes no id")
    if channel.subject is not None and (not subject or len(subject) > LONGEST_SUBJECT):
        noun = channel.subject.removesuffix("_id")
        raise ValidationFailed.field(channel.subject, f"{name} needs the id of a {noun}")
    return channel


def require(caller: Caller, channel: Channel) -> None:
    """
    Raises:
        Forbidden: The caller may not listen to this channel.
    """
    for permission in channel.permissions:
        caller.require(permission)


def may(caller: Caller, channel: Channel) -> bool:
    return all(caller.may(permission) for permission in channel.permissions)
