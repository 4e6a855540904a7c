"""Set-up, users, profiles and API keys, on both databases."""

from __future__ import annotations

import asyncio

import pytest

from qstore_appliance.database.tables.accounts import ApiKeyRow, SetupRow, UserRow
from qstore_appliance.domain.accounts import Caller, ProfilePatch, Role, User
from qstore_appliance.domain.listing import Page
from qstore_appliance.errors import (
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    RateLimited,
    Refused,
    Unauthenticated,
    ValidationFailed,
)
from qstore_appliance.services import keys
from qstore_appliance.services.accounts import Accounts
from qstore_appliance.services.passwords import Passwords, check_password
from qstore_appliance.services.sessions import Sessions
from tests.factories import PASSWORD, SteppingClock, make_caller, make_key_draft, make_setup_draft


def as_caller(user: User, **overrides: object) -> Caller:
    return make_caller(user.role, user_id=user.id, organization_id=user.organization_id, email=user.email, **overrides)


async def make_owner(accounts: Accounts) -> User:
    return await accounts.create_owner("ada@example.org", PASSWORD, "Analytical Engines")


class TestSetup:
    async def test_first_owner_is_operator(self, accounts: Accounts) -> None:
        """The one-time token makes an owner who is also the operator, and the installation is no longer empty."""
        assert await accounts.has_users() is False

        token = await accounts.issue_setup_token()
        user = await accounts.setup(make_setup_draft(token))

        assert (user.role, user.operator, user.email) == (Role.OWNER, True, "ada@example.org")
        assert await accounts.has_users() is True
        assert await accounts.issue_setup_token() is None

    async def test_token_is_stored_as_a_hash(self, accounts: Accounts) -> None:
        """Who reads the database cannot set the appliance up."""
        token = await accounts.issue_setup_token()

        row = await SetupRow.get()

        assert token not in (row.id, row.token_hash)
        assert len(row.token_hash) == 64

    async def test_wrong_token(self, accounts: Accounts) -> None:
        """A guess is refused, and the right token still works afterwards."""
        token = await accounts.issue_setup_token()

        with pytest.raises(Unauthenticated):
            await accounts.setup(make_setup_draft("guess"))

        assert await accounts.setup(make_setup_draft(token))

    async def test_token_expires(self, accounts: Accounts, clock: SteppingClock) -> None:
        """After fifteen minutes the token is worth nothing."""
        token = await accounts.issue_setup_token()
        clock.advance(minutes=15)

        with pytest.raises(Unauthenticated):
            await accounts.setup(make_setup_draft(token))

    async def test_new_token_replaces_the_old(self, accounts: Accounts) -> None:
        """A restart prints another token, and only that one is good."""
        old, new = await accounts.issue_setup_token(), await accounts.issue_setup_token()

        with pytest.raises(Unauthenticated):
            await accounts.setup(make_setup_draft(old))

        assert await accounts.setup(make_setup_draft(new))

    async def test_parallel_setups(self, accounts: Accounts) -> None:
        """Of eight people with the right token one becomes owner, the others collide, and later ones find it gone."""
        token = await accounts.issue_setup_token()
        drafts = [make_setup_draft(token, email=f"user{n}@example.org") for n in range(8)]

        answers = await asyncio.gather(*(accounts.setup(draft) for draft in drafts), return_exceptions=True)

        assert [type(answer) for answer in answers].count(User) == 1
        # Who comes so late that the owner is there already finds it gone.
        assert Conflict in {type(answer) for answer in answers} <= {User, Conflict, Gone}
        assert await UserRow.all().count() == 1
        with pytest.raises(Gone):
            await accounts.setup(drafts[0])

    async def test_init_refuses_a_second_owner(self, accounts: Accounts) -> None:
        """`qstore init` on an installation with users is refused."""
        await make_owner(accounts)

        with pytest.raises(Refused):
            await accounts.create_owner("eve@example.org", PASSWORD, "Elsewhere")

    async def test_init_ends_a_printed_token(self, accounts: Accounts) -> None:
        """An owner made on the host makes the printed token worthless."""
        token = await accounts.issue_setup_token()
        await make_owner(accounts)

        with pytest.raises(Gone):
            await accounts.setup(make_setup_draft(token))


class TestPasswords:
    @pytest.mark.parametrize(
        "password",
        ["password", "Qwertyuiop", "aaaaaaaaaa", "short", "x" * 257, "ada@example.org", "ANALYTICAL ENGINES"],
    )
    async def test_guessable_ones_are_refused(self, accounts: Accounts, password: str) -> None:
        """Common, repeated, short, huge and personal passwords are refused by name of the field."""
        with pytest.raises(ValidationFailed, match="password"):
            await accounts.create_owner("ada@example.org", password, "Analytical Engines")

        assert await accounts.has_users() is False

    @pytest.mark.parametrize(
        "password",
        ["correct horse battery staple", "93847561203948", "!\"§$%&/()=?", "пароль из букв", "🦄🦊🐙🦋🦜🐳🦩🦔", "  a  b  c  d  ",
         "only small letters", "a" * 62 + "bc", "abc" * 85 + "d"],
    )  # fmt: skip
    async def test_any_composition_is_taken(self, passwords: Passwords, password: str) -> None:
        """No kind of letter is demanded or refused, and 64 to 256 of them are no more of a problem than 8."""
        check_password(password, "ada@example.org", "Analytical Engines")

        assert await passwords.verify(await passwords.hash(password), password)

    async def test_how_they_are_kept(self) -> None:
        """As argon2id with 19 MiB and two passes, which OWASP recommends, and a salt of its own each time."""
        pool = Passwords()
        first, second = [await pool.hash("the same password") for _ in range(2)]
        pool.close()

        assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert first != second

    async def test_composed_and_decomposed_letters_are_the_same(self, passwords: Passwords) -> None:
        """A password typed on another system in decomposed form is the same password."""
        known = await passwords.hash("caf\u00e9 au lait")

        assert await passwords.verify(known, "cafe\u0301 au lait")
        assert not await passwords.verify(known, "cafe au lait")

    async def test_unknown_user_is_never_right(self, passwords: Passwords) -> None:
        """No password fits a user that does not exist, not even the one behind the dummy hash."""
        assert await passwords.verify(None, "nobody has this password") is False

    async def test_flood_is_refused(self) -> None:
        """When the pool's queue is full the next hash is refused at once, and a place is free again afterwards."""
        pool = Passwords(threads=1, waiting=1, time_cost=1, memory_kib=8)

        answers = await asyncio.gather(*(pool.hash("some password") for _ in range(4)), return_exceptions=True)

        assert sorted(type(answer).__name__ for answer in answers) == ["RateLimited", "RateLimited", "str", "str"]
        assert all(answer.retry_after > 0 for answer in answers if isinstance(answer, RateLimited))
        assert await pool.hash("some password")
        pool.close()


class TestUsers:
    async def test_organization_is_made_once(self, accounts: Accounts) -> None:
        """Two users of one organization's name share the organization."""
        ada = await accounts.create_user("ada@example.org", "Lab", "developer", PASSWORD)
        bob = await accounts.create_user("bob@example.org", "Lab", Role.VIEWER, PASSWORD)

        assert ada.organization_id == bob.organization_id
        assert (ada.role, bob.role) == (Role.DEVELOPER, Role.VIEWER)
        assert [user.email for user in await accounts.list_users_of_installation()] == [ada.email, bob.email]

    async def test_address_is_taken_once_whatever_its_case(self, accounts: Accounts) -> None:
        """An e-mail address belongs to one user."""
        await accounts.create_user("ada@example.org", "Lab", "developer", PASSWORD)

        with pytest.raises(Conflict):
            await accounts.create_user(" Ada@Example.ORG", "Other", "developer", PASSWORD)

    @pytest.mark.parametrize(
        "email", ["", "ada", "@example.org", "a@b@c", "ada lovelace@example.org", "a@" + "x" * 255]
    )
    async def test_malformed_address(self, accounts: Accounts, email: str) -> None:
        """What is no address is refused by name."""
        with pytest.raises(ValidationFailed, match="email"):
            await accounts.create_user(email, "Lab", "developer", PASSWORD)

    async def test_unknown_role(self, accounts: Accounts) -> None:
        """A role that does not exist is refused with those that do."""
        with pytest.raises(ValidationFailed, match="viewer, developer, admin, owner"):
            await accounts.create_user("ada@example.org", "Lab", "root", PASSWORD)

    async def test_unknown_user_of_host_commands(self, accounts: Accounts) -> None:
        """Resetting, disabling or acting as nobody answers NOT_FOUND."""
        for verb in (accounts.disable("no@example.org"), accounts.caller_of("no@example.org")):
            with pytest.raises(NotFound):
                await verb
        with pytest.raises(NotFound):
            await accounts.reset_password("no@example.org", PASSWORD)

    async def test_disabled_user_cannot_be_acted_for(self, accounts: Accounts) -> None:
        """The host's command line refuses to act as a disabled user."""
        owner = await make_owner(accounts)
        assert (await accounts.caller_of(owner.email)).user_id == owner.id

        await accounts.disable(owner.email)

        with pytest.raises(Refused):
            await accounts.caller_of(owner.email)


class TestProfile:
    async def test_preferences_merge(self, accounts: Accounts) -> None:
        """A patch adds and replaces preferences, and null removes one."""
        caller = as_caller(await make_owner(accounts))
        await accounts.update_me(caller, ProfilePatch(preferences={"theme": "dark", "default_backend": "native"}))

        user = await accounts.update_me(caller, ProfilePatch(name="Ada", preferences={"theme": None, "rows": 50}))

        assert user.name == "Ada"
        assert (await accounts.me(caller)).preferences == {"default_backend": "native", "rows": 50}

    async def test_preferences_are_bounded(self, accounts: Accounts) -> None:
        """Preferences beyond 10 KB are refused, also when they grow step by step."""
        caller = as_caller(await make_owner(accounts))
        await accounts.update_me(caller, ProfilePatch(preferences={"a": "x" * 6_000}))

        with pytest.raises(ValidationFailed, match="preferences"):
            await accounts.update_me(caller, ProfilePatch(preferences={"b": "x" * 6_000}))

    async def test_organization(self, accounts: Accounts) -> None:
        """One sees one's own organization, with hardware off until somebody switches it on."""
        organization = await accounts.organization(as_caller(await make_owner(accounts)))

        assert organization.name == "Analytical Engines"
        assert organization.settings.enable_hardware is False


class TestKeys:
    async def test_key_is_shown_once(self, accounts: Accounts) -> None:
        """Only the creating answer holds the key; the database holds its hash and a prefix to tell keys apart."""
        caller = as_caller(await make_owner(accounts))

        made = await accounts.create_key(caller, make_key_draft(environment="test"))

        assert made.key is not None
        assert made.key.startswith("qsk_test_")
        assert len(made.key) == len("qsk_test_") + 24
        assert made.key[:12] == made.prefix
        row = await ApiKeyRow.get(id=made.id)
        assert made.key not in (row.key_hash, row.key_prefix)
        assert [key.key for key in (await accounts.list_keys(caller)).items] == [None]

    async def test_no_wider_than_its_maker(self, accounts: Accounts) -> None:
        """Nobody gives away a permission that they lack, wildcards included."""
        user = await accounts.create_user("dev@example.org", "Lab", "developer", PASSWORD)

        for scope in ("users:*", "circuits:*", "organization:delete"):
            with pytest.raises(Forbidden):
                await accounts.create_key(as_caller(user), make_key_draft(scopes=[scope]))

    @pytest.mark.parametrize("scope", ["*", "circuits", "circuits:", "nothing:read", "usage:write"])
    async def test_unknown_scope(self, accounts: Accounts, scope: str) -> None:
        """A permission that no role has is refused with its place in the list."""
        caller = as_caller(await make_owner(accounts))

        with pytest.raises(ValidationFailed, match=r"scopes\[1\]"):
            await accounts.create_key(caller, make_key_draft(scopes=["jobs:read", scope]))

    async def test_key_cannot_make_keys(self, accounts: Accounts) -> None:
        """A stolen key does not multiply."""
        caller = as_caller(await make_owner(accounts), key_id="key_1")

        with pytest.raises(Forbidden):
            await accounts.create_key(caller, make_key_draft())

    async def test_keys_are_numbered(self, accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every key has a bucket of requests of its own, so nobody has any number of them; a revoked one makes room."""
        monkeypatch.setattr(keys, "MAX_KEYS", 2)
        caller = as_caller(await make_owner(accounts))
        first = await accounts.create_key(caller, make_key_draft())
        await accounts.create_key(caller, make_key_draft())

        with pytest.raises(Conflict):
            await accounts.create_key(caller, make_key_draft())

        await accounts.revoke_key(caller, first.id)
        assert (await accounts.create_key(caller, make_key_draft())).key is not None

    async def test_viewer_makes_no_keys(self, accounts: Accounts) -> None:
        """Viewers have no keys of their own."""
        with pytest.raises(Forbidden):
            await accounts.create_key(make_caller("viewer"), make_key_draft())

    async def test_rate_limit_is_capped(self, accounts: Accounts) -> None:
        """A key asks for less than the installation's ceiling, never for more."""
        caller = as_caller(await make_owner(accounts))

        limits = [
            (await accounts.create_key(caller, make_key_draft(rate_limit=limit))).rate_limit
            for limit in (None, 10, 500_000)
        ]

        assert limits == [1_000, 10, 1_000]

    async def test_end_in_the_past(self, accounts: Accounts, clock: SteppingClock) -> None:
        """A key that has expired before it is made is a mistake."""
        caller = as_caller(await make_owner(accounts))

        with pytest.raises(ValidationFailed, match="expires_at"):
            await accounts.create_key(caller, make_key_draft(expires_at=clock.now()))

    async def test_own_keys_and_everybodys(self, accounts: Accounts) -> None:
        """A developer sees and ends their own keys, an admin those of the organization."""
        admin = as_caller(await accounts.create_user("admin@example.org", "Lab", "admin", PASSWORD))
        dev = as_caller(await accounts.create_user("dev@example.org", "Lab", "developer", PASSWORD))
        of_admin = await accounts.create_key(admin, make_key_draft())
        of_dev = await accounts.create_key(dev, make_key_draft())

        assert [key.id for key in (await accounts.list_keys(dev)).items] == [of_dev.id]
        assert (await accounts.list_keys(admin, Page(sort="name"))).total == 2
        with pytest.raises(NotFound):
            await accounts.revoke_key(dev, of_admin.id)
        await accounts.revoke_key(admin, of_dev.id)
        assert (await accounts.list_keys(dev)).items == []
        with pytest.raises(NotFound):
            await accounts.revoke_key(admin, of_dev.id)


async def test_password_reset_ends_sessions(accounts: Accounts, sessions: Sessions) -> None:
    """After a reset the old password and every session that it opened are dead, and the new one works."""
    owner = await make_owner(accounts)
    tokens = await sessions.sign_in(owner.email, PASSWORD, address="127.0.0.1", agent="test")

    await accounts.reset_password(owner.email, "another long secret")

    for dead in (
        sessions.by_access_token(tokens.access_token),
        sessions.refresh(tokens.refresh_token, address="127.0.0.1", agent="test"),
        sessions.sign_in(owner.email, PASSWORD, address="127.0.0.1", agent="test"),
    ):
        with pytest.raises(Unauthenticated):
            await dead
    assert await sessions.sign_in(owner.email, "another long secret", address="127.0.0.1", agent="test")
