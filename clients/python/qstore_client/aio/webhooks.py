"""What your organization's webhooks are signed with."""

from __future__ import annotations

from qstore_client.aio.http import Http
from qstore_client.types import WebhookSecret

PATH = "/v1/webhooks/secret"


class Webhooks:
    def __init__(self, http: Http) -> None:
        self._http = http

    async def secret(self) -> WebhookSecret:
        return await self._http.get(WebhookSecret, PATH)

    async def renew_secret(self) -> WebhookSecret:
        """Everything that is sent from now on is signed with the new one."""
        return await self._http.post(WebhookSecret, PATH)
