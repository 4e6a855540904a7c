"""Roles of an organization's own, on both databases."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import qstore_appliance
from qstore_appliance.api.app import endpoints
from qstore_appliance.api.registry import PUBLIC, SIGNED_IN
from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.audit import AuditRow
from qstore_appliance.database.tables.invitations import InvitationRow
from qstore_appliance.database.tables.roles import RoleRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import SCOPES, Caller, Role, allows
from qstore_appliance.domain.events import CHANNELS
from qstore_appliance.domain.invitations import AcceptDraft, InvitationDraft
from qstore_appliance.domain.listing import Page
from qstore_appliance.domain.members import MemberPatch
from qstore_appliance.domain.roles import MAX_ROLES, PATTERNS, PERMISSIONS, WHOLE, RoleDraft, RolePatch
from qstore_appliance.errors import Conflict, Forbidden, Gone, NotFound, QStoreError, ValidationFailed
from qstore_appliance.services.accounts import Accounts
from qstore_appliance.services.invitations import Invitations
from qstore_appliance.services.members import Members
from qstore_appliance.services.notices import Notices
from qstore_appliance.services.passwords import Passwords
from qstore_appliance.services.roles import Roles
from qstore_appliance.services.seals import Stamp
from qstore_appliance.services.sessions import Sessions
from qstore_appliance.services.sign_ins import SignIns
from qstore_appliance.settings import Settings
from tests.factories import PASSWORD, SteppingClock, make_key_draft

WHERE = {"address": "192.0.2.7", "agent": "pytest"}
SHIFT = ["jobs:cancel", "jobs:read"]
#: Who looks after people and may read jobs; what an organization would give to a secretary.
DESK = ["jobs:read", "users:*"]


class Lab(NamedTuple):
    """An organization with an owner, an administrator and a developer, all signed in; and a stranger."""

    accounts: Accounts
    sessions: Sessions
    members: Members
    invitations: Invitations
    roles: Roles
    callers: dict[str, Caller]
    tokens: dict[str, str]

    async def make(self, name: str, permissions: Sequence[str], by: str = "owner") -> None:
        await self.roles.create(self.callers[by], RoleDraft(name=name, permissions=list(permissions)))

    async def give(self, whom: str, role: str, by: str = "owner") -> Caller:
        """Give a role; who they are afterwards."""
        await self.members.change(self.callers[by], self.callers[whom].user_id, MemberPatch(role=role))
        return await self.now(whom)

    async def now(self, whom: str) -> Caller:
        return await self.sessions.by_access_token(self.tokens[whom])

    async def acts(self) -> list[str]:
        rows = await AuditRow.filter(chain=self.callers["owner"].organization_id).order_by("seq")
        return [row.action for row in rows if row.action.startswith("role.")]


@pytest.fixture
async def lab(
    database: Database,
    clock: SteppingClock,
    accounts: Accounts,
    passwords: Passwords,
    sessions: Sessions,
    sign_ins: SignIns,
    notices: Notices,
    settings: Settings,
) -> Lab:
    callers, tokens = {}, {}
    for name in ("owner", "admin", "developer", "stranger"):
        home, role = ("Elsewhere", "owner") if name == "stranger" else ("Lab", name)
        await accounts.create_user(f"{name}@example.org", home, role, PASSWORD)
        tokens[name] = (await sessions.sign_in(f"{name}@example.org", PASSWORD, **WHERE)).access_token
        callers[name] = await sessions.by_access_token(tokens[name])
    stamp = Stamp(bytes(32), "invitations")
    invitations = Invitations(
        database,
        clock,
        passwords,
        sign_ins,
        notices,
        accounts.callers,
        stamp,
        lambda id: f"http://lab.example/app/invitation#{stamp.on(id)}",
        settings,
    )
    members, roles = Members(database, clock, accounts.callers), Roles(database, clock, accounts.callers)
    return Lab(accounts, sessions, members, invitations, roles, callers, tokens)


def asked_for() -> set[str]:
    """Every permission that the program asks for: of routes and channels, and by name in its text."""
    found = {endpoint.permission for endpoint in endpoints()} - {PUBLIC, SIGNED_IN}
    found |= {permission for channel in CHANNELS.values() for permission in channel.permissions}
    for file in Path(qstore_appliance.__file__).parent.rglob("*.py"):
        found |= set(re.findall(r'(?:require|may)\("([a-z-]+:[a-z*-]+)"\)', file.read_text(encoding="utf-8")))
    return found


def test_the_list_of_permissions_is_whole() -> None:
    """What the program asks for can be put into a role, but for what owners alone have; and owners have all of it."""
    assert asked_for() - PATTERNS == {"organization:transfer"}
    assert all(allows(SCOPES[Role.OWNER], pattern) for pattern in PATTERNS)
    assert set(WHOLE) <= set(PERMISSIONS)


class TestMaking:
    async def test_a_role(self, lab: Lab) -> None:
        """It stands behind the four, with its permissions in order, and the audit log tells of it."""
        made = await lab.roles.create(
            lab.callers["admin"],
            RoleDraft(name="night-shift", description="Stops jobs.", permissions=[*reversed(SHIFT), "jobs:read"]),
        )

        listed = await lab.roles.listed(lab.callers["admin"])
        assert [role.name for role in listed] == ["viewer", "developer", "admin", "owner", "night-shift"]
        assert [role.members for role in listed] == [0, 1, 1, 1, 0]
        assert listed[-1] == made == await lab.roles.get(lab.callers["owner"], "night-shift")
        assert (made.permissions, made.built_in, made.description) == (SHIFT, False, "Stops jobs.")
        assert (await lab.roles.get(lab.callers["owner"], "viewer")).permissions == sorted(SCOPES[Role.VIEWER])
        assert await lab.acts() == ["role.created"]

    @pytest.mark.parametrize(
        ("permissions", "places"),
        [
            (["jobs:read", "jobs:fly"], ["permissions[1]"]),
            (["*"], ["permissions[0]"]),
            (["*:*", "jobs:read", "root:write"], ["permissions[0]", "permissions[2]"]),
            (["organization:*"], ["permissions[0]"]),
            (["organization:transfer"], ["permissions[0]"]),
            (["organization:delete"], ["permissions[0]"]),
            (["jobs"], ["permissions[0]"]),
            (["JOBS:READ"], ["permissions[0]"]),
            (["jobs:read "], ["permissions[0]"]),
            (["audit:*"], ["permissions[0]"]),
        ],
    )
    async def test_unknown_permissions(self, lab: Lab, permissions: list[str], places: list[str]) -> None:
        """What is no permission, or ownership, is refused with its place; nothing is made."""
        with pytest.raises(ValidationFailed) as caught:
            await lab.make("odd", permissions)

        assert [row["field"] for row in caught.value.details["errors"]] == places
        await lab.make("even", SHIFT)
        with pytest.raises(ValidationFailed):
            await lab.roles.change(lab.callers["owner"], "even", RolePatch(permissions=permissions))
        assert (await lab.roles.get(lab.callers["owner"], "even")).permissions == SHIFT

    @pytest.mark.parametrize("name", [role.value for role in Role])
    async def test_the_four_stay_as_they_are(self, lab: Lab, name: str) -> None:
        """No role takes the name of one of them, and none of them is changed or deleted."""
        owner = lab.callers["owner"]
        with pytest.raises(ValidationFailed, match="name"):
            await lab.make(name, SHIFT)
        with pytest.raises(Conflict):
            await lab.roles.change(owner, name, RolePatch(permissions=["jobs:read"]))
        with pytest.raises(Conflict):
            await lab.roles.delete(owner, name)

        assert await lab.acts() == []

    async def test_a_name_is_taken_once(self, lab: Lab) -> None:
        """In one organization; another has its own of that name."""
        await lab.make("shift", SHIFT)
        with pytest.raises(Conflict):
            await lab.make("shift", ["jobs:read"])

        await lab.make("shift", ["usage:read"], by="stranger")

        assert (await lab.roles.get(lab.callers["owner"], "shift")).permissions == SHIFT
        assert (await lab.roles.get(lab.callers["stranger"], "shift")).permissions == ["usage:read"]

    async def test_not_without_end(self, lab: Lab) -> None:
        """An organization has at most so many."""
        now = lab.roles._clock.now()
        home = lab.callers["owner"].organization_id
        await RoleRow.bulk_create(
            [
                RoleRow(
                    id=ids.new("role"),
                    organization_id=home,
                    name=f"r{number}",
                    description="",
                    permissions=["jobs:read"],
                    created_at=now,
                    updated_at=now,
                )
                for number in range(MAX_ROLES)
            ]
        )

        with pytest.raises(Conflict, match="delete one"):
            await lab.make("one-more", SHIFT)

    async def test_not_for_everybody(self, lab: Lab) -> None:
        """Who does not look after people sees no roles, makes none and changes none."""
        await lab.make("shift", SHIFT)
        dev = lab.callers["developer"]
        for attempt in (
            lab.roles.listed(dev),
            lab.roles.get(dev, "shift"),
            lab.roles.create(dev, RoleDraft(name="mine", permissions=["jobs:read"])),
            lab.roles.change(dev, "shift", RolePatch(permissions=["jobs:read"])),
            lab.roles.delete(dev, "shift"),
        ):
            with pytest.raises(Forbidden):
                await attempt

    @pytest.mark.parametrize("name", ["shift", "r", "", "x" * 41, "\x00", "../x", "Shift"])
    async def test_another_organizations_role_is_absent(self, lab: Lab, name: str) -> None:
        """It is to everybody else as if it did not exist: not seen, changed, deleted, given or offered."""
        await lab.make("shift", SHIFT)
        stranger = lab.callers["stranger"]
        for attempt in (
            lab.roles.get(stranger, name),
            lab.roles.change(stranger, name, RolePatch(permissions=["jobs:read"])),
            lab.roles.delete(stranger, name),
        ):
            with pytest.raises(NotFound, match="No role of this name"):
                await attempt
        for refused in (
            lab.members.change(stranger, stranger.user_id, MemberPatch.model_construct(role=name)),
            lab.members.listed(stranger, Page(), name),
            lab.invitations.create(stranger, InvitationDraft.model_construct(email="g@example.org", role=name)),
            lab.accounts.create_user("g@example.org", "Elsewhere", name, PASSWORD),
        ):
            with pytest.raises(ValidationFailed, match="role"):
                await refused


class TestHaving:
    async def test_what_it_gives(self, lab: Lab) -> None:
        """Whoever has the role may do exactly what it says: their session, its token, their keys, their colleagues' lists."""
        await lab.make("shift", [*SHIFT, "api-keys:own"])

        dev = await lab.give("developer", "shift")

        assert (dev.role, dev.scopes) == ("shift", {*SHIFT, "api-keys:own"})
        assert not dev.may("jobs:submit")
        with pytest.raises(Forbidden):
            await lab.accounts.create_key(dev, make_key_draft(scopes=["circuits:read"]))
        made = await lab.accounts.create_key(dev, make_key_draft(scopes=["jobs:cancel"]))
        assert made.key is not None
        assert (await lab.sessions.by_api_key(made.key)).scopes == {"jobs:cancel"}
        shown = await lab.members.listed(lab.callers["admin"], Page(), "shift")
        assert [one.email for one in shown.items] == ["developer@example.org"]
        assert (await lab.accounts.me(dev)).role == "shift"

    async def test_a_change_counts_at_once(self, lab: Lab) -> None:
        """What a role loses everybody who has it loses, keys included; what it gains they have."""
        await lab.make("shift", [*SHIFT, "api-keys:own"])
        dev = await lab.give("developer", "shift")
        key = (await lab.accounts.create_key(dev, make_key_draft(scopes=["jobs:cancel", "jobs:read"]))).key
        assert key is not None
        assert (await lab.sessions.by_api_key(key)).may("jobs:cancel")

        changed = await lab.roles.change(
            lab.callers["admin"], "shift", RolePatch(permissions=["jobs:read", "usage:read"])
        )

        assert (changed.permissions, changed.members) == (["jobs:read", "usage:read"], 1)
        assert (await lab.now("developer")).scopes == {"jobs:read", "usage:read"}
        assert (await lab.sessions.by_api_key(key)).scopes == {"jobs:read"}
        assert await lab.acts() == ["role.created", "role.updated"]

    async def test_a_new_sentence_is_no_act(self, lab: Lab) -> None:
        """The description alone changes nothing that anybody may do."""
        await lab.make("shift", SHIFT)

        changed = await lab.roles.change(lab.callers["admin"], "shift", RolePatch(description="At night"))

        assert (changed.description, changed.permissions) == ("At night", SHIFT)
        assert await lab.acts() == ["role.created"]

    async def test_the_host_gives_it(self, lab: Lab) -> None:
        """`qstore user create --role` takes a role of that organization, and of no other."""
        await lab.make("shift", SHIFT)

        made = await lab.accounts.create_user("grace@example.org", "Lab", "shift", PASSWORD)

        assert made.role == "shift"
        assert (await lab.accounts.caller_of("grace@example.org")).scopes == set(SHIFT)

    async def test_an_invitation(self, lab: Lab) -> None:
        """Somebody is invited to it, and has it when they come; it means what it means then."""
        await lab.make("shift", SHIFT)
        made = await lab.invitations.create(
            lab.callers["admin"], InvitationDraft(email="grace@example.org", role="shift")
        )
        token = str(made.link).partition("#")[2]
        assert (await lab.invitations.offer(token)).role == "shift"
        await lab.roles.change(lab.callers["admin"], "shift", RolePatch(permissions=["jobs:read"]))

        accepted = await lab.invitations.accept(AcceptDraft(token=token, password=PASSWORD), address="192.0.2.9")

        assert accepted.role == "shift"
        tokens = await lab.sessions.sign_in("grace@example.org", PASSWORD, **WHERE)
        assert (await lab.sessions.by_access_token(tokens.access_token)).scopes == {"jobs:read"}


class TestMore:
    """Nobody gets more than they have, by whatever way."""

    async def test_by_making_a_role(self, lab: Lab) -> None:
        """A role holds nothing that its maker lacks, wildcards included; an API key makes none beyond its scopes."""
        await lab.make("desk", DESK)
        desk = await lab.give("developer", "desk")
        for permissions in (["jobs:submit"], ["jobs:*"], ["users:read", "billing:write"], ["circuits:read"]):
            with pytest.raises(Forbidden):
                await lab.roles.create(desk, RoleDraft(name="more", permissions=permissions))
        key = await lab.accounts.create_key(lab.callers["owner"], make_key_draft(scopes=["users:*"]))
        assert key.key is not None
        with pytest.raises(Forbidden):
            await lab.roles.create(
                await lab.sessions.by_api_key(key.key), RoleDraft(name="more", permissions=["jobs:read"])
            )

        await lab.roles.create(desk, RoleDraft(name="less", permissions=["jobs:read", "users:invite"]))

        assert await lab.acts() == ["role.created", "role.created"]

    async def test_by_changing_ones_own(self, lab: Lab) -> None:
        """Who has a role that looks after people can take from it, for themselves too, and add nothing."""
        await lab.make("desk", DESK)
        desk = await lab.give("developer", "desk")
        for permissions in ([*DESK, "jobs:submit"], ["jobs:*", "users:*"], ["billing:*"]):
            with pytest.raises(Forbidden):
                await lab.roles.change(desk, "desk", RolePatch(permissions=permissions))

        await lab.roles.change(desk, "desk", RolePatch(permissions=["users:*"]))

        assert (await lab.now("developer")).scopes == {"users:*"}
        with pytest.raises(Forbidden):
            await lab.roles.change(desk, "desk", RolePatch(permissions=DESK))

    async def test_by_a_role_that_has_more(self, lab: Lab) -> None:
        """A role with a right that one lacks can be neither given, nor offered, nor changed, nor deleted, nor taken away."""
        await lab.make("desk", DESK)
        await lab.make("money", ["billing:write"])
        desk = await lab.give("developer", "desk")
        for attempt in (
            lab.members.change(desk, desk.user_id, MemberPatch(role="money")),
            lab.members.change(desk, desk.user_id, MemberPatch(role="viewer")),
            lab.members.change(desk, lab.callers["admin"].user_id, MemberPatch(role="desk")),
            lab.members.remove(desk, lab.callers["admin"].user_id),
            lab.invitations.create(desk, InvitationDraft(email="g@example.org", role="money")),
            lab.roles.change(desk, "money", RolePatch(permissions=["users:read"])),
            lab.roles.change(desk, "money", RolePatch(description="mine")),
            lab.roles.delete(desk, "money"),
        ):
            with pytest.raises(Forbidden):
                await attempt

        assert (await lab.now("developer")).role == "desk"

    async def test_by_an_invitation_that_grows(self, lab: Lab) -> None:
        """A role that has grown beyond what whoever invited to it has: the link gives nothing."""
        await lab.make("desk", DESK)
        await lab.make("small", ["jobs:read"])
        desk = await lab.give("developer", "desk")
        made = await lab.invitations.create(desk, InvitationDraft(email="g@example.org", role="small"))
        await lab.roles.change(lab.callers["owner"], "small", RolePatch(permissions=["jobs:read", "billing:write"]))

        with pytest.raises(Gone):
            await lab.invitations.accept(
                AcceptDraft(token=str(made.link).partition("#")[2], password=PASSWORD), address="192.0.2.9"
            )

    async def test_authority_is_read_again(self, lab: Lab) -> None:
        """Whose role has just shrunk makes nothing of what they had, even if their request began before."""
        await lab.make("desk", DESK)
        stale = await lab.give("developer", "desk")
        await lab.roles.change(lab.callers["owner"], "desk", RolePatch(permissions=["users:*"]))

        with pytest.raises(Forbidden):
            await lab.roles.create(stale, RoleDraft(name="jobs", permissions=["jobs:read"]))

    async def test_no_owner(self, lab: Lab) -> None:
        """A role with all that can be put into one is no ownership: the last owner stays, and owns alone."""
        await lab.make("everything", sorted(PATTERNS))
        admin = await lab.give("admin", "everything")

        for attempt in (
            lab.members.transfer(admin, admin.user_id),
            lab.members.change(admin, admin.user_id, MemberPatch(role="owner")),
            lab.members.change(admin, lab.callers["owner"].user_id, MemberPatch(role="viewer")),
            lab.members.remove(admin, lab.callers["owner"].user_id),
        ):
            with pytest.raises(Forbidden):
                await attempt
        with pytest.raises(Conflict):
            await lab.give("owner", "everything")


class TestDeleting:
    async def test_one_that_nobody_has(self, lab: Lab) -> None:
        """It is gone, cannot be given any more, and its name is free."""
        await lab.make("shift", SHIFT)

        await lab.roles.delete(lab.callers["admin"], "shift")

        with pytest.raises(NotFound):
            await lab.roles.get(lab.callers["admin"], "shift")
        with pytest.raises(ValidationFailed):
            await lab.give("developer", "shift")
        await lab.make("shift", ["jobs:read"])
        assert await lab.acts() == ["role.created", "role.deleted", "role.created"]

    async def test_one_that_somebody_has(self, lab: Lab) -> None:
        """It stays as long as a member has it, one who is kept out too."""
        await lab.make("shift", SHIFT)
        dev = await lab.give("developer", "shift")
        await lab.members.change(lab.callers["owner"], dev.user_id, MemberPatch(disabled=True))

        with pytest.raises(Conflict) as caught:
            await lab.roles.delete(lab.callers["owner"], "shift")

        assert caught.value.details == {"members": 1, "invitations": 0}
        await lab.members.remove(lab.callers["owner"], dev.user_id)
        await lab.roles.delete(lab.callers["owner"], "shift")

    async def test_one_that_somebody_is_invited_to(self, lab: Lab, clock: SteppingClock) -> None:
        """It stays while an invitation waits; one that was taken back or is too old holds nothing."""
        await lab.make("shift", SHIFT)
        owner = lab.callers["owner"]
        first = await lab.invitations.create(owner, InvitationDraft(email="g@example.org", role="shift"))
        with pytest.raises(Conflict) as caught:
            await lab.roles.delete(owner, "shift")
        assert caught.value.details == {"members": 0, "invitations": 1}
        await lab.invitations.revoke(owner, first.id)
        second = await lab.invitations.create(owner, InvitationDraft(email="h@example.org", role="shift"))
        with pytest.raises(Conflict):
            await lab.roles.delete(owner, "shift")
        await InvitationRow.filter(id=second.id).update(expires_at=clock.now() - timedelta(seconds=1))

        await lab.roles.delete(owner, "shift")

    async def test_at_the_same_moment(self, lab: Lab) -> None:
        """A role that is deleted and given at once is one of the two: nobody ever has a role that is not there."""
        owner = lab.callers["owner"]
        for number in range(5):
            name = f"shift{number}"
            await lab.make(name, SHIFT)
            results: list[Any] = await asyncio.gather(
                lab.roles.delete(owner, name),
                lab.members.change(owner, lab.callers["developer"].user_id, MemberPatch(role=name)),
                return_exceptions=True,
            )

            assert sum(isinstance(one, QStoreError) for one in results) == 1, results
            member = await lab.members.get(owner, lab.callers["developer"].user_id)
            assert member.role in {role.name for role in await lab.roles.listed(owner)}
            await lab.members.change(owner, member.id, MemberPatch(role="developer"))
