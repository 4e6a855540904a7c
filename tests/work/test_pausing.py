"""Jobs in a real appliance that are paused, resumed, gone on from and run again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from qstore_appliance.appliance import Appliance
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain.jobs import ContinueDraft, Job, Status
from tests.work.bench import LONG, Bench, children_of

#: Twenty epochs of which each takes long enough for a test to come in between, on any machine.
SLOW: dict[str, Any] = {"n_qubits": 6, "epochs": 20, "batch_size": 1, "dataset": {"type": "digits"}}


async def parameters(bench: Bench, job: Job) -> dict[str, list[float]]:
    assert job.model_id is not None, job.reason
    return (await bench.appliance.models.get(bench.caller, job.model_id)).parameters


async def test_paused_job_goes_on_bit_for_bit(bench: Bench) -> None:
    """A pause ends the child and frees the slot for another job; resumed, the job ends as if nothing had happened."""
    unbroken = await bench.ended(await bench.submit(**SLOW))
    job_id = await bench.submit(**SLOW)
    await bench.trained(job_id, 3)

    paused = await bench.appliance.jobs.pause(bench.caller, job_id)
    between = await bench.ended(await bench.submit())
    still = await bench.job(job_id)
    await bench.appliance.jobs.resume(bench.caller, job_id)
    job = await bench.ended(job_id)

    assert (paused.status, between.status, still.status) == (Status.PAUSED, Status.COMPLETED, Status.PAUSED)
    assert 3 <= paused.progress.current_epoch == still.progress.current_epoch < 20
    assert job.status == Status.COMPLETED, job.reason
    assert job.metrics["loss_history"] == unbroken.metrics["loss_history"]
    assert job.metrics["parameter_digests"] == unbroken.metrics["parameter_digests"]
    assert await parameters(bench, job) == await parameters(bench, unbroken)


async def test_pause_leaves_no_child(bench: Bench) -> None:
    """When the answer to a pause comes the job is paused; its child is gone, and cancelling it then is immediate."""
    job_id = await bench.submit(epochs=LONG)
    await bench.trained(job_id, 2)

    paused = await bench.appliance.jobs.pause(bench.caller, job_id)
    async with asyncio.timeout(20):
        while children_of("train"):
            await asyncio.sleep(0.01)
    cancelled = await bench.appliance.jobs.cancel(bench.caller, job_id)

    row = await JobRow.get(id=job_id)
    assert (paused.status, cancelled.status) == (Status.PAUSED, Status.CANCELLED)
    assert row.checkpoint is not None
    assert row.checkpoint_epoch == paused.progress.current_epoch


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
async def test_cancelled_job_is_gone_on_from_bit_for_bit(bench: Bench, optimizer: str) -> None:
    """A job of 20 epochs that was cancelled, and the new one that goes on from it, make the parameters of an unbroken 20."""
    values = {**SLOW, "optimizer": optimizer}
    unbroken = await bench.ended(await bench.submit(**values))
    job_id = await bench.submit(**values)
    await bench.trained(job_id, 3)
    cancelled = await bench.appliance.jobs.cancel(bench.caller, job_id)
    done = cancelled.progress.current_epoch

    submitted = await bench.appliance.jobs.go_on(bench.caller, job_id, ContinueDraft())
    job = await bench.ended(submitted.job_id)

    assert cancelled.status == Status.CANCELLED
    assert (job.continued_from, job.progress.total_epochs) == (job_id, 20)
    assert 3 <= done < 20
    assert job.metrics["parameter_digests"] == unbroken.metrics["parameter_digests"]
    assert job.metrics["loss_history"] == unbroken.metrics["loss_history"]
    assert await parameters(bench, job) == await parameters(bench, unbroken)
    # It has paid for its own epochs only.
    assert (
        job.resources.circuits_executed + cancelled.resources.circuits_executed >= unbroken.resources.circuits_executed
    )
    assert job.resources.circuits_executed < unbroken.resources.circuits_executed


async def test_completed_job_is_gone_on_from(bench: Bench) -> None:
    """Two times four epochs without a schedule are eight; one that had stopped early trains again."""
    eight = await bench.ended(await bench.submit(epochs=8, schedule="constant"))
    four = await bench.ended(await bench.submit(epochs=4, schedule="constant"))
    early = await bench.ended(
        await bench.submit(epochs=50, learning_rate=1e-9, early_stopping={"patience": 2, "min_delta": 0.1})
    )

    more = await bench.appliance.jobs.go_on(bench.caller, four.id, ContinueDraft())
    again = await bench.appliance.jobs.go_on(bench.caller, early.id, ContinueDraft(epochs=10))

    joined, renewed = await bench.ended(more.job_id), await bench.ended(again.job_id)
    assert joined.metrics["parameter_digests"] == eight.metrics["parameter_digests"]
    assert await parameters(bench, joined) == await parameters(bench, eight)
    assert early.progress.current_epoch == 3
    assert (renewed.status, renewed.progress.current_epoch) == (Status.COMPLETED, 5)


async def test_replay_says_whether_it_was_the_same(bench: Bench) -> None:
    """A replay is bit-equal and makes no model; against digests that were changed it names the first epoch that differs."""
    job = await bench.ended(await bench.submit(epochs=5, learning_rate=0.05))
    same = await bench.ended((await bench.appliance.jobs.replay(bench.caller, job.id)).job_id)
    row = await JobRow.get(id=job.id)
    digests = list(row.metrics["parameter_digests"])
    digests[2] = "0" * 16
    await JobRow.filter(id=job.id).update(metrics={**row.metrics, "parameter_digests": digests})

    other = await bench.ended((await bench.appliance.jobs.replay(bench.caller, job.id)).job_id)

    assert (same.status, same.replay_of, same.model_id) == (Status.COMPLETED, job.id, None)
    assert same.metrics["replay"] == {"of": job.id, "bit_equal": True, "first_difference": None}
    assert other.metrics["replay"] == {"of": job.id, "bit_equal": False, "first_difference": 3}
    warnings = await bench.appliance.jobs.logs(bench.caller, other.id, level="WARNING")
    assert [line.message for line in warnings] == [f"Epoch 3 left other parameters than that of {job.id}."]


async def test_receipt_names_what_ran(bench: Bench) -> None:
    """Circuit, data, code, seed, threads and kernels are in the receipt from the first epoch on, cancelled or not."""
    job_id = await bench.submit(epochs=LONG)
    await bench.trained(job_id)
    job = await bench.appliance.jobs.cancel(bench.caller, job_id)
    twin = await bench.ended(await bench.submit(epochs=2))

    receipt = job.receipt
    assert len(receipt["circuit_digest"]) == 64
    assert receipt["dataset_digest"].startswith("sha256:")
    assert receipt["seed"] == 7
    assert receipt["threads"] >= 1
    assert receipt["kernels"].startswith("kernels-")
    assert {"qstore_appliance", "python", "numpy", "numba", "llvmlite"} <= set(receipt["versions"])
    for key in ("circuit_digest", "dataset_digest", "kernels", "versions"):
        assert twin.receipt[key] == receipt[key]


async def test_the_better_job_is_taken_whoever_rang(appliance: Appliance, bench: Bench) -> None:
    """A message that tells of a low job makes a free slot take the high one that waits."""
    run, appliance.queue.run = appliance.queue.run, lambda job_id: None
    low = await bench.submit()
    high = await bench.submit()
    await JobRow.filter(id=low).update(priority="low")
    await JobRow.filter(id=high).update(priority="high")
    await asyncio.sleep(0.1)
    appliance.queue.run = run

    await appliance.queue.wake(low, 0)

    await bench.ended(high)
    await bench.ended(low)
    started = [(await JobRow.get(id=id)).started_at for id in (high, low)]
    assert started[0] < started[1]
