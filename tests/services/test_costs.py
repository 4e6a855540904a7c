"""The ledger: sums of an organization's month and day."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.costs import BudgetRow, CostEventRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.costs import CostEvent
from qstore_appliance.services.costs import Costs
from tests.factories import SteppingClock

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)


def event(organization: str = "org_a", **overrides: Any) -> CostEvent:
    values: dict[str, Any] = {
        "id": ids.new("cost"),
        "organization_id": organization,
        "user_id": "user_a",
        "event_type": "training",
        "backend": "native",
        "amount": 1_000,
        "circuits": 10,
        "shots": 0,
    }
    return CostEvent(**{**values, **overrides})


async def test_month_is_the_calendars_and_the_organizations(database: Database) -> None:
    """Spend is summed over the calendar month in UTC, for one organization."""
    clock = SteppingClock(NOON)
    costs = Costs(database, clock)
    await costs.record(event(amount=5))
    await costs.record(event("org_b", amount=70))
    before = await costs.month_spend("org_a")
    clock.advance(hours=12)
    await costs.record(event(amount=9_000_000_000_000))

    assert before == 5
    assert await costs.month_spend("org_a") == 9_000_000_000_000
    assert await costs.month_spend("org_c") == 0


async def test_todays_circuits_of_a_backend(database: Database) -> None:
    """Circuits are counted per organization and backend since midnight UTC."""
    clock = SteppingClock(NOON)
    costs = Costs(database, clock)
    await costs.record(event(circuits=7))
    clock.advance(hours=12)
    await costs.record(event(circuits=3))
    await costs.record(event(circuits=50, backend="qsim"))

    assert await costs.circuits_today("org_a", "native") == 3


async def test_charge_falls_with_what_it_is_for(database: Database) -> None:
    """A charge recorded in a transaction that fails is not in the ledger."""
    costs = Costs(database, SteppingClock(NOON))

    async def charge_for_what_breaks() -> None:
        async with database.transaction():
            await costs.record(event())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await charge_for_what_breaks()

    assert await CostEventRow.all().count() == 0


async def test_no_limit_until_one_is_set(database: Database) -> None:
    """An organization has no monthly limit unless it set one."""
    costs = Costs(database, SteppingClock(NOON))
    await BudgetRow.create(organization_id="org_b", monthly_limit=100)

    assert await costs.monthly_limit("org_a") is None
    assert await costs.monthly_limit("org_b") == 100
