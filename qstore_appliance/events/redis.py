"""
Events over Redis pub/sub: every appliance process and worker machine hears what any of them publishes.

Pub/sub keeps nothing. A subscriber that lost its connection is `lagged`: it must read the truth (the job's row and
stored events) again, which is what a subscriber that returns does anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import msgspec
import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from qstore_appliance.domain.events import CHANNELS, Event
from qstore_appliance.errors import Unavailable

log = structlog.get_logger(__name__)

PREFIX = "qstore:events:"
#: Events that wait for one slow reader before the oldest is dropped.
WAITING = 256


class Wire(msgspec.Struct):
    """An event on the wire; `data` is decoded once its channel is known."""

    organization_id: str
    channel: str
    subject: str
    seq: int
    data: msgspec.Raw


class RedisSubscription:
    """Implements `ports.Subscription`: a bounded queue that drops the oldest and says so."""

    def __init__(self) -> None:
        self.lagged = False
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(maxsize=WAITING)

    def offer(self, event: Event) -> None:
        if self._waiting.full():
            self._waiting.get_nowait()
            self.lagged = True
        self._waiting.put_nowait(event)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        return await self._waiting.get()


class RedisEvents:
    """Implements `ports.EventBus`: one connection listens for all subscribers of this process."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url, socket_connect_timeout=2.0, health_check_interval=15)
        self._readers: dict[str, set[RedisSubscription]] = {}
        self._pubsub: PubSub | None = None
        self._listener: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()
        self._confirmations: dict[str, asyncio.Event] = {}

    async def publish(self, event: Event) -> None:
        """
        Send to every process. The row is written already, so a Redis that is away costs liveness, never truth.
        """
        try:
            await self._redis.publish(topic(event.organization_id, event.channel, event.subject), _encode(event))
        except (RedisError, OSError) as error:
            log.warning("events.not_published", channel=event.channel, subject=event.subject, error=str(error))

    @asynccontextmanager
    async def subscribe(
        self, organization_id: str, channel: str, subject: str, *, also: Collection[str] = ()
    ) -> AsyncIterator[RedisSubscription]:
        names = [topic(organization_id, name, subject) for name in (channel, *also)]
        subscription = RedisSubscription()
        try:
            async with self._changing:
                try:
                    for name in names:
                        readers = self._readers.setdefault(name, set())
                        readers.add(subscription)
                        if len(readers) == 1:
                            await self._listen(name)
                except (RedisError, OSError) as error:
                    raise Unavailable(f"Redis does not answer: {error}") from error
            yield subscription
        finally:
            async with self._changing:
                left = [name for name in names if self._leave(name, subscription)]
                if left and self._pubsub is not None:
                    with contextlib.suppress(RedisError, OSError):
                        await self._pubsub.unsubscribe(*left)

    async def ping(self) -> None:
        """
        Raises:
            Unavailable: Redis does not answer.
        """
        try:
            await self._redis.ping()
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer: {error}") from error

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
            self._listener = None
        if self._pubsub is not None:
            await self._pubsub.aclose()  # type: ignore[no-untyped-call]
            self._pubsub = None
        await self._redis.aclose()

    def _leave(self, name: str, subscription: RedisSubscription) -> bool:
        """Whether that was the last reader of the topic."""
        readers = self._readers.get(name, set())
        readers.discard(subscription)
        if readers:
            return False
        self._readers.pop(name, None)
        return True

    async def _listen(self, name: str) -> None:
        """Subscribe this process to a topic, and wait until Redis says that it is."""
        if self._pubsub is None:
            self._pubsub = self._redis.pubsub()
        confirmed = self._confirmations.setdefault(name, asyncio.Event())
        await self._pubsub.subscribe(name)
        if self._listener is None:
            self._listener = asyncio.create_task(self._pump(self._pubsub), name="events.redis")
        try:
            await asyncio.wait_for(confirmed.wait(), 5.0)
        except TimeoutError as error:
            raise RedisError("the subscription was not confirmed") from error
        finally:
            self._confirmations.pop(name, None)

    async def _pump(self, pubsub: PubSub) -> None:
        """Hand every message to its readers; after a break in the connection, tell them that they missed something."""
        while True:
            try:
                message = await pubsub.get_message(timeout=30.0)
            except (RedisError, OSError) as error:
                log.warning("events.redis_away", error=str(error))
                for name in self._readers:
                    self._lag(name)
                await asyncio.sleep(0.5)
                continue
            if message is None:
                continue
            name = message["channel"].decode()
            if message["type"] == "subscribe":
                confirmed = self._confirmations.get(name)
                if confirmed is None:
                    # Nobody asked just now: the client subscribed again after a new connection.
                    self._lag(name)
                else:
                    confirmed.set()
            elif message["type"] == "message":
                event = _decode(message["data"])
                for reader in self._readers.get(name, ()):
                    reader.offer(event)

    def _lag(self, name: str) -> None:
        for reader in self._readers.get(name, ()):
            reader.lagged = True


def topic(organization_id: str, channel: str, subject: str) -> str:
    return f"{PREFIX}{organization_id}:{channel}:{subject}"


def _encode(event: Event) -> bytes:
    return msgspec.json.encode(event)


def _decode(content: bytes) -> Event:
    wire = msgspec.json.decode(content, type=Wire)
    return Event(
        organization_id=wire.organization_id,
        channel=wire.channel,
        subject=wire.subject,
        seq=wire.seq,
        data=msgspec.json.decode(wire.data, type=CHANNELS[wire.channel].shape),
    )
