"""Requests whose answers are lost, refused for now or never come."""

from __future__ import annotations

import json
import time

import pytest
from qstore_client import ConnectionFailed, errors

from tests.acceptance.processes import free_port
from tests.clients.python.conftest import CONFIG, Laboratory, gates
from tests.clients.python.cutting import Cutter

pytestmark = pytest.mark.xdist_group("python-client")


def refusal(status: int, code: str, *headers: str) -> bytes:
    body = json.dumps(
        {"success": False, "data": None, "meta": {}, "error": {"code": code, "message": "", "details": {}}}
    )
    head = [f"HTTP/1.1 {status} No", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


async def test_an_answer_that_is_lost(laboratory: Laboratory) -> None:
    """The request is sent again with its key, and what was done is done once: one job, one data set."""
    async with Cutter(laboratory.served.port) as cutter, laboratory.client(base_url=cutter.address) as client:
        circuit = await client.circuits.create(name="once", n_qubits=4, gates=gates(), metadata={"tags": ["once"]})
        before = (await client.jobs.list()).total, (await client.datasets.list()).total
        cutter.mute = 1
        job = await client.jobs.submit(circuit_id=circuit.id, config=CONFIG)
        cutter.mute = 1
        dataset = await client.datasets.upload(b"a,b\n1,x\n2,y\n3,x\n", filename="once.csv")
        cutter.mute = 1
        await client.circuits.create(name="once", n_qubits=4, gates=gates(), metadata={"tags": ["once"]})

        assert (await client.jobs.list()).total == before[0] + 1
        assert (await client.datasets.list()).total == before[1] + 1
        assert (await client.circuits.list(tags=["once"])).total == 2
        assert (await client.datasets.get(dataset.id)).n_samples == 3
        await client.jobs.wait(job.id)


async def test_a_key_of_ones_own(laboratory: Laboratory) -> None:
    """A program that starts over with its own key gets the first answer; with another body it is refused."""
    async with laboratory.client() as client:
        first = await client.circuits.create(name="a", n_qubits=4, gates=gates(), idempotency_key="run-7")
        again = await client.circuits.create(name="a", n_qubits=4, gates=gates(), idempotency_key="run-7")
        with pytest.raises(errors.Conflict):
            await client.circuits.create(name="b", n_qubits=4, gates=gates(), idempotency_key="run-7")

    assert again.id == first.id


async def test_busy_servers_and_empty_buckets(laboratory: Laboratory) -> None:
    """503 and 429 are waited out as Retry-After asks, also those of a proxy; a long wait is an error at once."""
    async with Cutter(laboratory.served.port) as cutter, laboratory.client(base_url=cutter.address) as client:
        cutter.instead.append(refusal(429, "RATE_LIMITED", "Retry-After: 1"))
        cutter.instead.append(refusal(503, "UNAVAILABLE"))
        cutter.instead.append(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\nsorry")
        began = time.monotonic()
        assert (await client.probes.ready()).status == "ready"
        assert time.monotonic() - began >= 1

        cutter.instead.append(refusal(429, "RATE_LIMITED", "Retry-After: 3600"))
        with pytest.raises(errors.RateLimited) as refused:
            await client.circuits.list()
        assert (refused.value.retry_after, refused.value.status) == (3600, 429)


async def test_a_bucket_of_the_real_server(laboratory: Laboratory) -> None:
    """A key that has used its bucket up is told when to come back."""
    with laboratory.owner() as owner:
        key = owner.api_keys.create("small", ["jobs:read"], rate_limit=2)
    async with laboratory.client(api_key=key.key, longest_wait=0.5) as small:
        assert len([await small.jobs.list() for _ in range(2)]) == 2
        with pytest.raises(errors.RateLimited) as refused:
            await small.jobs.list()
    assert refused.value.retry_after


async def test_nobody_there(laboratory: Laboratory) -> None:
    """Without a server a request gives up after its retries, and names the address; so does signing in."""
    address = f"http://127.0.0.1:{free_port()}"
    async with laboratory.client(base_url=address, retries=1) as client:
        with pytest.raises(ConnectionFailed, match=address):
            await client.circuits.list()
    async with laboratory.client(base_url=address, api_key=None, email="a@b.c", password="x", retries=0) as client:
        with pytest.raises(ConnectionFailed, match="/v1/auth/token"):
            await client.circuits.list()


async def test_something_else_is_there(laboratory: Laboratory) -> None:
    """What is no Q-Store server is told, not guessed at."""
    async with Cutter(laboratory.served.port) as cutter, laboratory.client(base_url=cutter.address) as client:
        cutter.instead.append(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        with pytest.raises(errors.UnexpectedAnswer):
            await client.circuits.list()
        cutter.instead.append(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello")
        with pytest.raises(errors.APIError, match="no Q-Store server"):
            await client.circuits.list()
