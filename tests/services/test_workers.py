"""Machines that take jobs: seen by the operator, lost when they are silent, and left alone with what they cannot run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.database.tables.workers import WorkerRow
from qstore_appliance.domain.listing import Page
from qstore_appliance.domain.workers import LOST_SECONDS, Needs, Worker, WorkerKind, WorkerState
from qstore_appliance.engine.backend import Capabilities
from qstore_appliance.engine.discovery import Description
from qstore_appliance.errors import BackendUnavailable, Forbidden, InsufficientMemory
from qstore_appliance.services.fleet import Fleet
from qstore_appliance.services.workers import FORGOTTEN, Workers
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock, make_caller, make_job_row
from tests.services.laboratory import Laboratory

PAGE = Page(sort="started_at")
GIGABYTE = 2**30
OPERATOR = make_caller("owner", operator=True)


@pytest_asyncio.fixture
async def laboratory(database: Database, settings: Settings, clock: SteppingClock) -> AsyncIterator[Laboratory]:
    """One of several machines that share a queue."""
    laboratory = Laboratory(database, settings, clock)
    laboratory.backends.fleet.shared = True
    yield laboratory
    await laboratory.close()


def workers(laboratory: Laboratory, clock: SteppingClock) -> Workers:
    return Workers(laboratory.database, laboratory.backends, clock, laboratory.settings)


def describe(name: str, *, gpu: bool = False, works: bool = True) -> Description:
    can = Capabilities(
        max_qubits=20,
        max_depth=None,
        gates=("RY", "CNOT"),
        exact=True,
        shots=True,
        adjoint=True,
        statevector=True,
        gpu=gpu,
    )
    return Description(name=name, kind="simulator", provider="tests", capabilities=can, available=works)


async def machine(clock: SteppingClock, owner: str, *descriptions: Description, **more: Any) -> WorkerRow:
    """Another machine, as it wrote itself down."""
    values: dict[str, Any] = {
        "id": f"worker_{owner}",
        "owner": f"{owner}:host-{owner}:7",
        "directory": owner,
        "host": f"host-{owner}",
        "pid": 7,
        "kind": "worker",
        "slots": 1,
        "cores": 4,
        "memory_bytes": 8 * GIGABYTE,
        "gpus": 0,
        "backends": {found.name: msgspec.to_builtins(found) for found in descriptions},
        "version": "4.1.0",
        "started_at": clock.now(),
        "heartbeat_at": clock.now(),
    }
    return await WorkerRow.create(**{**values, **more})


async def test_a_machine_is_there_until_it_stops(laboratory: Laboratory, clock: SteppingClock) -> None:
    """A machine is listed with what it has and what it runs, and is gone when it stops in order."""
    here = workers(laboratory, clock)
    await here.start(WorkerKind.SERVER, "directory:host:1")
    job = await make_job_row(make_caller(), status="running", lease_owner="directory:host:1")
    await make_job_row(make_caller(), status="completed", lease_owner="directory:host:1")

    (found,) = (await here.listed(OPERATOR, PAGE)).items

    assert found.kind is WorkerKind.SERVER
    assert found.state(clock.now()) is WorkerState.ALIVE
    assert found.job_ids == (job.id,)
    assert found.slots == laboratory.settings.jobs.slots
    assert found.cores >= 1
    assert found.memory_bytes >= 256 * 2**20
    await here.close()
    assert (await here.listed(OPERATOR, PAGE)).items == []


async def test_only_the_operator_sees_machines(laboratory: Laboratory, clock: SteppingClock) -> None:
    """An owner of an organization who is not the installation's operator sees none."""
    with pytest.raises(Forbidden):
        await workers(laboratory, clock).listed(make_caller("owner"), PAGE)


async def test_silence_and_oblivion(laboratory: Laboratory, clock: SteppingClock) -> None:
    """A machine that is silent for fifteen seconds is lost, after an hour its row goes; one that comes back is back."""
    here = workers(laboratory, clock)
    await here.start(WorkerKind.WORKER, "directory:host:1")
    await machine(clock, "other")
    await here.beat()
    assert [one.host for one in laboratory.backends.fleet.others] == ["host-other"]

    clock.advance(seconds=LOST_SECONDS + 1)
    await here.beat()
    states = {one.host: one.state(clock.now()) for one in (await here.listed(OPERATOR, PAGE)).items}

    assert states.pop("host-other") is WorkerState.LOST
    assert list(states.values()) == [WorkerState.ALIVE]
    assert laboratory.backends.fleet.others == ()

    clock.advance(seconds=FORGOTTEN.total_seconds())
    await here.beat()
    assert await WorkerRow.filter(directory="other").count() == 0

    await WorkerRow.all().delete()
    await here.beat()
    (found,) = (await here.listed(OPERATOR, PAGE)).items
    assert found.owner == "directory:host:1"
    await here.close()


async def test_a_killed_machine_is_replaced(laboratory: Laboratory, clock: SteppingClock) -> None:
    """The next process of a data directory takes the row of the one that was killed there; others stay."""
    await machine(clock, "directory")
    await machine(clock, "other")
    here = workers(laboratory, clock)

    await here.start(WorkerKind.SERVER, "directory:host:2")

    owners = {row.owner for row in await WorkerRow.all()}
    assert owners == {"directory:host:2", "other:host-other:7"}
    await here.close()


async def test_a_row_of_another_version(laboratory: Laboratory, clock: SteppingClock) -> None:
    """What another version wrote of its backends and we cannot read makes them unknown, not the list impossible."""
    await machine(clock, "other", backends={"native": {"capabilities": 7}})

    (found,) = (await workers(laboratory, clock).listed(OPERATOR, PAGE)).items

    assert found.backends == {}


class TestCapability:
    """`native` works here, without a graphics card; this machine has one gigabyte."""

    @pytest.fixture
    def fleet(self, laboratory: Laboratory, clock: SteppingClock) -> Fleet:
        here = Worker(
            id="worker_here",
            owner="directory:host:1",
            host="host",
            pid=1,
            kind=WorkerKind.SERVER,
            slots=1,
            cores=2,
            memory_bytes=GIGABYTE,
            gpus=0,
            backends={
                "native": describe("native"),
                "lightning": describe("lightning"),
                "qsim": describe("qsim", works=False),
            },
            version="4.1.0",
            started_at=clock.now(),
            heartbeat_at=clock.now(),
        )
        fleet = laboratory.backends.fleet
        fleet.here = lambda: here
        laboratory.backends._described.update(here.backends)
        return fleet

    async def taken(self, laboratory: Laboratory, row: JobRow) -> bool:
        return await laboratory.runs.begin(row.id, "directory:host:1") is not None

    @pytest.mark.parametrize(
        ("needs", "reason"),
        [
            ({"backend": "qsim"}, "Waits for a machine where qsim works; none that runs has it."),
            (
                {"backend": "lightning", "needs_gpu": True},
                "Waits for a machine where lightning works with a graphics card; none that runs has it.",
            ),
            (
                {"expected_bytes": 2 * GIGABYTE},
                "Waits for a machine with more memory for native; the largest that runs has 1,073,741,824 bytes.",
            ),
        ],
    )
    async def test_what_nobody_can_run_waits(
        self, laboratory: Laboratory, fleet: Fleet, clock: SteppingClock, needs: dict[str, Any], reason: str
    ) -> None:
        """A job that no living machine can run stays in line unwoken and says why, until one comes that can."""
        caller = await laboratory.caller()
        row = await make_job_row(caller, **needs)

        woken = await laboratory.runs.reap()

        assert woken == []
        assert not await self.taken(laboratory, row)
        assert (await JobRow.get(id=row.id)).reason == reason
        assert await laboratory.runs.left_to_others(row.id) is None

        big = await machine(clock, "big", *(describe(name, gpu=True) for name in ("native", "lightning", "qsim")))
        fleet.others = (big.to_domain(),)
        woken = await laboratory.runs.reap()

        assert woken == []
        assert not await self.taken(laboratory, row)
        assert (await JobRow.get(id=row.id)).reason is None
        assert await laboratory.runs.left_to_others(row.id) == 5

    async def test_what_fits_is_taken(self, laboratory: Laboratory, fleet: Fleet) -> None:
        """A job that needs no more than this machine has is woken and taken here, whoever else is there."""
        caller = await laboratory.caller()
        submitted = await laboratory.submit(caller)
        row = await JobRow.get(id=submitted.job_id)

        assert row.needs == Needs(
            backend="native", memory_bytes=int(row.receipt["estimate"]["memory_bytes"]["expected"]), gpu=False
        )
        assert await laboratory.runs.reap() == [(row.id, 5)]
        assert await laboratory.runs.left_to_others(row.id) is None
        assert await self.taken(laboratory, row)

    async def test_one_machine_takes_everything(self, laboratory: Laboratory, fleet: Fleet) -> None:
        """Without a Redis there is no other machine: nothing waits for one, and a job learns in its process what is amiss."""
        fleet.shared = False
        caller = await laboratory.caller()
        submitted = await laboratory.submit(caller)
        await JobRow.filter(id=submitted.job_id).update(expected_bytes=2 * GIGABYTE, needs_gpu=True)

        assert await laboratory.runs.reap() == [(submitted.job_id, 5)]
        assert await self.taken(laboratory, await JobRow.get(id=submitted.job_id))

    async def test_submitted_for_another_machine(
        self, laboratory: Laboratory, fleet: Fleet, clock: SteppingClock
    ) -> None:
        """A backend or a graphics card that only another living machine has can be asked for, and is not without it."""
        caller = await laboratory.caller()
        gates = [
            {"type": "RY", "targets": [0], "parameters": {"theta": "x_0"}},
            {"type": "RY", "targets": [0], "parameters": {"theta": "theta_0"}},
        ]
        circuit = await laboratory.circuit(caller, gates)
        laboratory.backends._names = ["native", "lightning", "qsim"]
        with pytest.raises(BackendUnavailable):
            await laboratory.submit(caller, backend="qsim", circuit_id=circuit)

        big = await machine(clock, "big", describe("qsim"), describe("lightning", gpu=True))
        fleet.others = (big.to_domain(),)
        submitted = await laboratory.submit(caller, backend="qsim", circuit_id=circuit)
        with_card = await laboratory.submit(
            caller, backend="lightning", circuit_id=circuit, hardware_config={"nodes": 1, "gpus": 1}
        )

        assert submitted.backend == "qsim"
        assert (await JobRow.get(id=with_card.job_id)).needs_gpu
        shown = {record.name: record.status for record in await laboratory.backends.listed(caller)}
        assert shown["qsim"] == "available"

    async def test_memory_of_another_machine_counts(
        self, laboratory: Laboratory, fleet: Fleet, clock: SteppingClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A job too large for the server is accepted where a living machine is large enough, else refused at once."""
        for module in ("submission", "choices"):
            monkeypatch.setattr(f"qstore_appliance.services.{module}.memory_available", lambda: 1_000_000)
        caller = await laboratory.caller()
        with pytest.raises(InsufficientMemory):
            await laboratory.submit(caller)

        big = await machine(clock, "big", describe("native"))
        fleet.others = (big.to_domain(),)

        assert (await laboratory.submit(caller)).status == "queued"


async def test_slots_of_every_machine_count(laboratory: Laboratory, clock: SteppingClock) -> None:
    """How many jobs run at once is the sum over all living machines; where none is known nobody can say."""
    fleet = Fleet(shared=True)
    assert fleet.slots() is None

    fleet.others = tuple(
        [(await machine(clock, name, slots=slots)).to_domain() for name, slots in (("a", 3), ("b", 2))]
    )

    assert fleet.slots() == 5
