"""An organization's budget: what a calendar month may cost, and who is told on the way there."""

from __future__ import annotations

import calendar
from datetime import datetime
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

import msgspec
from pydantic import Field, StringConstraints, field_validator, model_validator

from qstore_appliance.domain.accounts import Email
from qstore_appliance.domain.drafts import Draft

#: US dollars, the most that a limit may be.
MOST = 1e9
Action = Literal["email", "slack", "webhook", "pause_jobs", "pause_new_jobs"]
_TO_AN_ADDRESS = ("slack", "webhook")


class AlertDraft(Draft):
    """What happens once spend reaches `threshold` percent of the limit; above 100 it is told of what got past it."""

    threshold: int = Field(ge=1, le=1_000)
    action: Action
    recipients: list[Email] | None = Field(default=None, min_length=1, max_length=50)
    webhook: Annotated[str, StringConstraints(min_length=1, max_length=2_000)] | None = None

    @field_validator("webhook")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            whole = (
                parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
            )
        except ValueError:
            whole = False
        if not whole or not value.isprintable() or " " in value:
            raise ValueError("must be an http or https address")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.recipients is not None) != (self.action == "email"):
            raise ValueError("recipients are given for the action email, and for no other")
        if (self.webhook is not None) != (self.action in _TO_AN_ADDRESS):
            raise ValueError("a webhook is given for the actions slack and webhook, and for no other")
        return self


class BudgetDraft(Draft):
    """`PUT /v1/budget`. `monthly_limit` null: no limit. Alerts that are left out stay as they are."""

    monthly_limit: float | None = Field(ge=0, le=MOST)
    alerts: list[AlertDraft] | None = Field(default=None, max_length=50)


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is `triggered` once it has fired this month."""

    threshold: int
    status: str
    action: str


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """
    The month so far, in micro-dollars.

    Attributes:
        monthly_limit: None where there is none.
        spent: What the ledger has of this month.
        reserved: What live jobs may still cost; limit, spend and this decide whether a job is accepted.
        projected: The month's spend if its other days cost what the days so far cost on average.
    """

    monthly_limit: int | None
    spent: int
    reserved: int
    projected: int
    alerts: list[Alert]


def percentage(spent: int, limit: int | None) -> float | None:
    """How much of a limit is spent, in percent; None where there is none."""
    if limit is None:
        return None
    return round(100 * spent / limit, 2) if limit else 100.0


def projected(spent: int, now: datetime) -> int:
    """The whole month at the pace of its days so far, today counted as a whole day; rounded up."""
    days = calendar.monthrange(now.year, now.month)[1]
    return -(-spent * days // now.day)


class TopUpDraft(Draft):
    """`POST /v1/jobs/{id}/top-up`: the new limit, in US dollars."""

    budget_limit: float = Field(ge=0, le=MOST)
