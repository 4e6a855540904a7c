# Written by `generate` from `aio/organization.py`; not by hand.
"""Your organization."""

from __future__ import annotations

from qstore_client.sync.http import Http
from qstore_client.types import Member, Organization, OwnOrganization


class Organizations:
    def __init__(self, http: Http) -> None:
        self._http = http

    def get(self) -> Organization:
        return self._http.get(Organization, "/v1/organization")

    def mine(self) -> list[OwnOrganization]:
        """All that you belong to, and which of them you act in."""
        return self._http.get(list[OwnOrganization], "/v1/organizations")

    def transfer(self, user_id: str, *, idempotency_key: str | None = None) -> Member:
        """Make another member its owner. You are an administrator afterwards."""
        body = {"user_id": user_id}
        return self._http.post(Member, "/v1/organization/transfer", body, key=idempotency_key)
