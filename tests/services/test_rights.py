"""
Who may do what under any order of events: users, roles, sessions and keys, against a model of them in plain sets.

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
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import UserRow
from qstore_appliance.database.tables.members import MembershipRow
from qstore_appliance.domain.accounts import ApiKeyDraft, Caller
from qstore_appliance.domain.listing import Page
from qstore_appliance.domain.roles import PATTERNS, RoleDraft, RolePatch
from qstore_appliance.errors import Conflict, Forbidden, NotFound, Unauthenticated
from qstore_appliance.services import callers, roles
from qstore_appliance.services.accounts import Accounts
from qstore_appliance.services.callers import Callers
from qstore_appliance.services.codes import Codes
from qstore_appliance.services.notices import Notices
from qstore_appliance.services.outbox import Outbox
from qstore_appliance.services.passwords import Passwords
from qstore_appliance.services.roles import Roles
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
    "users:read",
    "users:write",
    "users:delete",
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
RULERS = ("admin", "owner")
WHOLE = {"circuits:*", "jobs:*", "models:*", "users:*", "billing:*"}
SCOPES = sorted({*ALL, *WHOLE})
#: What roles are made of: those who look after people among them.
PARTS = st.lists(
    st.one_of(st.sampled_from(("users:*", "api-keys:own")), st.sampled_from(sorted({*SCOPES} & PATTERNS))),
    min_size=1,
    max_size=5,
    unique=True,
)
NAMES = ("night-shift", "desk")
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
        #: Roles that organizations have made, by organization and name.
        self.own: dict[tuple[str, str], set[str]] = {}
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
        self.roles = Roles(database, self.clock, self.accounts.callers)
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

    def held(self, person: Person) -> set[str]:
        """What their role is made of."""
        own = self.own.get((person.organization, person.role))
        return MATRIX[person.role] | (WHOLE if person.role in RULERS else set()) if own is None else own

    def rights(self, person: Person) -> set[str]:
        return {one for one in ALL if self.has(person, one)}

    def has(self, person: Person, permission: str) -> bool:
        return any(covers(scope, permission) for scope in self.held(person))

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
        await MembershipRow.filter(user_id=user.id).update(role=role)
        self.accounts.callers.changed(user.id)

    @rule(person=people, name=st.sampled_from(NAMES))
    def gets_a_role_of_their_own(self, person: Person, name: str) -> None:
        if (person.organization, name) in self.own:
            self.changes_role(person, name)

    @rule(target=sessions, organization=st.sampled_from(("Engines", "Looms")), name=st.sampled_from(NAMES), parts=PARTS)
    def comes_with_a_role_of_their_own(self, organization: str, name: str, parts: list[str]) -> Session:
        """In one step, since single ones would seldom lead here: the role is made, somebody has it and signs in."""
        if (organization, name) not in self.own:
            chief = self.joins(organization, "owner")
            owner = self.do(self.accounts.caller_of(chief.email))
            self.do(self.roles.create(owner, RoleDraft(name=name, permissions=parts)))
            self.own[organization, name] = set(parts)
            self.act("role.created")
        return self.signs_in(self.joins(organization, name))

    @rule(target=sessions, organization=st.sampled_from(("Engines", "Looms")), role=st.sampled_from(RULERS))
    def comes_to_rule(self, organization: str, role: str) -> Session:
        return self.signs_in(self.joins(organization, role))

    @rule(number=st.integers(0, 3), parts=PARTS)
    def becomes_another_role(self, number: int, parts: list[str]) -> None:
        """One that there is, changed by an owner who comes for that."""
        if self.own:
            organization, name = sorted(self.own)[number % len(self.own)]
            chief = self.do(self.accounts.caller_of(self.joins(organization, "owner").email))
            self.do(self.roles.change(chief, name, RolePatch(permissions=parts)))
            if self.own[organization, name] != set(parts):
                self.act("role.updated")
            self.own[organization, name] = set(parts)

    @rule(session=sessions, name=st.sampled_from(NAMES), parts=PARTS)
    def makes_a_role(self, session: Session, name: str, parts: list[str]) -> None:
        caller, person = self._caller(session), session.person
        if caller is None:
            return
        making = self.roles.create(caller, RoleDraft(name=name, permissions=parts))
        if not self.has(person, "users:write") or not all(self.has(person, part) for part in parts):
            with pytest.raises(Forbidden):
                self.do(making)
        elif (person.organization, name) in self.own:
            with pytest.raises(Conflict):
                self.do(making)
        else:
            self.do(making)
            self.own[person.organization, name] = set(parts)
            self.act("role.created")

    @rule(session=sessions, name=st.sampled_from(NAMES), parts=PARTS)
    def changes_a_role(self, session: Session, name: str, parts: list[str]) -> None:
        caller, person = self._caller(session), session.person
        if caller is None:
            return
        before = self.own.get((person.organization, name))
        changing = self.roles.change(caller, name, RolePatch(permissions=parts))
        if not self.has(person, "users:write"):
            with pytest.raises(Forbidden):
                self.do(changing)
        elif before is None:
            with pytest.raises(NotFound):
                self.do(changing)
        elif not all(self.has(person, part) for part in {*before, *parts}):
            with pytest.raises(Forbidden):
                self.do(changing)
        else:
            self.do(changing)
            self.own[person.organization, name] = set(parts)
            if before != set(parts):
                self.act("role.updated")

    @rule(session=sessions, name=st.sampled_from(NAMES))
    def deletes_a_role(self, session: Session, name: str) -> None:
        caller, person = self._caller(session), session.person
        if caller is None:
            return
        before = self.own.get((person.organization, name))
        deleting = self.roles.delete(caller, name)
        if not self.has(person, "users:delete"):
            expected: type[Exception] | None = Forbidden
        elif before is None:
            expected = NotFound
        elif not all(self.has(person, part) for part in before):
            expected = Forbidden
        else:
            held = any((one.organization, one.role) == (person.organization, name) for one in self.everybody)
            expected = Conflict if held else None
        if expected is not None:
            with pytest.raises(expected):
                self.do(deleting)
            return
        self.do(deleting)
        del self.own[person.organization, name]
        self.act("role.deleted")

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
        person = session.person
        may = self.has(person, "api-keys:own") and all(self.has(person, scope) for scope in scopes)
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

    @rule(target=keys, session=sessions)
    def makes_a_key_for_all(self, session: Session) -> Key | None:
        """With whatever its maker has: what they lose later, it loses."""
        scopes = sorted(self.held(session.person) & {*SCOPES})
        return self.makes_a_key(session, scopes, None) if scopes else None

    @rule(session=sessions, key=keys)
    def revokes_a_key(self, session: Session, key: Key | None) -> None:
        caller = self._caller(session)
        if caller is None or key is None:
            return
        person = session.person
        if not self.has(person, "api-keys:own"):
            with pytest.raises(Forbidden):
                self.do(self.accounts.revoke_key(caller, key.id))
            return
        mine = key.person is person
        ruling = person.role in RULERS and key.person.organization == person.organization
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
                expected = self.rights(session.person) if session.alive and now <= end else None
                assert self.do(self._opened(self.service.by_access_token(token), session.person)) == expected
            for token in session.refreshes:
                assert self.do(self._opened(self.service.by_access_token(token), session.person)) is None

    @invariant()
    def keys_open_what_both_may(self) -> None:
        now = self.clock.now()
        for key in self.made:
            living = key.alive and not key.person.disabled and (key.end is None or now < key.end)
            wished = {one for one in ALL if any(covers(scope, one) for scope in key.scopes)}
            expected = wished & self.rights(key.person) if living else None
            assert self.do(self._opened(self.service.by_api_key(key.key), key.person)) == expected

    async def _opened(self, coming: Coroutine[Any, Any, Caller], person: Person) -> set[str] | None:
        try:
            caller = await coming
        except Unauthenticated:
            return None
        assert (caller.email, caller.role) == (person.email, person.role)
        return {permission for permission in ALL if caller.may(permission)}

    @invariant()
    def lists_show_the_living(self) -> None:
        for session in self.opened:
            caller, person = self._caller(session), session.person
            if caller is None or not self.has(person, "api-keys:own"):
                continue
            listed = self.do(self.accounts.list_keys(caller, Page(limit=100)))
            ruling = person.role in RULERS
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


FAULTS: dict[str, tuple[object, str, object]] = {
    "a role holds what its maker lacks": (roles, "covers", lambda scopes, wanted: True),
    "a role that changed is remembered": (Callers, "changed_in", lambda self, organization_id: None),
    "a key has what its owner had": (callers, "cut", lambda wanted, granted: frozenset(wanted)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_machine_finds_it(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """A fault that is planted is found within a few hundred runs."""
    monkeypatch.setattr(*FAULTS[fault])
    seeking = settings(
        max_examples=200,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )

    # A promise that is broken says so in its own way: a wrong answer, a refusal that did not come, or another one.
    with pytest.raises((AssertionError, Forbidden, Conflict, NotFound, pytest.fail.Exception)):
        run_state_machine_as_test(Rights, settings=seeking)


class ManyRights(Rights):
    """The same for as long as it takes."""


ManyRights.TestCase.settings = settings(
    max_examples=2_000, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
TestManyRights = pytest.mark.long(ManyRights.TestCase)
