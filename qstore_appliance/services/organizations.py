"""A person's organizations, of which one at a time is theirs to act in, and what an organization allows."""

from __future__ import annotations

from typing import Any

import msgspec

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import OrganizationRow, SessionRow, UserRow
from qstore_appliance.database.tables.members import MembershipRow
from qstore_appliance.domain.accounts import Caller, Organization, Tokens
from qstore_appliance.domain.organizations import OrganizationPatch, OwnOrganization, SettingsPatch
from qstore_appliance.domain.ports import Clock
from qstore_appliance.domain.sessions import Kind, Method
from qstore_appliance.errors import Conflict, Forbidden, NotFound, Unauthenticated, ValidationFailed
from qstore_appliance.services.audit import Audit
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.callers import membership_of
from qstore_appliance.services.sessions import Sessions
from qstore_appliance.services.storage import Storage
from qstore_appliance.services.texts import refuse_unstorable

#: Settings for which null says something: every backend, and what the installation has.
_NULLABLE = frozenset({"allowed_backends", "max_storage_bytes"})


class Organizations:
    def __init__(
        self, database: Database, clock: Clock, sessions: Sessions, backends: Backends, storage: Storage
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._backends = backends
        self._storage = storage
        self._audit = Audit(database, clock)

    async def mine(self, caller: Caller) -> list[OwnOrganization]:
        """Where the caller belongs, the oldest first. An API key belongs to the one that it was made in."""
        rows = MembershipRow.filter(user_id=caller.user_id, disabled=False)
        if caller.key_id is not None:
            rows = rows.filter(organization_id=caller.organization_id)
        return [
            OwnOrganization(
                id=row.organization_id,
                name=row.organization.name,
                role=row.role,
                current=row.organization_id == caller.organization_id,
            )
            for row in await rows.select_related("organization").order_by("created_at", "id")
        ]

    async def switch(self, caller: Caller, organization_id: str, *, address: str, agent: str) -> Tokens:
        """
        Tokens of a new session in another of the caller's organizations; the session that asks ends, so that no token
        ever means another organization than its claims say.

        Raises:
            Forbidden: An API key stays where it was made.
            NotFound: The caller does not belong to such an organization.
            Conflict: A session of the dashboard switches in the dashboard.
        """
        session, membership = await self._other(caller, organization_id)
        if session.kind != Kind.TOKEN:
            raise Conflict("This is a session of the dashboard, which has no tokens. Switch in the dashboard.")
        tokens = await self._sessions.open_tokens(
            membership.user, membership, Method(session.method), address=address, agent=agent
        )
        await self._moved(caller, membership)
        await self._sessions.sign_out(caller)
        return tokens

    async def switch_cookie(
        self, caller: Caller, organization_id: str, *, address: str, agent: str
    ) -> tuple[str, Caller]:
        """The value of a new cookie, and who it is; the session that asks ends. Errors as in `switch`."""
        session, membership = await self._other(caller, organization_id)
        await self._moved(caller, membership)
        return await self._sessions.open_cookie(
            membership.user, Method(session.method), membership, address=address, agent=agent, instead_of=caller
        )

    async def update(self, caller: Caller, patch: OrganizationPatch) -> Organization:
        """
        Change name or settings. They count for what is asked from now on; what was accepted goes on.

        Raises:
            Forbidden: Without `organization:write`; or it would keep more than now, which the operator alone allows.
            ValidationFailed: `settings.allowed_backends` has a name that no backend has.
        """
        caller.require("organization:write")
        refuse_unstorable(name=patch.name)
        changes = {} if patch.settings is None else _changes(patch.settings)
        for index, name in enumerate(changes.get("allowed_backends") or ()):
            if name not in self._backends.names:
                raise ValidationFailed.field(f"settings.allowed_backends[{index}]", f"there is no backend {name!r}")
        async with self._database.transaction():
            row = await OrganizationRow.filter(id=caller.organization_id).select_for_update().get()
            before = row.to_domain()
            row.name = patch.name or row.name
            row.settings = {**row.settings, **changes}
            await row.save(update_fields=["name", "settings", "updated_at"])
            after = row.to_domain()
            if not caller.operator:
                self._storage.require_no_more(before.settings, after.settings)
            if (before.name, before.settings) != (after.name, after.settings):
                await self._audit.record(
                    "organization.updated",
                    organization_id=row.id,
                    caller=caller,
                    subject=row.id,
                    before={"name": before.name, **msgspec.structs.asdict(before.settings)},
                    after={"name": after.name, **msgspec.structs.asdict(after.settings)},
                )
        return after

    # On the host -------------------------------------------------------------------------------------------------

    async def named(self, name: str) -> Organization:
        """
        Raises:
            NotFound: There is no organization of this name.
        """
        row = await OrganizationRow.filter(name=name).order_by("created_at").first()
        if row is None:
            raise NotFound("No organization of this name.", details={"name": name[:255]})
        return row.to_domain()

    async def limit_storage(self, name: str, bytes: int | None) -> Organization:
        """
        What an organization may keep, however much that is; None is what the installation has.

        Raises:
            NotFound: There is no organization of this name.
        """
        wanted = await self.named(name)
        async with self._database.transaction():
            row = await OrganizationRow.filter(id=wanted.id).select_for_update().get()
            before = row.to_domain()
            row.settings = {**row.settings, "max_storage_bytes": bytes}
            await row.save(update_fields=["settings", "updated_at"])
            after = row.to_domain()
            if before.settings != after.settings:
                await self._audit.record(
                    "organization.updated",
                    organization_id=row.id,
                    subject=row.id,
                    before={"max_storage_bytes": before.settings.max_storage_bytes},
                    after={"max_storage_bytes": after.settings.max_storage_bytes},
                )
        return after

    async def _other(self, caller: Caller, organization_id: str) -> tuple[SessionRow, MembershipRow]:
        if caller.session_id is None:
            raise Forbidden("An API key stays in the organization that it was made in. Sign in with a password.")
        session = await SessionRow.get_or_none(id=caller.session_id, revoked_at=None)
        if session is None:
            raise Unauthenticated
        membership = await membership_of(caller.user_id, organization_id)
        if membership is None:
            raise NotFound.of("organization", organization_id)
        return session, membership

    async def _moved(self, caller: Caller, membership: MembershipRow) -> None:
        """Signing in leads here from now on."""
        async with self._database.transaction():
            await UserRow.filter(id=caller.user_id).update(organization_id=membership.organization_id)


def _changes(patch: SettingsPatch) -> dict[str, Any]:
    """What was sent. For some null is a value; elsewhere it is "not sent" too."""
    sent = {name: getattr(patch, name) for name in patch.model_fields_set}
    changes = {name: value for name, value in sent.items() if value is not None or name in _NULLABLE}
    if changes.get("allowed_backends"):
        changes["allowed_backends"] = list(dict.fromkeys(changes["allowed_backends"]))
    return changes
