# Written by `generate` from `aio/backends.py`; not by hand.
"""Backends: what runs circuits here."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from qstore_client.bodies import at
from qstore_client.pages import Page
from qstore_client.sync.events import Events, told
from qstore_client.sync.http import Http
from qstore_client.types import Backend, BackendHealth, BackendUpdate

PATH = "/v1/backends"


class Backends:
    def __init__(self, http: Http, events: Events) -> None:
        self._http = http
        self._events = events

    def list(
        self, *, status: str | None = None, limit: int = 20, offset: int = 0, sort: str | None = None
    ) -> Page[Backend]:
        """Every backend that is installed, with the reason where one cannot be used."""
        return self._http.page(Backend, PATH, status=status, limit=limit, offset=offset, sort=sort)

    def iterate(self, *, status: str | None = None, sort: str | None = None, page_size: int = 100) -> Iterator[Backend]:
        return self._http.rows(Backend, PATH, page_size, status=status, sort=sort)

    def get(self, backend_id: str) -> Backend:
        return self._http.get(Backend, at(PATH, backend_id))

    def status(self, backend_id: str) -> BackendHealth:
        """How it is doing now."""
        return self._http.get(BackendHealth, at(PATH, backend_id, "status"))

    def stream_status(self, backend_id: str) -> Generator[BackendUpdate, None, None]:
        """Each change of its status, until you stop listening."""
        for event in self._events.subscribe("backend.status", backend_id=backend_id):
            if not event.reset:
                yield told(BackendUpdate, event)
