"""What a server does at its start and daily."""

from __future__ import annotations

import asyncio

import pytest

from qstore_appliance.blobs import FileBlobs
from qstore_appliance.database.connection import Database
from qstore_appliance.database.partitions import AHEAD
from qstore_appliance.errors import Unavailable
from qstore_appliance.services import upkeep
from qstore_appliance.services.leftovers import Leftovers
from qstore_appliance.services.upkeep import Upkeep
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock


async def months(database: Database) -> set[str]:
    rows = await database.connection.execute_query_dict(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'cost_events'::regclass"
    )
    return {row["name"] for row in rows}


async def test_partitions_are_made_at_the_start_and_daily(
    database: Database, settings: Settings, clock: SteppingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Postgres the next months have their partitions once the server has started; months later the next ones do."""
    monkeypatch.setattr(upkeep, "DAY_SECONDS", 0.02)
    daily = Upkeep(database, clock, Leftovers(FileBlobs(settings.blob_dir)))
    await daily.start()
    if database.dialect == "sqlite":
        await daily.close()
        return
    first = await months(database)

    clock.advance(days=31 * AHEAD)
    later = f"cost_events_{clock.now():%Y_%m}"
    for _ in range(500):
        if len(await months(database)) >= len(first) + AHEAD - 1:
            break
        await asyncio.sleep(0.02)
    await daily.close()

    assert len(first) >= AHEAD + 3
    assert later in await months(database)
    assert len(await months(database)) > len(first)


async def test_what_does_not_work_is_tried_again(
    database: Database, settings: Settings, clock: SteppingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that fails, by the database or by a fault of ours, keeps nobody from starting, and is not the last."""
    monkeypatch.setattr(upkeep, "AGAIN_SECONDS", 0.01)
    failures: list[Exception] = [Unavailable("It does not answer."), RuntimeError("a fault"), Unavailable("Still.")]
    enough = asyncio.Event()

    async def make_ahead(*_: object) -> list[str]:
        if failures:
            raise failures.pop(0)
        enough.set()
        return []

    monkeypatch.setattr(upkeep, "make_ahead", make_ahead)
    daily = Upkeep(database, clock, Leftovers(FileBlobs(settings.blob_dir)))
    await daily.start()
    async with asyncio.timeout(10):
        await enough.wait()
    await daily.close()

    assert failures == []
