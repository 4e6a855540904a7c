"""
SIGKILL, again and again, at random moments of mixed writes and trainings: the server, and the processes that train.

Beside each other there are a training on this machine, one at a provider, and a budget whose webhook is called at each
percent. After each start the invariants are checked; at the end the trainings are compared with those that nothing happened
to.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.processes import alive
from tests.acceptance.rigs import bare, invariants
from tests.acceptance.rigs.house import House, until
from tests.acceptance.rigs.invariants import Broken
from tests.acceptance.rigs.ledger import Ledger
from tests.acceptance.rigs.outside import Outside, outside
from tests.acceptance.rigs.report import Report
from tests.acceptance.rigs.writers import Writer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="not on this operating system: needs /proc")

EPOCHS = 250
#: Of a training at the provider, each of three submissions.
EPOCHS_ELSEWHERE = 12
WRITERS = 3
#: US dollars a month for each kill: the training's circuits cost a micro-dollar each, and shall neither use the budget up
#: nor leave its thresholds alone.
PER_KILL = 0.015
SEED = int(os.environ.get("RIG_SEED", "20251220"))


@pytest.fixture
def postgres(request: pytest.FixtureRequest) -> Any:
    database = request.node.callspec.params.get("database", "sqlite")
    if database == "sqlite":
        return None
    server = request.getfixturevalue("postgres_server")
    server.start()
    return server


#: The training was over before it could be seen to go on.
FINISHED = -1.0


class Rig:
    """A house, its writers, and a training that is always under way."""

    def __init__(
        self,
        folder: Path,
        postgres: Any,
        seed: int,
        plant: str | None = None,
        writers: int = WRITERS,
        ledger: Path | None = None,
        world: Outside | None = None,
        kills: int = 10,
    ) -> None:
        self.house = House(folder, postgres=postgres, plant=plant, outside=world)
        victim = "server" if writers else "children"
        self.report = Report(f"{victim} on {'SQLite' if postgres is None else 'Postgres'}", seed)
        self.random = random.Random(seed)
        self.ledger = Ledger((ledger or folder) / "ledger.jsonl")
        self.up = threading.Event()
        self.sealed: set[str] = set()
        self.ready_at, self.ran = datetime.now(UTC), False
        if world is not None:
            self.house.budget(PER_KILL * kills, world.hook)
            self.unbroken_elsewhere = self.house.learned(self.house.submit_elsewhere(EPOCHS_ELSEWHERE))
            self.elsewhere = self.house.submit_elsewhere(EPOCHS_ELSEWHERE)
        self.unbroken = self.house.learned(self.house.submit(EPOCHS))
        self.witness = self.house.submit(EPOCHS)
        self.writers = [
            Writer(number, self.house.served.address, self.house.token, self.ledger, self.up, pause=0.03)
            for number in range(writers)
        ]

    def close(self) -> None:
        for writer in self.writers:
            writer.leave()
        self.house.close()
        self.ledger.close()

    def start_writing(self) -> None:
        for writer in self.writers:
            writer.start()
        self.up.set()

    def look(self) -> None:
        """The invariants that hold at every moment."""
        house, report = self.house, self.report
        for writer in self.writers:
            writer.check()
        if house.postgres is None or report.kills % 5 == 0:
            # Asking Postgres about every reference takes as long as a kill.
            invariants.sound(house)
        report.compared += invariants.acknowledged(house, self.writers)
        invariants.one_end(house, self.sealed)
        invariants.whole(house)
        invariants.tidy(house)
        if house.job(self.witness)["status"] == "completed":
            self._compare(self.witness, self.unbroken)
            self.witness, self.ran = house.submit(EPOCHS), False
        if house.outside is None:
            return
        report.sent = invariants.sent_once(house)
        report.repeated = invariants.told_once(house)
        if house.job(self.elsewhere)["status"] == "completed":
            self._compare(self.elsewhere, self.unbroken_elsewhere)
            self.elsewhere = house.submit_elsewhere(EPOCHS_ELSEWHERE)

    def last_look(self) -> None:
        """Let everything end, and compare all of it."""
        for writer in self.writers:
            writer.finish()
        house, report = self.house, self.report
        house.ended(self.witness)
        invariants.one_end(house, set())
        self._compare(self.witness, self.unbroken)
        if house.outside is not None:
            house.ended(self.elsewhere)
            self._compare(self.elsewhere, self.unbroken_elsewhere)
        live = "SELECT count(*) AS n FROM training_jobs WHERE status IN ('queued', 'running')"
        # However many wait: the guard is for the next of them.
        while left := house.rows(live)[0]["n"]:
            until(lambda left=left: house.rows(live)[0]["n"] < left, 120, 0.2)  # type: ignore[misc]
        report.compared += invariants.acknowledged(house, self.writers, sample=None)
        invariants.one_end(house, set())
        invariants.whole(house)
        invariants.sound(house)
        invariants.alive(house)
        invariants.tidy(house, at_rest=True)
        if house.outside is not None:
            unsent = "SELECT id FROM outbox WHERE status = 'pending'"
            until(lambda: not house.rows(unsent), 120)
            report.sent = invariants.sent_once(house)
            report.repeated = invariants.told_once(house, at_rest=True)
            report.letters = len(house.rows("SELECT id FROM outbox"))
        report.charges = len(house.rows("SELECT id FROM cost_events"))
        report.forgotten = invariants.forgotten(house, report.kills)
        report.acknowledged = self.ledger.acknowledged()
        report.doubts = sum(writer.doubts for writer in self.writers)

    def kill_server(self) -> None:
        """
        One kill at a random moment, and the look after it; sometimes only when the training goes on again, or right after
        the provider got something that the server may not have heard of.
        """
        house, report, world = self.house, self.report, self.house.outside
        dice = self.random.random()
        if world is not None and dice > 0.8:
            sent = len(world.submissions())
            until(lambda: len(world.submissions()) > sent or self._is_over(self.elsewhere), every=0.005)
            time.sleep(self.random.uniform(0.0, 0.05))
        elif dice < 0.4:
            since = until(self._goes_on)
            # One that did not run when the server was killed waits for a slot, or for its backend's first probe.
            if since is not FINISHED and self.ran:
                report.running.append(since)
            time.sleep(self.random.uniform(0.0, 0.5))
        else:
            time.sleep(self.random.uniform(0.05, 1.0))
        self.up.clear()
        house.kill()
        report.kills += 1
        state = house.rows(f"SELECT status FROM training_jobs WHERE id = '{self.witness}'")[0]["status"]
        if report.kills % 5 == 0:
            report.bare.append(bare.seconds_to_ready())
        report.ready.append(house.start())
        self.ready_at, self.ran = datetime.now(UTC), state == "running"
        self.look()
        self.up.set()

    def _goes_on(self) -> float | None:
        """Seconds from readiness to the training's first epoch after it; None where there is none yet."""
        epochs = "SELECT created_at FROM job_logs WHERE message LIKE 'Epoch %' AND job_id = "
        rows = self.house.rows(f"{epochs}'{self.witness}' ORDER BY seq")
        moments = [datetime.fromisoformat(row["created_at"]) for row in rows]
        after = [moment for moment in moments if moment >= self.ready_at]
        if after:
            return max(1e-6, (after[0] - self.ready_at).total_seconds())
        return FINISHED if self.house.job(self.witness)["status"] == "completed" else None

    def _is_over(self, id: str) -> bool:
        return bool(self.house.job(id)["status"] == "completed")

    def kill_child(self) -> None:
        """One kill of the process that trains, once it has done at least an epoch since the last."""
        house, report = self.house, self.report
        if house.job(self.witness)["status"] == "completed":
            self.look()
        before = house.job(self.witness)["progress"]["current_epoch"]

        def going() -> int | None:
            job = house.job(self.witness)
            pids = [pid for pid in house.children(self.witness)[-1:] if alive({pid})]
            if job["status"] == "completed":
                return -1
            return pids[0] if pids and job["progress"]["current_epoch"] > before else None

        pid = until(going, every=0.005)
        if pid < 0:
            return
        time.sleep(self.random.uniform(0.0, 0.1))
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        died = time.monotonic()
        known = len(house.children(self.witness))
        until(lambda: len(house.children(self.witness)) > known or house.job(self.witness)["status"] == "completed")
        report.running.append(time.monotonic() - died)
        report.kills += 1

    def _compare(self, id: str, unbroken: dict[str, Any]) -> None:
        invariants.same(self.house.learned(id), unbroken)
        self.report.witnesses += 1


@pytest.fixture
def said(record_property: Callable[[str, object], None]) -> Iterator[list[Report]]:
    """Reports for the end of the run."""
    reports: list[Report] = []
    yield reports
    for report in reports:
        record_property("report", str(report))


def burn(rig: Rig, kills: int) -> None:
    rig.start_writing()
    while rig.report.kills < kills:
        rig.kill_server()
    rig.last_look()


def orphan(rig: Rig, kills: int) -> None:
    while rig.report.kills < kills:
        rig.kill_child()
    rig.last_look()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Outside]:
    with outside(tmp_path / "outside") as found:
        yield found


@pytest.mark.parametrize(
    ("database", "plant", "number"),
    [
        # An epoch that is lost, or the checkpoint that was freed for it, is an acknowledged write as well.
        pytest.param("sqlite", "late_commit", "I1|I3", marks=pytest.mark.xdist_group("rig-sqlite")),
        pytest.param("sqlite", "sends_again", "I5", marks=pytest.mark.xdist_group("rig-sqlite")),
        pytest.param("postgres", "charges_twice", "I4", marks=pytest.mark.xdist_group("rig-postgres")),
        pytest.param("postgres", "forgets_alerts", "I9", marks=pytest.mark.xdist_group("rig-postgres")),
    ],
)
def test_the_rig_for_servers_catches(
    postgres: Any, request: pytest.FixtureRequest, tmp_path: Path, database: str, plant: str, number: str
) -> None:
    """A server with a planted bug breaks the invariant that the bug is about, within some kills."""
    # The others have a quiet house: what a late commit loses is what nobody has written after.
    world = request.getfixturevalue("world") if number in ("I5", "I9") else None
    rig = Rig(tmp_path, postgres, SEED, plant, world=world)
    try:
        with pytest.raises(Broken, match=number):
            burn(rig, 40)
    finally:
        rig.close()


@pytest.mark.parametrize(
    ("database", "kills"),
    [
        pytest.param("sqlite", 45, marks=pytest.mark.xdist_group("rig-sqlite")),
        pytest.param("postgres", 15, marks=pytest.mark.xdist_group("rig-postgres")),
        pytest.param("sqlite", 700, marks=[pytest.mark.long, pytest.mark.xdist_group("rig-sqlite")]),
        pytest.param("postgres", 300, marks=[pytest.mark.long, pytest.mark.xdist_group("rig-postgres")]),
    ],
)
def test_a_server_that_is_killed(
    postgres: Any, world: Outside, tmp_path: Path, database: str, kills: int, said: list[Report]
) -> None:
    """
    Whatever the moment: nothing acknowledged is lost, nothing is done, sent, told or paid for twice, and trainings end bit
    for bit the same.
    """
    rig = Rig(tmp_path, postgres, SEED + kills, world=world, kills=kills)
    said.append(rig.report)
    try:
        burn(rig, kills)
    finally:
        rig.close()


@pytest.mark.parametrize(("plant", "number"), [("forgets_checkpoint", "I7"), ("drifts", "I11")])
@pytest.mark.xdist_group("rig-postgres")
def test_the_rig_for_children_catches(tmp_path: Path, plant: str, number: str) -> None:
    """Epochs done twice, and an optimiser that forgets, are found."""
    rig = Rig(tmp_path, None, SEED, plant, writers=0)
    try:
        with pytest.raises(Broken, match=number):
            orphan(rig, 3)
    finally:
        rig.close()


@pytest.mark.xdist_group("rig-postgres")
def test_children_that_are_killed(tmp_path: Path, said: list[Report]) -> None:
    """Twenty kills of processes that train: each job goes on from its last epoch and ends bit for bit the same."""
    rig = Rig(tmp_path, None, SEED, writers=0)
    said.append(rig.report)
    try:
        orphan(rig, 20)
    finally:
        rig.close()
