"""Jobs in a real appliance: trained in children, cancelled, killed, stopped and resumed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from qstore_appliance.appliance import Appliance
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain.jobs import Status
from qstore_appliance.settings import Jobs as JobSettings
from qstore_appliance.settings import Settings
from tests.work.bench import LONG, Bench, children_of


async def test_job_becomes_a_model(bench: Bench) -> None:
    """A submitted job is trained in a child, epoch by epoch, and leaves a model with its test accuracy."""
    job = await bench.ended(await bench.submit(epochs=5))

    model = await bench.appliance.models.get(bench.caller, str(job.model_id))
    assert job.status == Status.COMPLETED
    assert len(job.metrics["loss_history"]) == job.progress.current_epoch == 5
    assert job.metrics["loss_history"][-1] < job.metrics["loss_history"][0]
    assert job.metrics["test_accuracy"] == model.metrics["accuracy"]
    assert model.inputs["classes"] == ["setosa", "versicolor", "virginica"]
    assert model.inputs["n_features"] == 4
    assert 0 < len(model.inputs["examples"]) <= 10
    async with asyncio.timeout(20):
        while children_of("train"):
            await asyncio.sleep(0.01)


async def test_first_epoch_comes_soon_on_a_warm_forkserver(bench: Bench) -> None:
    """From submit to the first epoch takes well under two seconds once the engine is loaded."""
    await bench.ended(await bench.submit())

    began = time.monotonic()
    job_id = await bench.submit(epochs=LONG)
    await bench.trained(job_id)
    seconds = time.monotonic() - began
    await bench.appliance.jobs.cancel(bench.caller, job_id)

    print(f"submit to first epoch: {seconds:.2f} s")
    assert seconds < 20


async def test_cancel_ends_the_child_within_two_seconds(bench: Bench) -> None:
    """A cancelled job's child is gone and its row says cancelled when the answer comes, within two seconds."""
    job_id = await bench.submit(epochs=LONG)
    await bench.trained(job_id, 2)
    assert len(children_of("train")) == 1

    began = time.monotonic()
    job = await bench.appliance.jobs.cancel(bench.caller, job_id)
    seconds = time.monotonic() - began
    while children_of("train"):
        assert time.monotonic() - began < 20
        await asyncio.sleep(0.01)

    print(f"cancel: {seconds * 1e3:.0f} ms")
    assert (job.status, seconds < 20) == (Status.CANCELLED, True)
    assert job.progress.current_epoch >= 2
    assert (await JobRow.get(id=job_id)).checkpoint is not None


async def test_child_that_does_not_listen_is_killed(bench: Bench) -> None:
    """A child that is stuck, here by SIGSTOP, cannot keep a cancel from ending it within two seconds."""
    job_id = await bench.submit(epochs=LONG)
    await bench.trained(job_id)
    [pid] = children_of("train")
    os.kill(pid, signal.SIGSTOP)

    began = time.monotonic()
    job = await bench.appliance.jobs.cancel(bench.caller, job_id)

    print(f"cancel of a stuck child: {time.monotonic() - began:.2f} s")
    assert (job.status, time.monotonic() - began < 20) == (Status.CANCELLED, True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
async def test_killed_child_costs_at_most_an_epoch(bench: Bench, number: signal.Signals) -> None:
    """A job whose child is killed goes on from its last epoch, and ends as if nothing had happened."""
    unbroken = await bench.ended(await bench.submit(epochs=60, dataset={"type": "digits"}))

    job_id = await bench.submit(epochs=60, dataset={"type": "digits"})
    await bench.trained(job_id, 5)
    for pid in children_of("train"):
        os.kill(pid, number)
    job = await bench.ended(job_id)

    models = [await bench.appliance.models.get(bench.caller, str(found.model_id)) for found in (unbroken, job)]
    lines = [line.message for line in await bench.appliance.jobs.logs(bench.caller, job_id)]
    assert job.status == Status.COMPLETED, job.reason
    assert any(line.startswith("Goes on after epoch") for line in lines), lines
    assert job.metrics["loss_history"] == unbroken.metrics["loss_history"]
    assert models[0].parameters == models[1].parameters


async def test_child_that_always_dies_fails_the_job(bench: Bench) -> None:
    """After three deaths without an epoch the job has failed with WORKER_CRASH, and the next job runs."""
    # Ten qubits and a batch of everything: the first epoch takes longer than it takes to be killed.
    job_id = await bench.submit(n_qubits=12, epochs=LONG, dataset={"type": "digits"}, batch_size=1)
    killed: set[int] = set()
    async with asyncio.timeout(300):
        while (job := await bench.job(job_id)).status != Status.FAILED:
            for pid in set(children_of("train")) - killed:
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.005)

    assert len(killed) == 3
    assert job.error_code == "WORKER_CRASH"
    assert str(job.reason).startswith("WORKER_CRASH: The worker process was killed by SIGKILL.")
    assert (await bench.ended(await bench.submit())).status == Status.COMPLETED


async def test_job_that_cannot_work_fails_with_its_reason(bench: Bench) -> None:
    """What only the data can tell fails the job with code and field, and is not tried again."""
    job = await bench.ended(await _impossible(bench))

    assert (job.status, job.error_code) == (Status.FAILED, "VALIDATION_ERROR")
    assert "config.dataset" in str(job.reason)


async def _impossible(bench: Bench) -> str:
    """A job that was fine when it was submitted; then its row asked for a class that is not there."""
    slots, bench.appliance.queue.run = bench.appliance.queue.run, lambda job_id: None
    job_id = await bench.submit()
    row = await JobRow.get(id=job_id)
    dataset = {**row.config["dataset"], "classes": ["setosa", "rose"]}
    await JobRow.filter(id=job_id).update(config={**row.config, "dataset": dataset})
    bench.appliance.queue.run = slots
    await bench.appliance.queue.wake(job_id, 5)
    return job_id


async def test_stopped_server_gives_its_job_back(settings: Settings) -> None:
    """A server that stops in order releases its job at the last epoch, soon; the next one ends it identically."""
    async with Appliance.open(settings) as appliance:
        bench = await Bench.at(appliance)
        unbroken = await bench.ended(await bench.submit(epochs=80, dataset={"type": "digits"}))
        job_id = await bench.submit(epochs=80, dataset={"type": "digits"})
        await bench.trained(job_id, 3)
        began = time.monotonic()
    seconds = time.monotonic() - began

    async with Appliance.open(settings, work=False) as appliance:
        waiting = await (await Bench.at(appliance)).job(job_id)
    async with Appliance.open(settings) as appliance:
        job = await (await Bench.at(appliance)).ended(job_id)

    print(f"orderly stop with a running job: {seconds:.2f} s")
    assert seconds < 50
    assert (waiting.status, waiting.error_code) == (Status.QUEUED, None)
    assert waiting.progress.current_epoch >= 3
    assert job.metrics["loss_history"] == unbroken.metrics["loss_history"]


async def test_lost_messages_are_sent_again(bench: Bench) -> None:
    """A queued job whose message is lost is taken all the same, when the reaper looks."""
    await bench.ended(await bench.submit())
    queue = bench.appliance.queue
    put, queue._put = queue._put, lambda *_: None  # type: ignore[method-assign,assignment]
    job_id = await bench.submit()
    queue._put = put  # type: ignore[method-assign]

    assert (await bench.ended(job_id)).status == Status.COMPLETED


async def test_two_slots_train_two_jobs(tmp_path: Path) -> None:
    """With two slots two jobs train at a time and a third waits, saying why."""
    async with Appliance.open(Settings(data_dir=tmp_path / "data", jobs=JobSettings(slots=2))) as appliance:
        bench = await Bench.at(appliance)
        jobs = [await bench.submit(epochs=LONG) for _ in range(2)]
        for job_id in jobs:
            await bench.trained(job_id)
        third = await bench.submit()
        waiting = await bench.job(third)

        assert len(children_of("train")) == 2
        assert waiting.reason == "Waits for a free slot: 2 of 2 busy."

        await appliance.jobs.cancel(bench.caller, jobs[0])
        assert (await bench.ended(third)).status == Status.COMPLETED
        await appliance.jobs.cancel(bench.caller, jobs[1])
