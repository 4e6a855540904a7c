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
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.processes import Worker, data, descendants
from tests.acceptance.rigs import invariants
from tests.acceptance.rigs.house import PLANTS, House, until
from tests.acceptance.rigs.invariants import Broken
from tests.acceptance.rigs.writers import SMALL
from tests.servers import Postgres, Redis

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="not on this operating system: needs /proc"),
    pytest.mark.xdist_group("rig-outages"),
]

EPOCHS = 400
QUEUE = "huey.redis.qstore"


@contextlib.contextmanager
def house(
    folder: Path, postgres: Postgres, redis: Redis | None, plant: str | None = None, **more: str
) -> Iterator[House]:
    postgres.start()
    if redis is not None:
        redis.start()
        redis.flush()
        more["QSTORE_QUEUE__URL"] = redis.url()
    built = House(folder, postgres=postgres, plant=plant, **more)
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


def test_postgres_is_restarted(postgres_server: Postgres, tmp_path: Path) -> None:
    """A Postgres that ends at once in the middle of a training and is back seconds later loses nothing: 503 meanwhile."""
    with house(tmp_path, postgres_server, None) as rig:
        unbroken = rig.learned(rig.submit(EPOCHS))
        witness = rig.submit(EPOCHS)
        jobs = small_jobs(rig, 2)
        for pause in (0.5, 4.0):
            before = epochs(rig, witness)
            until(lambda before=before: epochs(rig, witness) > before or rig.job(witness)["status"] == "completed")  # type: ignore[misc]
            postgres_server.stop()
            began = time.monotonic()
            answer = rig.client.get(f"/v1/jobs/{witness}")
            assert answer.status_code == 503, answer.text
            assert time.monotonic() - began < 120
            assert rig.client.get("/health").status_code == 200
            time.sleep(pause)
            postgres_server.start()
            until(lambda: rig.client.get(f"/v1/jobs/{witness}").status_code == 200)

        invariants.same(rig.learned(witness), unbroken)
        completed(rig, [*jobs, witness])
        assert len(rig.children(witness)) == 1


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


def test_three_deaths(tmp_path: Path) -> None:
    """A job whose process dies three times without finishing an epoch has failed with WORKER_CRASH; the next one runs."""
    rig = House(tmp_path)
    try:
        gates = [{"type": "RY", "targets": [q], "parameters": {"theta": f"theta_{q}"}} for q in range(12)]
        circuit = data(rig.client.post("/v1/circuits", json={"name": "wide", "n_qubits": 12, "gates": gates}))["id"]
        config = {"epochs": 1000, "seed": 1, "batch_size": 1, "dataset": {"type": "digits"}}
        job = data(rig.client.post("/v1/jobs", json={"circuit_id": circuit, "config": config}, timeout=90))["job_id"]
        for death in range(3):
            until(lambda death=death: len(rig.children(job)) > death, every=0.005)  # type: ignore[misc]
            os.kill(rig.children(job)[-1], signal.SIGKILL)
        ended = rig.ended(job)

        assert (ended["status"], ended["error_code"]) == ("failed", "WORKER_CRASH")
        assert "attempt 3 of 3" in ended["reason"]
        assert rig.ended(rig.submit(2))["status"] == "completed"
        assert httpx.get(f"{rig.served.address}/ready", trust_env=False).status_code == 200
    finally:
        rig.close()
