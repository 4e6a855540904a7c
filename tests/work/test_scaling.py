"""How many replicas are wanted, as time goes by."""

from __future__ import annotations

import itertools

from qstore_appliance.domain.models import Scaling
from qstore_appliance.work.scaling import DOWN_SECONDS, Scaler


def scaler() -> Scaler:
    return Scaler(Scaling(least=1, most=4, target_qps=100))


def run(scaler: Scaler, seconds: int, per_second: int, size: int, *, since: int = 0, asked: int = 0) -> tuple[int, int]:
    """A second at a time, with every wish fulfilled. Returns: the replicas at the end, and the questions until then."""
    for second in range(since, since + seconds):
        size = scaler.wanted(float(second), asked=asked, longest_wait=0.0, size=size)
        asked += per_second
    return size, asked


def test_rate_decides() -> None:
    """At 250 questions a second, 100 of which are a replica's share, three are wanted; a single one would not do."""
    assert run(scaler(), 30, 250, 1)[0] == 3


def test_more_than_the_most_is_never_wanted() -> None:
    """Whatever the rate, `max_replicas` is the end."""
    assert run(scaler(), 30, 100_000, 1)[0] == 4


def test_who_waits_calls_for_one_more() -> None:
    """A line that does not move is reason enough, below the target rate too."""
    assert scaler().wanted(0.0, asked=0, longest_wait=0.5, size=1) == 2


def test_what_is_not_needed_goes_one_after_the_other() -> None:
    """After the load is over each replica stays half a minute more, down to the least."""
    subject = scaler()
    size, asked = run(subject, 30, 400, 1)
    assert size == 4

    sizes = []
    for second in range(30, 250):
        size = subject.wanted(float(second), asked=asked, longest_wait=0.0, size=size)
        sizes.append(size)

    assert sizes[int(DOWN_SECONDS) - 1] == 4
    assert sizes[-1] == 1
    assert all(before - after in (0, 1) for before, after in itertools.pairwise(sizes))


def test_least_is_kept() -> None:
    """Nobody asks, and `min_replicas` run."""
    idle = Scaler(Scaling(least=2, most=4, target_qps=100))

    assert idle.wanted(0.0, asked=0, longest_wait=0.0, size=1) == 2
    assert run(idle, 200, 0, 2)[0] == 2
