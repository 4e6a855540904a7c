# Written by `generate` from `aio/webhooks.py`; not by hand.
"""What your organization's webhooks are signed with."""

from __future__ import annotations

from qstore_client.sync.http import Http
from qstore_client.types import WebhookSecret

PATH = "/v1/webhooks/secret"


class Webhooks:
    def __init__(self, http: Http) -> None:
        self._http = http

    def secret(self) -> WebhookSecret:
        return self._http.get(WebhookSecret, PATH)

    def renew_secret(self) -> WebhookSecret:
        """Everything that is sent from now on is signed with the new one."""
        return self._http.post(WebhookSecret, PATH)
