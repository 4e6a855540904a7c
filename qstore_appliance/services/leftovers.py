"""
Leftovers: blobs to which no row refers, since a process was killed between storing them and saying so, or between saying
something else and deleting them.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from tortoise.models import Model

from qstore_appliance.database.tables.datasets import DatasetRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.database.tables.models import ModelRow
from qstore_appliance.domain.ports import BlobStore

log = structlog.get_logger(__name__)

#: A blob that was stored within a day may be about to be referred to, however slow the machine.
AGE_SECONDS = 24 * 3600.0
#: Every column that refers to a blob.
REFERENCES: tuple[tuple[type[Model], str], ...] = (
    (JobRow, "checkpoint"),
    (ModelRow, "artifact_digest"),
    (DatasetRow, "digest"),
)


class Leftovers:
    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    async def sweep(self, seconds: float = AGE_SECONDS) -> list[str]:
        """
        Delete the leftovers that nobody has stored for so long. Returns their digests.

        Safe beside everything else: whoever stores bytes that are there already makes them young first, and what is
        deleted has been old and without a reference in this order, twice.
        """
        aged = await self._blobs.aged(seconds)
        referred = await _referred() if aged else set()
        swept = []
        for digest in aged:
            if digest in referred or await _is_referred(digest):
                continue
            if await self._blobs.delete_aged(digest, seconds):
                swept.append(digest)
        if swept:
            log.info("leftovers.swept", blobs=len(swept))
        return swept


async def _referred() -> set[str]:
    found: set[str] = set()
    for table, column in REFERENCES:
        digests: Iterable[object] = await table.filter(**{f"{column}__isnull": False}).values_list(column, flat=True)
        found.update(map(str, digests))
    return found


async def _is_referred(digest: str) -> bool:
    for table, column in REFERENCES:
        if await table.filter(**{column: digest}).exists():
            return True
    return False
