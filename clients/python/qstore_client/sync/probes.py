# Written by `generate` from `aio/probes.py`; not by hand.
"""Whether the server is there, and what it says about itself."""

from __future__ import annotations

from typing import Any

from qstore_client.decoding import decode
from qstore_client.sync.http import Http
from qstore_client.types import Health, Readiness


class Probes:
    def __init__(self, http: Http) -> None:
        self._http = http

    def health(self) -> Health:
        return decode(Health, (self._http.send("GET", "/health")).json())

    def ready(self) -> Readiness:
        """
        Raises:
            Unavailable: A part does not answer.
        """
        return decode(Readiness, (self._http.send("GET", "/ready")).json())

    def openapi(self) -> dict[str, Any]:
        """The server's description of itself."""
        return dict((self._http.send("GET", "/openapi.json")).json())
