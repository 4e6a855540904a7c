"""What an organization keeps and may keep, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import OrganizationRow
from qstore_appliance.database.tables.datasets import DatasetRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.database.tables.models import ModelRow
from qstore_appliance.domain.accounts import Caller, OrganizationSettings
from qstore_appliance.domain.storage import THING_BYTES
from qstore_appliance.errors import Forbidden, StorageFull
from qstore_appliance.services.datasets import Datasets
from qstore_appliance.services.storage import Storage
from qstore_appliance.settings import Limits, Settings
from tests.factories import SteppingClock, ThreadCalculator, make_caller, make_job_row, make_model_row
from tests.services.laboratory import Laboratory

TABLE = "length,width,kind\n1,2,a\n3,4,b\n5,6,a\n7,8,b\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "received"
    path.write_text(TABLE)
    return path


async def caller_with(limit: int | None) -> Caller:
    caller = make_caller()
    await OrganizationRow.create(
        id=caller.organization_id, name="Lab", settings={} if limit is None else {"max_storage_bytes": limit}
    )
    return caller


@pytest.fixture
def laboratory(database: Database, settings: Settings, clock: SteppingClock) -> Laboratory:
    return Laboratory(database, settings, clock)


async def test_what_counts(laboratory: Laboratory, settings: Settings, table: Path) -> None:
    """Uploads, models and checkpoints, each with its bytes and 4 KiB; nothing of another organization."""
    storage = Storage(laboratory.database, settings)
    ours, theirs = await caller_with(None), await caller_with(None)
    assert (await storage.use(ours.organization_id)).used_bytes == 0
    made = await laboratory.datasets.upload(ours, path=table, filename="a.csv")
    model = await make_model_row(ours)
    job = await make_job_row(ours)
    await JobRow.filter(id=job.id).update(checkpoint="sha256:" + "0" * 64, checkpoint_bytes=500)
    await make_job_row(ours)
    size = (await DatasetRow.get(id=made.id)).size_bytes

    use = await storage.use(ours.organization_id)

    assert use.datasets_bytes == size + THING_BYTES
    assert use.models_bytes == (await ModelRow.get(id=model.id)).artifact_bytes + THING_BYTES
    assert use.checkpoints_bytes == 500 + THING_BYTES
    assert use.used_bytes == use.datasets_bytes + use.models_bytes + use.checkpoints_bytes
    assert use.limit_bytes == settings.limits.organization_bytes == 50_000_000_000
    assert (await storage.use(theirs.organization_id)).used_bytes == 0


async def test_an_upload_too_many(
    laboratory: Laboratory, settings: Settings, table: Path, clock: SteppingClock
) -> None:
    """What goes beyond the limit is refused and leaves nothing; what was deleted counts until it is gone for good."""
    caller, storage = await caller_with(None), Storage(laboratory.database, settings)
    made = await laboratory.datasets.upload(caller, path=table, filename="a.csv")
    used = (await storage.use(caller.organization_id)).used_bytes
    await OrganizationRow.filter(id=caller.organization_id).update(settings={"max_storage_bytes": 2 * used - 1})

    for name in ("b.csv", "c.csv"):
        with pytest.raises(StorageFull) as caught:
            await laboratory.datasets.upload(caller, path=table, filename=name)
        assert caught.value.details["used_bytes"] == used
    assert await DatasetRow.filter(organization_id=caller.organization_id).count() == 1
    await laboratory.datasets.delete(caller, made.id)
    with pytest.raises(StorageFull):
        await laboratory.datasets.upload(caller, path=table, filename="b.csv")
    clock.advance(seconds=24 * 3_600 + 1)
    assert await laboratory.datasets.purge() == 1

    assert (await laboratory.datasets.upload(caller, path=table, filename="b.csv")).name == "b"


async def test_no_room_at_all(laboratory: Laboratory) -> None:
    """Before a file is received, whoever may send it is told that there is no room; whoever may not, that they may not."""
    caller = await caller_with(THING_BYTES - 1)

    with pytest.raises(StorageFull):
        await laboratory.datasets.require_room(caller)
    with pytest.raises(Forbidden):
        await laboratory.datasets.require_room(make_caller("viewer", organization_id=caller.organization_id))


async def test_many_uploads_at_once(laboratory: Laboratory, settings: Settings, table: Path) -> None:
    """Twenty uploads that want the room of three get three, whoever comes first."""
    caller, storage = await caller_with(None), Storage(laboratory.database, settings)
    await laboratory.datasets.upload(caller, path=table, filename="a.csv")
    used = (await storage.use(caller.organization_id)).used_bytes
    await OrganizationRow.filter(id=caller.organization_id).update(settings={"max_storage_bytes": 4 * used})

    results: list[Any] = await asyncio.gather(
        *(laboratory.datasets.upload(caller, path=table, filename=f"{n}.csv") for n in range(20)),
        return_exceptions=True,
    )

    assert sum(isinstance(one, StorageFull) for one in results) == 17
    assert sum(not isinstance(one, BaseException) for one in results) == 3
    assert (await storage.use(caller.organization_id)).used_bytes == 4 * used


async def test_an_upload_whose_bytes_are_not_kept(
    database: Database, settings: Settings, clock: SteppingClock, table: Path
) -> None:
    """Where the disk refuses the bytes, no data set is left, and no room is taken."""

    class Full:
        async def adopt(self, source: Path) -> str:
            raise StorageFull

    caller = await caller_with(None)
    datasets = Datasets(database, Full(), ThreadCalculator(), clock, settings)  # type: ignore[arg-type]

    with pytest.raises(StorageFull):
        await datasets.upload(caller, path=table, filename="a.csv")

    assert (await Storage(database, settings).use(caller.organization_id)).used_bytes == 0
    assert await DatasetRow.all().count() == 0


async def test_jobs(laboratory: Laboratory) -> None:
    """A job is refused while everything is used, and leaves no row; one that was accepted before is as it was."""
    caller = await laboratory.caller()
    submitted = await laboratory.submit(caller)
    await OrganizationRow.filter(id=caller.organization_id).update(settings={"max_storage_bytes": 100})
    storage = laboratory.jobs.intake._storage
    storage._remembered.clear()

    with pytest.raises(StorageFull):
        await laboratory.submit(caller)

    assert await JobRow.filter(organization_id=caller.organization_id).count() == 1
    assert (await laboratory.jobs.get(caller, submitted.job_id)).id == submitted.job_id


@pytest.mark.parametrize(
    ("installation", "before", "after", "allowed"),
    [
        (1_000, None, 500, True),
        (1_000, None, 1_001, False),
        (1_000, 500, None, False),
        (1_000, 5_000, 2_000, True),
        (1_000, 5_000, None, True),
        (1_000, 500, 500, True),
        (0, None, 500, True),
        (0, 500, None, False),
        (0, None, None, True),
        (1_000, 0, 1, False),
    ],
)
async def test_who_is_no_operator_allows_no_more(
    database: Database, settings: Settings, installation: int, before: int | None, after: int | None, allowed: bool
) -> None:
    """The limit goes down, or stays; null is the installation's, and 0 of the installation no limit."""
    storage = Storage(database, replace(settings, limits=Limits(organization_bytes=installation)))
    was, would = OrganizationSettings(max_storage_bytes=before), OrganizationSettings(max_storage_bytes=after)

    if allowed:
        storage.require_no_more(was, would)
    else:
        with pytest.raises(Forbidden):
            storage.require_no_more(was, would)
