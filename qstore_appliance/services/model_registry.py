"""The registry of models: found, renamed, noted, promoted, compared, deleted for a day before they are gone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tortoise.exceptions import IntegrityError
from tortoise.expressions import Subquery

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.models import DeploymentRow, ModelRow, ModelTagRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.listing import Listed, Page
from qstore_appliance.domain.model_registry import (
    Comparison,
    ModelFilter,
    ModelPatch,
    PromoteDraft,
    version_key,
)
from qstore_appliance.domain.models import Model, ModelStatus
from qstore_appliance.domain.ports import Clock
from qstore_appliance.errors import Conflict, Forbidden, Gone, NotFound
from qstore_appliance.services.comparisons import compared
from qstore_appliance.services.openings import ACTIVE, rollout_of
from qstore_appliance.services.sorting import order_of
from qstore_appliance.services.texts import refuse_unstorable

RESTORABLE = timedelta(hours=24)
SORTS = ("created_at", "updated_at", "deployed_at", "name", "version", "status")
_SERVED = (ModelStatus.DEPLOYING.value, ModelStatus.DEPLOYED.value)


class ModelRegistry:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def listed(self, caller: Caller, page: Page, wanted: ModelFilter | None = None) -> Listed[Model]:
        """
        The organization's models that match the whole filter; versions sort as versions do.

        Raises:
            ValidationFailed: The sort.
        """
        caller.require("models:read")
        wanted = wanted or ModelFilter()
        refuse_unstorable(name=wanted.name, tags=wanted.tags, circuit_id=wanted.circuit_id)
        rows = ModelRow.filter(organization_id=caller.organization_id, deleted_at=None)
        for field in ("status", "name", "stage", "circuit_id"):
            value = getattr(wanted, field)
            if value is not None:
                rows = rows.filter(**{field: str(value)})
        if wanted.tags:
            tagged = ModelTagRow.filter(organization_id=caller.organization_id, tag__in=list(wanted.tags))
            rows = rows.filter(id__in=Subquery(tagged.values("model_id")))
        order = [_column(name) for name in order_of(page.sort, SORTS)]
        found = await rows.order_by(*order).offset(page.offset).limit(page.limit)
        items = [row.to_domain() for row in found]
        return Listed(items=items, total=await rows.count(), limit=page.limit, offset=page.offset)

    async def update(self, caller: Caller, id: str, patch: ModelPatch) -> Model:
        """
        Change what is sent. A renamed model keeps its id, its address and its stage.

        Raises:
            NotFound: No such model in the caller's organization.
            Conflict: Another one has this name and version, or under the new name its stage.
        """
        caller.require("models:write")
        refuse_unstorable(name=patch.name, notes=patch.notes, tags=patch.tags)
        try:
            async with self._database.transaction():
                row = await self._row(caller, id)
                if patch.name is not None:
                    row.name = patch.name
                if patch.version is not None:
                    row.version, row.version_key = patch.version, version_key(patch.version)
                if patch.notes is not None:
                    row.update_from_dict({"notes": patch.notes or None})
                row.updated_at = self._clock.now()
                await row.save(update_fields=["name", "version", "version_key", "notes", "updated_at"])
                if patch.tags is not None:
                    await _tag(row, patch.tags)
        except IntegrityError as error:
            taken = await ModelRow.filter(
                organization_id=caller.organization_id, name=row.name, version=row.version
            ).first()
            if taken is not None and taken.id != id:
                raise Conflict(
                    f"Version {row.version} of {row.name} is taken"
                    + (" by a model that was deleted within the last 24 hours." if taken.deleted_at else "."),
                    details={"model_id": taken.id},
                ) from error
            raise Conflict(f"Another version of {row.name} is in {row.stage}; take one of them out of it.") from error
        return row.to_domain()

    async def promote(self, caller: Caller, id: str, draft: PromoteDraft) -> Model:
        """
        Give a model a stage, which the version of its name that had it loses; or take its stage away.

        Raises:
            NotFound: No such model in the caller's organization.
            Gone: It is retired.
        """
        caller.require("models:deploy")
        async with self._database.transaction():
            row = await self._row(caller, id)
            if row.status == ModelStatus.RETIRED:
                raise Gone("This model is retired.", details={"id": id})
            # Two that are promoted at the same time: the later one has it in the end.
            await self._database.one_at_a_time(f"stages:{caller.organization_id}:{row.name}")
            now, stage = self._clock.now(), None if draft.stage is None else draft.stage.value
            if stage is not None:
                holder = ModelRow.filter(organization_id=caller.organization_id, name=row.name, stage=stage)
                await holder.exclude(id=id).update(stage=None, updated_at=now)
            row.stage, row.updated_at = stage, now
            await row.save(update_fields=["stage", "updated_at"])
        return row.to_domain()

    async def compare(self, caller: Caller, a: str, b: str) -> Comparison:
        """
        Two models side by side: scores, where they come from, whether the scores say which is better.

        Raises:
            NotFound: One of them is not in the caller's organization.
        """
        caller.require("models:read")
        first, second = await self._row(caller, a, change=False), await self._row(caller, b, change=False)
        return compared(first.to_domain(), second.to_domain())

    async def delete(self, caller: Caller, id: str) -> None:
        """
        Vanishes at once, loses its stage, and can be restored for a day.

        Raises:
            NotFound: No such model in the caller's organization.
            Forbidden: Somebody else's, and the caller may only delete their own.
            Conflict: It is being served, or has a part in what another model's address answers.
        """
        caller.require("models:write")
        async with self._database.transaction():
            row = await self._row(caller, id)
            _require_own(caller, row)
            if row.status in _SERVED:
                raise Conflict("This model answers predictions; retire it first.", details={"status": row.status})
            await _refuse_part(caller, id)
            now = self._clock.now()
            # One that could not be opened would be tried again otherwise.
            await DeploymentRow.filter(model_id=id).exclude(status="retired").update(status="retired", updated_at=now)
            row.deleted_at, row.stage = now, None
            await row.save(update_fields=["deleted_at", "stage"])

    async def restore(self, caller: Caller, id: str) -> Model:
        """
        Undo a delete of the last 24 hours, but for the stage; restoring what is not deleted changes nothing.

        Raises:
            NotFound: No such model, or it is too late.
            Forbidden: Somebody else's, and the caller may only delete their own.
        """
        caller.require("models:write")
        async with self._database.transaction():
            wanted = ModelRow.filter(id=id, organization_id=caller.organization_id).select_for_update()
            row = await wanted.first() if ids.is_id("model", id) else None
            if row is None or (row.deleted_at is not None and row.deleted_at <= self._clock.now() - RESTORABLE):
                raise NotFound.of("model", id)
            _require_own(caller, row)
            row.deleted_at = None
            await row.save(update_fields=["deleted_at"])
        return row.to_domain()

    async def purge(self) -> int:
        """
        Forget what was deleted more than a day ago; returns how many went. Their artifacts are then leftovers, unless
        another model has the same bytes.
        """
        gone = ModelRow.filter(deleted_at__lte=self._clock.now() - RESTORABLE)
        async with self._database.transaction():
            # Not what `delete()` returns: SQLite counts the tags that go with them.
            count = await gone.count()
            await gone.delete()
        return count

    async def _row(self, caller: Caller, id: str, *, change: bool = True) -> ModelRow:
        wanted = ModelRow.filter(id=id, organization_id=caller.organization_id, deleted_at=None)
        row = await (wanted.select_for_update() if change else wanted).first() if ids.is_id("model", id) else None
        if row is None:
            raise NotFound.of("model", id)
        return row


async def _tag(row: ModelRow, tags: list[str]) -> None:
    row.tags = list(dict.fromkeys(tags))
    await row.save(update_fields=["tags"])
    await ModelTagRow.filter(model_id=row.id).delete()
    found = [ModelTagRow(organization_id=row.organization_id, tag=tag, model_id=row.id) for tag in row.tags]
    await ModelTagRow.bulk_create(found)


def _column(order: str) -> str:
    """A text would put 10.0.0 before 9.0.0."""
    return order.replace("version", "version_key") if order.removeprefix("-") == "version" else order


async def _refuse_part(caller: Caller, id: str) -> None:
    """
    Raises:
        Conflict: An address of another model has it as a version, also as the one that a rollback takes back.
    """
    rows = DeploymentRow.filter(organization_id=caller.organization_id, status__in=list(ACTIVE))
    for row in await rows.exclude(model_id=id):
        found = rollout_of(row.config)
        if id in (found.serves, found.previous, found.shadow, found.canary and found.canary.model_id):
            raise Conflict(
                "This model is a version behind another one's address; take it out of there first.",
                details={"deployment_id": row.id},
            )


def _require_own(caller: Caller, row: Any) -> None:
    if row.user_id != caller.user_id and not caller.may("models:delete"):
        raise Forbidden("This model is somebody else's; only an admin may delete it.")
