"""
Who asks, from rows: the one place that turns a user or a key into a `Caller`, and remembers it for at most half a second.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from qstore_appliance.database.tables.accounts import ApiKeyRow, UserRow
from qstore_appliance.database.tables.members import MembershipRow
from qstore_appliance.domain.accounts import SCOPES, Caller, Role, allows

CACHE_SECONDS = 0.5
CACHE_SIZE = 10_000


async def membership_of(user_id: str, organization_id: str) -> MembershipRow | None:
    """With its `user`; None where somebody does not belong there, or is kept out."""
    return await MembershipRow.get_or_none(
        user_id=user_id, organization_id=organization_id, disabled=False, user__disabled=False
    ).select_related("user")


async def home_of(user_id: str, preferred: str) -> MembershipRow | None:
    """Where somebody is when they sign in: in the organization that they were in last, else in the oldest of theirs."""
    rows = await MembershipRow.filter(user_id=user_id, disabled=False).order_by("created_at", "id")
    return next((row for row in rows if row.organization_id == preferred), rows[0] if rows else None)


def of_user(user: UserRow, membership: MembershipRow, *, rate_limit: int, session_id: str | None = None) -> Caller:
    role = Role(membership.role)
    return Caller(
        user_id=user.id,
        organization_id=membership.organization_id,
        email=user.email,
        role=role,
        scopes=SCOPES[role],
        operator=user.operator,
        session_id=session_id,
        rate_limit=rate_limit,
        preferences=user.preferences,
    )


def of_key(key: ApiKeyRow, membership: MembershipRow) -> Caller:
    """
    What the key's owner may do now where the key was made, cut down to its scopes. It never carries operator rights.

    Args:
        membership: With its `user`.
    """
    user, role = membership.user, Role(membership.role)
    return Caller(
        user_id=user.id,
        organization_id=membership.organization_id,
        email=user.email,
        role=role,
        scopes=cut(key.scopes, SCOPES[role]),
        key_id=key.id,
        rate_limit=key.rate_limit,
        for_tests=key.environment == "test",
        preferences=user.preferences,
    )


def cut(wanted: list[str], granted: frozenset[str]) -> frozenset[str]:
    """The part of the wanted scopes that is granted; `jobs:*` shrinks to the actions on jobs that are."""
    found: set[str] = set()
    for scope in wanted:
        if allows(granted, scope):
            found.add(scope)
        elif scope.endswith(":*"):
            found.update(one for one in granted if one.startswith(scope[:-1]))
    return frozenset(found)


class _Entry(NamedTuple):
    until: float
    caller: Caller


class Callers:
    """
    Callers by credential, each for half a second. A change drops its entries at once, and also keeps what was read before the
    change and arrives after it from being remembered.
    """

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._changes = 0

    async def get(self, credential: str, read: Callable[[], Awaitable[Caller]]) -> Caller:
        entry = self._entries.get(credential)
        if entry is not None and time.monotonic() < entry.until:
            return entry.caller
        began, changes = time.monotonic(), self._changes
        caller = await read()
        if changes == self._changes:
            if len(self._entries) >= CACHE_SIZE:
                self._entries.clear()
            self._entries[credential] = _Entry(began + CACHE_SECONDS, caller)
        return caller

    def changed(self, user_id: str) -> None:
        """Something about this user, their keys or sessions has changed; call it after the commit."""
        self._changes += 1
        stale = [credential for credential, entry in self._entries.items() if entry.caller.user_id == user_id]
        for credential in stale:
            del self._entries[credential]
