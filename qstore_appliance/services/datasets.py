"""Data sets: built in, imported by the operator, uploaded. Their files are opened in a calculator process, never here."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from qstore_appliance.blobs import FileBlobs
from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.datasets import DatasetRow
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.datasets import Dataset
from qstore_appliance.domain.jobs import LIVE
from qstore_appliance.domain.listing import Listed, Page
from qstore_appliance.domain.ports import BlobStore, Calculator, Clock
from qstore_appliance.engine.dataset_names import BUILTIN, IMPORTABLE, import_command
from qstore_appliance.errors import (
    Conflict,
    DatasetMissing,
    Forbidden,
    NotFound,
    TooLarge,
    UnsupportedMediaType,
    ValidationFailed,
)
from qstore_appliance.services.sorting import order_of
from qstore_appliance.services.storage import Storage
from qstore_appliance.settings import Settings

RESTORABLE = timedelta(hours=24)
SORTS = ("created_at", "name", "n_samples", "n_features")
_KINDS = {".csv": "csv", ".npz": "npz"}
_READ_SECONDS = 300.0
_ENGINE = "qstore_appliance.engine.ingest"


class Datasets:
    def __init__(
        self, database: Database, blobs: BlobStore, calculator: Calculator, clock: Clock, settings: Settings
    ) -> None:
        self._database = database
        self._blobs = blobs
        # Imported ones lie where the operator wants them, unless other machines must reach them too.
        self._imported: BlobStore = blobs if settings.is_postgres else FileBlobs(settings.dataset_dir)
        self._calculator = calculator
        self._clock = clock
        self._settings = settings
        self._storage = Storage(database, settings)

    # Reading -----------------------------------------------------------------------------------------------------

    async def listed(self, caller: Caller, page: Page, source: str | None = None) -> Listed[Dataset]:
        """
        Built-in ones, then imported ones, then the organization's own in the order asked for.

        Args:
            source: Only those from there.
        """
        caller.require("datasets:read")
        imported = await DatasetRow.filter(source="imported", deleted_at=None).order_by("name")
        first = [_builtin(name) for name in BUILTIN] + [row.to_domain() for row in imported]
        own = DatasetRow.filter(organization_id=caller.organization_id, source="upload", deleted_at=None)
        if source is not None:
            first, own = [one for one in first if one.source == source], own.filter(source=source)
        items = first[page.offset : page.offset + page.limit]
        order = order_of(page.sort, SORTS)
        if len(items) < page.limit:
            skipped = max(0, page.offset - len(first))
            rows = await own.order_by(*order).offset(skipped).limit(page.limit - len(items))
            items += [row.to_domain() for row in rows]
        total = len(first) + await own.count()
        return Listed(items=items, total=total, limit=page.limit, offset=page.offset)

    async def get(self, caller: Caller, id: str) -> Dataset:
        """
        Raises:
            NotFound: No such data set for the caller's organization.
            DatasetMissing: A known one that nobody has imported, with the command that brings it.
        """
        caller.require("datasets:read")
        if id in BUILTIN:
            return _builtin(id)
        return (await self._row(caller.organization_id, id)).to_domain()

    async def statistics(self, caller: Caller, id: str) -> dict[str, Any]:
        """
        Counts per class; mean, spread and range per feature.

        Raises:
            NotFound: No such data set for the caller's organization.
            DatasetMissing: A known one that nobody has imported.
        """
        caller.require("datasets:read")
        reference = await self.resolve(caller.organization_id, id)
        found: dict[str, Any] = await self._calculator.call(f"{_ENGINE}:describe", reference, timeout=_READ_SECONDS)
        return found

    @asynccontextmanager
    async def part(self, caller: Caller, id: str, name: str, kind: str) -> AsyncIterator[Path]:
        """
        A file with one part of a data set, `train`, `validation` or `test`, as `npz` or `json`; gone afterwards.

        Raises:
            NotFound: No such data set for the caller's organization.
            DatasetMissing: A known one that nobody has imported.
            ValidationFailed, TooLarge: It is too small to have parts, or too large for JSON.
        """
        caller.require("datasets:read")
        reference = await self.resolve(caller.organization_id, (await self.get(caller, id)).id)
        async with self._canonical() as target:
            arguments = (reference, name, kind, str(target))
            await self._calculator.call(f"{_ENGINE}:part", *arguments, timeout=_READ_SECONDS)
            yield target

    async def resolve(self, organization_id: str, type: str) -> dict[str, Any]:
        """
        `config.dataset.type` as a training plan refers to it: `{"kind": "builtin", "name"}` or
        `{"kind": "file", "path", "digest"}`.

        Raises:
            NotFound: No such data set for this organization.
            DatasetMissing: A known one that nobody has imported, with the command that brings it.
            ValidationFailed: Neither a known name nor the id of an upload.
            ArtifactCorrupt: The stored file is damaged.
        """
        if type in BUILTIN:
            return {"kind": "builtin", "name": type, "digest": None}
        if type not in IMPORTABLE and not ids.is_id("dataset", type):
            known = ", ".join([*BUILTIN, *IMPORTABLE])
            raise ValidationFailed.field("config.dataset.type", f"must be one of {known}, or the id of an upload")
        row = await self._row(organization_id, type)
        try:
            path = await (self._imported if row.source == "imported" else self._blobs).path(row.digest)
        except NotFound as error:
            if row.source == "imported":
                raise _missing(row.name) from error
            raise DatasetMissing(f"The file of data set {row.id} is not on this machine.") from error
        return {"kind": "file", "path": path, "digest": row.digest.removeprefix("sha256:")}

    # Writing -----------------------------------------------------------------------------------------------------

    async def require_room(self, caller: Caller) -> None:
        """
        Before a file is received.

        Raises:
            Forbidden: Without `datasets:write`.
            StorageFull: The organization keeps all that it may.
        """
        caller.require("datasets:write")
        await self._storage.require_room(caller.organization_id)

    async def upload(
        self, caller: Caller, *, path: Path, filename: str, name: str | None = None, label: str | None = None
    ) -> Dataset:
        """
        Check a file that has been received and keep it; the file itself stays with whoever received it.

        Raises:
            UnsupportedMediaType: Neither CSV nor NPZ by its name.
            ValidationFailed: What is wrong in it, and where.
            TooLarge: Larger than `datasets.max_bytes`, as it is or unpacked.
            StorageFull: The disk is full, or the organization keeps all that it may; nothing was kept.
        """
        caller.require("datasets:write")
        kind = _KINDS.get(Path(filename).suffix.lower())
        if kind is None:
            raise UnsupportedMediaType("A data set is a file named *.csv or *.npz.")
        most = self._settings.datasets.max_bytes
        if path.stat().st_size > most:
            raise TooLarge(f"The file is larger than {most} bytes.")
        title = _title(name if name is not None else Path(filename).stem)
        async with self._canonical() as target:
            summary = await self._calculator.call(
                f"{_ENGINE}:ingest", str(path), kind, label, str(target), most, timeout=_READ_SECONDS
            )
            row = _row_of(summary, "", target.stat().st_size, name=title, source="upload")
            row.organization_id, row.user_id = caller.organization_id, caller.user_id
            await self._reserve(row)
            try:
                row.digest, row.deleted_at = await self._blobs.adopt(target), None
            except BaseException:
                async with self._database.transaction():
                    await row.delete()
                raise
        async with self._database.transaction():
            await row.save(update_fields=["digest", "deleted_at"])
        return row.to_domain()

    async def _reserve(self, row: DatasetRow) -> None:
        """
        Take the room before the bytes are kept: many at once take no more than there is. Until they are, the row is one of
        a data set that was deleted; where we are killed meanwhile, it goes as such.
        """
        row.deleted_at = self._clock.now()
        async with self._database.transaction():
            await self._storage.alone(row.organization_id or "")
            await self._storage.require_room(row.organization_id or "", row.size_bytes)
            await row.save(force_create=True)

    async def import_folder(self, name: str, folder: Path) -> Dataset:
        """
        Bring `mnist` or `fashion_mnist` from its four original files; replaces what was imported before.

        For the operator on the host: everybody may use it afterwards.

        Raises:
            ValidationFailed: A file is missing, has another size or another digest.
        """
        if name not in IMPORTABLE:
            raise ValidationFailed.field("name", f"must be one of {', '.join(IMPORTABLE)}")
        digests = dict(self._settings.dataset_digests.get(name, {}))
        async with self._canonical() as target:
            summary = await self._calculator.call(
                f"{_ENGINE}:ingest_idx", str(folder), name, digests, str(target), timeout=_READ_SECONDS
            )
            size = target.stat().st_size
            digest = await self._imported.adopt(target)
        row = _row_of(summary, digest, size, name=name, source="imported")
        async with self._database.transaction():
            await DatasetRow.filter(source="imported", name=name, deleted_at=None).update(deleted_at=self._clock.now())
            await row.save(force_create=True)
        return row.to_domain()

    async def delete(self, caller: Caller, id: str) -> None:
        """
        Vanishes at once, and can be restored for a day.

        Raises:
            NotFound: No such data set for the caller's organization.
            Forbidden: Not an upload, or somebody else's.
            Conflict: A live job uses it.
        """
        caller.require("datasets:write")
        if id in BUILTIN or id in IMPORTABLE:
            raise Forbidden("This data set belongs to the installation.")
        async with self._database.transaction():
            row = await self._row(caller.organization_id, id)
            _require_own(caller, row)
            live = [status.value for status in LIVE]
            for job in await JobRow.filter(organization_id=caller.organization_id, status__in=live).only(
                "id", "config"
            ):
                if (job.config.get("dataset") or {}).get("type") == id:
                    raise Conflict(f"Job {job.id} uses this data set; cancel it first.", details={"job_id": job.id})
            row.deleted_at = self._clock.now()
            await row.save(update_fields=["deleted_at"])

    async def restore(self, caller: Caller, id: str) -> Dataset:
        """
        Undo a delete of the last 24 hours; restoring what is not deleted changes nothing.

        Raises:
            NotFound: No such data set, or it is too late.
            Forbidden: Somebody else's.
        """
        caller.require("datasets:write")
        async with self._database.transaction():
            own = DatasetRow.filter(id=id, organization_id=caller.organization_id, source="upload")
            row = await own.first() if ids.is_id("dataset", id) else None
            if row is None or (row.deleted_at is not None and row.deleted_at <= self._clock.now() - RESTORABLE):
                raise NotFound.of("data set", id)
            _require_own(caller, row)
            row.deleted_at = None
            await row.save(update_fields=["deleted_at"])
        return row.to_domain()

    async def purge(self) -> int:
        """Free the space of what was deleted more than a day ago; returns how many went."""
        gone = await DatasetRow.filter(deleted_at__lte=self._clock.now() - RESTORABLE)
        for row in gone:
            async with self._database.transaction():
                await DatasetRow.filter(id=row.id).delete()
                # The same bytes are stored once, whoever uploaded them.
                shared = await DatasetRow.exists(digest=row.digest)
            if not shared:
                await (self._imported if row.source == "imported" else self._blobs).delete(row.digest)
        return len(gone)

    async def _row(self, organization_id: str, id: str) -> DatasetRow:
        if id in IMPORTABLE:
            row = await DatasetRow.get_or_none(name=id, source="imported", deleted_at=None)
            if row is None:
                raise _missing(id)
            return row
        own = DatasetRow.filter(id=id, organization_id=organization_id, source="upload", deleted_at=None)
        row = await own.first() if ids.is_id("dataset", id) else None
        if row is None:
            raise NotFound.of("data set", id)
        return row

    @asynccontextmanager
    async def _canonical(self) -> AsyncIterator[Path]:
        """A file for the calculator to write to, on the disk of the blobs; gone afterwards unless it was adopted."""
        folder = self._settings.data_dir / "incoming"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix="dataset-", suffix=".npz", dir=folder)
        os.close(descriptor)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)


def _builtin(name: str) -> Dataset:
    summary = BUILTIN[name]
    return Dataset(
        id=name,
        name=name,
        source="builtin",
        n_samples=summary.n_samples,
        n_features=summary.n_features,
        classes=list(summary.classes),
        digest=None,
    )


def _row_of(summary: dict[str, Any], digest: str, size: int, *, name: str, source: str) -> DatasetRow:
    return DatasetRow(
        id=ids.new("dataset"),
        name=name,
        source=source,
        n_samples=summary["n_samples"],
        n_features=summary["n_features"],
        classes=summary["classes"],
        digest=digest,
        size_bytes=size,
    )


def _missing(name: str) -> DatasetMissing:
    command = import_command(name)
    return DatasetMissing(
        f"The data set {name} is not on this machine. Bring it with: {command}",
        details={"dataset": name, "command": command},
    )


def _title(name: str) -> str:
    title = name.strip()
    if not 1 <= len(title) <= 255 or not title.isprintable():
        raise ValidationFailed.field("name", "must have 1 to 255 printable characters")
    return title


def _require_own(caller: Caller, row: DatasetRow) -> None:
    if row.user_id != caller.user_id and not caller.may("datasets:delete"):
        raise Forbidden("This data set is somebody else's; only an admin may delete it.")
