"""The door of writes: SQLite and Postgres behave alike, also when they break."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from tortoise.exceptions import IntegrityError

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import OrganizationRow
from qstore_appliance.errors import ConfigurationInvalid, StorageFull, Unavailable, ValidationFailed
from qstore_appliance.settings import Database as DatabaseSettings
from qstore_appliance.settings import Settings
from tests.servers import Postgres


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    return Settings(data_dir=tmp_path / "data", database=DatabaseSettings(url=url))


@pytest_asyncio.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    opened = await Database.open(settings)
    await opened.migrate()
    yield opened
    await opened.close()


async def add(id: str, name: str = "n") -> None:
    await OrganizationRow.create(id=id, name=name)


async def ids() -> list[str]:
    return sorted(row.id for row in await OrganizationRow.all())


async def add_and_fail(database: Database, id: str) -> None:
    async with database.transaction():
        await add(id)
        raise KeyError


async def add_many(database: Database, count: int) -> None:
    async with database.transaction():
        for number in range(count):
            await add(f"{number}", "x" * 255)


class TestTransaction:
    async def test_all_or_nothing(self, database: Database) -> None:
        """What is raised inside undoes everything inside, and nothing outside."""
        async with database.transaction():
            await add("kept")

        with pytest.raises(KeyError):
            await add_and_fail(database, "undone")

        assert await ids() == ["kept"]

    async def test_savepoint(self, database: Database) -> None:
        """A transaction within a transaction can fail alone."""
        async with database.transaction():
            await add("outer")
            with pytest.raises(KeyError):
                await add_and_fail(database, "inner")

        assert await ids() == ["outer"]

    async def test_uniqueness_is_left_to_the_caller(self, database: Database) -> None:
        """A broken uniqueness comes out as it is, and the connection is good afterwards."""
        await add("same")

        with pytest.raises(IntegrityError):
            async with database.transaction():
                await add("same")

        assert await ids() == ["same"]

    async def test_cancelled_at_any_moment(self, database: Database) -> None:
        """Wherever a transaction is cancelled, it is whole or undone, and the next one finds no trace of it."""

        async def pair(number: int) -> None:
            async with database.transaction():
                await add(f"{number:03}-a")
                await add(f"{number:03}-b")

        for number in range(120):
            task = asyncio.create_task(pair(number))
            for _ in range(number % 24):
                await asyncio.sleep(0)
            if number % 3 == 0:
                await asyncio.sleep(number * 1e-5)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.wait_for(pair(999), 5)

        found = await ids()
        assert [id for id in found if id.startswith("999")] == ["999-a", "999-b"]
        assert {id[:3] for id in found if id.endswith("a")} == {id[:3] for id in found if id.endswith("b")}

    async def test_many_at_once(self, database: Database) -> None:
        """Fifty tasks that read and then write lose nothing, each within its own transaction."""
        await add("counter", "0")

        async def count() -> None:
            async with database.transaction():
                row = await OrganizationRow.filter(id="counter").select_for_update().get()
                row.name = str(int(row.name) + 1)
                await row.save()

        await asyncio.gather(*(count() for _ in range(50)))

        assert (await OrganizationRow.get(id="counter")).name == "50"

    async def test_processes_that_read_and_then_write(self, database: Database, settings: Settings) -> None:
        """Two processes that read and then write the same row both get their turn, every time."""
        await add("counter", "0")
        code = (
            "import asyncio, sys\n"
            "from pathlib import Path\n"
            "from qstore_appliance.database.connection import Database\n"
            "from qstore_appliance.database.tables.accounts import OrganizationRow as Row\n"
            "from qstore_appliance.settings import Database as D, Settings\n"
            "async def main():\n"
            "    database = await Database.open(Settings(data_dir=Path(sys.argv[1]), database=D(url=sys.argv[2])))\n"
            "    try:\n"
            "        for _ in range(30):\n"
            "            async with database.transaction():\n"
            "                row = await Row.filter(id='counter').select_for_update().get()\n"
            "                await asyncio.sleep(0.003)\n"
            "                row.name = str(int(row.name) + 1)\n"
            "                await row.save()\n"
            "    finally:\n"
            "        await database.close()\n"
            "asyncio.run(main())\n"
        )
        processes = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", code, str(settings.data_dir), settings.database.url
            )
            for _ in range(2)
        ]

        assert [await process.wait() for process in processes] == [0, 0]
        assert (await OrganizationRow.get(id="counter")).name == "60"


class TestSqlite:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings(data_dir=tmp_path / "data")

    async def test_durable(self, database: Database) -> None:
        """Every acknowledged write is on the disk: WAL with synchronous FULL, foreign keys on."""
        values = {}
        for pragma in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout"):
            row = (await database.connection.execute_query_dict(f"PRAGMA {pragma}"))[0]
            values[pragma] = next(iter(row.values()))

        assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5_000}

    async def test_private(self, database: Database, settings: Settings) -> None:
        """Nobody but the owner reads the database, its log or its directory."""
        await add("one")

        modes = {path.name: path.stat().st_mode & 0o777 for path in settings.data_dir.iterdir()}

        assert settings.data_dir.stat().st_mode & 0o777 == 0o700
        assert {"qstore.sqlite3", "qstore.sqlite3-wal", "qstore.sqlite3-shm"} <= set(modes)
        assert set(modes.values()) == {0o600}

    @pytest.mark.parametrize("content", [b"this is not a database" * 100, b"SQLite format 3\x00" + b"\xff" * 4096])
    async def test_damaged_file(self, settings: Settings, content: bytes) -> None:
        """A file that is no database is named, and left as it is."""
        settings.data_dir.mkdir()
        settings.database_file.write_bytes(content)

        with pytest.raises(ConfigurationInvalid, match=str(settings.database_file)):
            await Database.open(settings)

        assert settings.database_file.read_bytes() == content

    async def test_directory_in_the_way(self, settings: Settings) -> None:
        """Something else at the file's place is named."""
        settings.database_file.mkdir(parents=True)

        with pytest.raises(ConfigurationInvalid, match=str(settings.database_file)):
            await Database.open(settings)

    async def test_full_disk(self, database: Database) -> None:
        """When there is no room the write is refused as STORAGE_FULL, reads go on, and room heals it."""
        pages = (await database.connection.execute_query_dict("PRAGMA page_count"))[0]["page_count"]
        await database.connection.execute_query(f"PRAGMA max_page_count = {pages}")

        with pytest.raises(StorageFull):
            await add_many(database, 1_000)

        assert await ids() == []
        await database.connection.execute_query("PRAGMA max_page_count = 1000000")
        async with database.transaction():
            await add("room")
        assert await ids() == ["room"]

    async def test_locked_by_another(self, database: Database, settings: Settings) -> None:
        """While another program holds the file a write is UNAVAILABLE with a time to come back, and then it works."""
        await database.connection.execute_query("PRAGMA busy_timeout = 50")
        other = sqlite3.connect(settings.database_file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        for _ in range(3):
            with pytest.raises(Unavailable) as caught:
                async with database.transaction():
                    await add("never")
            assert caught.value.retry_after > 0
        other.execute("ROLLBACK")
        other.close()

        async with database.transaction():
            await add("then")
        assert await ids() == ["then"]

    async def test_unknown_address(self, tmp_path: Path) -> None:
        """Another kind of address than Postgres' is refused."""
        with pytest.raises(ConfigurationInvalid, match=r"database\.url"):
            await Database.open(Settings(data_dir=tmp_path, database=DatabaseSettings(url="mysql://localhost/x")))

    async def test_directory_that_cannot_be_made(self, tmp_path: Path) -> None:
        """A data directory below a file is named."""
        (tmp_path / "file").touch()
        settings = Settings(data_dir=tmp_path / "file" / "data")

        with pytest.raises(ConfigurationInvalid, match=str(settings.database_file)):
            await Database.open(settings)


class TestPostgres:
    @pytest.fixture
    def settings(self, tmp_path: Path, postgres_url: str) -> Settings:
        return Settings(data_dir=tmp_path / "data", database=DatabaseSettings(url=postgres_url))

    async def test_restart(self, database: Database, postgres_server: Postgres) -> None:
        """A database that goes away is UNAVAILABLE to everybody, and back in use when it is back."""
        await add("before")
        postgres_server.stop()
        try:
            for _ in range(12):
                with pytest.raises(Unavailable):
                    await database.ping()
                with pytest.raises(Unavailable):
                    async with database.transaction():
                        await add("never")
        finally:
            postgres_server.start()

        await asyncio.wait_for(until_answers(database), 10)
        async with database.transaction():
            await add("after")
        assert await ids() == ["after", "before"]

    async def test_lost_inside_a_transaction(self, database: Database) -> None:
        """A connection that breaks inside a transaction undoes it, and its place in the pool is not lost."""
        for _ in range(15):
            with pytest.raises(Unavailable):
                await lose_the_connection(database)

        assert await ids() == []

    async def test_half_a_surrogate_pair(self, database: Database) -> None:
        """Texts that cannot be stored are an error of the request and not of the server."""
        for text in ("\x00", "\ud800"):
            with pytest.raises(ValidationFailed):
                await add("one", text)

    async def test_nobody_there(self, tmp_path: Path) -> None:
        """A server that does not answer is named without its password."""
        url = "postgres://me:secret@127.0.0.1:1/name"

        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1/name") as caught:
            await Database.open(Settings(data_dir=tmp_path, database=DatabaseSettings(url=url)))

        assert "secret" not in caught.value.message

    async def test_no_such_database(self, tmp_path: Path, postgres_server: Postgres) -> None:
        """A database that does not exist is a fault of the configuration, and named."""
        postgres_server.start()
        settings = Settings(data_dir=tmp_path, database=DatabaseSettings(url=postgres_server.url("nowhere")))

        with pytest.raises(ConfigurationInvalid, match="nowhere"):
            await Database.open(settings)

    @pytest.mark.parametrize("url", ["postgres://", "postgres://host", "postgres://host:port/x", "postgres://h/x?a=b"])
    async def test_malformed_address(self, tmp_path: Path, url: str) -> None:
        """An address that is none is refused with the shape of a good one."""
        with pytest.raises(ConfigurationInvalid, match=r"database\.url"):
            await Database.open(Settings(data_dir=tmp_path, database=DatabaseSettings(url=url)))


async def lose_the_connection(database: Database) -> None:
    async with database.transaction() as connection:
        await add("never")
        own = (await connection.execute_query_dict("SELECT pg_backend_pid() AS pid"))[0]["pid"]
        await asyncio.create_task(kill(database, own))
        await add("nor this")


async def kill(database: Database, pid: int) -> None:
    """End another connection, from a connection of our own outside of any transaction."""
    pool = database.connection._parent  # type: ignore[attr-defined]
    other = await asyncpg.connect(host=pool.host, port=pool.port, user=pool.user, database=pool.database)
    await other.execute(f"SELECT pg_terminate_backend({pid})")
    await other.close()


async def until_answers(database: Database) -> None:
    while True:
        try:
            await database.ping()
            return
        except Unavailable:
            await asyncio.sleep(0.05)
