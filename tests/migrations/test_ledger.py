"""The ledger by month on Postgres: every charge is kept, lands somewhere, and is there once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from tortoise.exceptions import IntegrityError

from qstore_appliance.database.connection import Database
from qstore_appliance.database.migrations import VERSIONS, runner
from qstore_appliance.database.partitions import AHEAD, make_ahead
from qstore_appliance.database.tables.costs import CostEventRow
from qstore_appliance.errors import Unavailable
from qstore_appliance.settings import Database as DatabaseSettings
from qstore_appliance.settings import Settings

BEFORE = tuple(version for version in VERSIONS if version < "0009")
NOW = datetime.now(UTC)
THIS = NOW.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def later(months: int) -> datetime:
    """The first moment of a month after this one."""
    count = THIS.year * 12 + THIS.month - 1 + months
    return THIS.replace(year=count // 12, month=count % 12 + 1)


def name(first: datetime) -> str:
    return f"cost_events_{first:%Y_%m}"


@pytest.fixture
def settings(postgres_url: str, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", database=DatabaseSettings(url=postgres_url))


@pytest_asyncio.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    opened = await Database.open(settings)
    yield opened
    await opened.close()


async def charge(id: str, moment: datetime, amount: int = 7) -> CostEventRow:
    return await CostEventRow.create(
        id=id,
        organization_id="org_1",
        user_id="user_1",
        event_type="training",
        backend="native",
        amount=amount,
        job_id="job_1",
        project="qml",
        created_at=moment,
    )


async def places(database: Database) -> dict[str, str]:
    """The partition in which each charge lies."""
    rows = await database.connection.execute_query_dict("SELECT id, tableoid::regclass::text AS place FROM cost_events")
    return {row["id"]: row["place"] for row in rows}


async def partitions(database: Database) -> set[str]:
    rows = await database.connection.execute_query_dict(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'cost_events'::regclass"
    )
    return {row["name"] for row in rows}


async def test_a_ledger_in_use_keeps_every_charge(database: Database) -> None:
    """Charges from before lie in the partition of the past, this month's in its own, and all are equal to what they were."""
    await runner.migrate(database, BEFORE)
    moments = {
        "old": datetime(2020, 1, 31, 23, tzinfo=UTC),
        "last month": THIS - timedelta(microseconds=1),
        "first": THIS,
        "now": NOW,
        "ahead": later(1),
        "clock ran away": datetime(2999, 1, 1, tzinfo=UTC),
    }
    for number, (id, moment) in enumerate(moments.items()):
        await charge(id, moment, number)
    columns = "id, organization_id, user_id, event_type, backend, amount, circuits, shots, cpu_microseconds,"
    columns += " gpu_microseconds, job_id, model_id, project, created_at"
    whole = f"SELECT {columns} FROM cost_events ORDER BY id"
    before = await database.connection.execute_query_dict(whole)

    assert "0009_ledger_by_month" in await database.migrate()

    assert await database.connection.execute_query_dict(whole) == before
    assert len(before) == len(moments)
    assert await places(database) == {
        "old": "cost_events_before",
        "last month": "cost_events_before",
        "first": name(THIS),
        "now": name(THIS),
        "ahead": "cost_events_default",
        "clock ran away": "cost_events_default",
    }
    for id in moments:
        with pytest.raises(IntegrityError):
            await charge(id, NOW + timedelta(seconds=1))


async def test_a_charge_is_there_once(database: Database) -> None:
    """The same event at another time, in the same month or in another one, is refused, and nothing of it remains."""
    await database.migrate()
    await charge("cost_1", NOW)
    for moment in (NOW, NOW + timedelta(microseconds=1), later(1), datetime(2020, 1, 1, tzinfo=UTC)):
        with pytest.raises(IntegrityError):
            await charge("cost_1", moment)

    assert await CostEventRow.filter(id="cost_1").count() == 1


async def test_one_of_two_that_charge_at_once_is_refused(database: Database) -> None:
    """Two transactions with one event and two times: one waits for the other, and is refused."""
    await database.migrate()

    async def charging(moment: datetime) -> bool:
        try:
            async with database.transaction():
                await charge("cost_1", moment)
                await asyncio.sleep(0.05)
        except IntegrityError:
            return False
        return True

    assert sorted(await asyncio.gather(charging(NOW), charging(later(1)))) == [False, True]
    assert await CostEventRow.all().count() == 1


async def test_months_are_made_ahead(database: Database) -> None:
    """This month and the next ones have partitions before they begin; a second look makes nothing."""
    await database.migrate()

    made = await make_ahead(database, NOW)

    assert made == [name(later(months)) for months in range(1, AHEAD + 1)]
    assert await make_ahead(database, NOW) == []
    assert await partitions(database) == {"cost_events_before", "cost_events_default", name(THIS), *made}
    assert await make_ahead(database, later(1)) == [name(later(AHEAD + 1))]


async def test_a_charge_at_the_edge_of_a_month_lands_in_one(database: Database) -> None:
    """The last microsecond belongs to its month and the first to the next; nothing falls between."""
    await database.migrate()
    await make_ahead(database, NOW)
    for months in range(AHEAD + 2):
        await charge(f"last {months}", later(months) - timedelta(microseconds=1))
        await charge(f"first {months}", later(months))

    found = await places(database)

    assert found["last 0"] == "cost_events_before"
    for months in range(AHEAD + 1):
        assert found[f"first {months}"] == found[f"last {months + 1}"] == name(later(months))
    assert found[f"first {AHEAD + 1}"] == "cost_events_default"


async def test_charges_of_a_month_that_had_no_partition_move_into_it(database: Database) -> None:
    """A server that was on for months without a look, or whose clock ran ahead, loses nothing and counts nothing twice."""
    await database.migrate()
    far = later(AHEAD + 5)
    for id, moment in {"a": far, "b": far + timedelta(days=3), "c": later(AHEAD + 7)}.items():
        await charge(id, moment)
    assert set((await places(database)).values()) == {"cost_events_default"}

    await make_ahead(database, far, 1)

    assert await places(database) == {"a": name(far), "b": name(far), "c": "cost_events_default"}
    with pytest.raises(IntegrityError):
        await charge("a", far + timedelta(days=1))
    plan = await database.connection.execute_query_dict(
        f"SELECT indexdef FROM pg_indexes WHERE tablename = '{name(far)}'"
    )
    assert {row["indexdef"].partition(" USING ")[2] for row in plan} == {
        "btree (id, created_at)",
        "btree (job_id)",
        "btree (organization_id, created_at)",
        "btree (user_id, created_at)",
    }


async def test_a_clock_that_went_back_makes_nothing(database: Database) -> None:
    """Months before the first one lie in the partition of the past, where charges of that time land."""
    await database.migrate()
    back = later(-7)

    assert await make_ahead(database, back, 2) == []
    await charge("cost_1", back)

    assert await places(database) == {"cost_1": "cost_events_before"}


async def test_servers_that_look_together_make_each_month_once(database: Database) -> None:
    """Several servers that start at the same moment, while others charge, all succeed."""
    await database.migrate()
    looks = [make_ahead(database, NOW) for _ in range(4)]
    charges = [charge(f"cost_{number}", later(number % 6)) for number in range(40)]

    done = await asyncio.gather(*looks, *charges)

    assert sorted(one for made in done if isinstance(made, list) for one in made) == [
        name(later(months)) for months in range(1, AHEAD + 1)
    ]
    found = await places(database)
    assert len(found) == 40
    assert all(found[f"cost_{number}"] == name(later(number % 6)) for number in range(40) if number % 6 <= AHEAD), found


async def test_a_charge_that_comes_while_its_month_is_made_is_kept(database: Database, settings: Settings) -> None:
    """It has not chosen the default partition yet, which would refuse it as soon as the month has one of its own."""
    await database.migrate()
    await charge("cost_1", later(1))
    reader = await asyncpg.connect(settings.database.url)
    # Whoever reads the default partition holds up the look once it has all that it needs of the ledger itself.
    await reader.execute("BEGIN; LOCK TABLE cost_events_default IN ACCESS SHARE MODE")
    look = asyncio.ensure_future(make_ahead(database, NOW))
    await waiting(database, 1)
    late = asyncio.ensure_future(charge("cost_2", later(1)))
    await waiting(database, 2)

    await reader.execute("COMMIT")
    await asyncio.gather(look, late)

    await reader.close()
    assert await places(database) == {"cost_1": name(later(1)), "cost_2": name(later(1))}


async def waiting(database: Database, count: int) -> None:
    """Until so many wait for a lock of the ledger."""
    deadline = asyncio.get_running_loop().time() + 30
    query = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted AND relation::regclass::text LIKE 'cost_events%'"
    while (await database.connection.execute_query_dict(query))[0]["n"] < count:
        assert asyncio.get_running_loop().time() < deadline, "nobody waits"
        await asyncio.sleep(0.01)


async def test_who_cannot_have_the_default_partition_now_says_so(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that waits too long for somebody's charge gives up and leaves everything as it was; the next one succeeds."""
    monkeypatch.setattr("qstore_appliance.database.partitions.LOCK_SECONDS", 1)
    await database.migrate()
    await charge("cost_1", later(1))
    other = await asyncpg.connect(settings.database.url)
    await other.execute("BEGIN; LOCK TABLE cost_events_default IN ROW EXCLUSIVE MODE")

    with pytest.raises(Unavailable):
        await make_ahead(database, NOW)

    assert await places(database) == {"cost_1": "cost_events_default"}
    await other.close()
    assert name(later(1)) in await make_ahead(database, NOW)
    assert await places(database) == {"cost_1": name(later(1))}
