"""
What the forkserver imports before it forks anything: the engine, with its kernels compiled and run once.

In two parts: without the first no training begins, and the second, which takes longer, is needed when one ends. The
second waits for a word of the server (SIGUSR1), so that jobs which a killed server left go on before it.

Imported anywhere else it does nothing. Each step that fails is printed and skipped: a child then meets the same fault
itself, and reports it as an error of its own job.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial

#: Only imported, never used before the fork: threads of OpenMP that the parent had started would hang its children.
MODULES = (
    "qstore_appliance.work.children",
    "qstore_appliance.work.targets",
    "qstore_appliance.engine.discovery",
    "qstore_appliance.engine.training",
    "qstore_appliance.engine.predictor",
)
#: For the plain models that a trained one is compared with. A child that is forked before imports them itself.
REST = ("sklearn.linear_model", "sklearn.pipeline", "sklearn.preprocessing")
#: What asks for them.
SIGNAL = signal.SIGUSR1


def prepare(server: int) -> None:
    """
    Turn this process into a good parent of engine processes.

    Args:
        server: The process that started this one.
    """
    # Ctrl-C reaches the whole process group of a terminal; only the server decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    from qstore_appliance.work import survival

    survival.die_with_parent()
    if os.getppid() != server:
        # It died before the kernel was asked to tell us.
        os._exit(1)
    # Where the server happens to have been started must not decide what `import numba` means.
    sys.path[:] = [entry for entry in sys.path if entry]

    from qstore_appliance.engine import kernel_cache

    _attempt(kernel_cache.prepare_environment)
    for name in MODULES:
        _attempt(partial(importlib.import_module, name))
    _attempt(warm)
    _settle()
    if "QSTORE_PRELOAD_REST" in os.environ:
        load_rest()
    # Blocked since before this process began, for it ends whoever is not prepared for it.
    signal.signal(SIGNAL, load_rest)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {SIGNAL})


def load_rest(*_: object) -> None:
    """Import the second part, between two forks: this process has one thread, and handlers run in it."""
    for name in REST:
        _attempt(partial(importlib.import_module, name))
    _settle()


def warm() -> None:
    """Run the kernels of the native backend once, so that no child waits for them to be loaded."""
    discovery = importlib.import_module("qstore_appliance.engine.discovery")
    discovery.load("native", {}).probe()


def _settle() -> None:
    gc.collect()
    # What is here now stays for good: collections in children shall not touch, and so copy, its pages.
    gc.freeze()


def _attempt(step: Callable[[], object]) -> None:
    try:
        step()
    except Exception:
        traceback.print_exc()


if "multiprocessing.forkserver" in " ".join(sys.orig_argv) and "QSTORE_PRELOAD" in os.environ:
    prepare(int(os.environ.pop("QSTORE_PRELOAD")))
