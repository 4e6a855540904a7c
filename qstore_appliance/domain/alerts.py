"""Alerts of a budget: what happens when a share of the month's limit is spent, and what receivers are told."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

import msgspec

from qstore_appliance.domain.costs import dollars

#: The events of the outbox.
BUDGET_ALERT = "budget.alert"
BUDGET_TEST = "budget.test"


class Action(enum.StrEnum):
    EMAIL = "email"
    SLACK = "slack"
    WEBHOOK = "webhook"
    #: Running jobs stop at their next epoch, waiting ones go on waiting.
    PAUSE_JOBS = "pause_jobs"
    #: No further job is accepted.
    PAUSE_NEW_JOBS = "pause_new_jobs"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a month's budget stood when an alert was written. Money in micro-dollars."""

    organization_id: str
    organization_name: str
    month: str
    monthly_limit: int
    spend: int
    threshold: int | None = None

    @property
    def percentage(self) -> float:
        """Of the limit that is spent; of a limit of nothing everything."""
        if not self.monthly_limit:
            return 100.0 if self.spend else 0.0
        return round(100 * self.spend / self.monthly_limit, 2)


def payload(id: str, event: str, standing: Standing, moment: datetime) -> dict[str, Any]:
    """What receivers of webhooks get as JSON, and mail and Slack are written from. Money in US dollars."""
    return {
        "id": id,
        "event": event,
        "created_at": moment.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "organization": {"id": standing.organization_id, "name": standing.organization_name},
        "data": {
            "month": standing.month,
            "threshold": standing.threshold,
            "percentage_used": standing.percentage,
            "current_spend": dollars(standing.spend),
            "monthly_limit": dollars(standing.monthly_limit),
            "remaining": dollars(max(0, standing.monthly_limit - standing.spend)),
        },
    }


def worded(content: dict[str, Any]) -> tuple[str, str]:
    """A payload as a subject and a text for people. Names stand in it as they are; whoever shows them escapes them."""
    name, facts = content["organization"]["name"], content["data"]
    numbers = (
        f"{facts['current_spend']:,.2f} of {facts['monthly_limit']:,.2f} US dollars "
        f"({facts['percentage_used']:g} %) are spent in {facts['month']}; {facts['remaining']:,.2f} remain."
    )
    if content["event"] == BUDGET_TEST:
        return f"Test of the budget alerts of {name}", f"This is a test of the budget alerts of {name}.\n\n{numbers}\n"
    subject = f"{name} has spent {facts['percentage_used']:g} % of its monthly budget"
    first = f"The budget of {name} has reached its alert at {facts['threshold']} %."
    return subject, f"{first}\n\n{numbers}\n"
