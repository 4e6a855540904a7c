"""What is told of a deployment when its status has changed."""

from __future__ import annotations

from datetime import datetime

from qstore_appliance.database.tables.models import DeploymentRow
from qstore_appliance.domain.events import DEPLOYMENT_STATUS, NOTIFICATIONS, DeploymentUpdate, Event, Notification

#: What people are told without having asked.
_NEWS = {"deployed": "is deployed", "failed": "could not be deployed"}


def told(row: DeploymentRow, now: datetime, *, news: bool) -> list[Event]:
    """
    The change itself, and a notification where somebody may be waiting for it.

    Args:
        news: It is one; a server that starts warms what was deployed before.
    """
    config = row.config or {}
    change = DeploymentUpdate(
        deployment_id=row.id,
        model_id=str(row.model_id),
        status=str(row.status),
        replicas=int(config.get("running") or 0) if row.status == "deployed" else 0,
        reason=config.get("reason"),
        timestamp=now,
    )
    organization = str(row.organization_id)
    events = [
        Event(organization_id=organization, channel=DEPLOYMENT_STATUS, subject=row.id, seq=0, data=change),
    ]
    if news and change.status in _NEWS:
        message = f"Model {change.model_id} {_NEWS[change.status]}{f': {change.reason}' if change.reason else '.'}"
        data = Notification(kind=f"deployment.{change.status}", about=row.id, message=message, timestamp=now)
        events.append(Event(organization_id=organization, channel=NOTIFICATIONS, subject="", seq=0, data=data))
    return events
