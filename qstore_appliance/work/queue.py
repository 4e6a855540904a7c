"""
Huey as a doorbell: it carries ids of jobs that wait, by priority, and nothing else.

A message that is lost, doubled or forged changes nothing: the job's row is the truth, and taking a job is one
conditional update of it. Messages are JSON; a pickle would let whoever writes to the queue run code.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from huey import Huey, PriorityRedisHuey, SqliteHuey
from huey.registry import Message
from huey.serializer import Serializer
from redis import ConnectionPool
from redis.exceptions import RedisError

from qstore_appliance.domain import ids
from qstore_appliance.errors import Unavailable
from qstore_appliance.settings import Settings

log = structlog.get_logger(__name__)

TASK = "train"
#: Longest message that is one of ours.
MAX_BYTES = 4_096


class JsonSerializer(Serializer):  # type: ignore[misc]
    """Only messages of ours: a task's name and one job id, everything else at its default."""

    def _serialize(self, data: Any) -> bytes:
        if not isinstance(data, Message):
            raise TypeError("results are not kept in the queue")
        # The id first: Redis sorts equals by their bytes, and ids sort by time.
        return json.dumps({"job": data.args[0], "name": data.name, "priority": data.priority}).encode()

    def _deserialize(self, data: Any) -> Message:
        content = bytes(data)
        if len(content) > MAX_BYTES:
            raise ValueError("too long for a message")
        try:
            found = json.loads(content)
        except RecursionError as error:
            raise ValueError("not a message") from error
        if not isinstance(found, dict) or not ids.is_id("job", found.get("job")):
            raise ValueError("not a message")
        priority = found.get("priority")
        return Message(
            id=found["job"],
            name=str(found.get("name"))[:100],
            retries=0,
            retry_delay=0,
            priority=priority if isinstance(priority, int) else None,
            args=(found["job"],),
            kwargs={},
        )


class HueyQueue:
    """
    Implements `ports.Queue` on a SQLite file of its own, or on Redis.

    Args:
        settings: `queue.url` decides which.
        run: Called in a slot's thread with the id of a job that waits.
    """

    def __init__(self, settings: Settings, run: Callable[[str], None] | None = None) -> None:
        self._pool: ConnectionPool | None = None
        if settings.queue.url:
            self._pool = ConnectionPool.from_url(settings.queue.url, socket_connect_timeout=2.0, socket_timeout=5.0)
        self.huey = _open(settings, self._pool)
        self.run: Callable[[str], None] = run or (lambda job_id: None)
        #: Set when a message was put into the queue by this process: its slots need not wait for their next look.
        self.doorbell = threading.Event()
        self._stops: dict[str, Callable[[], None]] = {}
        self._lock = threading.Lock()
        # Writing takes a lock of another process's file, or a network: never in the loop.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="queue")
        self._task = self.huey.task(name=TASK, retries=0)(self._arrived)

    async def wake(self, job_id: str, priority: int) -> None:
        """
        Tell the slots that this job waits. What goes wrong is logged only: the reaper tells them again.
        """
        try:
            await self._in_thread(self._put, job_id, priority)
        except Unavailable as error:
            log.warning("queue.not_woken", job_id=job_id, error=error.message)

    async def pending(self, limit: int = 10_000) -> set[str]:
        """
        Ids of the jobs whose message waits.

        Raises:
            Unavailable: The queue does not answer.
        """
        return await self._in_thread(self._pending, limit)

    def stop(self, job_id: str) -> None:
        with self._lock:
            stop = self._stops.get(job_id)
        if stop is not None:
            stop()

    def running(self, job_id: str, stop: Callable[[], None] | None) -> None:
        """A slot of this machine runs the job, and is stopped like this; None: not any more."""
        with self._lock:
            if stop is None:
                self._stops.pop(job_id, None)
            else:
                self._stops[job_id] = stop

    async def ping(self) -> None:
        """
        Raises:
            Unavailable: The queue does not answer.
        """
        await self._in_thread(self.huey.pending_count)

    async def close(self) -> None:
        await asyncio.to_thread(self._writer.shutdown)
        self.huey.storage.close()
        if self._pool is not None:
            self._pool.disconnect()

    def _arrived(self, job_id: str) -> None:
        self.run(job_id)

    def _put(self, job_id: str, priority: int) -> None:
        self.huey.enqueue(self._task.s(job_id, priority=priority))
        self.doorbell.set()

    def _pending(self, limit: int) -> set[str]:
        found = set()
        for content in self.huey.storage.enqueued_items(limit):
            try:
                found.add(self.huey.serializer.deserialize(content).args[0])
            except ValueError:
                # Not ours; the slot that meets it drops it and says so.
                continue
        return found

    async def _in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._writer, _guarded, function, *args)
        except RuntimeError as error:
            raise Unavailable("The queue is closed.") from error


def _guarded(function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args)
    except (OSError, RedisError) as error:
        raise Unavailable(f"The queue does not answer: {error}") from error
    except Exception as error:
        # sqlite3.Error by its family: the queue's file is locked, full or damaged.
        if type(error).__module__ == "sqlite3":
            raise Unavailable(f"The queue's file cannot be used: {error}") from error
        raise


def _open(settings: Settings, pool: ConnectionPool | None) -> Huey:
    # Nothing of a finished task is kept; times do not matter here, and a schedule does not exist.
    options: dict[str, Any] = {
        "results": False,
        "store_none": False,
        "immediate": False,
        "serializer": JsonSerializer(),
    }
    if pool is not None:
        return PriorityRedisHuey("qstore", connection_pool=pool, read_timeout=1, **options)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    settings.queue_file.touch(mode=0o600)
    # No fsync: a message lost in a power cut is sent again.
    return SqliteHuey("qstore", filename=str(settings.queue_file), fsync=False, strict_fifo=True, timeout=5, **options)
