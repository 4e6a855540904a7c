"""Listening and leaving: errors come before anything is opened, and a stop lets nobody down."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from qstore_appliance.api.app import create_app
from qstore_appliance.api.server import Server, listen, tls
from qstore_appliance.errors import ConfigurationInvalid, DataDirectoryInUse, Refused
from qstore_appliance.settings import Server as ServerSettings
from qstore_appliance.settings import Settings
from tests.api.conftest import Client, House, Served, serving, with_port


def test_a_taken_port_is_said_with_the_way_out(tmp_path: Path) -> None:
    """Another program's port is refused by number, with the flag that chooses another."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = with_port(Settings(data_dir=tmp_path), other.getsockname()[1])

        with pytest.raises(Refused, match=rf"Port {settings.server.port} on 127.0.0.1 cannot be used.*--port"):
            listen(settings)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "203.0.113.9"])
def test_an_address_that_is_not_ours(tmp_path: Path, host: str) -> None:
    """A host that is no name, or another machine's address, is an error and not a traceback."""
    settings = Settings(data_dir=tmp_path, server=ServerSettings(host=host, port=1))

    with pytest.raises((ConfigurationInvalid, Refused)):
        listen(settings)


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    """A file that is no certificate is named."""
    file = tmp_path / "cert.pem"
    file.write_text("nothing")
    file.chmod(0o600)
    settings = Settings(data_dir=tmp_path, server=ServerSettings(tls_certificate=str(file), tls_key=str(file)))

    with pytest.raises(ConfigurationInvalid, match="tls_certificate"):
        tls(settings)


async def test_what_opening_raises_reaches_the_operator(settings: Settings) -> None:
    """When the appliance cannot be opened its own error comes out, and the port is free again."""

    @contextlib.asynccontextmanager
    async def broken(settings: Settings) -> AsyncIterator[Any]:
        raise DataDirectoryInUse("in use by process 1")
        yield

    listener = listen(with_port(settings, 0))
    settings = with_port(settings, listener.getsockname()[1])
    app = create_app(settings, open_appliance=broken)

    with pytest.raises(DataDirectoryInUse, match="process 1"):
        await Server(app, settings).start(listener)

    listen(settings).close()


async def test_requests_in_flight_are_answered(served: Served, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop waits for the request that is being answered, and for no idle connection."""
    listed = served.appliance.circuits.listed

    async def slow(*arguments: Any) -> Any:
        await asyncio.sleep(0.3)
        return await listed(*arguments)

    monkeypatch.setattr(served.appliance.circuits, "listed", slow)
    await client("viewer").get("/v1/users/me")
    asked = asyncio.create_task(client("owner").get("/v1/circuits"))
    await asyncio.sleep(0.1)
    start = asyncio.get_running_loop().time()

    await served.server.stop()

    assert (await asked).status_code == 200
    assert asyncio.get_running_loop().time() - start < 1.5
    with pytest.raises(httpx.ConnectError):
        await client("owner").get("/v1/circuits")


async def test_no_header_names_the_server(owner: httpx.AsyncClient) -> None:
    """An answer carries what clients need and nothing that tells attackers what we run."""
    headers = (await owner.get("/v1/circuits")).headers

    assert not {"server", "x-powered-by", "via", "alt-svc"} & set(headers)
    assert headers["X-RateLimit-Limit"] == "100000"


def test_two_apps_live_side_by_side(settings: Settings) -> None:
    """The app may be made any number of times in one process."""
    first, second = create_app(settings), create_app(dataclasses.replace(settings))

    assert first.name != second.name
    for app in (first, second):
        type(app).unregister_app(app)


async def test_a_head_that_drips_is_not_waited_for(settings: Settings, house: House) -> None:
    """A client that sends its header a byte at a time is cut off, however busy it looks."""
    async with serving(settings, house) as served:
        served.server.app.config.REQUEST_TIMEOUT = 1
        reader, writer = await asyncio.open_connection("127.0.0.1", served.settings.server.port)
        start = asyncio.get_running_loop().time()
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        reading = asyncio.create_task(reader.read())
        async with asyncio.timeout(5):
            while not reading.done():
                writer.write(b"x")
                await asyncio.sleep(0.1)

        assert b" 400 " in (await reading).split(b"\r\n")[0]
        assert asyncio.get_running_loop().time() - start < 3
        writer.close()
