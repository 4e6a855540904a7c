"""The queries that run all the time read their indexes, on a database where scanning would be the wrong plan."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.database.partitions import make_ahead
from qstore_appliance.settings import Database as DatabaseSettings
from qstore_appliance.settings import Settings

JOBS, CIRCUITS, LIVE = 20_000, 20_000, 20
#: The ledger's charges are spread over the months before and after this one.
EVENTS, MONTHS = 20_000, 10


@pytest_asyncio.fixture(params=["sqlite", "postgres"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """Many jobs that are over, a few that are not, and circuits with tags; analysed."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    opened = await Database.open(Settings(data_dir=tmp_path / "data", database=DatabaseSettings(url=url)))
    await opened.migrate()
    await make_ahead(opened, datetime.now(UTC), MONTHS // 2)
    await fill(opened)
    yield opened
    await opened.close()


async def fill(database: Database) -> None:
    """Rows by one statement each; the columns that have no default get something of their kind."""
    numbers = (
        f"generate_series(1, {JOBS}) AS n(i)"
        if database.dialect == "postgres"
        else f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {JOBS}) SELECT i FROM n)"
    )
    query = database.connection.execute_query
    statuses = f"CASE WHEN i <= {LIVE // 2} THEN 'queued' WHEN i <= {LIVE} THEN 'running' ELSE 'completed' END"
    for table, own, most in (
        ("training_jobs", {"status": statuses, "organization_id": "'org_' || (i % 50)"}, JOBS),
        ("circuits", {"metadata": """'{"tags": ["t' || (i % 500) || '"]}'""", "organization_id": "'org_1'"}, CIRCUITS),
        ("cost_events", {"organization_id": "'org_' || (i % 50)", "created_at": spread(database)}, EVENTS),
        ("budgets", {"organization_id": "'org_' || i"}, 500),
    ):
        columns = await needed(database, table)
        values = {name: own.get(name, value) for name, value in columns.items()}
        if database.dialect == "postgres" and "metadata" in values:
            values["metadata"] = f"({values['metadata']})::jsonb"
        names = ", ".join(f'"{name}"' for name in values)
        await query(
            f"INSERT INTO {table} ({names}) SELECT {', '.join(values.values())} FROM {numbers} WHERE i <= {most}"
        )
    tag = "INSERT INTO circuit_tags (circuit_id, organization_id, tag) SELECT 'id_' || i, 'org_1', 't' || (i % 500)"
    await query(f"{tag} FROM {numbers} WHERE i <= {CIRCUITS}")
    # What was inserted just now waits beside a GIN index until the next VACUUM.
    await query("VACUUM ANALYZE" if database.dialect == "postgres" else "ANALYZE")


def spread(database: Database) -> str:
    """A time in `i` that lies up to half of `MONTHS` before or after now."""
    days = f"(i % {MONTHS * 30} - {MONTHS * 15})"
    if database.dialect == "postgres":
        return f"now() + {days} * INTERVAL '1 day'"
    return f"datetime('now', {days} || ' days')"


async def needed(database: Database, table: str) -> dict[str, str]:
    """Every column that must be given, with an expression of its kind in `i`."""
    found: dict[str, str] = {}
    if database.dialect == "postgres":
        rows = await database.connection.execute_query_dict(
            "SELECT column_name AS name, data_type AS kind FROM information_schema.columns WHERE table_name = $1"
            " AND table_schema = 'public' AND is_nullable = 'NO' AND column_default IS NULL",
            [table],
        )
    else:
        rows = await database.connection.execute_query_dict(
            f"SELECT name, type AS kind FROM pragma_table_info('{table}') WHERE \"notnull\" AND dflt_value IS NULL"
        )
    for row in rows:
        kind = row["kind"].lower()
        if "json" in kind:
            found[row["name"]] = "'{}'"
        elif "time" in kind:
            stamp = "TIMESTAMPTZ '2025-01-01' + i * INTERVAL '1 second'"
            found[row["name"]] = stamp if database.dialect == "postgres" else "datetime('2025-01-01', i || ' seconds')"
        elif "bool" in kind:
            found[row["name"]] = "FALSE"
        elif "int" in kind:
            found[row["name"]] = "0"
        else:
            found[row["name"]] = f"'{row['name'][:8]}_' || i"
    return found


async def plan(database: Database, sql: str) -> str:
    if database.dialect == "sqlite":
        rows = await database.connection.execute_query_dict(f"EXPLAIN QUERY PLAN {sql}")
        return "\n".join(row["detail"] for row in rows)
    rows = await database.connection.execute_query_dict(f"EXPLAIN (FORMAT JSON) {sql}")
    return json.dumps(rows)


def scans(database: Database, found: str, table: str) -> bool:
    """Whether the plan reads the whole table."""
    if database.dialect == "postgres":
        return '"Seq Scan"' in found.replace('\\"', '"')
    return any(line.startswith(f"SCAN {table}") and "INDEX" not in line for line in found.splitlines())


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM training_jobs WHERE status = 'queued' AND priority = 'normal' ORDER BY created_at, id LIMIT 1000",
        "SELECT DISTINCT backend FROM training_jobs WHERE status = 'queued'",
        "SELECT id FROM training_jobs WHERE status = 'running' AND lease_until < '2025-12-20'",
        "SELECT organization_id, count(id) FROM training_jobs WHERE status = 'running' GROUP BY organization_id",
        "SELECT count(*) FROM training_jobs WHERE organization_id = 'org_1' AND status = 'queued'",
        "SELECT id FROM training_jobs WHERE organization_id = 'org_1' ORDER BY created_at DESC, id DESC LIMIT 20",
        "SELECT id FROM training_jobs WHERE status IN ('queued', 'running', 'paused') AND organization_id = 'org_1'",
    ],
)
async def test_the_line_of_jobs_is_read_from_its_index(database: Database, sql: str) -> None:
    """What slots, reaper, admission and lists ask of jobs never reads all of them."""
    found = await plan(database, sql)

    assert not scans(database, found, "training_jobs"), found


async def test_the_partial_index_serves_live_jobs(database: Database) -> None:
    """Jobs that are not over, in their order, come from the index that holds nothing else."""
    found = await plan(
        database,
        "SELECT id FROM training_jobs WHERE status IN ('queued', 'running', 'paused') ORDER BY created_at LIMIT 50",
    )

    assert "idx_training_jobs_live" in found


async def test_metadata_of_circuits_has_its_index(database: Database) -> None:
    """On Postgres what circuits' metadata contain is asked of the GIN index; SQLite keeps tags in a table with one."""
    if database.dialect == "postgres":
        found = await plan(database, """SELECT id FROM circuits WHERE metadata @> '{"tags": ["t7"]}'""")
        assert "idx_circuits_metadata" in found
    found = await plan(database, "SELECT circuit_id FROM circuit_tags WHERE organization_id = 'org_1' AND tag = 't7'")
    assert not scans(database, found, "circuit_tags"), found


# The ledger ------------------------------------------------------------------------------------------------------


def month(database: Database, back: int) -> tuple[str, str]:
    """Text of the bounds of a month in UTC, so many months before this one."""
    now = datetime.now(UTC)
    first, after = [
        datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)
        for count in (now.year * 12 + now.month - 1 - back, now.year * 12 + now.month - back)
    ]
    return (f"{first:%Y-%m-%d}", f"{after:%Y-%m-%d}") if database.dialect == "sqlite" else (str(first), str(after))


def read(found: str) -> set[str]:
    """The ledger's tables that a plan of Postgres reads."""
    return set(re.findall(r"cost_events\w*", " ".join(re.findall(r"Relation Name\W+(\w+)", found))))


@pytest.mark.parametrize("back", [-2, 0, 3])
async def test_a_months_usage_reads_its_partition(database: Database, back: int) -> None:
    """A report of one month reads that month's partition, or the one of everything before, by the organization's index."""
    first, after = month(database, back)
    found = await plan(
        database,
        "SELECT substr(CAST(created_at AS VARCHAR), 1, 10) AS key, backend, sum(amount) FROM cost_events WHERE"
        f" organization_id = 'org_1' AND created_at >= '{first}' AND created_at < '{after}' GROUP BY 1, backend ORDER BY 1, 2",
    )

    assert not scans(database, found, "cost_events"), found
    if database.dialect == "postgres":
        assert read(found) == {"cost_events_before" if back > 0 else f"cost_events_{first[:7].replace('-', '_')}"}
        assert "organization_id" in found
    else:
        assert "idx_cost_events_organiz_0ae91c" in found


async def test_todays_circuits_leave_the_past_alone(database: Database) -> None:
    """What an organization ran since midnight is asked of this month's partition and later ones alone."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found = await plan(
        database,
        "SELECT sum(circuits) FROM cost_events WHERE organization_id = 'org_1' AND backend = 'native'"
        f" AND created_at >= '{midnight}'",
    )

    if database.dialect == "postgres":
        assert f"cost_events_{midnight:%Y_%m}" in read(found)
        assert read(found).isdisjoint(
            {"cost_events_before", f"cost_events_{midnight.replace(day=1) - timedelta(1):%Y_%m}"}
        )
    else:
        assert "idx_cost_events_organiz_0ae91c" in found


async def test_the_months_spend_is_one_row(database: Database) -> None:
    """What an organization has spent this month, which each charge and submit asks, is one row by its key: no ledger."""
    found = await plan(database, "SELECT * FROM budgets WHERE organization_id = 'org_1' AND month >= '2026-11'")

    assert not scans(database, found, "budgets"), found
    assert "cost_events" not in found
