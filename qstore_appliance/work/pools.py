"""The predictor processes of one deployment, and the questions that wait for them."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from qstore_appliance.domain.models import Scaling
from qstore_appliance.errors import NoCapacity
from qstore_appliance.work.predictors import TOGETHER_INPUTS, Predictor, Waiting
from qstore_appliance.work.scaling import Scaler

#: Questions that may wait for one deployment.
MAX_WAITING = 1024
#: Where questions come several at a time, the first of the next few waits so long for the others.
GATHER_SECONDS = 0.001


class Pool:
    """
    What it takes to start a process, the processes there are, and the line before them.

    Args:
        opening: Its first message: the model, and the options of the backends.
        wanted: Processes that shall run.
        memory_bytes: That each may have; None for what the machine has to spare.
        version: What its processes have loaded, as answers shall name it.
        scaling: By the rate of questions; None where `wanted` stays.
    """

    def __init__(
        self, opening: bytes, wanted: int, memory_bytes: int | None, scaling: Scaling | None, version: str | None
    ) -> None:
        self.opening = opening
        self.version = version
        self.wanted = wanted
        self.memory_bytes = memory_bytes
        self.scaler = Scaler(scaling) if scaling is not None else None
        self.predictors: list[Predictor] = []
        self.line: deque[Waiting] = deque()
        self.starting = 0
        self.closed = False
        #: Deaths since one was replaced.
        self.deaths = 0
        #: Of what is being gathered for the next batch.
        self.gathering: asyncio.TimerHandle | None = None
        #: Questions of the last batch.
        self.company = 1
        #: Since it was opened.
        self.asked = 0
        #: Woken when a process goes idle or away.
        self.idle = asyncio.Event()

    @property
    def size(self) -> int:
        return len(self.predictors) + self.starting

    @property
    def busy(self) -> int:
        return sum(predictor.busy for predictor in self.predictors)

    def enter(self, waiting: Waiting) -> None:
        """
        Raises:
            NoCapacity: Too many wait already.
        """
        if len(self.line) >= MAX_WAITING:
            raise NoCapacity("Every replica is busy, and many requests wait already.", retry_after=1.0)
        self.line.append(waiting)
        self.asked += 1

    def free(self) -> Predictor | None:
        return next((predictor for predictor in self.predictors if not predictor.busy), None)

    def waits(self) -> bool:
        """Whether the next batch had better wait a moment, for the company that the last one had."""
        return self.company > 1 and len(self.line) < self.company and not self.line[0].alone

    def batch(self) -> list[Waiting]:
        """The next questions that are asked together; nobody waits for the answer to others that are gone."""
        found: list[Waiting] = []
        inputs = 0
        while self.line:
            first = self.line[0]
            if first.answer.done():
                self.line.popleft()
                continue
            if found and (first.alone or inputs + first.n_inputs > TOGETHER_INPUTS):
                break
            found.append(self.line.popleft())
            inputs += first.n_inputs
            if first.alone:
                break
        self.company = max(1, len(found))
        return found

    def refuse(self, error: Exception) -> None:
        """Everybody in the line."""
        while self.line:
            waiting = self.line.popleft()
            if not waiting.answer.done():
                waiting.answer.set_exception(error)

    def longest_wait(self) -> float:
        """Seconds that the first in the line has waited."""
        return time.monotonic() - self.line[0].since if self.line else 0.0
