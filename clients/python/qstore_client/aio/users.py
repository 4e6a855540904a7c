"""Who you are."""

from __future__ import annotations

from typing import Any

from qstore_client.aio.http import Http
from qstore_client.bodies import sent
from qstore_client.decoding import decode
from qstore_client.types import Profile


class Users:
    def __init__(self, http: Http) -> None:
        self._http = http

    async def me(self) -> Profile:
        """Who you are, what you may do, and your API keys, masked."""
        return await self._http.get(Profile, "/v1/users/me")

    async def update_me(self, *, name: str | None = None, preferences: dict[str, Any] | None = None) -> Profile:
        """Change your name or preferences, such as `default_backend`."""
        body = sent(name=name, preferences=preferences)
        return decode(Profile, (await self._http.ask("PATCH", "/v1/users/me", json=body)).data)

    async def change_password(self, current_password: str, password: str) -> None:
        """Your other sessions end."""
        body = {"current_password": current_password, "password": password}
        await self._http.ask("POST", "/v1/users/me/password", json=body)
