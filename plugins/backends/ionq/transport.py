"""
One call of IonQ's API: a deadline, a largest answer, a breaker, and an answer that is JSON or an error that says why not.

Redirects, proxies of the environment and compressed answers are not followed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

import httpx

from qstore_appliance.errors import BackendBadResponse, BackendCannot, BackendUnavailable
from qstore_backends.ionq.breaker import Breaker

MAX_BYTES: Final = 9_000_000
MAX_DEPTH: Final = 32
LONGEST_PAUSE: Final = 30.0
"""Who asks to be left alone for longer is not waited for."""

_BUSY: Final = frozenset((429, 500, 502, 503, 504, *range(520, 530)))


class Lost(Exception):
    """
    Nobody knows whether the server has done what was asked.

    Attributes:
        underway: Where the server says that it is just doing it: seconds after which it can be asked again.
    """

    def __init__(self, reason: str, underway: float | None = None) -> None:
        super().__init__(reason)
        self.underway = underway


class Refused(Exception):
    """The server says that it has not done it, and that it may be asked again."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Transport:
    """
    Args:
        base_url: `https://…`; plain HTTP is for this machine only. The version's path is added where it is missing.
        api_key: Sent as `Authorization: apiKey …`, and in no message.
        connect_seconds: To open a connection.
        call_seconds: One call in all, however slowly its answer drips.
    """

    def __init__(self, base_url: str, api_key: str, connect_seconds: float, call_seconds: float) -> None:
        self.base_url = _checked(base_url)
        self.name = urlsplit(self.base_url).netloc
        self.breaker = Breaker(self.name)
        self._seconds = call_seconds
        self._http = httpx.Client(
            headers={
                "Authorization": f"apiKey {api_key}",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": "qstore-appliance",
            },
            timeout=httpx.Timeout(call_seconds, connect=connect_seconds),
            follow_redirects=False,
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        params: Mapping[str, Any] | None = None,
    ) -> Any:
        """
        Raises:
            Lost: Nobody knows whether it was done.
            Refused: It was not done, and may be asked again.
            BackendUnavailable: The breaker is open, the key is refused, or the pause asked for is too long.
            BackendBadResponse: The answer makes no sense.
            BackendCannot: The server refuses what is asked.
        """
        self.breaker.enter()
        try:
            status, answered, content = self._exchange(method, path, body, headers, params)
            if status in _BUSY or (status == 409 and method != "PUT"):
                self._busy(status, answered)
            if not 200 <= status < 300:
                self._refuse(status, content)
            value = self._parsed(answered, content)
        except (Lost, Refused) as error:
            if isinstance(error, Lost) and error.underway is not None:
                self.breaker.succeeded()
            else:
                self.breaker.failed(str(error))
            raise
        except BackendBadResponse as error:
            self.breaker.failed(error.message)
            raise
        except BaseException:
            # The server answered, and said no: it is there.
            self.breaker.succeeded()
            raise
        self.breaker.succeeded()
        return value

    def _exchange(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        params: Mapping[str, Any] | None,
    ) -> tuple[int, httpx.Headers, bytes]:
        deadline = time.monotonic() + self._seconds
        parts: list[bytes] = []
        size = 0
        try:
            with self._http.stream(
                method, f"{self.base_url}{path}", json=body, headers=dict(headers), params=params
            ) as response:
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise BackendBadResponse(f"{self.name} answered in an encoding that was not asked for.")
                for part in response.iter_raw():
                    size += len(part)
                    if size > MAX_BYTES:
                        raise BackendBadResponse(f"{self.name} answered more than {MAX_BYTES:,} bytes.")
                    if time.monotonic() > deadline:
                        raise Lost(f"the answer was not there after {self._seconds:g} s")
                    parts.append(part)
                return response.status_code, response.headers, b"".join(parts)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            # Not a byte has been sent.
            raise Refused(f"no connection ({error})") from None
        except httpx.HTTPError as error:
            raise Lost(f"{type(error).__name__}: {error}") from None

    def _busy(self, status: int, headers: httpx.Headers) -> NoReturn:
        after = _seconds(headers.get("retry-after", ""))
        if after is not None and after > LONGEST_PAUSE:
            raise BackendUnavailable(f"{self.name} asks to be left alone for {after:.0f} s.", retry_after=after)
        if status == 429:
            raise Refused("it is asked too often (429)", after)
        # A server that fails may have done what it was asked before it failed; with 409 it says that it is asked twice.
        raise Lost(f"it failed with status {status}", after if status == 409 else None)

    def _refuse(self, status: int, content: bytes) -> NoReturn:
        said = _sentence(content)
        if 300 <= status < 400:
            raise BackendBadResponse(f"{self.name} wants to send us elsewhere ({status}); that is not followed.")
        if status in (401, 403):
            raise BackendUnavailable(f"{self.name} refuses the API key ({status}){said}", retry_after=300.0)
        if status == 402:
            raise BackendUnavailable(f"{self.name} has no budget left for this{said}", retry_after=300.0)
        if status == 404:
            raise BackendBadResponse(f"{self.name} knows nothing of this (404){said}")
        raise BackendCannot(f"{self.name} refuses this ({status}){said}")

    def _parsed(self, headers: httpx.Headers, content: bytes) -> Any:
        media = headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json":
            raise BackendBadResponse(f"{self.name} answered {media[:40] or 'nothing known'} instead of JSON.")
        try:
            value = json.loads(content, parse_constant=_not_a_number)
        except (ValueError, RecursionError):
            raise BackendBadResponse(f"{self.name} answered something that is no JSON.") from None
        if _deeper(value, MAX_DEPTH):
            raise BackendBadResponse(f"{self.name} answered JSON nested deeper than {MAX_DEPTH} levels.")
        return value


def _checked(base_url: str) -> str:
    parts = urlsplit(base_url)
    # Reading it checks it.
    _ = parts.port
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("must be an address such as https://api.ionq.co/v0.4")
    if parts.scheme == "http" and not local:
        raise ValueError("must be https: the API key would cross the network in clear")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v0.4'}"


def _seconds(text: str) -> float | None:
    """`Retry-After`: a number of seconds, or a date."""
    try:
        return max(0.0, float(text))
    except ValueError:
        try:
            return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
        except (ValueError, TypeError):
            return None


def _not_a_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _deeper(value: Any, levels: int) -> bool:
    waiting = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, (dict, list)):
            if depth > levels:
                return True
            waiting.extend((inner, depth + 1) for inner in (item.values() if isinstance(item, dict) else item))
    return False


def _sentence(content: bytes) -> str:
    """What a refusal says, shortened; nothing of what is no JSON."""
    try:
        said = json.loads(content[:20_000])
        message = said.get("message") or said.get("error")
    except (ValueError, AttributeError, RecursionError):
        return "."
    return f": {' '.join(str(message).split())[:200]}" if message else "."
