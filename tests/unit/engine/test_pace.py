"""Of two ways the faster one is taken, and the other one tried again in case that changes."""

from __future__ import annotations

from qstore_appliance.engine.pace import RETRY, SHARE, TRIES, Pace


def taken(pace: Pace, seconds: dict[int, float], calls: int) -> list[int]:
    """Which ways so many calls took, each of which needs so long."""
    found = []
    for _ in range(calls):
        way = pace.choose()
        found.append(way)
        pace.took(way, seconds[way])
    return found


def test_the_faster_way_is_taken() -> None:
    """Both are tried at first; then all calls but a few go the faster way."""
    for seconds, faster in (({0: 3.0, 1: 1.0}, 1), ({0: 1.0, 1: 3.0}, 0)):
        pace = Pace(1, 0)
        found = taken(pace, seconds, 1 + TRIES + 8 * RETRY)

        assert set(found[: 2 * TRIES]) == {0, 1}
        assert found[2 * TRIES :].count(faster) >= 8 * (RETRY - TRIES) - TRIES


def test_a_change_is_noticed() -> None:
    """Where the other way becomes faster it is the one taken, a few tries later."""
    pace = Pace(1, 0)
    taken(pace, {0: 3.0, 1: 1.0}, 3 * RETRY)

    found = taken(pace, {0: 3.0, 1: 30.0}, round(RETRY / SHARE))

    assert found[-RETRY + TRIES :].count(0) > RETRY / 2


def test_one_way_is_always_taken() -> None:
    """Without another way nothing is tried."""
    assert set(taken(Pace(2), {2: 1.0}, 3 * RETRY)) == {2}
