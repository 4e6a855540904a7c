"""One request: credentials, retries, and what the answer means. Everything that asks goes through here."""

from __future__ import annotations

import contextlib
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from qstore_client.aio.wire import Lock, sleep
from qstore_client.arrays import encoded
from qstore_client.decoding import decode, decode_all
from qstore_client.errors import APIError, ConnectionFailed, Unauthenticated, UnexpectedAnswer, api_error
from qstore_client.pages import Page
from qstore_client.retries import PROXIES, pause, pause_after
from qstore_client.types import Tokens
from qstore_client.uploads import Upload

T = TypeVar("T")

SIGN_IN = "/v1/auth/token"
#: An access token is renewed so long before it ends.
BEFORE_END = 60.0


@dataclass(frozen=True)
class Answer:
    """`data` and `meta` of an answer in the API's envelope."""

    data: Any
    meta: Mapping[str, Any]


class Http:
    """
    Args:
        retries: How often a request is sent again.
        longest_wait: Seconds that a `Retry-After` may ask for before its error is raised instead.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None,
        token: str | None,
        refresh_token: str | None,
        email: str | None,
        password: str | None,
        timeout: float,
        retries: int,
        longest_wait: float,
        verify: ssl.SSLContext | bool,
        trust_env: bool,
    ) -> None:
        self.base_url = base_url
        self.verify = verify
        self.trust_env = trust_env
        self._api_key = api_key
        self._token = token
        self._refresh_token = refresh_token
        self._login = None if email is None or password is None else (email, password)
        #: By the clock that nobody sets; None where nobody said.
        self._ends: float | None = None
        self._retries = retries
        self._longest_wait = longest_wait
        self._renewing = Lock()
        self._client = httpx.AsyncClient(base_url=base_url, timeout=timeout, verify=verify, trust_env=trust_env)

    async def aclose(self) -> None:
        await self._client.aclose()

    # Credentials -------------------------------------------------------------------------------------------------

    async def credential(self) -> dict[str, str]:
        """What a live channel is authenticated with: `{"api_key": …}` or `{"token": …}`."""
        if self._api_key is not None:
            return {"api_key": self._api_key}
        await self._see_to_token()
        return {"token": self._token} if self._token is not None else {}

    async def sign_in(self, email: str, password: str, code: str | None = None) -> Tokens:
        """From now on as that user; a code works once, so the password is kept only where none is needed."""
        async with self._renewing:
            grant = {"grant_type": "password", "email": email, "password": password}
            tokens = await self._grant(grant | ({} if code is None else {"code": code}))
            self._login = (email, password) if code is None else None
            return tokens

    async def renew(self, stale: str | None) -> bool:
        """
        Trade the refresh token for new ones, or sign in again.

        Args:
            stale: The access token that did not work; somebody else may have renewed it meanwhile.

        Returns: whether there is another token now.
        """
        async with self._renewing:
            if self._token != stale:
                return True
            if self._refresh_token is not None:
                try:
                    # A refresh token works once: whatever comes of it, it is not sent again.
                    refresh_token, self._refresh_token = self._refresh_token, None
                    await self._grant({"grant_type": "refresh_token", "refresh_token": refresh_token})
                    return True
                except Unauthenticated:
                    if self._login is None:
                        return False
            if self._login is None:
                return False
            email, password = self._login
            await self._grant({"grant_type": "password", "email": email, "password": password})
            return True

    def forget(self) -> None:
        """Signed out."""
        self._token = self._refresh_token = self._login = self._ends = None

    async def _grant(self, body: dict[str, str]) -> Tokens:
        response = await self._send("POST", SIGN_IN, signed_in=False, json=body)
        return self.take(decode(Tokens, response.json()["data"]))

    def take(self, tokens: Tokens) -> Tokens:
        """Ask with these from now on."""
        self._api_key = None
        self._token, self._refresh_token = tokens.access_token, tokens.refresh_token
        self._ends = time.monotonic() + tokens.expires_in
        return tokens

    async def _see_to_token(self) -> None:
        if self._token is None and self._login is None and self._refresh_token is None:
            return
        ends_soon = self._ends is not None and time.monotonic() > self._ends - BEFORE_END
        if self._token is None or (ends_soon and (self._refresh_token or self._login)):
            await self.renew(self._token)

    # Asking ------------------------------------------------------------------------------------------------------

    async def get(self, kind: type[T], path: str, **params: Any) -> T:
        return decode(kind, (await self.ask("GET", path, params=params)).data)

    async def post(self, kind: type[T], path: str, body: Any = None, *, key: str | None = None) -> T:
        return decode(kind, (await self.ask("POST", path, json=body, key=key)).data)

    async def page(self, kind: type[T], path: str, **params: Any) -> Page[T]:
        answer = await self.ask("GET", path, params=params)
        meta = answer.meta
        return Page(decode_all(kind, answer.data), meta["total"], meta["limit"], meta["offset"])

    async def rows(self, kind: type[T], path: str, page_size: int, **params: Any) -> AsyncIterator[T]:
        """All rows of a list, page after page; none twice where others come in meanwhile."""
        offset, seen = 0, set[Any]()
        while True:
            page = await self.page(kind, path, limit=page_size, offset=offset, **params)
            for row in page:
                id = getattr(row, "id", None)
                if id is None or id not in seen:
                    seen.add(id)
                    yield row
            offset += len(page)
            if not page.items or offset >= page.total:
                return

    async def ask(self, method: str, path: str, **more: Any) -> Answer:
        """An answer in the envelope; see `send`."""
        response = await self.send(method, path, **more)
        if response.status_code == 204:
            return Answer(None, {})
        try:
            body = response.json()
            return Answer(body["data"], body["meta"])
        except (ValueError, KeyError, TypeError):
            raise UnexpectedAnswer(f"{method} {path} was answered by something that is no Q-Store server") from None

    async def text(self, path: str, *, accept: str | None = None, **params: Any) -> str:
        headers = {"Accept": accept} if accept else None
        return (await self.send("GET", path, params=params, headers=headers)).text

    async def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        """
        One request that succeeded.

        Args:
            key: The Idempotency-Key of a POST; one is made up where none is given, so every POST may be sent again.

        Raises:
            APIError: It was refused.
            ConnectionFailed: It was never answered.
        """
        return await self._send(method, path, **more)

    @contextlib.asynccontextmanager
    async def stream(self, path: str, *, headers: Mapping[str, str], **params: Any) -> AsyncIterator[httpx.Response]:
        """
        An answer that goes on, as it comes. Not tried again: who reads it knows where to go on.

        Raises:
            APIError: It was refused.
            httpx.TransportError: There is no connection, or none any more.
        """
        request = self._client.build_request(
            "GET", path, params=_given(params), headers={**headers, **await self._headers()}
        )
        # The server breaks its silence every 15 seconds.
        request.extensions["timeout"] = {"connect": 10.0, "read": 60.0, "write": 10.0, "pool": 10.0}
        response = await self._client.send(request, stream=True)
        try:
            if not response.is_success:
                await response.aread()
                raise refusal(response)
            yield response
        finally:
            await response.aclose()

    async def _headers(self) -> dict[str, str]:
        if self._api_key is not None:
            return {"X-API-Key": self._api_key}
        await self._see_to_token()
        return {"Authorization": f"Bearer {self._token}"} if self._token is not None else {}

    async def _send(
        self,
        method: str,
        path: str,
        *,
        signed_in: bool = True,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        key: str | None = None,
        file: Upload | None = None,
        **more: Any,
    ) -> httpx.Response:
        wanted = dict(headers or {})
        if json is not None:
            more["content"], wanted["Content-Type"] = encoded(json), "application/json"
        if method == "POST" and signed_in:
            wanted["Idempotency-Key"] = key or uuid.uuid4().hex
        attempt, renewed = 0, False
        while True:
            own = await self._headers() if signed_in else {}
            if file is not None:
                more["files"] = {"file": (file.name, file.again())}
            try:
                response = await self._client.request(
                    method, path, params=_given(params or {}), headers={**wanted, **own}, **more
                )
            except httpx.TransportError as error:
                # Whether a grant was given nobody knows, and a refresh token works once.
                unsent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
                if attempt >= self._retries or not (signed_in or unsent):
                    said = str(error) or type(error).__name__
                    raise ConnectionFailed(f"{method} {self.base_url}{path}: {said}") from error
                wait = pause(attempt)
            else:
                if response.is_success:
                    return response
                refused = refusal(response)
                if isinstance(refused, Unauthenticated) and signed_in and not renewed and self._api_key is None:
                    renewed = True
                    if await self.renew(own.get("Authorization", "").removeprefix("Bearer ") or None):
                        continue
                later = pause_after(refused, attempt, self._longest_wait)
                if later is None or attempt >= self._retries:
                    raise refused
                wait = later
            attempt += 1
            await sleep(wait)


def refusal(response: httpx.Response) -> APIError:
    """What a refusing answer means, also that of a proxy."""
    said = response.headers.get("Retry-After", "")
    retry_after = float(said) if said.isascii() and said.isdigit() else None
    request_id = response.headers.get("X-Request-ID")
    try:
        body = response.json()
        fault = graphql_fault(body) if "errors" in body else body["error"]
        return api_error(fault, status=response.status_code, request_id=request_id, retry_after=retry_after)
    except (ValueError, KeyError, TypeError, AttributeError):
        code = "UNAVAILABLE" if response.status_code in PROXIES else "UNEXPECTED"
        words = f"{response.status_code} {response.reason_phrase}, from something that is no Q-Store server"
        return api_error({"code": code, "message": words}, status=response.status_code, retry_after=retry_after)


def graphql_fault(body: Mapping[str, Any]) -> dict[str, Any]:
    """The first of GraphQL's errors as REST has them; `details` has them all, and the data that there is beside."""
    said = body["errors"][0].get("extensions", {})
    details = {**(said.get("details") or {}), "errors": body["errors"], "data": body.get("data")}
    return {"code": said.get("code", "INTERNAL"), "message": body["errors"][0]["message"], "details": details}


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _text(value) for name, value in params.items() if value is not None}


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple, set, frozenset)):
        return ",".join(map(str, value))
    return value.isoformat() if hasattr(value, "isoformat") else value
