"""Sign-in through `oidc-provider-mock`, as a browser goes: away, back, and in."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio

from qstore_appliance.settings import Oidc, Settings
from tests.api.conftest import House, Served, serving


@pytest.fixture
def issuer() -> Iterator[str]:
    from oidc_provider_mock import User, run_server_in_thread

    users = [
        User(sub="owner-there", claims={"email": "owner@example.org", "email_verified": True}),
        User(sub="nobody-there", claims={"email": "nobody@example.org", "email_verified": True}),
        User(sub="unsure-there", claims={"email": "owner@example.org", "email_verified": False}),
    ]
    with run_server_in_thread(user_claims=users, require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


@pytest_asyncio.fixture
async def lab(settings: Settings, house: House, issuer: str) -> AsyncIterator[Served]:
    oidc = Oidc(issuer=issuer, client_id="qstore", client_secret="secret", name="the lab's <sign-on>")
    async with serving(dataclasses.replace(settings, oidc=oidc), house) as running:
        yield running


@pytest_asyncio.fixture
async def browser(lab: Served) -> AsyncIterator[httpx.AsyncClient]:
    """Keeps cookies, as a browser; nobody tells it to follow redirects."""
    # httpx keeps no Secure cookie for http, not even for loopback, where browsers do.
    async with httpx.AsyncClient(base_url=lab.url, trust_env=False, timeout=10) as client:
        yield client


def kept(answer: httpx.Response) -> dict[str, str]:
    """Cookies that the answer sets, by name; those that it takes away are empty."""
    pairs = (line.partition(";")[0].partition("=") for line in answer.headers.get_list("set-cookie"))
    return {name: value.strip('"') for name, _, value in pairs}


def sent(cookies: dict[str, str]) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


async def back_from(browser: httpx.AsyncClient, address: str, sub: str) -> str:
    """Sign in at the provider as this subject; where it sends the browser."""
    answer = await browser.post(address, data={"sub": sub})
    assert answer.status_code in {302, 303}, answer.text
    return answer.headers["location"]


async def test_there_and_back(lab: Served, browser: httpx.AsyncClient, issuer: str) -> None:
    """The door offers the provider; who comes back has a session's cookie and is led to the page that they wanted."""
    door = await browser.get("/app/sign-in?next=/app/models")
    assert "Continue with the lab&#39;s &lt;sign-on&gt;" in door.text
    away = await browser.get("/app/provider?next=/app/models")
    asked = httpx.URL(away.headers["location"])

    home = await back_from(browser, str(asked), "owner-there")
    arrived = await browser.get(home, headers=sent(kept(away)))

    assert away.status_code == 302
    assert str(asked).startswith(f"{issuer}/")
    assert {"state", "nonce", "code_challenge"} <= set(asked.params)
    (journey,) = away.headers.get_list("set-cookie")
    assert journey.startswith("__Host-qstore-journey=")
    assert {"HttpOnly", "Secure", "SameSite=Lax", "Path=/"} <= set(journey.split("; "))
    assert arrived.status_code == 200
    assert re.search(r'href="([^"]+)" data-part="onward"', arrived.text)[1] == "/app/models"
    cookies = kept(arrived)
    assert cookies["__Host-qstore-journey"] == ""
    me = await browser.get("/v1/users/me", headers=sent({"__Host-qstore": cookies["__Host-qstore"]}))
    assert me.json()["data"]["email"] == "owner@example.org"
    assert (
        await browser.get("/app/models", headers=sent({"__Host-qstore": cookies["__Host-qstore"]}))
    ).status_code == 200


@pytest.mark.parametrize("sub", ["nobody-there", "unsure-there"])
async def test_strangers(browser: httpx.AsyncClient, sub: str) -> None:
    """Without an account here, or a verified address there, the way ends at the door, in words."""
    away = await browser.get("/app/provider")

    home = await back_from(browser, away.headers["location"], sub)
    answer = await browser.get(home, headers=sent(kept(away)))

    assert answer.status_code == 403
    assert "no account here" in answer.text
    assert set(kept(answer)) == {"__Host-qstore-journey"}


async def test_another_browser(browser: httpx.AsyncClient) -> None:
    """A link back that somebody else has begun signs nobody in: without the journey's cookie, or with another one."""
    away, another = [await browser.get("/app/provider") for _ in range(2)]
    home = await back_from(browser, away.headers["location"], "owner-there")

    for headers in ({}, sent(kept(another)), sent({"__Host-qstore-journey": "x"})):
        answer = await browser.get(home, headers=headers)

        assert answer.status_code == 401
        assert "__Host-qstore" not in kept(answer)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?error=access_denied", 403),
        ("", 401),
        ("?state=a&state=b&code=c", 401),
        ("?state=%00&code=%ff", 401),
        (f"?state={'x' * 5_000}&code=x", 401),
    ],
)
async def test_odd_answers(browser: httpx.AsyncClient, query: str, status: int) -> None:
    """Whatever a browser comes back with: a page, never a fault."""
    away = await browser.get("/app/provider")

    answer = await browser.get(f"/app/provider/callback{query}", headers=sent(kept(away)))

    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "https://evil.example", "/app/../v1"])
async def test_where_it_ends(browser: httpx.AsyncClient, target: str) -> None:
    """`next` leads to pages of ours only."""
    away = await browser.get("/app/provider", params={"next": target})
    home = await back_from(browser, away.headers["location"], "owner-there")

    arrived = await browser.get(home, headers=sent(kept(away)))

    assert 'href="/app/jobs" data-part="onward"' in arrived.text


async def test_the_host_that_the_provider_knows(lab: Served, browser: httpx.AsyncClient) -> None:
    """Who opened the dashboard by another name of ours begins at the one that the provider sends browsers back to."""
    port = urlsplit(lab.url).port
    answer = await browser.get("/app/provider?next=/app/models", headers={"Host": f"localhost:{port}"})

    assert answer.headers["location"] == f"{lab.url}/app/provider?next=/app/models"


async def test_without_a_provider(served: Served) -> None:
    """Where none is set, the door offers none, and the way there is a page that says so."""
    async with httpx.AsyncClient(base_url=served.url, trust_env=False) as browser:
        assert "/app/provider" not in (await browser.get("/app/sign-in")).text
        assert (await browser.get("/app/provider")).status_code == 404
        assert (await browser.get("/app/provider/callback?code=a&state=b")).status_code == 401
