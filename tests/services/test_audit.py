"""The audit log: one entry for each act, in the act's own transaction, and no way to change it unnoticed."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.audit import AuditHeadRow, AuditRow
from qstore_appliance.domain.accounts import Caller, User
from qstore_appliance.domain.audit import BEGINNING, COLUMNS, INSTALLATION, AuditFilter, as_csv_line, as_json_line
from qstore_appliance.domain.listing import Page
from qstore_appliance.errors import Forbidden, Unauthenticated
from qstore_appliance.services import audit as module
from qstore_appliance.services.accounts import Accounts
from qstore_appliance.services.audit import Audit, come_from
from qstore_appliance.services.sessions import Sessions
from tests.factories import PASSWORD, SteppingClock, make_caller, make_key_draft

NEWEST = Page(limit=100, sort="-seq")


@pytest.fixture
def audit(database: Database, clock: SteppingClock) -> Audit:
    return Audit(database, clock)


@pytest.fixture
async def owner(accounts: Accounts) -> User:
    return await accounts.create_owner("owner@one.example", PASSWORD, "One")


@pytest.fixture
def caller(owner: User) -> Caller:
    return make_caller(
        "owner", user_id=owner.id, organization_id=owner.organization_id, email=owner.email, operator=True
    )


async def actions(audit: Audit, caller: Caller, *, installation: bool = False) -> list[str]:
    found = await audit.listed(caller, NEWEST, installation=installation)
    return [entry.action for entry in reversed(found.items)]


async def test_a_day_of_an_administrator(
    audit: Audit, accounts: Accounts, sessions: Sessions, owner: User, caller: Caller
) -> None:
    """Every act has its entry, in order, with who did it, to what and from where; a failed sign-in of nobody has another chain."""
    come_from("192.0.2.7")
    tokens = await sessions.sign_in(owner.email, PASSWORD, address="192.0.2.7", agent="browser")
    key = await accounts.create_key(caller, make_key_draft())
    assert key.key is not None
    for _ in range(2):
        await sessions.by_api_key(key.key)
    come_from("2001:db8:1:2::3")
    await sessions.by_api_key(key.key)
    come_from("2001:db8:1:2::4")
    await sessions.by_api_key(key.key)
    come_from("")
    await accounts.revoke_key(caller, key.id)
    for email in (owner.email, "nobody@one.example"):
        with pytest.raises(Unauthenticated):
            await sessions.sign_in(email, "wrong password", address="192.0.2.7", agent="x")
    await accounts.create_user("second@one.example", "One", "viewer", PASSWORD)
    await accounts.reset_password("second@one.example", "another horse battery")
    await accounts.disable("second@one.example")
    await sessions.sign_out(await sessions.by_access_token(tokens.access_token))

    assert await actions(audit, caller) == [
        "installation.set_up", "session.started", "api_key.created", "api_key.new_address", "api_key.new_address",
        "api_key.revoked", "session.refused", "user.created", "user.password_reset", "user.disabled", "session.ended",
    ]  # fmt: skip
    assert await actions(audit, caller, installation=True) == ["session.refused"]
    entries = (await audit.listed(caller, NEWEST)).items[::-1]
    assert [entry.seq for entry in entries] == list(range(1, 12))
    started, made = entries[1], entries[2]
    assert (started.actor, started.user_id, started.address) == (owner.email, owner.id, "192.0.2.7")
    assert (made.subject, json.loads(made.details)["prefix"]) == (key.id, key.prefix)
    assert entries[8].actor == "host"
    assert not any(key.key in entry.details or PASSWORD in entry.details for entry in entries)
    async for state in audit.verify_all():
        assert state.fault is None, state


async def test_the_act_and_its_entry_are_one(audit: Audit, database: Database, caller: Caller) -> None:
    """When the act's transaction fails there is no entry, and the chain goes on without a gap."""
    organization = caller.organization_id

    async def fail() -> None:
        async with database.transaction():
            await audit.record("budget.updated", organization_id=organization, caller=caller)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    await audit.record("api_key.revoked", organization_id=organization, caller=caller)

    assert await actions(audit, caller) == ["installation.set_up", "api_key.revoked"]
    assert (await audit.verify(organization)).fault is None


async def test_parallel_acts_stand_one_after_another(audit: Audit, caller: Caller) -> None:
    """Of twenty acts at the same time each has a number of its own, and the chain is whole."""
    await asyncio.gather(
        *(audit.record("budget.updated", organization_id=caller.organization_id, number=number) for number in range(20))
    )

    state = await audit.verify(caller.organization_id)
    assert (state.entries, state.fault) == (21, None)


async def test_unknown_acts_are_no_entries(audit: Audit) -> None:
    """An act that is not documented cannot be recorded."""
    with pytest.raises(ValueError, match="no act"):
        await audit.record("nothing.happened", organization_id=None)


async def change(seq: int, **values: Any) -> None:
    await AuditRow.filter(seq=seq).update(**values)


async def swap(first: int, second: int) -> None:
    await AuditRow.filter(seq=first).update(seq=1_000)
    await AuditRow.filter(seq=second).update(seq=first)
    await AuditRow.filter(seq=1_000).update(seq=second)


TAMPERING: dict[str, tuple[Callable[[], Awaitable[Any]], int, str]] = {
    "another actor": (lambda: change(3, actor="mallory@one.example"), 3, "changed"),
    "another act": (lambda: change(3, action="user.created"), 3, "changed"),
    "another time": (lambda: change(3, at=datetime(2020, 1, 1, tzinfo=UTC)), 3, "changed"),
    "other details": (lambda: change(3, details="{}"), 3, "changed"),
    "details respelled": (lambda: change(3, details='{"number": 1}'), 3, "changed"),
    "another address": (lambda: change(3, address="192.0.2.1"), 3, "changed"),
    "another subject": (lambda: change(3, subject="x"), 3, "changed"),
    "another user": (lambda: change(3, user_id="x"), 3, "changed"),
    "another key": (lambda: change(3, key_id="x"), 3, "changed"),
    "another hash": (lambda: change(3, hash="1" * 64), 3, "changed"),
    "another one before": (lambda: change(3, previous="1" * 64), 3, "does not follow"),
    "the first taken out": (lambda: AuditRow.filter(seq=1).delete(), 1, "missing"),
    "one taken out": (lambda: AuditRow.filter(seq=3).delete(), 3, "missing"),
    "the last taken out": (lambda: AuditRow.filter(seq=6).delete(), 6, "ends after"),
    "all taken out": (lambda: AuditRow.all().delete(), 1, "ends after"),
    "two swapped": (lambda: swap(3, 4), 3, "does not follow"),
    "the head taken out": (lambda: AuditHeadRow.all().delete(), 7, "last entry is missing"),
    "the head set back": (lambda: AuditHeadRow.all().update(seq=5), 7, "ends after"),
}


@pytest.mark.attack("A63")
@pytest.mark.parametrize(("tamper", "seq", "words"), TAMPERING.values(), ids=TAMPERING)
async def test_tampering_is_found(
    audit: Audit, caller: Caller, tamper: Callable[[], Awaitable[Any]], seq: int, words: str
) -> None:
    """Whatever is changed, moved or taken out, the first entry that is wrong is named."""
    for number in range(5):
        await audit.record("budget.updated", organization_id=caller.organization_id, caller=caller, number=number)
    assert (await audit.verify(caller.organization_id)).fault is None

    await tamper()

    (state,) = [state async for state in audit.verify_all()]
    assert state.fault is not None
    assert words in state.fault
    if "head" not in words:
        assert state.fault_seq == seq


@pytest.mark.attack("A63")
async def test_a_chain_rewritten_from_its_middle_has_another_head(audit: Audit, caller: Caller) -> None:
    """Who can write everything can make a whole chain again; the head that was kept elsewhere tells."""
    for number in range(3):
        await audit.record("budget.updated", organization_id=caller.organization_id, caller=caller, number=number)
    kept = (await audit.verify(caller.organization_id)).head
    await AuditRow.filter(seq__gt=2).delete()
    row = await AuditRow.get(seq=2)
    await AuditHeadRow.all().update(seq=2, hash=row.hash)
    await audit.record("budget.updated", organization_id=caller.organization_id, caller=caller, number=7)

    assert (await audit.verify(caller.organization_id)).head != kept


async def test_whose_it_is(audit: Audit, caller: Caller) -> None:
    """Another organization's entries are not there; without the permission there is nothing to read."""
    await audit.record("budget.updated", organization_id="org_other", caller=caller)

    assert await actions(audit, caller) == ["installation.set_up"]
    developer = make_caller("developer", organization_id=caller.organization_id)
    admin = make_caller("admin", organization_id=caller.organization_id)
    for reading in (
        audit.listed(developer, NEWEST),
        audit.verified(developer),
        audit.listed(admin, NEWEST, installation=True),
    ):
        with pytest.raises(Forbidden):
            await reading


async def test_searching(audit: Audit, caller: Caller, clock: SteppingClock) -> None:
    """By act, family, actor, subject, time and text; wildcards of SQL are letters like others."""
    organization = caller.organization_id
    await audit.record("api_key.created", organization_id=organization, actor="a_a@x", subject="key_1", name="100%")
    clock.advance(hours=1)
    later = clock.now()
    await audit.record("api_key.revoked", organization_id=organization, actor="aba@x", subject="key_2", name="all")

    async def found(**wanted: Any) -> list[int]:
        return [entry.seq for entry in (await audit.listed(caller, NEWEST, AuditFilter(**wanted))).items]

    assert await found(action="api_key") == [3, 2]
    assert await found(action="api_key.created") == [2]
    assert await found(actor="a_a@x") == [2]
    assert await found(subject="key_2") == [3]
    assert await found(since=later) == [3]
    assert await found(until=later) == [2, 1]
    assert await found(text="100%") == [2]
    assert await found(text="A_A") == [2]
    assert await found(text="nothing") == []


async def test_exports(audit: Audit, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """An export has everything, oldest first; what a spreadsheet would compute is text in it."""
    monkeypatch.setattr(module, "BATCH", 3)
    for number in range(10):
        await audit.record("budget.updated", organization_id=caller.organization_id, actor="=cmd|x", number=number)

    entries = [entry async for entry in audit.exported(caller)]

    assert [entry.seq for entry in entries] == list(range(1, 12))
    assert json.loads(as_json_line(entries[1]))["details"] == {"number": 0}
    assert json.loads(as_json_line(entries[0]))["previous"] == BEGINNING
    (cells,) = csv.reader(io.StringIO(as_csv_line(entries[1])))
    assert dict(zip(COLUMNS, cells, strict=True))["actor"] == "'=cmd|x"
    assert (await audit.verify(INSTALLATION)).entries == 0
