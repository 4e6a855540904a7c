"""What this machine has: memory, cores, graphics cards."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

#: Left for everybody else.
SPARE_BYTES = 256 * 2**20


def memory_available() -> int:
    """Bytes that a new process may use: what the system calls available, less where a control group allows less."""
    found = _meminfo("MemAvailable") or 2 * 2**30
    for allowed, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        limit, present = _number(allowed), _number(used)
        if limit is not None and present is not None:
            found = min(found, max(0, limit - present))
    return max(SPARE_BYTES, found - SPARE_BYTES)


def memory_capacity() -> int:
    """Bytes that the jobs of this machine may use together: all that it has, less where a control group allows less."""
    found = _meminfo("MemTotal") or 2 * 2**30
    for allowed in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        limit = _number(allowed)
        if limit is not None:
            found = min(found, limit)
    return max(SPARE_BYTES, found - SPARE_BYTES)


def memory_of(pid: int) -> int:
    """Bytes that a process holds in memory now; 0 where it is gone or the system does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def graphics_cards() -> int:
    """NVIDIA cards that the system's driver shows; 0 where there is none."""
    try:
        return len(os.listdir("/proc/driver/nvidia/gpus"))
    except OSError:
        return 0


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def out_of_memory_kills() -> int:
    """How many processes the kernel has killed so far because memory ran out; 0 where it does not say."""
    count = 0
    for file in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control", "/proc/vmstat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in Path(file).read_text(encoding="ascii").splitlines():
                if line.startswith("oom_kill "):
                    count += int(line.split()[1])
    return count


def _meminfo(key: str) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    return None


def _number(file: str) -> int | None:
    """None where the file is absent or says "max"."""
    with contextlib.suppress(OSError, ValueError):
        return int(Path(file).read_text(encoding="ascii"))
    return None
