"""Who did what in your organization."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from qstore_client.aio.http import Http
from qstore_client.pages import Page
from qstore_client.types import AuditEntry, AuditVerification

PATH = "/v1/audit"


class Audit:
    def __init__(self, http: Http) -> None:
        self._http = http

    async def list(
        self,
        *,
        action: str | None = None,
        actor: str | None = None,
        subject: str | None = None,
        address: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        q: str | None = None,
        installation: bool | None = None,
        limit: int = 20,
        offset: int = 0,
        sort: str | None = None,
    ) -> Page[AuditEntry]:
        """
        The newest first.

        Args:
            action: An act, or a family such as `api_key`.
            q: Text in actor, subject or details.
            installation: The installation's own chain, for its operator.
        """
        narrowed = _narrowed(action, actor, subject, address, since, until, q, installation)
        return await self._http.page(AuditEntry, PATH, limit=limit, offset=offset, sort=sort, **narrowed)

    def iterate(
        self,
        *,
        action: str | None = None,
        actor: str | None = None,
        subject: str | None = None,
        address: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        q: str | None = None,
        installation: bool | None = None,
        page_size: int = 100,
    ) -> AsyncIterator[AuditEntry]:
        narrowed = _narrowed(action, actor, subject, address, since, until, q, installation)
        return self._http.rows(AuditEntry, PATH, page_size, **narrowed)

    async def export(self, *, format: str = "jsonl", installation: bool | None = None) -> str:
        """All of it as a file, `jsonl` or `csv`, the oldest first."""
        return await self._http.text(PATH, format=format, installation=installation)

    async def verify(self) -> AuditVerification:
        """Whether every entry is there, in its place and unchanged."""
        return await self._http.get(AuditVerification, f"{PATH}/verify")


def _narrowed(
    action: str | None,
    actor: str | None,
    subject: str | None,
    address: str | None,
    since: datetime | str | None,
    until: datetime | str | None,
    q: str | None,
    installation: bool | None,
) -> dict[str, Any]:
    return {
        "action": action,
        "actor": actor,
        "subject": subject,
        "address": address,
        "since": since,
        "until": until,
        "q": q,
        "installation": installation,
    }
