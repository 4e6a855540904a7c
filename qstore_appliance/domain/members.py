"""Members: the people of an organization. What somebody may do there is their membership's; a person may have several."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from qstore_appliance.domain.accounts import SCOPES, Role, allows
from qstore_appliance.domain.drafts import Draft

#: As it comes in.
RoleName = Literal["viewer", "developer", "admin", "owner"]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """
    Somebody of an organization, as the others of it see them.

    Attributes:
        disabled: Kept out of this organization, or of the whole installation.
        last_active: Here; what they do in other organizations is nobody's business.
        created_at: When they came to this organization.
    """

    id: str
    email: str
    name: str
    role: Role
    disabled: bool
    last_active: datetime | None
    created_at: datetime


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A user as the host sees them: once for each organization, and once where they are in none (any more)."""

    id: str
    email: str
    name: str
    operator: bool
    disabled: bool
    created_at: datetime
    organization_id: str | None
    role: Role | None


class MemberPatch(Draft):
    """None is "not sent"."""

    role: RoleName | None = None
    disabled: bool | None = None


class TransferDraft(Draft):
    """`user_id`: of the member who is to own the organization."""

    user_id: str


def covers(scopes: frozenset[str], role: Role) -> bool:
    """Whether somebody with these scopes has all that a role has: only then may they give it, or change who has it."""
    return all(allows(scopes, scope) for scope in SCOPES[role])
