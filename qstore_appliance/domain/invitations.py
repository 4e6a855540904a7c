"""Invitations: a link that makes one person a member, once."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated

import msgspec
from pydantic import StringConstraints

from qstore_appliance.domain.accounts import Email, Name
from qstore_appliance.domain.drafts import Draft
from qstore_appliance.domain.roles import RoleName
from qstore_appliance.domain.sessions import Code

Token = Annotated[str, StringConstraints(max_length=200)]


class InvitationStatus(enum.StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    #: Taken back, or replaced by a newer one for the same address.
    REVOKED = "revoked"
    EXPIRED = "expired"


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """
    Attributes:
        invited_by: The user's id.
        link: Only in the answer that creates it.
        mailed: Whether the link was also mailed to them.
    """

    id: str
    email: str
    role: str
    status: InvitationStatus
    invited_by: str
    mailed: bool
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    link: str | None = None


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What whoever has the link is told before they accept."""

    organization: str
    email: str
    role: str
    expires_at: datetime


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """`user_id` is a member of that organization from now on."""

    user_id: str
    email: str
    organization_id: str
    organization: str
    role: str


class InvitationDraft(Draft):
    email: Email
    role: RoleName


class LinkDraft(Draft):
    """`token`: what stands behind the `#` of the link."""

    token: Token


class AcceptDraft(Draft):
    """
    `password`: the new account's, or of the account that the address has already, with its `code` where it has a second
    factor.
    """

    token: Token
    password: Annotated[str, StringConstraints(max_length=256)]
    name: Name | None = None
    code: Code | None = None
