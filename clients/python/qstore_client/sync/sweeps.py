# Written by `generate` from `aio/sweeps.py`; not by hand.
"""Sweeps: a job for each combination of the lists in `config`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qstore_client.bodies import at, sent
from qstore_client.pages import Page
from qstore_client.sync.http import Http
from qstore_client.types import Priority, Sweep, SweepSummary

PATH = "/v1/sweeps"


class Sweeps:
    def __init__(self, http: Http) -> None:
        self._http = http

    def submit(
        self,
        *,
        circuit_id: str | Sequence[str],
        config: Mapping[str, Any],
        name: str | None = None,
        priority: Priority = "normal",
        budget_limit: float | None = None,
        project: str | None = None,
        tags: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Sweep:
        """At most 100 jobs; `budget_limit` is that of each."""
        body = sent(
            circuit_id=circuit_id,
            config=config,
            name=name,
            priority=priority,
            budget_limit=budget_limit,
            project=project,
            tags=tags,
        )
        return self._http.post(Sweep, PATH, body, key=idempotency_key)

    def list(self, *, limit: int = 20, offset: int = 0, sort: str | None = None) -> Page[SweepSummary]:
        return self._http.page(SweepSummary, PATH, limit=limit, offset=offset, sort=sort)

    def iterate(self, *, sort: str | None = None, page_size: int = 100) -> Iterator[SweepSummary]:
        return self._http.rows(SweepSummary, PATH, page_size, sort=sort)

    def get(self, sweep_id: str) -> Sweep:
        """How far it is, and its jobs, the best first."""
        return self._http.get(Sweep, at(PATH, sweep_id))

    def cancel(self, sweep_id: str) -> Sweep:
        """Cancel every job that has not ended."""
        return self._http.post(Sweep, at(PATH, sweep_id, "cancel"))
