"""
Who is outside of a house on fire and remembers everything: a provider that speaks IonQ's API, and a receiver of webhooks.

Both are real and on loopback, in the process of the test, which nobody kills.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.deliveries.receiving import Receiver, receiving
from tests.ionq_endpoint import Endpoint, endpoint


class Outside:
    def __init__(self, folder: Path, provider: Endpoint, receiver: Receiver) -> None:
        self._file = folder / "qstore.sqlite3"
        self._receiver = receiver
        self.hook = f"http://localhost:{receiver.port}/alerts"
        self.config = (
            f'[webhooks]\nallow = ["localhost:{receiver.port}"]\n[backends.ionq_simulator]\napi_key = "{provider.key}"\n'
            f'base_url = "{provider.url}"\npoll_interval = 0.05\nretry_pause = 0.02\n'
        )

    def submissions(self) -> list[str]:
        """Of each job that the provider has taken, the token that came with it; oldest first."""
        connection = sqlite3.connect(f"file:{self._file}?mode=ro", uri=True, timeout=10)
        try:
            rows = connection.execute("SELECT metadata FROM circuit_jobs ORDER BY id").fetchall()
        finally:
            connection.close()
        return [str(json.loads(row[0])["qstore_submission"]) for row in rows]

    def letters(self) -> list[tuple[str, dict[str, Any]]]:
        """What was delivered, with the id in its header, each time that it was."""
        return [(one.headers["X-QStore-Delivery"], json.loads(one.body)) for one in list(self._receiver.received)]


@contextlib.contextmanager
def outside(folder: Path) -> Iterator[Outside]:
    folder.mkdir(parents=True)
    with endpoint(folder) as provider, receiving() as receiver:
        yield Outside(folder, provider, receiver)
