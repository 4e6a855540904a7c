"""
Roles of an organization's own: made, changed and deleted by whoever looks after its people.

Nobody makes a role that has more than they, makes one have more, or touches one that has more: what they may do is read
again in the transaction. What changes counts for everybody who has the role, their keys and open sockets included.
"""

from __future__ import annotations

from collections.abc import Sequence

from tortoise.functions import Count

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.invitations import InvitationRow
from qstore_appliance.database.tables.members import MembershipRow
from qstore_appliance.database.tables.roles import RoleRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import SCOPES, Caller, Role
from qstore_appliance.domain.ports import Clock
from qstore_appliance.domain.roles import (
    BUILT_IN,
    MAX_ROLES,
    PATTERNS,
    OrganizationRole,
    RoleDraft,
    RolePatch,
    covers,
    is_built_in,
    is_name,
)
from qstore_appliance.errors import Conflict, Forbidden, NotFound, ValidationFailed
from qstore_appliance.services.audit import Audit
from qstore_appliance.services.callers import Callers, alone, permissions_of, standing
from qstore_appliance.services.texts import refuse_unstorable


class Roles:
    """
    Args:
        callers: Told of every organization in which a role has changed.
    """

    def __init__(self, database: Database, clock: Clock, callers: Callers) -> None:
        self._database = database
        self._clock = clock
        self._callers = callers
        self._audit = Audit(database, clock)

    async def listed(self, caller: Caller) -> list[OrganizationRole]:
        """
        The four, then the organization's own by name.

        Raises:
            Forbidden: Without `users:read`.
        """
        caller.require("users:read")
        counted = await _members(caller.organization_id)
        own = await RoleRow.filter(organization_id=caller.organization_id).order_by("name")
        return [
            *(_built_in(role, counted.get(role.value, 0)) for role in Role),
            *(row.to_domain(counted.get(row.name, 0)) for row in own),
        ]

    async def get(self, caller: Caller, name: str) -> OrganizationRole:
        """
        Raises:
            Forbidden: Without `users:read`.
            NotFound: No such role in this organization.
        """
        caller.require("users:read")
        counted = (await _members(caller.organization_id)).get(name, 0)
        if is_built_in(name):
            return _built_in(Role(name), counted)
        return (await self._row(caller, name)).to_domain(counted)

    async def create(self, caller: Caller, draft: RoleDraft) -> OrganizationRole:
        """
        Raises:
            Forbidden: Without `users:write`, or with a permission that the caller lacks.
            ValidationFailed: A permission that there is not, with its place; or the name of one of the four.
            Conflict: There is a role of this name, or there are too many.
        """
        caller.require("users:write")
        if is_built_in(draft.name):
            raise ValidationFailed.field("name", f"{draft.name} is one of the roles that every organization has")
        refuse_unstorable(description=draft.description)
        permissions, now = _checked(draft.permissions), self._clock.now()
        async with self._database.transaction():
            await alone(self._database, caller.organization_id)
            _require_all(await standing(caller), permissions)
            here = RoleRow.filter(organization_id=caller.organization_id)
            if await here.filter(name=draft.name).exists():
                raise Conflict("There is a role of this name.", details={"name": draft.name})
            if await here.count() >= MAX_ROLES:
                raise Conflict(f"There are {MAX_ROLES} roles already; delete one.", details={"limit": MAX_ROLES})
            row = await RoleRow.create(
                id=ids.new("role"),
                organization_id=caller.organization_id,
                name=draft.name,
                description=draft.description,
                permissions=permissions,
                created_at=now,
                updated_at=now,
            )
            await self._audit.record(
                "role.created",
                organization_id=caller.organization_id,
                caller=caller,
                subject=row.name,
                permissions=permissions,
            )
        return row.to_domain(0)

    async def change(self, caller: Caller, name: str, patch: RolePatch) -> OrganizationRole:
        """
        Raises:
            Forbidden: Without `users:write`; or it has, or would have, a permission that the caller lacks.
            NotFound: No such role in this organization.
            ValidationFailed: A permission that there is not, with its place.
            Conflict: One of the four.
        """
        caller.require("users:write")
        refuse_unstorable(description=patch.description)
        wanted = None if patch.permissions is None else _checked(patch.permissions)
        async with self._database.transaction():
            row = await self._changeable(caller, name)
            before = row.permissions
            if wanted is not None:
                _require_all(await standing(caller), wanted)
                row.permissions = wanted
            row.description = row.description if patch.description is None else patch.description
            row.updated_at = self._clock.now()
            await row.save(update_fields=["description", "permissions", "updated_at"])
            if row.permissions != before:
                await self._audit.record(
                    "role.updated",
                    organization_id=caller.organization_id,
                    caller=caller,
                    subject=row.name,
                    before=before,
                    after=row.permissions,
                )
        self._callers.changed_in(caller.organization_id)
        return row.to_domain((await _members(caller.organization_id)).get(name, 0))

    async def delete(self, caller: Caller, name: str) -> None:
        """
        Raises:
            Forbidden: Without `users:delete`, or it has a permission that the caller lacks.
            NotFound: No such role in this organization.
            Conflict: One of the four; or somebody has it, or is invited to it.
        """
        caller.require("users:delete")
        async with self._database.transaction():
            row = await self._changeable(caller, name)
            members = await MembershipRow.filter(organization_id=caller.organization_id, role=name).count()
            invited = await InvitationRow.filter(
                organization_id=caller.organization_id,
                role=name,
                accepted_at=None,
                revoked_at=None,
                expires_at__gt=self._clock.now(),
            ).count()
            if members or invited:
                raise Conflict(
                    "Somebody has this role, or is invited to it: give them another one first.",
                    details={"members": members, "invitations": invited},
                )
            await row.delete()
            await self._audit.record(
                "role.deleted",
                organization_id=caller.organization_id,
                caller=caller,
                subject=name,
                permissions=row.permissions,
            )

    async def _changeable(self, caller: Caller, name: str) -> RoleRow:
        """Inside a transaction, and alone with this organization's people: a role that the caller may change."""
        await alone(self._database, caller.organization_id)
        if is_built_in(name):
            raise Conflict("This role is the same in every organization. Make one of your own.", details={"name": name})
        row = await self._row(caller, name)
        if not covers(await standing(caller), row.permissions):
            raise Forbidden("You cannot change a role that has rights which you lack.")
        return row

    async def _row(self, caller: Caller, name: str) -> RoleRow:
        wanted = RoleRow.filter(organization_id=caller.organization_id, name=name)
        row = await wanted.first() if is_name(name) else None
        if row is None:
            raise NotFound("No role of this name.", details={"name": name[:40]})
        return row


async def given(organization_id: str, role: str) -> frozenset[str]:
    """
    What somebody gets with a role.

    Raises:
        ValidationFailed: The organization has no such role.
    """
    permissions = await permissions_of(organization_id, role)
    if permissions is None:
        raise ValidationFailed.field("role", f"there is none of this name beside {', '.join(Role)}")
    return permissions


async def _members(organization_id: str) -> dict[str, int]:
    """How many have each role."""
    rows = MembershipRow.filter(organization_id=organization_id).annotate(n=Count("id")).group_by("role")
    return {str(role): int(str(count)) for role, count in await rows.values_list("role", "n")}


def _built_in(role: Role, members: int) -> OrganizationRole:
    return OrganizationRole(
        name=role.value,
        description=BUILT_IN[role],
        permissions=sorted(SCOPES[role]),
        built_in=True,
        members=members,
        created_at=None,
        updated_at=None,
    )


def _checked(permissions: Sequence[str]) -> list[str]:
    """In alphabetical order, each once."""
    unknown = [
        (f"permissions[{index}]", f"there is no permission {wanted!r} that a role can be given")
        for index, wanted in enumerate(permissions)
        if wanted not in PATTERNS
    ]
    if unknown:
        raise ValidationFailed.of(unknown)
    return sorted(set(permissions))


def _require_all(scopes: frozenset[str], permissions: Sequence[str]) -> None:
    for permission in permissions:
        if not covers(scopes, (permission,)):
            raise Forbidden(
                f"You cannot give away {permission}: you do not have it.", details={"permission": permission}
            )
