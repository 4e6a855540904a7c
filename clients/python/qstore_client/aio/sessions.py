"""Where you are signed in."""

from __future__ import annotations

from collections.abc import AsyncIterator

from qstore_client.aio.http import Http
from qstore_client.bodies import at
from qstore_client.pages import Page
from qstore_client.types import Session

PATH = "/v1/sessions"


class Sessions:
    def __init__(self, http: Http) -> None:
        self._http = http

    async def list(
        self, *, user_id: str | None = None, limit: int = 20, offset: int = 0, sort: str | None = None
    ) -> Page[Session]:
        """Yours, or as an administrator those of somebody in your organization."""
        return await self._http.page(Session, PATH, user_id=user_id, limit=limit, offset=offset, sort=sort)

    def iterate(
        self, *, user_id: str | None = None, sort: str | None = None, page_size: int = 100
    ) -> AsyncIterator[Session]:
        return self._http.rows(Session, PATH, page_size, user_id=user_id, sort=sort)

    async def end(self, session_id: str) -> None:
        await self._http.ask("DELETE", at(PATH, session_id))

    async def end_others(self) -> int:
        """Every session of yours but this one; answers how many they were."""
        return int((await self._http.ask("DELETE", PATH)).data["ended"])
