"""Failures, counted by who and from where over a window, so that guessing is slow and nobody is locked out."""

from __future__ import annotations

import ipaddress
import time
from collections import deque

from qstore_appliance.errors import RateLimited

WINDOW_SECONDS = 300.0
MAX_ENTRIES = 20_000


class Attempt:
    """Counts as a failure until it is forgiven: a hundred guesses at once are a hundred, not none yet."""

    def __init__(self, times: deque[float], at: float) -> None:
        self._times = times
        self._at = at

    def forgive(self) -> None:
        if self._at in self._times:
            self._times.remove(self._at)


class Failures:
    """
    Args:
        allowed: In one window; the next attempt is refused.
        words: What the refusal says.
    """

    def __init__(
        self,
        allowed: int,
        window: float = WINDOW_SECONDS,
        words: str = "Too many failed sign-ins for this account from this address.",
    ) -> None:
        self._allowed = allowed
        self._window = window
        self._words = words
        self._times: dict[tuple[str, str], deque[float]] = {}

    def attempt(self, account: str, address: str) -> Attempt:
        """
        Args:
            account: Whose; empty where all accounts count together.
            address: From where; empty where all addresses count together.

        Raises:
            RateLimited: There were too many failures already.
        """
        now = time.monotonic()
        if len(self._times) >= MAX_ENTRIES:
            self._forget(now)
        times = self._times.setdefault((account, network(address)), deque())
        while times and times[0] <= now - self._window:
            times.popleft()
        if len(times) >= self._allowed:
            raise RateLimited(self._words, retry_after=times[0] + self._window - now)
        times.append(now)
        return Attempt(times, now)

    def _forget(self, now: float) -> None:
        kept = {key: times for key, times in self._times.items() if times and times[-1] > now - self._window}
        # Under a flood of invented accounts the oldest entries go; the flood itself meets the address's own bucket.
        surplus = len(kept) - MAX_ENTRIES // 2
        if surplus > 0:
            for key in sorted(kept, key=lambda key: kept[key][-1])[:surplus]:
                del kept[key]
        self._times = kept


def network(address: str) -> str:
    """An IPv6 client owns a /64, and hops about in it."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address
