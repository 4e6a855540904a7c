# Written by `generate` from `aio/outbox.py`; not by hand.
"""Messages to people and programs outside."""

from __future__ import annotations

from collections.abc import Iterator

from qstore_client.bodies import at
from qstore_client.pages import Page
from qstore_client.sync.http import Http
from qstore_client.types import Letter

PATH = "/v1/outbox"


class Outbox:
    def __init__(self, http: Http) -> None:
        self._http = http

    def list(
        self, *, status: str | None = None, limit: int = 20, offset: int = 0, sort: str | None = None
    ) -> Page[Letter]:
        """`status="dead"` are those that nobody took."""
        return self._http.page(Letter, PATH, status=status, limit=limit, offset=offset, sort=sort)

    def iterate(self, *, status: str | None = None, sort: str | None = None, page_size: int = 100) -> Iterator[Letter]:
        return self._http.rows(Letter, PATH, page_size, status=status, sort=sort)

    def retry(self, letter_id: str) -> Letter:
        """Try a message now."""
        return self._http.post(Letter, at(PATH, letter_id, "retry"))
