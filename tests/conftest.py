"""
Fixtures that every test may ask for.

Servers come first, since they stand on nothing of ours; below them the settings, the appliance on a data directory of
its own, the HTTP client and the callers.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests import servers

pytest_plugins = ["tests.completeness", "tests.reports"]

# Whoever runs the tests in the background of a script has them ignore Ctrl-C, and every program that they start with
# them; some tests send one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Servers ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.Postgres]:
    """One Postgres per pytest process, started when the first test asks."""
    try:
        server = servers.Postgres()
    except servers.ServerMissing as missing:
        pytest.skip(str(missing))
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[servers.Redis]:
    """One Redis (Valkey) per pytest process, started when the first test asks."""
    try:
        server = servers.Redis()
    except servers.ServerMissing as missing:
        pytest.skip(str(missing))
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def postgres_url(postgres_server: servers.Postgres) -> Iterator[str]:
    """
    The address of an empty Postgres database of this test's own.

    A fixture that wants tables in it copies a migrated database instead of migrating one for each test:
    `postgres_server.create(postgres_server.template("migrated", migrate))`.
    """
    postgres_server.start()
    database = postgres_server.create()
    yield postgres_server.url(database)
    postgres_server.drop(database)


@pytest.fixture
def redis_url(redis_server: servers.Redis) -> str:
    """The address of an empty Redis."""
    redis_server.start()
    redis_server.flush()
    return redis_server.url()


# The appliance: settings(tmp_path), appliance, client, caller(role), clock ------------------------------------------
