"""A machine that takes jobs: the server's own, or another one that runs `qstore worker`."""

from __future__ import annotations

import enum
from datetime import datetime

import msgspec

from qstore_appliance.engine.discovery import Description

#: Seconds between two heartbeats, and of silence until a machine is taken to be lost.
BEAT_SECONDS = 4.0
LOST_SECONDS = 15.0


class WorkerKind(enum.StrEnum):
    #: `qstore serve`, which takes jobs too unless it has no slots.
    SERVER = "server"
    #: `qstore worker`.
    WORKER = "worker"


class WorkerState(enum.StrEnum):
    #: Heard of within the last seconds.
    ALIVE = "alive"
    #: Silent; what it ran is given to others.
    LOST = "lost"


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a job needs of a machine: this backend, with a graphics card or as it is, and so many bytes of memory."""

    backend: str
    memory_bytes: int = 0
    gpu: bool = False


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """
    One running process that takes jobs.

    Attributes:
        owner: What stands in the leases of its jobs: `<data directory>:<host>:<process>`.
        memory_bytes: That its jobs may use together.
        gpus: Graphics cards that the system shows.
        backends: What its last probes found, by name; one that is missing was not probed yet.
        job_ids: What it runs now; filled in where workers are listed.
    """

    id: str
    owner: str
    host: str
    pid: int
    kind: WorkerKind
    slots: int
    cores: int
    memory_bytes: int
    gpus: int
    backends: dict[str, Description]
    version: str
    started_at: datetime
    heartbeat_at: datetime
    job_ids: tuple[str, ...] = ()

    def state(self, now: datetime) -> WorkerState:
        silent = (now - self.heartbeat_at).total_seconds()
        return WorkerState.LOST if silent > LOST_SECONDS else WorkerState.ALIVE

    def works(self, backend: str, *, gpu: bool = False) -> bool:
        """Whether it takes jobs on this backend, as far as memory allows."""
        found = self.backends.get(backend)
        if self.slots < 1 or found is None or not found.available:
            return False
        return not gpu or (found.capabilities is not None and found.capabilities.gpu)

    def can(self, needs: Needs) -> bool:
        return self.works(needs.backend, gpu=needs.gpu) and needs.memory_bytes <= self.memory_bytes
