"""
`qstore serve` trains at a provider on this machine that counts what it is sent: whatever is killed, nothing is sent or
paid for twice, and what is paid is what the provider says.
"""

from __future__ import annotations

import json
import math
import os
import random
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.processes import Served, alive, data, listening
from tests.plugins import fake_ionq as wrong
from tests.plugins.fake_ionq import FakeIonQ

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="not on this operating system: needs /proc"),
    pytest.mark.xdist_group("remote_jobs"),
]

EPOCHS = 3
#: Per epoch a batch, its shifts and the validation part; at the end ten samples alone, and the others.
JOBS = 3 * EPOCHS + 11
GATES = [
    {"type": "RY", "targets": [0], "parameters": {"theta": "x_0"}},
    {"type": "RY", "targets": [1], "parameters": {"theta": "x_1"}},
    {"type": "RY", "targets": [0], "parameters": {"theta": "theta_0"}},
    {"type": "RX", "targets": [1], "parameters": {"theta": "theta_1"}},
    {"type": "CNOT", "targets": [0, 1]},
]
#: Of a model, what the clock has a share in.
TIMED = {"inference_time_ms"}


class Lab:
    """A provider, a data directory, and the server on it; after `restart` another one."""

    def __init__(self, folder: Path) -> None:
        self.fake = FakeIonQ()
        self.fake.simulates = True
        self.folder = folder
        folder.mkdir()
        (folder / "qstore.toml").write_text(
            f'[backends.ionq_simulator]\napi_key = "a-key"\nbase_url = "{self.fake.url}"\n'
            "poll_interval = 0.05\nretry_pause = 0.02\ncall_timeout = 1\nconnect_timeout = 1\n"
        )
        (folder / "qstore.toml").chmod(0o600)
        self.served = Served(folder)
        self.client = self.served.client()
        circuit = {"name": "two", "n_qubits": 2, "gates": GATES}
        self.circuit = str(data(self.client.post("/v1/circuits", json=circuit))["id"])

    def close(self) -> None:
        self.client.close()
        self.served.stop()
        self.fake.close()

    def restart(self, number: signal.Signals) -> None:
        """End the server by a signal, and start another one in its place."""
        self.served.stop(number)
        self.client.close()
        self.served = Served(self.folder)
        self.client = self.served.client()

    def submit(self, **more: Any) -> str:
        features = {"method": "pca", "count": 2}
        dataset = {"type": "iris", "train_size": 8, "val_size": 4, "features": features}
        config = {"backend": "ionq_simulator", "epochs": EPOCHS, "batch_size": 8, "learning_rate": 0.2, "seed": 3}
        body = {"circuit_id": self.circuit, "config": {**config, "dataset": dataset, **more}}
        return str(data(self.client.post("/v1/jobs", json=body, timeout=90))["job_id"])

    def job(self, id: str) -> dict[str, Any]:
        return dict(data(self.client.get(f"/v1/jobs/{id}")))

    def ended(self, id: str, seconds: float = 120) -> dict[str, Any]:
        job: dict[str, Any] = {}
        until(lambda: job.update(self.job(id)) or job["status"] in {"completed", "failed", "cancelled"}, seconds)
        return job

    def lines(self, id: str) -> list[str]:
        return [line["message"] for line in data(self.client.get(f"/v1/jobs/{id}/logs"))["logs"]]

    def trained(self, id: str) -> dict[str, Any]:
        """What a completed job has learned, without what its clock said."""
        job = self.ended(id)
        assert job["status"] == "completed", (job, self.lines(id))
        model = data(self.client.get(f"/v1/models/{job['model_id']}"))
        metrics = {key: value for key, value in model["metrics"].items() if key not in TIMED}
        return {"losses": job["metrics"]["loss_history"], "parameters": model["parameters"], "metrics": metrics}

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(f"file:{self.folder / 'qstore.sqlite3'}?mode=ro", uri=True)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def kill_child(self) -> None:
        """SIGKILL for the process that trains, once there is one."""
        until(lambda: bool(alive(self._children()[-1:])))
        os.kill(self._children()[-1], signal.SIGKILL)

    def _children(self) -> list[int]:
        lines = [line for line in self.served.log.read_text().splitlines() if "training.child_started" in line]
        return [int(json.loads(line)["pid"]) for line in lines]

    def nothing_twice(self, id: str, jobs: int) -> None:
        """The provider took each of the job's submissions once, and the job has a row for each of them."""
        tokens = self.fake.tokens()
        kept = dict(self.rows("SELECT 'qstore-' || token, key FROM remote_jobs WHERE job_id = ?", id))
        assert {tokens[name] for name in kept} == {1}
        assert len(kept) == len(set(kept.values())) == jobs, kept


def until(fact: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("remote") / "data")
    yield lab
    lab.close()


@pytest.fixture
def lab(shared: Lab) -> Lab:
    """The laboratory with a provider that is in order again."""
    shared.fake.seconds = 0.0
    shared.fake.charge = lambda number: 0.0
    shared.fake.plans.clear()
    return shared


@pytest.fixture(scope="module")
def unbroken(shared: Lab) -> dict[str, Any]:
    """What the job learns when nothing happens."""
    before = len(shared.fake.jobs)
    id = shared.submit()
    found = shared.trained(id)
    assert len(shared.fake.jobs) - before == JOBS
    assert found["losses"][-1] < found["losses"][0]
    return found


def broken(lab: Lab, kills: list[tuple[int, str]], random: random.Random) -> str:
    """
    A job during which something is killed a moment after the provider has taken its n-th submission.

    Args:
        kills: Pairs of that number and `child`, `server` or `order` (a server that is told to stop).
    """
    lab.fake.seconds = 0.15
    before = len(lab.fake.jobs)
    id = lab.submit()
    for number, what in kills:
        until(lambda number=number: len(lab.fake.jobs) - before >= number)  # type: ignore[misc]
        time.sleep(random.uniform(0.0, 0.2))
        if what == "child":
            lab.kill_child()
        else:
            lab.restart(signal.SIGKILL if what == "server" else signal.SIGTERM)
    return id


def test_nothing_is_sent_twice_whatever_is_killed(lab: Lab, unbroken: dict[str, Any]) -> None:
    """Ten kills of child and server, at whatever moment: each submission once, and bit for bit the same model."""
    # Three deaths of a child without an epoch in between would end the job.
    kills = [(1, "child"), (2, "child"), (3, "server"), (4, "child"), (6, "child"), (7, "order"), (8, "child"),
             (10, "child"), (13, "server"), (17, "child")]  # fmt: skip
    before = len(lab.fake.jobs)

    id = broken(lab, kills, random.Random(1))

    assert lab.trained(id) == unbroken
    assert len(lab.fake.jobs) - before == JOBS
    lab.nothing_twice(id, JOBS)
    assert lab.fake.count("PUT") == 0


@pytest.mark.long
@pytest.mark.parametrize("seed", range(8))
def test_nothing_is_sent_twice_over_many_kills(lab: Lab, unbroken: dict[str, Any], seed: int) -> None:
    """Drawn moments and drawn victims."""
    source = random.Random(seed)
    numbers = sorted(source.sample(range(1, JOBS), 12))
    deaths: dict[int, int] = {}
    kills = []
    for number in numbers:
        epoch = min((number - 1) // 3, EPOCHS)
        what = source.choice(["child", "child", "server", "order"])
        deaths[epoch] = deaths.get(epoch, 0) + (what == "child")
        kills.append((number, what if deaths[epoch] <= 1 else "server"))
    before = len(lab.fake.jobs)

    id = broken(lab, kills, source)

    assert lab.trained(id) == unbroken
    assert len(lab.fake.jobs) - before == JOBS
    lab.nothing_twice(id, JOBS)


@pytest.mark.parametrize("victim", ["child", "server"])
def test_a_job_whose_answer_was_lost_with_its_process(lab: Lab, unbroken: dict[str, Any], victim: str) -> None:
    """Killed between the provider's taking a job and its answer: the job is found by our token, and gone on with."""
    release = threading.Event()
    before = len(lab.fake.jobs)
    lab.fake.plan("POST /jobs", wrong.held(release))
    id = lab.submit()
    until(lambda: len(lab.fake.jobs) > before)
    first = list(lab.fake.jobs)[before]
    assert lab.rows("SELECT status, external_id FROM remote_jobs WHERE job_id = ?", id) == [("noted", None)]

    if victim == "child":
        lab.kill_child()
    else:
        lab.restart(signal.SIGKILL)
    release.set()

    assert lab.trained(id) == unbroken
    lab.nothing_twice(id, JOBS)
    assert any(first in line for line in lab.lines(id))


def test_a_server_that_stops_in_order_leaves_the_providers_job_alone(lab: Lab, unbroken: dict[str, Any]) -> None:
    """The job waits for the next server while the provider works at it, and that server asks for the same id."""
    lab.fake.seconds = 3.0
    before = len(lab.fake.jobs)
    canceled = lab.fake.count("PUT")
    id = lab.submit()
    until(lambda: lab.rows("SELECT 1 FROM remote_jobs WHERE job_id = ? AND status = 'submitted'", id))
    external = list(lab.fake.jobs)[before]

    lab.restart(signal.SIGTERM)
    lab.fake.seconds = 0.0
    asked = len(lab.fake.asked)

    assert lab.trained(id) == unbroken
    assert f"GET /jobs/{external}" in lab.fake.asked[asked:]
    assert lab.fake.count("PUT") == canceled
    lab.nothing_twice(id, JOBS)


def test_the_providers_amounts_are_the_jobs_cost(lab: Lab) -> None:
    """
    Job and ledger, epoch by epoch, have what the provider charged, each amount rounded up to a micro-dollar, asked for
    once each.
    """
    first = len(lab.fake.jobs)
    lab.fake.charge = lambda number: 0.0123454 + (number - first) * 0.001
    asked = lab.fake.count_of("/cost")
    id = lab.submit()

    job = lab.ended(id)

    amounts = [Decimal(str(lab.fake.charge(first + number))) for number in range(JOBS)]
    expected = sum(math.ceil(amount * 1_000_000) for amount in amounts)
    ledger = lab.rows("SELECT amount, event_type FROM cost_events WHERE job_id = ?", id)
    assert job["status"] == "completed"
    assert sum(amount for amount, _ in ledger) == expected
    assert {kind for _, kind in ledger} == {"training"}
    assert len(ledger) > 1
    assert round(job["cost_so_far"] * 1_000_000) == expected
    assert lab.fake.count_of("/cost") - asked == JOBS


def test_a_provider_that_does_not_say(lab: Lab) -> None:
    """Where no amount is known the price list counts, here nothing, and the log says so once."""
    lab.fake.charge = lambda number: None
    id = lab.submit()

    job = lab.ended(id)

    assert (job["status"], job["cost_so_far"]) == ("completed", 0)
    assert sum("does not say what its provider charged" in line for line in lab.lines(id)) == 1


def status_of(lab: Lab) -> tuple[str, str | None]:
    rows = data(lab.client.get("/v1/backends"))
    return next((row["status"], row["reason"]) for row in rows if row["name"] == "ionq_simulator")


def test_a_provider_that_fails_is_shown_as_degraded(lab: Lab) -> None:
    """
    Five failures in a row: the job fails with its code, who listens hears it, the list says why; once jobs run there again,
    it is well.
    """
    # A first probe that meets a failing provider would find the backend unavailable, and no job would be accepted.
    until(lambda: status_of(lab)[0] == "available", 60)
    lab.fake.plan("POST /jobs", *[wrong.status(500)] * 50)
    lab.fake.plan("GET /jobs", *[wrong.status(500)] * 50)
    subscription = {"channel": "backend.status", "backend_id": "backend_ionq_simulator_001"}
    with listening(lab.client, **subscription) as hear:
        job = lab.ended(lab.submit())
        told = hear()
        while told["status"] != "degraded":
            # The first probe, or a window that just ended.
            told = hear()

    assert (job["status"], job["error_code"]) == ("failed", "BACKEND_UNAVAILABLE")
    until(lambda: status_of(lab)[0] == "degraded", 5)
    assert "5 times in a row" in str(status_of(lab)[1])
    assert lab.fake.count("POST") > 0

    lab.fake.plans.clear()

    assert lab.ended(lab.submit())["status"] == "completed"
    until(lambda: status_of(lab) == ("available", None), 5)


def test_a_key_that_is_refused(lab: Lab) -> None:
    """401 is asked for once, and the job says so."""
    posts = lab.fake.count("POST")
    lab.fake.plan("POST /jobs", wrong.status(401))

    job = lab.ended(lab.submit())

    assert (job["status"], job["error_code"]) == ("failed", "BACKEND_UNAVAILABLE")
    assert "API key" in job["reason"]
    assert lab.fake.count("POST") - posts == 1


@pytest.mark.parametrize("when", ["polling", "pausing"])
def test_a_cancelled_job_is_cancelled_at_the_provider(lab: Lab, when: str) -> None:
    """While it waits for the provider, or for its turn to ask again: the answer comes soon, and nothing goes on there."""
    lab.fake.seconds = 600.0
    before = len(lab.fake.jobs)
    id = lab.submit()
    until(lambda: len(lab.fake.jobs) > before)
    if when == "pausing":
        lab.fake.plan("GET /jobs", *[wrong.status(429, Retry_After="25")] * 3)
        asked = len(lab.fake.asked)
        until(lambda: len(lab.fake.asked) > asked + 1)

    answer = data(lab.client.post(f"/v1/jobs/{id}/cancel"))

    assert answer["status"] == "cancelled"
    remote = list(lab.fake.jobs.values())[before]
    until(lambda: remote["status"] == "canceled", 20)
    until(lambda: lab.rows("SELECT status FROM remote_jobs WHERE job_id = ?", id) == [("canceled",)], 20)


def test_what_is_left_of_a_job_that_waits_is_cancelled(lab: Lab) -> None:
    """Given back by a server that stops, then cancelled before anybody takes it again: its provider's part ends too."""
    lab.fake.seconds = 600.0
    before = len(lab.fake.jobs)
    id = lab.submit()
    until(lambda: len(lab.fake.jobs) > before)
    lab.served.stop(signal.SIGKILL)
    remote = list(lab.fake.jobs.values())[before]
    with sqlite3.connect(lab.folder / "qstore.sqlite3") as connection:
        connection.execute("UPDATE training_jobs SET cancel_requested = 1 WHERE id = ?", (id,))
    connection.close()

    lab.restart(signal.SIGKILL)

    assert lab.ended(id)["status"] == "cancelled"
    until(lambda: remote["status"] == "canceled", 30)
    assert httpx.get(f"{lab.served.address}/health", trust_env=False).status_code == 200
