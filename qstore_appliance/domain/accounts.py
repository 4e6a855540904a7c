"""Who asks: organizations, users, roles, scopes, API keys."""

from __future__ import annotations

import enum
import re
import unicodedata
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import AwareDatetime, Field, StringConstraints

from qstore_appliance.domain.drafts import Draft
from qstore_appliance.errors import Forbidden


class Role(enum.StrEnum):
    """From the least to the most; each has what the one before it has (specification, Roles)."""

    VIEWER = "viewer"
    DEVELOPER = "developer"
    ADMIN = "admin"
    OWNER = "owner"


_ADDED: dict[Role, tuple[str, ...]] = {
    Role.VIEWER: (
        "circuits:read", "datasets:read", "states:read", "jobs:read", "models:read", "models:predict",
        "backends:read", "usage:read", "budget:read",
    ),
    Role.DEVELOPER: (
        "circuits:write", "datasets:write", "states:write", "jobs:submit", "jobs:cancel", "models:write",
        "models:deploy", "models:retire", "api-keys:own",
    ),
    Role.ADMIN: (
        "circuits:*", "datasets:*", "states:*", "jobs:*", "models:*", "api-keys:*", "users:*", "billing:*",
        "settings:*", "sessions:*", "audit:read", "organization:write",
    ),
    Role.OWNER: ("organization:*",),
}  # fmt: skip

#: Role → every scope that it has.
SCOPES: dict[Role, frozenset[str]] = {}
_so_far: frozenset[str] = frozenset()
for _role in Role:
    _so_far = _so_far | frozenset(_ADDED[_role])
    SCOPES[_role] = _so_far


_ACTION = re.compile(r"[a-z][a-z-]{0,30}|\*")


def allows(granted: frozenset[str] | tuple[str, ...], wanted: str) -> bool:
    """Whether `resource:action` is among the granted scopes, wildcards included."""
    resource = wanted.split(":", 1)[0]
    return wanted in granted or f"{resource}:*" in granted or "*" in granted


def is_scope(text: str) -> bool:
    """Whether some role has this scope, or it is the wildcard of a resource that some role has."""
    resources = {scope.split(":", 1)[0] for scope in SCOPES[Role.OWNER]}
    resource, _, action = text.partition(":")
    if resource not in resources or not _ACTION.fullmatch(action):
        return False
    return action == "*" or allows(SCOPES[Role.OWNER], text)


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """
    Who asks, as read from the database at this request; never trusted from a token.

    `scopes` is what the caller may do now: the role's, or an API key's cut by its owner's role.
    """

    user_id: str
    organization_id: str
    email: str
    #: Its name: one of the four, or one of the organization's own.
    role: str
    scopes: frozenset[str]
    operator: bool = False
    #: One of these says how they came in; it also names their rate bucket and idempotency keys.
    session_id: str | None = None
    key_id: str | None = None
    rate_limit: int | None = None
    #: Of an API key that is for tests: it spends nothing on hardware, whatever its organization allows.
    for_tests: bool = False
    preferences: dict[str, Any] = {}

    def may(self, scope: str) -> bool:
        return allows(self.scopes, scope)

    def require(self, scope: str) -> None:
        """
        Raises:
            Forbidden: This caller lacks the scope.
        """
        if not self.may(scope):
            raise Forbidden(f"This needs the permission {scope}.", details={"permission": scope})

    @property
    def bucket(self) -> str:
        return f"key:{self.key_id}" if self.key_id else f"user:{self.user_id}"


class OrganizationSettings(msgspec.Struct, frozen=True, kw_only=True):
    max_concurrent_jobs: int = 10
    #: None: every backend that is installed, except hardware unless it is enabled.
    allowed_backends: list[str] | None = None
    enable_hardware: bool = False
    #: Bytes of data sets, models and checkpoints; None: as the installation has it.
    max_storage_bytes: int | None = None


class Allowance(OrganizationSettings, frozen=True, kw_only=True):
    """An organization's settings as they count for one caller."""

    for_tests: bool = False


class Organization(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    plan: str
    settings: OrganizationSettings
    created_at: datetime


class User(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    email: str
    name: str
    organization_id: str
    role: str
    operator: bool
    disabled: bool
    preferences: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """`key` is only there in the answer that creates it; the database keeps its SHA-256."""

    id: str
    prefix: str
    name: str
    scopes: list[str]
    environment: str
    rate_limit: int
    created_at: datetime
    expires_at: datetime | None
    last_used: datetime | None
    user_id: str
    key: str | None = None


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]
Email = Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=3, max_length=255,
                                         pattern=r"^[^@\s]+@[^@\s]+$")]  # fmt: skip
Password = Annotated[str, StringConstraints(min_length=8, max_length=256)]


def normal_password(password: str) -> str:
    """NFC, so that the same keys pressed on two systems give the same bytes (NIST SP 800-63B §5.1.1.2)."""
    return unicodedata.normalize("NFC", password)


class SetupDraft(Draft):
    """The first owner (dashboard's set-up form)."""

    token: Annotated[str, StringConstraints(max_length=100)]
    email: Email
    password: Password
    organization: Name
    name: Name | None = None


class ApiKeyDraft(Draft):
    name: Name
    scopes: list[Annotated[str, StringConstraints(max_length=64)]] = Field(min_length=1, max_length=64)
    environment: Literal["live", "test", "dev"] = "live"
    rate_limit: int | None = Field(default=None, ge=1, le=1_000_000)
    expires_at: Annotated[AwareDatetime, Field(strict=False)] | None = None


class ProfilePatch(Draft):
    """None is "not sent"."""

    name: Name | None = None
    preferences: dict[str, Any] | None = None
