"""Predictor processes, seen from the server: started with a model loaded, asked several questions at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from qstore_appliance.errors import DeadlineExceeded, WorkerCrash, WorkerOutOfMemory
from qstore_appliance.services.machine import memory_available
from qstore_appliance.work import children, wire

log = structlog.get_logger(__name__)

#: A model that has not loaded after so long has failed.
OPEN_SECONDS = 60.0
#: Questions of more inputs are asked by themselves, and so many inputs are asked together at the most.
SMALL_INPUTS = 64
TOGETHER_INPUTS = 1024


@dataclass(eq=False)
class Waiting:
    """
    A question that waits for its answer.

    Attributes:
        alone: Asked by itself: it is large, it draws shots, or a process died over it and others.
        deaths: Processes that died over it.
        deadline: Of the monotonic clock.
        asked: A process has it; from then on its process minds the deadline.
    """

    question: wire.Question
    alone: bool
    deadline: float
    answer: asyncio.Future[dict[str, Any]]
    since: float = field(default_factory=time.monotonic)
    deaths: int = 0
    asked: bool = False

    @property
    def n_inputs(self) -> int:
        return len(self.question.inputs)


class Predictor:
    """One process and what it has answered."""

    def __init__(self, child: children.Child) -> None:
        self.child = child
        self.served = 0
        self.busy = False
        self.used = time.monotonic()

    def ask(self, questions: Sequence[wire.Question], seconds: float) -> list[wire.Reply]:
        """
        Blocks. Raises: DeadlineExceeded; WorkerCrash; WorkerOutOfMemory. After any of them the process is useless.
        """
        self.child.send(msgspec.msgpack.encode(questions))
        if not self.child.poll(seconds):
            self.child.kill()
            raise DeadlineExceeded(f"The prediction took longer than {seconds:.3g} s and was stopped.")
        message = wire.unpack(self.child.receive())
        if message.kind == "error":
            self.child.kill()
            raise wire.error_of(wire.body(message, wire.Fault))
        found: list[wire.Reply] = wire.body(message, list[wire.Reply])
        if len(found) != len(questions):
            self.child.kill()
            raise WorkerCrash("The predictor process answered something else than it was asked.")
        if any(reply.fault is not None and reply.fault.code == WorkerOutOfMemory.code for reply in found):
            # Memory that it ran out of once is in pieces.
            self.child.kill()
        return found


def loaded(opening: bytes, memory_bytes: int | None) -> children.Child:
    """
    A process with its model loaded; where it dies over that, another one. Blocks.

    Args:
        memory_bytes: It may have no more; None for what the machine has to spare.

    Raises: what the loading raises.
    """
    try:
        return _started(opening, memory_bytes)
    except WorkerCrash as error:
        log.warning("replicas.died_loading", error=error.message)
        return _started(opening, memory_bytes)


def _started(opening: bytes, memory_bytes: int | None) -> children.Child:
    most = memory_available()
    child = children.start("predict", nice=1, memory_bytes=most if memory_bytes is None else min(most, memory_bytes))
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


def discard(start: Future[children.Child] | asyncio.Future[children.Child]) -> None:
    """Of a process that nobody wants any more by the time it runs."""
    if not start.cancelled() and start.exception() is None:
        start.result().close()
