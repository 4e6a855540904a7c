"""What a circuit was before, on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.circuits import CircuitVersionRow
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.circuits import CircuitPatch, StoredCircuit
from qstore_appliance.domain.listing import Page
from qstore_appliance.errors import NotFound, PreconditionFailed
from qstore_appliance.services.circuit_versions import CircuitVersions
from qstore_appliance.services.circuits import RESTORABLE, Circuits
from tests.factories import SteppingClock, ThreadCalculator, make_caller, make_circuit_draft

H, X, RY = ({"type": kind, "targets": [0]} for kind in ("H", "X", "RY"))


@pytest.fixture
def circuits(database: Database, clock: SteppingClock) -> Circuits:
    return Circuits(database, clock, ThreadCalculator())


@pytest.fixture
def versions(circuits: Circuits) -> CircuitVersions:
    return CircuitVersions(circuits, ThreadCalculator())


@pytest.fixture
def caller() -> Caller:
    return make_caller()


async def changed(circuits: Circuits, caller: Caller, *definitions: list[dict[str, Any]]) -> StoredCircuit:
    """A circuit of one qubit that had these gates one after another."""
    circuit = await circuits.create(caller, make_circuit_draft(n_qubits=1, gates=definitions[0]))
    for gates in definitions[1:]:
        circuit = await circuits.update(caller, circuit.id, CircuitPatch(gates=gates))
    return circuit


async def test_each_change_of_the_gates_is_kept(circuits: Circuits, versions: CircuitVersions, caller: Caller) -> None:
    """Old gates, their counts, who made them and when; a new name makes no version."""
    circuit = await changed(circuits, caller, [H], [H, X])
    other = make_caller(organization_id=caller.organization_id, user_id="user_other")
    await circuits.update(other, circuit.id, CircuitPatch(gates=[X]))
    await circuits.update(caller, circuit.id, CircuitPatch(name="new"))

    listed = await versions.listed(caller, circuit.id, Page(sort="-version"))

    assert listed.total == 3
    assert [(one.version, one.gate_count, one.user_id) for one in listed.items] == [
        (3, 1, "user_other"),
        (2, 2, caller.user_id),
        (1, 1, caller.user_id),
    ]
    assert listed.items[2].created_at == circuit.created_at
    first = await versions.get(caller, circuit.id, 1)
    assert [gate["type"] for gate in first.circuit_definition["gates"]] == ["H"]
    assert (await versions.get(caller, circuit.id, 3)).user_id == "user_other"
    assert (await circuits.get(caller, circuit.id)).version == 3


async def test_initial_values_belong_to_their_version(
    circuits: Circuits, versions: CircuitVersions, caller: Caller
) -> None:
    """A version has the parameters that it had."""
    circuit = await changed(circuits, caller, [RY | {"parameters": {"theta": "a"}}], [H])

    assert circuit.parameters == {}
    assert (await versions.get(caller, circuit.id, 1)).parameters == {"a": {"count": 1}}


@pytest.mark.parametrize("sort", ["-version", "version"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_pages(circuits: Circuits, versions: CircuitVersions, caller: Caller, sort: str, limit: int) -> None:
    """Whatever the size of a page, each version is there once, in order, with who made it."""
    circuit = await changed(circuits, caller, *([H] * count for count in range(1, 6)))

    found = []
    for offset in range(0, 8, limit):
        found += (await versions.listed(caller, circuit.id, Page(limit=limit, offset=offset, sort=sort))).items

    assert [one.version for one in found] == sorted(range(1, 6), reverse=sort == "-version")
    assert all(one.gate_count == one.version and one.user_id == caller.user_id for one in found)
    assert all(one.created_at for one in found)


async def test_difference(circuits: Circuits, versions: CircuitVersions, caller: Caller) -> None:
    """What to take out of one version to get another; the present one where none is named."""
    circuit = await changed(circuits, caller, [H, X], [H], [H, H])

    found = await versions.difference(caller, circuit.id, 1)
    back = await versions.difference(caller, circuit.id, 3, 1)
    same = await versions.difference(caller, circuit.id, 2, 2)

    assert (found.a, found.b, found.diff.removed, found.diff.added, found.diff.same) == (1, 3, 1, 1, 1)
    assert found.diff.changes[0].removed == [X]
    assert (back.diff.changes[0].removed, back.diff.changes[0].added) == ([H], [X])
    assert same.diff.changes == []


@pytest.mark.parametrize("version", [0, 3, -1])
async def test_no_such_version(circuits: Circuits, versions: CircuitVersions, caller: Caller, version: int) -> None:
    """A version that never was is absent."""
    circuit = await changed(circuits, caller, [H], [X])

    with pytest.raises(NotFound):
        await versions.get(caller, circuit.id, version)
    with pytest.raises(NotFound):
        await versions.difference(caller, circuit.id, 1, version)


async def test_others_versions_are_absent(circuits: Circuits, versions: CircuitVersions, caller: Caller) -> None:
    """Another organization's circuit has no versions, nor has a deleted one."""
    circuit = await changed(circuits, caller, [H], [X])
    stranger = make_caller(organization_id="org_other")

    for who in (stranger, caller):
        with pytest.raises(NotFound):
            await versions.listed(who, circuit.id, Page(sort="-version"))
        with pytest.raises(NotFound):
            await versions.get(who, circuit.id, 1)
        with pytest.raises(NotFound):
            await versions.difference(who, circuit.id, 1)
        if who is stranger:
            await circuits.delete(caller, circuit.id)


async def test_versions_of_before_were_not_kept(circuits: Circuits, versions: CircuitVersions, caller: Caller) -> None:
    """Where an earlier release kept none, what is known is told, and no more."""
    circuit = await changed(circuits, caller, [H], [X], [H])
    await CircuitVersionRow.filter(version=1).delete()

    listed = await versions.listed(caller, circuit.id, Page(sort="-version"))

    assert [(one.version, one.user_id) for one in listed.items] == [(3, caller.user_id), (2, None)]


async def test_their_space_is_freed_with_the_circuit(circuits: Circuits, caller: Caller, clock: SteppingClock) -> None:
    """What was deleted for a day goes with all that it was."""
    circuit = await changed(circuits, caller, [H], [X])
    await circuits.delete(caller, circuit.id)
    clock.advance(seconds=RESTORABLE.total_seconds() + 1)

    assert await circuits.purge() == 1
    assert await CircuitVersionRow.all().count() == 0


async def test_whoever_expects_something_else_changes_nothing(circuits: Circuits, caller: Caller) -> None:
    """A tag of before is refused for changes and for deletion; each change makes another tag."""
    first = await changed(circuits, caller, [H])
    second = await circuits.update(caller, first.id, CircuitPatch(name="two"), [first.entity_tag])

    assert second.entity_tag != first.entity_tag
    assert (await circuits.get(caller, first.id)).entity_tag == second.entity_tag
    with pytest.raises(PreconditionFailed):
        await circuits.update(caller, first.id, CircuitPatch(name="three"), [first.entity_tag])
    with pytest.raises(PreconditionFailed):
        await circuits.delete(caller, first.id, [first.entity_tag, "x"])
    assert await circuits.get(caller, first.id) == second
    await circuits.delete(caller, first.id, ["x", second.entity_tag])
