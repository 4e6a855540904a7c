"""
What runs inside the children: train a job, calculate, predict. Each function owns one end of a pipe.

Nothing here knows the database, the loop or the queue: a child yields values, the server writes them.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import secrets
import sys
import time
import traceback
from collections.abc import Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from qstore_appliance.engine.remote_jobs import RemoteJob, RemoteJobs
from qstore_appliance.errors import Cancelled, QStoreError
from qstore_appliance.work import answers, wire

#: Seconds between two looks at the pipe, and between two signs of life.
LOOK_SECONDS = 0.05
BEAT_SECONDS = 1.0
#: A question about a circuit of so many qubits is not worth a second thread.
SMALL_QUBITS = 14
#: Packages whose functions a calculation may name.
CALLABLE = ("qstore_appliance.engine.", "qstore_backends.")


class Line:
    """
    A training's line to its server. Called, it is the training's `should_stop`: cheap enough to ask at every batch, and
    it tells the server that the child is not stuck.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._asked = False
        #: Told to stop because the server stops: the job goes on later.
        self.left = False
        self._look = self._beat = time.monotonic()

    def __call__(self) -> bool:
        now = time.monotonic()
        if self._asked or now < self._look:
            return self._asked
        self._look = now + LOOK_SECONDS
        if self._pipe.poll(0):
            self._hear()
        elif now >= self._beat:
            self._beat = now + BEAT_SECONDS
            self.tell("alive")
        return self._asked

    def tell(self, kind: str, body: Any = None) -> None:
        self._pipe.send_bytes(wire.pack(kind, body))

    def wait_for_kept(self) -> None:
        """
        Until the server says that it has stored what was told last.

        Raises:
            Cancelled: It says stop instead.
        """
        while not self._pipe.poll(BEAT_SECONDS) or self._hear() != wire.KEPT:
            if self._asked:
                raise Cancelled
            self.tell("alive")

    def _hear(self) -> bytes:
        said = self._pipe.recv_bytes()
        if said != wire.KEPT:
            self._asked, self.left = True, said == wire.RELEASE
        return said


class KeptRemoteJobs(RemoteJobs):
    """Submissions that outlive this process: the server writes them into its database."""

    def __init__(self, line: Line, earlier: Iterable[RemoteJob]) -> None:
        super().__init__(earlier)
        self._line = line

    def keep(self, job: RemoteJob) -> None:
        self._line.tell("remote_job", job)
        if job.status == "noted":
            self._line.wait_for_kept()

    def say(self, message: str) -> None:
        self._line.tell("said", message)

    @property
    def left(self) -> bool:
        return self._line.left


def train(pipe: Connection) -> None:
    """One plan in; epoch reports out, then the trained model, or how it ended instead."""
    content = pipe.recv_bytes()
    try:
        from qstore_appliance.engine import artifact
        from qstore_appliance.engine.plan import Plan
        from qstore_appliance.engine.training import Training

        plan = msgspec.msgpack.decode(content, type=Plan)
        line = Line(pipe)
        training = Training(plan, KeptRemoteJobs(line, plan.remote_jobs), lambda reason: line.tell("degraded", reason))
        for report in training.epochs(line):
            line.tell("epoch", report)
            if plan.waits:
                line.wait_for_kept()
        trained = training.finish()
        inputs: dict[str, Any] = {}
        if trained.artifact is not None:
            model = artifact.read(trained.artifact)
            inputs = {
                "task": model.task,
                "n_features": model.features.n_inputs,
                "feature_names": list(model.feature_names),
                "classes": list(model.classes),
            }
        last = wire.pack("trained", {"trained": trained, "inputs": inputs})
    except Cancelled:
        last = wire.pack("stopped")
    except (BrokenPipeError, EOFError):
        raise
    except Exception as error:
        last = wire.pack("error", _fault(error))
    pipe.send_bytes(last)


def calculate(pipe: Connection) -> None:
    """`(function, args, kwargs)` in, its value or error out, until the server hangs up."""
    while True:
        function, args, kwargs = pickle.loads(pipe.recv_bytes())  # noqa: S301 - the server's own words
        try:
            answer = wire.pack("value", wire.dump_value(_named(function)(*args, **kwargs)))
        except (SystemExit, Exception) as error:
            answer = wire.pack("error", _fault(error))
        pipe.send_bytes(answer)


def predict(pipe: Connection) -> None:
    """A model's artifact in; then several questions in, as many answers out, until the server hangs up."""
    opening = msgspec.msgpack.decode(pipe.recv_bytes())
    try:
        from qstore_appliance.engine.predictor import Predictor

        predictor = Predictor(Path(opening["artifact"]).read_bytes(), opening["options"])
        _keep_to(opening["cores"], predictor.n_qubits)
        pipe.send_bytes(wire.pack("ready", {"n_inputs": predictor.n_inputs, "classes": list(predictor.classes)}))
    except Exception as error:
        pipe.send_bytes(wire.pack("error", _fault(error)))
        return
    while True:
        content = pipe.recv_bytes()
        try:
            questions = msgspec.msgpack.decode(content, type=list[wire.Question])
            reply = wire.pack("answers", answers.of(predictor, questions, _fault))
        except MemoryError as error:
            reply = wire.pack("error", _fault(error))
        pipe.send_bytes(reply)


def _keep_to(cores: int | None, n_qubits: int) -> None:
    """
    No more cores than these, whatever threads a backend starts; chosen by chance, so that replicas share the machine.

    Where nothing was said, a small circuit has one thread: threads that wait for each other over a few microseconds of
    work are what the server's own would have answered in.
    """
    from qstore_appliance.engine import kernel_lanes, kernels

    if cores is None:
        if n_qubits <= SMALL_QUBITS:
            vars(kernels)["most_threads"] = 1
        return
    vars(kernels)["most_threads"] = min(cores, kernel_lanes.most_threads)
    if hasattr(os, "sched_setaffinity"):
        mine = sorted(os.sched_getaffinity(0))
        if cores < len(mine):
            os.sched_setaffinity(0, secrets.SystemRandom().sample(mine, cores))


def _named(function: str) -> Any:
    module, _, name = function.partition(":")
    if not module.startswith(CALLABLE) or not name.isidentifier():
        raise QStoreError(f"{function} is not a function of the engine.")
    return getattr(importlib.import_module(module), name)


def _fault(error: BaseException) -> wire.Fault:
    if isinstance(error, (QStoreError, MemoryError)):
        return wire.fault(error)
    trace = traceback.format_exc(limit=-20)
    # One line, whatever the error's text holds: a child writes to its server's log.
    line = {"event": "child.failed", "pid": os.getpid(), "level": "error", "trace": trace}
    print(json.dumps(line), file=sys.stderr, flush=True)
    return wire.fault(error, trace)
