"""The machines that take jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator

from qstore_client.aio.http import Http
from qstore_client.pages import Page
from qstore_client.types import Worker

PATH = "/v1/workers"


class Workers:
    """For the operator of the installation."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def list(self, *, limit: int = 20, offset: int = 0, sort: str | None = None) -> Page[Worker]:
        return await self._http.page(Worker, PATH, limit=limit, offset=offset, sort=sort)

    def iterate(self, *, sort: str | None = None, page_size: int = 100) -> AsyncIterator[Worker]:
        return self._http.rows(Worker, PATH, page_size, sort=sort)
