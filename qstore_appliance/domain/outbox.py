"""Letters: what has to reach somebody outside, written down until it has."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec


class Channel(enum.StrEnum):
    EMAIL = "email"
    SLACK = "slack"
    WEBHOOK = "webhook"


class LetterStatus(enum.StrEnum):
    #: Waits for its first or its next attempt, or is on its way.
    PENDING = "pending"
    #: The receiver has taken it, once at least.
    DELIVERED = "delivered"
    #: Given up; an administrator may have it tried again.
    DEAD = "dead"


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the same at every attempt; `destination` is a mailbox or an address with its secrets in it."""

    id: str
    organization_id: str
    kind: Channel
    destination: str
    event: str
    payload: dict[str, Any]
    status: LetterStatus
    attempts: int
    next_attempt_at: datetime
    last_error: str | None
    created_at: datetime
    delivered_at: datetime | None


def shown(kind: Channel, destination: str) -> str:
    """A destination without an address's path: whoever knows that of a Slack webhook can write to its channel."""
    if kind == Channel.EMAIL:
        return destination
    parts = urlsplit(destination)
    return f"{parts.scheme}://{parts.netloc}/…"
