"""A02 to A06: tokens that were forged, bent, borrowed or put in the wrong place."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import pytest

from tests.attacks.conftest import Fortress


@dataclass(frozen=True)
class Forger:
    """Has everything a forger could want: a living token, and even the installation's secret."""

    token: str
    secret: bytes

    @property
    def claims(self) -> dict[str, Any]:
        return dict(jwt.decode(self.token, options={"verify_signature": False}))

    def signed(self, header: dict[str, Any] | None = None, claims: dict[str, Any] | None = None, **more: Any) -> str:
        """A token over any header and claims, with a signature that is right for HS256."""
        payload = {**(self.claims if claims is None else claims), **more}
        payload = {name: value for name, value in payload.items() if value is not ...}
        return self.raw(json.dumps({"alg": "HS256", "typ": "JWT"} | (header or {})), json.dumps(payload))

    def raw(self, header: str, payload: str, secret: bytes | None = None, name: str = "sha256") -> str:
        body = f"{b64(header.encode())}.{b64(payload.encode())}"
        mac = hmac.new(self.secret if secret is None else secret, body.encode(), getattr(hashlib, name)).digest()
        return f"{body}.{b64(mac)}"

    def unsigned(self, algorithm: str) -> str:
        header = json.dumps({"alg": algorithm, "typ": "JWT"})
        return f"{b64(header.encode())}.{b64(json.dumps(self.claims).encode())}."


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def forger(fortress: Fortress) -> Forger:
    return Forger(fortress.tokens["owner"], (fortress.server.data_dir / "secret.key").read_bytes())


def edited(token: str, place: int, change: Callable[[str], str]) -> str:
    parts = token.split(".")
    parts[place] = change(parts[place])
    return ".".join(parts)


Forge = Callable[[Forger], str]

ALGORITHMS: dict[str, Forge] = {
    "none": lambda f: f.unsigned("none"),
    "None": lambda f: f.unsigned("None"),
    "nOnE": lambda f: f.unsigned("nOnE"),
    "no alg": lambda f: f.raw(json.dumps({"typ": "JWT"}), json.dumps(f.claims)),
    "alg null": lambda f: f.signed({"alg": None}),
    "alg a number": lambda f: f.signed({"alg": 256}),
    "alg a list": lambda f: f.signed({"alg": ["HS256"]}),
    "HS384": lambda f: f.raw('{"alg":"HS384"}', json.dumps(f.claims), name="sha384"),
    "HS512": lambda f: f.raw('{"alg":"HS512"}', json.dumps(f.claims), name="sha512"),
    "RS256 named": lambda f: f.signed({"alg": "RS256"}),
    "ES256 named": lambda f: f.signed({"alg": "ES256"}),
    "EdDSA named": lambda f: f.signed({"alg": "EdDSA"}),
    "empty signature": lambda f: edited(f.token, 2, lambda _: ""),
    "signature of zeros": lambda f: edited(f.token, 2, lambda s: "A" * len(s)),
    "signed with an empty key": lambda f: f.raw('{"alg":"HS256"}', json.dumps(f.claims), secret=b""),
    "signed with the secret's text": lambda f: f.raw(
        '{"alg":"HS256"}', json.dumps(f.claims), secret=b64(f.secret).encode()
    ),
    "unknown crit": lambda f: f.signed({"crit": ["exp2"], "exp2": 1}),
    "crit empty": lambda f: f.signed({"crit": []}),
    "b64 false": lambda f: f.signed({"b64": False, "crit": ["b64"]}),
    "JWE": lambda f: ".".join([b64(b'{"alg":"dir","enc":"A256GCM"}'), "", b64(b"iv"), b64(b"text"), b64(b"tag")]),
    "header a list": lambda f: f.raw("[]", json.dumps(f.claims)),
    "header a bomb": lambda f: f.raw("[" * 500, json.dumps(f.claims)),
}

HEADERS: dict[str, Forge] = {
    "jku alone": lambda f: f.raw('{"alg":"RS256","jku":"http://127.0.0.1:9/keys"}', json.dumps(f.claims)),
    "x5u alone": lambda f: f.raw('{"alg":"RS256","x5u":"http://127.0.0.1:9/chain"}', json.dumps(f.claims)),
    "embedded jwk": lambda f: f.raw(
        json.dumps({"alg": "HS256", "jwk": {"kty": "oct", "k": b64(b"mine")}}), json.dumps(f.claims), secret=b"mine"
    ),
    "kid a path": lambda f: f.raw('{"alg":"HS256","kid":"../../dev/null"}', json.dumps(f.claims), secret=b""),
    "kid SQL": lambda f: f.raw('{"alg":"HS256","kid":"x\' UNION SELECT \'k"}', json.dumps(f.claims), secret=b"k"),
    "kid an address": lambda f: f.raw('{"alg":"HS256","kid":"http://127.0.0.1:9/"}', json.dumps(f.claims), secret=b"k"),
    "kid of 3 KB": lambda f: f.raw(json.dumps({"alg": "HS256", "kid": "x" * 3_000}), json.dumps(f.claims)),
}

MINUTE = 60
CLAIMS: dict[str, Forge] = {
    "expired": lambda f: f.signed(exp=int(time.time()) - 5 * MINUTE),
    "exp missing": lambda f: f.signed(exp=...),
    "exp 1e400": lambda f: f.raw('{"alg":"HS256"}', json.dumps({**f.claims, "exp": "@"}).replace('"@"', "1e400")),
    "exp NaN": lambda f: f.raw('{"alg":"HS256"}', json.dumps({**f.claims, "exp": "@"}).replace('"@"', "NaN")),
    "exp text": lambda f: f.signed(exp="1"),
    "exp future text": lambda f: f.signed(exp=str(int(time.time()) + MINUTE)),
    "exp a float": lambda f: f.signed(exp=time.time() + MINUTE),
    "exp true": lambda f: f.signed(exp=True),
    "exp null": lambda f: f.signed(exp=None),
    "nbf ahead": lambda f: f.signed(nbf=int(time.time()) + 10 * MINUTE),
    "nbf text": lambda f: f.signed(nbf="0"),
    "iat ahead": lambda f: f.signed(iat=int(time.time()) + 10 * MINUTE),
    "iat missing": lambda f: f.signed(iat=...),
    "jti missing": lambda f: f.signed(jti=...),
    "sid missing": lambda f: f.signed(sid=...),
    "sid of nobody": lambda f: f.signed(sid="session_00000000000000000000000000"),
    "sub missing": lambda f: f.signed(sub=...),
    "sub a number": lambda f: f.signed(sub=1),
    "sub a list": lambda f: f.signed(sub=["user_1"]),
    "sub of nobody": lambda f: f.signed(sub="user_00000000000000000000000000"),
    "payload a list": lambda f: f.raw('{"alg":"HS256"}', "[]"),
    "payload text": lambda f: f.raw('{"alg":"HS256"}', '"owner"'),
    "payload broken": lambda f: f.raw('{"alg":"HS256"}', "{"),
    "key twice": lambda f: f.raw(
        '{"alg":"HS256"}', json.dumps(f.claims)[:-1] + ', "sub": "user_00000000000000000000000000"}'
    ),
}

PURPOSES: dict[str, Forge] = {
    "iss of another": lambda f: f.signed(iss="another"),
    "iss missing": lambda f: f.signed(iss=...),
    "iss a list": lambda f: f.signed(iss=["qstore-appliance"]),
    "aud of another": lambda f: f.signed(aud="another"),
    "aud missing": lambda f: f.signed(aud=...),
    "aud empty": lambda f: f.signed(aud=[]),
    "typ refresh": lambda f: f.signed(typ="refresh"),
    "typ missing": lambda f: f.signed(typ=...),
    "typ ticket": lambda f: f.signed(typ="ticket"),
    "typ in the header only": lambda f: f.signed({"typ": "access"}, typ=...),
    "another installation": lambda f: f.raw('{"alg":"HS256"}', json.dumps(f.claims), secret=b"\x01" * 32),
}

DAMAGES: dict[str, Forge] = {
    "truncated": lambda f: f.token[:-10],
    "without its end": lambda f: f.token.rpartition(".")[0],
    "doubled": lambda f: f"{f.token}.{f.token}",
    "another payload": lambda f: edited(
        f.token, 1, lambda _: b64(json.dumps({**f.claims, "role": "owner", "scopes": ["*"]}).encode())
    ),
    "another header": lambda f: edited(f.token, 0, lambda _: b64(b'{"alg":"HS256"}')),
    "a letter changed": lambda f: edited(f.token, 2, lambda s: ("A" if s[0] != "A" else "B") + s[1:]),
    "padded": lambda f: edited(f.token, 2, lambda s: s + "=="),
    "the list of passwords": lambda f: f.raw('{"alg":"HS256"}', json.dumps(f.claims), secret=b"secret"),
    "5 KB": lambda f: f.signed(more="x" * 5_000),
}

ROWS = [
    pytest.param(forge, id=f"{family} {name}", marks=pytest.mark.attack(family))
    for family, table in {"A02": ALGORITHMS, "A03": HEADERS, "A04": CLAIMS, "A05": PURPOSES, "A06": DAMAGES}.items()
    for name, forge in table.items()
]


@pytest.mark.parametrize("forge", ROWS)
def test_forged_tokens(anonymous: httpx.Client, forger: Forger, forge: Forge) -> None:
    """None of them is a credential: 401, also where its signature is right."""
    token = forge(forger)
    assert token != forger.token

    answer = anonymous.get("/v1/users/me", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 401
    assert token not in answer.text


def test_the_forgers_tools_work(anonymous: httpx.Client, forger: Forger) -> None:
    """A token that is right in everything is taken, so that the refusals above are about what is wrong in them."""
    for token in (forger.token, forger.signed(), forger.signed(more="x")):
        assert anonymous.get("/v1/users/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.attack("A05")
@pytest.mark.parametrize("place", ["access as refresh", "refresh as access", "refresh as cookie", "refresh as key"])
def test_a_token_is_good_for_one_purpose(anonymous: httpx.Client, fortress: Fortress, place: str) -> None:
    """An access token refreshes nothing, and a refresh token opens nothing."""
    grant = {"grant_type": "password", "email": "admin@example.org", "password": "correct horse battery"}
    refresh = anonymous.post("/v1/auth/token", json=grant).json()["data"]["refresh_token"]
    if place == "access as refresh":
        wish = {"grant_type": "refresh_token", "refresh_token": fortress.tokens["viewer"]}
        answer = anonymous.post("/v1/auth/token", json=wish)
    else:
        headers = {
            "refresh as access": {"Authorization": f"Bearer {refresh}"},
            "refresh as cookie": {"Cookie": f"__Host-qstore={refresh}"},
            "refresh as key": {"X-API-Key": refresh[:200]},
        }[place]
        answer = anonymous.get("/v1/users/me", headers=headers)

    assert answer.status_code == 401


@pytest.mark.attack("A06")
@pytest.mark.parametrize("name", ["token", "access_token", "api_key", "apikey", "key", "authorization", "jwt", "auth"])
def test_nothing_in_an_address_is_a_credential(anonymous: httpx.Client, fortress: Fortress, name: str) -> None:
    """Addresses end up in logs and histories."""
    answer = anonymous.get("/v1/users/me", params={name: fortress.tokens["owner"]})

    assert answer.status_code == 401


@pytest.mark.attack("A06")
@pytest.mark.parametrize("second", ["the same", "another", "a key"])
def test_two_credentials_are_none(anonymous: httpx.Client, fortress: Fortress, second: str) -> None:
    """Which of two a proxy believed is not for us to guess."""
    first = ("Authorization", f"Bearer {fortress.tokens['owner']}")
    more = {"the same": first, "another": ("Authorization", f"Bearer {fortress.tokens['stranger']}")}
    headers = [first, more.get(second, ("X-API-Key", "a"))]
    if second == "a key":
        headers += [("X-API-Key", "b")]

    assert anonymous.get("/v1/users/me", headers=headers).status_code == 401
