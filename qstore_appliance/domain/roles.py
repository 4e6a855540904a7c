"""
Roles: the four that every organization has, and those that it makes for itself out of single permissions.

A role of an organization's own has a name and a set of permissions; it inherits nothing. Ownership is no permission that
can be put into one: an organization is given away and deleted by its owners, who have the role of that name.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import Annotated

import msgspec
from pydantic import Field, StringConstraints

from qstore_appliance.domain.accounts import SCOPES, Role, allows
from qstore_appliance.domain.drafts import Draft

#: Resource → action → what it is for. Every permission that is asked for anywhere, but for those of owners alone.
PERMISSIONS: dict[str, dict[str, str]] = {
    "circuits": {
        "read": "See circuits",
        "write": "Store circuits, change and delete one's own",
        "delete": "Delete those of others",
    },
    "datasets": {
        "read": "See data sets",
        "write": "Upload data, delete one's own",
        "delete": "Delete those of others",
    },
    "states": {"read": "Search states", "write": "Store states"},
    "jobs": {
        "read": "See jobs and their logs",
        "submit": "Train, run circuits",
        "cancel": "Stop and pause one's own jobs",
    },
    "models": {
        "read": "See models and deployments",
        "write": "Change and import models, delete one's own",
        "delete": "Delete those of others",
        "deploy": "Deploy models",
        "retire": "Take models out of service",
        "predict": "Ask deployed models",
    },
    "backends": {"read": "See backends"},
    "usage": {"read": "See what was used"},
    "budget": {"read": "See the budget"},
    "billing": {"write": "Set the budget and its alerts"},
    "api-keys": {"own": "Have API keys"},
    "users": {
        "read": "See people, invitations and roles",
        "write": "Give roles, keep people out, make roles",
        "invite": "Invite people",
        "delete": "Remove people and roles",
    },
    "sessions": {"read": "See where others are signed in", "write": "Sign others out"},
    "settings": {"read": "See the outbox and the webhooks' secret", "write": "Send messages again, renew that secret"},
    "audit": {"read": "Read the audit log"},
    "organization": {"write": "Change the organization's name and settings"},
}

#: Resource → what all of it is for, where somebody has that: mostly what others have made, too.
WHOLE: dict[str, str] = {
    "circuits": "Everything about circuits, those of others included",
    "datasets": "Everything about data sets, those of others included",
    "states": "Everything about states",
    "jobs": "Everything about jobs, those of others included",
    "models": "Everything about models, those of others included",
    "api-keys": "Have API keys, see and revoke those of others",
    "users": "Everything about people and roles",
    "sessions": "Everything about the sessions of others",
    "billing": "Everything about money",
    "settings": "Everything about settings",
}

#: Every pattern that a role may be made of.
PATTERNS = frozenset(
    {
        *(f"{resource}:{action}" for resource, actions in PERMISSIONS.items() for action in actions),
        *(f"{resource}:*" for resource in WHOLE),
    }
)
#: That an organization may have beside the four.
MAX_ROLES = 50
#: Lower-case, so that no two look alike and each can stand in an address.
_NAME = re.compile(r"[a-z][a-z0-9-]{1,39}")
Slug = Annotated[str, StringConstraints(min_length=2, max_length=40, pattern=r"^[a-z][a-z0-9-]*$")]
#: As it comes in: one of the four, or one of the organization's own. Whether there is such a role its service says.
RoleName = Annotated[str, StringConstraints(min_length=1, max_length=40)]
Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=255)]
Pattern = Annotated[str, StringConstraints(max_length=64)]


class OrganizationRole(msgspec.Struct, frozen=True, kw_only=True):
    """
    A role as one organization has it.

    Attributes:
        permissions: Patterns, `resource:action` or `resource:*`, in alphabetical order.
        built_in: One of the four, which are the same everywhere and cannot be changed.
        members: Who has it, those who are kept out included.
        created_at: None where it is built in, as is `updated_at`.
    """

    name: str
    description: str
    permissions: list[str]
    built_in: bool
    members: int
    created_at: datetime | None
    updated_at: datetime | None


class RoleDraft(Draft):
    name: Slug
    description: Description = ""
    permissions: list[Pattern] = Field(min_length=1, max_length=100)


class RolePatch(Draft):
    """None is "not sent"; `permissions` replaces all that it had."""

    description: Description | None = None
    permissions: list[Pattern] | None = Field(default=None, min_length=1, max_length=100)


#: What the four are, in a sentence.
BUILT_IN: dict[Role, str] = {
    Role.VIEWER: "Sees everything and changes nothing.",
    Role.DEVELOPER: "Stores circuits and data, trains, deploys.",
    Role.ADMIN: "Also looks after people, budget and settings.",
    Role.OWNER: "Can do everything.",
}


def is_built_in(name: str) -> bool:
    return name in SCOPES


def is_name(text: str) -> bool:
    """Whether a role can have this name; nothing else is looked for."""
    return _NAME.fullmatch(text) is not None


def covers(scopes: frozenset[str], wanted: Collection[str]) -> bool:
    """Whether somebody with these scopes has all that is wanted: only then may they give it, or change who has it."""
    return all(allows(scopes, scope) for scope in wanted)
