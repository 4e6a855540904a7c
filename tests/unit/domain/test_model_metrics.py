"""Latencies are counted in buckets that merge, windows are whole hours and days."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from qstore_appliance.domain.model_metrics import Hour, Window, merged, percentile

NOON = datetime(2026, 3, 14, 12, 34, 56, tzinfo=UTC)


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_percentiles_are_right_to_a_hundredth(share: float) -> None:
    """Of latencies over five orders of magnitude each percentile is within one part in a hundred of the sorted one."""
    rng = random.Random(1)
    times = [rng.lognormvariate(1.0, 2.0) for _ in range(5_000)]
    hour = Hour()
    for milliseconds in times:
        hour.answered(milliseconds, 1, 0)

    found = percentile(hour.buckets, share)

    assert found == pytest.approx(sorted(times)[int(share * (len(times) - 1))], rel=0.0101)


def test_merging_is_counting_together() -> None:
    """Two servers' hours give the percentiles that one server would have counted."""
    rng = random.Random(2)
    parts, whole = [Hour(), Hour()], Hour()
    for _ in range(1_000):
        milliseconds = rng.expovariate(0.1)
        rng.choice(parts).answered(milliseconds, 2, 3)
        whole.answered(milliseconds, 2, 3)

    assert merged(part.buckets for part in parts) == whole.buckets
    assert sum(part.inputs for part in parts) == whole.inputs == 2_000


def test_nothing_has_no_percentile() -> None:
    """Where nobody was answered there is no latency, and a failure adds none."""
    hour = Hour()
    hour.failed()

    assert percentile(hour.buckets, 0.5) is None
    assert (hour.requests, hour.errors) == (1, 1)


def test_windows_are_whole() -> None:
    """Days begin at midnight in UTC, hours at the hour, and the present one counts."""
    assert Window.of("7d", NOON).since == datetime(2026, 3, 8, tzinfo=UTC)
    assert len(Window.of("7d", NOON).days(NOON)) == 7
    assert Window.of("24h", NOON).since == datetime(2026, 3, 13, 13, tzinfo=UTC)
    assert [day.day for day in Window.of("24h", NOON).days(NOON)] == [13, 14]
    assert Window.of("1h", NOON).since == datetime(2026, 3, 14, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "7", "0d", "d", "7w", "91d", "2161h", "-1d", "1.5h", "99999d", "７d"])
def test_other_windows_are_refused(text: str) -> None:
    """What is no span of at most 90 days is no window."""
    with pytest.raises(ValueError, match="must be"):
        Window.of(text, NOON)
