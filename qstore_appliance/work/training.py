"""
One slot's work for one job: a child trains, this thread listens, the loop writes.

The child knows nothing of leases. This thread keeps the lease, hands every report to the loop, passes the wish to stop
on, and kills what does not stop.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from qstore_appliance.domain.jobs import Lease
from qstore_appliance.engine.plan import EpochReport, Plan, Trained
from qstore_appliance.engine.remote_jobs import RemoteJob
from qstore_appliance.errors import (
    QStoreError,
    StorageFull,
    Unavailable,
    WorkerCrash,
    WorkerOutOfMemory,
)
from qstore_appliance.services.endings import LeaseLost
from qstore_appliance.services.machine import memory_available, memory_of, out_of_memory_kills
from qstore_appliance.services.runs import Runs
from qstore_appliance.work import children, wire
from qstore_appliance.work.portal import Portal, PortalClosed
from qstore_appliance.work.queue import HueyQueue

log = structlog.get_logger(__name__)

#: From the wish to stop to the kill: less than the two seconds that a cancel may take.
STOP_SECONDS = 1.2
#: How long a look into the pipe takes where nothing comes.
LOOK_SECONDS = 0.1
#: A child that shows no sign of life between two batches for so long hangs.
SILENT_SECONDS = 1_800.0
#: A message of a job for another machine is handed on once in so long.
PASS_SECONDS = 4.0
#: The database is away or full: tried again after so long, at first and at the most.
RETRY_SECONDS = (0.5, 5.0)


class _Result(msgspec.Struct):
    trained: Trained
    inputs: dict[str, Any]


class Trainer:
    """
    Runs jobs in children, one for each call of `run`; slots call it from their threads.

    Args:
        owner: What stands in the lease.
        heartbeat: Seconds between two renewals of the lease.
        changed: Called in the slot's thread when a job has ended or was given back: others may run now.
        degraded: Called in the slot's thread with a backend whose provider fails, and why; with None when it works.
    """

    def __init__(
        self,
        runs: Runs,
        portal: Portal,
        queue: HueyQueue,
        *,
        owner: str,
        heartbeat: float,
        changed: Callable[[], None] = lambda: None,
        degraded: Callable[[str, str | None], None] = lambda backend, reason: None,
    ) -> None:
        self.runs = runs
        self.portal = portal
        self.queue = queue
        self.owner = owner
        self.heartbeat = heartbeat
        self.changed = changed
        self.degraded = degraded
        self._lock = threading.Lock()
        #: When a job was last handed on to other machines.
        self._passed: dict[str, float] = {}
        #: Set when the server stops: jobs are given back at their last checkpoint.
        self.stopping = threading.Event()
        #: Process ids of the children by job.
        self.children: dict[str, int] = {}
        #: Jobs that slots have taken and that have no child yet.
        self.starting: set[str] = set()
        #: Slots that look for a job just now.
        self.taking = 0

    def run(self, job_id: str) -> None:
        """
        Take whoever is next and see that job through. The message told of this one; who is next, the rows say.
        """
        if self.stopping.is_set():
            return
        try:
            taken = self._taken()
            if taken is None:
                self._pass_on(job_id)
                return
            lease, plan = taken
            try:
                with structlog.contextvars.bound_contextvars(job_id=lease.job_id):
                    _Run(self, lease, plan).see_through()
            finally:
                self.changed()
        except PortalClosed:
            log.info("training.left", job_id=job_id)
        except (Unavailable, StorageFull) as error:
            # The row still says queued, or its lease runs out: the reaper comes back to it.
            log.warning("training.not_begun", job_id=job_id, error=error.message)

    def _taken(self) -> tuple[Lease, Plan] | None:
        resident = {id: memory_of(pid) for id, pid in list(self.children.items())}
        with self._lock:
            self.taking += 1
        try:
            taken = self.portal.call(self.runs.take, self.owner, resident)
            if taken is not None:
                self.starting.add(taken[0].job_id)
            return taken
        finally:
            with self._lock:
                self.taking -= 1

    def _pass_on(self, job_id: str) -> None:
        """
        Hand the message of a job that is for another machine on. At once, but only once in a while: while that machine
        is busy it would come back here again and again, and its own reaper wakes the job when it is free.
        """
        now = time.monotonic()
        with self._lock:
            self._passed = {id: moment for id, moment in self._passed.items() if now - moment < PASS_SECONDS}
            if job_id in self._passed:
                return
            self._passed[job_id] = now
        rank = self.portal.call(self.runs.left_to_others, job_id)
        if rank is not None:
            self.portal.call(self.queue.wake, job_id, rank)


class _Run:
    """A child, its lease, and what has to be said about it."""

    def __init__(self, trainer: Trainer, lease: Lease, plan: Plan) -> None:
        self._trainer = trainer
        self._lease = lease
        self._plan = plan
        #: Somebody wants the job cancelled or paused; its row says which.
        self._asked = threading.Event()
        self._stop_sent: float | None = None
        self._beat = time.monotonic() + trainer.heartbeat
        self._alive = time.monotonic()

    def see_through(self) -> None:
        queue = self._trainer.queue
        queue.running(self._lease.job_id, self._asked.set)
        kills = out_of_memory_kills()
        started = time.monotonic()
        child: children.Child | None = None
        try:
            child = children.start("train", nice=5, memory_bytes=memory_available())
            self._trainer.children[self._lease.job_id] = child.pid
            self._trainer.starting.discard(self._lease.job_id)
            child.send(msgspec.msgpack.encode(self._plan))
            log.info("training.child_started", pid=child.pid, seconds=round(time.monotonic() - started, 3))
            self._listen(child)
        except LeaseLost:
            log.warning("training.lease_lost")
        except WorkerCrash as error:
            exit_code = child.exit_code if child is not None else None
            self._mourn(error, exit_code, out_of_memory_kills() > kills)
        finally:
            queue.running(self._lease.job_id, None)
            self._trainer.children.pop(self._lease.job_id, None)
            self._trainer.starting.discard(self._lease.job_id)
            if child is not None:
                child.close()

    # Listening ---------------------------------------------------------------------------------------------------

    def _listen(self, child: children.Child) -> None:
        while True:
            if self._wants_to_stop() and self._stop(child):
                return
            if not child.poll(LOOK_SECONDS):
                if time.monotonic() - self._alive > SILENT_SECONDS:
                    child.kill()
                    raise WorkerCrash(f"The worker process showed no sign of life for {SILENT_SECONDS / 60:g} minutes.")
                continue
            if self._take(child):
                return

    def _take(self, child: children.Child) -> bool:
        """Receive what is there; whether the run is over."""
        message = wire.unpack(child.receive())
        reports: list[EpochReport] = []
        while message.kind == "epoch":
            reports.append(wire.body(message, EpochReport))
            if len(reports) >= 100 or not child.poll(0):
                break
            message = wire.unpack(child.receive())
        self._alive = time.monotonic()
        if reports:
            self._write(self._trainer.runs.record_epochs, self._lease, reports)
            if self._plan.waits:
                child.send(wire.KEPT)
            if message.kind == "epoch":
                return False
        if message.kind == "remote_job":
            self._keep(child, wire.body(message, RemoteJob))
        if message.kind == "said":
            self._write(self._trainer.runs.say, self._lease, wire.body(message, str))
        if message.kind == "degraded":
            self._trainer.degraded(self._plan.backend, wire.body(message, str | None))
        if message.kind == "trained":
            result = wire.body(message, _Result)
            model_id = self._write(self._trainer.runs.complete, self._lease, result.trained, result.inputs)
            log.info("training.completed", model_id=model_id)
            return True
        if message.kind == "error":
            fault = wire.body(message, wire.Fault)
            log.warning("training.failed", code=fault.code, error=fault.message, trace=fault.trace or None)
            self._write(self._trainer.runs.fail, self._lease, wire.error_of(fault))
            return True
        if message.kind == "stopped":
            self._stopped()
            return True
        return False

    def _keep(self, child: children.Child, job: RemoteJob) -> None:
        """Store what the child notes of a provider's job; before that is done it sends nothing."""
        self._write(self._trainer.runs.keep_remote_job, self._lease, job)
        if job.status == "noted":
            child.send(wire.KEPT)

    # Stopping ----------------------------------------------------------------------------------------------------

    def _wants_to_stop(self) -> bool:
        """Keep the lease, and hear from it whether somebody on another machine has cancelled or paused."""
        if self._asked.is_set() or self._trainer.stopping.is_set():
            return True
        now = time.monotonic()
        if now < self._beat:
            return False
        self._beat = now + self._trainer.heartbeat
        try:
            if not self._trainer.portal.call(self._trainer.runs.heartbeat, self._lease):
                if not self._trainer.portal.call(self._trainer.runs.stop_requested, self._lease):
                    raise LeaseLost
                self._asked.set()
        except (Unavailable, StorageFull) as error:
            log.warning("training.no_heartbeat", error=error.message)
        return self._asked.is_set()

    def _stop(self, child: children.Child) -> bool:
        """Ask the child to stop, or end it where it was asked long enough ago; whether that is done."""
        now = time.monotonic()
        if self._stop_sent is None:
            self._stop_sent = now
            with contextlib.suppress(WorkerCrash):
                # Of a job that goes on later, the provider's part goes on meanwhile.
                child.send(wire.STOP if self._asked.is_set() and self._for_good() else wire.RELEASE)
            return False
        if now - self._stop_sent < STOP_SECONDS:
            return False
        child.kill()
        self._stopped()
        return True

    def _for_good(self) -> bool:
        """Whether the job is to be cancelled; one that is paused goes on later."""
        try:
            return bool(self._trainer.portal.call(self._trainer.runs.cancel_requested, self._lease))
        except (Unavailable, StorageFull) as error:
            # What is left at a provider is found by its rows, once they say that the job is over.
            log.warning("training.wish_unknown", error=error.message)
            return False

    def _stopped(self) -> None:
        if self._asked.is_set() or not self._trainer.stopping.is_set():
            self._write(self._trainer.runs.stopped, self._lease)
        else:
            self._write(self._trainer.runs.release, self._lease)

    def _mourn(self, error: WorkerCrash, exit_code: int | None, out_of_memory: bool) -> None:
        """The child is gone without a last word."""
        with contextlib.suppress(LeaseLost):
            if self._asked.is_set() or self._trainer.stopping.is_set():
                self._stopped()
            elif exit_code == -15:
                # Somebody ends processes in an orderly way, the whole server perhaps: not the job's fault.
                self._write(self._trainer.runs.release, self._lease, "Its worker process was told to end; it goes on.")
            else:
                found: QStoreError = error
                if out_of_memory and exit_code == -9:
                    found = WorkerOutOfMemory("The worker process was ended because memory ran out.")
                log.warning("training.child_died", exit_code=exit_code, error=found.message)
                self._write(self._trainer.runs.died, self._lease, found)

    def _write(self, function: Callable[..., Any], *args: Any) -> Any:
        """Until it is written: a database that is away or full makes the child wait, not fail."""
        wait = RETRY_SECONDS[0]
        while True:
            try:
                return self._trainer.portal.call(function, *args)
            except (Unavailable, StorageFull) as error:
                log.warning("training.not_written", error=error.message)
                if self._trainer.stopping.wait(wait):
                    raise PortalClosed from error
                wait = min(wait * 2, RETRY_SECONDS[1])
