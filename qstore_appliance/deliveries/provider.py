"""
The OpenID Connect provider of the lab: where browsers are sent to sign in, and what their code is traded for.

Authorization code with PKCE, and nothing else. What the provider says is believed only as far as its signature, issuer,
audience and nonce carry (OpenID Connect Core §3.1.3.7, RFC 9700).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Any, NamedTuple

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from qstore_appliance.deliveries import NotDelivered
from qstore_appliance.settings import Oidc

SCOPE = "openid email profile"
#: Signatures of a private key alone: none with a shared secret, which the browser's way may leak.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
ANSWER_SECONDS = 10.0
#: What the provider publishes about itself is asked for again after so long.
KEEP_SECONDS = 3_600.0
#: Unknown keys make us ask again, but no more often than this.
RENEW_SECONDS = 10.0
LEEWAY_SECONDS = 60
_MAX_BYTES = 1_000_000


class Identity(NamedTuple):
    """Who somebody is there. `email` is None unless the provider says that it is theirs."""

    issuer: str
    subject: str
    email: str | None


class Provider:
    """
    Args:
        redirect_uri: Where the provider sends browsers back to.
    """

    def __init__(self, settings: Oidc, redirect_uri: str) -> None:
        self._settings = settings
        self._redirect_uri = redirect_uri
        self._metadata: dict[str, Any] = {}
        self._keys: KeySet | None = None
        self._asked = 0.0
        self._keys_asked = 0.0
        self._alone = asyncio.Lock()

    async def address(self, state: str, nonce: str, verifier: str) -> str:
        """
        Where to send a browser.

        Raises:
            NotDelivered: The provider does not answer, or not as one.
        """
        metadata = await self._described()
        async with self._client(metadata) as client:
            address, _ = client.create_authorization_url(
                metadata["authorization_endpoint"], state=state, nonce=nonce, code_verifier=verifier
            )
        return str(address)

    async def identity(self, code: str, nonce: str, verifier: str, issuer: str | None, now: float) -> Identity:
        """
        Trade a code for who has signed in.

        Args:
            issuer: What the browser came back with (RFC 9207), if anything.
            now: Seconds since 1970.

        Raises:
            NotDelivered: The provider does not answer; final where it refuses, or says what cannot be believed.
        """
        metadata = await self._described()
        promised = metadata.get("authorization_response_iss_parameter_supported") is True
        if issuer != metadata["issuer"] and (issuer is not None or promised):
            raise NotDelivered("The answer is not from this provider.", final=True)
        async with self._client(metadata) as client:
            try:
                tokens = await client.fetch_token(
                    metadata["token_endpoint"], grant_type="authorization_code", code=code, code_verifier=verifier
                )
            except httpx2.HTTPError as error:
                raise NotDelivered("The provider does not answer.") from error
            except (AuthlibBaseError, ValueError, TypeError, KeyError) as error:
                raise NotDelivered("The provider refuses the code.", final=True) from error
            claims = await self._believed(tokens, nonce, now)
            if "email" not in claims and metadata.get("userinfo_endpoint"):
                told = await self._get(client, metadata["userinfo_endpoint"])
                if told.get("sub") != claims["sub"]:
                    raise NotDelivered("The provider tells of somebody else.", final=True)
                claims |= {name: told[name] for name in ("email", "email_verified") if name in told}
        email = claims.get("email")
        sure = isinstance(email, str) and email.isprintable() and claims.get("email_verified") is True
        return Identity(metadata["issuer"], claims["sub"], email if sure else None)

    async def _believed(self, tokens: Any, nonce: str, now: float) -> dict[str, Any]:
        """The claims of an ID token, once everything about it holds."""
        written = tokens.get("id_token") if isinstance(tokens, dict) else None
        if not isinstance(written, str):
            raise NotDelivered("The provider sent no ID token.", final=True)
        token = await self._verified(written)
        options = {
            "iss": {"essential": True, "value": self._metadata["issuer"]},
            "aud": {"essential": True, "value": self._settings.client_id},
            "sub": {"essential": True},
            "nonce": {"essential": True, "value": nonce},
        }
        params = {"nonce": nonce, "client_id": self._settings.client_id, "access_token": tokens.get("access_token")}
        claims = CodeIDToken(token.claims, token.header, options, params)
        try:
            claims.validate(now=int(now), leeway=LEEWAY_SECONDS)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise NotDelivered("The provider's ID token does not hold.", final=True) from error
        subject = token.claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
            raise NotDelivered("The provider's ID token does not hold.", final=True)
        return dict(token.claims)

    async def _verified(self, written: str) -> Any:
        for again in (False, True):
            keys = await self._published_keys(again)
            try:
                return jwt.decode(written, keys, algorithms=ALGORITHMS)
            except (JoseError, ValueError, TypeError, KeyError) as error:
                # The key may be newer than ours: once more with the keys of now.
                if again:
                    raise NotDelivered("The provider's ID token is not signed by it.", final=True) from error
        raise AssertionError

    async def _described(self) -> dict[str, Any]:
        async with self._alone:
            if self._metadata and time.monotonic() - self._asked < KEEP_SECONDS:
                return self._metadata
            issuer = self._settings.issuer
            async with self._http() as client:
                found = await self._get(client, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            wanted = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
            if not all(isinstance(found.get(name), str) for name in wanted):
                raise NotDelivered("The provider does not describe itself as OpenID Connect Discovery says.")
            # Another issuer than the one we asked could speak for any of its users (Discovery §4.3).
            if found["issuer"] != issuer:
                raise NotDelivered(f"The provider calls itself {found['issuer'][:200]!r}; write that as oidc.issuer.")
            self._metadata, self._asked, self._keys = found, time.monotonic(), None
            return found

    async def _published_keys(self, again: bool) -> KeySet:
        async with self._alone:
            fresh = time.monotonic() - self._keys_asked < (RENEW_SECONDS if again else KEEP_SECONDS)
            if self._keys is None or not fresh:
                async with self._http() as client:
                    found = await self._get(client, self._metadata["jwks_uri"])
                try:
                    self._keys = KeySet.import_key_set(found)  # type: ignore[arg-type]
                except (JoseError, ValueError, TypeError, KeyError) as error:
                    raise NotDelivered("The provider's keys cannot be read.") from error
                self._keys_asked = time.monotonic()
            return self._keys

    def _client(self, metadata: dict[str, Any]) -> AsyncOAuth2Client:
        offered = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        method = "client_secret_basic" if "client_secret_basic" in offered else "client_secret_post"
        return AsyncOAuth2Client(
            client_id=self._settings.client_id,
            client_secret=self._settings.client_secret or None,
            token_endpoint_auth_method=method if self._settings.client_secret else "none",
            redirect_uri=self._redirect_uri,
            scope=SCOPE,
            code_challenge_method="S256",
            **self._transport(),
        )

    def _http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(**self._transport())

    def _transport(self) -> dict[str, Any]:
        return {
            "timeout": ANSWER_SECONDS,
            "trust_env": False,
            "follow_redirects": False,
            "verify": ssl.create_default_context(cafile=self._settings.authority or None),
        }

    async def _get(self, client: Any, address: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await client.get(address)
            answer.raise_for_status()
            if len(answer.content) > _MAX_BYTES:
                raise ValueError
            found = answer.json()
        except (httpx2.HTTPError, TimeoutError, httpx2.InvalidURL) as error:
            raise NotDelivered("The provider does not answer.") from error
        except ValueError as error:
            raise NotDelivered("The provider's answer cannot be read.") from error
        if not isinstance(found, dict):
            raise NotDelivered("The provider's answer cannot be read.")
        return found
