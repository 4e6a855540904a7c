"""
A circuit breaker: after some failures in a row nothing is asked for a while, then one question decides.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from qstore_appliance.errors import BackendUnavailable

MAX_FAILURES: Final = 5
FIRST_PAUSE: Final = 15.0
LONGEST_PAUSE: Final = 300.0


class Breaker:
    """
    Args:
        name: Who is asked, for the sentence.
        clock: Seconds, ever growing.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._closed_until = 0.0
        self._trying = False
        #: The last failure, a sentence.
        self.reason = ""
        #: Told why nothing is asked for a while; and None when the first answer comes, or the first one again.
        self.changed: Callable[[str | None], None] = lambda reason: None
        self._told: str | None = "nobody has been asked yet"

    @property
    def state(self) -> str:
        """`closed` (works), `open` (nothing is asked), `half-open` (the next question decides)."""
        if self._failures < MAX_FAILURES:
            return "closed"
        return "open" if self._clock() < self._closed_until else "half-open"

    def enter(self) -> None:
        """
        Raises:
            BackendUnavailable: Not now; `retry_after` says when.
        """
        with self._lock:
            state = self.state
            if state == "closed":
                return
            if state == "half-open" and not self._trying:
                self._trying = True
                return
            wait = max(1.0, self._closed_until - self._clock())
            raise BackendUnavailable(
                f"{self._name} failed {self._failures} times in a row and is left alone for {wait:.0f} s. "
                f"The last time: {self.reason}",
                retry_after=wait,
            )

    def succeeded(self) -> None:
        with self._lock:
            self._failures, self._pause, self._trying, self.reason = 0, FIRST_PAUSE, False, ""
            news, self._told = self._told is not None, None
        if news:
            self.changed(None)

    def failed(self, reason: str) -> None:
        with self._lock:
            self._failures += 1
            self._trying = False
            self.reason = reason
            open = self._failures >= MAX_FAILURES
            if open:
                self._closed_until = self._clock() + self._pause
                self._pause = min(LONGEST_PAUSE, 2 * self._pause)
                self._told = f"{self._name} failed {self._failures} times in a row: {reason}"
        if open:
            self.changed(self._told)
