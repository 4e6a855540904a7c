"""Blobs that nobody refers to are swept, and nothing else is: on files and in the database."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from importlib import import_module

import pytest
import pytest_asyncio
from tortoise import timezone
from tortoise.models import Model

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables import MODULES
from qstore_appliance.database.tables.blobs import BlobRow
from qstore_appliance.database.tables.datasets import DatasetRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.errors import NotFound
from qstore_appliance.services.leftovers import AGE_SECONDS, REFERENCES, Leftovers
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock
from tests.services.laboratory import Laboratory, make_report


@pytest_asyncio.fixture
async def laboratory(database: Database, settings: Settings, clock: SteppingClock) -> AsyncIterator[Laboratory]:
    made = Laboratory(database, settings, clock)
    yield made
    await made.close()


@pytest.fixture
def leftovers(laboratory: Laboratory) -> Leftovers:
    return Leftovers(laboratory.blobs)


async def grow_old(laboratory: Laboratory, seconds: float = AGE_SECONDS + 60) -> None:
    """Let everything have been stored so long ago."""
    for file in (laboratory.settings.data_dir / "blobs").rglob("*.bin"):
        os.utime(file, (time.time() - seconds,) * 2)
    await BlobRow.all().update(created_at=timezone.now() - timedelta(seconds=seconds))


async def kept(laboratory: Laboratory) -> set[str]:
    return set(await laboratory.blobs.aged(-60))


async def killed_before_its_commit(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A job that has saved one epoch and lost the second between its checkpoint and its row: the job and that checkpoint."""
    lease, _ = await laboratory.begun(await laboratory.caller())
    await laboratory.runs.record_epoch(lease, make_report(1))
    before = await kept(laboratory)

    async def killed(*_: object) -> None:
        raise ConnectionAbortedError

    with monkeypatch.context() as patch:
        patch.setattr(laboratory.runs, "_saved", killed)
        with pytest.raises(ConnectionAbortedError):
            await laboratory.runs.record_epoch(lease, make_report(2))
    (orphan,) = await kept(laboratory) - before
    return lease.job_id, orphan


async def test_a_checkpoint_that_was_never_referred_to_is_swept(
    laboratory: Laboratory, leftovers: Leftovers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint of an epoch that was never saved goes once it is old; the one that the job goes on from stays."""
    job_id, orphan = await killed_before_its_commit(laboratory, monkeypatch)
    used = (await JobRow.get(id=job_id)).checkpoint
    assert await leftovers.sweep() == []

    await grow_old(laboratory)

    assert await leftovers.sweep() == [orphan]
    assert await kept(laboratory) == {used}
    assert (await laboratory.blobs.get(str(used))).endswith(b"checkpoint 1")
    with pytest.raises(NotFound):
        await laboratory.blobs.get(orphan)
    assert await leftovers.sweep() == []


async def test_a_checkpoint_that_was_not_freed_is_swept(
    laboratory: Laboratory, leftovers: Leftovers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill after an epoch was saved leaves the checkpoint before it; that goes, and the last one stays."""
    lease, _ = await laboratory.begun(await laboratory.caller())

    async def not_freed(digest: str) -> None:
        return None

    monkeypatch.setattr(laboratory.runs, "_free", not_freed)
    for epoch in (1, 2, 3):
        await laboratory.runs.record_epoch(lease, make_report(epoch))
    await grow_old(laboratory)

    assert len(await leftovers.sweep()) == 2
    assert await kept(laboratory) == {(await JobRow.get(id=lease.job_id)).checkpoint}


async def test_an_epoch_that_is_repeated_keeps_the_checkpoint_of_the_first_try(
    laboratory: Laboratory, leftovers: Leftovers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repeated epoch has the same bytes: from the moment at which it stores them they are no leftovers any more."""
    job_id, orphan = await killed_before_its_commit(laboratory, monkeypatch)
    await grow_old(laboratory)
    saved = laboratory.runs._saved

    async def sweeping(*given: object) -> object:
        # The checkpoint is stored, and its row is not written yet.
        assert orphan not in await leftovers.sweep()
        return await saved(*given)  # type: ignore[arg-type]

    row = await JobRow.get(id=job_id)
    laboratory.clock.advance(minutes=10)
    lease, _ = await laboratory.runs.begin(job_id, "directory:host:2")  # type: ignore[misc]
    with monkeypatch.context() as patch:
        patch.setattr(laboratory.runs, "_saved", sweeping)
        await laboratory.runs.record_epoch(lease, make_report(2))
    await leftovers.sweep()

    assert (await JobRow.get(id=job_id)).checkpoint == orphan != row.checkpoint
    assert (await laboratory.blobs.get(orphan)).endswith(b"checkpoint 2")


async def test_models_and_data_sets_are_no_leftovers(laboratory: Laboratory, leftovers: Leftovers) -> None:
    """However old: a model's artifact, an uploaded data set and an ended job's last checkpoint stay."""
    caller = await laboratory.caller()
    await laboratory.trained_model(caller)
    digest = await laboratory.blobs.put(b"a data set")
    for deleted in (None, laboratory.clock.now()):
        await DatasetRow.create(
            id=f"dataset_{deleted is None}",
            organization_id=caller.organization_id,
            user_id=caller.user_id,
            name="n",
            digest=digest,
            n_samples=1,
            n_features=1,
            classes=[],
            size_bytes=10,
            source="upload",
            deleted_at=deleted,
        )
    orphan = await laboratory.blobs.put(b"nobody's")
    before = await kept(laboratory)
    await grow_old(laboratory)

    assert await leftovers.sweep() == [orphan]
    assert await kept(laboratory) == before - {orphan}
    assert len(before) == 4


def test_every_column_that_holds_a_digest_is_known() -> None:
    """A new column for a digest of a blob has to be added to what is looked at before anything is swept."""
    found = set()
    for module in MODULES:
        for table in vars(import_module(module)).values():
            if isinstance(table, type) and issubclass(table, Model) and table is not Model:
                columns = {name for name in table._meta.fields_map if "digest" in name or name == "checkpoint"}
                found |= {(table._meta.db_table, name) for name in columns}

    # The blobs' own key, and what was sent to a provider.
    others = {("blobs", "digest"), ("remote_jobs", "digest")}
    assert found == {(table._meta.db_table, column) for table, column in REFERENCES} | others
