"""A01: every route with no credentials, with wrong ones, and with every method that it does not take."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest

from qstore_appliance.api.app import endpoints
from qstore_appliance.api.registry import PUBLIC
from tests.attacks.conftest import Fortress, status

pytestmark = pytest.mark.attack("A01")

GUARDED = [endpoint for endpoint in endpoints() if endpoint.permission != PUBLIC]
PATHS = sorted({endpoint.path for endpoint in endpoints()})
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")

WRONG: dict[str, dict[str, str]] = {
    "none": {},
    "nonsense": {"Authorization": "Bearer nonsense"},
    "bearer of nothing": {"Authorization": "Bearer"},
    "basic": {"Authorization": "Basic b3duZXI6cGFzc3dvcmQ="},
    "digest": {"Authorization": 'Digest username="owner"'},
    "apikey scheme": {"Authorization": "apiKey nonsense"},
    "unknown key": {"X-API-Key": "qsk_live_" + "a" * 24},
    "key of another shape": {"X-API-Key": "sk-" + "a" * 40},
    "empty key": {"X-API-Key": ""},
    "long key": {"X-API-Key": "qsk_live_" + "a" * 8_000},
    "long token": {"Authorization": "Bearer " + "a" * 12_000},
    "forged identity": {"X-User-Id": "user_1", "X-Remote-User": "owner@example.org", "X-Forwarded-User": "owner"},
    "invented cookie": {"Cookie": "__Host-qstore=invented; qstore_session=invented"},
    "override": {"X-HTTP-Method-Override": "GET", "X-Original-URL": "/health", "X-Rewrite-URL": "/health"},
}


def address(path: str) -> str:
    return re.sub(r"{\w+}", "x", path)


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG)
def test_nobody_comes_in(anonymous: httpx.Client, headers: dict[str, str]) -> None:
    """Whatever is no credential of ours is 401 on every guarded route, HEAD included, and says how to sign in."""
    for endpoint in GUARDED:
        for method in {endpoint.method, "HEAD"} if endpoint.method == "GET" else {endpoint.method}:
            answer = anonymous.request(method, address(endpoint.path), headers=headers)

            assert answer.status_code == 401, (method, endpoint.path)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", PATHS)
def test_other_methods_are_refused(owner: httpx.Client, path: str) -> None:
    """A method that an address does not take is 405 with those that it takes; an override changes nothing."""
    taken = {endpoint.method for endpoint in endpoints() if endpoint.path == path}
    for method in set(METHODS) - taken:
        answer = owner.request(method, address(path), headers={"X-HTTP-Method-Override": min(taken)})

        assert answer.status_code == 405, method
        assert taken <= set(answer.headers["Allow"].split(", "))


SPELLINGS: dict[str, Callable[[str], str]] = {
    "double slash": lambda path: "/" + path,
    "dot": lambda path: path.replace("/v1/", "/v1/./"),
    "climbing": lambda path: path.replace("/v1/", "/v1/x/../"),
    "encoded slash": lambda path: path.replace("/v1/", "/v1%2f"),
    "encoded letter": lambda path: path.replace("/v1/", "/%761/"),
    "capitals": str.upper,
    "trailing slash": lambda path: path + "/",
    "semicolon": lambda path: path + ";/health",
    "NUL": lambda path: path + "%00",
    "suffix": lambda path: path + ".json",
    "fragment of a public one": lambda path: "/health/.." + path,
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_no_spelling_of_an_address_goes_round_the_door(fortress: Fortress, spell: Callable[[str], str]) -> None:
    """However an address is written, nobody reads what it guards: 401, or there is nothing."""
    for endpoint in GUARDED:
        if endpoint.method == "GET":
            head = f"GET {spell(address(endpoint.path))} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            answer = fortress.speak(head.encode())

            assert status(answer) in (400, 401, 404, 405), endpoint.path
            assert b'"success":true' not in answer
