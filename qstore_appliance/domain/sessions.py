"""Sessions: a sign-in that lasts, what buys one, and what is told of it."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from pydantic import StringConstraints

from qstore_appliance.domain.drafts import Draft

#: Six digits of an authenticator, or a recovery code with its dashes.
Code = Annotated[str, StringConstraints(strip_whitespace=True, min_length=6, max_length=40)]


class Kind(enum.StrEnum):
    #: Access and refresh tokens of a program.
    TOKEN = "token"
    #: The dashboard's cookie.
    COOKIE = "cookie"


class Method(enum.StrEnum):
    """How somebody proved who they are."""

    PASSWORD = "password"
    #: A password and a code of an authenticator.
    AUTHENTICATOR = "authenticator"
    #: A password and a recovery code.
    RECOVERY_CODE = "recovery_code"
    #: An OpenID Connect provider vouched for them.
    PROVIDER = "provider"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """`address` and `agent` are those of the sign-in, or of the last refresh."""

    id: str
    user_id: str
    kind: Kind
    method: Method
    address: str
    agent: str
    created_at: datetime
    last_used: datetime
    expires_at: datetime


class PasswordGrant(Draft):
    """`code`: of the second factor, where the user has one."""

    grant_type: Literal["password"]
    email: Annotated[str, StringConstraints(max_length=255)]
    password: Annotated[str, StringConstraints(max_length=256)]
    code: Code | None = None


class RefreshGrant(Draft):
    grant_type: Literal["refresh_token"]
    refresh_token: Annotated[str, StringConstraints(max_length=4096)]
