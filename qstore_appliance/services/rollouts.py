"""Versions behind one address: another one takes over, takes a share, or is asked in the shadow; and back again."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from typing import Any

import structlog

from qstore_appliance.database.tables.models import DeploymentRow, ModelRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.models import (
    Canary,
    Deployment,
    ModelStatus,
    PredictDraft,
    Prediction,
    ResourcesDraft,
    Rollout,
    RolloutDraft,
)
from qstore_appliance.engine.formats import unified
from qstore_appliance.engine.noise import Noise
from qstore_appliance.errors import Conflict, Gone, NoCapacity, NotFound, QStoreError, ValidationFailed
from qstore_appliance.services.openings import CANARY, SHADOW, Openings, Served, active, asked_of, rollout_of
from qstore_appliance.services.predictions import learned
from qstore_appliance.services.submission import settings_of

log = structlog.get_logger(__name__)

#: What serves a model is looked up again after so long; this server's own changes count at once.
SERVED_SECONDS = 1.0
SERVED_MOST = 10_000
#: Questions that shadows are at, at a time; more are let go.
MOST_SHADOWED = 32
#: A share is exact to one of so many.
_PARTS = 1_000_000


class Rollouts(Openings):
    async def rollout(self, caller: Caller, id: str, draft: RolloutDraft) -> Deployment:
        """
        Change the versions behind a deployment's address; what is not sent stays. Nothing has changed where a version
        cannot be had, and no request fails meanwhile.

        Raises:
            NotFound: No such deployment, or version, in the caller's organization.
            Conflict: It does not answer at the moment.
            Gone: The version is retired.
            ValidationFailed: The version reads or answers something else than the address's own model.
            ArtifactCorrupt, BackendCannot, BackendUnavailable, Forbidden: Of the version.
        """
        caller.require("models:deploy")
        async with self._rolling:
            row = await self._deployed(caller, id)
            now, sent = rollout_of(row.config), draft.model_fields_set
            serving = now.serves or row.model_id
            canary, shadow, serves, previous = now.canary, now.shadow, now.serves, now.previous
            opened: list[str] = []
            try:
                if "canary" in sent:
                    canary = Canary(**draft.canary.model_dump()) if draft.canary else None
                    if canary is not None:
                        await self._opened_beside(caller, row, CANARY, "canary.model_id", canary.model_id)
                        opened.append(CANARY)
                if "shadow" in sent:
                    shadow = draft.shadow.model_id if draft.shadow else None
                    if shadow is not None:
                        await self._opened_beside(caller, row, SHADOW, "shadow.model_id", shadow)
                        opened.append(SHADOW)
                if draft.model_id is not None and draft.model_id != serving:
                    await self._taken_over(caller, row, draft.model_id)
            except BaseException:
                await self._as_before(row, now, opened)
                raise
            if draft.model_id is not None and draft.model_id != serving:
                serves, previous = draft.model_id, serving
                if canary is not None and "canary" not in sent and canary.model_id == serves:
                    # It has everything now.
                    canary = None
            wanted = Rollout(serves=serves, previous=previous, canary=canary, shadow=shadow)
            return await self._rolled(row, wanted)

    async def rollback(self, caller: Caller, id: str) -> Deployment:
        """
        End a canary and a shadow; where there is neither, the version that answered before answers again.

        Raises:
            NotFound: No such deployment in the caller's organization.
            Conflict: It does not answer at the moment, or there is nothing to go back to.
            Gone: The version before is retired.
        """
        caller.require("models:deploy")
        async with self._rolling:
            row = await self._deployed(caller, id)
            now = rollout_of(row.config)
            if now.canary is not None or now.shadow is not None:
                return await self._rolled(row, Rollout(serves=now.serves, previous=now.previous))
            if now.previous is None:
                raise Conflict("There is no version before this one.")
            await self._taken_over(caller, row, now.previous)
            serving = now.serves or row.model_id
            return await self._rolled(row, Rollout(serves=now.previous, previous=serving))

    # Inside ------------------------------------------------------------------------------------------------------

    async def _answered(self, caller: Caller, served: Served, draft: PredictDraft) -> Prediction:
        """By the version whose turn it is. A canary that has no room passes the question on."""
        deployment = served.deployment
        found: Prediction | None = None
        beside = deployment.id + CANARY
        if (
            served.canary is not None
            and self._replicas.answers(beside)
            and secrets.randbelow(_PARTS) < served.share * _PARTS
        ):
            try:
                found = await self._predictions.answer(caller, served.canary, deployment, draft, beside)
            except NoCapacity as error:
                log.warning("rollouts.canary_full", deployment_id=deployment.id, error=error.message)
        if found is None:
            found = await self._predictions.answer(caller, served.model, deployment, draft, deployment.id)
        if served.shadow is not None and len(self._shadowing) < MOST_SHADOWED:
            asking = self._shadowed(caller, served, served.shadow, draft, found)
            task = asyncio.create_task(asking, name="rollouts.shadow")
            self._shadowing.add(task)
            task.add_done_callback(self._shadowing.discard)
        return found

    async def _shadowed(
        self, caller: Caller, served: Served, model: ModelRow, draft: PredictDraft, told: Prediction
    ) -> None:
        key = served.deployment.id + SHADOW
        try:
            found = await self._predictions.answer(caller, model, served.deployment, draft, key)
        except QStoreError as error:
            log.info("rollouts.shadow_failed", deployment_id=served.deployment.id, error=error.message)
            return
        compared, agreed = self._agreement.get(key, (0, 0))
        pairs = zip(found.predictions, told.predictions, strict=True)
        same = sum(mine.label == theirs.label for mine, theirs in pairs)
        self._agreement[key] = (compared + len(told.predictions), agreed + same)

    def agreement(self, deployment_id: str) -> tuple[int, int]:
        """Inputs that the shadow was asked on this server since it is one, and of how many it said the same class."""
        return self._agreement.get(deployment_id + SHADOW, (0, 0))

    async def _serving(self, caller: Caller, id: str) -> Served:
        """What answers for a model's address, as it was at most a second ago."""
        place, now = (caller.organization_id, id), time.monotonic()
        known = self._served.get(place)
        if known is not None and known[0] > now:
            return known[1]
        model = await self._row(caller, id)
        refuse_retired(model)
        deployment = await active(id).first()
        if deployment is None or model.status == ModelStatus.TRAINED:
            raise Conflict(
                f"This model is not deployed. Deploy it first: POST /v1/models/{id}/deploy",
                details={"status": str(model.status)},
            )
        rollout = rollout_of(deployment.config)
        if rollout.serves is not None and rollout.serves != id:
            model = await self._row(caller, rollout.serves)
            refuse_retired(model)
        canary = rollout.canary
        beside = await self._still(caller, canary.model_id if canary is not None else None)
        shadow = await self._still(caller, rollout.shadow)
        served = Served(deployment, model, beside, shadow, canary.share if canary is not None else 0.0)
        if len(self._served) >= SERVED_MOST:
            self._served.clear()
        self._served[place] = (now + SERVED_SECONDS, served)
        return served

    async def _still(self, caller: Caller, id: str | None) -> ModelRow | None:
        """A version that was retired or deleted meanwhile takes no further part."""
        found = (
            await ModelRow.get_or_none(id=id, organization_id=caller.organization_id, deleted_at=None) if id else None
        )
        return found if found is not None and found.status != ModelStatus.RETIRED else None

    async def _row(self, caller: Caller, id: str) -> ModelRow:
        row = await ModelRow.get_or_none(id=id, organization_id=caller.organization_id, deleted_at=None)
        if row is None:
            raise NotFound.of("model", id)
        return row

    async def _backend(self, caller: Caller, model: ModelRow, wanted: str | None) -> str:
        """The backend that answers: the wanted one, else the one that the model learned on."""
        kept, config, backend = await learned(model)
        trained_on = str(model.deployment.get("backend") or backend)
        stored: dict[str, Any] = {key: kept[key] for key in ("n_qubits", "format", "gates") if key in kept}
        circuit = await asyncio.to_thread(unified.read, stored)
        organization = await settings_of(caller)
        shots, noise = config.get("shots"), Noise.of(config.get("noise"))
        name, _ = await self._backends.pick(
            organization, wanted or trained_on, caller.preferences, circuit, shots, noise
        )
        return name

    async def _deployed(self, caller: Caller, id: str) -> DeploymentRow:
        row = await DeploymentRow.get_or_none(id=id, organization_id=caller.organization_id)
        if row is None:
            raise NotFound.of("deployment", id)
        if row.status != "deployed":
            raise Conflict(f"This deployment is {row.status}.", details={"status": row.status})
        return row

    async def _candidate(self, caller: Caller, row: DeploymentRow, field: str, id: str) -> ModelRow:
        own = await self._row(caller, row.model_id)
        if not ids.is_id("model", id):
            raise NotFound.of("model", id)
        model = await self._row(caller, id)
        refuse_retired(model)
        for name, words in (
            ("task", "does something else"),
            ("n_features", "reads other inputs"),
            ("classes", "knows other classes"),
        ):
            if model.inputs.get(name) != own.inputs.get(name):
                raise ValidationFailed.field(field, f"this version {words} than the model of this address")
        await self._backend(caller, model, row.backend)
        return model

    async def _opened_beside(self, caller: Caller, row: DeploymentRow, role: str, field: str, id: str) -> None:
        await self._beside(row, role, await self._candidate(caller, row, field, id))
        self._agreement.pop(row.id + role, None)

    def _open_beside(self, row: DeploymentRow, role: str, model: ModelRow) -> None:
        """In the background; where it cannot be had the address answers without it."""
        task = asyncio.create_task(self._beside(row, role, model), name=row.id + role)
        self._shadowing.add(task)
        task.add_done_callback(self._noted)

    def _noted(self, done: asyncio.Task[None]) -> None:
        self._shadowing.discard(done)
        if not done.cancelled() and done.exception() is not None:
            log.error("rollouts.not_opened", replicas=done.get_name(), error=str(done.exception()))

    async def _beside(self, row: DeploymentRow, role: str, model: ModelRow) -> None:
        resources = asked_of(row.config).resources or ResourcesDraft()
        path = await self._artifact(model.artifact_digest)
        await self._replicas.open(
            row.id + role, path, row.backend, self._backends.all_options(), 1,
            memory_bytes=resources.memory_bytes, cores=resources.cores, version=model.id,
        )  # fmt: skip

    async def _as_before(self, row: DeploymentRow, before: Rollout, opened: Sequence[str]) -> None:
        """What was opened for a change that could not be had goes; what it took the place of comes back."""
        known = {CANARY: before.canary and before.canary.model_id, SHADOW: before.shadow}
        for role in opened:
            model = await ModelRow.get_or_none(id=known[role]) if known[role] else None
            if model is None:
                await self._replicas.close_one(row.id + role)
            else:
                self._open_beside(row, role, model)

    async def _taken_over(self, caller: Caller, row: DeploymentRow, id: str) -> None:
        model = await self._candidate(caller, row, "model_id", id)
        draft = asked_of(row.config)
        resources = draft.resources or ResourcesDraft()
        path = await self._artifact(model.artifact_digest)
        await self._replicas.open(
            row.id, path, row.backend, self._backends.all_options(), draft.first,
            memory_bytes=resources.memory_bytes, cores=resources.cores, scaling=draft.scaling, version=model.id,
        )  # fmt: skip

    async def _rolled(self, row: DeploymentRow, wanted: Rollout) -> Deployment:
        async with self._database.transaction():
            fresh = await DeploymentRow.get(id=row.id)
            fresh.config = {**fresh.config, "rollout": wanted.stored()}
            fresh.updated_at = self._clock.now()
            await fresh.save()
        self._served.clear()
        for role, present in ((CANARY, wanted.canary), (SHADOW, wanted.shadow)):
            if present is None:
                await self._replicas.close_one(row.id + role)
        await self._tell(row.id)
        return fresh.to_domain()


def refuse_retired(model: ModelRow) -> None:
    """
    Raises:
        Gone: It is.
    """
    if model.status == ModelStatus.RETIRED:
        raise Gone("This model is retired.", details={"id": model.id})
