"""What is tried again, and after how long."""

from __future__ import annotations

import random

from qstore_client.errors import APIError

#: Statuses that a proxy answers in the server's place while that restarts.
PROXIES = frozenset({502, 503, 504})
#: The longest pause between two attempts of our own choosing.
LONGEST = 8.0


def pause(attempt: int) -> float:
    """Seconds before another attempt: half a second, one, two and so on, each up to a quarter shorter by chance."""
    return float(min(LONGEST, 0.5 * 2**attempt) * random.uniform(0.75, 1.0))


def pause_after(refused: APIError, attempt: int, longest: float) -> float | None:
    """
    Seconds after which a refused request may do better; None where it would be refused again.

    Args:
        longest: More than that the caller does not want to wait.
    """
    if refused.retry_after is not None and refused.code != "CONFLICT":
        return refused.retry_after if refused.retry_after <= longest else None
    if refused.code == "CONFLICT":
        # Only where the first of two requests with one idempotency key is still at it.
        return refused.retry_after
    return pause(attempt) if refused.code in ("UNAVAILABLE", "RATE_LIMITED") else None
