"""A provider's estimate is what a job is estimated at: asked briefly, remembered for a minute, or left to the prices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.errors import BackendUnavailable
from qstore_appliance.services import remote_costs
from qstore_appliance.services.jobs import Jobs
from qstore_appliance.services.remote_costs import RemoteCosts
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock, ThreadCalculator
from tests.plugins import fake_ionq as wrong
from tests.plugins.fake_ionq import FakeIonQ
from tests.services.laboratory import Laboratory

CONFIG = {"task": "classification", "dataset": {"type": "iris"}, "shots": 100}
CIRCUIT = {"n_qubits": 1, "gates": [{"type": "RY", "targets": [0], "parameters": {"theta": "x_0"}}]}


@pytest.fixture
def fake() -> Iterator[FakeIonQ]:
    running = FakeIonQ()
    yield running
    running.close()


@pytest_asyncio.fixture
async def laboratory(
    database: Database, settings: Settings, clock: SteppingClock, fake: FakeIonQ
) -> AsyncIterator[Laboratory]:
    """Its jobs may go to a provider on this machine."""
    options = {"api_key": "key", "base_url": fake.url, "retry_pause": 0.01, "call_timeout": 1}
    configured = Settings(
        data_dir=settings.data_dir, database=settings.database, backends={"ionq_simulator": {**options}}
    )
    laboratory = Laboratory(database, configured, clock)
    laboratory.jobs = Jobs(
        database,
        laboratory.queue,
        laboratory.backends,
        laboratory.datasets,
        laboratory.runs,
        laboratory.events,
        clock,
        configured,
        RemoteCosts(laboratory.backends, ThreadCalculator()),
    )
    yield laboratory
    await laboratory.close()


async def test_the_providers_estimate_is_the_jobs(laboratory: Laboratory, fake: FakeIonQ) -> None:
    """One circuit's 12.50 dollars times the circuits that the job will run, in the answer to submit and in its row."""
    caller = await laboratory.caller()
    draft = await laboratory.draft(caller, backend="ionq_simulator", epochs=1)

    estimated = await laboratory.jobs.estimate(caller, draft)
    submitted = await laboratory.jobs.submit(caller, draft)

    # A training part of 75 % with one circuit and two more for each of two rotations, and what is validated and tested.
    circuits = estimated["cost"]["expected"] / 12_500_000
    assert circuits == int(circuits) > 100
    assert submitted.estimated_cost == estimated["cost"]["expected"]
    assert fake.count("GET /jobs/estimate") == 1


async def test_prices_do_where_the_provider_does_not_say(laboratory: Laboratory, fake: FakeIonQ) -> None:
    """A job is accepted all the same, estimated by the price list, which is nothing here."""
    fake.plan("GET /jobs/estimate", *[wrong.status(404)] * 5)
    caller = await laboratory.caller()

    submitted = await laboratory.submit(caller, backend="ionq_simulator", epochs=1)

    assert submitted.estimated_cost == 0


async def test_each_measurement_basis_is_a_circuit(laboratory: Laboratory) -> None:
    """What one sample costs has as many circuits in it as its readout needs."""
    costs = RemoteCosts(laboratory.backends, ThreadCalculator())
    one = await costs.per_execution("ionq_simulator", CIRCUIT, CONFIG)
    both = await costs.per_execution("ionq_simulator", CIRCUIT, {**CONFIG, "readout": {"observables": ["Z0", "X0"]}})

    assert (one, both) == (12_500_000, 25_000_000)


class Answers:
    """A `Calculator` with one answer."""

    def __init__(self, answer: float | Exception | None, seconds: float = 0.0) -> None:
        self.answer, self.seconds, self.asked = answer, seconds, 0

    async def call(self, function: str, /, *args: Any, timeout: float = 30.0, **kwargs: Any) -> Any:
        self.asked += 1
        await asyncio.sleep(self.seconds)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("answer", [0.5, None, BackendUnavailable("away")], ids=str)
async def test_an_answer_is_remembered_for_a_minute(laboratory: Laboratory, answer: Any) -> None:
    """Also that there is none; afterwards, and for another circuit, it is asked for again."""
    now, calculator = [0.0], Answers(answer)
    costs = RemoteCosts(laboratory.backends, calculator, monotonic=lambda: now[0])

    first = await costs.per_execution("ionq_simulator", CIRCUIT, CONFIG)
    again = await costs.per_execution("ionq_simulator", CIRCUIT, {**CONFIG, "epochs": 9})

    assert first == again == (500_000 if answer == 0.5 else None)
    assert calculator.asked == 1
    await costs.per_execution("ionq_simulator", {**CIRCUIT, "n_qubits": 2}, CONFIG)
    assert calculator.asked == 2
    now[0] = 61.0
    await costs.per_execution("ionq_simulator", CIRCUIT, CONFIG)
    assert calculator.asked == 3


async def test_nobody_waits_long(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that does not answer in time leaves it to the prices."""
    monkeypatch.setattr(remote_costs, "PATIENCE_SECONDS", 0.05)

    async with asyncio.timeout(5):
        found = await RemoteCosts(laboratory.backends, Answers(1.0, seconds=60)).per_execution(
            "ionq_simulator", CIRCUIT, CONFIG
        )

    assert found is None
