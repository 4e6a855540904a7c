#!/usr/bin/env python3
"""
What a hundred heavy GraphQL queries of one caller do to everybody else (A28): `GET /v1/circuits` of another organization
before and meanwhile.

Run it with the project's Python: `.venv/bin/python scripts/bench/queries.py [--rounds 3] [--queries 100]`. The queries come
from a process of their own. Figures of one call are comparable with each other; across machines only the ratio is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[2]))

from qstore_appliance.settings import Settings
from tests.acceptance.processes import Served, data
from tests.acceptance.test_latency import p95
from tests.api.conftest import furnish

#: As much as one query may ask for, of lists whose items point to others.
QUERY = """{
  a: circuits(limit: 100) { id name nQubits gateCount depth metadata createdAt updatedAt }
  b: jobs(limit: 100) { id status priority circuit { id name gateCount tags } createdAt }
  c: circuits(limit: 100) { id name circuitDefinition }
  d: jobs(limit: 100) { id status circuit { id circuitDefinition } }
  e: circuits(limit: 100) { id tags parameters }
}"""
LIMITS = {"QSTORE_LIMITS__USER": "10000000", "QSTORE_LIMITS__ADDRESS": "10000000", "QSTORE_JOBS__SLOTS": "0"}
ROWS = 100


def fill(client: httpx.Client) -> None:
    gates = [{"type": "RY", "targets": [k % 4], "parameters": {"theta": f"theta_{k}"}} for k in range(20)]
    for number in range(ROWS):
        body = {"name": f"circuit {number}", "n_qubits": 4, "gates": gates}
        circuit = data(client.post("/v1/circuits", json=body))["id"]
        config = {"epochs": 1, "dataset": {"type": "iris", "features": {"method": "pca", "count": 2}}}
        data(client.post("/v1/jobs", json={"circuit_id": circuit, "config": config}))


def load(address: str, token: str, queries: int, answers: multiprocessing.Queue[Counter[str]]) -> None:
    async def ask() -> Counter[str]:
        headers = {"Authorization": f"Bearer {token}"}
        limits = httpx.Limits(max_connections=queries)
        async with httpx.AsyncClient(
            base_url=address, headers=headers, timeout=60, limits=limits, trust_env=False
        ) as client:
            given = await asyncio.gather(*(client.post("/graphql", json={"query": QUERY}) for _ in range(queries)))
        found = [json.loads(answer.content) for answer in given]
        return Counter(one["errors"][0]["extensions"]["code"] if "errors" in one else "answered" for one in found)

    answers.put(asyncio.run(ask()))


def read_times(client: httpx.Client, go_on: Callable[[int], bool]) -> list[float]:
    """Milliseconds."""
    times: list[float] = []
    while go_on(len(times)):
        began = time.perf_counter()
        data(client.get("/v1/circuits"))
        times.append(1000 * (time.perf_counter() - began))
        time.sleep(0.01)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--queries", type=int, default=100)
    asked = parser.parse_args()
    spawned = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "data"
        tokens = asyncio.run(furnish(Settings(data_dir=directory)))
        served = Served(directory, **LIMITS)
        try:
            clients = [
                httpx.Client(
                    base_url=served.address,
                    headers={"Authorization": f"Bearer {tokens[role]}"},
                    timeout=60,
                    trust_env=False,
                )
                for role in ("owner", "stranger")
            ]
            fill(clients[0])
            alone = []
            for _ in range(5):
                began = time.perf_counter()
                assert "errors" not in clients[0].post("/graphql", json={"query": QUERY}).json()
                alone.append(1000 * (time.perf_counter() - began))
            print(f"one such query alone: median {statistics.median(alone):.0f} ms")
            answers: multiprocessing.Queue[Counter[str]] = spawned.Queue()
            for _ in range(asked.rounds):
                idle = read_times(clients[1], lambda done: done < 300)
                crowd = spawned.Process(
                    target=load, args=(served.address, str(tokens["owner"]), asked.queries, answers)
                )
                crowd.start()
                busy = read_times(clients[1], lambda _, crowd=crowd: crowd.is_alive() and answers.empty())
                got = answers.get(timeout=60)
                crowd.join()
                print(
                    f"others: median {statistics.median(idle):.1f} ms, p95 {p95(idle):.1f} ms; meanwhile"
                    f" {statistics.median(busy):.1f} and {p95(busy):.1f} ms (p95 × {p95(busy) / p95(idle):.2f});"
                    f" of {asked.queries}: {dict(got)}"
                )
        finally:
            served.stop()


if __name__ == "__main__":
    main()
