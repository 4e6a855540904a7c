"""Members: the people of an organization. What somebody may do there is their membership's; a person may have several."""

from __future__ import annotations

from datetime import datetime

import msgspec

from qstore_appliance.domain.drafts import Draft
from qstore_appliance.domain.roles import RoleName


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
    role: str
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
    role: str | None


class MemberPatch(Draft):
    """None is "not sent"."""

    role: RoleName | None = None
    disabled: bool | None = None


class TransferDraft(Draft):
    """`user_id`: of the member who is to own the organization."""

    user_id: str
