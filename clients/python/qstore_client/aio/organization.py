"""Your organization."""

from __future__ import annotations

from qstore_client.aio.http import Http
from qstore_client.types import Organization


class Organizations:
    def __init__(self, http: Http) -> None:
        self._http = http

    async def get(self) -> Organization:
        return await self._http.get(Organization, "/v1/organization")
