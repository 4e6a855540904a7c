"""
What is beside the server goes away and comes back: Redis emptied and killed, Postgres restarted at once, a machine frozen
until others have its job. No job is lost, none ends twice, and trainings end bit for bit the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.processes import Worker, data, descendants
from tests.acceptance.rigs import invariants
from tests.acceptance.rigs.house import PLANTS, House, until
from tests.acceptance.rigs.invariants import Broken, require
from tests.acceptance.rigs.report import spread
from tests.acceptance.rigs.writers import SMALL
from tests.servers import Postgres, Redis

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="not on this operating system: needs /proc"),
    pytest.mark.xdist_group("rig-outages"),
]

EPOCHS = 400
#: Of a training that an outage of some seconds fits into.
SLOW_EPOCHS = 60
QUEUE = "huey.redis.qstore"


@contextlib.contextmanager
def house(
    folder: Path, postgres: Postgres, redis: Redis | None, plant: str | None = None, *, free: bool = False, **more: str
) -> Iterator[House]:
    postgres.start()
    if redis is not None:
        redis.start()
        redis.flush()
        more["QSTORE_QUEUE__URL"] = redis.url()
    built = House(folder, postgres=postgres, plant=plant, free=free, **more)
    try:
        yield built
    finally:
        postgres.start()
        built.close()


def small_jobs(house: House, count: int) -> list[str]:
    body = {"circuit_id": house.circuit, "config": SMALL}
    return [str(data(house.client.post("/v1/jobs", json=body, timeout=90))["job_id"]) for _ in range(count)]


def completed(house: House, jobs: list[str], seconds: float = 120.0) -> None:
    for id in jobs:
        assert house.ended(id, seconds)["status"] == "completed"
    invariants.one_end(house, set())
    invariants.whole(house)
    invariants.sound(house)


def epochs(house: House, id: str) -> int:
    return int(house.job(id)["progress"]["current_epoch"])


def test_redis_is_emptied_and_killed(postgres_server: Postgres, redis_server: Redis, tmp_path: Path) -> None:
    """
    Jobs that wait and run get through a Redis that forgets everything, dies and comes back empty; forged and doubled
    messages run nothing twice; who submits meanwhile is answered 202.
    """
    with house(tmp_path, postgres_server, redis_server) as rig:
        unbroken = rig.learned(rig.submit(EPOCHS))
        witness = rig.submit(EPOCHS)
        jobs = small_jobs(rig, 4)
        redis_server.flush()
        until(lambda: epochs(rig, witness) > 5)
        for number in range(200):
            message = json.dumps({"job": witness, "name": "train", "priority": 5, "number": number})
            redis_server.command(f"ZADD {QUEUE} -{number} '{message}'")
        redis_server.command(f"ZADD {QUEUE} -999 \"cos\\nsystem\\n(S'true'\\ntR.\"")
        redis_server.command(f"ZADD {QUEUE} -998 '{{}}'")
        # Any message makes the free slot take whoever is next, so the forged ones are read between two jobs.
        until(lambda: "queue.message_dropped" in rig.served.log.read_text())

        redis_server.stop()
        before = epochs(rig, witness)
        answer = rig.client.post("/v1/jobs", json={"circuit_id": rig.circuit, "config": SMALL}, timeout=30)
        assert answer.status_code == 202, answer.text
        jobs.append(answer.json()["data"]["job_id"])
        until(lambda: epochs(rig, witness) > before or rig.job(witness)["status"] == "completed", 30)
        redis_server.start()

        invariants.same(rig.learned(witness), unbroken)
        completed(rig, [*jobs, witness])
        assert len(rig.children(witness)) == 1


def test_the_rig_for_redis_catches(postgres_server: Postgres, redis_server: Redis, tmp_path: Path) -> None:
    """Where nobody looks for lost messages, a Redis that forgets everything loses jobs, and that is seen."""
    with house(tmp_path, postgres_server, redis_server, "deaf_reaper", QSTORE_JOBS__SLOTS="1") as rig:
        witness = rig.submit(100_000)
        until(lambda: epochs(rig, witness) > 1)
        jobs = small_jobs(rig, 2)
        redis_server.flush()
        data(rig.client.post(f"/v1/jobs/{witness}/cancel"))

        with pytest.raises(AssertionError, match="did not come about"):
            completed(rig, jobs, 8.0)


class Asking:
    """Somebody who goes on reading and writing, one after the other, and remembers what was answered and how fast."""

    def __init__(self, house: House, job: str) -> None:
        self.answers: list[tuple[str, int, float]] = []
        self._house, self._job = house, job
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    @property
    def wrong(self) -> set[tuple[str, int]]:
        """Answers that nobody may get, whatever is away."""
        return {(what, status) for what, status, _ in self.answers if status not in (200, 201, 503)}

    def seen(self, what: str, status: int, since: int = 0) -> bool:
        return any((one, code) == (what, status) for one, code, _ in self.answers[since:])

    def _work(self) -> None:
        client = httpx.Client(
            base_url=self._house.served.address, headers=self._house.client.headers, timeout=60, trust_env=False
        )
        circuit = {"name": "written meanwhile", "n_qubits": 1, "gates": [{"type": "X", "targets": [0]}]}
        with client:
            while not self._over.is_set():
                for what, ask in (
                    ("read", lambda: client.get(f"/v1/jobs/{self._job}")),
                    ("write", lambda: client.post("/v1/circuits", json=circuit)),
                ):
                    began = time.monotonic()
                    status = ask().status_code
                    self.answers.append((what, status, time.monotonic() - began))
                self._over.wait(0.05)


def processor_ticks(pid: int) -> int:
    """Of the processor, what the process has had so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def until_worked(pid: int, ticks: int) -> None:
    """Until the process has had a tenth of a second of the processor, or rests: it waits for its epoch to be written."""
    seen, rests_at = ticks, time.monotonic() + 5.0
    while seen <= ticks + 10 and time.monotonic() < rests_at:
        time.sleep(0.02)
        now = processor_ticks(pid)
        if now > seen:
            seen, rests_at = now, time.monotonic() + 5.0


def slow(house: House) -> dict[str, Any]:
    """What makes an epoch long enough for an outage to be shorter than a training: a body's circuit and its data."""
    gates = [
        gate
        for layer in range(4)
        for q in range(6)
        for gate in (
            *([{"type": "RY", "targets": [q], "parameters": {"theta": f"x_{q}"}}] if not layer else []),
            {"type": "RY", "targets": [q], "parameters": {"theta": f"theta_{6 * layer + q}"}},
            {"type": "CNOT", "targets": [q, (q + 1) % 6]},
        )
    ]
    circuit = data(house.client.post("/v1/circuits", json={"name": "slow", "n_qubits": 6, "gates": gates}))["id"]
    return {"circuit_id": circuit, "dataset": {"type": "digits", "features": {"method": "pca", "count": 6}}}


def outages(rig: House, server: Postgres) -> str:
    """
    Postgres ends at once in the middle of a training and is back seconds later: 503 meanwhile for reads and writes, and the
    training goes on. Returns: what was seen.
    """
    data(rig.client.put("/v1/budget", json={"monthly_limit": 1000, "alerts": []}))
    wide = slow(rig)
    unbroken = rig.learned(rig.submit(SLOW_EPOCHS, **wide))
    witness = rig.submit(SLOW_EPOCHS, **wide)
    jobs = small_jobs(rig, 2)
    slowest, back = 0.0, []
    for pause in (5.0, 0.5):
        before = epochs(rig, witness)
        until(lambda before=before: epochs(rig, witness) > before or rig.job(witness)["status"] == "completed")  # type: ignore[misc]
        with Asking(rig, witness) as asking:
            until(lambda asking=asking: asking.seen("write", 201))  # type: ignore[misc]
            server.stop()
            stopped, pid = time.monotonic(), rig.children(witness)[-1]
            ticks = processor_ticks(pid)
            until(  # type: ignore[misc]
                lambda asking=asking: asking.wrong or (asking.seen("read", 503) and asking.seen("write", 503))
            )
            require(not asking.wrong, "F13", asking.wrong)
            assert rig.client.get("/health").status_code == 200
            if pause > 1:
                until_worked(pid, ticks)
            time.sleep(max(0.0, pause - (time.monotonic() - stopped)))
            server.start()
            began, known = time.monotonic(), len(asking.answers)
            until(
                lambda asking=asking, known=known: (  # type: ignore[misc]
                    asking.seen("read", 200, known) and asking.seen("write", 201, known)
                )
            )
            back.append(time.monotonic() - began)
        require(not asking.wrong, "F13", asking.wrong)
        slowest = max(slowest, *(seconds for _, _, seconds in asking.answers))
        assert slowest < 120, "a request hung"
    completed(rig, [*jobs, witness])
    invariants.same(rig.learned(witness), unbroken)
    require(len(rig.children(witness)) == 1, "F13", "the training was begun anew")
    return f"rig Postgres restarted: slowest answer {slowest:.2f} s, reads and writes again after {spread(back)}"


def test_postgres_is_restarted(
    postgres_server: Postgres, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """A Postgres that is away for five seconds, and for half a one, loses nothing and fails nobody but with 503."""
    with house(tmp_path, postgres_server, None, free=True) as rig:
        record_property("report", outages(rig, postgres_server))


@pytest.mark.parametrize(("plant", "number"), [("drops_reports", "I7|I11|F13"), ("raw_faults", "F13")])
def test_the_rig_for_postgres_catches(postgres_server: Postgres, tmp_path: Path, plant: str, number: str) -> None:
    """Epochs that are lost in an outage (by whichever rule sees it first), and errors that are answered with 500, are found."""
    with house(tmp_path, postgres_server, None, plant, free=True) as rig, pytest.raises(Broken, match=number):
        outages(rig, postgres_server)


def frozen(rig: House, environment: dict[str, str], folder: Path, plant: dict[str, str]) -> tuple[str, str]:
    """
    A job whose machine is frozen until another one has finished it, and goes on then. Returns: the job's id, and the
    log of the machine that was frozen.
    """
    first = Worker(folder / "first", **environment, **plant)
    second = None
    try:
        job = rig.submit(EPOCHS)
        until(lambda: epochs(rig, job) > 3, every=0.005)
        everybody = {first.process.pid, *descendants(first.process.pid)}
        for pid in everybody:
            os.kill(pid, signal.SIGSTOP)
        held = epochs(rig, job)
        assert held < EPOCHS, "it was over before it was frozen"
        second = Worker(folder / "second", **environment)
        until(lambda: epochs(rig, job) > held)
        rig.ended(job)
        for pid in everybody:
            os.kill(pid, signal.SIGCONT)
        # It speaks up: refused, or (with the bug) taken.
        until(lambda: "lease_lost" in first.log.read_text() or taken(rig))
        time.sleep(0.5)
        return job, first.log.read_text()
    finally:
        for worker in (first, second):
            if worker is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.process.pid, signal.SIGCONT)
                worker.stop()


def taken(rig: House) -> bool:
    try:
        invariants.one_end(rig, set())
    except Broken:
        return True
    return False


@pytest.mark.parametrize("plant", [None, "no_fence"])
def test_a_machine_that_was_frozen(
    postgres_server: Postgres, redis_server: Redis, tmp_path: Path, plant: str | None
) -> None:
    """What a machine says after another one has taken its job over is refused; without fences that is seen."""
    shared = {"QSTORE_JOBS__LEASE_SECONDS": "3"}
    with house(tmp_path, postgres_server, redis_server, QSTORE_JOBS__SLOTS="0", **shared) as rig:
        environment = {**rig.environment, "QSTORE_JOBS__SLOTS": "1"}
        bug = {} if plant is None else {"PYTHONPATH": str(PLANTS), "RIG_PLANT": plant}
        job, log = frozen(rig, environment, tmp_path, bug)
        if plant is not None:
            with pytest.raises(Broken):
                invariants.one_end(rig, set())
            return
        assert "lease_lost" in log
        invariants.one_end(rig, set())
        alone = Worker(tmp_path / "third", **environment)
        try:
            invariants.same(rig.learned(job), rig.learned(rig.submit(EPOCHS)))
        finally:
            alone.stop()


def three_deaths(rig: House) -> None:
    """A job whose process dies three times without finishing an epoch has failed with WORKER_CRASH; the next one runs."""
    gates = [{"type": "RY", "targets": [q], "parameters": {"theta": f"theta_{q}"}} for q in range(12)]
    circuit = data(rig.client.post("/v1/circuits", json={"name": "wide", "n_qubits": 12, "gates": gates}))["id"]
    config = {"epochs": 1000, "seed": 1, "batch_size": 1, "dataset": {"type": "digits"}}
    job = data(rig.client.post("/v1/jobs", json={"circuit_id": circuit, "config": config}, timeout=90))["job_id"]
    for death in range(3):
        until(lambda death=death: len(rig.children(job)) > death, every=0.005)  # type: ignore[misc]
        os.kill(rig.children(job)[-1], signal.SIGKILL)
    until(lambda: rig.job(job)["status"] == "failed" or len(rig.children(job)) > 3)
    ended = rig.job(job)
    require(ended["status"] == "failed", "I3", "a fourth attempt", ended)
    require(ended["error_code"] == "WORKER_CRASH" and "attempt 3 of 3" in ended["reason"], "I3", ended)
    require(not rig.rows(f"SELECT * FROM reservations WHERE job_id = '{job}'"), "I4", "still reserved")
    assert rig.ended(rig.submit(2))["status"] == "completed"
    invariants.alive(rig)


@pytest.mark.parametrize("plant", [None, "forgets_deaths"])
def test_three_deaths(tmp_path: Path, plant: str | None) -> None:
    """The third death is the end; a server that counts none of them is caught at the fourth process."""
    rig = House(tmp_path, plant=plant)
    try:
        if plant is None:
            three_deaths(rig)
        else:
            with pytest.raises(Broken, match="I3"):
                three_deaths(rig)
    finally:
        rig.close()
