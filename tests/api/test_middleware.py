"""Hosts, origins, cookies and rate limits."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from qstore_appliance.api.middleware import configured_hosts, host_name, network
from qstore_appliance.domain.accounts import ApiKeyDraft
from qstore_appliance.settings import Limits, Settings
from qstore_appliance.settings import Server as ServerSettings
from tests.api.conftest import Client, House, Served, serving
from tests.factories import PASSWORD


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST:1"])
async def test_own_names(client: Client, host: str) -> None:
    """Every loopback name is ours, with any port."""
    assert (await client(None).get("/health", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1", "", "localhost@evil.example", "::1"],
)
async def test_other_names(client: Client, host: str) -> None:
    """A name that is not ours is 421, so that a page whose name points at us reads nothing."""
    answer = await client("owner").get("/v1/users/me", headers={"Host": host, "X-Forwarded-Host": "localhost"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (421, "WRONG_HOST")


def test_names_from_the_configuration(settings: Settings) -> None:
    """The bind address, the public address and the allowed hosts count; listening everywhere is no name."""
    server = ServerSettings(host="0.0.0.0", allowed_hosts=("Lab.Example:8000",), public_url="https://q.example/x")

    assert configured_hosts(dataclasses.replace(settings, server=server)) == {"lab.example", "q.example"}
    assert configured_hosts(dataclasses.replace(settings, server=ServerSettings(host="fd00::1"))) == {"fd00::1"}


def test_parts_of_addresses() -> None:
    """Host names lose their port; an IPv6 site is one neighbour, a mapped IPv4 address is itself."""
    assert [host_name(host) for host in ("A.b:1", "[::1]:2", "[::1]")] == ["a.b", "::1", "::1"]
    assert network("2001:db8:1:2:3:4:5:6") == network("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert network("::ffff:192.0.2.1") == "192.0.2.1"


@pytest_asyncio.fixture
async def cookie(served: Served) -> dict[str, str]:
    value, _ = await served.appliance.sessions.sign_in_cookie(
        "owner@example.org", PASSWORD, address="127.0.0.1", agent="tests"
    )
    return {"Cookie": f"__Host-qstore={value}"}


async def test_a_cookie_reads(client: Client, cookie: dict[str, str]) -> None:
    """The dashboard's cookie is enough to read."""
    assert (await client(None).get("/v1/users/me", headers=cookie)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "https://{host}"},
        {"Origin": "http://{host}.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
async def test_a_cookie_from_elsewhere_changes_nothing(
    served: Served, client: Client, cookie: dict[str, str], headers: dict[str, str]
) -> None:
    """A change by cookie must come from our own pages, by exact origin."""
    host = f"127.0.0.1:{served.settings.server.port}"
    sent = cookie | {name: value.format(host=host) for name, value in headers.items()}

    for method, path in (("PATCH", "/v1/users/me"), ("POST", "/v1/circuits"), ("DELETE", "/v1/circuits/x")):
        answer = await client(None).request(method, path, headers=sent, json={})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")


@pytest.mark.parametrize("headers", [{"Origin": "http://{host}"}, {"Sec-Fetch-Site": "same-origin"}], ids=str)
async def test_a_cookie_from_our_own_pages_does(
    served: Served, client: Client, cookie: dict[str, str], headers: dict[str, str]
) -> None:
    """Our own pages change things with the cookie alone."""
    host = f"127.0.0.1:{served.settings.server.port}"
    sent = cookie | {name: value.format(host=host) for name, value in headers.items()}

    answer = await client(None).patch("/v1/users/me", headers=sent, json={"name": "Ada"})

    assert answer.status_code == 200


async def test_a_cookie_of_an_ended_session(served: Served, client: Client, cookie: dict[str, str]) -> None:
    """After signing out the cookie is worth nothing."""
    anonymous = client(None)
    out = await anonymous.post("/v1/auth/logout", headers=cookie | {"Origin": served.url})

    assert out.status_code == 204
    assert '__Host-qstore=""' in out.headers["Set-Cookie"] or "__Host-qstore=;" in out.headers["Set-Cookie"]
    assert (await anonymous.get("/v1/users/me", headers=cookie)).status_code == 401


async def test_a_bearer_token_needs_no_origin(owner: httpx.AsyncClient) -> None:
    """Whoever holds a token is no confused browser."""
    answer = await owner.patch("/v1/users/me", json={"name": "Ada"}, headers={"Origin": "http://elsewhere.example"})

    assert answer.status_code == 200


# Rate limits -----------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def tight(settings: Settings, house: House) -> AsyncIterator[Served]:
    """A server whose buckets are small."""
    small = dataclasses.replace(settings, limits=Limits(key=10, user=20, address=5))
    async with serving(small, house) as running:
        yield running


async def ask(tight: Served, count: int, path: str = "/v1/users/me", **headers: str) -> list[httpx.Response]:
    async with httpx.AsyncClient(base_url=tight.url, trust_env=False) as client:
        return list(await asyncio.gather(*(client.get(path, headers=headers) for _ in range(count))))


async def test_a_burst_of_a_key_gets_exactly_its_bucket(tight: Served) -> None:
    """Of 30 requests at once with a key of 10, ten pass; the others are 429 and say when to come back."""
    owner = await tight.caller("owner")
    key = await tight.appliance.accounts.create_key(owner, ApiKeyDraft(name="k", scopes=["circuits:read"]))
    headers = {"X-API-Key": key.key}

    answers = await ask(tight, 30, **headers)

    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(429)) == (10, 20)
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"]["code"] == "RATE_LIMITED"
    assert int(refused.headers["Retry-After"]) >= 1
    assert (refused.headers["X-RateLimit-Limit"], refused.headers["X-RateLimit-Remaining"]) == ("10", "0")
    assert int(refused.headers["X-RateLimit-Reset"]) > 90


async def test_a_users_bucket_is_apart_from_the_addresss(tight: Served) -> None:
    """Strangers who use up their address leave those who are signed in alone."""
    strangers = await ask(tight, 8)
    signed_in = await ask(tight, 20, Authorization=f"Bearer {tight.token('viewer')}")

    assert [answer.status_code for answer in strangers].count(401) == 5
    assert {answer.status_code for answer in signed_in} == {200}


async def test_wrong_credentials_and_forged_addresses_share_one_bucket(tight: Served) -> None:
    """Guessing keys, and claiming to come from elsewhere, uses up the address that one comes from."""
    statuses = []
    for number in range(8):
        headers = {"X-API-Key": f"qsk_live_{number:024}", "X-Forwarded-For": f"192.0.2.{number}"}
        statuses += [answer.status_code for answer in await ask(tight, 1, **headers)]

    assert statuses == [401] * 5 + [429] * 3


async def test_probes_are_not_limited(tight: Served) -> None:
    """Health answers a monitor however often it asks; unknown addresses count."""
    assert {answer.status_code for answer in await ask(tight, 30, "/health")} == {200}
    assert [answer.status_code for answer in await ask(tight, 8, "/v1/nothing")].count(404) == 5
