"""The people of an organization, on both databases."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import ApiKeyRow
from qstore_appliance.database.tables.audit import AuditRow
from qstore_appliance.database.tables.members import MembershipRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller, Role
from qstore_appliance.domain.listing import Page
from qstore_appliance.domain.members import MemberPatch
from qstore_appliance.errors import Conflict, Forbidden, LastOwner, NotFound, QStoreError, Unauthenticated
from qstore_appliance.services.accounts import Accounts
from qstore_appliance.services.members import Members
from qstore_appliance.services.sessions import Sessions
from tests.factories import PASSWORD, SteppingClock, make_key_draft

WHERE = {"address": "192.0.2.7", "agent": "pytest"}
ROLES = ("viewer", "developer", "admin", "owner")


class Lab(NamedTuple):
    """An organization with somebody of each role, all signed in, and its accounts."""

    accounts: Accounts
    members: Members
    sessions: Sessions
    callers: dict[str, Caller]
    tokens: dict[str, str]

    async def role_of(self, name: str) -> str:
        row = await MembershipRow.get(user_id=self.callers[name].user_id)
        return row.role


@pytest.fixture
def members(database: Database, clock: SteppingClock, accounts: Accounts) -> Members:
    return Members(database, clock, accounts.callers)


@pytest.fixture
async def lab(accounts: Accounts, members: Members, sessions: Sessions) -> Lab:
    callers, tokens = {}, {}
    for name in (*ROLES, "stranger"):
        home, role = ("Elsewhere", "owner") if name == "stranger" else ("Lab", name)
        await accounts.create_user(f"{name}@example.org", home, role, PASSWORD)
        tokens[name] = (await sessions.sign_in(f"{name}@example.org", PASSWORD, **WHERE)).access_token
        callers[name] = await sessions.by_access_token(tokens[name])
    return Lab(accounts, members, sessions, callers, tokens)


async def acts(lab: Lab) -> list[str]:
    rows = await AuditRow.filter(chain=lab.callers["owner"].organization_id).order_by("seq")
    return [row.action for row in rows if not row.action.startswith(("session.", "user.created", "organization.cre"))]


class TestLooking:
    async def test_list(self, lab: Lab) -> None:
        """An administrator sees the organization's people with their roles, and nobody of another one."""
        found = await lab.members.listed(lab.callers["admin"], Page(sort="email"))

        assert [(one.email, one.role) for one in found.items] == [
            (f"{name}@example.org", Role(name)) for name in sorted(ROLES)
        ]
        assert found.total == 4
        assert all(one.last_active is not None and not one.disabled for one in found.items)

    async def test_filter_and_pages(self, lab: Lab) -> None:
        """A role narrows the list, and the total counts what matches."""
        owner = lab.callers["owner"]

        viewers = await lab.members.listed(owner, Page(), Role.VIEWER)
        second = await lab.members.listed(owner, Page(limit=1, offset=1, sort="-name"))

        assert [one.email for one in viewers.items] == ["viewer@example.org"]
        assert (second.total, [one.name for one in second.items]) == (4, ["owner"])

    @pytest.mark.parametrize("name", ["viewer", "developer"])
    async def test_not_for_everybody(self, lab: Lab, name: str) -> None:
        """Who may not read users sees neither the list nor one of it."""
        with pytest.raises(Forbidden):
            await lab.members.listed(lab.callers[name], Page())
        with pytest.raises(Forbidden):
            await lab.members.get(lab.callers[name], lab.callers["owner"].user_id)

    async def test_somebody_elses(self, lab: Lab) -> None:
        """Another organization's people are to everybody as if they did not exist, whatever is tried."""
        stranger, victim = lab.callers["stranger"], lab.callers["viewer"].user_id
        heard = []
        for id in (victim, ids.new("user"), "user_", "me"):
            for attempt in (
                lab.members.get(stranger, id),
                lab.members.change(stranger, id, MemberPatch(role="admin")),
                lab.members.remove(stranger, id),
                lab.members.transfer(stranger, id),
            ):
                with pytest.raises(NotFound) as caught:
                    await attempt
                heard.append(caught.value.message)

        assert len(set(heard)) == 1
        assert await lab.role_of("viewer") == "viewer"


class TestRoles:
    async def test_at_once(self, lab: Lab) -> None:
        """A new role counts for the next request of a session that is open, and for its keys."""
        dev = lab.callers["developer"]
        key = (await lab.accounts.create_key(dev, make_key_draft(scopes=["jobs:submit", "jobs:read"]))).key
        assert key is not None

        changed = await lab.members.change(lab.callers["admin"], dev.user_id, MemberPatch(role="viewer"))

        assert changed.role == Role.VIEWER
        now = await lab.sessions.by_access_token(lab.tokens["developer"])
        assert (now.role, now.may("jobs:submit")) == (Role.VIEWER, False)
        assert (await lab.sessions.by_api_key(key)).scopes == {"jobs:read"}
        assert "user.role_changed" in await acts(lab)

    @pytest.mark.parametrize(
        ("who", "whom", "role"),
        [
            ("admin", "admin", "owner"),
            ("admin", "viewer", "owner"),
            ("admin", "owner", "viewer"),
            ("developer", "developer", "admin"),
            ("viewer", "viewer", "owner"),
        ],
    )
    async def test_nobody_gives_what_they_lack(self, lab: Lab, who: str, whom: str, role: str) -> None:
        """An administrator makes no owners, not of themselves either, and touches none; others change nobody."""
        patch = MemberPatch.model_validate({"role": role})

        with pytest.raises(Forbidden):
            await lab.members.change(lab.callers[who], lab.callers[whom].user_id, patch)

        assert await lab.role_of(whom) == whom
        assert await acts(lab) == []

    async def test_a_key_gives_no_more_than_its_scopes(self, lab: Lab) -> None:
        """A key with nothing but users:* makes nobody a developer, although its owner could."""
        made = await lab.accounts.create_key(lab.callers["owner"], make_key_draft(scopes=["users:*"]))
        assert made.key is not None
        caller = await lab.sessions.by_api_key(made.key)

        with pytest.raises(Forbidden):
            await lab.members.change(caller, lab.callers["viewer"].user_id, MemberPatch(role="developer"))
        with pytest.raises(Forbidden):
            await lab.members.remove(caller, lab.callers["admin"].user_id)

        assert (await lab.members.listed(caller, Page())).total == 4

    async def test_authority_is_read_again(self, lab: Lab) -> None:
        """Who has just been demoted changes nobody, even if their request began before."""
        stale = lab.callers["admin"]
        await lab.members.change(lab.callers["owner"], stale.user_id, MemberPatch(role="viewer"))

        with pytest.raises(Forbidden):
            await lab.members.change(stale, lab.callers["developer"].user_id, MemberPatch(role="viewer"))

    async def test_nothing_to_change(self, lab: Lab) -> None:
        """An empty change, or one to what is so already, is fine and no act."""
        admin, dev = lab.callers["admin"], lab.callers["developer"].user_id

        await lab.members.change(admin, dev, MemberPatch())
        await lab.members.change(admin, dev, MemberPatch(role="developer", disabled=False))

        assert await acts(lab) == []


class TestOwners:
    async def test_the_last_one_stays(self, lab: Lab) -> None:
        """The only owner can neither step down nor leave; with a second one they can."""
        owner = lab.callers["owner"]
        for attempt in (
            lab.members.change(owner, owner.user_id, MemberPatch(role="admin")),
            lab.members.remove(owner, owner.user_id),
        ):
            with pytest.raises(LastOwner):
                await attempt
        await lab.members.change(owner, lab.callers["admin"].user_id, MemberPatch(role="owner"))

        await lab.members.remove(owner, owner.user_id)

        assert await lab.role_of("admin") == "owner"

    async def test_who_is_kept_out_owns_nothing(self, lab: Lab) -> None:
        """An owner who is kept out, here or on the host, does not count as the one that has to stay."""
        owner, second = lab.callers["owner"], lab.callers["admin"]
        await lab.members.change(owner, second.user_id, MemberPatch(role="owner"))
        await lab.members.change(owner, second.user_id, MemberPatch(disabled=True))
        with pytest.raises(LastOwner):
            await lab.members.change(owner, owner.user_id, MemberPatch(role="viewer"))
        await lab.members.change(owner, second.user_id, MemberPatch(disabled=False))
        await lab.accounts.disable("admin@example.org")

        with pytest.raises(LastOwner):
            await lab.members.change(owner, owner.user_id, MemberPatch(role="viewer"))

    @pytest.mark.parametrize("attempt", range(5))
    async def test_two_owners_demote_each_other(self, lab: Lab, attempt: int) -> None:
        """Of two owners who demote, keep out or remove each other at the same moment one stays an owner."""
        one, other = lab.callers["owner"], lab.callers["admin"]
        await lab.members.change(one, other.user_id, MemberPatch(role="owner"))
        acts = [
            lambda who, whom: lab.members.change(who, whom, MemberPatch(role="viewer")),
            lambda who, whom: lab.members.change(who, whom, MemberPatch(disabled=True)),
            lambda who, whom: lab.members.remove(who, whom),
        ]
        act, answer = acts[attempt % 3], acts[attempt % 2]

        ended = await asyncio.gather(act(one, other.user_id), answer(other, one.user_id), return_exceptions=True)

        left = await MembershipRow.filter(organization_id=one.organization_id, role="owner", disabled=False).count()
        assert left == 1
        assert sum(isinstance(end, QStoreError) for end in ended) == 1

    async def test_two_owners_step_down(self, lab: Lab) -> None:
        """Of two owners who both step down at the same moment one is told that they are the last."""
        one, other = lab.callers["owner"], lab.callers["admin"]
        await lab.members.change(one, other.user_id, MemberPatch(role="owner"))
        down = MemberPatch(role="admin")

        ended = await asyncio.gather(
            *(lab.members.change(who, who.user_id, down) for who in (one, other)), return_exceptions=True
        )

        assert sum(isinstance(end, LastOwner) for end in ended) == 1

    async def test_transfer(self, lab: Lab) -> None:
        """The new owner owns, the old one is an administrator, and it stands in the audit log."""
        owner, heir = lab.callers["owner"], lab.callers["developer"]

        assert (await lab.members.transfer(owner, heir.user_id)).role == Role.OWNER

        assert (await lab.role_of("owner"), await lab.role_of("developer")) == ("admin", "owner")
        assert (await lab.sessions.by_access_token(lab.tokens["owner"])).role == Role.ADMIN
        assert await acts(lab) == ["organization.transferred"]
        with pytest.raises(Forbidden):
            await lab.members.transfer(owner, lab.callers["viewer"].user_id)

    async def test_transfer_to_nobody(self, lab: Lab) -> None:
        """An organization is given neither to its owner, nor to who is kept out, nor by an administrator or a key."""
        owner, viewer = lab.callers["owner"], lab.callers["viewer"]
        with pytest.raises(Conflict):
            await lab.members.transfer(owner, owner.user_id)
        with pytest.raises(Forbidden):
            await lab.members.transfer(lab.callers["admin"], lab.callers["admin"].user_id)
        made = await lab.accounts.create_key(owner, make_key_draft(scopes=["organization:*"]))
        assert made.key is not None
        with pytest.raises(Forbidden):
            await lab.members.transfer(await lab.sessions.by_api_key(made.key), viewer.user_id)
        await lab.members.change(owner, viewer.user_id, MemberPatch(disabled=True))
        with pytest.raises(Conflict):
            await lab.members.transfer(owner, viewer.user_id)


class TestKeepingOut:
    async def test_out_and_in(self, lab: Lab) -> None:
        """Who is kept out loses token, refresh token, sign-in and keys at once; let in again they sign in anew."""
        dev, admin = lab.callers["developer"], lab.callers["admin"]
        tokens = await lab.sessions.sign_in("developer@example.org", PASSWORD, **WHERE)
        key = (await lab.accounts.create_key(dev, make_key_draft())).key
        assert key is not None
        await lab.sessions.by_api_key(key)

        assert (await lab.members.change(admin, dev.user_id, MemberPatch(disabled=True))).disabled

        for dead in (
            lab.sessions.by_access_token(tokens.access_token),
            lab.sessions.refresh(tokens.refresh_token, **WHERE),
            lab.sessions.sign_in("developer@example.org", PASSWORD, **WHERE),
            lab.sessions.by_api_key(key),
        ):
            with pytest.raises(Unauthenticated):
                await dead
        await lab.members.change(admin, dev.user_id, MemberPatch(disabled=False))
        with pytest.raises(Unauthenticated):
            await lab.sessions.by_access_token(tokens.access_token)
        assert await lab.sessions.sign_in("developer@example.org", PASSWORD, **WHERE)
        assert (await lab.sessions.by_api_key(key)).user_id == dev.user_id
        assert await acts(lab) == ["api_key.created", "user.disabled", "user.enabled"]

    async def test_not_oneself(self, lab: Lab) -> None:
        """Nobody keeps out themselves by mistake."""
        with pytest.raises(Conflict):
            await lab.members.change(lab.callers["admin"], lab.callers["admin"].user_id, MemberPatch(disabled=True))

    async def test_removed(self, lab: Lab) -> None:
        """Who is removed is out at once, their keys are revoked for good, and what they made names them still."""
        dev = lab.callers["developer"]
        made = await lab.accounts.create_key(dev, make_key_draft())
        assert made.key is not None

        await lab.members.remove(lab.callers["admin"], dev.user_id)

        for dead in (
            lab.sessions.by_access_token(lab.tokens["developer"]),
            lab.sessions.by_api_key(made.key),
            lab.sessions.sign_in("developer@example.org", PASSWORD, **WHERE),
        ):
            with pytest.raises(Unauthenticated):
                await dead
        assert (await ApiKeyRow.get(id=made.id)).revoked_at is not None
        with pytest.raises(NotFound):
            await lab.members.get(lab.callers["owner"], dev.user_id)
        people = await lab.accounts.list_users_of_installation()
        assert [(one.organization_id, one.role) for one in people if one.id == dev.user_id] == [(None, None)]

    async def test_leaving(self, lab: Lab) -> None:
        """Anybody may leave, and needs no permission for it; with a key nobody does."""
        viewer, dev = lab.callers["viewer"], lab.callers["developer"]
        made = await lab.accounts.create_key(dev, make_key_draft())
        assert made.key is not None
        with pytest.raises(Forbidden):
            await lab.members.remove(await lab.sessions.by_api_key(made.key), dev.user_id)
        with pytest.raises(Forbidden):
            await lab.members.remove(viewer, dev.user_id)

        await lab.members.remove(viewer, viewer.user_id)

        assert (await lab.members.listed(lab.callers["owner"], Page())).total == 3
