"""Sign-in, tokens, cookies and keys, on both databases."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable
from typing import Any

import jwt
import pytest

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import ApiKeyRow, SessionRow, UserRow
from qstore_appliance.database.tables.audit import AuditRow
from qstore_appliance.database.tables.members import MembershipRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import SCOPES, Role, Tokens, User
from qstore_appliance.domain.listing import Page
from qstore_appliance.errors import (
    ConfigurationInvalid,
    Forbidden,
    NotFound,
    QStoreError,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from qstore_appliance.services.accounts import Accounts
from qstore_appliance.services.callers import cut
from qstore_appliance.services.codes import Codes
from qstore_appliance.services.failures import Failures
from qstore_appliance.services.notices import Notices
from qstore_appliance.services.passwords import Passwords
from qstore_appliance.services.sessions import Sessions
from qstore_appliance.services.sign_ins import SignIns
from qstore_appliance.services.tokens import TokenSigner
from qstore_appliance.settings import Settings
from tests.factories import PASSWORD, SteppingClock, make_caller, make_key_draft
from tests.services.conftest import SECRET

WHERE = {"address": "192.0.2.7", "agent": "pytest"}


@pytest.fixture
async def owner(accounts: Accounts) -> User:
    return await accounts.create_owner("ada@example.org", PASSWORD, "Analytical Engines")


@pytest.fixture
async def tokens(sessions: Sessions, owner: User) -> Tokens:
    return await sessions.sign_in(owner.email, PASSWORD, **WHERE)


def forged(token: str, secret: bytes = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    """The token with other claims, signed again; None removes a claim."""
    claims = jwt.decode(token, options={"verify_signature": False})
    claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return jwt.encode(claims, secret if algorithm != "none" else None, algorithm=algorithm)


class TestTokens:
    async def test_claims(self, owner: User, tokens: Tokens) -> None:
        """An access token carries the specification's claims and lives for an hour."""
        claims = jwt.decode(tokens.access_token, options={"verify_signature": False})

        assert claims["sub"] == owner.id
        assert claims["email"] == "ada@example.org"
        assert claims["org_id"] == owner.organization_id
        assert claims["role"] == "owner"
        assert set(claims["scopes"]) == SCOPES[Role.OWNER]
        assert claims["exp"] - claims["iat"] == tokens.expires_in == 3600
        assert tokens.token_type == "Bearer"

    async def test_caller(self, sessions: Sessions, owner: User, tokens: Tokens) -> None:
        """The token's bearer is the user as the database has them now."""
        caller = await sessions.by_access_token(tokens.access_token)

        assert (caller.user_id, caller.organization_id) == (owner.id, owner.organization_id)
        assert (caller.role, caller.operator, caller.rate_limit) == (Role.OWNER, True, 6_000)
        assert caller.bucket == f"user:{owner.id}"

    @pytest.mark.parametrize("changes", [
        {"exp": 1}, {"exp": None}, {"exp": "4102444800"}, {"exp": 1e12}, {"exp": True}, {"iat": None},
        {"iat": 4102444800}, {"nbf": 4102444800}, {"sub": None}, {"sub": 7}, {"sub": "user_nobody"}, {"iss": "evil"},
        {"iss": None}, {"aud": "other"}, {"aud": None}, {"typ": "refresh"}, {"typ": None}, {"jti": None},
        {"sid": "session_nothing"}, {"sid": None},
    ])  # fmt: skip
    async def test_claims_are_judged(self, sessions: Sessions, tokens: Tokens, changes: dict[str, Any]) -> None:
        """Even with the right signature a token with a wrong, missing or mistyped claim is refused."""
        with pytest.raises(Unauthenticated):
            await sessions.by_access_token(forged(tokens.access_token, **changes))

    @pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
    @pytest.mark.parametrize("algorithm", ["none", "HS384", "HS512"])
    async def test_only_one_algorithm(self, sessions: Sessions, tokens: Tokens, algorithm: str) -> None:
        """An unsigned token, or one signed by another algorithm with the right secret, is refused."""
        with pytest.raises(Unauthenticated):
            await sessions.by_access_token(forged(tokens.access_token, algorithm=algorithm))

    async def test_another_installations_token(self, sessions: Sessions, tokens: Tokens) -> None:
        """A token signed with another secret, an edited one, and garbage are all refused."""
        head, body, signature = tokens.access_token.split(".")
        bad = [
            forged(tokens.access_token, secret=b"x" * 32), f"{head}.{body[:-2]}AA.{signature}", f"{head}.{body}.",
            "", "a.b.c", "x" * 100_000, tokens.access_token + "\ud800",
        ]  # fmt: skip

        for token in bad:
            with pytest.raises(Unauthenticated):
                await sessions.by_access_token(token)

    async def test_refresh_token_is_no_access_token(self, sessions: Sessions, tokens: Tokens) -> None:
        """Neither kind of token stands in for the other."""
        with pytest.raises(Unauthenticated):
            await sessions.by_access_token(tokens.refresh_token)
        with pytest.raises(Unauthenticated):
            await sessions.refresh(tokens.access_token, **WHERE)

    async def test_leeway(self, sessions: Sessions, tokens: Tokens, clock: SteppingClock) -> None:
        """A token is taken until thirty seconds after its end, for clocks that differ."""
        clock.advance(seconds=3_600 + 29)
        assert await sessions.by_access_token(tokens.access_token)

        clock.advance(seconds=1)

        with pytest.raises(Unauthenticated):
            await sessions.by_access_token(tokens.access_token)

    def test_weak_secret(self, clock: SteppingClock) -> None:
        """A secret that could be guessed stops the start."""
        with pytest.raises(ConfigurationInvalid):
            TokenSigner(b"x" * 31, clock)


class TestRefresh:
    async def test_rotation(self, sessions: Sessions, tokens: Tokens) -> None:
        """A refresh token gives new tokens, and the session goes on under them."""
        renewed = await sessions.refresh(tokens.refresh_token, **WHERE)

        first, second = [await sessions.by_access_token(t.access_token) for t in (tokens, renewed)]

        assert renewed.refresh_token != tokens.refresh_token
        assert first.session_id == second.session_id

    async def test_reuse_ends_the_family(self, sessions: Sessions, tokens: Tokens, clock: SteppingClock) -> None:
        """The second use of a refresh token, after the grace, ends the session of thief and owner alike."""
        renewed = await sessions.refresh(tokens.refresh_token, **WHERE)
        clock.advance(seconds=3)

        with pytest.raises(Unauthenticated):
            await sessions.refresh(tokens.refresh_token, **WHERE)

        with pytest.raises(Unauthenticated):
            await sessions.refresh(renewed.refresh_token, **WHERE)
        with pytest.raises(Unauthenticated):
            await sessions.by_access_token(renewed.access_token)

    async def test_much_older_token_ends_the_family_at_once(self, sessions: Sessions, tokens: Tokens) -> None:
        """The grace is for the token before, not for the one before that."""
        second = await sessions.refresh(tokens.refresh_token, **WHERE)
        third = await sessions.refresh(second.refresh_token, **WHERE)

        with pytest.raises(Unauthenticated):
            await sessions.refresh(tokens.refresh_token, **WHERE)

        with pytest.raises(Unauthenticated):
            await sessions.by_access_token(third.access_token)

    async def test_parallel(self, sessions: Sessions, tokens: Tokens) -> None:
        """Of several refreshes at the same moment exactly one wins, and the session lives."""
        answers = await asyncio.gather(
            *(sessions.refresh(tokens.refresh_token, **WHERE) for _ in range(6)), return_exceptions=True
        )

        won = [answer for answer in answers if isinstance(answer, Tokens)]
        assert len(won) == 1
        assert {type(answer) for answer in answers} == {Tokens, Unauthenticated}
        assert await sessions.refresh(won[0].refresh_token, **WHERE)

    async def test_end_of_the_session(self, sessions: Sessions, tokens: Tokens, clock: SteppingClock) -> None:
        """Thirty days without a refresh end the session."""
        clock.advance(days=30, seconds=31)

        with pytest.raises(Unauthenticated):
            await sessions.refresh(tokens.refresh_token, **WHERE)

    async def test_only_hashes_are_stored(self, tokens: Tokens) -> None:
        """Who reads the database cannot refresh."""
        row = await SessionRow.get()

        assert tokens.refresh_token not in (row.refresh_hash, row.previous_hash)
        assert len(row.refresh_hash or "") == 64


class TestSignIn:
    async def test_same_answer(self, sessions: Sessions, accounts: Accounts, owner: User) -> None:
        """Wrong password, unknown user and disabled user hear the same words."""
        await accounts.create_user("gone@example.org", "Lab", "viewer", PASSWORD)
        await accounts.disable("gone@example.org")
        heard = set()

        for email, password in ((owner.email, "wrong"), ("no@example.org", PASSWORD), ("gone@example.org", PASSWORD)):
            with pytest.raises(Unauthenticated) as caught:
                await sessions.sign_in(email, password, **WHERE)
            heard.add((caught.value.message, str(caught.value.details)))

        assert len(heard) == 1

    @pytest.mark.parametrize("text", ["\x00", "\ud800", "' OR 1=1 --"])
    async def test_odd_texts(self, sessions: Sessions, owner: User, text: str) -> None:
        """Odd characters in address, password or user agent are never more than wrong."""
        for email, password in ((text + owner.email, PASSWORD), (owner.email, text + PASSWORD)):
            with pytest.raises(Unauthenticated):
                await sessions.sign_in(email, password, **WHERE)

        assert await sessions.sign_in(owner.email, PASSWORD, address="192.0.2.7", agent=text)

    async def test_throttle(self, sessions: Sessions, owner: User) -> None:
        """After ten failures an account is closed to that address, with the time to wait, and open to others."""
        for _ in range(10):
            with pytest.raises(Unauthenticated):
                await sessions.sign_in(owner.email, "wrong", **WHERE)

        with pytest.raises(RateLimited) as caught:
            await sessions.sign_in(owner.email, PASSWORD, **WHERE)

        assert 0 < caught.value.retry_after <= 300
        assert await sessions.sign_in(owner.email, PASSWORD, address="192.0.2.8", agent="pytest")

    async def test_parallel_guesses_count(self, sessions: Sessions, owner: User) -> None:
        """Guesses sent at once are counted before any of them is answered."""
        answers = await asyncio.gather(
            *(sessions.sign_in(owner.email, "wrong", **WHERE) for _ in range(25)), return_exceptions=True
        )

        kinds = [type(answer) for answer in answers]
        assert (kinds.count(Unauthenticated), kinds.count(RateLimited)) == (10, 15)

    async def test_success_is_no_failure(self, sessions: Sessions, owner: User) -> None:
        """Signing in rightly eleven times is no attack, whatever the case of the address."""
        for _ in range(11):
            assert await sessions.sign_in(" Ada@Example.org", PASSWORD, **WHERE)

    async def test_outdated_hash_is_renewed(
        self,
        database: Database,
        clock: SteppingClock,
        codes: Codes,
        notices: Notices,
        settings: Settings,
        owner: User,
    ) -> None:
        """When the parameters of hashing have grown, the next sign-in renews the user's hash."""
        stronger = Passwords(time_cost=2, memory_kib=16)
        sign_ins = SignIns(database, clock, stronger, codes, notices, settings)
        before = (await UserRow.get(id=owner.id)).password_hash

        await sign_ins.verified(owner.email, PASSWORD, None, "192.0.2.7")

        after = (await UserRow.get(id=owner.id)).password_hash
        assert "m=8,t=1" in before
        assert "m=16,t=2" in after
        assert await stronger.verify(after, PASSWORD)
        stronger.close()

    def test_addresses_of_one_network(self) -> None:
        """An IPv6 client cannot hop within its /64; another network has failures of its own."""
        failures = Failures(1)
        failures.attempt("ada", "2001:db8::1")

        with pytest.raises(RateLimited):
            failures.attempt("ada", "2001:db8::ffff")

        assert failures.attempt("ada", "2001:db8:0:1::1")
        assert failures.attempt("bob", "2001:db8::1")

    async def test_spraying(self, sessions: Sessions, owner: User) -> None:
        """One address that tries a password on many accounts is stopped, whatever the accounts."""
        answers = [
            await refused(sessions.sign_in(f"user{number}@example.org", "wrong", **WHERE)) for number in range(101)
        ]

        assert answers == [Unauthenticated] * 100 + [RateLimited]
        assert await sessions.sign_in(owner.email, PASSWORD, address="192.0.2.8", agent="pytest")

    async def test_nobody_is_locked_out_from_afar(self, sessions: Sessions, owner: User) -> None:
        """A hundred failures from everywhere close an account to new places; where its owner was, they come in."""
        await sessions.sign_in(owner.email, PASSWORD, **WHERE)
        for number in range(100):
            await refused(sessions.sign_in(owner.email, "wrong", address=f"198.51.100.{number}", agent="pytest"))

        assert await refused(sessions.sign_in(owner.email, PASSWORD, address="203.0.113.1", agent="x")) is RateLimited
        assert await refused(sessions.sign_in("no@example.org", PASSWORD, address="203.0.113.1", agent="x")) is (
            Unauthenticated
        )
        assert await sessions.sign_in(owner.email, PASSWORD, **WHERE)


async def refused(call: Awaitable[Any]) -> type[BaseException] | None:
    """How a call was refused; None where it was not."""
    try:
        await call
    except QStoreError as error:
        return type(error)
    return None


class TestCookies:
    async def test_cookie(self, sessions: Sessions, owner: User) -> None:
        """A cookie is 256 random bits, is stored as a hash and brings its user."""
        value, caller = await sessions.sign_in_cookie(owner.email, PASSWORD, **WHERE)

        found = await sessions.by_cookie(value)

        assert len(value) == 43
        assert found == caller
        assert value != (await SessionRow.get()).cookie_hash

    @pytest.mark.parametrize("value", ["", "x", "x" * 10_000, "\ud800"])
    async def test_invented_cookie(self, sessions: Sessions, value: str) -> None:
        """What is no cookie of ours is nobody's."""
        with pytest.raises(Unauthenticated):
            await sessions.by_cookie(value)

    async def test_cookies_are_not_guessed(self, sessions: Sessions, owner: User) -> None:
        """Each has 256 bits of its own, and what is kept of it is its digest."""
        values = {(await sessions.sign_in_cookie(owner.email, PASSWORD, **WHERE))[0] for _ in range(5)}

        assert len(values) == 5
        assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", value) for value in values)
        kept = {str(row.cookie_hash) for row in await SessionRow.filter(kind="cookie")}
        assert kept == {hashlib.sha256(value.encode()).hexdigest() for value in values}

    async def test_sign_out(self, sessions: Sessions, owner: User) -> None:
        """A signed-out cookie is dead at once, although it was used a moment ago."""
        value, _ = await sessions.sign_in_cookie(owner.email, PASSWORD, **WHERE)
        caller = await sessions.by_cookie(value)

        await sessions.sign_out(caller)

        with pytest.raises(Unauthenticated):
            await sessions.by_cookie(value)

    async def test_signing_in_again(self, sessions: Sessions, owner: User) -> None:
        """A browser that signs in again gets another cookie, and the one before is dead."""
        first, before = await sessions.sign_in_cookie(owner.email, PASSWORD, **WHERE)

        second, _ = await sessions.sign_in_cookie(owner.email, PASSWORD, instead_of=before, **WHERE)

        assert first != second
        assert await sessions.by_cookie(second)
        with pytest.raises(Unauthenticated):
            await sessions.by_cookie(first)

    async def test_idle(self, sessions: Sessions, accounts: Accounts, owner: User, clock: SteppingClock) -> None:
        """A dashboard that nobody has looked at for a week is signed out; one that is used goes on."""
        used, caller = await sessions.sign_in_cookie(owner.email, PASSWORD, **WHERE)
        idle, _ = await sessions.sign_in_cookie(owner.email, PASSWORD, **WHERE)
        clock.advance(days=6)
        accounts.callers.changed(owner.id)
        await sessions.by_cookie(used)
        clock.advance(days=1)
        accounts.callers.changed(owner.id)

        assert await sessions.by_cookie(used)
        with pytest.raises(Unauthenticated):
            await sessions.by_cookie(idle)
        assert [session.id for session in (await sessions.listed(caller, Page())).items] == [caller.session_id]


class TestOwnSessions:
    async def test_list(self, sessions: Sessions, owner: User) -> None:
        """Everybody sees where they are signed in, and how."""
        await sessions.sign_in(owner.email, PASSWORD, address="192.0.2.9", agent="a notebook")
        _, caller = await sessions.sign_in_cookie(owner.email, PASSWORD, **WHERE)

        listed = await sessions.listed(caller, Page(sort="created_at"))

        assert listed.total == 2
        assert [(one.kind, one.method, one.address, one.agent) for one in listed.items] == [
            ("token", "password", "192.0.2.9", "a notebook"),
            ("cookie", "password", "192.0.2.7", "pytest"),
        ]

    async def test_end(self, sessions: Sessions, owner: User, tokens: Tokens) -> None:
        """A session that its user ends is dead at once, and ended once."""
        _, caller = await sessions.sign_in_cookie(owner.email, PASSWORD, **WHERE)
        other = (await sessions.by_access_token(tokens.access_token)).session_id
        assert other is not None

        await sessions.end(caller, other)

        with pytest.raises(Unauthenticated):
            await sessions.by_access_token(tokens.access_token)
        with pytest.raises(Unauthenticated):
            await sessions.refresh(tokens.refresh_token, **WHERE)
        with pytest.raises(NotFound):
            await sessions.end(caller, other)

    async def test_end_others(self, sessions: Sessions, owner: User, tokens: Tokens) -> None:
        """All others end, and the one that asks goes on."""
        value, caller = await sessions.sign_in_cookie(owner.email, PASSWORD, **WHERE)

        assert await sessions.end_others(caller) == 1

        assert (await AuditRow.get(action="session.others_ended")).details == '{"ended":1}'
        assert await sessions.by_cookie(value)
        with pytest.raises(Unauthenticated):
            await sessions.by_access_token(tokens.access_token)

    async def test_whose(self, sessions: Sessions, accounts: Accounts, owner: User) -> None:
        """An administrator sees and ends those of the organization; others theirs alone; nobody another's."""
        await accounts.create_user("dev@example.org", "Analytical Engines", "developer", PASSWORD)
        await accounts.create_user("eve@example.org", "Difference Engines", "owner", PASSWORD)
        (_, admin), (_, developer), (_, stranger) = [
            await sessions.sign_in_cookie(email, PASSWORD, **WHERE)
            for email in (owner.email, "dev@example.org", "eve@example.org")
        ]
        assert admin.session_id is not None
        assert developer.session_id is not None

        assert (await sessions.listed(admin, Page(), developer.user_id)).total == 1
        assert (await sessions.listed(stranger, Page(), developer.user_id)).total == 0
        with pytest.raises(Forbidden):
            await sessions.listed(developer, Page(), admin.user_id)
        for caller in (developer, stranger):
            with pytest.raises(NotFound):
                await sessions.end(caller, admin.session_id)
        with pytest.raises(NotFound):
            await sessions.end(stranger, developer.session_id)
        await sessions.end(admin, developer.session_id)
        assert (await sessions.listed(developer, Page())).total == 0

    async def test_keys(self, sessions: Sessions, owner: User) -> None:
        """An API key without the permission neither sees nor ends sessions."""
        _, caller = await sessions.sign_in_cookie(owner.email, PASSWORD, **WHERE)
        key = make_caller(
            user_id=owner.id, organization_id=owner.organization_id, session_id=None, key_id=ids.new("key")
        )
        assert caller.session_id is not None

        for call in (sessions.listed(key, Page()), sessions.end(key, caller.session_id), sessions.end_others(key)):
            assert await refused(call) is Forbidden

    async def test_the_longest_session(self, sessions: Sessions, tokens: Tokens, clock: SteppingClock) -> None:
        """A session that is refreshed again and again ends ninety days after it began."""
        for _ in range(4):
            clock.advance(days=22)
            tokens = await sessions.refresh(tokens.refresh_token, **WHERE)
        clock.advance(days=2)

        with pytest.raises(Unauthenticated):
            await sessions.refresh(tokens.refresh_token, **WHERE)
        with pytest.raises(Unauthenticated):
            await sessions.by_access_token(tokens.access_token)

    async def test_old_ones_are_forgotten(
        self, sessions: Sessions, owner: User, tokens: Tokens, clock: SteppingClock
    ) -> None:
        """Ninety days after their end sessions are deleted, by the next sign-in."""
        clock.advance(days=30 + 91)

        await sessions.sign_in(owner.email, PASSWORD, **WHERE)

        assert await SessionRow.all().count() == 1


class TestRevocation:
    async def test_sign_out(self, sessions: Sessions, tokens: Tokens) -> None:
        """Signing out kills the access token and the refresh token at once."""
        await sessions.sign_out(await sessions.by_access_token(tokens.access_token))

        with pytest.raises(Unauthenticated):
            await sessions.by_access_token(tokens.access_token)
        with pytest.raises(Unauthenticated):
            await sessions.refresh(tokens.refresh_token, **WHERE)

    async def test_disabled(self, sessions: Sessions, accounts: Accounts, owner: User, tokens: Tokens) -> None:
        """A disabled user's tokens and keys are dead at once."""
        caller = await sessions.by_access_token(tokens.access_token)
        key = (await accounts.create_key(caller, make_key_draft())).key
        assert key is not None
        await sessions.by_api_key(key)

        await accounts.disable(owner.email)

        with pytest.raises(Unauthenticated):
            await sessions.by_access_token(tokens.access_token)
        with pytest.raises(Unauthenticated):
            await sessions.by_api_key(key)

    async def test_change_elsewhere(
        self, sessions: Sessions, owner: User, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A change that another process made is seen within a second."""
        await sessions.by_access_token(tokens.access_token)
        await MembershipRow.filter(user_id=owner.id).update(role="viewer")
        await UserRow.filter(id=owner.id).update(operator=False)
        assert (await sessions.by_access_token(tokens.access_token)).role == Role.OWNER

        monkeypatch.setattr("qstore_appliance.services.callers.time.monotonic", later(1.0))

        caller = await sessions.by_access_token(tokens.access_token)
        assert (caller.role, caller.operator) == (Role.VIEWER, False)
        assert not caller.may("circuits:write")

    async def test_read_that_a_change_overtakes(self, accounts: Accounts) -> None:
        """What was read before a change and arrives after it is answered once, and not remembered."""
        reads = 0

        async def read() -> Any:
            nonlocal reads
            reads += 1
            accounts.callers.changed("user_1")
            return make_caller(user_id="user_1")

        await accounts.callers.get("session:1", read)
        await accounts.callers.get("session:1", read)

        assert reads == 2


def later(seconds: float) -> Any:
    import time

    return lambda real=time.monotonic: real() + seconds


class TestKeys:
    async def test_caller(self, sessions: Sessions, accounts: Accounts, tokens: Tokens) -> None:
        """A key acts as its owner cut down to its scopes, with its own rate bucket, and is never an operator."""
        owner = await sessions.by_access_token(tokens.access_token)
        made = await accounts.create_key(owner, make_key_draft(rate_limit=50))
        assert made.key is not None

        caller = await sessions.by_api_key(made.key)

        assert caller.scopes == {"circuits:read", "jobs:submit"}
        assert (caller.rate_limit, caller.bucket, caller.operator) == (50, f"key:{made.id}", False)
        assert (caller.user_id, caller.session_id) == (owner.user_id, None)
        with pytest.raises(Forbidden):
            await sessions.sign_out(caller)

    async def test_demoted_owner(self, sessions: Sessions, accounts: Accounts, owner: User, tokens: Tokens) -> None:
        """When the owner loses a permission, their keys lose it too."""
        caller = await sessions.by_access_token(tokens.access_token)
        made = await accounts.create_key(caller, make_key_draft(scopes=["circuits:*", "jobs:submit"]))
        assert made.key is not None
        await MembershipRow.filter(user_id=owner.id).update(role="viewer")
        accounts.callers.changed(owner.id)

        assert (await sessions.by_api_key(made.key)).scopes == {"circuits:read"}

    @pytest.mark.parametrize(
        ("wanted", "granted", "expected"),
        [
            (["circuits:*"], ["circuits:read", "jobs:read"], {"circuits:read"}),
            (["circuits:read"], ["circuits:*"], {"circuits:read"}),
            (["jobs:*"], ["jobs:*"], {"jobs:*"}),
            (["users:*"], ["jobs:*"], set()),
        ],
    )
    def test_cut(self, wanted: list[str], granted: list[str], expected: set[str]) -> None:
        """The effective scopes are what the key wants and its owner has."""
        assert cut(wanted, frozenset(granted)) == expected

    async def test_expired(self, sessions: Sessions, accounts: Accounts, tokens: Tokens, clock: SteppingClock) -> None:
        """A key ends at its time."""
        caller = await sessions.by_access_token(tokens.access_token)
        end = clock.now().replace(year=clock.now().year + 1)
        made = await accounts.create_key(caller, make_key_draft(expires_at=end))
        assert made.key is not None
        clock.advance(days=366)

        with pytest.raises(Unauthenticated):
            await sessions.by_api_key(made.key)

    async def test_revoked(self, sessions: Sessions, accounts: Accounts, tokens: Tokens) -> None:
        """A revoked key is dead at once, although it was used a moment ago."""
        caller = await sessions.by_access_token(tokens.access_token)
        made = await accounts.create_key(caller, make_key_draft())
        assert made.key is not None
        await sessions.by_api_key(made.key)

        await accounts.revoke_key(caller, made.id)

        with pytest.raises(Unauthenticated):
            await sessions.by_api_key(made.key)

    @pytest.mark.parametrize("key", ["", "qsk_live_", "qsk_live_" + "a" * 24, "qsk_prod_" + "a" * 24, "x" * 10_000])
    async def test_invented(self, sessions: Sessions, key: str) -> None:
        """What is no key of ours is nobody's."""
        with pytest.raises(Unauthenticated):
            await sessions.by_api_key(key)

    async def test_last_used(
        self, sessions: Sessions, accounts: Accounts, tokens: Tokens, clock: SteppingClock
    ) -> None:
        """The time of the last use is written at most once a minute."""
        caller = await sessions.by_access_token(tokens.access_token)
        made = await accounts.create_key(caller, make_key_draft())
        assert made.key is not None
        seen = []

        for seconds in (0, 30, 30):
            clock.advance(seconds=seconds)
            accounts.callers.changed(caller.user_id)
            await sessions.by_api_key(made.key)
            seen.append((await ApiKeyRow.get(id=made.id)).last_used)

        assert seen[0] == seen[1]
        assert seen[2] == clock.now()

    async def test_unwritable_last_used(
        self, sessions: Sessions, accounts: Accounts, tokens: Tokens, database: Database, monkeypatch: Any
    ) -> None:
        """A database that cannot be written still lets keys in."""
        caller = await sessions.by_access_token(tokens.access_token)
        made = await accounts.create_key(caller, make_key_draft())
        assert made.key is not None

        def closed() -> None:
            raise Unavailable

        monkeypatch.setattr(database, "transaction", closed)

        assert (await sessions.by_api_key(made.key)).key_id == made.id
