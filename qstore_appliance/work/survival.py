"""
How a child process dies: with its server, never of a terminal's Ctrl-C, and before the server when memory runs out.

Linux does most of it; elsewhere the watcher on the server's pipe is what remains.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import threading
from multiprocessing import connection, forkserver, process
from typing import Any

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the thread that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def settle(*, nice: int = 0, memory_bytes: int | None = None) -> None:
    """
    First act of every child.

    Args:
        nice: Added to the priority value: the server answers before its jobs compute.
        memory_bytes: Data that may be allocated beyond what was inherited; then MemoryError, None for no limit.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # The forkserver's word for loading more.
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    die_with_parent()
    _let_the_forkserver_go()
    parent = process.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), name="watch", daemon=True).start()
    if nice:
        os.nice(nice)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes is not None:
        _limit_memory(memory_bytes)
    _offer_to_the_oom_killer()


def _let_the_forkserver_go() -> None:
    """
    Give back the write end of the forkserver's "alive" pipe, which every child inherits.

    The forkserver lives as long as anybody holds it. Held by children it would outlive a killed server, and as their
    parent keep the kernel's death signal from reaching them. No child of ours starts children.
    """
    server: Any = forkserver._forkserver  # type: ignore[attr-defined]
    descriptor = getattr(server, "_forkserver_alive_fd", None)
    if isinstance(descriptor, int):
        os.close(descriptor)
        server._forkserver_alive_fd = None


def _watch(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def _limit_memory(memory_bytes: int) -> None:
    # RLIMIT_DATA and not RLIMIT_AS: compilers and thread stacks reserve address space that they never touch.
    try:
        used = 0
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("VmData:"):
                    used = int(line.split()[1]) * 1024
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        limit = used + memory_bytes
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    except OSError:
        # No /proc, or a kernel that refuses: the machine's own limit stands.
        return


def _offer_to_the_oom_killer() -> None:
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
            score.write("700")
    except OSError:
        return
