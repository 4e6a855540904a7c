"""
Alerts of a budget: evaluated at each charge, inside its transaction, so that none is early, late or told twice.

Implements `ports.Alerts`. What has fired is a unique row; what people are told goes through the outbox.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import OrganizationRow
from qstore_appliance.database.tables.alerts import FiredAlertRow
from qstore_appliance.database.tables.costs import BudgetRow
from qstore_appliance.deliveries.mails import MAILBOX
from qstore_appliance.deliveries.receivers import Receivers
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.alerts import BUDGET_ALERT, BUDGET_TEST, Action, Standing, payload
from qstore_appliance.domain.costs import month_of
from qstore_appliance.domain.events import NOTIFICATIONS, Event, Notification
from qstore_appliance.domain.outbox import Channel
from qstore_appliance.domain.ports import Clock
from qstore_appliance.errors import Conflict, ValidationFailed, WebhookForbidden
from qstore_appliance.services.outbox import Outbox

#: Micro-dollars that an organization has spent this month.
Spend = Callable[[str], Awaitable[int]]

#: Actions that somebody outside is told of.
_TOLD = {Action.EMAIL: Channel.EMAIL, Action.SLACK: Channel.SLACK, Action.WEBHOOK: Channel.WEBHOOK}


class Sent(NamedTuple):
    """A letter that was written; `id` is the outbox's."""

    id: str
    kind: Channel
    destination: str


class Alerts:
    """
    Args:
        spend: Of the present month; asked for inside the transaction of a charge, which it counts.
        news: Given what has fired once that is saved, for whoever listens to notifications.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        receivers: Receivers,
        clock: Clock,
        spend: Spend,
        news: Callable[[Event], None] | None = None,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._receivers = receivers
        self._clock = clock
        self._spend = spend
        self._news = news

    async def charged(self, organization_id: str) -> None:
        """Inside the transaction of a charge: what is reached now for the first time this month fires."""
        budget = await BudgetRow.get_or_none(organization_id=organization_id)
        if budget is None or budget.monthly_limit is None or not budget.alerts:
            return
        # Two charges at once, neither of which sees the other, would both stay below a threshold that they pass together.
        await self._database.one_at_a_time(f"alerts:{organization_id}")
        month, spend = month_of(self._clock.now()), await self._spend(organization_id)
        await self._rearm(organization_id, month, spend, budget.monthly_limit)
        rows = FiredAlertRow.filter(organization_id=organization_id, month=month)
        fired = set(await rows.values_list("threshold", "action"))
        due = [one for one in budget.alerts if reached(one["threshold"], spend, budget.monthly_limit)]
        due = [one for one in due if (one["threshold"], one["action"]) not in fired]
        if not due:
            return
        standing = await self._standing(organization_id, month, spend, budget.monthly_limit)
        for threshold, action in sorted({(one["threshold"], one["action"]) for one in due}):
            await FiredAlertRow.create(
                id=ids.new("fired"),
                organization_id=organization_id,
                month=month,
                threshold=threshold,
                action=action,
                spend=spend,
                monthly_limit=budget.monthly_limit,
                created_at=self._clock.now(),
            )
        for threshold in sorted({one["threshold"] for one in due}):
            told = [one for one in due if one["threshold"] == threshold]
            await self._tell(msgspec.structs.replace(standing, threshold=threshold), told, BUDGET_ALERT)
            self._announce(organization_id, threshold)

    async def fired(self, organization_id: str, month: str) -> set[int]:
        """Thresholds, in percent, that have fired in a month."""
        rows = FiredAlertRow.filter(organization_id=organization_id, month=month)
        return {int(threshold) for threshold in await rows.values_list("threshold", flat=True)}  # type: ignore[call-overload]

    async def changed(self, organization_id: str) -> None:
        """
        Inside the transaction that saves a budget: thresholds that are above the new percentage may fire again, and those
        that the month's spend has reached already fire now.
        """
        month = month_of(self._clock.now())
        budget = await BudgetRow.get_or_none(organization_id=organization_id)
        if budget is not None and budget.monthly_limit is not None:
            await self._rearm(organization_id, month, await self._spend(organization_id), budget.monthly_limit)
        await self.charged(organization_id)

    async def checked(self, alerts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """
        Alerts as they are kept. A webhook whose name has no address now is kept with `unverified: true`.

        Raises:
            WebhookForbidden: An address that may not be called, naming `alerts[i].webhook`.
            ValidationFailed: A recipient that is no mailbox.
        """
        kept: list[dict[str, Any]] = []
        for index, alert in enumerate(alerts):
            one = {key: value for key, value in alert.items() if value is not None and key != "unverified"}
            field = f"alerts[{index}].webhook"
            for place, recipient in enumerate(one.get("recipients", ())):
                if not MAILBOX.fullmatch(recipient):
                    raise ValidationFailed.field(f"alerts[{index}].recipients[{place}]", "is no mail address")
            if "webhook" in one:
                try:
                    if one["action"] == Action.SLACK and not one["webhook"].lower().startswith("https://"):
                        raise WebhookForbidden("Slack is called by https:// only.")
                    if not await self._receivers.check(one["webhook"]):
                        one["unverified"] = True
                except WebhookForbidden as error:
                    raise WebhookForbidden(f"{field}: {error.message}", details={"field": field}) from error
            kept.append(one)
        return kept

    async def test(self, caller: Caller) -> list[Sent]:
        """
        Send one message to every destination of the organization's alerts.

        Raises:
            Conflict: No alert of the budget sends anything.
        """
        caller.require("billing:write")
        id = caller.organization_id
        async with self._database.transaction():
            budget = await BudgetRow.get_or_none(organization_id=id)
            alerts = [one for one in (budget.alerts if budget else ()) if one["action"] in list(_TOLD)]
            if budget is None or not alerts:
                raise Conflict("No alert of the budget sends mail or calls a webhook.")
            spend = await self._spend(id)
            standing = await self._standing(id, month_of(self._clock.now()), spend, budget.monthly_limit or 0)
            sent = await self._tell(standing, alerts, BUDGET_TEST)
        self._outbox.wake()
        return sent

    def _announce(self, organization_id: str, threshold: int) -> None:
        """Without figures: those who hear of jobs need not be those who see what they cost."""
        if self._news is None:
            return
        news, message = self._news, f"The month's spend has reached {threshold} % of the budget."
        data = Notification(kind=BUDGET_ALERT, about=organization_id, message=message, timestamp=self._clock.now())
        event = Event(organization_id=organization_id, channel=NOTIFICATIONS, subject="", seq=0, data=data)
        self._database.after_commit(lambda: news(event))

    async def _rearm(self, organization_id: str, month: str, spend: int, limit: int) -> None:
        """Only where the limit was raised: a correction of the ledger that takes spend back makes nobody hear twice."""
        rows = FiredAlertRow.filter(organization_id=organization_id, month=month)
        for row in await rows.filter(monthly_limit__lt=limit):
            if reached(row.threshold, spend, limit):
                await rows.filter(id=row.id).update(monthly_limit=limit)
            else:
                await rows.filter(id=row.id).delete()

    async def _standing(self, organization_id: str, month: str, spend: int, limit: int) -> Standing:
        organization = await OrganizationRow.get_or_none(id=organization_id)
        return Standing(
            organization_id=organization_id,
            organization_name=organization.name if organization is not None else organization_id,
            month=month,
            monthly_limit=limit,
            spend=spend,
        )

    async def _tell(self, standing: Standing, alerts: Sequence[Mapping[str, Any]], event: str) -> list[Sent]:
        """A letter for each destination, however many of the alerts name it."""
        wanted: dict[tuple[Channel, str], None] = {}
        for alert in alerts:
            kind = _TOLD.get(alert["action"])
            if kind is not None:
                places = alert.get("recipients") if kind == Channel.EMAIL else [alert.get("webhook")]
                wanted.update({(kind, place): None for place in places or () if place})
        sent = []
        for kind, destination in wanted:
            id = ids.new("outbox")
            content = payload(id, event, standing, self._clock.now())
            await self._outbox.put(standing.organization_id, kind, destination, event, content, id)
            sent.append(Sent(id, kind, destination))
        return sent


def reached(threshold: int, spend: int, limit: int) -> bool:
    """In whole numbers: no rounding brings an alert forward. Where nothing is spent nothing is reached."""
    return spend > 0 and spend * 100 >= threshold * limit
