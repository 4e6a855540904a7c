"""
OpenID Connect providers on loopback: one that can be told to lie.

It speaks the whole of the code flow with PKCE; what its ID token says, and how it is signed, a test may change.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from qstore_appliance.settings import Oidc

CLIENT_ID, CLIENT_SECRET = "qstore", "not a secret at all"

#: Turns an honest answer into another: claims of an ID token, an answer of the token endpoint.
Lie = Callable[[dict[str, Any]], dict[str, Any]]


class LoopbackProvider(ThreadingHTTPServer):
    """
    Attributes:
        user: Who signs in next: the claims of their ID token.
        claims, answer, metadata: Lies.
        sign: Makes a token of claims; the honest one signs with the published key.
        userinfo: What that endpoint tells, if anything.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.published = [self.key]
        self.user: dict[str, Any] = {"sub": "ada-at-the-lab", "email": "ada@example.org", "email_verified": True}
        self.userinfo: dict[str, Any] | None = None
        self.claims: Lie = lambda claims: claims
        self.answer: Lie = lambda answer: answer
        self.metadata: Lie = lambda metadata: metadata
        self.sign: Callable[[dict[str, Any]], str] = self.signed
        self.asked: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def settings(self) -> Oidc:
        return Oidc(issuer=self.issuer, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, name="the lab")

    def signed(self, claims: dict[str, Any], *, alg: str = "RS256", key: Any = None, **header: Any) -> str:
        key = key or self.key
        return jwt.encode({"alg": alg, "kid": key.kid, **header}, claims, key, algorithms=[alg])

    def visited(self, address: str) -> dict[str, str]:
        """What a browser comes back with whose user signs in at the address that it was sent to."""
        parts = urlsplit(address)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self.issuer}/authorize"
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT_ID)
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{len(self._codes)}"
        self._codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def described(self) -> dict[str, Any]:
        return self.metadata({
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
        })  # fmt: skip

    def traded(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """The answer to a code; None where code, verifier, address or client is wrong. A code works once."""
        asked = self._codes.pop(form.get("code", ""), None)
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            asked is None
            or authorization != f"Basic {basic}"
            or challenge.decode().rstrip("=") != asked["code_challenge"]
            or form.get("redirect_uri") != asked["redirect_uri"]
        ):
            return None
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        token = self.sign(self.claims(claims | self.user))
        return self.answer({"access_token": "opaque", "token_type": "Bearer", "expires_in": 300, "id_token": token})


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackProvider

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        match self.path:
            case "/.well-known/openid-configuration":
                self._answer(200, self.server.described())
            case "/keys":
                keys = [key.as_dict(private=False) for key in self.server.published]
                self._answer(200, {"keys": keys})
            case "/userinfo" if self.server.userinfo is not None:
                assert self.headers["Authorization"] == "Bearer opaque"
                self._answer(200, self.server.userinfo)
            case _:
                self._answer(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        answer = self.server.traded(form, self.headers.get("Authorization", ""))
        self._answer(400, {"error": "invalid_grant"}) if answer is None else self._answer(200, answer)

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def providing() -> Iterator[LoopbackProvider]:
    server = LoopbackProvider()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def elliptic() -> ECKey:
    return ECKey.generate_key("P-256", {"kid": "two"})


def with_secret(secret: bytes, claims: dict[str, Any]) -> str:
    """HS256 by hand: the library refuses to take a public key for a secret."""
    head = {"alg": "HS256", "typ": "JWT", "kid": "one"}
    body = ".".join(_base64(json.dumps(part).encode()) for part in (head, claims))
    return f"{body}.{_base64(hmac.digest(secret, body.encode(), 'sha256'))}"


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
