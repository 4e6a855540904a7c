"""
The line: in which order jobs that wait are taken. Pure rules over what the rows say; every server applies the same.

- A job's level is that of its priority, and rises by one for each `AGEING` that it has waited, up to `OVERDUE`: a low one
  that has waited for an hour goes before every job that has not, whatever theirs.
- Who had a slot and lost it through no fault of its own, with its server or its worker, goes before everybody.
- Within a level organizations take turns: the job goes first whose organization has the fewest others running or before
  it, and among equals that of the organization whose last job started longest ago.
- Within an organization and a level the longest waiting goes first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from qstore_appliance.domain.jobs import Priority

AGEING = timedelta(minutes=20)
LEVELS: Mapping[Priority, int] = {Priority.LOW: 0, Priority.NORMAL: 1, Priority.HIGH: 2}
#: The highest level that waiting leads to: whoever has reached it waits for nobody that came later to the organization.
OVERDUE = 3
#: No job waits longer than this for others of its organization that came after it.
BOUND = OVERDUE * AGEING
#: The level of who lost its slot, which counts as if it had waited for so much longer than anybody does.
FRONT, HEAD_START = 4, timedelta(days=3650)


class Waiting(NamedTuple):
    """A job that waits. `needs_bytes` is None where nothing was estimated."""

    id: str
    organization_id: str
    priority: Priority
    since: datetime
    backend: str
    needs_bytes: int | None = None


class Share(NamedTuple):
    """What an organization has of the slots: how many of its jobs run, and when its last one started."""

    running: int = 0
    last_start: datetime | None = None


@dataclass(frozen=True)
class Group:
    """Jobs of one organization on one level: how many, and seconds that they are expected to take together."""

    organization_id: str
    level: int
    count: int
    seconds: float = 0.0


def level(priority: Priority, since: datetime, now: datetime) -> int:
    """How far in front a job stands, from 0 to `FRONT`."""
    if now - since > HEAD_START / 2:
        return FRONT
    return min(OVERDUE, LEVELS[priority] + max(0, (now - since) // AGEING))


def back_in_front(since: datetime, now: datetime) -> datetime:
    """
    Since when a job counts as waiting that had a slot and lost it: from before everybody, in the order of their own.

    Args:
        since: What counted before; one that loses its slot again has its place already.
    """
    return since if now - since > HEAD_START / 2 else since - HEAD_START


def thresholds(priority: Priority, now: datetime) -> list[tuple[int, datetime]]:
    """Each level above the priority's own with the moment since which a job must have waited to stand on it."""
    own = LEVELS[priority]
    return [*((one, now - (one - own) * AGEING) for one in range(own + 1, OVERDUE + 1)), (FRONT, now - HEAD_START / 2)]


def in_order(waiting: Iterable[Waiting], shares: Mapping[str, Share], now: datetime) -> list[Waiting]:
    """Those that wait, in the order in which they are taken."""
    lines: dict[str, list[tuple[int, Waiting]]] = defaultdict(list)
    for job in waiting:
        lines[job.organization_id].append((-level(job.priority, job.since, now), job))
    places: list[tuple[int, int, tuple[float, str], Waiting]] = []
    for organization_id, line in lines.items():
        line.sort(key=lambda one: (one[0], one[1].since, one[1].id))
        share = shares.get(organization_id, Share())
        turn = _turn(organization_id, share)
        places += [(step, share.running + before, turn, job) for before, (step, job) in enumerate(line)]
    places.sort(key=lambda place: place[:3])
    return [job for *_, job in places]


def ahead(
    groups: Iterable[Group], shares: Mapping[str, Share], organization_id: str, of_level: int, in_front: int
) -> tuple[int, float]:
    """
    How many jobs are taken before one, and the seconds that they are expected to take: as `in_order` has it, from counts
    alone.

    Args:
        groups: Everybody who waits.
        of_level: The level on which the job stands.
        in_front: Jobs of its organization on its level that have waited longer.
    """
    higher: dict[str, int] = defaultdict(int)
    level_mates: list[Group] = []
    count, seconds = 0, 0.0
    for group in groups:
        if group.level > of_level:
            higher[group.organization_id] += group.count
            count, seconds = count + group.count, seconds + group.seconds
        elif group.level == of_level:
            level_mates.append(group)

    def first_round(id: str) -> int:
        return shares.get(id, Share()).running + higher[id]

    mine = first_round(organization_id) + in_front
    my_turn = _turn(organization_id, shares.get(organization_id, Share()))
    for group in level_mates:
        id = group.organization_id
        if id == organization_id:
            before = in_front
        else:
            earlier_turn = _turn(id, shares.get(id, Share())) < my_turn
            before = max(0, min(group.count, mine - first_round(id) + earlier_turn))
        count, seconds = count + before, seconds + group.seconds * before / max(1, group.count)
    return count, seconds


def _turn(organization_id: str, share: Share) -> tuple[float, str]:
    """Smaller goes first."""
    return (share.last_start.timestamp() if share.last_start is not None else float("-inf")), organization_id
