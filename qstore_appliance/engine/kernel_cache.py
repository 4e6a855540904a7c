"""
Where compiled kernels are kept, decided before numba is imported.

The cache belongs to a user and a machine, not to a data directory, and a change of version, processor, numba or kernel
source starts a new one: a stale kernel would be worse than a slow start. `python -m qstore_appliance.engine.kernels`
fills it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from functools import lru_cache
from importlib import metadata
from pathlib import Path

#: Ours for the kernels, then those that numba has by itself.
LOCATORS = "qstore_appliance.engine.kernel_locator.KernelLocator,UserProvidedCacheLocator,InTreeCacheLocator,UserWideCacheLocator"


def prepare_environment() -> Path:
    """
    Point numba at the cache and at a threading layer that survives `fork`; a value that is set already stays.

    Returns:
        The cache directory. Where it cannot be written, a fresh one that lasts as long as the machine keeps it: numba
        refuses to load kernels without a place for them.
    """
    if not os.environ.get("NUMBA_CACHE_DIR"):
        directory = cache_directory()
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            usable = os.access(directory, os.W_OK | os.X_OK)
        except OSError:
            usable = False
        os.environ["NUMBA_CACHE_DIR"] = str(directory) if usable else tempfile.mkdtemp(prefix="qstore-kernels-")
    os.environ.setdefault("NUMBA_CACHE_LOCATOR_CLASSES", LOCATORS)
    # A child forked from a process that ran OpenMP dies in its first kernel; the work queue starts its threads anew.
    os.environ.setdefault("NUMBA_THREADING_LAYER", "workqueue")
    return Path(os.environ["NUMBA_CACHE_DIR"])


def cache_directory() -> Path:
    """`${XDG_CACHE_HOME:-~/.cache}/qstore/kernels-<version>-<hash of processor and sources>`."""
    home = os.environ.get("XDG_CACHE_HOME")
    root = Path(home) if home and os.path.isabs(home) else Path("~/.cache").expanduser()
    digest = hashlib.sha256(_processor().encode())
    for package in ("numba", "llvmlite", "numpy"):
        digest.update(_version(package).encode())
    for source in sorted(Path(__file__).parent.glob("kernel*.py")):
        digest.update(source.read_bytes())
    return root / "qstore" / f"kernels-{_version('qstore-appliance')}-{digest.hexdigest()[:12]}"


@lru_cache(maxsize=1)
def lane_bits() -> int:
    """How many numbers the kernels move together, as a power of two: what a register holds in single precision."""
    return 4 if " avx512vl" in _processor() else 3


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "0"


def _processor() -> str:
    """Model and features of the processor: what LLVM compiles for."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join(line for line in lines if line.startswith(wanted))
