"""
Warm predictor processes: a model's artifact loaded once, then questions and answers.

Questions that come at the same time are asked together: while a process computes, the next ones gather. The machine
holds so many processes and no more. A deployment without a process of its own at the moment gets one when it is asked,
and the one that was idle longest makes room: loading a model takes a fraction of a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import structlog

from qstore_appliance.domain.models import Scaling
from qstore_appliance.errors import NoCapacity, QStoreError, WorkerCrash
from qstore_appliance.services.machine import memory_available, memory_of
from qstore_appliance.work import children, wire
from qstore_appliance.work.pools import GATHER_SECONDS, Pool
from qstore_appliance.work.predictors import SMALL_INPUTS, Predictor, Waiting, discard, loaded

log = structlog.get_logger(__name__)

#: A process that died while idle is replaced after so long; each further death doubles the wait.
REPLACE_SECONDS = 0.2
REPLACE_MOST = 30.0
#: Between two looks at who needs more replicas, or fewer.
SCALE_SECONDS = 1.0


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
        self._pools: dict[str, Pool] = {}
        #: Those that will take the place of another one.
        self._rising: set[Pool] = set()
        self._threads = ThreadPoolExecutor(most + 4, thread_name_prefix="replica")
        self._tasks: set[asyncio.Task[None]] = set()
        self._scaling: asyncio.Task[None] | None = None
        self._closed = False

    async def open(
        self,
        deployment_id: str,
        artifact_path: str,
        backend: str,
        options: Mapping[str, object],
        replicas: int,
        *,
        memory_bytes: int | None = None,
        cores: int | None = None,
        scaling: Scaling | None = None,
        version: str | None = None,
    ) -> int:
        """
        Start replicas, as many as there is room for beside other deployments, but at least one.

        Args:
            backend: Answers where a question names none; it is each question that says so.
            options: Of every backend, by name: a question may name another one than the model's.
            memory_bytes, cores: That each replica may have; None for what the machine has to spare.
            version: What this is, said with each of its answers: a question that waits while another version takes over
                is answered by that one.
            scaling: More and fewer replicas by the rate of questions.

        Returns: how many run. Opening what is open replaces it, and no question is lost meanwhile: the old replicas answer
            until the new ones can.

        Raises: what the model's loading raises; WorkerCrash; DeadlineExceeded. What was open before goes on then.
        """
        told = {"artifact": artifact_path, "options": dict(options), "cores": cores}
        opening = msgspec.msgpack.encode(told, enc_hook=str)
        pool = Pool(opening, min(replicas, self._most), memory_bytes, scaling, version)
        before = self._pools.get(deployment_id)
        if before is None:
            # From now on questions can wait for it.
            self._pools[deployment_id] = pool
        else:
            self._rising.add(pool)
        try:
            while not pool.closed and len(pool.predictors) < pool.wanted:
                if pool.predictors and not self._has_room(before):
                    break
                await self._start(pool, before)
        except BaseException as error:
            if before is not None or not pool.predictors:
                await self._close(pool, error if isinstance(error, QStoreError) else None)
                if self._pools.get(deployment_id) is pool:
                    del self._pools[deployment_id]
            raise
        finally:
            self._rising.discard(pool)
        if before is not None and not pool.closed:
            await self._succeed(deployment_id, before, pool)
        if scaling is not None and self._scaling is None:
            self._scaling = asyncio.create_task(self._scale_on(), name="replicas.scale")
        return len(pool.predictors)

    async def predict(
        self,
        deployment_id: str,
        inputs: Sequence[Sequence[float]],
        *,
        shots: int | str | None,
        backend: str | None,
        seed: int | None,
    ) -> dict[str, Any]:
        """
        Ask the deployment's next free replica. Where it dies over the question, another one is asked once more.

        Raises: the model's own error, such as ValidationFailed naming `inputs[i]`; NoCapacity; DeadlineExceeded;
            WorkerCrash: two replicas died over this question.
        """
        pool = self._pools.get(deployment_id)
        if pool is None or self._closed:
            raise NoCapacity("No replica of this model runs here.", retry_after=1.0)
        loop = asyncio.get_running_loop()
        question = wire.Question(list(inputs), shots, backend, seed)  # type: ignore[arg-type]
        alone = shots is not None or len(inputs) > SMALL_INPUTS
        waiting = Waiting(question, alone, time.monotonic() + self._seconds, loop.create_future())
        pool.enter(waiting)
        overdue = loop.call_later(self._seconds, _give_up, waiting)
        self._dispatch(pool)
        try:
            return await waiting.answer
        finally:
            overdue.cancel()

    async def close_one(self, deployment_id: str) -> None:
        pool = self._pools.pop(deployment_id, None)
        if pool is not None:
            await self._close(pool)

    def pool(self, deployment_id: str) -> Pool:
        return self._pools[deployment_id]

    def answers(self, deployment_id: str) -> bool:
        """Whether questions are answered at once: a replica of it runs."""
        pool = self._pools.get(deployment_id)
        return pool is not None and bool(pool.predictors)

    def state(self, deployment_id: str) -> list[dict[str, Any]]:
        """`starting`, `ready` or `busy`, with the process and how many questions it has answered."""
        pool = self._pools.get(deployment_id)
        if pool is None:
            return []
        found: list[dict[str, Any]] = [
            {
                "pid": predictor.child.pid,
                "state": "busy" if predictor.busy else "ready",
                "served": predictor.served,
            }
            for predictor in pool.predictors
        ]
        return found + [{"pid": None, "state": "starting", "served": 0} for _ in range(pool.starting)]

    async def close(self) -> None:
        self._closed = True
        for task in [*self._tasks, *([self._scaling] if self._scaling else [])]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for deployment_id in list(self._pools):
            await self.close_one(deployment_id)
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    # Questions ---------------------------------------------------------------------------------------------------

    def _dispatch(self, pool: Pool, *, gathered: bool = False) -> None:
        """Hand the line's next questions to processes that are free."""
        while pool.line and not pool.closed and not self._closed:
            predictor = pool.free()
            if predictor is None:
                if not pool.size:
                    self._spawn(self._start_for_line(pool))
                return
            if pool.gathering is not None:
                return
            if not gathered and pool.waits():
                loop = asyncio.get_running_loop()
                pool.gathering = loop.call_later(GATHER_SECONDS, self._gathered, pool)
                return
            batch = pool.batch()
            if batch:
                self._ask(pool, predictor, batch)

    def _gathered(self, pool: Pool) -> None:
        pool.gathering = None
        self._dispatch(pool, gathered=True)

    def _ask(self, pool: Pool, predictor: Predictor, batch: list[Waiting]) -> None:
        predictor.busy = True
        now = time.monotonic()
        seconds = max(0.1, max(waiting.deadline for waiting in batch) - now)
        for waiting in batch:
            waiting.asked = True
        questions = [waiting.question for waiting in batch]
        asking = asyncio.get_running_loop().run_in_executor(self._threads, predictor.ask, questions, seconds)
        asking.add_done_callback(lambda done: self._answered(pool, predictor, batch, now, done))

    def _answered(
        self,
        pool: Pool,
        predictor: Predictor,
        batch: list[Waiting],
        asked: float,
        done: asyncio.Future[list[wire.Reply]],
    ) -> None:
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        if error is None:
            predictor.served += len(batch)
            for waiting, reply in zip(batch, done.result(), strict=True):
                _settle(waiting, reply, asked, pool.version)
        elif pool.closed or self._closed:
            for waiting in batch:
                _fail(waiting, _leaving())
        elif isinstance(error, WorkerCrash):
            log.warning("replicas.died", pid=predictor.child.pid, questions=len(batch), error=error.message)
            for waiting in reversed(batch):
                waiting.deaths += 1
                if waiting.deaths > 1:
                    _fail(waiting, error)
                else:
                    # By itself, so that one that kills its process does so to no other a second time.
                    waiting.alone, waiting.asked = True, False
                    pool.line.appendleft(waiting)
        else:
            for waiting in batch:
                _fail(waiting, error if isinstance(error, Exception) else _leaving())
        predictor.busy = False
        predictor.used = time.monotonic()
        if predictor in pool.predictors and (error is not None or not predictor.child.alive):
            self._lost(pool, predictor)
        pool.idle.set()
        self._dispatch(pool)

    # Processes ---------------------------------------------------------------------------------------------------

    def _all(self) -> list[Pool]:
        return [*self._pools.values(), *self._rising]

    def _count(self) -> int:
        return sum(pool.size for pool in self._all())

    def _has_room(self, leaving: Pool | None = None) -> bool:
        """
        Whether the machine holds one more, in its memory too.

        Args:
            leaving: Goes as soon as what takes its place can answer, and does not count.
        """
        if self._count() - (leaving.size if leaving is not None else 0) >= self._most:
            return False
        running = [predictor.child.pid for pool in self._all() for predictor in pool.predictors]
        return memory_available() > max((memory_of(pid) for pid in running), default=0)

    async def _run(self, function: Any, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="replicas.process")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start_for_line(self, pool: Pool) -> None:
        try:
            await self._start(pool)
        except (QStoreError, OSError) as error:
            pool.refuse(error)

    async def _start(self, pool: Pool, leaving: Pool | None = None) -> None:
        pool.starting += 1
        try:
            if leaving is None or not leaving.size:
                await self._make_room(pool)
            start = asyncio.ensure_future(self._run(loaded, pool.opening, pool.memory_bytes))
            try:
                child: children.Child = await asyncio.shield(start)
            except asyncio.CancelledError:
                # Nobody would ever close what the thread is just starting.
                start.add_done_callback(discard)
                raise
        finally:
            pool.starting -= 1
        if pool.closed or self._closed:
            await self._run(child.close)
            return
        predictor = Predictor(child)
        pool.predictors.append(predictor)
        asyncio.get_running_loop().add_reader(child.sentinel, self._died, pool, predictor)
        self._dispatch(pool)

    async def _make_room(self, newcomer: Pool) -> None:
        """End the replica that was idle longest, of any other deployment, where the machine is full."""
        while self._count() > self._most:
            idle = [
                (predictor.used, pool, predictor)
                for pool in self._pools.values()
                if pool is not newcomer
                for predictor in pool.predictors
                if not predictor.busy
            ]
            if not idle:
                # All are at work; one more for a while is better than no answer.
                return
            _, pool, predictor = min(idle, key=lambda found: found[0])
            await self._end(pool, predictor)

    async def _succeed(self, deployment_id: str, before: Pool, pool: Pool) -> None:
        """The new replicas answer from now on, the old ones finish what they are at."""
        self._pools[deployment_id] = pool
        pool.line.extendleft(reversed(before.line))
        before.line.clear()
        before.wanted = 0
        self._dispatch(pool)
        while before.busy:
            before.idle.clear()
            await before.idle.wait()
            # One that died over its questions gave them back to the wrong line.
            pool.line.extendleft(reversed(before.line))
            before.line.clear()
            self._dispatch(pool)
        await self._close(before)

    async def _close(self, pool: Pool, error: QStoreError | None = None) -> None:
        pool.closed = True
        if pool.gathering is not None:
            pool.gathering.cancel()
        for predictor in list(pool.predictors):
            await self._end(pool, predictor)
        pool.refuse(error or _leaving())

    async def _end(self, pool: Pool, predictor: Predictor) -> None:
        if predictor not in pool.predictors:
            return
        pool.predictors.remove(predictor)
        asyncio.get_running_loop().remove_reader(predictor.child.sentinel)
        await self._run(predictor.child.close)

    def _died(self, pool: Pool, predictor: Predictor) -> None:
        """The loop saw a process end that nobody had ended."""
        asyncio.get_running_loop().remove_reader(predictor.child.sentinel)
        if predictor.busy or predictor not in pool.predictors:
            # Who is asking it will notice, and ask another one.
            return
        log.warning("replicas.died_idle", pid=predictor.child.pid)
        self._lost(pool, predictor)

    def _lost(self, pool: Pool, predictor: Predictor) -> None:
        pool.predictors.remove(predictor)
        asyncio.get_running_loop().remove_reader(predictor.child.sentinel)
        self._threads.submit(predictor.child.close)
        if not self._closed and not pool.closed:
            self._spawn(self._replace(pool))

    async def _replace(self, pool: Pool) -> None:
        pool.deaths += 1
        await asyncio.sleep(min(REPLACE_MOST, REPLACE_SECONDS * 2 ** min(pool.deaths - 1, 10)))
        if pool.closed or pool.size >= pool.wanted:
            return
        try:
            await self._start(pool)
        except (QStoreError, OSError) as error:
            log.error("replicas.not_replaced", error=str(error))
        else:
            pool.deaths = 0

    # Scaling -----------------------------------------------------------------------------------------------------

    async def _scale_on(self) -> None:
        while True:
            await asyncio.sleep(SCALE_SECONDS)
            for pool in list(self._pools.values()):
                with contextlib.suppress(QStoreError, OSError):
                    await self.scale(pool, time.monotonic())

    async def scale(self, pool: Pool, now: float) -> None:
        """
        One replica more or fewer, if the rate of questions says so and the machine holds it.

        Raises: what starting a replica raises.
        """
        if pool.scaler is None or pool.closed:
            return
        asked, wait = pool.asked, pool.longest_wait()
        wanted = pool.scaler.wanted(now, asked=asked, longest_wait=wait, size=pool.size)
        pool.wanted = min(wanted, self._most)
        if pool.size < pool.wanted and self._has_room():
            await self._start(pool)
        elif pool.size > pool.wanted:
            idle = [predictor for predictor in pool.predictors if not predictor.busy]
            if idle:
                await self._end(pool, min(idle, key=lambda predictor: predictor.used))


def _settle(waiting: Waiting, reply: wire.Reply, asked: float, version: str | None) -> None:
    if waiting.answer.done():
        return
    if reply.answer is None:
        waiting.answer.set_exception(wire.error_of(reply.fault or wire.Fault(code=QStoreError.code, message="")))
        return
    queue = (asked - waiting.since) * 1e3
    more = {"queue_ms": queue, "backend": waiting.question.backend, "version": version}
    waiting.answer.set_result({**reply.answer, **more})


def _leaving() -> NoCapacity:
    return NoCapacity("This model is being taken out of service.", retry_after=1.0)


def _fail(waiting: Waiting, error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)


def _give_up(waiting: Waiting) -> None:
    """Nobody was free in time."""
    if not waiting.asked:
        _fail(waiting, NoCapacity("Every replica is busy.", retry_after=1.0))
