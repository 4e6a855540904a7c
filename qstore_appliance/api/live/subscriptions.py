"""
The subscriptions of one connection, whichever door it came through.

Events are handed over only while the connection takes them. What a slow client has not taken waits nowhere: its place in
the channel stays where it is, and when it takes again it gets what followed, from the window that all share, from the
rows, or a `reset` where both have gone past it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import structlog

from qstore_appliance.api.live import frames
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.errors import Conflict, QStoreError
from qstore_appliance.services.channels import Channels, Reader, checked, may
from qstore_appliance.services.windows import Entry

log = structlog.get_logger(__name__)

MAX_SUBSCRIPTIONS = 100

Key = tuple[str, str]


class Outlet(Protocol):
    """The way to the client."""

    def takes(self) -> bool:
        """Whether it takes more now. Once it does again, it calls `Subscriptions.go_on`."""

    def say(self, frame: dict[str, Any]) -> None:
        """Send a frame of ours."""

    def deliver(self, reader: Reader, entries: Sequence[Entry]) -> None:
        """Send events."""


class Subscriptions:
    __slots__ = ("_catching_up", "_channels", "_closed", "_outlet", "_readers", "caller")

    def __init__(self, channels: Channels, outlet: Outlet, caller: Caller) -> None:
        self.caller = caller
        self._channels = channels
        self._outlet = outlet
        self._closed = False
        self._readers: dict[Key, Reader] = {}
        #: Readers that are behind the window, each with the task that reads the rows for it.
        self._catching_up: dict[Reader, asyncio.Task[None]] = {}

    async def open(
        self, channel: str, subject: str | None, last_seq: int | None = None, stream: str | None = None
    ) -> dict[str, Any]:
        """
        Subscribe, or subscribe anew from another place.

        Returns: the frame that says so; it was sent, before any event.

        Raises:
            Conflict: There are too many already.
            What `Channels.open` raises.
        """
        checked(channel, subject)
        key = (channel, subject or "")
        if len(self._readers) >= MAX_SUBSCRIPTIONS and key not in self._readers:
            raise Conflict(f"A connection has at most {MAX_SUBSCRIPTIONS} subscriptions.")
        self.end(channel, subject)
        opened = await self._channels.open(self.caller, channel, subject, self._pump, last_seq, stream)
        if self._closed:
            opened.reader.close()
            return {}
        self._readers[key] = opened.reader
        frame = frames.subscribed(channel, key[1], opened.stream, opened.seq)
        self._outlet.say(frame)
        if opened.anew:
            self._outlet.say(frames.reset(channel, key[1], opened.stream, opened.seq))
        self._pump(opened.reader)
        return frame

    def end(self, channel: str, subject: str | None) -> None:
        reader = self._readers.pop((channel, subject or ""), None)
        if reader is not None:
            reader.close()
            task = self._catching_up.pop(reader, None)
            if task is not None:
                task.cancel()

    def check(self, caller: Caller) -> None:
        """End what the caller may not listen to any more."""
        self.caller = caller
        for (channel, subject), reader in list(self._readers.items()):
            if not may(caller, reader.channel):
                self.end(channel, subject)
                self._outlet.say(frames.unsubscribed(channel, subject))

    def go_on(self) -> None:
        """The client takes again."""
        for reader in tuple(self._readers.values()):
            self._pump(reader)

    def close(self) -> None:
        self._closed = True
        for channel, subject in list(self._readers):
            self.end(channel, subject)

    def places(self) -> dict[Key, Reader]:
        """Where each subscription stands."""
        return self._readers

    def _pump(self, reader: Reader) -> None:
        if reader in self._catching_up:
            return
        while self._outlet.takes():
            entries = reader.take()
            if entries is None:
                self._catching_up[reader] = asyncio.create_task(self._catch_up(reader))
                return
            if not entries:
                return
            self._outlet.deliver(reader, entries)
            if reader.is_current:
                return

    async def _catch_up(self, reader: Reader) -> None:
        """Until the window reaches back far enough, or the client takes no more."""
        try:
            while self._outlet.takes() and reader.is_behind:
                entries = await reader.earlier()
                if entries is None:
                    self._outlet.say(frames.reset(reader.channel.name, reader.subject, reader.stream, reader.cursor))
                elif entries:
                    self._outlet.deliver(reader, entries)
        except Exception as error:
            if not isinstance(error, QStoreError):
                log.exception("live.not_caught_up", channel=reader.channel.name, subject=reader.subject)
            fault = error if isinstance(error, QStoreError) else QStoreError()
            # This ends the subscription, with a frame that says so, and leaves the connection alone.
            self._catching_up.pop(reader, None)
            self.end(reader.channel.name, reader.subject)
            self._outlet.say(frames.error(fault, frames.about(reader.channel.name, reader.subject)))
        else:
            self._catching_up.pop(reader, None)
            self._pump(reader)
