# Written by `generate` from `aio/organization.py`; not by hand.
"""Your organization."""

from __future__ import annotations

from qstore_client.sync.http import Http
from qstore_client.types import Organization


class Organizations:
    def __init__(self, http: Http) -> None:
        self._http = http

    def get(self) -> Organization:
        return self._http.get(Organization, "/v1/organization")
