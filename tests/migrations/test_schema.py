"""The migrations make exactly the schema that the tables declare, and are written so that they cannot lose rows."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tortoise.utils import get_schema_sql

from qstore_appliance.database.connection import Database
from qstore_appliance.database.migrations import VERSIONS, runner
from qstore_appliance.database.tables.accounts import OrganizationRow, UserRow
from qstore_appliance.database.tables.costs import BudgetRow, CostEventRow, ReservationRow
from qstore_appliance.database.tables.members import MembershipRow
from qstore_appliance.database.tables.models import ModelRow
from qstore_appliance.domain.model_registry import version_key
from qstore_appliance.errors import ConfigurationInvalid
from qstore_appliance.settings import Database as DatabaseSettings
from qstore_appliance.settings import Settings

DIALECTS = ("sqlite", "postgres")
#: What Tortoise cannot say, and the migrations add.
EXTRA = {
    "sqlite": {"uid_datasets_imported", "idx_training_jobs_live", "uid_models_stage"},
    "postgres": {"uid_datasets_imported", "idx_circuits_metadata", "idx_training_jobs_live", "uid_models_stage"},
}
SAFE = re.compile(
    r"CREATE TABLE |CREATE (UNIQUE )?INDEX |ALTER TABLE \S+ ADD COLUMN |INSERT INTO |UPDATE ", re.IGNORECASE
)
#: What one version does beside that, on Postgres; `test_ledger.py` shows that it keeps every row.
MOVES = {
    "0009_ledger_by_month": re.compile(
        r"ALTER (TABLE|INDEX) \S+ RENAME TO |ALTER TABLE \S+ DROP CONSTRAINT \S+_pkey|DO \$\$|CREATE (FUNCTION|TRIGGER) "
    )
}


@pytest.fixture(params=DIALECTS)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    return Settings(data_dir=tmp_path / "data", database=DatabaseSettings(url=url))


@pytest_asyncio.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    opened = await Database.open(settings)
    yield opened
    await opened.close()


async def schema_of(database: Database) -> dict[str, Any]:
    """Tables with their columns, and indexes with what they cover, as the database itself describes them."""
    if database.dialect == "sqlite":
        return await _schema_of_sqlite(database)
    query = database.connection.execute_query_dict
    columns = await query(
        "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default"
        " FROM information_schema.columns WHERE table_schema = 'public'"
    )
    indexes = await query("SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'")
    # A partition is what its table is; the ids of the ledger are there for its key, see 0009.
    rows = await query("SELECT inhrelid::regclass::text AS name FROM pg_inherits")
    parts = {row["name"] for row in rows} | {"cost_event_ids"}
    constraints = await query(
        "SELECT conrelid::regclass::text AS owner, pg_get_constraintdef(oid) AS definition FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace"
    )
    return {
        "columns": {
            (row["table_name"], row["column_name"]): tuple(row.values())[2:]
            for row in columns
            if row["table_name"] not in parts
        },
        "indexes": {
            row["indexname"]: row["indexdef"].replace(" ON ONLY ", " ON ")
            for row in indexes
            if row["tablename"] not in parts
        },
        "constraints": {(row["owner"], row["definition"]) for row in constraints if row["owner"] not in parts},
    }


async def _schema_of_sqlite(database: Database) -> dict[str, Any]:
    query = database.connection.execute_query_dict
    found: dict[str, Any] = {"columns": {}, "indexes": {}, "constraints": set()}
    for table in await query("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"):
        name = table["name"]
        for row in await query(f"SELECT * FROM pragma_table_info('{name}')"):
            found["columns"][name, row["name"]] = (row["type"], row["notnull"], row["dflt_value"], row["pk"])
        for row in await query(f"SELECT * FROM pragma_foreign_key_list('{name}')"):
            found["constraints"].add((name, row["from"], row["table"], row["to"], row["on_delete"]))
        for row in await query(f"SELECT * FROM pragma_index_list('{name}')"):
            covers = await query(f"SELECT name FROM pragma_index_info('{row['name']}')")
            found["indexes"][row["name"]] = (name, row["unique"], row["partial"], [column["name"] for column in covers])
    return found


async def test_migrations_make_the_declared_schema(database: Database) -> None:
    """Migrating an empty database gives every table, column, index and constraint that the tables declare."""
    await database.migrate()
    migrated = await schema_of(database)
    if database.dialect == "sqlite":
        tables = {name for name, _ in migrated["columns"]}
        await database.connection.execute_script(
            "PRAGMA foreign_keys=OFF;" + "".join(f'DROP TABLE "{t}";' for t in tables)
        )
    else:
        await database.connection.execute_script("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")

    await database.connection.execute_script(get_schema_sql(database.connection, safe=False))

    declared = await schema_of(database)
    beyond = EXTRA[database.dialect] | {"schema_versions_pkey", "sqlite_autoindex_schema_versions_1"}
    assert EXTRA[database.dialect] <= set(migrated["indexes"])
    assert {key: value for key, value in migrated["columns"].items() if key[0] != "schema_versions"} == declared[
        "columns"
    ]
    if database.dialect == "postgres":
        # Postgres wants the column that decides on the partition in the key, which Tortoise cannot say.
        key = declared["indexes"]["cost_events_pkey"]
        declared["indexes"]["cost_events_pkey"] = key.replace("(id)", "(id, created_at)")
        declared["constraints"] ^= {("cost_events", f"PRIMARY KEY {k}") for k in ("(id)", "(id, created_at)")}
    assert {key: value for key, value in migrated["indexes"].items() if key not in beyond} == declared["indexes"]
    assert {c for c in migrated["constraints"] if c[0] != "schema_versions"} == declared["constraints"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_can_lose_rows(version: str, dialect: str) -> None:
    """
    Every statement only adds: no table is dropped or rebuilt, and a new NOT NULL column has a default. One that is renamed
    on Postgres is attached to another.
    """
    for statement in runner.statements(version, dialect):
        moves = MOVES.get(version) if dialect == "postgres" else None
        assert SAFE.match(statement) or (moves is not None and moves.match(statement)), statement
        if statement.upper().startswith("ALTER") and "NOT NULL" in statement.upper():
            assert "DEFAULT" in statement.upper(), statement


def test_versions_and_files_agree() -> None:
    """Each version has one file per dialect, and no file stands beside the list; numbers follow each other."""
    files = {file.name for file in resources.files("qstore_appliance.database.migrations").iterdir()}

    assert {name for name in files if name.endswith(".sql")} == {f"{v}.{d}.sql" for v in VERSIONS for d in DIALECTS}
    numbers = [int(version[:4]) for version in VERSIONS]
    assert numbers == sorted(set(numbers))


async def test_second_time_is_nothing(database: Database) -> None:
    """A database that is up to date is left alone."""
    assert await database.migrate() == list(VERSIONS)

    assert await database.migrate() == []


async def test_newer_database_is_refused(database: Database) -> None:
    """A database that a newer version has changed is not touched by an older one."""
    await database.migrate()
    await database.connection.execute_query("INSERT INTO schema_versions VALUES ('9999_future', 'then')")

    with pytest.raises(ConfigurationInvalid, match="9999_future"):
        await database.migrate()


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch, database: Database) -> tuple[str, ...]:
    """A second version that adds a column and an index to a table with rows."""
    real = runner.statements

    def statements(version: str, dialect: str) -> list[str]:
        if version == "0002_color":
            return [
                "ALTER TABLE organizations ADD COLUMN color VARCHAR(20) NOT NULL DEFAULT 'blue'",
                "CREATE INDEX idx_organizations_color ON organizations (color)",
            ]
        if version == "0003_broken":
            return ["ALTER TABLE organizations ADD COLUMN taste INT", "ALTER TABLE nothing ADD COLUMN a INT"]
        return real(version, dialect)

    monkeypatch.setattr(runner, "statements", statements)
    return (*VERSIONS, "0002_color")


async def populate() -> None:
    home = await OrganizationRow.create(id="org_1", name="Analytical Engines")
    for number in range(50):
        await UserRow.create(
            id=f"user_{number}",
            email=f"{number}@example.org",
            name="n",
            password_hash="",
            role="viewer",
            organization=home,
        )


async def test_populated_database(database: Database, second: tuple[str, ...]) -> None:
    """A new version keeps every row and every index of a database in use."""
    await database.migrate()
    await populate()
    before = await schema_of(database)

    assert await runner.migrate(database, second) == ["0002_color"]

    after = await schema_of(database)
    assert await UserRow.all().count() == 50
    assert (await database.connection.execute_query_dict("SELECT color FROM organizations"))[0]["color"] == "blue"
    assert set(after["indexes"]) - set(before["indexes"]) == {"idx_organizations_color"}
    assert set(before["indexes"]) <= set(after["indexes"])


async def test_money_of_a_database_in_use(database: Database) -> None:
    """Live jobs get their reservations, the month its spend and old events their project; what is over gets nothing."""
    await runner.migrate(database, tuple(version for version in VERSIONS if version < "0006"))
    query, json = database.connection.execute_query, "'{}'"
    now = "datetime('now') || '+00:00'" if database.dialect == "sqlite" else "now()"
    await OrganizationRow.create(id="org_1", name="Analytical Engines")
    await OrganizationRow.create(id="org_2", name="Difference Engines")
    await query(f"INSERT INTO budgets VALUES ('org_1', 5000000, {now}, {now})")
    jobs = {"a": ("running", "700", 90), "b": ("queued", "NULL", 40), "c": ("completed", "800", 50)}
    for id, (status, limit, estimated) in jobs.items():
        await query(
            "INSERT INTO training_jobs (id, organization_id, user_id, circuit_id, circuit, status, priority, config,"
            " backend, progress, metrics, resources, receipt, estimated_cost, cost, budget_limit, project, tags, seq,"
            " fence, attempt, cancel_requested, checkpoint_epoch, created_at, updated_at)"
            f" VALUES ('{id}', 'org_1', 'u', 'c', {json}, '{status}', 'low', {json}, 'native', {json}, {json}, {json},"
            f" {json}, {estimated}, 0, {limit}, 'qml', '[]', 0, 0, 0, {'0' if database.dialect == 'sqlite' else 'false'},"
            f" 0, {now}, {now})"
        )
    for number, (moment, amount) in enumerate(((now, 30), (now, 12), ("'2020-01-31 23:00:00+00:00'", 999))):
        await query(
            "INSERT INTO cost_events (id, organization_id, user_id, event_type, backend, amount, circuits, shots, job_id,"
            f" created_at) VALUES ('{number}', 'org_1', 'u', 'training', 'native', {amount}, 1, 0, 'c', {moment})"
        )

    assert "0006_money" in await database.migrate()

    budgets = {row.organization_id: row for row in await BudgetRow.all()}
    ours, theirs = budgets["org_1"], budgets["org_2"]
    assert (ours.monthly_limit, ours.spent, ours.reserved, ours.alerts) == (5_000_000, 42, 740, [])
    assert ours.month == theirs.month == f"{datetime.now(UTC):%Y-%m}"
    assert (theirs.monthly_limit, theirs.spent, theirs.reserved) == (None, 0, 0)
    reservations = {row.job_id: (row.amount, row.charged) for row in await ReservationRow.all()}
    assert reservations == {"a": (700, 0), "b": (40, 0)}
    assert {event.project for event in await CostEventRow.all()} == {"qml"}


async def test_people_of_a_database_in_use(database: Database) -> None:
    """Everybody belongs to the organization that they were in, as what they were, and since when."""
    await runner.migrate(database, tuple(version for version in VERSIONS if version < "0013"))
    query = database.connection.execute_query
    no, yes, now = (
        ("0", "1", "datetime('now') || '+00:00'") if database.dialect == "sqlite" else ("false", "true", "now()")
    )
    await OrganizationRow.create(id="org_1", name="Analytical Engines")
    for number in range(8):
        role, disabled = "owner" if number == 0 else "viewer", yes if number == 1 else no
        await query(
            "INSERT INTO users (id, email, name, password_hash, organization_id, role, operator, disabled, preferences,"
            f" created_at, updated_at) VALUES ('user_{number}', '{number}@example.org', 'n', '', 'org_1', '{role}', {no},"
            f" {disabled}, '{{}}', {now}, {now})"
        )

    assert {"0013_members", "0014_invitations"} <= set(await database.migrate())

    rows = {row.user_id: row for row in await MembershipRow.all().select_related("user")}
    assert len(rows) == 8
    assert all(row.user.email_proven for row in rows.values())
    assert {row.organization_id for row in rows.values()} == {"org_1"}
    assert (rows["user_0"].role, rows["user_7"].role) == ("owner", "viewer")
    assert (rows["user_1"].to_domain().disabled, rows["user_2"].to_domain().disabled) == (True, False)
    assert rows["user_3"].created_at == rows["user_3"].user.created_at


async def test_models_of_a_database_in_use(database: Database) -> None:
    """Models get the key that their versions sort by, and from their jobs where they come from."""
    await runner.migrate(database, tuple(version for version in VERSIONS if version < "0060"))
    query = database.connection.execute_query
    now, no = ("datetime('now') || '+00:00'", "0") if database.dialect == "sqlite" else ("now()", "false")
    await query(
        "INSERT INTO training_jobs (id, organization_id, user_id, circuit_id, circuit, status, priority, config, backend,"
        " progress, metrics, resources, receipt, estimated_cost, cost, tags, seq, fence, attempt, cancel_requested,"
        " checkpoint_epoch, created_at, updated_at) VALUES ('job_1', 'org_1', 'u', 'c', '{\"version\": 3}', 'completed',"
        " 'low', '{\"epochs\": 5}', 'native', '{}', '{}', '{}', '{\"seed\": 7}', 0, 0, '[]', 0, 0, 0,"
        f" {no}, 0, {now}, {now})"
    )
    for number, job in ((1, "'job_1'"), (9, "NULL"), (10, "NULL"), (300, "'job_lost'")):
        await query(
            "INSERT INTO models (id, organization_id, user_id, name, version, circuit_id, training_job_id, status, metrics,"
            " parameters, inputs, deployment, artifact_digest, artifact_bytes, created_at, updated_at) VALUES"
            f" ('model_{number}', 'org_1', 'u', 'digits', '{number}.0.0', 'c', {job}, 'trained', '{{}}', '{{}}', '{{}}',"
            f" '{{}}', 'sha256:0', 1, {now}, {now})"
        )

    assert "0060_model_registry" in await database.migrate()

    rows = await ModelRow.all().order_by("version_key")
    assert [(row.version, row.version_key) for row in rows] == [
        (version, version_key(version)) for version in ("1.0.0", "9.0.0", "10.0.0", "300.0.0")
    ]
    assert rows[0].lineage == {
        "circuit_version": 3, "config": {"epochs": 5}, "receipt": {"seed": 7}, "continued_from": None
    }  # fmt: skip
    assert [(row.lineage, row.tags, row.stage) for row in rows[1:]] == [({}, [], None)] * 3


async def test_failed_version_changes_nothing(database: Database, second: tuple[str, ...]) -> None:
    """A version that fails half-way leaves schema and rows as they were, and can be tried again."""
    await database.migrate()
    await populate()
    before = await schema_of(database)

    with pytest.raises(Exception, match="nothing"):
        await runner.migrate(database, (*second, "0003_broken"))

    assert await schema_of(database) == before
    assert await UserRow.all().count() == 50
    assert await runner.migrate(database, second) == ["0002_color"]


async def test_copy_before_migrating(database: Database, settings: Settings, second: tuple[str, ...]) -> None:
    """A SQLite file with rows is copied, privately and whole, before a new version touches it."""
    await database.migrate()
    await populate()

    await runner.migrate(database, second)

    copies = list(settings.data_dir.glob("*.before-*"))
    if database.dialect == "postgres":
        assert copies == []
        return
    (copy,) = copies
    assert copy.name == "qstore.before-0002_color"
    assert copy.stat().st_mode & 0o777 == 0o600
    connection = sqlite3.connect(copy)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("SELECT count(*) FROM users").fetchone() == (50,)
    assert "color" not in {row[1] for row in connection.execute("PRAGMA table_info(organizations)")}
    connection.close()


async def test_servers_that_start_together(settings: Settings) -> None:
    """Three processes that migrate one empty database at the same moment all succeed, and one of them does it."""
    code = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from qstore_appliance.database.connection import Database\n"
        "from qstore_appliance.settings import Database as D, Settings\n"
        "async def main():\n"
        "    database = await Database.open(Settings(data_dir=Path(sys.argv[1]), database=D(url=sys.argv[2])))\n"
        "    print(len(await database.migrate()))\n"
        "    await database.close()\n"
        "asyncio.run(main())\n"
    )
    import sys

    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, str(settings.data_dir), settings.database.url, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]

    answers = [(await process.communicate())[0].decode().strip() for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(answers) == ["0", "0", str(len(VERSIONS))]
