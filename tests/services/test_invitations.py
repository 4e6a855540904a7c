"""Invitations, and people with several organizations, on both databases."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import NamedTuple

import jwt
import pytest

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import UserRow
from qstore_appliance.database.tables.audit import AuditRow
from qstore_appliance.database.tables.invitations import InvitationRow
from qstore_appliance.database.tables.members import MembershipRow
from qstore_appliance.database.tables.outbox import OutboxRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller, Role
from qstore_appliance.domain.invitations import AcceptDraft, Accepted, InvitationDraft, InvitationStatus
from qstore_appliance.domain.listing import Page
from qstore_appliance.domain.members import MemberPatch
from qstore_appliance.errors import Conflict, Forbidden, Gone, NotFound, Unauthenticated, ValidationFailed
from qstore_appliance.services import invitations as module
from qstore_appliance.services.accounts import Accounts
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.costs import Costs
from qstore_appliance.services.invitations import Invitations
from qstore_appliance.services.members import Members
from qstore_appliance.services.notices import Notices
from qstore_appliance.services.organizations import Organizations
from qstore_appliance.services.passwords import Passwords
from qstore_appliance.services.seals import Stamp
from qstore_appliance.services.sessions import Sessions
from qstore_appliance.services.sign_ins import SignIns
from qstore_appliance.services.storage import Storage
from qstore_appliance.settings import Settings, Smtp
from tests.factories import PASSWORD, SteppingClock, ThreadCalculator, make_key_draft
from tests.services.conftest import SECRET

HERE = "192.0.2.7"
WHERE = {"address": HERE, "agent": "pytest"}
STAMP = Stamp(SECRET, "invitations")
NEW = "a phrase of Grace's own"


class Lab(NamedTuple):
    """Two organizations: `owner`, `admin` and `developer` of the first, `eve` who owns the second."""

    invitations: Invitations
    organizations: Organizations
    members: Members
    accounts: Accounts
    sessions: Sessions
    callers: dict[str, Caller]

    async def invite(self, email: str = "grace@example.org", role: str = "developer", by: str = "admin") -> str:
        """The token of a new invitation's link."""
        draft = InvitationDraft.model_validate({"email": email, "role": role})
        made = await self.invitations.create(self.callers[by], draft)
        assert made.link is not None
        return made.link.partition("#")[2]

    async def accept(self, token: str, **fields: str) -> Accepted:
        return await self.invitations.accept(AcceptDraft(token=token, **fields), address=HERE)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """An installation that sends mail."""
    return dataclasses.replace(settings, smtp=Smtp(host="localhost", tls="none", sender="lab@example.org"))


@pytest.fixture
async def lab(
    database: Database,
    clock: SteppingClock,
    passwords: Passwords,
    sign_ins: SignIns,
    notices: Notices,
    accounts: Accounts,
    sessions: Sessions,
    settings: Settings,
) -> Lab:
    callers = {}
    for name, home in (("owner", "Lab"), ("admin", "Lab"), ("developer", "Lab"), ("eve", "Elsewhere")):
        role = "owner" if name == "eve" else name
        await accounts.create_user(f"{name}@example.org", home, role, PASSWORD)
        tokens = await sessions.sign_in(f"{name}@example.org", PASSWORD, **WHERE)
        callers[name] = await sessions.by_access_token(tokens.access_token)
    made = Invitations(
        database,
        clock,
        passwords,
        sign_ins,
        notices,
        accounts.callers,
        STAMP,
        lambda id: f"https://lab.example/app/invitation#{STAMP.on(id)}",
        settings,
    )
    members = Members(database, clock, accounts.callers)
    backends = Backends(database, ThreadCalculator(), settings, clock, Costs(database, clock))
    organizations = Organizations(database, clock, sessions, backends, Storage(database, settings))
    return Lab(made, organizations, members, accounts, sessions, callers)


class TestInviting:
    async def test_link_is_shown_once(self, lab: Lab) -> None:
        """The link is in the answer that makes it; list, database and outbox hold nothing that opens it."""
        token = await lab.invite()

        (listed,) = (await lab.invitations.listed(lab.callers["admin"], Page())).items

        assert (listed.email, listed.role, listed.status) == (
            "grace@example.org",
            Role.DEVELOPER,
            InvitationStatus.PENDING,
        )
        assert (listed.link, listed.mailed) == (None, True)
        secret = token.partition(".")[2]
        letter = await OutboxRow.get(event="account.invited")
        assert letter.destination == "grace@example.org"
        assert secret not in str(letter.payload)
        assert secret not in str(dict(await InvitationRow.get(id=listed.id)))

    @pytest.mark.parametrize(("by", "role"), [("admin", "owner"), ("developer", "viewer")])
    async def test_nobody_invites_to_more_than_they_have(self, lab: Lab, by: str, role: str) -> None:
        """An administrator invites no owner, a developer nobody."""
        with pytest.raises(Forbidden):
            await lab.invite(role=role, by=by)

        assert await InvitationRow.all().count() == 0

    async def test_a_key_invites_to_no_more_than_its_scopes(self, lab: Lab) -> None:
        """A key that may invite, and nothing else, makes nobody a developer."""
        made = await lab.accounts.create_key(lab.callers["owner"], make_key_draft(scopes=["users:invite"]))
        assert made.key is not None
        key = await lab.sessions.by_api_key(made.key)

        with pytest.raises(Forbidden):
            await lab.invitations.create(key, InvitationDraft(email="g@example.org", role="developer"))

    async def test_members_are_not_invited(self, lab: Lab) -> None:
        """Who belongs already, kept out or not, is no guest."""
        with pytest.raises(Conflict):
            await lab.invite("developer@example.org")
        developer = lab.callers["developer"].user_id
        await lab.members.change(lab.callers["admin"], developer, MemberPatch(disabled=True))
        with pytest.raises(Conflict):
            await lab.invite("developer@example.org")

    async def test_a_newer_link_replaces_the_older(self, lab: Lab) -> None:
        """Of two links for one address only the newer is good."""
        first, second = await lab.invite(), await lab.invite(role="viewer")

        with pytest.raises(Gone):
            await lab.invitations.offer(first)

        assert (await lab.invitations.offer(second)).role == Role.VIEWER

    async def test_so_many_and_no_more(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """An organization has so many links waiting; a revoked one makes room."""
        monkeypatch.setattr(module, "MAX_PENDING", 1)
        await lab.invite()
        with pytest.raises(Conflict):
            await lab.invite("other@example.org")
        (waiting,) = (await lab.invitations.listed(lab.callers["admin"], Page())).items

        await lab.invitations.revoke(lab.callers["admin"], waiting.id)

        assert await lab.invite("other@example.org")

    async def test_of_another_organization(self, lab: Lab) -> None:
        """Others neither see nor revoke it: it is not found, like one that there is not."""
        await lab.invite()
        (row,) = (await lab.invitations.listed(lab.callers["admin"], Page())).items

        for id in (row.id, ids.new("invite"), "x"):
            with pytest.raises(NotFound, match="No invitation with this id"):
                await lab.invitations.revoke(lab.callers["eve"], id)

        assert (await lab.invitations.listed(lab.callers["eve"], Page())).total == 0


class TestAccepting:
    async def test_somebody_new(self, lab: Lab) -> None:
        """A new account is made, with the role that was offered and no right beside it; it can sign in."""
        token = await lab.invite()
        offer = await lab.invitations.offer(token)
        assert (offer.organization, offer.email, offer.role) == ("Lab", "grace@example.org", Role.DEVELOPER)

        accepted = await lab.accept(token, name="Grace", password=NEW)

        tokens = await lab.sessions.sign_in("grace@example.org", NEW, **WHERE)
        grace = await lab.sessions.by_access_token(tokens.access_token)
        assert (grace.user_id, grace.role, grace.operator) == (accepted.user_id, Role.DEVELOPER, False)
        assert grace.organization_id == accepted.organization_id == lab.callers["admin"].organization_id
        assert (await lab.members.get(lab.callers["admin"], grace.user_id)).name == "Grace"
        actions = await AuditRow.filter(chain=grace.organization_id).values_list("action", flat=True)
        assert {"invitation.created", "user.created", "invitation.accepted"} <= set(actions)

    async def test_once(self, lab: Lab) -> None:
        """A link that was accepted is gone, for its guest and for everybody."""
        token = await lab.invite()
        await lab.accept(token, password=NEW)

        for again in (lab.accept(token, password=NEW), lab.accept(token, password="other password 1")):
            with pytest.raises(Gone):
                await again
        with pytest.raises(Gone):
            await lab.invitations.offer(token)

    async def test_once_at_the_same_moment(self, lab: Lab) -> None:
        """Of several who accept at the same moment one does, and there is one account."""
        token = await lab.invite()

        ended = await asyncio.gather(
            *(lab.accept(token, password=f"{NEW} {n}") for n in range(4)), return_exceptions=True
        )

        assert sum(isinstance(end, Accepted) for end in ended) == 1
        assert all(isinstance(end, Accepted | Gone | Conflict | Unauthenticated) for end in ended)
        assert await UserRow.filter(email="grace@example.org").count() == 1

    async def test_too_late(self, lab: Lab, clock: SteppingClock) -> None:
        """Links that are older than a week, revoked or made up are all gone, and say the same."""
        token, other = await lab.invite(), await lab.invite("other@example.org")
        (row,) = (await lab.invitations.listed(lab.callers["admin"], Page(limit=1, sort="email"))).items
        await lab.invitations.revoke(lab.callers["admin"], row.id)
        clock.advance(days=7, seconds=1)
        made_up = f"{ids.new('invite')}.{'A' * 43}"
        forged = f"{other.partition('.')[0]}.{'A' * 43}"

        for bad in (token, other, made_up, forged, "", "x", "\ud800", other + "A"):
            with pytest.raises(Gone):
                await lab.invitations.offer(bad)

    async def test_bad_password_leaves_the_link(self, lab: Lab) -> None:
        """A password that is none or easy to guess is refused, and the link stays good."""
        token = await lab.invite()
        for password in ("", "short", "password", "grace@example.org"):
            with pytest.raises(ValidationFailed):
                await lab.accept(token, password=password)

        assert await lab.accept(token, password=NEW)

    async def test_somebody_with_an_account(self, lab: Lab) -> None:
        """An address that has an account joins with that account's password, or signed in as it, and with no other."""
        token = await lab.invite("eve@example.org")
        with pytest.raises(Unauthenticated):
            await lab.accept(token, password=NEW)
        with pytest.raises(Forbidden):
            await lab.invitations.join(lab.callers["owner"], token)
        made = await lab.accounts.create_key(lab.callers["eve"], make_key_draft(scopes=["users:*"]))
        assert made.key is not None
        with pytest.raises(Forbidden):
            await lab.invitations.join(await lab.sessions.by_api_key(made.key), token)

        accepted = await lab.accept(token, password=PASSWORD)

        assert accepted.user_id == lab.callers["eve"].user_id
        assert await MembershipRow.filter(user_id=accepted.user_id).count() == 2
        # What she is at home has not changed.
        assert (await MembershipRow.get(user_id=accepted.user_id, role="owner")).organization_id == lab.callers[
            "eve"
        ].organization_id

    async def test_signed_in(self, lab: Lab) -> None:
        """Whoever is signed in under the invited address needs no password."""
        token = await lab.invite("eve@example.org", "viewer")

        assert (await lab.invitations.join(lab.callers["eve"], token)).role == Role.VIEWER

    async def test_somebody_who_was_removed(self, lab: Lab) -> None:
        """Somebody who belongs nowhere any more cannot sign in, and comes back with their old password."""
        developer = lab.callers["developer"]
        await lab.members.remove(lab.callers["admin"], developer.user_id)
        token = await lab.invite("developer@example.org", "viewer")

        accepted = await lab.accept(token, password=PASSWORD)

        assert accepted.user_id == developer.user_id
        tokens = await lab.sessions.sign_in("developer@example.org", PASSWORD, **WHERE)
        assert (await lab.sessions.by_access_token(tokens.access_token)).role == Role.VIEWER

    async def test_who_invited_may_no_longer(self, lab: Lab) -> None:
        """A link gives nothing once whoever made it was demoted, kept out or removed."""
        owner, admin = lab.callers["owner"], lab.callers["admin"]
        token = await lab.invite(role="admin")
        await lab.members.change(owner, admin.user_id, MemberPatch(role="developer"))
        with pytest.raises(Gone):
            await lab.accept(token, password=NEW)
        await lab.members.change(owner, admin.user_id, MemberPatch(role="admin", disabled=True))
        with pytest.raises(Gone):
            await lab.accept(token, password=NEW)
        assert not await UserRow.exists(email="grace@example.org")
        await lab.members.change(owner, admin.user_id, MemberPatch(disabled=False))

        assert await lab.accept(token, password=NEW)


class TestSeveral:
    @pytest.fixture
    async def eve(self, lab: Lab) -> Caller:
        """Somebody of both organizations, signed in to her own."""
        await lab.invitations.join(lab.callers["eve"], await lab.invite("eve@example.org", "viewer"))
        return lab.callers["eve"]

    async def test_mine(self, lab: Lab, eve: Caller) -> None:
        """One sees one's organizations, what one is in each, and where one is."""
        found = await lab.organizations.mine(eve)

        assert [(one.name, one.role, one.current) for one in found] == [
            ("Elsewhere", Role.OWNER, True),
            ("Lab", Role.VIEWER, False),
        ]

    async def test_switch(self, lab: Lab, eve: Caller) -> None:
        """The new tokens say and mean the other organization and role; the old session is over."""
        home = lab.callers["admin"].organization_id

        tokens = await lab.organizations.switch(eve, home, **WHERE)

        claims = jwt.decode(tokens.access_token, options={"verify_signature": False})
        assert (claims["org_id"], claims["role"]) == (home, "viewer")
        there = await lab.sessions.by_access_token(tokens.access_token)
        assert (there.organization_id, there.role, there.user_id) == (home, Role.VIEWER, eve.user_id)
        assert not there.may("users:read")
        with pytest.raises(Unauthenticated):
            await lab.organizations.switch(eve, home, **WHERE)
        renewed = await lab.sessions.refresh(tokens.refresh_token, **WHERE)
        assert (await lab.sessions.by_access_token(renewed.access_token)).organization_id == home
        # Signing in leads to where one was last.
        anew = await lab.sessions.sign_in("eve@example.org", PASSWORD, **WHERE)
        assert (await lab.sessions.by_access_token(anew.access_token)).organization_id == home

    async def test_switch_of_a_cookie(self, lab: Lab, eve: Caller) -> None:
        """The dashboard's session switches to a new cookie; tokens are not for it."""
        old, caller = await lab.sessions.sign_in_cookie("eve@example.org", PASSWORD, **WHERE)
        home = eve.organization_id
        with pytest.raises(Conflict):
            await lab.organizations.switch(caller, home, **WHERE)

        value, there = await lab.organizations.switch_cookie(caller, home, **WHERE)

        assert (there.organization_id, there.role) == (home, Role.OWNER)
        assert (await lab.sessions.by_cookie(value)).organization_id == home
        with pytest.raises(Unauthenticated):
            await lab.sessions.by_cookie(old)

    async def test_nowhere_else(self, lab: Lab, eve: Caller) -> None:
        """One switches to no organization that one does not belong to, or is kept out of; a key stays where it is."""
        nobody = lab.callers["developer"]
        made = await lab.accounts.create_key(eve, make_key_draft(scopes=["users:*"]))
        assert made.key is not None
        key = await lab.sessions.by_api_key(made.key)
        home = lab.callers["admin"].organization_id
        with pytest.raises(Forbidden):
            await lab.organizations.switch(key, home, **WHERE)
        assert [one.name for one in await lab.organizations.mine(key)] == ["Elsewhere"]
        await lab.members.change(lab.callers["admin"], eve.user_id, MemberPatch(disabled=True))
        for who, where in ((nobody, eve.organization_id), (nobody, ids.new("org")), (eve, home), (eve, "")):
            with pytest.raises(NotFound, match="No organization with this id"):
                await lab.organizations.switch(who, where, **WHERE)

    async def test_own_sessions_everywhere(self, lab: Lab, eve: Caller) -> None:
        """One sees and ends one's own sessions in every organization; administrators those in their own alone."""
        there = await lab.sessions.sign_in("eve@example.org", PASSWORD, **WHERE)
        in_lab = await lab.sessions.by_access_token(there.access_token)
        assert in_lab.organization_id != eve.organization_id
        assert in_lab.session_id is not None
        assert eve.session_id is not None
        admin = lab.callers["admin"]

        own = await lab.sessions.listed(eve, Page(sort="created_at"))
        seen = await lab.sessions.listed(admin, Page(sort="created_at"), eve.user_id)

        assert {one.id for one in own.items} == {eve.session_id, in_lab.session_id}
        assert {one.id for one in seen.items} == {in_lab.session_id}
        with pytest.raises(NotFound):
            await lab.sessions.end(admin, eve.session_id)
        await lab.sessions.end(eve, in_lab.session_id)
        with pytest.raises(Unauthenticated):
            await lab.sessions.by_access_token(there.access_token)

    async def test_kept_out_of_one(self, lab: Lab, eve: Caller) -> None:
        """Who is kept out of one organization goes on in the other."""
        tokens = await lab.sessions.sign_in("eve@example.org", PASSWORD, **WHERE)
        await lab.members.remove(lab.callers["admin"], eve.user_id)

        with pytest.raises(Unauthenticated):
            await lab.sessions.by_access_token(tokens.access_token)

        again = await lab.sessions.sign_in("eve@example.org", PASSWORD, **WHERE)
        assert (await lab.sessions.by_access_token(again.access_token)).organization_id == eve.organization_id
