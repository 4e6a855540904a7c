"""Deployments of trained models: what is served, by which replicas. Opening these is in `openings.py`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable

import structlog

from qstore_appliance.database.tables.models import DeploymentRow, ModelRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.listing import Listed, Page
from qstore_appliance.domain.model_metrics import ModelMetrics
from qstore_appliance.domain.models import (
    LEAST_MEMORY,
    Deployment,
    DeploymentDraft,
    ModelStatus,
    PredictDraft,
    Prediction,
    ResourcesDraft,
)
from qstore_appliance.errors import Conflict, Gone, NotFound, QStoreError, ValidationFailed
from qstore_appliance.services.machine import cores
from qstore_appliance.services.openings import CANARY, OPENING_SECONDS, SHADOW, Kept, active, asked_of, rollout_of
from qstore_appliance.services.rollouts import Rollouts, refuse_retired
from qstore_appliance.services.sorting import order_of

log = structlog.get_logger(__name__)

DEPLOYMENT_SORTS = ("created_at", "status")
_NUMBER = re.compile(r"inputs\[[0-9]+\]\[([0-9]+)\]")


class Deployments(Rollouts):
    """Verbs of whoever deploys and asks."""

    async def deploy(self, caller: Caller, id: str, draft: DeploymentDraft) -> Deployment:
        """
        Serve a model. A model that is served already gets the new settings; its address stays.

        Returns: the deployment, `deployed` where its replica answered within a second, else `deploying`.

        Raises:
            NotFound: No such model in the caller's organization.
            Gone: It is retired.
            ArtifactCorrupt: What was stored of it is altered or lost.
            Conflict: It has nothing to answer: it is the state of a lowest energy.
            ValidationFailed: The numbers of `auto_scaling` contradict each other.
            BackendCannot, BackendUnavailable, Forbidden: Of the backend.
        """
        caller.require("models:deploy")
        _check(draft)
        model = await self._row(caller, id)
        refuse_retired(model)
        if model.inputs.get("task") == "energy":
            raise Conflict("A model of an energy answers no inputs; its parameters and its energy are the result.")
        await self._artifact(model.artifact_digest)
        backend = await self._backend(caller, model, draft.backend)
        config = {**draft.model_dump(mode="json"), "eta_seconds": OPENING_SECONDS}
        capped = draft.most > (self._settings.predictions.replicas or cores())
        endpoint = f"{self._settings.address}/v1/models/{id}/predict"
        summary = {**draft.model_dump(mode="json"), "backend": backend, "endpoint": endpoint, "capped": capped}
        async with self._database.transaction():
            now = self._clock.now()
            changed = (
                await ModelRow.filter(id=id, deleted_at=None)
                .exclude(status=ModelStatus.RETIRED)
                .update(status=ModelStatus.DEPLOYING, deployment=summary, updated_at=now)
            )
            if not changed:
                raise Gone("This model is retired.")
            row = await active(id).first()
            before = Kept(row.backend, row.config, row.capped) if row is not None else None
            if row is None:
                row = DeploymentRow(
                    id=ids.new("deploy"), organization_id=caller.organization_id, model_id=id, created_at=now
                )
            row.update_from_dict(
                {
                    "endpoint": endpoint,
                    "backend": backend,
                    "config": config,
                    "status": "deploying",
                    "capped": capped,
                    "updated_at": now,
                }
            )
            await row.save()
        self._served.clear()
        await self._tell(row.id)
        await self._stop_opening(row.id)
        for role in (CANARY, SHADOW):
            # Whoever deploys a model wants that one to answer.
            await self._replicas.close_one(row.id + role)
        task = self._open(row.id, model, backend, draft, before)
        await asyncio.wait({task}, timeout=OPENING_SECONDS)
        return (await DeploymentRow.get(id=row.id)).to_domain()

    async def deployments(self, caller: Caller, page: Page) -> Listed[Deployment]:
        caller.require("models:read")
        found = DeploymentRow.filter(organization_id=caller.organization_id)
        rows = await found.order_by(*order_of(page.sort, DEPLOYMENT_SORTS)).offset(page.offset).limit(page.limit)
        return Listed(
            items=[row.to_domain() for row in rows], total=await found.count(), limit=page.limit, offset=page.offset
        )

    async def deployment(self, caller: Caller, id: str) -> Deployment:
        """
        Raises:
            NotFound: No such deployment in the caller's organization.
        """
        caller.require("models:read")
        row = await DeploymentRow.get_or_none(id=id, organization_id=caller.organization_id)
        if row is None:
            raise NotFound.of("deployment", id)
        return row.to_domain()

    async def reopen(self) -> None:
        """At start: warm what is deployed, in the background."""
        for row in await DeploymentRow.filter(status__in=["deploying", "deployed"]).order_by("created_at"):
            rollout = rollout_of(row.config)
            model = await ModelRow.get_or_none(id=rollout.serves or row.model_id)
            if model is not None and row.id not in self._opening:
                self._open(row.id, model, row.backend, asked_of(row.config))
            for role, id in ((CANARY, rollout.canary and rollout.canary.model_id), (SHADOW, rollout.shadow)):
                if id is not None and (beside := await ModelRow.get_or_none(id=id)) is not None:
                    self._open_beside(row, role, beside)

    async def withdrawn(self, deployments: Iterable[str]) -> None:
        """After their rows say `retired`: end the replicas."""
        self._served.clear()
        for deployment_id in deployments:
            await self._stop_opening(deployment_id)
            for role in ("", CANARY, SHADOW):
                await self._replicas.close_one(deployment_id + role)
            await self._tell(deployment_id)

    async def named(self, caller: Caller, id: str, error: ValidationFailed) -> ValidationFailed:
        """The faults of a question, with the name of the feature beside each number that is wrong."""
        try:
            model = (await self._serving(caller, id)).model
        except QStoreError:
            return error
        names = list(model.inputs.get("feature_names") or [])
        rows = []
        for row in error.details.get("errors", []):
            place = _NUMBER.fullmatch(row["field"])
            column = int(place[1]) if place else len(names)
            known = f" ({names[column]})" if column < len(names) else ""
            rows.append((row["field"], f"{row['message']}{known}"))
        return ValidationFailed.of(rows) if rows else error

    async def predict(self, caller: Caller, id: str, draft: PredictDraft) -> Prediction:
        """
        Ask a deployed model.

        Raises:
            NotFound: No such model in the caller's organization.
            Gone: It is retired.
            Conflict: It is not deployed; the answer says how.
            ValidationFailed: Naming `inputs[i]`.
            BackendCannot, BackendUnavailable, NoCapacity, DeadlineExceeded: It cannot be answered now.
        """
        caller.require("models:predict")
        served = await self._serving(caller, id)
        model, deployment = served.model, served.deployment
        opening = self._opening.get(deployment.id)
        if opening is not None and not self._replicas.answers(deployment.id):
            await asyncio.wait({opening}, timeout=self._settings.predictions.deadline_seconds)
        if draft.options.backend is not None and draft.options.backend != deployment.backend:
            await self._backend(caller, model, draft.options.backend)
        else:
            await self._backends.refuse_tests(caller, deployment.backend)
        return await self._answered(caller, served, draft)

    async def metrics(self, caller: Caller, id: str, window: str) -> ModelMetrics:
        """
        How a model did in service: also one that is not deployed now, or retired.

        Args:
            window: `24h`, `7d`: whole hours or UTC days, the present one included; at most 90 days.

        Raises:
            NotFound: No such model in the caller's organization.
            ValidationFailed: `window` is no such span.
        """
        caller.require("models:read")
        await self._row(caller, id)
        return await self._metrics.of(caller.organization_id, id, window)


def _check(draft: DeploymentDraft) -> None:
    scaling, memory = draft.auto_scaling, (draft.resources or ResourcesDraft()).memory_bytes
    if scaling is not None and scaling.min_replicas > scaling.max_replicas:
        raise ValidationFailed.field("auto_scaling.min_replicas", "must not be more than max_replicas")
    if memory is not None and memory < LEAST_MEMORY:
        raise ValidationFailed.field("resources.memory", f"a replica needs at least {LEAST_MEMORY // 2**20}Mi")
