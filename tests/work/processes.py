"""Looking at processes from outside, and a server to be killed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tests

ROOT = Path(tests.__file__).parent.parent


def exists(pid: int) -> bool:
    """Whether a process runs; a zombie that waits for its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def descendants(pid: int) -> set[int]:
    """Every process below this one."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
    found: set[int] = set()
    for candidate in parents:
        above: int | None = candidate
        while above is not None and above > 1:
            above = parents.get(above)
            if above == pid:
                found.add(candidate)
    return found


def seconds_until_gone(pids: set[int], most: float = 50.0) -> float:
    """How long it took until the last of them was gone."""
    began = time.monotonic()
    while any(exists(pid) for pid in pids):
        assert time.monotonic() - began < most, [pid for pid in pids if exists(pid)]
        time.sleep(0.005)
    return time.monotonic() - began


@contextlib.contextmanager
def victim(directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """A server at work on this directory, and what it says of itself; killed at the end whatever happens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.work.victim", str(directory)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the server to be killed did not come up"
        yield process, json.loads(line)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
