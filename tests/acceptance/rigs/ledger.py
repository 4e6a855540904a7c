"""
What a client was told, in a file outside the data directory: the intent before a request leaves, the answer when it came.

Each line is on the disk before the client goes on, so the file knows at least as much as anybody was promised.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Ledger:
    """One file for all writers of a rig."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = threading.Lock()
        self._count = 0

    def intend(self, method: str, path: str, body: Any, key: str) -> int:
        with self._lock:
            self._count += 1
            self._write({"n": self._count, "method": method, "path": path, "body": body, "key": key})
            return self._count

    def answered(self, number: int, status: int, data: Any) -> None:
        with self._lock:
            self._write({"n": number, "status": status, "data": data})

    def acknowledged(self) -> int:
        """Writes that were answered with success."""
        return sum(200 <= entry["status"] < 300 for entry in self._entries() if "status" in entry)

    def close(self) -> None:
        os.close(self._descriptor)

    def _write(self, entry: dict[str, Any]) -> None:
        os.write(self._descriptor, json.dumps(entry).encode() + b"\n")
        os.fdatasync(self._descriptor)

    def _entries(self) -> Iterator[dict[str, Any]]:
        with self.path.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
