"""
Child processes of the engine, forked by a forkserver that holds it preloaded.

All are started by one thread that lives as long as this process: the kernel's death signal of the forkserver is bound
to the thread that started it. Values cross the pipe as bytes of `work/wire.py`; nothing a child sends is executed here.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import queue
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing import connection as mp_connection
from multiprocessing import context, forkserver, popen_forkserver, process, resource_tracker, util
from multiprocessing.reduction import ForkingPickler
from typing import Any

from qstore_appliance.errors import WorkerCrash
from qstore_appliance.work import survival

PRELOAD = "qstore_appliance.work.preload"
#: A forkserver that dies is started again for so long, and three times at the least.
RESTART_SECONDS = 3.0
#: Seconds for a process that was killed to be gone.
KILL_SECONDS = 5.0


class _Popen(popen_forkserver.Popen):
    """The forkserver's Popen, but the child neither runs our `__main__` again nor needs our working directory."""

    def _launch(self, process_obj: Any) -> None:
        preparation = {
            "name": process_obj._name,
            "authkey": process.current_process().authkey,
            "sys_path": [entry for entry in sys.path if entry],
            "start_method": "forkserver",
        }
        buffer = io.BytesIO()
        context.set_spawning_popen(self)
        try:
            ForkingPickler(buffer).dump(preparation)
            ForkingPickler(buffer).dump(process_obj)
        finally:
            context.set_spawning_popen(None)
        self.sentinel, writer = forkserver.connect_to_new_process(self._fds)  # type: ignore[attr-defined]
        # The child watches the read end: it ends when this process, the only holder of the write end, does.
        kept = os.dup(writer)
        self.finalizer = util.Finalize(self, util.close_fds, (kept, self.sentinel))  # type: ignore[attr-defined]
        with open(writer, "wb", closefd=True) as pipe:
            pipe.write(buffer.getbuffer())
        self.pid = forkserver.read_signed(self.sentinel)  # type: ignore[attr-defined]


class _Process(context.ForkServerProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        return _Popen(process_obj)


def _enter(target: str, pipe: mp_connection.Connection, nice: int, memory_bytes: int | None) -> None:
    """Runs in the child."""
    survival.settle(nice=nice, memory_bytes=memory_bytes)
    from qstore_appliance.work import targets

    # The stream of a dead server's terminal may be gone; nobody reads a child's last words but its parent.
    with contextlib.suppress(BrokenPipeError, EOFError):
        getattr(targets, target)(pipe)
    # Not through interpreter shutdown: threads of numerical libraries have nothing to tidy up.
    os._exit(0)


class Child:
    """A running child and our end of its pipe. One thread at a time may use the pipe."""

    def __init__(self, target: str, started: Any, pipe: mp_connection.Connection) -> None:
        self.target = target
        self.pid: int = started.pid
        #: Readable once the child has ended.
        self.sentinel: int = started.sentinel
        self._process = started
        self._pipe = pipe
        self._closed = False
        # The exit code can be read from the forkserver's pipe once; two threads that ask at a time would lose it.
        self._lock = threading.RLock()
        process._children.discard(started)  # type: ignore[attr-defined]
        _living.add(self)

    @property
    def alive(self) -> bool:
        with self._lock:
            return not self._closed and bool(self._process.is_alive())

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number where one ended it; 255 where the forkserver went first."""
        with self._lock:
            code = None if self._closed else self._process.exitcode
        return None if code is None else int(code)

    def send(self, content: bytes) -> None:
        """
        Raises:
            WorkerCrash: The child is gone, and has not read this (`details["unread"]`).
        """
        try:
            self._pipe.send_bytes(content)
        except (OSError, ValueError) as error:
            raise WorkerCrash(self.epitaph(), details={"unread": True}) from error

    def poll(self, seconds: float) -> bool:
        """Whether there is something to receive, the child's end included."""
        try:
            return self._pipe.poll(seconds)
        except (OSError, EOFError):
            return True

    def receive(self) -> bytes:
        """
        Raises:
            WorkerCrash: The child is gone, or wrote half a message before it went; `details["unread"]` where it never
                read what was sent to it last.
        """
        try:
            return self._pipe.recv_bytes()
        except ConnectionResetError as error:
            # So ends a local socket whose other end was closed over unread bytes.
            raise WorkerCrash(self.epitaph(), details={"unread": True}) from error
        except (OSError, EOFError, ValueError) as error:
            raise WorkerCrash(self.epitaph()) from error

    def epitaph(self) -> str:
        """A sentence that says how it ended."""
        if not self._closed:
            mp_connection.wait([self.sentinel], KILL_SECONDS)
        code = self.exit_code
        if code is None:
            return "The worker process does not answer."
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"The worker process was killed by {signal.Signals(-code).name}."
            return f"The worker process was killed by signal {-code}."
        return f"The worker process ended by itself with status {code}."

    def kill(self) -> None:
        """End it at once; returns when it is gone."""
        with self._lock:
            if self.alive:
                self._process.kill()
                self._process.join(KILL_SECONDS)

    def close(self) -> None:
        """Kill it if it still runs, and free what it held here."""
        with self._lock:
            if self._closed:
                return
            self.kill()
            self._closed = True
            _living.discard(self)
            self._pipe.close()
            if self._process.exitcode is not None:
                self._process.close()


_living: weakref.WeakSet[Child] = weakref.WeakSet()


class _Starter:
    """The one thread that starts children, and the forkserver with the first of them."""

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any], int]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        #: Orders of an earlier round are given up.
        self.round = 0
        #: Whether the forkserver shall hold the second part of `work/preload.py` too.
        self.complete = False

    def run(self, order: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, name="children", daemon=True)
                self._thread.start()
            self._idle.clear()
            self._orders.put((order, future, self.round))
        return future

    def give_up(self, seconds: float) -> None:
        if self._idle.wait(seconds):
            return
        with self._lock:
            self.round += 1
        pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
        if isinstance(pid, int):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _serve(self) -> None:
        while True:
            order, future, round = self._orders.get()
            try:
                if round != self.round:
                    raise WorkerCrash("The server is stopping.")
                future.set_result(order())
            except BaseException as error:
                future.set_exception(error)
            with self._lock:
                if self._orders.empty():
                    self._idle.set()


_starter = _Starter()


def preload() -> Future[None]:
    """Start the forkserver in the background; the future is done when it runs (not yet when it has preloaded)."""
    return _starter.run(_ensure_forkserver)


def preload_rest() -> Future[None]:
    """Have the forkserver import what is needed later, after the children that were asked for until now."""
    return _starter.run(_complete_forkserver)


def start(target: str, *, nice: int = 0, memory_bytes: int | None = None) -> Child:
    """
    Start a child that runs `work/targets.py:<target>(pipe)`. Blocks until it is forked.

    Raises:
        WorkerCrash: No process could be started.
    """
    return _starter.run(lambda: _start(target, nice, memory_bytes)).result()


def give_up_starting(seconds: float) -> None:
    """
    The server stops: whoever still waits for a child after so long is refused.

    A forkserver that does not fork in that time is loading, compiling perhaps for minutes, and has no children yet: it
    is ended.
    """
    _starter.give_up(seconds)


def _ensure_forkserver() -> None:
    # `-c` programs look for modules in the working directory first, unless told otherwise.
    changed = {"PYTHONSAFEPATH": "1", "QSTORE_PRELOAD": str(os.getpid())}
    if _starter.complete:
        changed["QSTORE_PRELOAD_REST"] = "1"
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        resource_tracker.ensure_running()  # type: ignore[attr-defined]
        # Blocked signals are inherited: a Ctrl-C waits until the forkserver has decided to ignore it, and the word to load
        # the rest until it knows what that means.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGUSR1})
        forkserver.set_forkserver_preload([PRELOAD])
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _complete_forkserver() -> None:
    if _starter.complete:
        return
    _ensure_forkserver()
    # From here on each one that has to be started anew loads everything at once.
    _starter.complete = True
    pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    if isinstance(pid, int):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGUSR1)


def _start(target: str, nice: int, memory_bytes: int | None) -> Child:
    error: Exception | None = None
    round, began, attempts = _starter.round, time.monotonic(), 0
    while attempts < 3 or time.monotonic() - began < RESTART_SECONDS:
        attempts += 1
        if round != _starter.round:
            raise WorkerCrash("The server is stopping.")
        ours, theirs = mp_connection.Pipe(duplex=True)
        try:
            _ensure_forkserver()
            started = _Process(target=_enter, args=(target, theirs, nice, memory_bytes), name=target, daemon=True)
            started.start()
        except (OSError, EOFError) as caught:
            # The forkserver was killed just now; once the system has noticed, the next round starts another.
            error = caught
            ours.close()
            time.sleep(0.05)
        else:
            return Child(target, started, ours)
        finally:
            theirs.close()
    raise WorkerCrash(f"No worker process could be started: {error}") from error


def living() -> list[Child]:
    """The children that were started here and not closed yet."""
    return list(_living)


@atexit.register
def _end_all() -> None:
    for child in living():
        child.kill()
