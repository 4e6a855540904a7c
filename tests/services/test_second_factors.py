"""Second factors on both databases: on, asked for, spent, off."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pyotp
import pytest

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.audit import AuditRow
from qstore_appliance.database.tables.outbox import OutboxRow
from qstore_appliance.database.tables.sign_in import RecoveryCodeRow, SecondFactorRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller, Tokens, User
from qstore_appliance.errors import (
    Conflict,
    Forbidden,
    NotFound,
    QStoreError,
    RateLimited,
    SecondFactorRequired,
    Unauthenticated,
    ValidationFailed,
)
from qstore_appliance.services.accounts import Accounts
from qstore_appliance.services.codes import Codes
from qstore_appliance.services.notices import Notices
from qstore_appliance.services.second_factors import SecondFactors
from qstore_appliance.services.sessions import Sessions
from qstore_appliance.services.sign_ins import SignIns
from qstore_appliance.settings import Settings, Smtp
from tests.factories import PASSWORD, SteppingClock, make_caller

HERE = "192.0.2.7"
WHERE = {"address": HERE, "agent": "pytest"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """An installation that sends mail."""
    import dataclasses

    return dataclasses.replace(settings, smtp=Smtp(host="localhost", tls="none", sender="lab@example.org"))


@pytest.fixture
def factors(
    database: Database, clock: SteppingClock, sign_ins: SignIns, codes: Codes, notices: Notices, accounts: Accounts
) -> SecondFactors:
    return SecondFactors(database, clock, sign_ins, codes, notices, accounts.callers)


@pytest.fixture
async def owner(accounts: Accounts) -> User:
    return await accounts.create_owner("ada@example.org", PASSWORD, "Analytical Engines")


@pytest.fixture
async def caller(sessions: Sessions, owner: User) -> Caller:
    _, caller = await sessions.sign_in_cookie(owner.email, PASSWORD, **WHERE)
    return caller


class Phone:
    """An authenticator with the clock of the test."""

    def __init__(self, secret: str, clock: SteppingClock) -> None:
        self._totp = pyotp.TOTP(secret)
        self._clock = clock

    def code(self, steps: int = 0) -> str:
        return self._totp.generate_otp(int(self._clock.now().timestamp()) // 30 + steps)


@pytest.fixture
async def phone(factors: SecondFactors, caller: Caller, clock: SteppingClock) -> Phone:
    """The owner's, turned on; half a minute later."""
    phone = Phone((await factors.enrol(caller, PASSWORD, HERE)).secret, clock)
    await factors.confirm(caller, phone.code())
    clock.advance(seconds=60)
    return phone


async def events() -> list[str]:
    return [row.event for row in await OutboxRow.all().order_by("id")]


async def acts() -> list[tuple[str, str]]:
    """What the audit log tells of second factors, and who did it."""
    rows = await AuditRow.filter(action__startswith="second_factor.").order_by("seq")
    return [(row.action, row.actor) for row in rows]


async def test_turning_it_on(
    factors: SecondFactors, sessions: Sessions, owner: User, caller: Caller, clock: SteppingClock
) -> None:
    """A secret counts once a code of it was seen; other sessions end, and the user is told."""
    tokens = await sessions.sign_in(owner.email, PASSWORD, **WHERE)
    enrolment = await factors.enrol(caller, PASSWORD, HERE)
    assert not (await factors.of(caller)).enabled
    assert await sessions.sign_in(owner.email, PASSWORD, **WHERE)

    recovery_codes = await factors.confirm(caller, Phone(enrolment.secret, clock).code())

    state = await factors.of(caller)
    assert (state.enabled, state.since, state.recovery_codes_left) == (True, clock.now(), 10)
    assert len(set(recovery_codes)) == 10
    assert enrolment.uri.startswith("otpauth://totp/Q-Store:ada%40example.org?")
    assert enrolment.qr.startswith("<?xml")
    assert await events() == ["account.second_factor_added"]
    assert await acts() == [("second_factor.added", owner.email)]
    with pytest.raises(Unauthenticated):
        await sessions.by_access_token(tokens.access_token)


async def test_secrets_at_rest(factors: SecondFactors, caller: Caller, clock: SteppingClock) -> None:
    """The database has neither the secret nor a recovery code in the clear."""
    secret = (await factors.enrol(caller, PASSWORD, HERE)).secret
    recovery_codes = await factors.confirm(caller, Phone(secret, clock).code())

    row = await SecondFactorRow.get()
    assert secret not in row.secret
    kept = {one.code_hash for one in await RecoveryCodeRow.all()}
    assert not kept & {code.replace("-", "") for code in recovery_codes}
    assert {len(one) for one in kept} == {64}


async def test_it_is_asked_for(sessions: Sessions, owner: User, phone: Phone) -> None:
    """The password alone opens nothing any more; with a code it does, and the session says so."""
    with pytest.raises(SecondFactorRequired) as asked:
        await sessions.sign_in(owner.email, PASSWORD, **WHERE)
    with pytest.raises(Unauthenticated) as wrong:
        await sessions.sign_in(owner.email, "wrong password", code=phone.code(), **WHERE)

    code = phone.code()
    tokens = await sessions.sign_in(owner.email, PASSWORD, code=f"{code[:3]} {code[3:]}", **WHERE)

    assert asked.value.code == "SECOND_FACTOR_REQUIRED"
    assert wrong.value.code == "UNAUTHENTICATED"
    assert isinstance(tokens, Tokens)


@pytest.mark.parametrize("step", [-1, 0, 1])
async def test_a_code_works_once(sessions: Sessions, owner: User, phone: Phone, step: int) -> None:
    """A code of now or a step beside is taken, and neither it nor an older one ever again."""
    await sessions.sign_in(owner.email, PASSWORD, code=phone.code(step), **WHERE)

    for spent in {phone.code(step), phone.code(-1)}:
        with pytest.raises(SecondFactorRequired):
            await sessions.sign_in(owner.email, PASSWORD, code=spent, **WHERE)


async def test_the_first_code_is_spent_too(
    factors: SecondFactors, sessions: Sessions, owner: User, caller: Caller, clock: SteppingClock
) -> None:
    """Whoever looked over the shoulder while it was turned on has nothing."""
    phone = Phone((await factors.enrol(caller, PASSWORD, HERE)).secret, clock)
    await factors.confirm(caller, phone.code())

    with pytest.raises(SecondFactorRequired):
        await sessions.sign_in(owner.email, PASSWORD, code=phone.code(), **WHERE)


async def test_one_code_at_the_same_moment(sessions: Sessions, owner: User, phone: Phone) -> None:
    """Of several sign-ins with one code at once exactly one comes in."""
    code = phone.code()
    answers = await asyncio.gather(
        *(sessions.sign_in(owner.email, PASSWORD, code=code, **WHERE) for _ in range(6)), return_exceptions=True
    )

    assert sum(isinstance(answer, Tokens) for answer in answers) == 1


@pytest.mark.parametrize("step", [-2, 2])
async def test_codes_of_another_time(sessions: Sessions, owner: User, phone: Phone, step: int) -> None:
    """A code of a minute ago or ahead is worth nothing."""
    with pytest.raises(SecondFactorRequired):
        await sessions.sign_in(owner.email, PASSWORD, code=phone.code(step), **WHERE)


@pytest.mark.parametrize("code", ["000000", "１２３４５６", "12345", "\x00" * 6, "x" * 40, "' OR 1=1 --", "\ud800" * 6])
async def test_odd_codes(sessions: Sessions, owner: User, phone: Phone, code: str) -> None:
    """What is no code is merely wrong."""
    if code == phone.code():
        code = "000001"
    with pytest.raises(SecondFactorRequired):
        await sessions.sign_in(owner.email, PASSWORD, code=code, **WHERE)


async def test_guessing_codes(factors: SecondFactors, sessions: Sessions, owner: User, caller: Caller) -> None:
    """Ten wrong codes an hour, wherever they come from; the right one has to wait too, and a recovery code has not."""
    clock: Any = sessions._clock
    phone = Phone((await factors.enrol(caller, PASSWORD, HERE)).secret, clock)
    recovery_code = (await factors.confirm(caller, phone.code()))[0]
    clock.advance(seconds=60)
    wrong = next(code for code in ("000000", "000001", "000002", "000003") if code not in {
        phone.code(step) for step in (-1, 0, 1)
    })  # fmt: skip
    for number in range(10):
        with pytest.raises(SecondFactorRequired):
            await sessions.sign_in(owner.email, PASSWORD, code=wrong, address=f"198.51.100.{number}", agent="x")

    with pytest.raises(RateLimited):
        await sessions.sign_in(owner.email, PASSWORD, code=phone.code(), **WHERE)

    assert await sessions.sign_in(owner.email, PASSWORD, code=recovery_code, **WHERE)


async def test_recovery_codes(
    factors: SecondFactors, sessions: Sessions, owner: User, caller: Caller, clock: SteppingClock
) -> None:
    """Each works once, in any case and with or without its dashes, and its owner hears of it."""
    phone = Phone((await factors.enrol(caller, PASSWORD, HERE)).secret, clock)
    first, second, *_ = await factors.confirm(caller, phone.code())

    await sessions.sign_in(owner.email, PASSWORD, code=first.upper(), **WHERE)
    _, again = await sessions.sign_in_cookie(owner.email, PASSWORD, code=second.replace("-", ""), **WHERE)

    with pytest.raises(SecondFactorRequired):
        await sessions.sign_in(owner.email, PASSWORD, code=first, **WHERE)
    assert (await factors.of(again)).recovery_codes_left == 8
    assert (await events())[1:] == ["account.recovery_code_used"] * 2
    renewed = await factors.renew_recovery_codes(again, PASSWORD, phone.code(1), HERE)
    assert second not in renewed
    assert (await factors.of(again)).recovery_codes_left == 10


async def test_codes_are_not_guessed(factors: SecondFactors, caller: Caller, clock: SteppingClock) -> None:
    """Ten recovery codes of 80 bits, no two alike, and a secret of 160 bits."""
    enrolled = await factors.enrol(caller, PASSWORD, HERE)
    found = await factors.confirm(caller, Phone(enrolled.secret, clock).code())

    assert len(set(found)) == len(found) == 10
    assert all(re.fullmatch(r"([a-km-np-z2-9]{4}-){3}[a-km-np-z2-9]{4}", code) for code in found)
    assert len({letter for code in found for letter in code}) > 20
    assert re.fullmatch(r"[A-Z2-7]{32}", enrolled.secret)


async def test_turning_it_off(
    factors: SecondFactors, sessions: Sessions, owner: User, caller: Caller, phone: Phone
) -> None:
    """It takes password and code; afterwards the password alone is enough, and nothing of it is left."""
    with pytest.raises(ValidationFailed) as no_password:
        await factors.remove(caller, "wrong password", phone.code(), HERE)
    with pytest.raises(ValidationFailed) as no_code:
        await factors.remove(caller, PASSWORD, phone.code(5), HERE)

    await factors.remove(caller, PASSWORD, phone.code(), HERE)

    assert no_password.value.details["errors"][0]["field"] == "password"
    assert no_code.value.details["errors"][0]["field"] == "code"
    assert await sessions.sign_in(owner.email, PASSWORD, **WHERE)
    assert await RecoveryCodeRow.all().count() == 0
    assert (await events())[-1] == "account.second_factor_removed"
    assert (await acts())[-1] == ("second_factor.removed", owner.email)
    with pytest.raises(NotFound):
        await factors.remove(caller, PASSWORD, phone.code(), HERE)


async def test_the_host_takes_it_away(factors: SecondFactors, sessions: Sessions, owner: User, phone: Phone) -> None:
    """Who has lost everything is let in by the host."""
    await factors.drop("Ada@example.org")

    assert await sessions.sign_in(owner.email, PASSWORD, **WHERE)
    with pytest.raises(NotFound):
        await factors.drop("no@example.org")
    assert (await acts())[-1] == ("second_factor.removed", "host")


async def test_one_at_a_time(factors: SecondFactors, caller: Caller, clock: SteppingClock) -> None:
    """A second beginning replaces the first; with one that is on, there is none."""
    first = Phone((await factors.enrol(caller, PASSWORD, HERE)).secret, clock)
    second = Phone((await factors.enrol(caller, PASSWORD, HERE)).secret, clock)
    with pytest.raises(ValidationFailed):
        await factors.confirm(caller, first.code())
    await factors.confirm(caller, second.code())

    with pytest.raises(Conflict):
        await factors.enrol(caller, PASSWORD, HERE)
    with pytest.raises(Conflict):
        await factors.confirm(caller, second.code(1))


async def test_what_it_takes_to_begin(factors: SecondFactors, owner: User, caller: Caller) -> None:
    """Neither a stolen session without the password nor an API key turns it on."""
    key = make_caller(user_id=owner.id, organization_id=owner.organization_id, session_id=None, key_id=ids.new("key"))
    calls: list[tuple[Any, type[QStoreError]]] = [
        (factors.enrol(caller, "wrong password", HERE), ValidationFailed),
        (factors.enrol(key, PASSWORD, HERE), Forbidden),
        (factors.confirm(key, "123456"), Forbidden),
        (factors.confirm(caller, "123456"), NotFound),
    ]
    for call, kind in calls:
        with pytest.raises(kind):
            await call


async def test_a_secret_of_another_installation(
    database: Database, sessions: Sessions, owner: User, phone: Phone, clock: SteppingClock
) -> None:
    """Without the installation's secret nobody computes codes: who copies the rows elsewhere has nothing."""
    elsewhere = Codes(database, clock, b"y" * 32)

    with pytest.raises(SecondFactorRequired):
        await elsewhere.checked(owner.id, phone.code())
