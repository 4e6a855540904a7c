"""Socket.IO: the specification's JavaScript with the real client, and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from qstore_appliance.api.live import socketio
from qstore_appliance.domain.accounts import ApiKeyDraft
from qstore_appliance.domain.events import BACKEND_STATUS, COST_UPDATES, EVERYBODY, BackendUpdate, CostUpdate, Event
from tests.api.conftest import Client, Served, serving
from tests.api.listening import tell
from tests.factories import PASSWORD, make_job_row

PATIENCE = 20.0
HERE = Path(__file__).parent / "socketio"
POLLING, WEBSOCKET, BOTH = ["polling"], ["websocket"], ["polling", "websocket"]


#: Around the specification's script: what it prints and hears comes as lines of JSON.
BEFORE = """
import { io } from "socket.io-client";
const tell = (...line) => process.stdout.write(JSON.stringify(line) + "\\n");
const console = { log: (data) => tell("log", data) };
"""
AFTER = """
let subscribed = 0;
socket.onAny((name, data) => {
  if (name !== "subscribed") tell(name, data);
  else if (++subscribed === 4) tell("ready");
});
"""


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the real client and the script that drives it."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("needs node and npm")
    folder = tmp_path_factory.mktemp("socketio")
    for file in HERE.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode:
        pytest.skip(f"npm could not install socket.io-client: {done.stderr.strip().splitlines()[-1:]}")
    return folder


class Node:
    """A process of node; what it writes are lines of JSON, each a name and data."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def do(self, **command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        await self.process.stdin.drain()

    async def emit(self, *arguments: Any, ack: bool = False) -> None:
        await self.do(emit=arguments, ack=ack)

    async def hear(self, *names: str) -> list[Any]:
        """The next of these names; others are passed over."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while True:
                line = await self.process.stdout.readline()
                assert line, "node has ended"
                said = json.loads(line)
                if not names or said[0] in names:
                    return said

    async def events(self, name: str, count: int) -> list[list[Any]]:
        return [(await self.hear(name))[1:] for _ in range(count)]

    async def subscribe(self, **subscription: Any) -> dict[str, Any]:
        await self.emit("subscribe", subscription, ack=True)
        return (await self.hear("ack"))[1]


Run = Callable[..., Any]


@pytest_asyncio.fixture
async def run(modules: Path) -> AsyncIterator[Run]:
    """`await run("script.mjs", …)`: a script that runs in the folder of the real client."""
    async with AsyncExitStack() as stack:

        async def started(script: str, *arguments: str) -> Node:
            environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
            process = await asyncio.create_subprocess_exec(
                "node", script, *arguments,
                cwd=modules, env=environment, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip

            async def end() -> None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

            stack.push_async_callback(end)
            return Node(process)

        yield started


@pytest.fixture
def io(run: Run, served: Served) -> Run:
    """`await io(transports, auth)`: a client that was started; it may still be connecting."""

    async def opened(transports: list[str] = BOTH, auth: Any = None, **options: Any) -> Node:
        auth = {"token": f"Bearer {served.token('owner')}"} if auth is None else auth
        return await run("client.mjs", served.url, json.dumps({"transports": transports, "auth": auth, **options}))

    return opened


@pytest_asyncio.fixture
async def job(served: Served) -> str:
    return str((await make_job_row(await served.caller("owner"))).id)


# The specification -----------------------------------------------------------------------------------------------


async def test_the_specifications_javascript_works_as_printed(
    served: Served, run: Run, modules: Path, job: str
) -> None:
    """Connection and all four channels, as the specification prints them, with the real client."""
    script = (HERE / "specification.js").read_text(encoding="utf-8")
    assert script.count("wss://api.qstore.io") == 1
    script = script.replace("wss://api.qstore.io", served.url.replace("http", "ws"))
    script = script.replace("eyJhbGc...", served.token("viewer")).replace("job_abc123", job)
    script = script.replace("backend_ionq_001", "backend_native_001")
    (modules / "specification.mjs").write_text(BEFORE + script + AFTER, encoding="utf-8")
    client = await run("specification.mjs")

    await client.hear("ready")
    organization = (await served.caller("owner")).organization_id
    await tell(served, job, range(67, 68))
    now = served.appliance.clock.now()
    spend = CostUpdate(current_spend=1234.56, budget_limit=5000.0, percentage_used=24.69, timestamp=now)
    backend = BackendUpdate(
        backend_id="backend_native_001", status="available", queue_depth=42, avg_latency_ms=5000, timestamp=now
    )
    for owner, channel, subject, data in (
        (organization, COST_UPDATES, "", spend),
        (EVERYBODY, BACKEND_STATUS, backend.backend_id, backend),
    ):
        event = Event(organization_id=owner, channel=channel, subject=subject, seq=0, data=data)
        await served.appliance.events.publish(event)
    said = [await client.hear() for _ in range(5)]

    heard = {name: data for name, data in said if name != "log"}
    assert [data for name, data in said if name == "log"] == [heard["job.progress"]]
    assert heard["job.progress"].items() >= {"job_id": job, "status": "running", "current_epoch": 67}.items()
    assert heard["job.progress"].keys() >= {"total_epochs", "current_loss", "eta_seconds", "timestamp"}
    assert heard["job.metrics"]["epoch"] == 67
    assert heard["job.metrics"]["metrics"].keys() == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert heard["cost.update"].keys() == {"current_spend", "budget_limit", "percentage_used", "timestamp"}
    assert heard["backend.status"].items() >= {"queue_depth": 42, "avg_latency_ms": 5000}.items()


@pytest.mark.parametrize("transports", [BOTH, POLLING, WEBSOCKET], ids=["upgrade", "polling", "websocket"])
async def test_every_transport_carries_events_in_order(
    served: Served, io: Run, job: str, transports: list[str]
) -> None:
    """By polling, by WebSocket and from one to the other: payload first, then channel, id and number."""
    client = await io(transports)
    await client.hear("connect")
    answer = await client.subscribe(channel="job.progress", job_id=job)

    await tell(served, job, range(1, 41))
    events = await client.events("job.progress", 40)

    assert (answer["type"], answer["seq"]) == ("subscribed", 0)
    assert [data["current_epoch"] for data, _ in events] == list(range(1, 41))
    assert [beside["seq"] for _, beside in events] == list(range(2, 121, 3))
    assert events[0][1] == {"channel": "job.progress", "job_id": job, "stream": job, "seq": 2}


async def test_who_returns_misses_nothing(served: Served, io: Run, job: str) -> None:
    """`last_seq` brings what was missed, without a gap or a repetition; a number from elsewhere is answered by `reset`."""
    await tell(served, job, range(1, 11))
    client = await io()
    await client.subscribe(channel="job.progress", job_id=job, last_seq=5)
    await tell(served, job, range(11, 21))

    events = await client.events("job.progress", 18)
    await client.emit("subscribe", {"channel": "job.progress", "job_id": job, "last_seq": 10_000})
    _, reset = await client.hear("reset")

    assert [data["current_epoch"] for data, _ in events] == list(range(3, 21))
    assert (reset["job_id"], reset["seq"]) == (job, 60)


# Getting in ------------------------------------------------------------------------------------------------------


async def test_keys_tokens_and_nobody_else(served: Served, io: Run) -> None:
    """An API key opens the door; anything else is a `connect_error` with a sentence and a code."""
    owner = await served.caller("owner")
    key = await served.appliance.accounts.create_key(owner, ApiKeyDraft(name="k", scopes=["jobs:read"]))
    assert (await (await io(auth={"api_key": key.key})).hear("connect", "connect_error"))[0] == "connect"

    for auth in ({"token": "Bearer nonsense"}, {}, {"token": 7}, {"token": "a", "api_key": "b"}, {"more": []}):
        name, message, data = await (await io(auth=auth)).hear("connect_error")

        assert (name, data["code"]) == ("connect_error", "UNAUTHENTICATED")
        assert message == data["message"]


async def test_other_pages_are_kept_out(served: Served, client: Client) -> None:
    """A browser that comes from another page gets 403, at polling and at the handshake, also with a stolen session id."""
    for origin in ("http://evil.example", "null", "http://127.0.0.1.evil.example"):
        for query in ("EIO=4&transport=polling", "EIO=4&transport=websocket", "EIO=4&transport=polling&sid=x"):
            answer = await client(None, Origin=origin).get(f"/socket.io/?{query}")

            assert answer.status_code == 403


async def test_the_cookie_opens_the_door_to_our_own_pages(served: Served) -> None:
    """A browser that is signed in needs no token; the cookie without a page of ours is 403."""
    value, _ = await served.appliance.sessions.sign_in_cookie(
        "owner@example.org", PASSWORD, address="127.0.0.1", agent="tests"
    )
    headers = {"Cookie": f"__Host-qstore={value}", "Origin": served.url}
    async with httpx.AsyncClient(base_url=served.url, headers=headers, trust_env=False) as page:
        opened = (await page.get("/socket.io/?EIO=4&transport=polling")).text
        address = f"/socket.io/?EIO=4&transport=polling&sid={json.loads(opened[1:])['sid']}"
        await page.post(address, content="40")

        assert re.match(r'40\{"sid":', (await page.get(address)).text)
        assert (await page.get(address, headers={"Origin": "http://evil.example"})).status_code == 403


# What is refused -------------------------------------------------------------------------------------------------


async def test_refusals_say_why(served: Served, io: Run, job: str) -> None:
    """Jobs of others, unknown channels and nonsense are answered with a code, by acknowledgement and as an event."""
    stranger = await io(auth={"token": served.token("stranger")})
    missing = await stranger.subscribe(channel="job.progress", job_id=job)
    unknown = await stranger.subscribe(channel="job.secrets", job_id=job)
    await stranger.emit("subscribe", "nonsense", ack=True)
    _, nonsense = await stranger.hear("ack")
    await stranger.emit("subscribe", {"channel": 7})
    _, event = await stranger.hear("error")
    await stranger.emit("nothing", {})
    await stranger.emit("ping", ack=True)

    assert (missing["error"]["code"], missing["job_id"]) == ("NOT_FOUND", job)
    assert unknown["error"]["code"] == nonsense["error"]["code"] == event["error"]["code"] == "VALIDATION_ERROR"
    assert await stranger.hear("ack") == ["ack", {"type": "pong"}]


async def test_authority_lost_ends_the_connection(served: Served, io: Run, job: str) -> None:
    """Signing out or revoking the key says so, and disconnects; the client does not come back by itself."""
    owner = await served.caller("owner")
    key = await served.appliance.accounts.create_key(owner, ApiKeyDraft(name="k", scopes=["jobs:read"]))
    signed_in, by_key = await io(auth={"token": served.token("developer")}), await io(POLLING, {"api_key": key.key})
    for client in (signed_in, by_key):
        await client.hear("connect")

    await served.appliance.sessions.sign_out(await served.caller("developer"))
    await served.appliance.accounts.revoke_key(owner, key.id)

    for client in (signed_in, by_key):
        _, said = await client.hear("error")
        assert said["error"]["code"] == "UNAUTHENTICATED"
        assert await client.hear("disconnect") == ["disconnect", "io server disconnect"]


async def raw(served: Served) -> Any:
    """A WebSocket that has said who it is, for what the real client would not say."""
    address = served.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    socket = await connect(address, proxy=None)
    await socket.recv()
    await socket.send("40" + json.dumps({"token": served.token("owner")}))
    assert str(await socket.recv()).startswith("40")
    return socket


async def ended(socket: Any) -> bool:
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionClosed):
            async for _ in socket:
                pass
    return True


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", "42" + "x" * 1_000_000, b"\x00" * 10],
    ids=["not UTF-8", "a megabyte", "binary"],
)
async def test_floods_and_giants_are_cut_off(served: Served, content: str | bytes) -> None:
    """What is no text, or too much of it, ends the connection and nothing else."""
    socket, other = await raw(served), await raw(served)
    with contextlib.suppress(ConnectionClosed):
        await socket.send(content, text=content == b"\xff\xfe")

    assert await ended(socket)
    await other.send('421["ping"]')
    assert json.loads(str(await other.recv())[3:]) == [{"type": "pong"}]
    await other.close()


async def test_more_than_fifty_messages_a_second(served: Served) -> None:
    """Who floods is disconnected."""
    socket = await raw(served)
    for number in range(120):
        with contextlib.suppress(ConnectionClosed):
            await socket.send(f'42{number}["ping"]')

    assert await ended(socket)


async def test_nonsense_in_the_protocol_harms_nobody(served: Served, client: Client) -> None:
    """Broken packets, forged events of ours and strange queries: answered or ignored, and the door stays open."""
    socket = await raw(served)
    for text in ("4", "42", "42{", '42["connect",{"sanic.request":1},{"token":"x"}]', "49[]", "42" + "[" * 5000):
        await socket.send(text)
    await socket.send('427["ping"]')
    answers = [str(await socket.recv())]
    while not answers[-1].startswith("437"):
        answers.append(str(await socket.recv()))
    await socket.close()

    stranger = client(None)
    for query in (
        "",
        "EIO=3&transport=polling",
        "EIO=4&transport=flash",
        "EIO=4&transport=polling&sid=%00",
        "EIO=4&j=x",
    ):
        assert (await stranger.get(f"/socket.io/?{query}")).status_code == 400
    answer = await stranger.get("/socket.io/?EIO=4&transport=polling")
    address = f"/socket.io/?EIO=4&transport=polling&sid={json.loads(answer.text[1:])['sid']}"
    assert (await stranger.post(address, content=b"\xff\xfe")).status_code == 400
    assert (await stranger.post(address, content=b"4" * 70_000)).status_code == 413


async def test_who_never_says_who_they_are_is_sent_away(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session without credentials ends by itself."""
    monkeypatch.setattr(socketio, "AUTH_SECONDS", 0.1)
    address = served.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"

    async with connect(address, proxy=None) as silent:
        assert await ended(silent)


# The server's end ------------------------------------------------------------------------------------------------


async def test_a_restart_in_the_middle_of_a_stream(
    served: Served, io: Run, job: str, settings: Any, house: Any
) -> None:
    """The server stops at once, whatever clients hold open; they come back by themselves and go on where they were."""
    options = {"reconnectionDelay": 50, "reconnectionDelayMax": 100}
    polling, websocket = await io(POLLING, **options), await io(WEBSOCKET, **options)
    for client in (polling, websocket):
        await client.hear("connect")
        await client.subscribe(channel="job.progress", job_id=job)
    await tell(served, job, range(1, 4))
    seen = [(await client.events("job.progress", 3))[-1][1]["seq"] for client in (polling, websocket)]

    async with asyncio.timeout(PATIENCE):
        await served.server.stop()
    async with serving(served.settings, house, port=served.settings.server.port) as again:
        await tell(again, job, range(4, 7))
        for client, last in zip((polling, websocket), seen, strict=True):
            await client.hear("connect")
            await client.subscribe(channel="job.progress", job_id=job, last_seq=last)
            assert [data["current_epoch"] for data, _ in await client.events("job.progress", 3)] == [4, 5, 6]
