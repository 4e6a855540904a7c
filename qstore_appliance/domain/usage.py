"""What an organization used over a range of days, and what that cost."""

from __future__ import annotations

import enum
from datetime import date

import msgspec

#: Days of one report.
MOST_DAYS = 366


class GroupBy(enum.StrEnum):
    DAY = "day"
    BACKEND = "backend"
    USER = "user"
    PROJECT = "project"


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """
    One line of a report: a sum of the ledger.

    Attributes:
        key: The day (`2025-12-01`), user or project that it is of; of a report by backend, the backend. Empty where an
            event belongs to no project.
        cost: Micro-dollars.
    """

    key: str
    backend: str
    cost: int
    circuits: int
    shots: int
    cpu_microseconds: int
    gpu_microseconds: int


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """`start` and `end` are the first and the last day, in UTC; lines are in the order of their keys."""

    start: date
    end: date
    group_by: GroupBy
    lines: list[Used]
