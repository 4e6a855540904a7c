"""Packages that the server offers to machines without internet."""

from __future__ import annotations

from qstore_client.aio.http import Http
from qstore_client.bodies import at
from qstore_client.decoding import decode_all
from qstore_client.types import Download

PATH = "/downloads"


class Downloads:
    def __init__(self, http: Http) -> None:
        self._http = http

    async def list(self) -> list[Download]:
        return decode_all(Download, (await self._http.ask("GET", PATH)).data)

    async def get(self, name: str) -> bytes:
        return (await self._http.send("GET", at(PATH, name))).content
