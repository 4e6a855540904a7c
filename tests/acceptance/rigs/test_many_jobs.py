"""
Many small jobs, submitted through a server that is killed and started again on the way: each that was accepted, and each
whose acceptance was lost with a server and asked for again, is there once and comes to exactly one end.
"""

from __future__ import annotations

import random
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.rigs import invariants
from tests.acceptance.rigs.house import House, until
from tests.acceptance.rigs.invariants import Broken, require
from tests.acceptance.rigs.ledger import Ledger
from tests.acceptance.rigs.report import spread

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="not on this operating system: needs /proc"),
    pytest.mark.xdist_group("rig-sqlite"),
]

TINY = {
    "epochs": 1,
    "seed": 1,
    "batch_size": 64,
    "dataset": {"type": "iris", "train_size": 32, "val_size": 8, "features": {"method": "pca", "count": 2}},
}
CLIENTS = 3
#: Seconds for one submission in all; a hang guard.
PATIENCE_SECONDS = 300.0
ENDED = "SELECT count(*) AS n FROM training_jobs WHERE status IN ('completed', 'failed', 'cancelled')"


class Crowd:
    """Clients that submit so many jobs together, each under a key and a project of its own, until each is accepted."""

    def __init__(self, house: House, count: int, ledger: Ledger) -> None:
        self.count = count
        self.accepted: set[str] = set()
        self.seconds: list[float] = []
        self.doubts = 0
        self.failures: list[BaseException] = []
        self._house, self._ledger = house, ledger
        self._numbers = iter(range(count))
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(CLIENTS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        for thread in self._threads:
            thread.join()
        if self.failures:
            raise self.failures[0]

    def leave(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _work(self) -> None:
        headers = {"Authorization": f"Bearer {self._house.token}"}
        try:
            with httpx.Client(
                base_url=self._house.served.address, headers=headers, timeout=60, trust_env=False
            ) as client:
                while not self._over.is_set():
                    with self._lock:
                        number = next(self._numbers, None)
                    if number is None:
                        return
                    self._submit(client, number)
        except BaseException as error:
            self.failures.append(error)

    def _submit(self, client: httpx.Client, number: int) -> None:
        body: dict[str, Any] = {"circuit_id": self._house.circuit, "config": TINY, "project": f"p{number}"}
        key = str(uuid.uuid4())
        entry = self._ledger.intend("POST", "/v1/jobs", body, key)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._over.is_set():
            began = time.monotonic()
            try:
                answer = client.post("/v1/jobs", json=body, headers={"Idempotency-Key": key})
            except httpx.HTTPError:
                self.doubts += 1
            else:
                error = {} if answer.status_code == 202 else answer.json()["error"]
                if answer.status_code == 202:
                    self.seconds.append(time.monotonic() - began)
                    self.accepted.add(body["project"])
                # Done, and the answer was lost with the server; whether it is there, the rows say.
                lost = answer.status_code == 409 and error["details"].get("done")
                if answer.status_code == 202 or lost:
                    self._ledger.answered(entry, answer.status_code, answer.json().get("data"))
                    return
                assert answer.status_code in (409, 429, 503), answer.text
            assert time.monotonic() < deadline, "a submission came to no answer"
            time.sleep(0.1)


def flood(house: House, count: int, kills: int, seed: int) -> str:
    """Submit, kill, start, until all were accepted and are over. Returns: what was seen."""
    ledger = Ledger(house.folder / "ledger.jsonl")
    crowd = Crowd(house, count, ledger)
    drawn = random.Random(seed)
    # Half of the kills while jobs come in, the others while they are worked off.
    moments = (
        sorted(drawn.sample(range(1, count), kills // 2)),
        sorted(drawn.sample(range(1, count), kills - kills // 2)),
    )
    ready: list[float] = []
    began = time.monotonic()

    def kill() -> None:
        house.kill()
        ready.append(house.start())

    try:
        crowd.start()
        for moment in moments[0]:
            # Not all in one go: the guard is for one job, however many there are.
            while (accepted := len(crowd.accepted)) < moment and not crowd.failures:
                until(lambda accepted=accepted: len(crowd.accepted) > accepted or crowd.failures, PATIENCE_SECONDS)  # type: ignore[misc]
            kill()
        crowd.finish()
        for moment in moments[1]:
            while (ended := house.rows(ENDED)[0]["n"]) < moment:
                until(lambda ended=ended: house.rows(ENDED)[0]["n"] > ended, PATIENCE_SECONDS, 0.2)  # type: ignore[misc]
            kill()
        while (ended := house.rows(ENDED)[0]["n"]) < count:
            until(lambda ended=ended: house.rows(ENDED)[0]["n"] > ended, PATIENCE_SECONDS, 0.2)  # type: ignore[misc]
    finally:
        crowd.leave()
        ledger.close()
    found = house.snapshot({"jobs": "SELECT id, project, status FROM training_jobs"})["jobs"]
    projects = [row["project"] for row in found]
    require(len(projects) == len(set(projects)), "I1", "a submission that was repeated made two jobs")
    require(set(projects) == {f"p{number}" for number in range(count)}, "I1", "not every job is there, or one too many")
    wrong = [row for row in found if row["status"] != "completed"]
    require(not wrong, "I3", wrong[:3])
    invariants.one_end(house, set())
    invariants.whole(house)
    invariants.sound(house)
    return (
        f"rig many jobs, seed {seed}: {count} jobs accepted, {len(found)} completed once, over {kills} kills in "
        f"{time.monotonic() - began:.0f} s; {crowd.doubts} requests without an answer; submitted in "
        f"{spread(crowd.seconds)}; ready after {spread(ready)}"
    )


def test_the_rig_for_many_jobs_catches(tmp_path: Path) -> None:
    """Where a killed server forgets what it was asked for under which key, a job is there twice, and that is seen."""
    house = House(tmp_path, plant="accepts_twice")
    try:
        with pytest.raises(Broken, match="I1"):
            lose_answers(house, 10)
    finally:
        house.close()


def lose_answers(house: House, attempts: int) -> None:
    """Kill the server once a job is in its rows and, with luck, before its client has heard of it; then ask again."""
    for attempt in range(attempts):
        _lose_one(house, attempt)


def _lose_one(house: House, attempt: int) -> None:
    body = {"circuit_id": house.circuit, "config": TINY, "project": f"lost{attempt}"}
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    sent = threading.Thread(target=_sent, args=(house, body, headers), daemon=True)
    sent.start()
    rows = f"SELECT id FROM training_jobs WHERE project = 'lost{attempt}'"
    until(lambda: house.rows(rows), every=0.0)
    house.kill()
    sent.join()
    house.start()
    answer = house.client.post("/v1/jobs", json=body, headers=headers, timeout=90)
    assert answer.status_code in (202, 409), answer.text
    require(len(house.rows(rows)) == 1, "I1", "a submission that was repeated made two jobs")


def _sent(house: House, body: dict[str, Any], headers: dict[str, str]) -> None:
    try:
        house.client.post("/v1/jobs", json=body, headers=headers, timeout=90)
    except httpx.HTTPError:
        return


@pytest.mark.parametrize(
    ("count", "kills"), [(300, 6), pytest.param(10_000, 40, marks=pytest.mark.long)], ids=["300", "10000"]
)
def test_many_jobs(tmp_path: Path, count: int, kills: int, record_property: Callable[[str, object], None]) -> None:
    """Whatever is killed on the way, every job that was asked for is there once and is completed once."""
    house = House(tmp_path)
    try:
        record_property("report", flood(house, count, kills, 20251220 + count))
    finally:
        house.close()
