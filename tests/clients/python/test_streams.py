"""Streams of the client while connections are cut, servers start anew and authority ends."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qstore_client import ConnectionFailed, QStoreClient, SyncQStoreClient, errors

from tests.acceptance.processes import Served
from tests.clients.python.conftest import CONFIG, Laboratory, furnished, gates
from tests.clients.python.cutting import Cutter

pytestmark = pytest.mark.xdist_group("python-client")

LONG = {**CONFIG, "epochs": 100_000}
#: More events of a job than are kept.
FORGOTTEN = 4_000


@pytest.fixture
def long_job(lab: SyncQStoreClient) -> Iterator[str]:
    """It goes on until its test is over, and does not take the others' slots then."""
    id = submitted(lab, LONG)
    yield id
    lab.jobs.cancel(id)


def submitted(lab: SyncQStoreClient, config: dict[str, Any]) -> str:
    circuit = lab.circuits.create(name="streamed", n_qubits=4, gates=gates())
    return lab.jobs.submit(circuit_id=circuit.id, config=config).id


async def test_every_epoch_once(laboratory: Laboratory, client: QStoreClient, lab: SyncQStoreClient) -> None:
    """Progress, metrics and logs of a job, from before it runs to its end."""
    id = submitted(lab, {**CONFIG, "epochs": 12})
    metrics = asyncio.ensure_future(collected(client.jobs.stream_metrics(id)))
    lines = asyncio.ensure_future(collected(client.jobs.follow_logs(id)))
    updates = await collected(client.jobs.stream_progress(id))

    assert updates[-1].status == "completed"
    assert updates[-1].model_id is not None
    numbers = [one.seq for one in updates]
    assert numbers == sorted(set(numbers))
    # Before the streams were there the job may have begun.
    epochs = [one.epoch for one in await metrics]
    assert epochs == list(range(epochs[0], 13)) if epochs else updates[0].epoch == 12
    assert [line.message for line in await lines if line.message.startswith("Completed")]
    assert (await collected(client.jobs.stream_progress(id)))[0].status == "completed"
    assert await collected(client.jobs.stream_metrics(id)) == []


async def test_a_connection_that_is_cut(laboratory: Laboratory, long_job: str) -> None:
    """Cut again and again in the middle, and closed for a while: each number comes once, in order."""
    async with Cutter(laboratory.served.port) as cutter, laboratory.client(base_url=cutter.address) as cut:
        seen: list[int] = []
        async for update in cut.jobs.stream_progress(long_job):
            seen.append(update.seq)
            if len(seen) % 20 == 0 and len(seen) < 100:
                cutter.cut()
            if len(seen) == 100:
                await cut.jobs.cancel(long_job)
        lines = []
        async for line in cut.jobs.follow_logs(long_job, lines=50):
            lines.append(line.seq)
        assert cutter.connections > 3

    assert seen == sorted(set(seen))
    assert len(seen) > 100
    assert lines == sorted(set(lines))


async def test_a_reader_that_falls_behind(laboratory: Laboratory, client: QStoreClient, long_job: str) -> None:
    """Who is cut off until what followed is gone hears how the job is now, and nothing older after that."""
    async with Cutter(laboratory.served.port) as cutter, laboratory.client(base_url=cutter.address) as cut:
        seen: list[int] = []
        async for update in cut.jobs.stream_progress(long_job):
            seen.append(update.seq)
            if len(seen) == 5:
                cutter.cut()
                while (await client.jobs.get(long_job)).seq < update.seq + FORGOTTEN:
                    await asyncio.sleep(0.1)
            if len(seen) == 500:
                await client.jobs.cancel(long_job)

    assert seen == sorted(set(seen))
    assert len(seen) > 500
    assert max(after - before for before, after in itertools.pairwise(seen)) > FORGOTTEN / 4, "nothing was forgotten"


async def test_a_server_that_starts_anew(tmp_path: Path) -> None:
    """A stream is in the middle when its server is stopped and started again; it goes on to the job's end."""
    served = Served(tmp_path / "data")
    try:
        laboratory = furnished(served)
        async with laboratory.client() as client:
            circuit = await client.circuits.create(name="streamed", n_qubits=4, gates=gates())
            id = (await client.jobs.submit(circuit_id=circuit.id, config=LONG)).id
            logs = asyncio.ensure_future(collected(client.jobs.follow_logs(id)))
            # Without asyncio meanwhile, in a thread of its own.
            heard: list[int] = []
            listener = threading.Thread(target=listen, args=(laboratory, id, heard))
            listener.start()
            seen: list[Any] = []
            restarted = False
            async for update in client.jobs.stream_progress(id):
                seen.append(update)
                if update.epoch >= 20 and not restarted:
                    restarted, before = True, update.epoch
                    await asyncio.to_thread(served.stop)
                    served = await asyncio.to_thread(Served, tmp_path / "data", port=served.port)
                if restarted and update.epoch > before + 50 and not update.reason:
                    await client.jobs.cancel(id)
            lines = await logs
            await asyncio.to_thread(listener.join, 60)
    finally:
        served.stop()

    numbers = [one.seq for one in seen]
    assert numbers == sorted(set(numbers))
    assert seen[-1].status == "cancelled"
    assert "queued" in {one.status for one in seen}, "the job went back into the line when its server stopped"
    assert heard == sorted(set(heard))
    assert heard[-1] == numbers[-1]
    assert [line.seq for line in lines] == sorted({line.seq for line in lines})
    assert lines[-1].message.startswith("Cancelled")


def listen(laboratory: Laboratory, id: str, heard: list[int]) -> None:
    with laboratory.sync() as lab:
        heard.extend(update.seq for update in lab.jobs.stream_progress(id))


async def test_a_server_that_stays_away(laboratory: Laboratory, long_job: str) -> None:
    """After as long as was asked for, the stream says so."""
    async with Cutter(laboratory.served.port) as cutter, laboratory.client(base_url=cutter.address) as cut:
        stream = cut.jobs.stream_progress(long_job, away_seconds=0.5)
        await anext(stream)
        cutter.close()
        with pytest.raises(ConnectionFailed):
            await collected(stream)


async def test_authority_that_ends(laboratory: Laboratory, lab: SyncQStoreClient, long_job: str) -> None:
    """A key that is revoked ends its streams; one that never was begins none."""
    with laboratory.owner() as owner:
        key = owner.api_keys.create("short", ["jobs:read"])
    async with laboratory.client(api_key=key.key) as short:
        stream = short.jobs.stream_progress(long_job)
        # The second is one that the stream itself has brought.
        assert [(await anext(stream)).job_id for _ in range(2)] == [long_job] * 2
        lab.api_keys.revoke(key.id)
        with pytest.raises(errors.Unauthenticated):
            await collected(stream)
    async with laboratory.client(api_key="qsk_live_" + "a" * 24) as wrong:
        with pytest.raises(errors.Unauthenticated):
            await collected(wrong.events.notifications())
    async with laboratory.client(api_key=None) as nobody:
        with pytest.raises(errors.Unauthenticated):
            await collected(nobody.events.costs())


async def test_what_cannot_be_subscribed_to(client: QStoreClient) -> None:
    """A channel that does not exist, or a job that does not, is refused by its code."""
    with pytest.raises(errors.ValidationFailed):
        await collected(client.events.subscribe("weather"))
    with pytest.raises(errors.NotFound):
        await collected(client.events.subscribe("job.progress", job_id="job_" + "0" * 26))


async def test_channels_of_the_organization(client: QStoreClient, lab: SyncQStoreClient) -> None:
    """Notifications, costs and deployments are heard by whoever listens, and go on where they were."""
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async def listens(stream: Any) -> None:
        async for one in stream:
            heard.put_nowait(one)

    listening = [
        asyncio.ensure_future(listens(stream)) for stream in (client.events.notifications(), client.events.costs())
    ]
    # They are there once they hear what is repeated until then.
    while heard.empty():
        lab.budget.update(50.0)
        lab.budget.update(60.0)
        await asyncio.sleep(0.1)
    assert (await heard.get()).budget_limit in (50.0, 60.0)
    id = submitted(lab, CONFIG)
    while getattr(await asyncio.wait_for(heard.get(), 60), "about", None) != id:
        pass
    lab.budget.update(None)
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)


async def collected(stream: Any) -> list[Any]:
    return [one async for one in stream]
