"""How a model in service does: requests, latency, errors and cost, counted by the hour in a form that can be merged."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

#: A percentile is right to one part in a hundred: each bucket is two parts wide. This is DDSketch (Masson, Rim, Lee 2019);
#: its library keeps what it counts in protobuf, which the serving process would have to load for four lines of counting.
_WIDTH = math.log(1.02)
#: Below a microsecond nothing is told apart.
_LEAST = 1e-3
_WINDOW = re.compile(r"([1-9][0-9]{0,3})([hd])")
MOST_DAYS = 90


class Hour:
    """What one server counted of one model in one hour; grows."""

    def __init__(self) -> None:
        self.requests = 0
        self.errors = 0
        self.inputs = 0
        self.cost = 0
        self.milliseconds = 0.0
        #: Answers by bucket of their latency.
        self.buckets: dict[int, int] = {}

    def answered(self, milliseconds: float, inputs: int, cost: int) -> None:
        """Args: cost: micro-dollars."""
        bucket = math.ceil(math.log(max(milliseconds, _LEAST)) / _WIDTH)
        self.requests += 1
        self.inputs += inputs
        self.cost += cost
        self.milliseconds += milliseconds
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1

    def failed(self) -> None:
        self.requests += 1
        self.errors += 1


def percentile(buckets: Mapping[int, int], share: float) -> float | None:
    """Milliseconds below which this share of the answers were; None where there were none."""
    total = sum(buckets.values())
    if not total:
        return None
    rank = share * (total - 1)
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen > rank:
            # The middle of the bucket, as far from its lower end as from its upper one by ratio.
            return 2 * math.exp(_WIDTH * bucket) / (math.exp(_WIDTH) + 1)
    return None


def merged(parts: Iterable[Mapping[int, int]]) -> dict[int, int]:
    found: dict[int, int] = {}
    for part in parts:
        for bucket, n in part.items():
            found[bucket] = found.get(bucket, 0) + n
    return found


class Window(msgspec.Struct, frozen=True):
    """Whole hours or UTC days, the present one included."""

    text: str
    since: datetime

    @classmethod
    def of(cls, text: str, now: datetime) -> Window:
        """
        Args:
            text: `24h` or `7d`.

        Raises:
            ValueError: Neither hours nor days, or more than 90 days.
        """
        found = _WINDOW.fullmatch(text)
        if found is None:
            raise ValueError("must be hours or days, such as 24h or 7d")
        n, unit = int(found[1]), found[2]
        if n * (24 if unit == "d" else 1) > 24 * MOST_DAYS:
            raise ValueError(f"must be at most {MOST_DAYS}d")
        hour = now.replace(minute=0, second=0, microsecond=0)
        since = hour.replace(hour=0) - timedelta(days=n - 1) if unit == "d" else hour - timedelta(hours=n - 1)
        return cls(text, since)

    def days(self, now: datetime) -> list[datetime]:
        """Midnights of the days that it touches, in UTC."""
        first = self.since.replace(hour=0)
        return [first + timedelta(days=n) for n in range((now - first).days + 1)]


class ModelMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """Costs in micro-dollars. Latencies are of answers; where there were none they are None."""

    window: str
    since: datetime
    days: list[str]
    requests_per_day: list[int]
    cost_per_day: list[int]
    requests: int
    inputs: int
    avg_latency_ms: float | None
    p50_latency_ms: float | None
    p95_latency_ms: float | None
    p99_latency_ms: float | None
    error_rate: float
