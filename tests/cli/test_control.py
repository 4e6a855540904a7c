"""The control socket, with verbs of our own at its other end."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qstore_appliance.cli import control
from qstore_appliance.cli.verbs import VERBS, Verb
from qstore_appliance.errors import Conflict, Malformed, QStoreError, Unavailable
from qstore_appliance.settings import Settings


async def echo(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    yield {**arguments, "house": appliance.name, "at": datetime(2026, 1, 2, tzinfo=UTC)}


async def refuse(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    yield 1
    raise Conflict("There is one.", details={"id": "x"})


async def stumble(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    raise ZeroDivisionError("secret")
    yield


async def count(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    """Goes on for ever, and notes that it was ended."""
    try:
        for number in range(1_000_000):
            yield number
            await asyncio.sleep(0.01)
    finally:
        appliance.ended.set()


@pytest.fixture
def verbs(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(echo=echo, refuse=refuse, stumble=stumble, count=count)
    monkeypatch.setattr(Verb, "module", property(lambda self: module))
    for name in vars(module):
        monkeypatch.setitem(VERBS, ("test", name), Verb(("test", name), "", lambda parser: None))


class Server:
    """A control socket on a loop of its own, as a server has it."""

    def __init__(self, settings: Settings) -> None:
        self.appliance = SimpleNamespace(name="ours", ended=threading.Event())
        self.loop = asyncio.new_event_loop()
        self.socket = control.ControlSocket(settings, self.appliance)
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.do(self.socket.open())

    def do(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def close(self) -> None:
        self.do(self.socket.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def server(settings: Settings, verbs: None) -> Iterator[Server]:
    running = Server(settings)
    yield running
    running.close()


def test_a_verb_runs_over_there(server: Server, settings: Settings) -> None:
    """A verb gets the server's appliance and its arguments, and its values come back as JSON carries them."""
    results = list(control.call(settings, ("test", "echo"), {"secret": "hünter2"}))

    assert results == [{"secret": "hünter2", "house": "ours", "at": "2026-01-02T00:00:00Z"}]


def test_errors_come_back_as_themselves(server: Server, settings: Settings) -> None:
    """An error of the family is raised here as the class, message and details that it had there."""
    results = control.call(settings, ("test", "refuse"), {})

    assert next(results) == 1
    with pytest.raises(Conflict, match=r"There is one\.") as caught:
        next(results)
    assert caught.value.details == {"id": "x"}


def test_a_fault_does_not_end_the_server(server: Server, settings: Settings) -> None:
    """An unexpected exception reaches the client in one line, and the socket goes on."""
    with pytest.raises(QStoreError, match="ZeroDivisionError"):
        list(control.call(settings, ("test", "stumble"), {}))
    assert len(list(control.call(settings, ("test", "echo"), {}))) == 1


def test_who_leaves_ends_the_verb(server: Server, settings: Settings) -> None:
    """A verb that would go on ends when its client goes."""
    results = control.call(settings, ("test", "count"), {})
    assert next(results) == 0

    results.close()

    assert server.appliance.ended.wait(5)


def test_closing_ends_what_runs(server: Server, settings: Settings) -> None:
    """A server that stops waits for nobody: the verb ends, and its client hears that the server went."""
    results = control.call(settings, ("test", "count"), {})
    assert next(results) == 0
    began = time.monotonic()

    server.do(server.socket.close())

    with pytest.raises(Unavailable, match="went away"):
        list(results)
    assert server.appliance.ended.wait(5)
    assert time.monotonic() - began < 50
    assert not settings.control_socket.exists()


@pytest.mark.parametrize("line", ["", "nonsense", "[]", '{"verb": "x", "arguments": {}}', '{"verb": ["x"]}'])
def test_nonsense_is_refused(server: Server, settings: Settings, line: str) -> None:
    """What is no request gets an error."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(settings.control_socket))
        client.sendall(line.encode() + b"\n")
        answer = json.loads(client.makefile("rb").readline())

    assert answer["ok"] is False
    assert answer["error"]["code"] == "MALFORMED"


def test_endless_requests_are_cut(server: Server, settings: Settings) -> None:
    """A line without an end is not read to its end, and the socket goes on."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(settings.control_socket))
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            client.sendall(b"x" * 64_000_000)

    assert len(list(control.call(settings, ("test", "echo"), {}))) == 1


@pytest.mark.parametrize("words", [("serve",), ("demo",), ("no", "such")])
def test_only_verbs_that_may(server: Server, settings: Settings, words: tuple[str, ...]) -> None:
    """The socket runs no server in a server, and nothing that is no verb."""
    with pytest.raises(Malformed, match="knows no verb"):
        list(control.call(settings, words, {}))


def test_only_its_owner_may_open_it(server: Server, settings: Settings) -> None:
    """The socket has mode 0600 from its first moment."""
    assert stat.S_IMODE(settings.control_socket.stat().st_mode) == 0o600


def test_nobody_listens(settings: Settings) -> None:
    """Without a server, and beside the socket that a killed one left, the caller learns that there is none."""
    with pytest.raises(control.NoServer):
        list(control.call(settings, ("test", "echo"), {}))

    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(settings.control_socket))

    with pytest.raises(control.NoServer):
        list(control.call(settings, ("test", "echo"), {}))


def test_a_socket_that_was_left(settings: Settings, verbs: None) -> None:
    """A new server takes the place of the socket that a killed one left."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(settings.control_socket))
    server = Server(settings)
    try:
        assert len(list(control.call(settings, ("test", "echo"), {}))) == 1
    finally:
        server.close()


def test_deep_directories(tmp_path: Path, verbs: None) -> None:
    """A path longer than a socket's address can hold works at both ends."""
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    deep.mkdir(parents=True)
    settings = Settings(data_dir=deep)
    server = Server(settings)
    try:
        assert len(list(control.call(settings, ("test", "echo"), {}))) == 1
        assert settings.control_socket.is_socket()
    finally:
        server.close()
