"""
A model in service under load whose replicas are killed at random: no answer is wrong, and none is lost.

The short tier takes some twenty seconds; `--long` goes on for ten minutes.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.acceptance.asking import Asked, Asking, Questions, ask
from tests.acceptance.processes import Served, data, serving
from tests.acceptance.rigs.house import LIMITS, WITNESS, until

SHORT_SECONDS, LONG_SECONDS = 15.0, 600.0
CONNECTIONS = 16
#: Between two kills, on average.
PAUSE_SECONDS = 1.0
CIRCUIT = {
    "name": "classifier",
    "n_qubits": 2,
    "gates": [
        {"type": "RY", "targets": [0], "parameters": {"theta": "x_0"}},
        {"type": "RY", "targets": [1], "parameters": {"theta": "x_1"}},
        {"type": "RY", "targets": [0], "parameters": {"theta": "theta_0"}},
        {"type": "CNOT", "targets": [0, 1]},
    ],
}


def trained(client: httpx.Client, seed: int = 11) -> str:
    """The id of a small model."""
    circuit_id = data(client.post("/v1/circuits", json=CIRCUIT))["id"]
    job = {"circuit_id": circuit_id, "config": {**WITNESS, "epochs": 1, "seed": seed}}
    job_id = data(client.post("/v1/jobs", json=job))["job_id"]

    def done() -> str | None:
        found = data(client.get(f"/v1/jobs/{job_id}"))
        assert found["status"] not in ("failed", "cancelled"), found["reason"]
        return found["model_id"] if found["status"] == "completed" else None

    return str(until(done))


def questions(server: Served, client: httpx.Client, model_id: str, seconds: float) -> Questions:
    path = f"/v1/models/{model_id}/predict"
    inputs = [row["input"] for row in data(client.get(f"/v1/models/{model_id}"))["inputs"]["examples"]]
    right = data(client.post(path, json={"inputs": inputs}))["predictions"]
    credential = str(client.headers["Authorization"]).removeprefix("Bearer ")
    expected = {model_id: [row["probabilities"] for row in right]}
    return Questions(server.port, path, credential, inputs, expected, CONNECTIONS, seconds)


class Killer:
    """Kills one of a deployment's replicas now and then, until it is told to stop."""

    def __init__(self, server: Served, deployment_id: str, seed: int) -> None:
        self.killed: list[int] = []
        #: Seconds until another process was ready after each kill.
        self.replaced: list[float] = []
        self._client = server.client()
        self._path = f"/v1/deployments/{deployment_id}"
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="killer")

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()

    def pids(self) -> set[int]:
        replicas = data(self._client.get(self._path))["replicas"]
        return {replica["pid"] for replica in replicas if replica["pid"] is not None}

    def _go_on(self) -> None:
        while not self._stop.wait(self._random.uniform(0, 2 * PAUSE_SECONDS)):
            present = sorted(self.pids())
            if not present:
                continue
            pid = self._random.choice(present)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self.killed.append(pid)
            began = time.monotonic()
            until(lambda known=set(present): self.pids() - known, seconds=60)  # type: ignore[misc]
            self.replaced.append(time.monotonic() - began)


def tell(name: str, found: Asked, more: str = "") -> None:
    print(
        f"{name}: {found.statuses[200]} answers in {found.seconds:.0f} s ({found.rate:.0f}/s), p50"
        f" {found.percentile(0.5):.1f} ms, p99 {found.percentile(0.99):.1f} ms, wrong {found.wrong}, lost {found.lost}{more}"
    )


@pytest.mark.parametrize(
    "seconds",
    [SHORT_SECONDS, pytest.param(LONG_SECONDS, marks=[pytest.mark.long, pytest.mark.timeout(1_200)])],
    ids=["short", "long"],
)
def test_replicas_killed_under_load(tmp_path: Path, seconds: float) -> None:
    """Every question has its right answer, however many replicas die meanwhile, and they are all replaced."""
    with serving(tmp_path / "data", **LIMITS, QSTORE_PREDICTIONS__REPLICAS="2") as server, server.client() as client:
        model_id = trained(client)
        deployment = data(client.post(f"/v1/models/{model_id}/deploy", json={"replicas": 2}))["deployment_id"]
        until(lambda: data(client.get(f"/v1/deployments/{deployment}"))["status"] == "deployed")
        asked = questions(server, client, model_id, seconds)
        load = Asking(asked)
        with Killer(server, deployment, seed=7) as killer:
            found = load.ended()
        metrics = data(client.get(f"/v1/models/{model_id}/metrics?window=1d"))

    slowest = max(killer.replaced, default=0.0)
    tell("killed", found, f"; {len(killer.killed)} kills, another replica within {slowest:.2f} s")
    assert len(killer.killed) >= 3
    assert found.statuses == {200: sum(found.statuses.values())}, found.examples
    assert (found.wrong, found.lost) == (0, 0)
    assert metrics["requests"] == found.statuses[200] + 1
    assert metrics["error_rate"] == 0


def test_the_load_notices_wrong_answers(tmp_path: Path) -> None:
    """Held against another model's answers, the same load counts every one as wrong: its zero means something."""
    with serving(tmp_path / "data", **LIMITS) as server, server.client() as client:
        model_id = trained(client)
        data(client.post(f"/v1/models/{model_id}/deploy", json={}))
        asked = questions(server, client, model_id, 1.0)
        flipped = {model_id: [row[::-1] for row in asked.expected[model_id]]}
        found = ask(Questions(**{**vars(asked), "expected": flipped}))

    assert found.statuses[200] > 0
    assert found.wrong == found.statuses[200]


def test_versions_change_under_load(tmp_path: Path) -> None:
    """A canary, a version that takes over, and the way back: no request fails, and each answer is its version's own."""
    with serving(tmp_path / "data", **LIMITS, QSTORE_PREDICTIONS__REPLICAS="2") as server, server.client() as client:
        first, second = trained(client, seed=1), trained(client, seed=2)
        deployed = [data(client.post(f"/v1/models/{model_id}/deploy", json={})) for model_id in (first, second)]
        path = f"/v1/deployments/{deployed[0]['deployment_id']}"
        asked = questions(server, client, first, 12.0)
        theirs = data(client.post(f"/v1/models/{second}/predict", json={"inputs": asked.inputs}))["predictions"]
        expected = {**asked.expected, second: [row["probabilities"] for row in theirs]}
        load = Asking(Questions(**{**vars(asked), "expected": expected}))
        seen = []
        for changes in ({"canary": {"model_id": second, "share": 0.2}}, {"model_id": second}):
            time.sleep(2)
            seen.append(data(client.patch(path, json=changes))["serves"])
        for _ in range(2):
            time.sleep(2)
            seen.append(data(client.post(f"{path}/rollback"))["serves"])
        found = load.ended()

    tell(
        "rolled", found, f"; {found.answered_by[first]} by the first version, {found.answered_by[second]} by the second"
    )
    # The version that takes over was the canary, which ends with that.
    assert seen == [first, second, first, second]
    assert found.statuses == {200: sum(found.statuses.values())}, found.examples
    assert (found.wrong, found.lost) == (0, 0)
    assert min(found.answered_by[first], found.answered_by[second]) > 0
