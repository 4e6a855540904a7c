"""Webhooks and Slack: how a letter becomes a request, and the secret that an organization's webhooks are signed with."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Any

import msgspec

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.outbox import WebhookSecretRow
from qstore_appliance.deliveries.mails import one_line
from qstore_appliance.deliveries.posts import Posts
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.alerts import worded
from qstore_appliance.domain.outbox import Letter
from qstore_appliance.domain.ports import Clock
from qstore_appliance.services.audit import Audit

#: Says what it is where it turns up in a place where it should not be.
PREFIX = "whsec_"


class Webhooks:
    def __init__(self, database: Database, posts: Posts, clock: Clock) -> None:
        self._database = database
        self._posts = posts
        self._clock = clock

    async def secret(self, caller: Caller) -> str:
        """The organization's secret; made when it is first asked for, or first signs."""
        # Whoever knows it can write in the appliance's name: not for those who may only read.
        caller.require("settings:write")
        return await self._secret(caller.organization_id)

    async def renew(self, caller: Caller) -> str:
        """A new secret; from now on everything is signed with it, also what waits."""
        caller.require("settings:write")
        await self._secret(caller.organization_id)
        async with self._database.transaction():
            fresh = _fresh()
            await WebhookSecretRow.filter(organization_id=caller.organization_id).update(
                secret=fresh, created_at=self._clock.now()
            )
            await Audit(self._database, self._clock).record(
                "webhook_secret.renewed", organization_id=caller.organization_id, caller=caller
            )
        return fresh

    async def deliver(self, letter: Letter) -> None:
        """
        To any webhook, signed.

        Raises:
            NotDelivered: With the reason.
        """
        body = msgspec.json.encode(letter.payload)
        timestamp = str(int(self._clock.now().timestamp()))
        headers = {
            "Content-Type": "application/json",
            "X-QStore-Event": letter.event,
            "X-QStore-Delivery": letter.id,
            "X-QStore-Timestamp": timestamp,
            "X-QStore-Signature": signature(await self._secret(letter.organization_id), timestamp, body),
        }
        await self._posts.post(letter.destination, body, headers)

    async def deliver_to_slack(self, letter: Letter) -> None:
        """
        To an incoming webhook of Slack, or of what takes the same.

        Raises:
            NotDelivered: With the reason.
        """
        body = msgspec.json.encode({"text": slack_text(letter.payload)})
        await self._posts.post(letter.destination, body, {"Content-Type": "application/json"})

    async def _secret(self, organization_id: str) -> str:
        row = await WebhookSecretRow.get_or_none(organization_id=organization_id)
        if row is None:
            fresh = WebhookSecretRow(organization_id=organization_id, secret=_fresh(), created_at=self._clock.now())
            async with self._database.transaction():
                # Two may be the first at the same time.
                await WebhookSecretRow.bulk_create([fresh], ignore_conflicts=True)
            row = await WebhookSecretRow.get(organization_id=organization_id)
        return str(row.secret)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """`sha256=` and the HMAC of `timestamp.body`: whoever repeats an old request cannot make it look new."""
    signed = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={signed.hexdigest()}"


def slack_text(payload: dict[str, Any]) -> str:
    """The alert in Slack's own markup, in which a name may neither call a channel nor link anywhere."""
    name = one_line(payload["organization"]["name"]).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    _, text = worded({**payload, "organization": {**payload["organization"], "name": name}})
    return text.strip()


def _fresh() -> str:
    return PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
