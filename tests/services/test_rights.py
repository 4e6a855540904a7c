"""
Who may do what under any order of events: users, sessions and keys, against a model of them in plain sets.

After each step every access token, refresh token and key that was ever given away is tried: it opens exactly what the model
says of its user's role now, or nothing at all.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import UserRow
from qstore_appliance.domain.accounts import ApiKeyDraft, Caller, Role
from qstore_appliance.domain.listing import Page
from qstore_appliance.errors import Forbidden, NotFound, Unauthenticated
from qstore_appliance.services.accounts import Accounts
from qstore_appliance.services.codes import Codes
from qstore_appliance.services.notices import Notices
from qstore_appliance.services.outbox import Outbox
from qstore_appliance.services.passwords import Passwords
from qstore_appliance.services.sessions import Sessions
from qstore_appliance.services.sign_ins import SignIns
from qstore_appliance.settings import Limits, Settings
from tests.factories import SteppingClock

Result = TypeVar("Result")
SECRET = bytes(range(32))
WHERE = {"address": "127.0.0.1", "agent": "tests"}
READING = {f"{noun}:read" for noun in ("circuits", "datasets", "jobs", "models", "backends", "usage", "budget")}
WRITING = {"circuits:write", "datasets:write", "jobs:submit", "jobs:cancel", "models:deploy", "api-keys:own"}
RULING = {
    "circuits:delete",
    "jobs:pause",
    "users:write",
    "billing:write",
    "sessions:read",
    "audit:read",
    "organization:write",
}
#: The matrix of permissions, written down a second time.
MATRIX = {
    "viewer": READING | {"models:predict"},
    "developer": READING | WRITING | {"models:predict"},
    "admin": READING | WRITING | RULING | {"models:predict"},
    "owner": READING | WRITING | RULING | {"models:predict", "organization:delete"},
}
ALL = sorted(MATRIX["owner"])
WHOLE = {"circuits:*", "jobs:*", "models:*", "users:*", "billing:*"}
SCOPES = sorted({*ALL, *WHOLE})
LEEWAY, GRACE = timedelta(seconds=30), timedelta(seconds=2)


def covers(scope: str, permission: str) -> bool:
    return scope in (permission, permission.partition(":")[0] + ":*")


@dataclass
class Person:
    email: str
    organization: str
    role: str
    password: str
    disabled: bool = False


@dataclass
class Session:
    person: Person
    alive: bool = True
    #: Access tokens with their ends, and refresh tokens, the newest last.
    accesses: list[tuple[str, datetime]] = field(default_factory=list)
    refreshes: list[str] = field(default_factory=list)
    rotated: datetime | None = None


@dataclass
class Key:
    person: Person
    id: str
    key: str
    scopes: list[str]
    end: datetime | None
    alive: bool = True


class Rights(RuleBasedStateMachine):
    people = Bundle("people")
    sessions = Bundle("sessions")
    keys = Bundle("keys")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = SteppingClock()
        self.passwords = Passwords(time_cost=1, memory_kib=8)
        self.do(self.open())
        self.everybody: list[Person] = []
        self.failures = 0
        self.opened: list[Session] = []
        self.made: list[Key] = []
        #: Administrative acts that the audit log must tell of, by name.
        self.acts: dict[str, int] = {}

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    async def open(self) -> None:
        wide = Limits(sign_in_failures_account=1_000_000, sign_in_failures_address=1_000_000)
        configured = Settings(data_dir=Path(self.folder.name), limits=wide)
        self.configured = configured
        self.database = database = await Database.open(configured)
        await database.migrate()
        notices = Notices(Outbox(database, self.clock, configured, {}), self.clock, configured)
        self.accounts = Accounts(database, self.clock, self.passwords, configured)
        codes = Codes(database, self.clock, SECRET)
        sign_ins = SignIns(database, self.clock, self.passwords, codes, notices, configured)
        self.service = Sessions(database, self.clock, self.accounts, sign_ins, notices, configured, SECRET)

    def teardown(self) -> None:
        self.do(self.database.close())
        self.passwords.close()
        self.runner.close()
        self.folder.cleanup()

    def elsewhere(self) -> dict[str, str]:
        """From an address of its own: ten failures from one are too many, which is another test's matter."""
        self.failures += 1
        return {"address": f"10.{self.failures // 250}.{self.failures % 250}.1", "agent": "tests"}

    def act(self, name: str) -> None:
        self.acts[name] = self.acts.get(name, 0) + 1

    # What happens ------------------------------------------------------------------------------------------------

    @initialize(target=people)
    def somebody_is_first(self) -> Person:
        return self.joins("Engines", "owner")

    @rule(target=people, organization=st.sampled_from(("Engines", "Looms")), role=st.sampled_from(sorted(MATRIX)))
    def joins(self, organization: str, role: str) -> Person:
        number = len(self.everybody)
        person = Person(f"person{number}@example.org", organization, role, f"a lab of ones own {number}")
        self.do(self.accounts.create_user(person.email, organization, role, person.password))
        self.everybody.append(person)
        self.act("user.created")
        return person

    @rule(person=people, role=st.sampled_from(sorted(MATRIX)))
    def changes_role(self, person: Person, role: str) -> None:
        self.do(self._change_role(person, role))
        person.role = role

    async def _change_role(self, person: Person, role: str) -> None:
        user = await UserRow.get(email=person.email)
        await UserRow.filter(id=user.id).update(role=role)
        self.accounts.callers.changed(user.id)

    @rule(person=people)
    def is_disabled(self, person: Person) -> None:
        self.do(self.accounts.disable(person.email))
        person.disabled = True
        self._end_all(person)
        self.act("user.disabled")

    @rule(person=people, number=st.integers(0, 9))
    def gets_another_password(self, person: Person, number: int) -> None:
        person.password = f"quite another phrase {number}{number + 3}"
        self.do(self.accounts.reset_password(person.email, person.password))
        self._end_all(person)
        self.act("user.password_reset")

    def _end_all(self, person: Person) -> None:
        for session in self.opened:
            session.alive &= session.person is not person

    @rule(target=sessions, person=people)
    def signs_in(self, person: Person) -> Session:
        session = Session(person, alive=not person.disabled)
        self.opened.append(session)
        if person.disabled:
            with pytest.raises(Unauthenticated):
                self.do(self.service.sign_in(person.email, person.password, **self.elsewhere()))
            return session
        tokens = self.do(self.service.sign_in(person.email, person.password, **WHERE))
        self._keep(session, tokens)
        return session

    def _keep(self, session: Session, tokens: Any) -> None:
        end = self.clock.now().replace(microsecond=0) + timedelta(seconds=self.configured.auth.access_seconds)
        session.accesses.append((tokens.access_token, end))
        session.refreshes.append(tokens.refresh_token)

    @rule(person=people, other=people)
    def tries_anothers_password(self, person: Person, other: Person) -> None:
        if person.password != other.password:
            with pytest.raises(Unauthenticated):
                self.do(self.service.sign_in(person.email, other.password, **self.elsewhere()))

    @rule(session=sessions)
    def refreshes(self, session: Session) -> None:
        if not session.refreshes:
            return
        if not session.alive:
            with pytest.raises(Unauthenticated):
                self.do(self.service.refresh(session.refreshes[-1], **WHERE))
            return
        self._keep(session, self.do(self.service.refresh(session.refreshes[-1], **WHERE)))
        session.rotated = self.clock.now()

    @rule(session=sessions, place=st.integers(2, 4))
    def a_thief_refreshes(self, session: Session, place: int) -> None:
        if len(session.refreshes) < place:
            return
        with pytest.raises(Unauthenticated):
            self.do(self.service.refresh(session.refreshes[-place], **WHERE))
        assert session.rotated is not None
        if place > 2 or self.clock.now() - session.rotated > GRACE:
            session.alive = False

    @rule(session=sessions)
    def signs_out(self, session: Session) -> None:
        caller = self._caller(session)
        if caller is not None:
            self.do(self.service.sign_out(caller))
            session.alive = False

    def _caller(self, session: Session) -> Caller | None:
        """By the newest access token, where there is one that lives."""
        if not session.alive or not session.accesses or self.clock.now() > session.accesses[-1][1]:
            return None
        return self.do(self.service.by_access_token(session.accesses[-1][0]))

    @rule(
        target=keys,
        session=sessions,
        scopes=st.lists(st.sampled_from(SCOPES), min_size=1, max_size=4),
        hours=st.one_of(st.none(), st.integers(1, 5)),
    )
    def makes_a_key(self, session: Session, scopes: list[str], hours: int | None) -> Key | None:
        caller = self._caller(session)
        if caller is None:
            return None
        role = session.person.role
        whole = WHOLE if role in ("admin", "owner") else set()
        may = "api-keys:own" in MATRIX[role] and set(scopes) <= MATRIX[role] | whole
        end = None if hours is None else self.clock.now() + timedelta(hours=hours)
        draft = ApiKeyDraft(name="k", scopes=scopes, expires_at=end)
        if not may:
            with pytest.raises(Forbidden):
                self.do(self.accounts.create_key(caller, draft))
            return None
        made = self.do(self.accounts.create_key(caller, draft))
        assert made.key is not None
        key = Key(session.person, made.id, made.key, scopes, end)
        self.made.append(key)
        self.act("api_key.created")
        return key

    @rule(session=sessions, key=keys)
    def revokes_a_key(self, session: Session, key: Key | None) -> None:
        caller = self._caller(session)
        if caller is None or key is None:
            return
        person = session.person
        if "api-keys:own" not in MATRIX[person.role]:
            with pytest.raises(Forbidden):
                self.do(self.accounts.revoke_key(caller, key.id))
            return
        mine = key.person is person
        ruling = person.role in ("admin", "owner") and key.person.organization == person.organization
        if key.alive and (mine or ruling):
            self.do(self.accounts.revoke_key(caller, key.id))
            key.alive = False
            self.act("api_key.revoked")
        else:
            with pytest.raises(NotFound):
                self.do(self.accounts.revoke_key(caller, key.id))

    @rule(seconds=st.sampled_from((1, 3, 60, 1_800, 3_600, 7_200)))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)
        # More than the half second for which callers are remembered.
        self.accounts.callers._entries.clear()

    # What must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def tokens_open_what_their_roles_may(self) -> None:
        now = self.clock.now()
        for session in self.opened:
            for token, end in session.accesses:
                # Between its end and the leeway behind it both answers are right.
                if end < now <= end + LEEWAY + timedelta(seconds=1):
                    continue
                expected = MATRIX[session.person.role] if session.alive and now <= end else None
                assert self.do(self._opened(self.service.by_access_token(token), session.person)) == expected
            for token in session.refreshes:
                assert self.do(self._opened(self.service.by_access_token(token), session.person)) is None

    @invariant()
    def keys_open_what_both_may(self) -> None:
        now = self.clock.now()
        for key in self.made:
            living = key.alive and not key.person.disabled and (key.end is None or now < key.end)
            wished = {one for one in ALL if any(covers(scope, one) for scope in key.scopes)}
            expected = wished & MATRIX[key.person.role] if living else None
            assert self.do(self._opened(self.service.by_api_key(key.key), key.person)) == expected

    async def _opened(self, coming: Coroutine[Any, Any, Caller], person: Person) -> set[str] | None:
        try:
            caller = await coming
        except Unauthenticated:
            return None
        assert (caller.email, caller.role) == (person.email, Role(person.role))
        return {permission for permission in ALL if caller.may(permission)}

    @invariant()
    def lists_show_the_living(self) -> None:
        for session in self.opened:
            caller, person = self._caller(session), session.person
            if caller is None or "api-keys:own" not in MATRIX[person.role]:
                continue
            listed = self.do(self.accounts.list_keys(caller, Page(limit=100)))
            ruling = person.role in ("admin", "owner")
            expected = {
                key.id
                for key in self.made
                if key.alive and (key.person is person or (ruling and key.person.organization == person.organization))
            }
            assert {key.id for key in listed.items} == expected
            assert listed.total == len(expected)
            assert all(key.key is None for key in listed.items)

    @invariant()
    def each_act_is_one_entry_of_the_log(self) -> None:
        found = self.do(self._entries())
        assert {name: found.get(name, 0) for name in self.acts} == self.acts

    async def _entries(self) -> dict[str, int]:
        rows = await self.database.connection.execute_query_dict(
            "SELECT action, COUNT(*) AS n FROM audit_entries GROUP BY action"
        )
        return {row["action"]: row["n"] for row in rows}


Rights.TestCase.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRights = Rights.TestCase


class ManyRights(Rights):
    """The same for as long as it takes."""


ManyRights.TestCase.settings = settings(
    max_examples=2_000, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
TestManyRights = pytest.mark.long(ManyRights.TestCase)
