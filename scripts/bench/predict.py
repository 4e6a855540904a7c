#!/usr/bin/env python3
"""
What a deployed model answers over HTTP: an 8-qubit, 4-layer classifier of digits, asked one input at a time.

Run it with the project's Python: `.venv/bin/python scripts/bench/predict.py [--seconds 5] [--replicas 1]`. The load comes
from a process of its own on the same machine, and every answer is compared with the model's own at rest. Figures of one
call are comparable with each other; `bare` is a Sanic that answers the same number of bytes to the same load, so that
`× bare` can be compared across machines.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.acceptance.asking import Asked, Questions, ask
from tests.acceptance.processes import Served, data, descendants, environment, free_port, serving
from tests.work.bench import ansatz

CONNECTIONS = 64
PER_SECOND = 1_000.0
BATCH = 1_000
UNLIMITED = {"QSTORE_LIMITS__USER": "100000000", "QSTORE_LIMITS__KEY": "100000000"}
BARE = """
import sys
from sanic import Sanic
from sanic.response import raw

app = Sanic("bare", configure_logging=False)

@app.post("/")
async def answer(request):
    return raw(sys.argv[2].encode(), content_type="application/json")

if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), single_process=True, motd=False, access_log=False)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--replicas", type=int, default=1)
    asked = parser.parse_args()
    more = {**UNLIMITED, "QSTORE_PREDICTIONS__REPLICAS": str(asked.replicas)}
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "data", **more) as server:
        with server.client() as client:
            measure(server, client, asked.seconds, asked.replicas)


def measure(server: Served, client: httpx.Client, seconds: float, replicas: int) -> None:
    model_id = trained(client)
    example = data(client.get(f"/v1/models/{model_id}"))["inputs"]["examples"]
    inputs = [row["input"] for row in example]
    path = f"/v1/models/{model_id}/predict"
    began = time.perf_counter()
    data(client.post(f"/v1/models/{model_id}/deploy", json={"replicas": replicas}))
    first = data(client.post(path, json={"inputs": inputs}))
    print(f"deploy to first answer: {time.perf_counter() - began:.2f} s")
    right = {model_id: [row["probabilities"] for row in first["predictions"]]}
    credential = data(client.post("/v1/api-keys", json={"name": "load", "scopes": ["models:predict"]}))["key"]

    def load(per_second: float | None, name: str, connections: int = CONNECTIONS) -> Asked:
        questions = Questions(server.port, path, credential, inputs, right, connections, seconds, per_second=per_second)
        before = cpu_of({server.process.pid}), cpu_of(descendants(server.process.pid))
        found = ask(questions)
        after = cpu_of({server.process.pid}), cpu_of(descendants(server.process.pid))
        tell(name, found)
        ours, theirs = (1e6 * (b - a) / max(1, found.statuses[200]) for a, b in zip(before, after, strict=True))
        print(f"  processor time of an answer: server {ours:.0f} us, replicas {theirs:.0f} us")
        return found

    settle(server.process.pid)
    load(None, "one connection", 1)
    closed = load(None, f"closed loop, {CONNECTIONS} connections")
    load(PER_SECOND, f"open loop, {PER_SECOND:g} a second", 256)
    batch = (inputs * (BATCH // len(inputs) + 1))[:BATCH]
    times = []
    for _ in range(15):
        began = time.perf_counter()
        data(client.post(path, json={"inputs": batch}))
        times.append(1e3 * (time.perf_counter() - began))
    print(f"batch of {BATCH}: median {statistics.median(times):.1f} ms, best {min(times):.1f} ms")
    rate = bare(first, seconds, inputs)
    print(f"bare Sanic, same load: {rate:.0f}/s; closed loop is × {closed.rate / rate:.2f} of it")


def trained(client: httpx.Client) -> str:
    draft = {"name": "digits", "n_qubits": 8, "gates": ansatz(8, layers=4)}
    circuit_id = data(client.post("/v1/circuits", json=draft))["id"]
    dataset = {"type": "digits", "features": {"method": "pca", "count": 8}}
    job = {"circuit_id": circuit_id, "config": {"epochs": 1, "seed": 1, "dataset": dataset}}
    job_id = data(client.post("/v1/jobs", json=job))["job_id"]
    while (found := data(client.get(f"/v1/jobs/{job_id}")))["status"] not in ("completed", "failed"):
        time.sleep(0.2)
    if found["status"] == "failed":
        raise SystemExit(f"the job failed: {found['reason']}")
    return str(found["model_id"])


def bare(answer: dict[str, Any], seconds: float, inputs: list[list[float]]) -> float:
    """Answers in a second of a server that does nothing."""
    port = free_port()
    one = {"data": {**answer, "predictions": answer["predictions"][:1]}}
    words = [sys.executable, "-P", "-c", BARE, str(port), json.dumps(one)]
    process = subprocess.Popen(words, env=environment(), stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                httpx.post(f"http://127.0.0.1:{port}/", json={}, trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        alike = [answer["predictions"][0]["probabilities"]] * len(inputs)
        model = answer.get("model_id") or "model"
        return ask(Questions(port, "/", "-", inputs, {model: alike}, CONNECTIONS, seconds)).rate
    finally:
        process.kill()
        process.wait()


def settle(pid: int) -> None:
    """Until the server's own warming-up is over: it loads the rest of the engine and tries every backend."""
    for _ in range(60):
        before = cpu_of(descendants(pid) | {pid})
        time.sleep(1)
        if cpu_of(descendants(pid) | {pid}) - before < 0.05:
            return


def cpu_of(pids: set[int]) -> float:
    """Seconds of processor time that these processes have used."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def tell(name: str, found: Asked) -> None:
    others = {status: n for status, n in found.statuses.items() if status != 200}
    print(
        f"{name}: {found.rate:.0f}/s, p50 {found.percentile(0.5):.1f} ms, p99 {found.percentile(0.99):.1f} ms"
        f"{f', other statuses {others}' if others else ''}, wrong {found.wrong}, lost {found.lost}"
    )
    for text in found.examples[:1]:
        print(f"  {text}")


if __name__ == "__main__":
    main()
