"""API keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from qstore_client.aio.http import Http
from qstore_client.bodies import at, sent
from qstore_client.pages import Page
from qstore_client.types import ApiKey

PATH = "/v1/api-keys"


class ApiKeys:
    def __init__(self, http: Http) -> None:
        self._http = http

    async def create(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        environment: str = "live",
        rate_limit: int | None = None,
        expires_at: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> ApiKey:
        """
        `key` of the answer is shown this once. It is None only where the first answer was lost on the way and the
        request was sent again: then revoke that key and make another.
        """
        body = sent(
            name=name, scopes=list(scopes), environment=environment, rate_limit=rate_limit, expires_at=expires_at
        )
        return await self._http.post(ApiKey, PATH, body, key=idempotency_key)

    async def list(self, *, limit: int = 20, offset: int = 0, sort: str | None = None) -> Page[ApiKey]:
        return await self._http.page(ApiKey, PATH, limit=limit, offset=offset, sort=sort)

    def iterate(self, *, sort: str | None = None, page_size: int = 100) -> AsyncIterator[ApiKey]:
        return self._http.rows(ApiKey, PATH, page_size, sort=sort)

    async def revoke(self, key_id: str) -> None:
        await self._http.ask("DELETE", at(PATH, key_id))
