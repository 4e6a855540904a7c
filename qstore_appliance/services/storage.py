"""
How much an organization keeps, and that it keeps no more than it may: one of them cannot fill the disk of all.

What counts is added up from the rows when somebody asks, so that it is always right. It is asked before something is taken,
not when work that was accepted is done: a model that was trained is kept.
"""

from __future__ import annotations

import time

from tortoise.functions import Count, Sum
from tortoise.queryset import QuerySet

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import OrganizationRow
from qstore_appliance.database.tables.datasets import DatasetRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.database.tables.models import ModelRow
from qstore_appliance.domain.accounts import OrganizationSettings
from qstore_appliance.domain.storage import THING_BYTES, StorageUse
from qstore_appliance.errors import Forbidden, StorageFull
from qstore_appliance.settings import Settings

#: Jobs are many and small: for whether one is taken, what was added up so long ago is good enough.
ADMIT_SECONDS = 5.0
REMEMBERED = 1_000


class Storage:
    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._remembered: dict[str, tuple[float, StorageUse]] = {}

    async def use(self, organization_id: str) -> StorageUse:
        """What an organization keeps now."""
        row = await OrganizationRow.get_or_none(id=organization_id)
        datasets = await _bytes(DatasetRow.filter(organization_id=organization_id, source="upload"), "size_bytes")
        models = await _bytes(ModelRow.filter(organization_id=organization_id), "artifact_bytes")
        kept = JobRow.filter(organization_id=organization_id, checkpoint__isnull=False)
        checkpoints = await _bytes(kept, "checkpoint_bytes")
        return StorageUse(
            limit_bytes=self._limit(OrganizationSettings() if row is None else row.to_domain().settings),
            used_bytes=datasets + models + checkpoints,
            datasets_bytes=datasets,
            models_bytes=models,
            checkpoints_bytes=checkpoints,
        )

    async def require_room(self, organization_id: str, wanted: int = 0) -> None:
        """
        Args:
            wanted: Bytes of a thing that is to be kept.

        Raises:
            StorageFull: The organization would keep more than it may.
        """
        _require_room(await self.use(organization_id), wanted)

    async def admit(self, organization_id: str) -> None:
        """
        Before work that will leave something behind, such as a model. It may be a few seconds late.

        Raises:
            StorageFull: The organization keeps all that it may.
        """
        until, use = self._remembered.get(organization_id, (0.0, None))
        if use is None or time.monotonic() >= until:
            use = await self.use(organization_id)
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            self._remembered[organization_id] = (time.monotonic() + ADMIT_SECONDS, use)
        _require_room(use, 0)

    def require_no_more(self, before: OrganizationSettings, after: OrganizationSettings) -> None:
        """
        Raises:
            Forbidden: An organization would keep more by these settings than by those before.
        """
        was, would = self._limit(before), self._limit(after)
        if was is not None and (would is None or would > was):
            raise Forbidden("Only the operator of this installation lets an organization keep more.")

    async def alone(self, organization_id: str) -> None:
        """Inside a transaction: nobody else takes room of this organization until it is over."""
        await self._database.one_at_a_time(f"storage:{organization_id}")

    def _limit(self, settings: OrganizationSettings) -> int | None:
        own = settings.max_storage_bytes
        return own if own is not None else self._settings.limits.organization_bytes or None


async def _bytes(rows: QuerySet, column: str) -> int:  # type: ignore[type-arg]
    found = await rows.annotate(total=Sum(column), things=Count("id")).values("total", "things")
    return int(found[0]["total"] or 0) + THING_BYTES * int(found[0]["things"])


def _require_room(use: StorageUse, wanted: int) -> None:
    if use.limit_bytes is None or use.used_bytes + THING_BYTES + wanted <= use.limit_bytes:
        return
    raise StorageFull(
        f"Your organization keeps {use.used_bytes:,} bytes of the {use.limit_bytes:,} that it may: delete data sets or "
        "models, or ask the operator for more.",
        details={"limit_bytes": use.limit_bytes, "used_bytes": use.used_bytes, "wanted_bytes": wanted},
    )
