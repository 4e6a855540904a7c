"""What an OpenID Connect provider says is believed only as far as it can be proven."""

from __future__ import annotations

import base64
import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from qstore_appliance.deliveries import NotDelivered
from qstore_appliance.deliveries.provider import Provider
from tests.providers import CLIENT_ID, CLIENT_SECRET, LoopbackProvider, elliptic, providing, with_secret
from tests.servers import free_port

HOME = "http://127.0.0.1:8000/app/provider/callback"
VERIFIER = "v" * 64


@pytest.fixture
def lab() -> Iterator[LoopbackProvider]:
    with providing() as server:
        yield server


@pytest.fixture
def provider(lab: LoopbackProvider) -> Provider:
    return Provider(lab.settings, HOME)


async def signed_in(lab: LoopbackProvider, provider: Provider, **changes: Any) -> Any:
    """The identity of who goes there and comes back."""
    brought = lab.visited(await provider.address("state", "nonce", VERIFIER))
    values = {"nonce": "nonce", "verifier": VERIFIER, "issuer": None, "now": time.time(), "code": brought["code"]}
    return await provider.identity(**{**values, **changes})


async def test_there_and_back(lab: LoopbackProvider, provider: Provider) -> None:
    """A code is traded for who has signed in; what the provider publishes is asked for once."""
    first = await signed_in(lab, provider)
    second = await signed_in(lab, provider)

    assert first == second == (lab.issuer, "ada-at-the-lab", "ada@example.org")
    assert lab.asked == ["/.well-known/openid-configuration", "/keys"]


@pytest.mark.parametrize("verified", [False, None, "true", 1])
async def test_an_address_that_nobody_vouches_for(lab: LoopbackProvider, provider: Provider, verified: Any) -> None:
    """An e-mail address counts only where the provider says, as true and nothing else, that it is theirs."""
    lab.user["email_verified"] = verified

    assert (await signed_in(lab, provider)).email is None


async def test_userinfo(lab: LoopbackProvider, provider: Provider) -> None:
    """A provider that keeps the address for its other endpoint is asked there, and must speak of the same person."""
    lab.userinfo = {"sub": "ada-at-the-lab", "email": "ada@example.org", "email_verified": True}
    lab.user = {"sub": "ada-at-the-lab"}
    assert (await signed_in(lab, provider)).email == "ada@example.org"

    lab.userinfo["sub"] = "somebody-else"
    with pytest.raises(NotDelivered) as refused:
        await signed_in(lab, provider)

    assert refused.value.final


LIES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "another issuer": lambda claims: {**claims, "iss": "https://evil.example"},
    "no issuer": lambda claims: without(claims, "iss"),
    "another audience": lambda claims: {**claims, "aud": "somebody-else"},
    "no audience": lambda claims: without(claims, "aud"),
    "several audiences and no party": lambda claims: {**claims, "aud": [CLIENT_ID, "somebody-else"]},
    "another party": lambda claims: {**claims, "azp": "somebody-else"},
    "another nonce": lambda claims: {**claims, "nonce": "replayed"},
    "no nonce": lambda claims: without(claims, "nonce"),
    "expired": lambda claims: {**claims, "exp": int(time.time()) - 120},
    "no end": lambda claims: without(claims, "exp"),
    "an end that is no number": lambda claims: {**claims, "exp": "tomorrow"},
    "of the future": lambda claims: {**claims, "iat": int(time.time()) + 3_600},
    "not yet": lambda claims: {**claims, "nbf": int(time.time()) + 3_600},
    "no subject": lambda claims: without(claims, "sub"),
    "a subject that is no text": lambda claims: {**claims, "sub": 7},
    "an endless subject": lambda claims: {**claims, "sub": "x" * 256},
    "of another access token": lambda claims: {**claims, "at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
}


def without(claims: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in claims.items() if key != name}


@pytest.mark.parametrize("lie", LIES)
async def test_claims_are_judged(lab: LoopbackProvider, provider: Provider, lie: str) -> None:
    """Rightly signed, a token that is not about this sign-in here is refused for good."""
    lab.claims = LIES[lie]

    with pytest.raises(NotDelivered) as refused:
        await signed_in(lab, provider)

    assert refused.value.final


def unsigned(claims: dict[str, Any]) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), ""])


FORGERIES: dict[str, Callable[[LoopbackProvider, dict[str, Any]], str]] = {
    "unsigned": lambda lab, claims: unsigned(claims),
    "a key of one's own": lambda lab, claims: lab.signed(claims, key=elliptic(), alg="ES256"),
    "the client's secret": lambda lab, claims: with_secret(CLIENT_SECRET.encode(), claims),
    "the public key as a secret": lambda lab, claims: with_secret(lab.key.as_pem(False), claims),
    "no token": lambda lab, claims: "x.y.z",
    "an edited one": lambda lab, claims: lab.signed(claims)[:-6] + "AAAAAA",
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_signatures_are_judged(lab: LoopbackProvider, provider: Provider, forgery: str) -> None:
    """Only the provider's published private keys sign for it, by algorithms with such keys."""
    lab.sign = lambda claims: FORGERIES[forgery](lab, claims)

    with pytest.raises(NotDelivered) as refused:
        await signed_in(lab, provider)

    assert refused.value.final


async def test_a_new_key(lab: LoopbackProvider, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that changes its key is asked for it again, but not for each forged token."""
    await signed_in(lab, provider)
    lab.key = elliptic()
    lab.published = [lab.key]
    lab.sign = lambda claims: lab.signed(claims, alg="ES256")
    with pytest.raises(NotDelivered):
        await signed_in(lab, provider)
    assert lab.asked.count("/keys") == 1

    monkeypatch.setattr("qstore_appliance.deliveries.provider.RENEW_SECONDS", 0.0)

    assert await signed_in(lab, provider)
    assert lab.asked.count("/keys") == 2


async def test_codes(lab: LoopbackProvider, provider: Provider) -> None:
    """A code that was used, invented, or begun with another verifier is refused for good."""
    brought = lab.visited(await provider.address("state", "nonce", VERIFIER))
    await signed_in(lab, provider, code=brought["code"])

    for changes in ({"code": brought["code"]}, {"code": "invented"}, {"verifier": "w" * 64}):
        with pytest.raises(NotDelivered) as refused:
            await signed_in(lab, provider, **changes)
        assert refused.value.final


async def test_another_provider_answers(lab: LoopbackProvider, provider: Provider) -> None:
    """A browser that comes back from somebody else brings nothing (RFC 9207)."""
    assert await signed_in(lab, provider, issuer=lab.issuer)
    with pytest.raises(NotDelivered):
        await signed_in(lab, provider, issuer="https://evil.example")

    lab.metadata = lambda metadata: metadata | {"authorization_response_iss_parameter_supported": True}
    with pytest.raises(NotDelivered):
        await signed_in(lab, Provider(lab.settings, HOME), issuer=None)


@pytest.mark.parametrize("answer", [{}, {"id_token": 7}, {"access_token": "opaque", "token_type": "Bearer"}])
async def test_answers_without_a_token(lab: LoopbackProvider, provider: Provider, answer: dict[str, Any]) -> None:
    """An answer without an ID token says nothing of anybody."""
    lab.answer = lambda _: answer

    with pytest.raises(NotDelivered) as refused:
        await signed_in(lab, provider)

    assert refused.value.final


@pytest.mark.parametrize(
    "changes", [{"issuer": "https://evil.example"}, {"issuer": None}, {"token_endpoint": 5}, {"jwks_uri": None}]
)
async def test_descriptions(lab: LoopbackProvider, changes: dict[str, Any]) -> None:
    """A provider that describes itself as another one, or not at all, is not used."""
    lab.metadata = lambda metadata: metadata | changes

    with pytest.raises(NotDelivered):
        await Provider(lab.settings, HOME).address("state", "nonce", VERIFIER)


async def test_nobody_there(lab: LoopbackProvider) -> None:
    """A provider that is away may be there later."""
    away = dataclasses.replace(lab.settings, issuer=f"http://127.0.0.1:{free_port()}")

    with pytest.raises(NotDelivered) as refused:
        await Provider(away, HOME).address("state", "nonce", VERIFIER)

    assert not refused.value.final
