"""Circuits made smaller and held against each other: stored, certified, and nobody else's."""

from __future__ import annotations

import pytest

from qstore_appliance.database.connection import Database
from qstore_appliance.domain.accounts import Role
from qstore_appliance.domain.circuits import CircuitDraft
from qstore_appliance.domain.optimisations import ComparisonDraft, OptimisationDraft
from qstore_appliance.errors import Forbidden, NotFound, ValidationFailed
from qstore_appliance.services.optimisations import Optimisations
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock, ThreadCalculator, make_caller
from tests.services.laboratory import Laboratory

GATES = [
    {"type": "H", "targets": [0]},
    {"type": "CNOT", "targets": [0, 1]},
    {"type": "RZ", "targets": [1], "parameters": {"theta": "theta_0"}},
    {"type": "RZ", "targets": [1], "parameters": {"theta": "theta_1"}},
    {"type": "H", "targets": [0]},
    {"type": "H", "targets": [0]},
]
STARTS = {"theta": {"initial_values": [0.1, 0.2]}}


@pytest.fixture
async def lab(database: Database, settings: Settings, clock: SteppingClock) -> Laboratory:
    return Laboratory(database, settings, clock)


def draft() -> CircuitDraft:
    return CircuitDraft(name="c", n_qubits=2, gates=GATES, parameters=STARTS, metadata={"tags": ["vqe"]})


def of(lab: Laboratory) -> Optimisations:
    return Optimisations(lab.circuits, lab.backends, ThreadCalculator())


async def test_the_smaller_circuit_is_stored_beside_the_first(lab: Laboratory) -> None:
    """With its counts, the initial values and tags of the first, and where it comes from; the first stays as it was."""
    caller = await lab.caller()
    stored = await lab.circuits.create(caller, draft())

    found = await of(lab).optimise(caller, stored.id, OptimisationDraft(optimization_level=3))

    made = await lab.circuits.get(caller, found.optimized_circuit_id)
    assert (found.original_depth, found.optimized_depth, found.gate_reduction) == (stored.depth, made.depth, "50.0%")
    assert (found.before.gate_count, found.after.gate_count) == (6, 3)
    assert (found.certificate.equivalent, found.certificate.method) == (True, "unitary")
    assert {"theta_0", "theta_1"} == set(found.certificate.bindings[0])
    assert made.parameters == stored.parameters
    assert made.tags == ["vqe"]
    assert made.metadata["optimized"]["from"] == stored.id
    assert (await lab.circuits.get(caller, stored.id)) == stored
    compared = await of(lab).compare(caller, ComparisonDraft(a=stored.id, b=made.id))
    assert compared.equivalent
    assert (compared.resources.a.gate_count, compared.resources.b.gate_count) == (6, 3)
    await lab.close()


async def test_what_cannot_be_asked(lab: Laboratory) -> None:
    """A backend that is none is named; a viewer stores nothing; a stranger finds nothing."""
    caller = await lab.caller()
    stored = await lab.circuits.create(caller, draft())

    with pytest.raises(ValidationFailed, match="target_backend"):
        await of(lab).optimise(caller, stored.id, OptimisationDraft(target_backend="nobody"))
    with pytest.raises(Forbidden):
        await of(lab).optimise(await lab.caller(Role.VIEWER), stored.id, OptimisationDraft())
    with pytest.raises(NotFound):
        await of(lab).optimise(make_caller(), stored.id, OptimisationDraft())
    with pytest.raises(NotFound):
        await of(lab).compare(make_caller(), ComparisonDraft(a=stored.id, b=stored.id))
    await lab.close()
