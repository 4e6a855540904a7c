# Written by `generate` from `aio/workers.py`; not by hand.
"""The machines that take jobs."""

from __future__ import annotations

from collections.abc import Iterator

from qstore_client.pages import Page
from qstore_client.sync.http import Http
from qstore_client.types import Worker

PATH = "/v1/workers"


class Workers:
    """For the operator of the installation."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def list(self, *, limit: int = 20, offset: int = 0, sort: str | None = None) -> Page[Worker]:
        return self._http.page(Worker, PATH, limit=limit, offset=offset, sort=sort)

    def iterate(self, *, sort: str | None = None, page_size: int = 100) -> Iterator[Worker]:
        return self._http.rows(Worker, PATH, page_size, sort=sort)
