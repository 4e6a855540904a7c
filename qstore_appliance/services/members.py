"""
The people of an organization: listed, given another role, kept out, let in again, removed; and who owns it.

Two rules hold whatever comes at the same moment. Nobody gives what they do not have, nor changes somebody who has more
than they: what the caller may do is read again in the transaction that does it. And an organization always has an owner.
"""

from __future__ import annotations

from typing import Any

from tortoise.queryset import QuerySet

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import ApiKeyRow
from qstore_appliance.database.tables.members import MembershipRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller, Role
from qstore_appliance.domain.listing import Listed, Page
from qstore_appliance.domain.members import Member, MemberPatch
from qstore_appliance.domain.ports import Clock
from qstore_appliance.domain.roles import covers
from qstore_appliance.errors import Conflict, Forbidden, LastOwner, NotFound
from qstore_appliance.services.audit import Audit
from qstore_appliance.services.callers import Callers, alone, membership_of, rights_of, standing
from qstore_appliance.services.roles import given
from qstore_appliance.services.sessions import end_sessions
from qstore_appliance.services.sorting import order_of

SORTS = ("created_at", "email", "name", "last_active")
_COLUMNS = {"email": "user__email", "name": "user__name"}


class Members:
    """
    Args:
        callers: Told of everybody whose authority has changed.
    """

    def __init__(self, database: Database, clock: Clock, callers: Callers) -> None:
        self._database = database
        self._clock = clock
        self._callers = callers
        self._audit = Audit(database, clock)

    async def listed(self, caller: Caller, page: Page, role: str | None = None) -> Listed[Member]:
        """
        The people of the caller's organization, those who are kept out included (specification, List Users).

        Raises:
            Forbidden: Without `users:read`.
            ValidationFailed: The organization has no such role.
        """
        caller.require("users:read")
        rows = MembershipRow.filter(organization_id=caller.organization_id)
        if role is not None:
            await given(caller.organization_id, role)
            rows = rows.filter(role=role)
        first, second = order_of(page.sort, SORTS)
        sign, name = first[: first.startswith("-")], first.lstrip("-")
        found = rows.order_by(f"{sign}{_COLUMNS.get(name, name)}", second).select_related("user")
        items = [row.to_domain() for row in await found.offset(page.offset).limit(page.limit)]
        return Listed(items=items, total=await rows.count(), limit=page.limit, offset=page.offset)

    async def get(self, caller: Caller, id: str) -> Member:
        """
        Raises:
            Forbidden: Without `users:read`.
            NotFound: Nobody of this organization.
        """
        caller.require("users:read")
        return (await self._row(caller, id)).to_domain()

    async def by_email(self, caller: Caller, email: str) -> Member:
        """
        Raises:
            Forbidden: Without `users:read`.
            NotFound: Nobody of this organization has this address.
        """
        caller.require("users:read")
        wanted = MembershipRow.filter(user__email=email.strip().lower(), organization_id=caller.organization_id)
        row = await wanted.select_related("user").first()
        if row is None:
            raise NotFound("Nobody of this organization has this e-mail address.", details={"email": email[:255]})
        return row.to_domain()

    async def change(self, caller: Caller, id: str, patch: MemberPatch) -> Member:
        """
        Give another role, keep out, or let in again. What they may no longer do ends at once; whoever is kept out is
        signed out here, and their keys rest until they are let in again.

        Raises:
            Forbidden: Without `users:write`; or they have, or would have, a right that the caller lacks.
            NotFound: Nobody of this organization.
            ValidationFailed: The organization has no such role.
            Conflict: One cannot keep out oneself.
            LastOwner: The organization would be left without an owner.
        """
        caller.require("users:write")
        async with self._database.transaction():
            row, scopes = await self._changeable(caller, id)
            if patch.disabled and id == caller.user_id:
                raise Conflict("You cannot keep out yourself.")
            role = row.role if patch.role is None else patch.role
            if not covers(scopes, await given(caller.organization_id, role)):
                raise Forbidden(f"You cannot make anybody {role}: that role has rights that you lack.")
            disabled = row.disabled if patch.disabled is None else patch.disabled
            if role != Role.OWNER or disabled:
                await self._keep_an_owner(row)
            before, kept_out = row.role, row.disabled
            row.role, row.disabled, row.updated_at = role, disabled, self._clock.now()
            await row.save(update_fields=["role", "disabled", "updated_at"])
            if disabled and not kept_out:
                await end_sessions(id, self._clock.now(), organization_id=caller.organization_id)
            if role != before:
                await self._note(caller, "user.role_changed", row, before=before, after=role)
            if disabled is not kept_out:
                await self._note(caller, "user.disabled" if disabled else "user.enabled", row)
        self._callers.changed(id)
        return row.to_domain()

    async def remove(self, caller: Caller, id: str) -> None:
        """
        Somebody is of this organization no more: signed out here, their keys of here revoked. What they made stays, as
        do their account and their other organizations. With no permission at all one may remove oneself.

        Raises:
            Forbidden: Without `users:delete`; or they have a right that the caller lacks.
            NotFound: Nobody of this organization.
            LastOwner: The organization would be left without an owner.
        """
        own = id == caller.user_id and caller.key_id is None
        if not own:
            caller.require("users:delete")
        async with self._database.transaction():
            row, _ = await self._changeable(caller, id)
            await self._keep_an_owner(row)
            now = self._clock.now()
            await row.delete()
            await end_sessions(id, now, organization_id=caller.organization_id)
            keys = ApiKeyRow.filter(user_id=id, organization_id=caller.organization_id, revoked_at=None)
            revoked = await keys.update(revoked_at=now)
            await self._note(caller, "user.removed", row, role=row.role, keys_revoked=revoked)
        self._callers.changed(id)

    async def transfer(self, caller: Caller, id: str) -> Member:
        """
        Somebody else owns the organization from now on, and the caller is one of its administrators.

        Raises:
            Forbidden: The caller does not own it, or uses an API key.
            NotFound: Nobody of this organization.
            Conflict: They are kept out, or the caller.
        """
        caller.require("organization:transfer")
        if caller.key_id is not None:
            raise Forbidden("An API key cannot give an organization away. Sign in with a password.")
        async with self._database.transaction():
            row, _ = await self._changeable(caller, id)
            mine = await membership_of(caller.user_id, caller.organization_id)
            if mine is None or mine.role != Role.OWNER.value:
                raise Forbidden("You do not own this organization.")
            if id == caller.user_id:
                raise Conflict("You own this organization already.")
            if row.disabled or row.user.disabled:
                raise Conflict("Somebody who is kept out cannot own an organization.")
            now = self._clock.now()
            row.role, row.updated_at = Role.OWNER.value, now
            await row.save(update_fields=["role", "updated_at"])
            await MembershipRow.filter(id=mine.id).update(role=Role.ADMIN.value, updated_at=now)
            await self._note(caller, "organization.transferred", row)
        self._callers.changed(id)
        self._callers.changed(caller.user_id)
        return row.to_domain()

    # Parts -------------------------------------------------------------------------------------------------------

    async def _changeable(self, caller: Caller, id: str) -> tuple[MembershipRow, frozenset[str]]:
        """
        Inside a transaction, and alone with this organization's people: somebody whom the caller may change, and what
        the caller may do at this moment.
        """
        await alone(self._database, caller.organization_id)
        row = await self._row(caller, id)
        scopes = await standing(caller)
        if id != caller.user_id and not covers(scopes, await rights_of(row)):
            raise Forbidden("You cannot change somebody who has rights that you lack.")
        return row, scopes

    async def _row(self, caller: Caller, id: str) -> MembershipRow:
        wanted = MembershipRow.filter(user_id=id, organization_id=caller.organization_id).select_related("user")
        row = await wanted.first() if ids.is_id("user", id) else None
        if row is None:
            raise NotFound.of("user", id)
        return row

    async def _keep_an_owner(self, row: MembershipRow) -> None:
        """Before somebody ceases to be an owner who can act."""
        if (
            row.role == Role.OWNER.value
            and not row.disabled
            and not await owners(row.organization_id, but=row).exists()
        ):
            raise LastOwner

    async def _note(self, caller: Caller, action: str, row: MembershipRow, **details: Any) -> None:
        await self._audit.record(
            action,
            organization_id=caller.organization_id,
            caller=caller,
            subject=row.user_id,
            email=row.user.email,
            **details,
        )


def owners(organization_id: str, *, but: MembershipRow) -> QuerySet[MembershipRow]:
    """Others who own an organization and can act."""
    others = MembershipRow.filter(organization_id=organization_id, role=Role.OWNER.value, disabled=False)
    return others.filter(user__disabled=False).exclude(id=but.id)
