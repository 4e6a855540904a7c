# Written by `generate` from `aio/sessions.py`; not by hand.
"""Where you are signed in."""

from __future__ import annotations

from collections.abc import Iterator

from qstore_client.bodies import at
from qstore_client.pages import Page
from qstore_client.sync.http import Http
from qstore_client.types import Session

PATH = "/v1/sessions"


class Sessions:
    def __init__(self, http: Http) -> None:
        self._http = http

    def list(
        self, *, user_id: str | None = None, limit: int = 20, offset: int = 0, sort: str | None = None
    ) -> Page[Session]:
        """Yours, or as an administrator those of somebody in your organization."""
        return self._http.page(Session, PATH, user_id=user_id, limit=limit, offset=offset, sort=sort)

    def iterate(
        self, *, user_id: str | None = None, sort: str | None = None, page_size: int = 100
    ) -> Iterator[Session]:
        return self._http.rows(Session, PATH, page_size, user_id=user_id, sort=sort)

    def end(self, session_id: str) -> None:
        self._http.ask("DELETE", at(PATH, session_id))

    def end_others(self) -> int:
        """Every session of yours but this one; answers how many they were."""
        return int((self._http.ask("DELETE", PATH)).data["ended"])
