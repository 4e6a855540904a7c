"""Whether the server is there, and what it says about itself."""

from __future__ import annotations

from typing import Any

from qstore_client.aio.http import Http
from qstore_client.decoding import decode
from qstore_client.types import Health, Readiness


class Probes:
    def __init__(self, http: Http) -> None:
        self._http = http

    async def health(self) -> Health:
        return decode(Health, (await self._http.send("GET", "/health")).json())

    async def ready(self) -> Readiness:
        """
        Raises:
            Unavailable: A part does not answer.
        """
        return decode(Readiness, (await self._http.send("GET", "/ready")).json())

    async def openapi(self) -> dict[str, Any]:
        """The server's description of itself."""
        return dict((await self._http.send("GET", "/openapi.json")).json())
