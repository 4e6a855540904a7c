"""
The machines of an installation as this process last saw them, and which of them can run a job.

Where no Redis joins several machines there is one, which runs everything that it has accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from tortoise.expressions import Q

from qstore_appliance.domain.workers import Needs, Worker
from qstore_appliance.engine.discovery import Description

#: How the reason begins of a job that no living machine can run.
WAITS = "Waits for a machine "


class Bound(NamedTuple):
    """
    Jobs on a backend that need more than `most` bytes are too much for some machines; with `most` None all of them are.

    Attributes:
        gpu: Whether it is about jobs that need a graphics card, or about those that do not.
    """

    backend: str
    gpu: bool
    most: int | None

    @property
    def rows(self) -> Q:
        """The jobs that are too much."""
        found = Q(backend=self.backend, needs_gpu=self.gpu)
        # Where nothing was estimated the comparison is neither true nor false, and its opposite would be neither too.
        return found if self.most is None else found & Q(expected_bytes__isnull=False, expected_bytes__gt=self.most)

    @property
    def reason(self) -> str:
        if self.most is None:
            card = " with a graphics card" if self.gpu else ""
            return f"{WAITS}where {self.backend} works{card}; none that runs has it."
        return f"{WAITS}with more memory for {self.backend}; the largest that runs has {self.most:,} bytes."


class Fleet:
    """
    Args:
        shared: Whether several machines take jobs from one queue.
    """

    def __init__(self, *, shared: bool = False) -> None:
        self.shared = shared
        #: This machine as it is now; None where this process takes no jobs.
        self.here: Callable[[], Worker] | None = None
        #: The other living machines.
        self.others: tuple[Worker, ...] = ()

    def living(self) -> list[Worker]:
        return [*(() if self.here is None else (self.here(),)), *self.others]

    def slots(self) -> int | None:
        """Of all living machines; None where nobody knows."""
        living = self.living()
        return sum(worker.slots for worker in living) if living else None

    def is_for_others(self, needs: Needs) -> bool:
        """Whether this machine has to leave the job alone."""
        return self.shared and self.here is not None and not self.here().can(needs)

    def has_other(self, needs: Needs) -> bool:
        """Whether another living machine can run the job."""
        return any(worker.can(needs) for worker in self.others)

    def beyond_us(self, backends: Iterable[str]) -> list[Bound]:
        """What of the jobs on these backends is too much for this machine."""
        if not self.shared or self.here is None:
            return []
        return list(_bounds([self.here()], backends))

    def beyond_all(self, backends: Iterable[str]) -> list[Bound]:
        """What of the jobs on these backends is too much for every living machine."""
        return list(_bounds(self.living(), backends)) if self.shared else []

    def elsewhere(self, backend: str, *, gpu: bool = False) -> Description | None:
        """What another living machine says of a backend that works there."""
        found = [worker for worker in self.others if worker.works(backend, gpu=gpu)]
        return max(found, key=lambda worker: worker.memory_bytes).backends[backend] if found else None

    def degraded(self, backend: str) -> str | None:
        """Why jobs on another machine have found that the backend's provider fails; None where none has."""
        found = (worker.backends.get(backend) for worker in self.others)
        return next((one.degraded for one in found if one is not None and one.degraded is not None), None)

    def memory(self, backend: str) -> int:
        """Bytes of the largest other machine on which the backend works; 0 where it works on none."""
        return max((worker.memory_bytes for worker in self.others if worker.works(backend)), default=0)


def _bounds(workers: list[Worker], backends: Iterable[str]) -> Iterator[Bound]:
    for backend in backends:
        for gpu in (False, True):
            able = [worker.memory_bytes for worker in workers if worker.works(backend, gpu=gpu)]
            yield Bound(backend, gpu, max(able, default=None))
