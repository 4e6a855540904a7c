"""
JSON web tokens: HS256 with this installation's secret, nothing else (RFC 8725).

Times are checked here and not by PyJWT, against the clock that everybody else uses.
"""

from __future__ import annotations

import secrets
from typing import Any, Literal, NamedTuple

import jwt

from qstore_appliance.domain.ports import Clock
from qstore_appliance.errors import ConfigurationInvalid, Unauthenticated

ISSUER = "qstore-appliance"
AUDIENCE = "qstore-api"
LEEWAY_SECONDS = 30
MAX_TOKEN_LENGTH = 4_096
MIN_SECRET_BYTES = 32

Type = Literal["access", "refresh"]
_REQUIRED = ["exp", "iat", "iss", "aud", "sub", "jti", "typ", "sid"]
_OPTIONS: Any = {"require": _REQUIRED, "verify_exp": False, "verify_iat": False, "verify_nbf": False}


class Claims(NamedTuple):
    user_id: str
    session_id: str


class TokenSigner:
    def __init__(self, secret: bytes, clock: Clock) -> None:
        if len(secret) < MIN_SECRET_BYTES:
            raise ConfigurationInvalid(f"The secret for tokens needs at least {MIN_SECRET_BYTES} bytes.")
        self._secret = secret
        self._clock = clock

    def sign(self, kind: Type, user_id: str, session_id: str, seconds: int, **told: Any) -> str:
        """
        Args:
            told: Further claims, for clients to read: nobody here trusts them.
        """
        now = int(self._clock.now().timestamp())
        claims: dict[str, Any] = {
            **told,
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user_id,
            "sid": session_id,
            "jti": secrets.token_urlsafe(16),
            "typ": kind,
            "iat": now,
            "exp": now + seconds,
        }
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def read(self, token: str, kind: Type) -> Claims:
        """
        Raises:
            Unauthenticated: Not a token of this kind, of this installation, of now.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise Unauthenticated
        try:
            claims = jwt.decode(
                token, self._secret, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER, options=_OPTIONS
            )
        except (jwt.PyJWTError, ValueError, OverflowError, RecursionError) as error:
            raise Unauthenticated from error
        now = self._clock.now().timestamp()
        expires, issued, not_before = (claims.get(name) for name in ("exp", "iat", "nbf"))
        texts = claims["sub"], claims["sid"], claims["jti"]
        living = (
            type(expires) is int
            and type(issued) is int
            and expires + LEEWAY_SECONDS > now
            and issued - LEEWAY_SECONDS <= now
            and (not_before is None or (type(not_before) is int and not_before - LEEWAY_SECONDS <= now))
        )
        if not living or claims["typ"] != kind or not all(isinstance(text, str) for text in texts):
            raise Unauthenticated
        return Claims(claims["sub"], claims["sid"])
