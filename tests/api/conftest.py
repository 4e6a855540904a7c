"""
The API behind a real socket, on a house that is furnished once: two organizations, a user of each role, all signed in.

Each test gets a copy of the furnished data directory, which takes milliseconds.
"""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TextIO, cast

import httpx
import pytest
import pytest_asyncio

from qstore_appliance import telemetry
from qstore_appliance.api.app import create_app
from qstore_appliance.api.server import Server, listen
from qstore_appliance.appliance import Appliance
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.settings import Limits, Settings
from tests.api.documented import documented
from tests.factories import PASSWORD, ThreadCalculator

#: Role names of the first organization, and `stranger`, the owner of the second.
MEMBERS = ("owner", "admin", "developer", "viewer")
STRANGER = "stranger"

Client = Callable[..., httpx.AsyncClient]


@dataclasses.dataclass(frozen=True)
class House:
    folder: Path
    #: Access token by role.
    tokens: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Served:
    server: Server
    appliance: Any
    settings: Settings
    house: House

    @property
    def url(self) -> str:
        return self.settings.address

    def token(self, role: str) -> str:
        return self.house.tokens[role]

    async def caller(self, role: str) -> Caller:
        caller: Caller = await self.appliance.sessions.by_access_token(self.token(role))
        return caller


class Stderr:
    """Standard error as it is when something is written, which pytest changes from test to test."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return False


@pytest.fixture(scope="session", autouse=True)
def logs() -> None:
    """As the product logs: without the values of variables, which are slow to print."""
    telemetry.configure("info", "console", stream=cast(TextIO, Stderr()))


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    folder = tmp_path_factory.mktemp("house")
    return House(folder, asyncio.run(furnish(Settings(data_dir=folder))))


async def furnish(settings: Settings) -> dict[str, str]:
    async with Appliance.open(settings, work=False) as appliance:
        accounts = appliance.accounts
        await accounts.create_owner("owner@example.org", PASSWORD, "Analytical Engines")
        for role in MEMBERS[1:]:
            await accounts.create_user(f"{role}@example.org", "Analytical Engines", role, PASSWORD)
        await accounts.create_user(f"{STRANGER}@example.org", "Difference Engines", "owner", PASSWORD)
        tokens = {}
        for role in (*MEMBERS, STRANGER):
            email = f"{role}@example.org"
            signed_in = await appliance.sessions.sign_in(email, PASSWORD, address="127.0.0.1", agent="tests")
            tokens[role] = signed_in.access_token
        return tokens


@pytest.fixture
def settings(house: House, tmp_path: Path) -> Settings:
    folder = tmp_path / "data"
    shutil.copytree(house.folder, folder, ignore=shutil.ignore_patterns("*.sock", "lock"))
    # Tests that are not about limits send more than a stranger may.
    return Settings(data_dir=folder, limits=Limits(address=100_000, user=100_000))


@asynccontextmanager
async def serving(settings: Settings, house: House, *, work: bool = False, port: int = 0) -> AsyncIterator[Served]:
    """An appliance, usually without slots, behind a socket on a free port, or on the one that another had before."""
    listener = listen(with_port(settings, port))
    settings = with_port(settings, listener.getsockname()[1])

    def open_appliance(settings: Settings) -> Any:
        return Appliance.open(settings, work=work)

    app = create_app(settings, open_appliance=open_appliance)
    server = Server(app, settings)
    await server.start(listener)
    if not work:
        # The true functions, in threads, and one backend: children take seconds to start, and have tests of their own.
        backends, datasets = app.ctx.appliance.backends, app.ctx.appliance.datasets
        backends._calculator = datasets._calculator = ThreadCalculator()
        backends._names = ["native"]
    try:
        yield Served(server, app.ctx.appliance, settings, house)
    finally:
        await server.stop()


def with_port(settings: Settings, port: int) -> Settings:
    return dataclasses.replace(settings, server=dataclasses.replace(settings.server, port=port))


@pytest_asyncio.fixture
async def served(settings: Settings, house: House) -> AsyncIterator[Served]:
    async with serving(settings, house) as running:
        yield running


@pytest.fixture
def appliance(served: Served) -> Any:
    return served.appliance


@pytest_asyncio.fixture
async def client(served: Served) -> AsyncIterator[Client]:
    """`client("viewer")`: an HTTP client with that role's token; `client(None)`: without credentials."""
    async with AsyncExitStack() as stack:

        def connect(role: str | None = "owner", **headers: str) -> httpx.AsyncClient:
            if role is not None:
                headers["Authorization"] = f"Bearer {served.token(role)}"
            made = httpx.AsyncClient(
                base_url=served.url,
                headers=headers,
                timeout=10,
                trust_env=False,
                event_hooks={"response": [documented]},
            )
            stack.push_async_callback(made.aclose)
            return made

        yield connect


@pytest.fixture
def owner(client: Client) -> httpx.AsyncClient:
    return client("owner")
