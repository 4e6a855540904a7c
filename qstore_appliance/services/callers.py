"""
Who asks, from rows: the one place that turns a user or a key into a `Caller`, and remembers it for at most half a second.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import ApiKeyRow, UserRow
from qstore_appliance.database.tables.members import MembershipRow
from qstore_appliance.database.tables.roles import RoleRow
from qstore_appliance.domain.accounts import SCOPES, Caller, Role, allows
from qstore_appliance.domain.roles import is_built_in, is_name
from qstore_appliance.errors import Forbidden

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


async def permissions_of(organization_id: str, role: str) -> frozenset[str] | None:
    """What a role may do in an organization; None where there is no such role."""
    if is_built_in(role):
        return SCOPES[Role(role)]
    row = await RoleRow.get_or_none(organization_id=organization_id, name=role) if is_name(role) else None
    return None if row is None else frozenset(row.permissions)


async def rights_of(membership: MembershipRow) -> frozenset[str]:
    """What somebody may do where they belong: nothing, with a role that is not there."""
    return await permissions_of(membership.organization_id, membership.role) or frozenset()


async def standing(caller: Caller) -> frozenset[str]:
    """
    What the caller may do by now: less than at the door, where somebody has just changed that.

    Raises:
        Forbidden: They do not belong to the organization any more.
    """
    membership = await membership_of(caller.user_id, caller.organization_id)
    if membership is None:
        raise Forbidden
    return cut(sorted(caller.scopes), await rights_of(membership))


async def alone(database: Database, organization_id: str) -> None:
    """Inside a transaction: nobody else changes who belongs to this organization, or its roles, until it is over."""
    await database.one_at_a_time(f"members:{organization_id}")


async def of_user(
    user: UserRow, membership: MembershipRow, *, rate_limit: int, session_id: str | None = None
) -> Caller:
    return Caller(
        user_id=user.id,
        organization_id=membership.organization_id,
        email=user.email,
        role=membership.role,
        scopes=await rights_of(membership),
        operator=user.operator,
        session_id=session_id,
        rate_limit=rate_limit,
        preferences=user.preferences,
    )


async def of_key(key: ApiKeyRow, membership: MembershipRow) -> Caller:
    """
    What the key's owner may do now where the key was made, cut down to its scopes. It never carries operator rights.

    Args:
        membership: With its `user`.
    """
    user = membership.user
    return Caller(
        user_id=user.id,
        organization_id=membership.organization_id,
        email=user.email,
        role=membership.role,
        scopes=cut(key.scopes, await rights_of(membership)),
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
        self._forget(lambda caller: caller.user_id == user_id)

    def changed_in(self, organization_id: str) -> None:
        """What a role of this organization may do has changed; call it after the commit."""
        self._forget(lambda caller: caller.organization_id == organization_id)

    def _forget(self, stale: Callable[[Caller], bool]) -> None:
        self._changes += 1
        for credential in [one for one, entry in self._entries.items() if stale(entry.caller)]:
            del self._entries[credential]
