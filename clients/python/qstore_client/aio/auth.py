"""Signing in and out, where no API key does it."""

from __future__ import annotations

from qstore_client.aio.http import Http
from qstore_client.decoding import decode
from qstore_client.types import Tokens


class Auth:
    def __init__(self, http: Http) -> None:
        self._http = http

    async def sign_in(self, email: str, password: str, *, code: str | None = None) -> Tokens:
        """
        From now on as that user. Tokens are renewed by themselves.

        Args:
            code: Of the authenticator, or a recovery code, where there is a second factor.

        Raises:
            SecondFactorRequired: A code is needed.
            Unauthenticated: Wrong.
        """
        return await self._http.sign_in(email, password, code)

    async def switch(self, organization_id: str) -> Tokens:
        """To another of your organizations, from now on. The session that asks ends."""
        answered = await self._http.ask("POST", "/v1/auth/switch", json={"organization_id": organization_id})
        return self._http.take(decode(Tokens, answered.data))

    async def logout(self) -> None:
        """End the session, its refresh tokens included."""
        await self._http.ask("POST", "/v1/auth/logout")
        self._http.forget()

    async def ask_password_reset(self, email: str) -> None:
        """Have a link mailed, if somebody has that address; nobody is told whether."""
        await self._http.ask("POST", "/v1/auth/password-reset", json={"email": email}, signed_in=False)

    async def reset_password(self, token: str, password: str) -> None:
        """With the token of that link, a new password."""
        body = {"token": token, "password": password}
        await self._http.ask("POST", "/v1/auth/password-reset/confirm", json=body, signed_in=False)
