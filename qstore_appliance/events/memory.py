"""Events inside one process: a bounded queue for each subscriber, and nobody waits for a slow one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from qstore_appliance.domain.events import Event

#: Events that wait for one slow reader before the oldest is dropped.
WAITING = 256


class MemorySubscription:
    """Implements `ports.Subscription`. `lagged` stays set until the reader, having read the truth again, clears it."""

    def __init__(self) -> None:
        self.lagged = False
        self._waiting: deque[Event] = deque()
        self._arrived = asyncio.Event()

    def offer(self, event: Event) -> None:
        if len(self._waiting) >= WAITING:
            self._waiting.popleft()
            self.lagged = True
        self._waiting.append(event)
        self._arrived.set()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()


class MemoryEvents:
    """Implements `ports.EventBus` for one process and one loop."""

    def __init__(self) -> None:
        self._readers: dict[tuple[str, str, str], set[MemorySubscription]] = {}

    async def publish(self, event: Event) -> None:
        for reader in self._readers.get((event.organization_id, event.channel, event.subject), ()):
            reader.offer(event)

    @asynccontextmanager
    async def subscribe(
        self, organization_id: str, channel: str, subject: str, *, also: Collection[str] = ()
    ) -> AsyncIterator[MemorySubscription]:
        topics = [(organization_id, name, subject) for name in (channel, *also)]
        subscription = MemorySubscription()
        for topic in topics:
            self._readers.setdefault(topic, set()).add(subscription)
        try:
            yield subscription
        finally:
            for topic in topics:
                readers = self._readers.get(topic, set())
                readers.discard(subscription)
                if not readers:
                    # A bus that was closed before its readers has forgotten them already.
                    self._readers.pop(topic, None)

    async def ping(self) -> None:
        return None

    async def close(self) -> None:
        self._readers.clear()
