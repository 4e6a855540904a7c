"""The organization's budget: what a month may cost, and how far it is used."""

from __future__ import annotations

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from qstore_appliance.api.envelope import success
from qstore_appliance.api.inputs import body
from qstore_appliance.api.registry import Routes
from qstore_appliance.domain.budgets import Alert, Budget, BudgetDraft, percentage
from qstore_appliance.domain.costs import dollars

routes = Routes("budget")


class BudgetAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    US dollars. `remaining` is the limit without what is spent; `reserved` is what live jobs may still cost, and a job is
    accepted where spend, reservations and its own fit the limit. All of the limit is null where there is none.
    """

    monthly_limit: float | None
    current_spend: float
    reserved: float
    remaining: float | None
    percentage_used: float | None
    alerts: list[Alert]
    projected_monthly_spend: float


def shown(budget: Budget) -> BudgetAnswer:
    limit = budget.monthly_limit
    return BudgetAnswer(
        monthly_limit=None if limit is None else dollars(limit),
        current_spend=dollars(budget.spent),
        reserved=dollars(budget.reserved),
        remaining=None if limit is None else dollars(limit - budget.spent),
        percentage_used=percentage(budget.spent, limit),
        alerts=budget.alerts,
        projected_monthly_spend=dollars(budget.projected),
    )


@routes.get("/v1/budget", "budget:read", answer=BudgetAnswer)
async def get(request: Request) -> HTTPResponse:
    """The month's limit, what is spent and reserved of it, its alerts, and where it is heading."""
    return success(request, shown(await request.app.ctx.appliance.budgets.get(request.ctx.caller)))


@routes.put("/v1/budget", "billing:write", body=BudgetDraft, answer=BudgetAnswer)
async def update(request: Request) -> HTTPResponse:
    """Set the limit, null for none, and the alerts; alerts that are left out stay."""
    draft = body(request, BudgetDraft)
    return success(request, shown(await request.app.ctx.appliance.budgets.update(request.ctx.caller, draft)))
