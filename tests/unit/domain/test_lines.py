"""The order in which jobs that wait are taken: priorities, ageing, organizations by turns."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from qstore_appliance.domain import lines
from qstore_appliance.domain.jobs import Priority
from qstore_appliance.domain.lines import AGEING, BOUND, Group, Share, Waiting

NOON = datetime(2025, 12, 20, 12, 0, tzinfo=UTC)


def waiting(id: str, organization: str = "a", priority: Priority = Priority.NORMAL, minutes: float = 0.0) -> Waiting:
    """A job that has waited for so long at noon."""
    return Waiting(id, organization, priority, NOON - timedelta(minutes=minutes), "native")


def order(*jobs: Waiting, **shares: Share) -> list[str]:
    return [job.id for job in lines.in_order(jobs, shares, NOON)]


def test_priorities_then_time() -> None:
    """High before normal before low, and within one the longest waiting first."""
    jobs = (
        waiting("low", priority=Priority.LOW, minutes=3),
        waiting("late", minutes=1),
        waiting("early", minutes=2),
        waiting("high", priority=Priority.HIGH),
    )

    assert order(*jobs) == ["high", "early", "late", "low"]


@pytest.mark.parametrize(
    ("priority", "minutes", "level"),
    [("low", 0, 0), ("low", 19.9, 0), ("low", 20, 1), ("low", 40, 2), ("low", 60, 3), ("low", 600, 3),
     ("normal", 40, 3), ("high", 0, 2), ("high", 20, 3)],
)  # fmt: skip
def test_levels_rise_with_time(priority: str, minutes: float, level: int) -> None:
    """A job rises one level for each twenty minutes, to the third; `thresholds` says since when."""
    since = NOON - timedelta(minutes=minutes)

    assert lines.level(Priority(priority), since, NOON) == level
    reached = [one for one, moment in lines.thresholds(Priority(priority), NOON) if since <= moment]
    assert max(reached, default=lines.LEVELS[Priority(priority)]) == level


@pytest.mark.parametrize("priority", [Priority.NORMAL, Priority.HIGH])
def test_a_low_job_starts_within_the_bound(priority: Priority) -> None:
    """Behind a stream that never lets the line run empty a low job is taken once it has waited for an hour, not before."""
    now, line, low = NOON, [], Waiting("low", "a", Priority.LOW, NOON, "native")
    line.append(low)
    for minute in range(120):
        now = NOON + timedelta(minutes=minute)
        # One job comes and one slot becomes free each minute; ten are there from the beginning.
        for number in range(10 if minute == 0 else 1):
            line.append(Waiting(f"{minute:03}-{number}", "a", priority, now, "native"))
        first = lines.in_order(line, {}, now)[0]
        line.remove(first)
        if first is low:
            break

    assert timedelta(minutes=20) <= now - NOON <= BOUND
    assert BOUND == 3 * AGEING == timedelta(hours=1)


def test_organizations_take_turns() -> None:
    """A flood of one organization is behind the first jobs of the others, and those of the one that runs most last."""
    flood = [waiting(f"a{number:02}", "a", minutes=15) for number in range(50)]
    jobs = (*flood, waiting("b1", "b"), waiting("b2", "b"), waiting("c1", "c"))

    found = order(*jobs, a=Share(1), c=Share(2))

    assert found[:5] == ["b1", "a00", "b2", "a01", "c1"]


def test_among_equals_the_least_recent() -> None:
    """Two organizations that run as many: the one whose last job started longest ago goes first, one that never ran before."""
    jobs = (waiting("a1", "a", minutes=9), waiting("b1", "b", minutes=5), waiting("c1", "c"))

    found = order(*jobs, a=Share(1, NOON - timedelta(minutes=1)), b=Share(1, NOON - timedelta(hours=1)), c=Share(1))

    assert found == ["c1", "b1", "a1"]


def test_counting_says_what_ordering_does() -> None:
    """`ahead` finds the place of every job of a random line from counts alone."""
    random.seed(5)
    for _ in range(60):
        jobs = [
            waiting(f"{number:02}", random.choice("abcd"), random.choice(list(Priority)), random.randrange(80))
            for number in range(random.randrange(1, 30))
        ]
        shares = {id: Share(random.randrange(3), random.choice([None, NOON, NOON - AGEING])) for id in "abc"}
        found = lines.in_order(jobs, shares, NOON)
        levels = {job.id: lines.level(job.priority, job.since, NOON) for job in jobs}
        counts = Counter((job.organization_id, levels[job.id]) for job in jobs)
        groups = [Group(id, level, count, 2.0 * count) for (id, level), count in counts.items()]
        for place, job in enumerate(found):
            in_front = sum(
                other.organization_id == job.organization_id and levels[other.id] == levels[job.id]
                for other in found[:place]
            )

            before = lines.ahead(groups, shares, job.organization_id, levels[job.id], in_front)

            assert before == (place, pytest.approx(2.0 * place))
