"""The budget, and what was used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from graphql import GraphQLResolveInfo

from qstore_appliance.api import inputs
from qstore_appliance.api.graphql.arguments import sent
from qstore_appliance.api.graphql.context import argument
from qstore_appliance.domain.budgets import Budget, BudgetDraft
from qstore_appliance.domain.costs import MICRO, dollars
from qstore_appliance.domain.usage import GroupBy, Usage, Used


async def budget(_: Any, info: GraphQLResolveInfo) -> dict[str, Any]:
    return shown(await info.context.appliance.budgets.get(info.context.caller))


async def update(
    _: None, info: GraphQLResolveInfo, limit: float, alerts: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    asked: dict[str, Any] = {"monthly_limit": limit}
    if alerts is not None:
        asked["alerts"] = [sent(alert) for alert in alerts]
    with argument(""):
        draft = inputs.validated(BudgetDraft, asked)
        return shown(await info.context.appliance.budgets.update(info.context.caller, draft))


def shown(budget: Budget) -> dict[str, Any]:
    limit = budget.monthly_limit
    used = None
    if limit is not None:
        used = round(100 * budget.spent / limit, 2) if limit else 100.0
    return {
        "monthly_limit": None if limit is None else dollars(limit),
        "current_spend": dollars(budget.spent),
        "reserved": dollars(budget.reserved),
        "remaining": None if limit is None else dollars(limit - budget.spent),
        "percentage_used": used,
        "alerts": budget.alerts,
        "projected_monthly_spend": dollars(budget.projected),
    }


async def usage(
    _: None,
    info: GraphQLResolveInfo,
    group_by: str | None,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
) -> dict[str, Any]:
    first, last = (None if time is None else time.astimezone(UTC).date() for time in (start_date, end_date))
    by = GroupBy(group_by or GroupBy.DAY)
    with argument(""):
        return _report(await info.context.appliance.usage.report(info.context.caller, first, last, by))


def _report(usage: Usage) -> dict[str, Any]:
    lines = usage.lines
    keys = _sums((line.key, line.cost) for line in lines)
    return {
        "start_date": usage.start.isoformat(),
        "end_date": usage.end.isoformat(),
        "total_cost": dollars(sum(line.cost for line in lines)),
        "total_circuits": sum(line.circuits for line in lines),
        "total_shots": sum(line.shots for line in lines),
        "total_cpu_seconds": sum(line.cpu_microseconds for line in lines) / MICRO,
        "total_gpu_seconds": sum(line.gpu_microseconds for line in lines) / MICRO,
        "breakdown_by_backend": _sums((line.backend, line.cost) for line in lines),
        "breakdown_by_day": _days(lines) if usage.group_by == GroupBy.DAY else None,
        "breakdown_by_user": keys if usage.group_by == GroupBy.USER else None,
        "breakdown_by_project": keys if usage.group_by == GroupBy.PROJECT else None,
    }


def _sums(pairs: Iterable[tuple[str, int]]) -> dict[str, float]:
    sums: dict[str, int] = defaultdict(int)
    for key, cost in pairs:
        sums[key] += cost
    return {key: dollars(cost) for key, cost in sums.items()}


def _days(lines: list[Used]) -> list[dict[str, Any]]:
    days: dict[str, list[Used]] = defaultdict(list)
    for line in lines:
        days[line.key].append(line)
    return [
        {
            "date": day,
            "cost": dollars(sum(line.cost for line in found)),
            "circuits": sum(line.circuits for line in found),
            "shots": sum(line.shots for line in found),
            "backend_breakdown": {line.backend: dollars(line.cost) for line in found},
        }
        for day, found in days.items()
    ]


RESOLVERS = {"Query.budget": budget, "Query.usage": usage, "Mutation.updateBudget": update}
