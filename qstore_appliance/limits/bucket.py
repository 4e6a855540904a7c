"""
The arithmetic of a token bucket; who keeps the numbers is up to `memory.py` and `redis.py`.

A bucket of size n refills by n/100 tokens a second: the specification's 1000 and 10, for any size.
"""

from __future__ import annotations

import msgspec

#: A bucket that was empty is full again after so many seconds.
REFILL_SECONDS = 100


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one request for tokens."""

    allowed: bool
    limit: int
    remaining: int
    #: Seconds until the wanted tokens are there (0 when allowed).
    retry_after: float
    #: Seconds until the bucket is full.
    reset_after: float


def level(tokens: float, elapsed: float, size: int) -> float:
    """The tokens in a bucket that held `tokens` some seconds ago. A clock that went back adds nothing."""
    return min(float(size), tokens + max(0.0, elapsed) * size / REFILL_SECONDS)


def outcome(before: float, size: int, wanted: int) -> tuple[float, Taken]:
    """
    Take from a bucket that holds `before` tokens.

    Returns:
        The tokens that stay, and what to tell the caller.
    """
    allowed = before >= wanted
    left = before - wanted if allowed else before
    rate = size / REFILL_SECONDS
    return left, Taken(
        allowed=allowed,
        limit=size,
        remaining=max(0, int(left)),
        retry_after=0.0 if allowed else (wanted - before) / rate,
        reset_after=max(0.0, (size - left) / rate),
    )
