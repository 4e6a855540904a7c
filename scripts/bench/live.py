#!/usr/bin/env python3
"""
What the WebSocket carries: one event to a thousand subscribers, memory of idle ones, a thousand events a second, readers
that have stalled.

Run it with the project's Python: `.venv/bin/python scripts/bench/live.py [--subscribers 1000] [--rounds 60]`. The server is
one process, the subscribers are another; both share the machine with whatever else runs on it, so the load is printed, and
what is compared (a bare Sanic, readers without stalled ones) is measured in the same run, in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).parents[2]))

PASSWORD = "correct horse battery staple"
ROUND_SECONDS = 0.2
#: Bars of the product: see docs/performance.md.
FAN_OUT_MS, REST_MS, IDLE_KB, STALLED = 50.0, 200.0, 45.0, 1.2


# The server, in a process of its own -------------------------------------------------------------------------------


async def serve(folder: Path) -> None:
    """Our server without slots; lines on standard input say what it publishes."""
    from qstore_appliance.api.app import create_app
    from qstore_appliance.api.server import Server, listen
    from qstore_appliance.appliance import Appliance
    from qstore_appliance.domain.events import JOB_PROGRESS, Event, JobProgress
    from qstore_appliance.settings import Limits, Settings
    from qstore_appliance.settings import Server as ServerSettings
    from tests.factories import make_job_row

    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    port = listener.getsockname()[1]
    listener.close()
    plenty = Limits(address=1_000_000, user=1_000_000)
    settings = Settings(data_dir=folder, limits=plenty, server=ServerSettings(port=port))
    app = create_app(settings, open_appliance=lambda settings: Appliance.open(settings, work=False))
    server = Server(app, settings)
    await server.start(listen(settings))
    appliance = app.ctx.appliance
    await appliance.accounts.create_owner("owner@example.org", PASSWORD, "Analytical Engines")
    signed_in = await appliance.sessions.sign_in("owner@example.org", PASSWORD, address="127.0.0.1", agent="bench")
    caller = await appliance.sessions.by_access_token(signed_in.access_token)
    jobs: dict[str, int] = {}

    async def publish(job: str, note: str) -> None:
        jobs[job] += 1
        # The moment travels in a field that clients read back; the clock is the machine's, the same in both processes.
        progress = JobProgress(
            job_id=job, status="running", current_epoch=jobs[job], total_epochs=10**6, current_loss=0.198, best_loss=0.1,
            eta_seconds=time.monotonic(), reason=note, model_id=None, timestamp=datetime.now(UTC),
        )  # fmt: skip
        event = Event(
            organization_id=caller.organization_id, channel=JOB_PROGRESS, subject=job, seq=jobs[job], data=progress
        )
        await appliance.events.publish(event)

    say(port=port, token=signed_in.access_token)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        if command["do"] == "job":
            job = str((await make_job_row(caller)).id)
            jobs[job] = 0
            say(job=job)
        elif command["do"] == "memory":
            say(kilobytes=resident())
        elif command["do"] == "stuck":
            say(readers=sum(guest.stuck_for() > 0 for guest in app.ctx.connections._guests))
        elif command["do"] == "publish":
            begin, cpu = time.monotonic(), time.process_time()
            for number in range(command["count"]):
                await asyncio.sleep(max(0.0, begin + number / command["rate"] - time.monotonic()))
                await publish(command["job"], command.get("note", ""))
            say(seconds=time.monotonic() - begin, cpu=time.process_time() - cpu)
    await server.stop()


async def serve_bare() -> None:
    """Sanic with nothing but a WebSocket."""
    from sanic import Request, Sanic
    from sanic.server.websockets.impl import WebsocketImplProtocol

    app = Sanic("bare", configure_logging=False)

    async def hold(request: Request, ws: WebsocketImplProtocol) -> None:
        async for _ in ws:
            pass

    app.add_websocket_route(hold, "/v1/ws")
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    listener.setblocking(False)
    server = await app.create_server(sock=listener, return_asyncio_server=True, access_log=False)
    assert server is not None
    await server.startup()
    await server.before_start()
    await server.start_serving()
    await server.after_start()
    say(port=listener.getsockname()[1], token="")
    while await asyncio.to_thread(sys.stdin.readline):
        say(kilobytes=resident())


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def resident() -> float:
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


# The subscribers ---------------------------------------------------------------------------------------------------


class Subscriber(asyncio.Protocol):
    """A WebSocket client that only notes when each event arrived."""

    def __init__(self, token: str, job: str | None) -> None:
        self.ready = asyncio.get_running_loop().create_future()
        self.bytes = 0
        self.epochs: list[int] = []
        self.delays: list[float] = []
        self._token, self._job = token, job
        self._buffer = b""
        self._upgraded = False
        self._heard: list[tuple[float, bytes]] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(
            b"GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        if self.ready.done():
            # Read later: whoever parses now delays what the others hear.
            self._heard.append((now, data))
            self.bytes += len(data)
            if data[0] == 0x89:
                self._read()
            return
        self._buffer += data
        if not self._upgraded:
            head, found, self._buffer = self._buffer.partition(b"\r\n\r\n")
            if not found:
                self._buffer = head
                return
            self._upgraded = True
            if not self._token:
                self.ready.set_result(None)
            else:
                self.say({"type": "auth", "token": self._token})
        while (frame := self._frame()) is not None:
            self._hear(json.loads(frame), now)

    def _read(self) -> None:
        heard, self._heard = self._heard, []
        for now, data in heard:
            self._buffer += data
            while (frame := self._frame()) is not None:
                self._hear(json.loads(frame), now)

    def events(self) -> list[int]:
        """The events so far, by number."""
        self._read()
        return self.epochs

    def _frame(self) -> bytes | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        opcode, size, start = buffer[0] & 15, buffer[1], 2
        if size == 126:
            size, start = int.from_bytes(buffer[2:4]), 4
        elif size == 127:
            size, start = int.from_bytes(buffer[2:10]), 10
        if len(buffer) < start + size:
            return None
        self._buffer = buffer[start + size :]
        if opcode == 9:
            self.transport.write(struct.pack(">BBI", 0x8A, 0x80 | size, 0) + buffer[start : start + size])
        return buffer[start : start + size] if opcode == 1 else b"{}"

    def _hear(self, frame: dict[str, Any], now: float) -> None:
        kind = frame.get("type")
        if kind == "authenticated":
            if self._job is None:
                self.ready.set_result(None)
            else:
                self.say({"type": "subscribe", "channel": "job.progress", "job_id": self._job})
        elif kind == "subscribed":
            self.ready.set_result(None)
        elif kind in ("event", "events"):
            for event in frame.get("events", [frame]):
                self.epochs.append(event["data"]["current_epoch"])
                self.delays.append(1000 * (now - event["data"]["eta_seconds"]))
        elif kind in ("error", "reset"):
            raise SystemExit(f"unexpected: {frame}")

    def say(self, frame: dict[str, Any]) -> None:
        text = json.dumps(frame).encode()
        # Masked with zeros: a client has to mask, and the bytes may stay as they are.
        size = struct.pack(">BBH", 0x81, 0x80 | 126, len(text))
        self.transport.write(size + b"\0\0\0\0" + text)


class Process:
    """A server, asked through its pipes."""

    def __init__(self, process: asyncio.subprocess.Process, hello: dict[str, Any]) -> None:
        self.process, self.port, self.token = process, hello["port"], hello["token"]

    async def ask(self, **command: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        return await self.hear()

    async def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        while True:
            line = await self.process.stdout.readline()
            if not line:
                raise SystemExit("the server has ended")
            if line.startswith(b"{"):
                return json.loads(line)

    async def job(self) -> str:
        return (await self.ask(do="job"))["job"]

    async def subscribers(self, count: int, job: str | None, *, small: bool = False) -> list[Subscriber]:
        """Args: small: with a receive buffer of 4 KB."""
        found: list[Subscriber] = []
        loop = asyncio.get_running_loop()
        for number in range(count):
            own = socket.socket()
            own.setblocking(False)
            if small:
                own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await loop.sock_connect(own, ("127.0.0.1", self.port))
            _, made = await loop.create_connection(lambda: Subscriber(self.token, job), sock=own)
            found.append(made)
            if number % 50 == 49:
                await asyncio.gather(*(subscriber.ready for subscriber in found[-50:]))
        await asyncio.gather(*(subscriber.ready for subscriber in found))
        return found


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, *arguments, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    hello = Process(process, {"port": 0, "token": ""})
    try:
        yield Process(process, await hello.hear())
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()
            await process.wait()


# What is measured --------------------------------------------------------------------------------------------------


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def verdict(name: str, value: float, bar: float, unit: str) -> None:
    print(f"{name}: {value:.3g} {unit} ({'within' if value <= bar else 'ABOVE'} the bar of {bar:g} {unit})")


async def idle(process: Process, count: int, job: str | None) -> tuple[float, list[Subscriber]]:
    """Kilobytes of the server's memory for each connection that only listens."""
    warm = await process.subscribers(50, job)
    await asyncio.sleep(0.5)
    before = (await process.ask(do="memory"))["kilobytes"]
    made = await process.subscribers(count, job)
    await asyncio.sleep(1.0)
    after = (await process.ask(do="memory"))["kilobytes"]
    for subscriber in warm:
        subscriber.transport.close()
    return (after - before) / count, made


async def rest(process: Process, seconds: float) -> list[float]:
    """Milliseconds of reads, one after the other, from a connection that stays."""
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    ask = f"GET /v1/users/me HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {process.token}\r\n\r\n".encode()
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.monotonic()
        writer.write(ask)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(head.decode())
        size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(size)
        times.append(1000 * (time.monotonic() - begin))
        await asyncio.sleep(0.02)
    writer.close()
    return times


async def fan_out(process: Process, subscribers: list[Subscriber], job: str, rounds: int) -> None:
    reading = asyncio.create_task(rest(process, rounds * ROUND_SECONDS))
    told = await process.ask(do="publish", job=job, count=rounds, rate=1 / ROUND_SECONDS)
    times = await reading
    await settled(subscribers)
    delays = [delay for subscriber in subscribers for delay in subscriber.delays]
    worst = [quantile([s.delays[number] for s in subscribers], 0.99) for number in range(rounds)]
    print(
        f"one event to {len(subscribers)} subscribers, {rounds} times: p50 {quantile(delays, 0.5):.1f} ms, "
        f"p99 {quantile(delays, 0.99):.1f} ms, max {max(delays):.1f} ms; p99 of a round: median "
        f"{statistics.median(worst):.1f} ms, best {min(worst):.1f} ms; {told['cpu'] / rounds * 1000:.1f} ms of CPU a round"
    )
    verdict("  p99 of all", quantile(delays, 0.99), FAN_OUT_MS, "ms")
    verdict(f"  REST p95 meanwhile (median {quantile(times, 0.5):.1f} ms)", quantile(times, 0.95), REST_MS, "ms")


async def settled(subscribers: list[Subscriber], seconds: float = 60) -> None:
    """Until everybody has heard everything, or nothing more comes."""
    end, before = time.monotonic() + seconds, -1
    while time.monotonic() < end and (now := sum(subscriber.bytes for subscriber in subscribers)) != before:
        before = now
        await asyncio.sleep(1.0)
    for subscriber in subscribers:
        subscriber.events()


async def flow(process: Process, count: int, events: int, rate: int) -> None:
    job = await process.job()
    subscribers = await process.subscribers(count, job)
    told = await process.ask(do="publish", job=job, count=events, rate=rate)
    await settled(subscribers)
    lost = sum(events - len(subscriber.epochs) for subscriber in subscribers)
    wrong = sum(subscriber.epochs != list(range(1, events + 1)) for subscriber in subscribers)
    delays = [delay for subscriber in subscribers for delay in subscriber.delays]
    print(
        f"{events / told['seconds']:.0f} events/s to {count} subscribers for {told['seconds']:.1f} s: {lost} lost, "
        f"{wrong} subscribers out of order; p50 {quantile(delays, 0.5):.0f} ms, p99 {quantile(delays, 0.99):.0f} ms; "
        f"{100 * told['cpu'] / told['seconds']:.0f} % of a core"
    )
    for subscriber in subscribers:
        subscriber.transport.close()


async def stalled(process: Process, turns: int, healthy: int = 50, stuck: int = 50) -> None:
    """Healthy readers alone and beside stalled ones, in turns: events of 4 KB, fifty a second."""
    alone: list[float] = []
    beside: list[float] = []
    grown: list[float] = []
    for turn in range(2 * turns):
        job = await process.job()
        readers = await process.subscribers(healthy, job)
        before = (await process.ask(do="memory"))["kilobytes"]
        sleepers: list[Subscriber] = []
        if turn % 2:
            sleepers = await process.subscribers(stuck, job, small=True)
            await stuff(process, sleepers)
        await process.ask(do="publish", job=job, count=400, rate=50, note="x" * 4000)
        await settled(readers)
        if any(reader.epochs != list(range(1, 401)) for reader in readers):
            raise SystemExit("a healthy reader lost events")
        (beside if turn % 2 else alone).append(quantile([d for reader in readers for d in reader.delays], 0.99))
        if sleepers:
            grown.append(((await process.ask(do="memory"))["kilobytes"] - before) / stuck)
        for subscriber in (*readers, *sleepers):
            subscriber.transport.abort()
    ratio = statistics.median(beside) / statistics.median(alone)
    print(
        f"{healthy} healthy readers, p99 alone {statistics.median(alone):.1f} ms ({shown(alone)}), beside {stuck} stalled "
        f"{statistics.median(beside):.1f} ms ({shown(beside)}); a stalled one takes {statistics.median(grown):.0f} KB"
    )
    verdict("  ratio", ratio, STALLED, "times")


async def stuff(process: Process, sleepers: list[Subscriber]) -> None:
    """Until the server itself has to wait for each: the kernel takes megabytes in its place, as if they were read."""
    full = await process.job()
    for sleeper in sleepers:
        sleeper.say({"type": "subscribe", "channel": "job.progress", "job_id": full})
    await asyncio.sleep(0.5)
    for sleeper in sleepers:
        sleeper.transport.pause_reading()
    for _ in range(20):
        await process.ask(do="publish", job=full, count=100, rate=200, note="x" * 16_000)
        if (await process.ask(do="stuck"))["readers"] >= len(sleepers):
            return
    raise SystemExit("the stalled readers have not stalled")


def shown(values: list[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


async def measure(subscribers: int, rounds: int, turns: int) -> None:
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    folder = Path(tempfile.mkdtemp())
    try:
        async with running("--serve-bare") as bare:
            kilobytes_bare, _ = await idle(bare, subscribers, None)
        async with running("--serve", str(folder / "data")) as process:
            job = await process.job()
            kilobytes, connected = await idle(process, subscribers, job)
            verdict(f"idle WebSocket, subscribed (bare Sanic: {kilobytes_bare:.1f} KB)", kilobytes, IDLE_KB, "KB")
            await fan_out(process, connected, job, rounds)
            for subscriber in connected:
                subscriber.transport.close()
            await flow(process, 100, 10_000, 1_000)
            await stalled(process, turns)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"load of the machine after: {os.getloadavg()[0]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--nice", type=int, default=0, help="below 0: before the machine's other programs (as root)")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--serve-bare", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    os.nice(asked.nice)
    if asked.serve is not None:
        uvloop.run(serve(asked.serve))
    elif asked.serve_bare:
        uvloop.run(serve_bare())
    else:
        uvloop.run(measure(asked.subscribers, asked.rounds, asked.turns))


if __name__ == "__main__":
    main()
