"""Services on both databases: whoever asks for `settings` or `database` runs once on SQLite and once on Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.services.accounts import Accounts
from qstore_appliance.services.codes import Codes
from qstore_appliance.services.notices import Notices
from qstore_appliance.services.outbox import Outbox
from qstore_appliance.services.passwords import Passwords
from qstore_appliance.services.sessions import Sessions
from qstore_appliance.services.sign_ins import SignIns
from qstore_appliance.settings import Database as DatabaseSettings
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock
from tests.servers import Postgres

SECRET = bytes(range(32))


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """An installation of this test's own; the Postgres is shared by the process, and emptied for each test."""
    url = ""
    if request.param == "postgres":
        url = request.getfixturevalue("migrated_postgres")
        # Another test may have stopped it.
        request.getfixturevalue("postgres_server").start()
    return Settings(data_dir=tmp_path / "data", database=DatabaseSettings(url=url))


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a Postgres database with our tables, of whatever contents."""
    url = postgres_server.url(postgres_server.create())

    async def migrate() -> None:
        settings = Settings(data_dir=tmp_path_factory.mktemp("migrated"), database=DatabaseSettings(url=url))
        database = await Database.open(settings)
        await database.migrate()
        await database.close()

    asyncio.run(migrate())
    return url


@pytest_asyncio.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    opened = await Database.open(settings)
    try:
        await opened.migrate()
        if opened.dialect == "postgres":
            await empty(opened)
        yield opened
    finally:
        await opened.close()


async def empty(database: Database) -> None:
    """Delete every row. Deleting from small tables takes a tenth of the time that TRUNCATE takes."""
    rows = await database.connection.execute_query_dict("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    # Users stand in the way of their organizations; everything else cascades.
    tables = sorted({row["tablename"] for row in rows} - {"schema_versions"}, key=lambda name: name == "organizations")
    await database.connection.execute_script(";".join(f'DELETE FROM "{table}"' for table in tables))


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    """The real hasher with parameters that cost nothing."""
    pool = Passwords(time_cost=1, memory_kib=8)
    yield pool
    pool.close()


@pytest.fixture
def accounts(database: Database, clock: SteppingClock, passwords: Passwords, settings: Settings) -> Accounts:
    return Accounts(database, clock, passwords, settings)


@pytest.fixture
def notices(database: Database, clock: SteppingClock, settings: Settings) -> Notices:
    """What is told of lies in the outbox, which nobody empties."""
    return Notices(Outbox(database, clock, settings, {}), clock, settings)


@pytest.fixture
def codes(database: Database, clock: SteppingClock) -> Codes:
    return Codes(database, clock, SECRET)


@pytest.fixture
def sign_ins(
    database: Database, clock: SteppingClock, passwords: Passwords, codes: Codes, notices: Notices, settings: Settings
) -> SignIns:
    return SignIns(database, clock, passwords, codes, notices, settings)


@pytest.fixture
def sessions(
    database: Database,
    clock: SteppingClock,
    accounts: Accounts,
    sign_ins: SignIns,
    notices: Notices,
    settings: Settings,
) -> Sessions:
    return Sessions(database, clock, accounts, sign_ins, notices, settings, SECRET)
