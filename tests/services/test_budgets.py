"""Money that adds up: limits, reservations, charges as jobs run, pauses and top-ups, and thousands who want the last dollar."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from pydantic import ValidationError
from tortoise.functions import Sum

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.costs import BudgetRow, CostEventRow, ReservationRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain.accounts import Caller, Role
from qstore_appliance.domain.budgets import BudgetDraft, TopUpDraft
from qstore_appliance.domain.jobs import Lease, Status
from qstore_appliance.errors import BudgetExceeded, Conflict, Forbidden, NotFound, Unavailable, ValidationFailed
from qstore_appliance.services.costs import Costs
from qstore_appliance.services.endings import LeaseLost
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock
from tests.services.laboratory import INPUTS, Laboratory, make_report, make_trained


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock(datetime(2026, 3, 31, 12, tzinfo=UTC))


@pytest_asyncio.fixture
async def laboratory(database: Database, settings: Settings, clock: SteppingClock) -> AsyncIterator[Laboratory]:
    """Circuits on `native` cost a tenth of a cent here."""
    dear = Settings(data_dir=settings.data_dir, database=settings.database, backends={"native": {"per_circuit": 0.001}})
    laboratory = Laboratory(database, dear, clock)
    yield laboratory
    await laboratory.close()


async def limited(laboratory: Laboratory, dollars: float | None, **alerts: Any) -> Caller:
    """An admin of an organization with this monthly limit."""
    caller = await laboratory.caller(Role.ADMIN)
    await laboratory.budgets.update(caller, BudgetDraft(monthly_limit=dollars, **alerts))
    return caller


async def money(caller: Caller) -> tuple[int, int]:
    """What the organization's row has as spent and reserved, which are the sums of its events and reservations."""
    row = await BudgetRow.get(organization_id=caller.organization_id)
    events = CostEventRow.filter(organization_id=caller.organization_id)
    live = ReservationRow.filter(organization_id=caller.organization_id)
    spent = (await events.annotate(total=Sum("amount")).values_list("total", flat=True))[0]
    reserved = (await live.annotate(total=Sum("amount")).values_list("total", flat=True))[0]
    assert (row.spent, row.reserved) == (int(spent or 0), int(reserved or 0))
    return row.spent, row.reserved


async def taken(laboratory: Laboratory, job_id: str) -> Lease:
    found = await laboratory.runs.begin(job_id, "directory:host:1")
    assert found is not None
    return found[0]


async def test_a_job_reserves_its_limit_and_is_charged_as_it_runs(laboratory: Laboratory) -> None:
    """Each epoch moves its cost from reserved to spent; the end releases the rest."""
    caller = await limited(laboratory, 10.0)
    submitted = await laboratory.submit(caller, budget_limit=1.0)
    assert await money(caller) == (0, 1_000_000)
    lease = await taken(laboratory, submitted.job_id)

    await laboratory.runs.record_epoch(lease, make_report(1))
    assert await money(caller) == (100_000, 900_000)
    await laboratory.runs.record_epochs(lease, [make_report(2), make_report(3)])
    assert await money(caller) == (300_000, 700_000)
    await laboratory.runs.complete(lease, make_trained(), INPUTS)

    assert await money(caller) == (315_000, 0)
    assert [event.amount for event in await CostEventRow.filter(job_id=lease.job_id).order_by("id")] == [
        100_000,
        200_000,
        15_000,
    ]


async def test_without_a_limit_of_its_own_the_high_estimate_is_reserved(laboratory: Laboratory) -> None:
    """What the estimate says at the most is what the month keeps for the job."""
    caller = await limited(laboratory, None)
    draft = await laboratory.draft(caller)
    high = (await laboratory.jobs.estimate(caller, draft))["cost"]["high"]

    await laboratory.jobs.submit(caller, draft)

    assert high > 0
    assert await money(caller) == (0, high)


@pytest.mark.parametrize("end", ["cancel_waiting", "cancelled", "fail", "complete"])
async def test_every_end_releases_once(laboratory: Laboratory, end: str) -> None:
    """However a job ends, nothing stays reserved and what ran is spent; ending it again changes nothing."""
    caller = await limited(laboratory, 10.0)
    submitted = await laboratory.submit(caller, budget_limit=1.0)
    lease = Lease(job_id=submitted.job_id, organization_id=caller.organization_id, fence=0)
    if end != "cancel_waiting":
        lease = await taken(laboratory, submitted.job_id)
        await laboratory.runs.record_epoch(lease, make_report(1))
    arguments: dict[str, tuple[Any, ...]] = {"fail": (Conflict(),), "complete": (make_trained(circuits=0), INPUTS)}
    act = getattr(laboratory.runs, end)

    await act(lease, *arguments.get(end, ()))
    with pytest.raises(LeaseLost):
        await act(lease, *arguments.get(end, ()))

    assert await money(caller) == (0 if end == "cancel_waiting" else 100_000, 0)
    assert await ReservationRow.all().count() == 0


async def test_a_job_given_back_keeps_its_reservation(laboratory: Laboratory) -> None:
    """Waiting for another worker, a job is live: what is left for it stays reserved, and what ran is charged once."""
    caller = await limited(laboratory, 10.0)
    lease = await taken(laboratory, (await laboratory.submit(caller, budget_limit=1.0)).job_id)
    await laboratory.runs.record_epoch(lease, make_report(1))

    await laboratory.runs.release(lease)
    assert await money(caller) == (100_000, 900_000)
    await laboratory.runs.record_epoch(await taken(laboratory, lease.job_id), make_report(2))

    assert await money(caller) == (200_000, 800_000)


async def test_what_does_not_fit_is_refused_with_the_figures(laboratory: Laboratory) -> None:
    """402 with limit, spent, reserved and needed in dollars; no row of a job is left, and a smaller job still fits."""
    caller = await limited(laboratory, 2.0)
    await laboratory.submit(caller, budget_limit=1.5)

    with pytest.raises(BudgetExceeded) as refused:
        await laboratory.submit(caller, budget_limit=0.500001)

    assert refused.value.details == {"limit": 2.0, "spent": 0.0, "reserved": 1.5, "needed": 0.500001}
    assert await JobRow.all().count() == 1
    await laboratory.submit(caller, budget_limit=0.5)
    assert await money(caller) == (0, 2_000_000)


async def test_what_costs_nothing_is_accepted_whatever_the_budget(laboratory: Laboratory) -> None:
    """A limit of nothing keeps out what costs; a job on a free backend, or with a limit of 0, is no expense."""
    caller = await limited(laboratory, 0.0)

    with pytest.raises(BudgetExceeded):
        await laboratory.submit(caller)
    await laboratory.submit(caller, budget_limit=0.0)

    assert await money(caller) == (0, 0)


async def test_the_limit_is_of_the_calendar_month(laboratory: Laboratory, clock: SteppingClock) -> None:
    """At midnight UTC of the first what was spent is history; what is reserved counts against the new month."""
    caller = await limited(laboratory, 1.0)
    lease = await taken(laboratory, (await laboratory.submit(caller, budget_limit=0.9)).job_id)
    await laboratory.runs.record_epoch(lease, make_report(1))
    clock.advance(hours=12)
    assert (await laboratory.budgets.get(caller)).spent == 0

    await laboratory.submit(caller, budget_limit=0.2)
    with pytest.raises(BudgetExceeded):
        await laboratory.submit(caller, budget_limit=0.000001)
    clock.advance(hours=-24)
    with pytest.raises(BudgetExceeded):
        await laboratory.submit(caller, budget_limit=0.000001)

    row = await BudgetRow.get(organization_id=caller.organization_id)
    assert (row.month, row.spent, row.reserved) == ("2026-04", 0, 1_000_000)


async def test_a_limit_that_is_lowered_takes_nothing_back(laboratory: Laboratory) -> None:
    """Jobs that were accepted go on and are charged; nothing more is accepted."""
    caller = await limited(laboratory, 5.0)
    lease = await taken(laboratory, (await laboratory.submit(caller, budget_limit=1.0)).job_id)

    await laboratory.budgets.update(caller, BudgetDraft(monthly_limit=0.5))
    await laboratory.runs.record_epoch(lease, make_report(1))

    assert await money(caller) == (100_000, 900_000)
    with pytest.raises(BudgetExceeded):
        await laboratory.submit(caller, budget_limit=0.01)


async def test_a_job_is_paused_before_an_epoch_that_does_not_fit(laboratory: Laboratory) -> None:
    """At 95 percent of its limit, or where the next epoch would lead beyond it; never beyond, and nothing is released."""
    caller = await limited(laboratory, 5.0)
    lease = await taken(laboratory, (await laboratory.submit(caller, budget_limit=0.35)).job_id)
    await laboratory.runs.record_epoch(lease, make_report(1))
    await laboratory.runs.record_epoch(lease, make_report(2))

    with pytest.raises(LeaseLost):
        await laboratory.runs.record_epoch(lease, make_report(3))

    job = await laboratory.jobs.get(caller, lease.job_id)
    row = await JobRow.get(id=lease.job_id)
    assert (job.status, job.cost, row.checkpoint_epoch) == (Status.PAUSED, 300_000, 3)
    assert row.lease_until is None
    assert await money(caller) == (300_000, 50_000)
    assert await laboratory.runs.begin(lease.job_id, "directory:host:2") is None


async def test_ninety_five_percent_pause_a_job(laboratory: Laboratory) -> None:
    """Also where a small epoch would still fit."""
    caller = await limited(laboratory, 5.0)
    lease = await taken(laboratory, (await laboratory.submit(caller, budget_limit=1.0, epochs=1_000)).job_id)
    for epoch in range(1, 95):
        await laboratory.runs.record_epoch(lease, make_report(epoch, circuits=10, total_epochs=1_000))

    with pytest.raises(LeaseLost):
        await laboratory.runs.record_epoch(lease, make_report(95, circuits=10, total_epochs=1_000))

    assert (await laboratory.jobs.get(caller, lease.job_id)).cost == 950_000
    assert (await laboratory.jobs.get(caller, lease.job_id)).status == Status.PAUSED


async def test_the_last_epoch_is_followed_by_what_scoring_costs(laboratory: Laboratory) -> None:
    """A job whose epochs are over is finished where scoring still fits its limit, and paused where it does not."""
    caller = await limited(laboratory, 5.0)
    for limit, fits in ((0.42, True), (0.41, False)):
        lease = await taken(laboratory, (await laboratory.submit(caller, budget_limit=limit)).job_id)
        await laboratory.runs.record_epochs(lease, [make_report(1), make_report(2), make_report(3)])
        last = make_report(4, finish_circuits=20)
        if fits:
            await laboratory.runs.record_epoch(lease, last)
            await laboratory.runs.complete(lease, make_trained(circuits=20), INPUTS)
        else:
            with pytest.raises(LeaseLost):
                await laboratory.runs.record_epoch(lease, last)

        job = await laboratory.jobs.get(caller, lease.job_id)
        assert job.status == (Status.COMPLETED if fits else Status.PAUSED)
        assert job.cost <= (job.budget_limit or 0)


async def test_a_job_without_a_limit_reserves_more_while_there_is_room(laboratory: Laboratory) -> None:
    """Dearer than its estimate, it asks the month for each next epoch, and is paused once the month says no."""
    caller = await limited(laboratory, 3.0)
    lease = await taken(laboratory, (await laboratory.submit(caller)).job_id)
    reserved = (await money(caller))[1]
    assert reserved < 1_000_000
    await laboratory.runs.record_epoch(lease, make_report(1, circuits=1_000))

    assert await money(caller) == (1_000_000, 1_000_000)
    with pytest.raises(LeaseLost):
        await laboratory.runs.record_epoch(lease, make_report(2, circuits=1_600))

    assert await money(caller) == (2_600_000, 0)
    job = await laboratory.jobs.get(caller, lease.job_id)
    assert job.status == Status.PAUSED
    assert "the month's budget has room for 0.4" in str(job.reason)


async def test_a_top_up_puts_a_paused_job_back_in_line(laboratory: Laboratory) -> None:
    """The difference is reserved, the job is woken, and it goes on from the checkpoint that it was paused at."""
    caller = await limited(laboratory, 1.0)
    lease = await taken(laboratory, (await laboratory.submit(caller, budget_limit=0.15)).job_id)
    with pytest.raises(LeaseLost):
        await laboratory.runs.record_epoch(lease, make_report(1))
    laboratory.queue.woken.clear()

    with pytest.raises(BudgetExceeded):
        await laboratory.top_ups.top_up(caller, lease.job_id, TopUpDraft(budget_limit=1.000001))
    assert (await laboratory.jobs.get(caller, lease.job_id)).status == Status.PAUSED
    job = await laboratory.top_ups.top_up(caller, lease.job_id, TopUpDraft(budget_limit=1.0))

    assert (job.status, job.budget_limit, job.reason) == (Status.QUEUED, 1_000_000, None)
    assert laboratory.queue.woken == [(lease.job_id, 5)]
    assert await money(caller) == (100_000, 900_000)
    found = await laboratory.runs.begin(lease.job_id, "directory:host:2")
    assert found is not None
    assert found[1].checkpoint == b"checkpoint 1"


async def test_a_top_up_that_is_none_is_refused(laboratory: Laboratory) -> None:
    """Less than before, of a job that is over, of somebody else's, of another organization's."""
    caller = await limited(laboratory, None)
    colleague, stranger = await laboratory.caller(of=caller), await laboratory.caller(Role.OWNER)
    job_id = (await laboratory.submit(caller, budget_limit=0.5)).job_id
    more = TopUpDraft(budget_limit=1.0)

    with pytest.raises(ValidationFailed):
        await laboratory.top_ups.top_up(caller, job_id, TopUpDraft(budget_limit=0.5))
    with pytest.raises(Forbidden):
        await laboratory.top_ups.top_up(colleague, job_id, more)
    with pytest.raises(NotFound):
        await laboratory.top_ups.top_up(stranger, job_id, more)
    await laboratory.jobs.cancel(caller, job_id)
    with pytest.raises(Conflict):
        await laboratory.top_ups.top_up(caller, job_id, more)

    assert await money(caller) == (0, 0)


async def race(laboratory: Laboratory, submits: int) -> None:
    caller = await limited(laboratory, 100 * 0.25)
    draft = await laboratory.draft(caller, budget_limit=0.25)

    async def attempt() -> bool:
        while True:
            try:
                await laboratory.jobs.submit(caller, draft)
            except BudgetExceeded:
                return False
            except Unavailable as busy:
                # Ten thousand at once keep the loop from opening a connection in time: 503, nothing written, try again.
                await asyncio.sleep(busy.retry_after)
            else:
                return True

    accepted = await asyncio.gather(*(attempt() for _ in range(submits)))

    assert sum(accepted) == 100
    assert await money(caller) == (0, 25_000_000)
    assert await JobRow.all().count() == await ReservationRow.all().count() == 100


async def test_thousands_want_what_is_left_for_a_hundred(laboratory: Laboratory) -> None:
    """2,000 submits at the same time on a budget for 100: exactly 100 are accepted, and not a micro-dollar too much."""
    await race(laboratory, 2_000)


@pytest.mark.long
async def test_ten_thousand_want_what_is_left_for_a_hundred(laboratory: Laboratory) -> None:
    """10,000 submits at the same time on a budget for 100: exactly 100 are accepted, and not a micro-dollar too much."""
    await race(laboratory, 10_000)


class RecordingAlerts:
    def __init__(self) -> None:
        self.told: list[str] = []

    async def charged(self, organization_id: str) -> None:
        # Whoever asks sees the charge already, since this is inside its transaction.
        self.told.append(f"{organization_id} {(await BudgetRow.get(organization_id=organization_id)).spent}")

    async def fired(self, organization_id: str, month: str) -> set[int]:
        return {80} if month == "2026-03" else set()

    async def checked(self, alerts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [dict(alert) for alert in alerts]

    async def changed(self, organization_id: str) -> None:
        return None


async def test_alerts_are_told_of_each_charge_and_say_what_has_fired(laboratory: Laboratory) -> None:
    """Once per charge, with the spend as it is then; what they say of the month is shown."""
    laboratory.costs.alerts = alerts = RecordingAlerts()
    wanted = [{"threshold": 80, "action": "email", "recipients": ["a@example.org"]}]
    wanted.append({"threshold": 95, "action": "pause_jobs"})
    caller = await limited(laboratory, 4_000.0, alerts=wanted)
    lease = await taken(laboratory, (await laboratory.submit(caller)).job_id)

    await laboratory.runs.record_epoch(lease, make_report(1))
    await laboratory.runs.record_epoch(lease, make_report(2, circuits=0))

    budget = await laboratory.budgets.get(caller)
    assert alerts.told == [f"{caller.organization_id} 100000"]
    assert (await BudgetRow.get(organization_id=caller.organization_id)).alerts == wanted
    assert [(alert.threshold, alert.status, alert.action) for alert in budget.alerts] == [
        (80, "triggered", "email"),
        (95, "not_triggered", "pause_jobs"),
    ]
    assert (budget.spent, budget.projected) == (100_000, 100_000)


async def test_only_who_may_sets_a_budget(laboratory: Laboratory) -> None:
    """A developer sees it and may not change it."""
    developer = await laboratory.caller()

    assert (await laboratory.budgets.get(developer)).monthly_limit is None
    with pytest.raises(Forbidden):
        await laboratory.budgets.update(developer, BudgetDraft(monthly_limit=1.0))


@pytest.mark.parametrize(
    "draft",
    [
        {},
        {"monthly_limit": -1},
        {"monthly_limit": float("nan")},
        {"monthly_limit": float("inf")},
        {"monthly_limit": 2**63},
        {"monthly_limit": "100"},
        {"monthly_limit": True},
        {"monthly_limit": 1, "alerts": [{"threshold": 0, "action": "pause_jobs"}]},
        {"monthly_limit": 1, "alerts": [{"threshold": 1.5, "action": "pause_jobs"}]},
        {"monthly_limit": 1, "alerts": [{"threshold": 80, "action": "shout"}]},
        {"monthly_limit": 1, "alerts": [{"threshold": 80, "action": "email"}]},
        {"monthly_limit": 1, "alerts": [{"threshold": 80, "action": "email", "recipients": ["nobody"]}]},
        {"monthly_limit": 1, "alerts": [{"threshold": 80, "action": "slack", "webhook": "file:///etc/passwd"}]},
        {"monthly_limit": 1, "alerts": [{"threshold": 80, "action": "slack", "webhook": "https://"}]},
        {"monthly_limit": 1, "alerts": [{"threshold": 80, "action": "pause_jobs", "webhook": "https://a.example"}]},
    ],
)
def test_what_is_no_budget_is_refused(draft: dict[str, Any]) -> None:
    """Numbers that are none, negative or beyond counting, and alerts that lead nowhere."""
    with pytest.raises(ValidationError):
        BudgetDraft.model_validate(draft)


async def test_a_short_reservation_is_freed_if_its_maker_is_gone(laboratory: Laboratory, clock: SteppingClock) -> None:
    """What was reserved for a call that never came back is there again for the next one, after its time."""
    caller = await limited(laboratory, 1.0)
    hold = laboratory.reservations.hold
    await hold("one", caller.organization_id, 800_000, seconds=60)
    with pytest.raises(BudgetExceeded):
        await hold("two", caller.organization_id, 800_000, seconds=60)

    clock.advance(seconds=61)
    await hold("three", caller.organization_id, 800_000, seconds=60)

    assert await money(caller) == (0, 800_000)


async def test_sums_stay_whole_numbers(laboratory: Laboratory) -> None:
    """Where there is no limit, reservations that would not fit into 64 bits together are refused, not rounded."""
    caller = await limited(laboratory, None)
    row = BudgetRow.filter(organization_id=caller.organization_id)
    await row.update(reserved=4 * 10**18)

    with pytest.raises(BudgetExceeded):
        await laboratory.submit(caller, budget_limit=1.0)

    assert (await row.get()).reserved == 4 * 10**18


async def test_charges_of_one_moment_are_all_counted(database: Database, clock: SteppingClock) -> None:
    """Jobs that are charged at the same time, the first of their organization, lose no micro-dollar between them."""
    from tests.services.test_costs import event

    costs = Costs(database, clock)

    async def charge(amount: int) -> None:
        async with database.transaction():
            await costs.record(event(amount=amount))

    await asyncio.gather(*(charge(amount) for amount in range(1, 41)))

    assert await costs.month_spend("org_a") == 820
