"""A20: the WebSocket, from foreign pages, without credentials, with frames that are none, and with too many of them."""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from qstore_appliance.domain import ids
from tests.acceptance.processes import data
from tests.attacks.conftest import Fortress, status

pytestmark = pytest.mark.attack("A20")

SECONDS = 30.0


def place(fortress: Fortress) -> str:
    return fortress.url.replace("http", "ws") + "/v1/ws"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def opened(fortress: Fortress, stack: ExitStack, role: str | None = "owner") -> ClientConnection:
    socket = stack.enter_context(connect(place(fortress), proxy=None))
    if role is not None:
        assert ask(socket, type="auth", token=fortress.tokens[role])["type"] == "authenticated"
    return socket


def ask(socket: ClientConnection, **frame: Any) -> dict[str, Any]:
    socket.send(json.dumps(frame))
    answer: dict[str, Any] = json.loads(socket.recv(SECONDS))
    return answer


def close_code(socket: ClientConnection) -> int | None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            socket.recv(SECONDS)
    return socket.close_code


ORIGINS = (
    *(
        "http://evil.example",
        "null",
        "https://127.0.0.1",
        "http://127.0.0.1",
        "http://127.0.0.1.evil.example",
        "file://",
    ),
    *("http://localhost.evil.example", "http://evil.example/http://127.0.0.1", "http://127.0.0.1:80@evil.example", "*"),
    *("chrome-extension://abc", "http://[::1]", "http://LOCALHOST.", " ", "http://127.0.0.1:{port}.evil.example"),
    *("http://127.0.0.1:{port}/", "http://127.0.0.1:{port}, http://evil.example", "ws://127.0.0.1:{port}"),
)


@pytest.mark.parametrize("origin", ORIGINS)
def test_foreign_pages(fortress: Fortress, origin: str) -> None:
    """A browser that comes from another page is refused at the handshake: the origin is ours, to the letter, or none."""
    with pytest.raises(InvalidStatus) as refused:
        with connect(place(fortress), proxy=None, origin=origin.replace("{port}", str(fortress.port))):  # type: ignore[arg-type]
            pass

    assert refused.value.response.status_code in (400, 403)


HANDSHAKES = {
    "no upgrade": "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "another protocol": "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    "no key": "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "posted": "POST /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
    "version 7": "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 7\r\n\r\n",
    "token in the address": "GET /v1/ws?token={token} HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("content", HANDSHAKES.values(), ids=HANDSHAKES)
def test_handshakes_that_are_none(fortress: Fortress, content: str) -> None:
    """What is no handshake is refused as any request is."""
    answer = fortress.speak(content.replace("{token}", fortress.tokens["owner"]).encode())

    assert status(answer) in (400, 405, 426)


FIRST: dict[str, str | bytes] = {
    "nothing of ours": "{}",
    "half": "{",
    "a list": "[]",
    "a ping": '{"type": "ping"}',
    "a subscription": '{"type": "subscribe", "channel": "cost.updates"}',
    "nonsense for a token": '{"type": "auth", "token": "nonsense"}',
    "an unknown key": '{"type": "auth", "api_key": "qsk_live_%s"}' % ("a" * 24),
    "both": '{"type": "auth", "token": "a", "api_key": "b"}',
    "no token": '{"type": "auth"}',
    "a token of 60 KB": '{"type": "auth", "token": "%s"}' % ("a" * 60_000),
    "a token that is a number": '{"type": "auth", "token": 1}',
    "a field of the server's": '{"type": "auth", "token": "a", "organization_id": "org_1"}',
    "binary": b"\x00\x01",
    "deep": '{"type": "auth", "token": ' + "[" * 20_000,
}


@pytest.mark.parametrize("frame", FIRST.values(), ids=FIRST)
def test_anything_but_credentials_first(fortress: Fortress, stack: ExitStack, frame: str | bytes) -> None:
    """Before somebody is known, whatever else comes ends the connection."""
    socket = opened(fortress, stack, None)
    socket.send(frame)

    assert close_code(socket) in (4401, 1003, 1008)


CHANNELS = (
    "job.secrets",
    "*",
    "job.*",
    "",
    "admin",
    "job.progress ",
    "JOB.PROGRESS",
    "../cost.updates",
    "cost.updates:org_1",
)


@pytest.mark.parametrize("channel", CHANNELS)
def test_channels_that_are_none(fortress: Fortress, stack: ExitStack, channel: str) -> None:
    """Guessing channels gives nothing away."""
    answer = ask(opened(fortress, stack), type="subscribe", channel=channel, job_id=fortress.things["jobs"])

    assert (answer["type"], answer["error"]["code"]) == ("error", "VALIDATION_ERROR")


@pytest.mark.parametrize("channel", ["job.progress", "job.metrics"])
def test_jobs_of_others(fortress: Fortress, stack: ExitStack, channel: str) -> None:
    """A stranger's subscription to a job is answered as one to no job."""
    socket = opened(fortress, stack, "stranger")
    heard = [
        ask(socket, type="subscribe", channel=channel, job_id=id)["error"]
        for id in (fortress.things["jobs"], ids.new("job"))
    ]

    assert heard[0]["code"] == "NOT_FOUND"
    assert heard[0]["message"] == heard[1]["message"]


JOB_IDS = ("x", "", "job_" + "0" * 26, "x' OR 1=1 --", "../jobs", "%00", "job_" + "x" * 10_000, "\u202e", "{{7*7}}")


@pytest.mark.parametrize("id", JOB_IDS)
def test_ids_that_are_none(fortress: Fortress, stack: ExitStack, id: str) -> None:
    """An id of nonsense is not found, or no id."""
    answer = ask(opened(fortress, stack), type="subscribe", channel="job.progress", job_id=id)

    assert answer["error"]["code"] in ("NOT_FOUND", "VALIDATION_ERROR")


def test_another_organization_cannot_be_named(fortress: Fortress, stack: ExitStack, owner: httpx.Client) -> None:
    """Whose costs one hears is not for the client to say."""
    organization = data(owner.get("/v1/organization"))["id"]
    answer = ask(
        opened(fortress, stack, "stranger"), type="subscribe", channel="cost.updates", organization_id=organization
    )

    assert answer["error"]["code"] == "VALIDATION_ERROR"


def test_giants_and_floods(fortress: Fortress, stack: ExitStack) -> None:
    """A megabyte in one frame, in fragments of a byte, or sixty frames at once: the connection ends, the server goes on."""
    giant, flood = opened(fortress, stack), opened(fortress, stack)
    with contextlib.suppress(ConnectionClosed):
        giant.send("x" * 1_000_000)
    with contextlib.suppress(ConnectionClosed):
        for _ in range(200):
            flood.send('{"type": "ping"}')
    fragments = opened(fortress, stack)
    with contextlib.suppress(ConnectionClosed):
        fragments.send("x" for _ in range(70_000))

    assert close_code(giant) == 1009
    # Cut off in the middle of a flood, the goodbye may not get through.
    assert close_code(flood) in (1006, 1008)
    assert close_code(fragments) in (1006, 1008, 1009)


def test_a_bomb_of_compressed_zeros(fortress: Fortress) -> None:
    """Compression is not agreed on, so a small frame cannot become a large one."""
    packed = zlib.compress(b"0" * 100_000_000)[:60_000]
    with connect(place(fortress), proxy=None, compression="deflate") as socket:
        assert socket.protocol.extensions == []
        socket.send(packed)

        assert close_code(socket) in (1003, 4401)


def test_the_server_is_well(owner: httpx.Client) -> None:
    """After all of that it answers."""
    assert owner.get("/ready").status_code == 200
