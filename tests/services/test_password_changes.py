"""New passwords on both databases: changed by their owner, and by a link."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.audit import AuditRow
from qstore_appliance.database.tables.outbox import OutboxRow
from qstore_appliance.database.tables.sign_in import PasswordResetRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller, Tokens, User
from qstore_appliance.errors import Forbidden, Gone, RateLimited, Refused, Unauthenticated, ValidationFailed
from qstore_appliance.services.accounts import Accounts
from qstore_appliance.services.notices import Notices
from qstore_appliance.services.password_changes import PasswordChanges
from qstore_appliance.services.passwords import Passwords
from qstore_appliance.services.seals import Stamp
from qstore_appliance.services.sessions import Sessions
from qstore_appliance.services.sign_ins import SignIns
from qstore_appliance.settings import Settings, Smtp
from tests.factories import PASSWORD, SteppingClock, make_caller
from tests.services.conftest import SECRET

HERE = "192.0.2.7"
WHERE = {"address": HERE, "agent": "pytest"}
NEW = "a brand new password"
STAMP = Stamp(SECRET, "password resets")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """An installation that sends mail."""
    return dataclasses.replace(settings, smtp=Smtp(host="localhost", tls="none", sender="lab@example.org"))


@pytest_asyncio.fixture
async def changes(
    database: Database,
    clock: SteppingClock,
    passwords: Passwords,
    sign_ins: SignIns,
    notices: Notices,
    accounts: Accounts,
    settings: Settings,
) -> AsyncIterator[PasswordChanges]:
    made = PasswordChanges(database, clock, passwords, sign_ins, notices, accounts.callers, STAMP, settings)
    yield made
    await made.close()


@pytest.fixture
async def owner(accounts: Accounts) -> User:
    return await accounts.create_owner("ada@example.org", PASSWORD, "Analytical Engines")


@pytest.fixture
async def caller(sessions: Sessions, owner: User) -> Caller:
    _, caller = await sessions.sign_in_cookie(owner.email, PASSWORD, **WHERE)
    return caller


async def link(changes: PasswordChanges, email: str, address: str = HERE) -> str | None:
    """The token of the link that is mailed, if one is."""
    before = await OutboxRow.filter(event="account.password_reset").count()
    await changes.ask(email, address)
    await changes.close()
    letters = await OutboxRow.filter(event="account.password_reset").order_by("-id")
    if len(letters) == before:
        return None
    assert letters[0].destination == email.strip().lower()
    return STAMP.on(letters[0].payload["data"]["reset"])


class TestChange:
    async def test_change(self, changes: PasswordChanges, sessions: Sessions, owner: User, caller: Caller) -> None:
        """The new password counts at once, other sessions end, the one that asks goes on, and the user is told."""
        tokens = await sessions.sign_in(owner.email, PASSWORD, **WHERE)

        await changes.change(caller, PASSWORD, NEW, HERE)

        assert await sessions.sign_in(owner.email, NEW, **WHERE)
        with pytest.raises(Unauthenticated):
            await sessions.sign_in(owner.email, PASSWORD, **WHERE)
        with pytest.raises(Unauthenticated):
            await sessions.by_access_token(tokens.access_token)
        with pytest.raises(Unauthenticated):
            await sessions.refresh(tokens.refresh_token, **WHERE)
        assert (await OutboxRow.get()).event == "account.password_changed"
        told = await AuditRow.get(action="user.password_changed")
        assert (told.actor, told.subject, told.details) == (owner.email, owner.id, '{"by_link":false}')

    async def test_the_present_one_is_needed(self, changes: PasswordChanges, caller: Caller) -> None:
        """A stolen session does not get a password, however often it tries."""
        for _ in range(10):
            with pytest.raises(ValidationFailed) as refused:
                await changes.change(caller, "wrong password", NEW, HERE)

        assert refused.value.details["errors"][0]["field"] == "current_password"
        with pytest.raises(RateLimited):
            await changes.change(caller, PASSWORD, NEW, HERE)

    @pytest.mark.parametrize("bad", ["short", "password123", "aaaaaaaaaaaa", "ada@example.org", "x" * 257])
    async def test_easy_ones(self, changes: PasswordChanges, caller: Caller, bad: str) -> None:
        """What is guessed first is refused, naming the field."""
        with pytest.raises(ValidationFailed) as refused:
            await changes.change(caller, PASSWORD, bad, HERE)

        assert refused.value.details["errors"][0]["field"] == "password"

    async def test_keys(self, changes: PasswordChanges, owner: User) -> None:
        """An API key changes nobody's password."""
        key = make_caller(user_id=owner.id, organization_id=owner.organization_id, key_id=ids.new("key"))

        with pytest.raises(Forbidden):
            await changes.change(key, PASSWORD, NEW, HERE)


class TestLinks:
    async def test_a_link_works_once(
        self, changes: PasswordChanges, sessions: Sessions, owner: User, caller: Caller
    ) -> None:
        """It sets a password, ends every session, and is worth nothing afterwards."""
        cookie, _ = await sessions.sign_in_cookie(owner.email, PASSWORD, **WHERE)
        token = await link(changes, " Ada@Example.org ")
        assert token is not None

        await changes.reset(token, NEW)

        assert await sessions.sign_in(owner.email, NEW, **WHERE)
        with pytest.raises(Unauthenticated):
            await sessions.by_cookie(cookie)
        with pytest.raises(Gone):
            await changes.reset(token, "yet another password")
        assert (await AuditRow.get(action="user.password_changed")).details == '{"by_link":true}'

    async def test_two_at_once(self, changes: PasswordChanges, sessions: Sessions, owner: User) -> None:
        """Of two who use a link at the same moment one wins."""
        token = await link(changes, owner.email)
        assert token is not None

        answers: list[Any] = await asyncio.gather(
            changes.reset(token, NEW), changes.reset(token, "yet another password"), return_exceptions=True
        )

        assert sorted(type(answer).__name__ for answer in answers) == ["Gone", "NoneType"]

    async def test_strangers(self, changes: PasswordChanges, accounts: Accounts, owner: User) -> None:
        """Who does not exist, or is disabled, gets no mail, and whoever asked hears nothing of it."""
        await accounts.create_user("gone@example.org", "Lab", "viewer", PASSWORD)
        await accounts.disable("gone@example.org")

        for email in ("no@example.org", "gone@example.org", "\x00", "\ud800", "' OR 1=1 --"):
            assert await link(changes, email) is None

    async def test_time(self, changes: PasswordChanges, owner: User, clock: SteppingClock) -> None:
        """After half an hour a link is too old."""
        token = await link(changes, owner.email)
        assert token is not None
        clock.advance(minutes=30)

        with pytest.raises(Gone):
            await changes.reset(token, NEW)

    async def test_easy_passwords_leave_the_link(self, changes: PasswordChanges, owner: User) -> None:
        """A refused password spends nothing."""
        token = await link(changes, owner.email)
        assert token is not None
        with pytest.raises(ValidationFailed):
            await changes.reset(token, "password123")

        await changes.reset(token, NEW)

    async def test_a_new_password_ends_older_links(
        self, changes: PasswordChanges, accounts: Accounts, owner: User, caller: Caller
    ) -> None:
        """Whoever changes their password, by page, link or host, leaves no link behind."""
        first, second = await link(changes, owner.email), await link(changes, owner.email)
        assert first is not None
        assert second is not None
        await changes.reset(second, NEW)
        third = await link(changes, owner.email)
        await changes.change(caller, NEW, PASSWORD, HERE)
        fourth = await link(changes, owner.email)
        await accounts.reset_password(owner.email, NEW)

        for token in (first, third, fourth):
            assert token is not None
            with pytest.raises(Gone):
                await changes.reset(token, "yet another password")

    async def test_forged(self, changes: PasswordChanges, owner: User) -> None:
        """Who reads the database, or makes up a token, has no link."""
        await link(changes, owner.email)
        row = await PasswordResetRow.get()
        theirs = Stamp(b"y" * 32, "password resets").on(row.id)

        for token in (row.id, f"{row.id}.", theirs, "", ".", "\ud800.\ud800", STAMP.on(ids.new("reset")), "x" * 200):
            with pytest.raises(Gone):
                await changes.reset(token, NEW)

    async def test_a_full_mailbox(self, changes: PasswordChanges, owner: User, clock: SteppingClock) -> None:
        """Five links an hour, wherever they are asked for; one address is told, and the others see no difference."""
        for number in range(5):
            assert await link(changes, owner.email)
            assert await link(changes, f"no{number}@example.org") is None

        with pytest.raises(RateLimited):
            await changes.ask(owner.email, HERE)
        assert await link(changes, owner.email, "198.51.100.1") is None
        clock.advance(hours=1, seconds=1)
        assert await link(changes, owner.email, "198.51.100.1")

    async def test_nothing_secret_is_kept(self, changes: PasswordChanges, owner: User) -> None:
        """Neither the outbox nor the table has what makes a link."""
        token = await link(changes, owner.email)
        assert token is not None
        secret = token.partition(".")[2]

        letter = await OutboxRow.get()
        assert secret not in str(letter.payload)
        assert secret not in str(await PasswordResetRow.all().values())

    async def test_without_mail(
        self, changes: PasswordChanges, settings: Settings, owner: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where no mail is sent, everybody hears so."""
        monkeypatch.setattr(changes._notices, "_settings", dataclasses.replace(settings, smtp=Smtp()))

        for email in (owner.email, "no@example.org"):
            with pytest.raises(Refused):
                await changes.ask(email, HERE)


async def test_reuse_is_told(sessions: Sessions, owner: User, clock: SteppingClock) -> None:
    """Whose refresh token is used twice hears of it, with the address that it came from."""
    tokens: Tokens = await sessions.sign_in(owner.email, PASSWORD, **WHERE)
    await sessions.refresh(tokens.refresh_token, **WHERE)
    clock.advance(seconds=3)

    with pytest.raises(Unauthenticated):
        await sessions.refresh(tokens.refresh_token, address="198.51.100.66", agent="x")

    letter = await OutboxRow.get()
    assert (letter.event, letter.destination) == ("account.refresh_token_reused", owner.email)
    assert letter.payload["data"] == {"address": "198.51.100.66"}
