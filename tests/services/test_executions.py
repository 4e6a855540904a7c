"""Runs of circuits: charged like everything else, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.costs import BudgetRow, CostEventRow, ReservationRow
from qstore_appliance.domain.accounts import Role
from qstore_appliance.domain.budgets import BudgetDraft
from qstore_appliance.domain.executions import ExecutionDraft
from qstore_appliance.errors import BudgetExceeded, Forbidden, NotFound, ValidationFailed
from qstore_appliance.services.executions import Executions
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock, ThreadCalculator, make_caller, make_circuit_draft
from tests.services.laboratory import Laboratory

BELL = [{"type": "H", "targets": [0]}, {"type": "CNOT", "targets": [0, 1]}]


class Bench:
    """A laboratory whose `native` has a price, and its runs."""

    def __init__(self, database: Database, settings: Settings, clock: SteppingClock, prices: dict[str, Any]) -> None:
        priced = Settings(data_dir=settings.data_dir, database=settings.database, backends={"native": prices})
        self.lab = Laboratory(database, priced, clock)
        self.executions = Executions(
            database, self.lab.circuits, self.lab.backends, ThreadCalculator(), self.lab.reservations
        )


@pytest.fixture
def build(database: Database, settings: Settings, clock: SteppingClock) -> Any:
    return lambda **prices: Bench(database, settings, clock, prices)


async def test_a_run_is_answered_and_charged(build: Any) -> None:
    """Circuits and shots are in the ledger with their price, and nothing stays reserved."""
    bench = build(per_circuit=0.001, per_shot=0.00001)
    caller = await bench.lab.caller()
    circuit = await bench.lab.circuits.create(caller, make_circuit_draft(gates=BELL, n_qubits=2))

    found = await bench.executions.run(caller, circuit.id, ExecutionDraft(shots=100, observables=["Z0 Z1"], seed=3))

    (event,) = await CostEventRow.all()
    assert sum((found.counts or {}).values()) == 100
    assert (event.circuits, event.shots, event.event_type) == (2, 200, "circuit")
    assert found.cost == event.amount == 2 * 1_000 + 200 * 10
    assert (found.backend, found.seed) == ("native", 3)
    budget = await BudgetRow.get(organization_id=caller.organization_id)
    assert (budget.spent, budget.reserved, await ReservationRow.all().count()) == (found.cost, 0, 0)
    await bench.lab.close()


async def test_a_run_beyond_the_budget_is_refused(build: Any) -> None:
    """What does not fit the month is refused before it runs, and leaves nothing behind."""
    bench = build(per_circuit=1.0)
    admin = await bench.lab.caller(Role.ADMIN)
    circuit = await bench.lab.circuits.create(admin, make_circuit_draft(gates=BELL, n_qubits=2))
    await bench.lab.budgets.update(admin, BudgetDraft(monthly_limit=0.5))

    with pytest.raises(BudgetExceeded):
        await bench.executions.run(admin, circuit.id, ExecutionDraft())

    assert await CostEventRow.all().count() == 0
    assert await ReservationRow.all().count() == 0
    await bench.lab.close()


async def test_a_run_that_fails_gives_its_reservation_back(build: Any) -> None:
    """A symbol without a number is named, and nothing is charged or kept."""
    bench = build(per_circuit=1.0)
    caller = await bench.lab.caller()
    circuit = await bench.lab.circuits.create(caller, make_circuit_draft())

    with pytest.raises(ValidationFailed):
        await bench.executions.run(caller, circuit.id, ExecutionDraft())

    assert await CostEventRow.all().count() == 0
    budget = await BudgetRow.get(organization_id=caller.organization_id)
    assert (budget.spent, budget.reserved) == (0, 0)
    await bench.lab.close()


async def test_others_circuits_cannot_be_run(build: Any) -> None:
    """Another organization's circuit is not there; who may not submit may not run."""
    bench = build()
    caller = await bench.lab.caller()
    circuit = await bench.lab.circuits.create(caller, make_circuit_draft(gates=BELL, n_qubits=2))

    with pytest.raises(NotFound):
        await bench.executions.run(await bench.lab.caller(), circuit.id, ExecutionDraft())
    with pytest.raises(Forbidden):
        await bench.executions.run(make_caller("viewer"), circuit.id, ExecutionDraft())
    await bench.lab.close()
