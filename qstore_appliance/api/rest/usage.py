"""What the organization used and what it cost, as JSON or as a table for spreadsheets."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import date

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import success
from qstore_appliance.api.inputs import choice, one
from qstore_appliance.api.registry import Query, Routes
from qstore_appliance.domain.costs import MICRO, dollars
from qstore_appliance.domain.usage import GroupBy, Usage, Used
from qstore_appliance.errors import ValidationFailed

routes = Routes("usage")

CSV = "text/csv"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE = {"type": "string", "format": "date"}
RANGE = (
    Query(name="start_date", description="The first day, in UTC; the month's first unless given.", schema=_DATE),
    Query(name="end_date", description="The last day, included; today unless given.", schema=_DATE),
    Query(
        name="group_by",
        description="What the report is by.",
        schema={"type": "string", "enum": list(GroupBy), "default": "day"},
    ),
    Query(
        name="format",
        description="`csv` for a table; so does `Accept: text/csv`.",
        schema={"type": "string", "enum": ["json", "csv"]},
    ),
)


class DayAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`backend_breakdown` is the day's cost by backend."""

    date: str
    cost: float
    circuits: int
    shots: int
    backend_breakdown: dict[str, float]


class UsageAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    US dollars. Of the breakdowns by day, user and project the one that `group_by` names is there; days without usage are
    left out. What belongs to no project is under an empty name.
    """

    start_date: date
    end_date: date
    total_cost: float
    total_circuits: int
    total_shots: int
    total_cpu_seconds: float
    total_gpu_seconds: float
    breakdown_by_backend: dict[str, float]
    breakdown_by_day: list[DayAnswer] | None = None
    breakdown_by_user: dict[str, float] | None = None
    breakdown_by_project: dict[str, float] | None = None


def shown(usage: Usage) -> UsageAnswer:
    lines, keys = usage.lines, _costs((line.key, line.cost) for line in usage.lines)
    return UsageAnswer(
        start_date=usage.start,
        end_date=usage.end,
        total_cost=dollars(sum(line.cost for line in lines)),
        total_circuits=sum(line.circuits for line in lines),
        total_shots=sum(line.shots for line in lines),
        total_cpu_seconds=sum(line.cpu_microseconds for line in lines) / MICRO,
        total_gpu_seconds=sum(line.gpu_microseconds for line in lines) / MICRO,
        breakdown_by_backend=_costs((line.backend, line.cost) for line in lines),
        breakdown_by_day=_days(lines) if usage.group_by == GroupBy.DAY else None,
        breakdown_by_user=keys if usage.group_by == GroupBy.USER else None,
        breakdown_by_project=keys if usage.group_by == GroupBy.PROJECT else None,
    )


@routes.get("/v1/usage", "usage:read", answer=UsageAnswer, query=RANGE, media=("application/json", CSV))
async def get(request: Request) -> HTTPResponse:
    """What was used and what it cost, by day, backend, user or project; as CSV too."""
    reports, group_by = request.app.ctx.appliance.usage, choice(request, "group_by", tuple(GroupBy)) or GroupBy.DAY
    wants = choice(request, "format", ("json", "csv"))
    range = (_day(request, "start_date"), _day(request, "end_date"))
    usage = await reports.report(request.ctx.caller, *range, GroupBy(group_by))
    accepts = request.headers.get("accept", "")
    if wants == "csv" or (wants is None and CSV in accepts and "application/json" not in accepts):
        name = f"usage-{usage.start}-{usage.end}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return HTTPResponse(table(usage), content_type=f"{CSV}; charset=utf-8", headers=headers)
    return success(request, shown(usage))


def table(usage: Usage) -> str:
    """Lines of a report as CSV (RFC 4180)."""
    keyed = usage.group_by != GroupBy.BACKEND
    heading = {GroupBy.DAY: "date", GroupBy.USER: "user_id", GroupBy.PROJECT: "project"}.get(usage.group_by)
    written = io.StringIO()
    writer = csv.writer(written)
    names = ("backend", "cost", "circuits", "shots", "cpu_seconds", "gpu_seconds")
    writer.writerow([heading, *names] if keyed else names)
    for line in usage.lines:
        numbers = (
            _decimal(line.cost),
            line.circuits,
            line.shots,
            _decimal(line.cpu_microseconds),
            _decimal(line.gpu_microseconds),
        )
        words = (line.key, line.backend) if keyed else (line.backend,)
        writer.writerow((*map(_harmless, words), *numbers))
    return written.getvalue()


def _harmless(text: str) -> str:
    """No formula where a spreadsheet opens it: people choose the names of projects."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") and text else text


def _decimal(millionths: int) -> str:
    """Exactly."""
    sign = "-" if millionths < 0 else ""
    return f"{sign}{abs(millionths) // MICRO}.{abs(millionths) % MICRO:06d}"


def _costs(pairs: Iterable[tuple[str, int]]) -> dict[str, float]:
    sums: dict[str, int] = defaultdict(int)
    for key, cost in pairs:
        sums[key] += cost
    return {key: dollars(cost) for key, cost in sums.items()}


def _days(lines: list[Used]) -> list[DayAnswer]:
    days: dict[str, list[Used]] = defaultdict(list)
    for line in lines:
        days[line.key].append(line)
    return [
        DayAnswer(
            date=day,
            cost=dollars(sum(line.cost for line in found)),
            circuits=sum(line.circuits for line in found),
            shots=sum(line.shots for line in found),
            backend_breakdown={line.backend: dollars(line.cost) for line in found},
        )
        for day, found in days.items()
    ]


def _day(request: Request, name: str) -> date | None:
    text = one(request, name)
    if text is None:
        return None
    try:
        found = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        found = None
    if found is None:
        raise ValidationFailed.field(name, "must be a day such as 2025-12-01")
    return found
