# Written by `generate` from `aio/downloads.py`; not by hand.
"""Packages that the server offers to machines without internet."""

from __future__ import annotations

from qstore_client.bodies import at
from qstore_client.decoding import decode_all
from qstore_client.sync.http import Http
from qstore_client.types import Download

PATH = "/downloads"


class Downloads:
    def __init__(self, http: Http) -> None:
        self._http = http

    def list(self) -> list[Download]:
        return decode_all(Download, (self._http.ask("GET", PATH)).data)

    def get(self, name: str) -> bytes:
        return (self._http.send("GET", at(PATH, name))).content
