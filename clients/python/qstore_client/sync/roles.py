# Written by `generate` from `aio/roles.py`; not by hand.
"""Roles of your organization: the four, and those that it has made."""

from __future__ import annotations

from collections.abc import Sequence

from qstore_client.bodies import at, sent
from qstore_client.decoding import decode
from qstore_client.sync.http import Http
from qstore_client.types import OrganizationRole

PATH = "/v1/roles"


class Roles:
    def __init__(self, http: Http) -> None:
        self._http = http

    def create(
        self, name: str, permissions: Sequence[str], *, description: str = "", idempotency_key: str | None = None
    ) -> OrganizationRole:
        """Make one out of permissions that you have, such as `jobs:submit` or `circuits:*`."""
        body = sent(name=name, description=description, permissions=list(permissions))
        return self._http.post(OrganizationRole, PATH, body, key=idempotency_key)

    def list(self) -> list[OrganizationRole]:
        """The four first, then your organization's own."""
        return self._http.get(list[OrganizationRole], PATH)

    def get(self, name: str) -> OrganizationRole:
        return self._http.get(OrganizationRole, at(PATH, name))

    def update(
        self, name: str, *, description: str | None = None, permissions: Sequence[str] | None = None
    ) -> OrganizationRole:
        """What is given replaces what was; it counts at once for everybody who has the role."""
        body = sent(description=description, permissions=None if permissions is None else list(permissions))
        return decode(OrganizationRole, (self._http.ask("PATCH", at(PATH, name), json=body)).data)

    def delete(self, name: str) -> None:
        """One that nobody has or is invited to."""
        self._http.ask("DELETE", at(PATH, name))
