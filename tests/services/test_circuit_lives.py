"""
Circuits under any order of events, against a model of them in plain values: made, changed, deleted, brought back, forgotten.

After each step everybody of two organizations sees what the model says, by id, in lists and by tags, and nobody a thing of
the other organization.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.circuits import CircuitRow
from qstore_appliance.domain.accounts import Caller, Role
from qstore_appliance.domain.circuits import CircuitDraft, CircuitPatch
from qstore_appliance.domain.listing import Page
from qstore_appliance.errors import Forbidden, InvalidCircuit, NotFound
from qstore_appliance.services import circuits
from qstore_appliance.services.circuits import Circuits
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock, ThreadCalculator, make_caller

Result = TypeVar("Result")
DAY = timedelta(hours=24)
TAGS = st.lists(st.sampled_from(("vqe", "qaoa", "%", "_", "VQE")), max_size=3, unique=True)
NAMES = st.sampled_from(("a", "b", "Bell", "O'Hara", "%", "_", "ü", "<b>"))
#: Gates by how many symbols they have, in a row on one qubit.
LENGTHS = st.integers(0, 4)


def gates(count: int) -> list[dict[str, Any]]:
    return [{"type": "RY", "targets": [0], "parameters": {"theta": f"theta_{n}"}} for n in range(count)]


@dataclass
class Life:
    id: str
    organization: str
    maker: str
    name: str
    tags: list[str]
    n_qubits: int
    length: int
    version: int = 1
    deleted: datetime | None = None
    purged: bool = False


class Lives(RuleBasedStateMachine):
    circuits = Bundle("circuits")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = SteppingClock()
        self.do(self.open())
        first, second = make_caller(Role.ADMIN), make_caller(Role.ADMIN)
        self.callers: list[Caller] = [
            first,
            second,
            *(
                make_caller(role, organization_id=home.organization_id)
                for home in (first, second)
                for role in (Role.DEVELOPER, Role.DEVELOPER, Role.VIEWER)
            ),
        ]
        self.all: dict[str, Life] = {}

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    async def open(self) -> None:
        self.database = await Database.open(Settings(data_dir=Path(self.folder.name)))
        await self.database.migrate()
        self.service = Circuits(self.database, self.clock, ThreadCalculator())

    def teardown(self) -> None:
        self.do(self.database.close())
        self.runner.close()
        self.folder.cleanup()

    def expected(
        self, life: Life, caller: Caller, *, own: bool = False, deleted: bool = False
    ) -> type[Exception] | None:
        """What an act on a circuit is refused with; tenancy comes before anything that would tell that it exists."""
        if caller.role is Role.VIEWER:
            return Forbidden
        if life.organization != caller.organization_id or life.purged or (life.deleted is not None and not deleted):
            return NotFound
        if deleted and life.deleted is not None and life.deleted <= self.clock.now() - DAY:
            return NotFound
        if own and life.maker != caller.user_id and caller.role is not Role.ADMIN:
            return Forbidden
        return None

    def attempt(self, refused: type[Exception] | None, work: Coroutine[Any, Any, Result]) -> Result | None:
        if refused is None:
            return self.do(work)
        with pytest.raises(refused):
            self.do(work)
        return None

    # What happens ------------------------------------------------------------------------------------------------

    @rule(target=circuits, who=st.integers(0, 7), name=NAMES, tags=TAGS, length=LENGTHS, n_qubits=st.integers(1, 3))
    def is_made(self, who: int, name: str, tags: list[str], length: int, n_qubits: int) -> str:
        caller = self.callers[who]
        draft = CircuitDraft(
            name=name,
            n_qubits=n_qubits,
            gates=gates(length) or [{"type": "H", "targets": [0]}],
            metadata={"tags": tags},
        )
        made = self.attempt(Forbidden if caller.role is Role.VIEWER else None, self.service.create(caller, draft))
        if made is None:
            return ""
        self.all[made.id] = Life(made.id, caller.organization_id, caller.user_id, name, tags, n_qubits, max(length, 1))
        return made.id

    @rule(id=circuits, who=st.integers(0, 7), name=NAMES)
    def is_renamed(self, id: str, who: int, name: str) -> None:
        if id:
            life, caller = self.all[id], self.callers[who]
            refused = self.expected(life, caller)
            if self.attempt(refused, self.service.update(caller, id, CircuitPatch(name=name))):
                self.all[id] = replace(life, name=name)

    @rule(id=circuits, who=st.integers(0, 7), tags=TAGS)
    def is_tagged(self, id: str, who: int, tags: list[str]) -> None:
        if id:
            life, caller = self.all[id], self.callers[who]
            refused = self.expected(life, caller)
            if self.attempt(refused, self.service.update(caller, id, CircuitPatch(metadata={"tags": tags}))):
                self.all[id] = replace(life, tags=tags)

    @rule(id=circuits, who=st.integers(0, 7), length=st.integers(1, 4))
    def is_rewritten(self, id: str, who: int, length: int) -> None:
        if id:
            life, caller = self.all[id], self.callers[who]
            refused = self.expected(life, caller)
            if self.attempt(refused, self.service.update(caller, id, CircuitPatch(gates=gates(length)))):
                self.all[id] = replace(life, length=length, version=life.version + 1)

    @rule(id=circuits, who=st.integers(0, 7))
    def is_not_spoilt(self, id: str, who: int) -> None:
        if id:
            refused = self.expected(self.all[id], self.callers[who]) or InvalidCircuit
            wrong = [{"type": "CNOT", "targets": [0, 0]}]
            self.attempt(refused, self.service.update(self.callers[who], id, CircuitPatch(name="spoilt", gates=wrong)))

    @rule(id=circuits, who=st.integers(0, 7))
    def is_deleted(self, id: str, who: int) -> None:
        if id:
            life, caller = self.all[id], self.callers[who]
            refused = self.expected(life, caller, own=True)
            self.attempt(refused, self.service.delete(caller, id))
            if refused is None:
                self.all[id] = replace(life, deleted=self.clock.now())

    @rule(id=circuits, who=st.integers(0, 7))
    def is_brought_back(self, id: str, who: int) -> None:
        if id:
            life, caller = self.all[id], self.callers[who]
            refused = self.expected(life, caller, own=True, deleted=True)
            if self.attempt(refused, self.service.restore(caller, id)):
                self.all[id] = replace(life, deleted=None)

    @rule()
    def space_is_freed(self) -> None:
        old = [
            life
            for life in self.all.values()
            if not life.purged and life.deleted is not None and life.deleted <= self.clock.now() - DAY
        ]
        assert self.do(self.service.purge()) == len(old)
        for life in old:
            self.all[life.id] = replace(life, purged=True)

    @rule(hours=st.sampled_from((1, 23, 24, 25)))
    def time_passes(self, hours: int) -> None:
        self.clock.advance(hours=hours)

    # What must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def everybody_sees_what_is_there(self) -> None:
        for caller in self.callers:
            there = [
                one for one in self.all.values() if one.organization == caller.organization_id and one.deleted is None
            ]
            listed = self.do(self.service.listed(caller, Page(limit=100, sort="name")))
            assert {item.id for item in listed.items} == {life.id for life in there}
            assert listed.total == len(there)
            assert [item.name for item in listed.items] == sorted(item.name for item in listed.items)
            for life in self.all.values():
                if life not in there:
                    with pytest.raises(NotFound):
                        self.do(self.service.get(caller, life.id))

    @invariant()
    def each_is_what_was_written(self) -> None:
        for life in self.all.values():
            if life.deleted is None:
                caller = next(one for one in self.callers if one.organization_id == life.organization)
                found = self.do(self.service.get(caller, life.id))
                assert (found.name, found.tags, found.version) == (life.name, life.tags, life.version)
                assert (found.n_qubits, found.gate_count, found.user_id) == (life.n_qubits, life.length, life.maker)

    @invariant()
    def tags_find_their_own(self) -> None:
        for caller in self.callers[:2]:
            for tag in ("vqe", "%", "_", "VQE", "none"):
                found = self.do(self.service.listed(caller, Page(limit=100), [tag]))
                assert {item.id for item in found.items} == {
                    life.id
                    for life in self.all.values()
                    if life.organization == caller.organization_id and life.deleted is None and tag in life.tags
                }


Lives.TestCase.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLives = Lives.TestCase


async def _nothing(*_: object) -> None:
    pass


async def _anybodys(self: Circuits, caller: Caller, id: str, *, change: bool = False) -> CircuitRow:
    row = await CircuitRow.get_or_none(id=id, deleted_at=None)
    if row is None:
        raise NotFound.of("circuit", id)
    return row


FAULTS: dict[str, tuple[object, str, object]] = {
    "another organization's are found": (Circuits, "_row", _anybodys),
    "anybody deletes what is somebody's": (circuits, "_require_own", lambda caller, row: None),
    "what was deleted does not come back": (circuits, "RESTORABLE", timedelta(0)),
    "tags are not kept": (circuits, "_tag", _nothing),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_machine_finds_it(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """A fault that is planted is found within a few hundred lives."""
    monkeypatch.setattr(*FAULTS[fault])
    seeking = settings(
        max_examples=300,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )

    # Whichever promise is broken, it says so in its own way: a wrong answer, or a refusal that did not come.
    with pytest.raises((AssertionError, NotFound, pytest.fail.Exception)):
        run_state_machine_as_test(Lives, settings=seeking)


class ManyLives(Lives):
    """The same for as long as it takes."""


ManyLives.TestCase.settings = settings(
    max_examples=2_000, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
TestManyLives = pytest.mark.long(ManyLives.TestCase)
