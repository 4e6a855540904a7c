"""
Predictor processes: a model's artifact loaded once, then a question and an answer at a time.

The machine holds so many and no more. A deployment without a process of its own at the moment gets one when it is asked,
and the one that was idle longest makes room: loading a model takes a fraction of a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import structlog

from qstore_appliance.errors import DeadlineExceeded, NoCapacity, QStoreError, WorkerCrash, WorkerOutOfMemory
from qstore_appliance.services.machine import memory_available
from qstore_appliance.work import children, wire

log = structlog.get_logger(__name__)

#: Questions that may wait for one deployment.
MAX_WAITING = 256
#: A model that has not loaded after so long has failed.
OPEN_SECONDS = 60.0
#: A process that died while idle is replaced after so long; each further death doubles the wait.
REPLACE_SECONDS = 0.2
REPLACE_MOST = 30.0


class _Replica:
    """One process and what it has answered."""

    def __init__(self, child: children.Child) -> None:
        self.child = child
        self.served = 0
        self.busy = False
        self.used = time.monotonic()

    def ask(self, question: bytes, seconds: float) -> Any:
        """
        Blocks. Raises: the answer's own error; DeadlineExceeded; WorkerCrash. After the last two the process is useless.
        """
        self.child.send(question)
        if not self.child.poll(seconds):
            self.child.kill()
            raise DeadlineExceeded(f"The prediction took longer than {seconds:g} s and was stopped.")
        message = wire.unpack(self.child.receive())
        if message.kind == "error":
            found = wire.error_of(wire.body(message, wire.Fault))
            if isinstance(found, WorkerOutOfMemory):
                self.child.kill()
            raise found
        return wire.body(message, dict[str, Any])


class _Deployment:
    """What it takes to start a replica, and the replicas there are."""

    def __init__(self, opening: bytes, wanted: int) -> None:
        self.opening = opening
        self.wanted = wanted
        self.replicas: list[_Replica] = []
        self.free = asyncio.Condition()
        self.waiting = 0
        self.starting = 0
        self.closed = False


class PredictorReplicas:
    """
    Implements `ports.Replicas`.

    Args:
        most: Processes that this machine holds.
        seconds: Deadline of one prediction.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._deployments: dict[str, _Deployment] = {}
        self._threads = ThreadPoolExecutor(most + 2, thread_name_prefix="replica")
        self._tasks: set[asyncio.Task[None]] = set()
        self._deaths = 0
        self._closed = False

    async def open(
        self,
        deployment_id: str,
        artifact_path: str,
        backend: str,
        options: Mapping[str, object],
        replicas: int,
    ) -> int:
        """
        Start replicas, as many as there is room for beside other deployments, but at least one.

        Args:
            backend: Answers where a question names none; it is each question that says so.
            options: Of every backend, by name: a question may name another one than the model's.

        Returns: how many run. Opening what is open changes nothing.

        Raises: what the model's loading raises; WorkerCrash; DeadlineExceeded.
        """
        deployment = self._deployments.get(deployment_id)
        if deployment is None:
            opening = msgspec.msgpack.encode({"artifact": artifact_path, "options": dict(options)}, enc_hook=str)
            deployment = self._deployments[deployment_id] = _Deployment(opening, min(replicas, self._most))
        try:
            while not deployment.closed and len(deployment.replicas) < deployment.wanted:
                if deployment.replicas and self._count() >= self._most:
                    break
                await self._start(deployment)
        except BaseException:
            if not deployment.replicas:
                await self.close_one(deployment_id)
            raise
        return len(deployment.replicas)

    async def predict(
        self,
        deployment_id: str,
        inputs: Sequence[Sequence[float]],
        *,
        shots: int | None,
        backend: str | None,
        seed: int | None,
    ) -> dict[str, Any]:
        """
        Ask the deployment's next free replica. Where it dies over the question, another one is asked once more.

        Raises: the model's own error, such as ValidationFailed naming `inputs[i]`; NoCapacity; DeadlineExceeded;
            WorkerCrash: two replicas died over this question.
        """
        deployment = self._deployments.get(deployment_id)
        if deployment is None or self._closed:
            raise NoCapacity("No replica of this model runs here.", retry_after=1.0)
        question = await asyncio.to_thread(
            msgspec.msgpack.encode, {"inputs": inputs, "shots": shots, "backend": backend, "seed": seed}
        )
        deadline = time.monotonic() + self._seconds
        for attempt in (1, 2):
            replica = await self._free(deployment, deadline)
            try:
                found: dict[str, Any] = await self._run(replica.ask, question, max(0.1, deadline - time.monotonic()))
            except WorkerCrash as error:
                log.warning("replicas.died", deployment_id=deployment_id, pid=replica.child.pid, error=error.message)
                if attempt == 2:
                    raise
            else:
                return found
            finally:
                await self._give_back(deployment, replica)
        raise WorkerCrash("The predictor process died.")

    async def close_one(self, deployment_id: str) -> None:
        deployment = self._deployments.pop(deployment_id, None)
        if deployment is None:
            return
        deployment.closed = True
        for replica in list(deployment.replicas):
            await self._end(deployment, replica)
        async with deployment.free:
            deployment.free.notify_all()

    def state(self, deployment_id: str) -> list[dict[str, Any]]:
        """`starting`, `ready` or `busy`, with the process and how many questions it has answered."""
        deployment = self._deployments.get(deployment_id)
        if deployment is None:
            return []
        found: list[dict[str, Any]] = [
            {"pid": replica.child.pid, "state": "busy" if replica.busy else "ready", "served": replica.served}
            for replica in deployment.replicas
        ]
        return found + [{"pid": None, "state": "starting", "served": 0} for _ in range(deployment.starting)]

    async def close(self) -> None:
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for deployment_id in list(self._deployments):
            await self.close_one(deployment_id)
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    # Inside ------------------------------------------------------------------------------------------------------

    def _count(self) -> int:
        return sum(len(deployment.replicas) + deployment.starting for deployment in self._deployments.values())

    async def _run(self, function: Any, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    async def _start(self, deployment: _Deployment) -> None:
        deployment.starting += 1
        try:
            await self._make_room(deployment)
            start = asyncio.ensure_future(self._run(_loaded, deployment.opening))
            try:
                child = await asyncio.shield(start)
            except asyncio.CancelledError:
                # Nobody would ever close what the thread is just starting.
                start.add_done_callback(_discard)
                raise
        finally:
            deployment.starting -= 1
        if deployment.closed or self._closed:
            await self._run(child.close)
            return
        replica = _Replica(child)
        deployment.replicas.append(replica)
        asyncio.get_running_loop().add_reader(child.sentinel, self._died, deployment, replica)
        async with deployment.free:
            deployment.free.notify_all()

    async def _make_room(self, newcomer: _Deployment) -> None:
        """End the replica that was idle longest, of any other deployment, where the machine is full."""
        while self._count() > self._most:
            idle = [
                (replica.used, deployment, replica)
                for deployment in self._deployments.values()
                if deployment is not newcomer
                for replica in deployment.replicas
                if not replica.busy
            ]
            if not idle:
                # All are at work; one more for a while is better than no answer.
                return
            _, deployment, replica = min(idle, key=lambda found: found[0])
            await self._end(deployment, replica)

    async def _free(self, deployment: _Deployment, deadline: float) -> _Replica:
        if deployment.waiting >= MAX_WAITING:
            raise NoCapacity("Every replica is busy, and many requests wait already.", retry_after=1.0)
        deployment.waiting += 1
        try:
            while True:
                if deployment.closed or self._closed:
                    raise NoCapacity("This model is being taken out of service.", retry_after=1.0)
                for replica in deployment.replicas:
                    if not replica.busy:
                        replica.busy = True
                        return replica
                if not deployment.replicas and not deployment.starting:
                    await self._start(deployment)
                    continue
                seconds = deadline - time.monotonic()
                if seconds <= 0:
                    raise NoCapacity("Every replica is busy.", retry_after=1.0)
                async with deployment.free:
                    if not any(not replica.busy for replica in deployment.replicas):
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(min(seconds, 1.0)):
                                await deployment.free.wait()
        finally:
            deployment.waiting -= 1

    async def _give_back(self, deployment: _Deployment, replica: _Replica) -> None:
        replica.busy = False
        replica.served += 1
        replica.used = time.monotonic()
        if not replica.child.alive and replica in deployment.replicas:
            await self._end(deployment, replica)
            self._replace(deployment)
        async with deployment.free:
            deployment.free.notify()

    async def _end(self, deployment: _Deployment, replica: _Replica) -> None:
        if replica not in deployment.replicas:
            return
        deployment.replicas.remove(replica)
        asyncio.get_running_loop().remove_reader(replica.child.sentinel)
        await self._run(replica.child.close)

    def _died(self, deployment: _Deployment, replica: _Replica) -> None:
        """The loop saw a process end that nobody had ended."""
        asyncio.get_running_loop().remove_reader(replica.child.sentinel)
        if replica.busy or replica not in deployment.replicas:
            # Who is asking it will notice, and ask another one.
            return
        log.warning("replicas.died_idle", pid=replica.child.pid)
        deployment.replicas.remove(replica)
        self._threads.submit(replica.child.close)
        self._replace(deployment)

    def _replace(self, deployment: _Deployment) -> None:
        if not self._closed and not deployment.closed:
            task = asyncio.get_running_loop().create_task(self._replaced(deployment), name="replicas.replace")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _replaced(self, deployment: _Deployment) -> None:
        self._deaths += 1
        await asyncio.sleep(min(REPLACE_MOST, REPLACE_SECONDS * 2 ** min(self._deaths - 1, 10)))
        if deployment.closed or len(deployment.replicas) + deployment.starting >= deployment.wanted:
            return
        try:
            await self._start(deployment)
        except (QStoreError, OSError) as error:
            log.error("replicas.not_replaced", error=str(error))
        else:
            self._deaths = 0


def _loaded(opening: bytes) -> children.Child:
    """Blocks. A process with its model loaded; where it dies over that, another one. Raises: what the loading raises."""
    try:
        return _started(opening)
    except WorkerCrash as error:
        log.warning("replicas.died_loading", error=error.message)
        return _started(opening)


def _started(opening: bytes) -> children.Child:
    child = children.start("predict", nice=1, memory_bytes=memory_available())
    try:
        child.send(opening)
        if not child.poll(OPEN_SECONDS):
            raise DeadlineExceeded(f"The model was not loaded within {OPEN_SECONDS:g} s.")
        message = wire.unpack(child.receive())
        if message.kind != "ready":
            raise wire.error_of(wire.body(message, wire.Fault))
    except BaseException:
        child.close()
        raise
    return child


def _discard(start: asyncio.Future[children.Child]) -> None:
    if not start.cancelled() and start.exception() is None:
        start.result().close()
