"""
The last events of one channel about one subject, as all readers in this process share them.

A reader keeps nothing but the number of the last event that it has seen, so a slow one costs no memory: it finds what it
missed here, or is told that this does not reach back so far.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from qstore_appliance.domain.events import Channel, Data

#: Events and bytes that are kept, whichever is reached first.
MOST_EVENTS = 512
MOST_BYTES = 512_000

#: A frame carries so many events, and so many bytes of them, but one event in any case.
BATCH = 64
BATCH_BYTES = 32_000

_encode = msgspec.json.Encoder().encode


class Entry(NamedTuple):
    """An event as every door sends it: encoded once."""

    seq: int
    data: bytes


def fit(entries: list[Entry]) -> list[Entry]:
    """The first of them that fit into a frame, but one in any case."""
    if len(entries) <= 1:
        return entries
    size = 0
    for count, entry in enumerate(entries[:BATCH]):
        size += len(entry.data)
        if size > BATCH_BYTES and count:
            return entries[:count]
    return entries[:BATCH]


class Window:
    """
    Args:
        stream: Whose numbers these are: the job's id, or an id of this window's own.
        base: Every event with a larger number is here.
    """

    def __init__(self, channel: Channel, subject: str, stream: str, base: int) -> None:
        self.channel = channel
        self.subject = subject
        self.stream = stream
        self.base = base
        #: What is called when there is something new.
        self.readers: set[Callable[[], None]] = set()
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._frames: dict[tuple[str, int, int], bytes] = {}
        #: What follows a number: readers who keep up all ask for the same.
        self._following: dict[int, list[Entry]] = {}

    @property
    def newest(self) -> int:
        """The number of the last event here."""
        return self._entries[-1].seq if self._entries else self.base

    def append(self, seq: int, data: Data) -> None:
        entry = Entry(seq, _encode(data))
        self._entries.append(entry)
        self._bytes += len(entry.data)
        self._changed()
        while len(self._entries) > MOST_EVENTS or (self._bytes > MOST_BYTES and len(self._entries) > 1):
            forgotten = self._entries.popleft()
            self._bytes -= len(forgotten.data)
            self.base = forgotten.seq

    def lose(self, base: int) -> None:
        """Something up to this number did not reach us: what is here is no longer without a gap."""
        self._entries.clear()
        self._changed()
        self._bytes = 0
        self.base = base

    def _changed(self) -> None:
        self._frames.clear()
        self._following.clear()

    def after(self, seq: int) -> list[Entry] | None:
        """
        The oldest events after a number, as many as fit into a frame.

        Returns: None where the window begins later.
        """
        if seq < self.base:
            return None
        found = self._following.get(seq)
        if found is None:
            # From the newest on: a reader who keeps up looks at one entry, not at all.
            found = []
            for entry in reversed(self._entries):
                if entry.seq <= seq:
                    break
                found.append(entry)
            found.reverse()
            found = self._following[seq] = fit(found)
        return found

    def frame(self, door: str, first: int, last: int, build: Callable[[], bytes]) -> bytes:
        """What a door sends for a run of events, built by the first reader who needs it."""
        key = (door, first, last)
        frame = self._frames.get(key)
        if frame is None:
            frame = self._frames[key] = build()
        return frame

    def tell(self) -> None:
        for reader in tuple(self.readers):
            reader()
