"""
Two ways to do the same thing, of which the faster one is to be taken; which that is may change at any time.
"""

from __future__ import annotations

from typing import Final

#: So many calls in so many go the way that was the slower one.
TRIES: Final = 2
RETRY: Final = 256
#: What the latest call counts in the mean.
SHARE: Final = 0.2


class Pace:
    """
    Whether a short step is worth waking the other cores for depends on what else they do, so it is measured, and now and
    then the slower way is tried again.

    Args:
        usual: A way.
        other: Another one with the same result; None where there is none worth a try.
    """

    def __init__(self, usual: int, other: int | None = None) -> None:
        self.usual = usual
        self._other = other
        self._calls = 0
        self._seconds = {usual: 0.0, other: 0.0}

    def choose(self) -> int:
        """The way of the next call."""
        if self._other is None:
            return self.usual
        faster, slower = self.usual, self._other
        if self._seconds[slower] < self._seconds[faster]:
            faster, slower = slower, faster
        trying = self._calls % RETRY < TRIES
        self._calls += 1
        return slower if trying else faster

    def took(self, way: int, seconds: float) -> None:
        """What a call took."""
        before = self._seconds[way]
        self._seconds[way] = before + SHARE * (seconds - before) if before else seconds
