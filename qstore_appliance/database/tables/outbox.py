"""The outbox: letters that somebody outside shall get. Written with what they tell of, in one transaction."""

from __future__ import annotations

from typing import Any

from tortoise import fields

from qstore_appliance.database.tables.row import Row
from qstore_appliance.domain.outbox import Channel, Letter, LetterStatus


class OutboxRow(Row):
    id = fields.CharField(max_length=40, primary_key=True)
    organization_id = fields.CharField(max_length=40)
    kind = fields.CharField(max_length=10)
    #: Host and port, or the mail server: letters of one organization to one of these go one after another.
    receiver = fields.CharField(max_length=300)
    destination = fields.TextField()
    event = fields.CharField(max_length=50)
    payload: dict[str, Any] = fields.JSONField()
    status = fields.CharField(max_length=10)
    #: Attempts that were begun; also the fence: who comes back after another one was begun writes nothing.
    attempts = fields.IntField(default=0)
    next_attempt_at = fields.DatetimeField()
    lease_until = fields.DatetimeField(null=True)
    last_error = fields.TextField(null=True)
    created_at = fields.DatetimeField()
    delivered_at = fields.DatetimeField(null=True)

    class Meta:
        table = "outbox"
        indexes = (("status", "next_attempt_at"), ("organization_id", "status", "created_at"))

    def to_domain(self) -> Letter:
        return Letter(
            id=self.id,
            organization_id=self.organization_id,
            kind=Channel(self.kind),
            destination=self.destination,
            event=self.event,
            payload=self.payload,
            status=LetterStatus(self.status),
            attempts=self.attempts,
            next_attempt_at=self.next_attempt_at,
            last_error=self.last_error,
            created_at=self.created_at,
            delivered_at=self.delivered_at,
        )


class WebhookSecretRow(Row):
    """What an organization's webhooks are signed with."""

    organization_id = fields.CharField(max_length=40, primary_key=True)
    secret = fields.CharField(max_length=100)
    created_at = fields.DatetimeField()

    class Meta:
        table = "webhook_secrets"
