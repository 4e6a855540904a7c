"""Sign-in through a provider, on both databases: who somebody there is here."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import UserRow
from qstore_appliance.database.tables.audit import AuditRow
from qstore_appliance.database.tables.outbox import OutboxRow
from qstore_appliance.database.tables.sign_in import IdentityRow
from qstore_appliance.deliveries.provider import Provider
from qstore_appliance.domain.accounts import User
from qstore_appliance.domain.listing import Page
from qstore_appliance.errors import Forbidden, NotFound, Unauthenticated, Unavailable
from qstore_appliance.services.accounts import Accounts
from qstore_appliance.services.identities import Arrival, Identities
from qstore_appliance.services.notices import Notices
from qstore_appliance.services.sessions import Sessions
from qstore_appliance.settings import Settings, Smtp
from tests.factories import PASSWORD, SteppingClock, make_key_draft
from tests.providers import LoopbackProvider, providing
from tests.servers import free_port
from tests.services.conftest import SECRET

HOME = "http://127.0.0.1:8000/app/provider/callback"
WHERE = {"address": "192.0.2.7", "agent": "pytest"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """An installation that sends mail."""
    return dataclasses.replace(settings, smtp=Smtp(host="localhost", tls="none", sender="lab@example.org"))


@pytest.fixture
def lab() -> Iterator[LoopbackProvider]:
    with providing() as server:
        yield server


@pytest.fixture
def identities(
    database: Database, clock: SteppingClock, lab: LoopbackProvider, sessions: Sessions, notices: Notices
) -> Identities:
    return Identities(database, clock, Provider(lab.settings, HOME), sessions, notices, SECRET)


@pytest.fixture
async def owner(accounts: Accounts) -> User:
    return await accounts.create_owner("ada@example.org", PASSWORD, "Analytical Engines")


async def round_trip(identities: Identities, lab: LoopbackProvider, **user: object) -> Arrival:
    """Somebody goes to the provider, signs in there as this user, and comes back."""
    lab.user |= user
    address, carried = await identities.depart("/app/models")
    return await identities.arrive(carried, **lab.visited(address), issuer=None, **WHERE)


async def test_somebody_comes_back(
    identities: Identities, lab: LoopbackProvider, sessions: Sessions, owner: User
) -> None:
    """They are who they are here, with a session of their own, on the page that they wanted, and hear of the first time."""
    arrival = await round_trip(identities, lab)
    again = await round_trip(identities, lab)

    assert (arrival.caller.user_id, arrival.target) == (owner.id, "/app/models")
    assert await sessions.by_cookie(arrival.cookie) == arrival.caller
    assert again.caller.user_id == owner.id
    assert {session.method for session in (await sessions.listed(again.caller, Page())).items} == {"provider"}
    assert [letter.event for letter in await OutboxRow.all()] == ["account.provider_linked"]
    assert (await AuditRow.get(action="identity.linked")).actor == owner.email


async def test_the_second_time_the_address_says_nothing(
    identities: Identities, lab: LoopbackProvider, accounts: Accounts, owner: User
) -> None:
    """Who is known is known by the provider's name for them, whatever address they have there now."""
    eve = await accounts.create_user("eve@example.org", "Difference Engines", "viewer", PASSWORD)
    await round_trip(identities, lab)

    moved = await round_trip(identities, lab, email="eve@example.org")

    assert moved.caller.user_id == owner.id != eve.id


async def test_an_address_that_changed_hands(identities: Identities, lab: LoopbackProvider, owner: User) -> None:
    """Whoever gets somebody's old address at the provider does not get their account here."""
    await round_trip(identities, lab)

    with pytest.raises(Forbidden):
        await round_trip(identities, lab, sub="the-new-ada")

    assert await IdentityRow.all().count() == 1


@pytest.mark.parametrize(
    "user", [{"email": "no@example.org"}, {"email_verified": False}, {"email": None}, {"email": "ada@example.org\x00"}]
)
async def test_strangers(identities: Identities, lab: LoopbackProvider, owner: User, user: dict[str, object]) -> None:
    """Without an account of a verified address nobody comes in, and none is made."""
    with pytest.raises(Forbidden):
        await round_trip(identities, lab, **user)

    assert await IdentityRow.all().count() == 0
    assert (await AuditRow.get(action="session.refused")).chain == "installation"


async def test_disabled(identities: Identities, lab: LoopbackProvider, accounts: Accounts, owner: User) -> None:
    """Who is kept out here is kept out, whatever the provider says, before the first time and after it."""
    await accounts.create_user("eve@example.org", "Lab", "viewer", PASSWORD)
    await round_trip(identities, lab)
    for email, subject in (("ada@example.org", "ada-at-the-lab"), ("eve@example.org", "eve-at-the-lab")):
        await accounts.disable(email)
        with pytest.raises(Forbidden):
            await round_trip(identities, lab, email=email, sub=subject)


async def test_whoever_was_there_first(
    identities: Identities, lab: LoopbackProvider, sessions: Sessions, accounts: Accounts, owner: User
) -> None:
    """An account that somebody made with an invitation's link, for an address of another's, is that one's alone once the
    provider vouches for them: password, sessions and keys of before are worth nothing. Other accounts keep theirs."""
    await UserRow.filter(id=owner.id).update(email_proven=False)
    tokens = await sessions.sign_in("ada@example.org", PASSWORD, **WHERE)
    caller = await sessions.by_access_token(tokens.access_token)
    key = (await accounts.create_key(caller, make_key_draft())).key
    assert key is not None

    arrival = await round_trip(identities, lab)

    accounts.callers.changed(owner.id)
    for dead in (
        sessions.sign_in("ada@example.org", PASSWORD, **WHERE),
        sessions.sign_in("ada@example.org", "nobody has this password", **WHERE),
        sessions.by_access_token(tokens.access_token),
        sessions.refresh(tokens.refresh_token, **WHERE),
        sessions.by_api_key(key),
    ):
        with pytest.raises(Unauthenticated):
            await dead
    assert (await sessions.by_cookie(arrival.cookie)).user_id == owner.id
    await accounts.create_user("eve@example.org", "Lab", "viewer", PASSWORD)
    await round_trip(identities, lab, email="eve@example.org", sub="eve-at-the-lab")
    assert await sessions.sign_in("eve@example.org", PASSWORD, **WHERE)


async def test_journeys(identities: Identities, lab: LoopbackProvider, owner: User, clock: SteppingClock) -> None:
    """A browser comes back with its own journey, in time, or with nothing."""
    address, carried = await identities.depart("/app/jobs")
    _, another = await identities.depart("/app/jobs")
    brought = lab.visited(address)

    for cookie, state in ((another, brought["state"]), (carried, "x"), (carried, "\ud800"), ("x", brought["state"])):
        with pytest.raises(Unauthenticated):
            await identities.arrive(cookie, state=state, code=brought["code"], issuer=None, **WHERE)
    clock.advance(minutes=10, seconds=1)
    with pytest.raises(Unauthenticated):
        await identities.arrive(carried, **brought, issuer=None, **WHERE)


async def test_instead_of(identities: Identities, lab: LoopbackProvider, sessions: Sessions, owner: User) -> None:
    """The session that the browser had before ends."""
    value, before = await sessions.sign_in_cookie(owner.email, PASSWORD, **WHERE)
    address, carried = await identities.depart("/app/jobs")

    await identities.arrive(carried, **lab.visited(address), issuer=None, instead_of=before, **WHERE)

    with pytest.raises(Unauthenticated):
        await sessions.by_cookie(value)


async def test_a_provider_that_is_away(
    database: Database, clock: SteppingClock, lab: LoopbackProvider, sessions: Sessions, notices: Notices
) -> None:
    """Then the answer says so, and that it may pass; without a provider there is no such way in."""
    away = Provider(dataclasses.replace(lab.settings, issuer=f"http://127.0.0.1:{free_port()}"), HOME)
    with pytest.raises(Unavailable):
        await Identities(database, clock, away, sessions, notices, SECRET).depart("/app/jobs")

    none = Identities(database, clock, None, sessions, notices, SECRET)
    assert not none.offered
    with pytest.raises(NotFound):
        await none.depart("/app/jobs")
