"""Who you are, and the people of your organization."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from qstore_client.aio.http import Http
from qstore_client.bodies import at, sent
from qstore_client.decoding import decode
from qstore_client.pages import Page
from qstore_client.types import Member, Profile

PATH = "/v1/users"


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

    async def list(
        self, *, role: str | None = None, limit: int = 20, offset: int = 0, sort: str | None = None
    ) -> Page[Member]:
        """The people of your organization, those who are kept out included."""
        return await self._http.page(Member, PATH, role=role, limit=limit, offset=offset, sort=sort)

    def iterate(
        self, *, role: str | None = None, sort: str | None = None, page_size: int = 100
    ) -> AsyncIterator[Member]:
        return self._http.rows(Member, PATH, page_size, role=role, sort=sort)

    async def get(self, user_id: str) -> Member:
        return await self._http.get(Member, at(PATH, user_id))

    async def update(self, user_id: str, *, role: str | None = None, disabled: bool | None = None) -> Member:
        """Give somebody another role, keep them out, or let them in again."""
        body = sent(role=role, disabled=disabled)
        return decode(Member, (await self._http.ask("PATCH", at(PATH, user_id), json=body)).data)

    async def remove(self, user_id: str) -> None:
        """From your organization. Yourself: leave it."""
        await self._http.ask("DELETE", at(PATH, user_id))
