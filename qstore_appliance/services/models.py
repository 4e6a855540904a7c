"""
Trained models and their deployments: deploy, retire. Their answers are in `predictions.py`, their versions and stages in
`model_registry.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import structlog

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.database.tables.models import DeploymentRow, ModelRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.listing import Listed, Page
from qstore_appliance.domain.models import Deployment, DeploymentDraft, Model, ModelStatus, PredictDraft, Prediction
from qstore_appliance.domain.ports import BlobStore, Clock, EventBus, Replicas
from qstore_appliance.engine.formats import unified
from qstore_appliance.engine.noise import Noise
from qstore_appliance.errors import ArtifactCorrupt, Conflict, Gone, NotFound, QStoreError, ValidationFailed
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.costs import Costs
from qstore_appliance.services.deployments import told
from qstore_appliance.services.predictions import Predictions
from qstore_appliance.services.reservations import Reservations
from qstore_appliance.services.sorting import order_of
from qstore_appliance.services.submission import settings_of
from qstore_appliance.settings import Settings

log = structlog.get_logger(__name__)

DEPLOYMENT_SORTS = ("created_at", "status")
#: An answer waits so long for the first replica; then it says "deploying".
OPENING_SECONDS = 1.0
ACTIVE = ("deploying", "deployed", "failed")


class Models:
    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        replicas: Replicas,
        backends: Backends,
        costs: Costs,
        clock: Clock,
        settings: Settings,
        events: EventBus,
    ) -> None:
        self._database = database
        self._events = events
        self._blobs = blobs
        self._replicas = replicas
        self._backends = backends
        self._clock = clock
        self._settings = settings
        self._predictions = Predictions(database, replicas, backends, Reservations(costs, clock), settings)
        self._opening: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """Stop opening replicas, and save what predictions have cost."""
        tasks = list(self._opening.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._predictions.close()

    # Models ------------------------------------------------------------------------------------------------------

    async def get(self, caller: Caller, id: str) -> Model:
        """
        Raises:
            NotFound: No such model in the caller's organization.
        """
        caller.require("models:read")
        return (await self._row(caller, id)).to_domain()

    async def several(self, caller: Caller, wanted: Collection[str]) -> dict[str, Model]:
        """Several models by id, in one query; what is not the organization's is left out."""
        caller.require("models:read")
        rows = ModelRow.filter(id__in=_known(wanted), organization_id=caller.organization_id, deleted_at=None)
        return {row.id: row.to_domain() for row in await rows}

    async def deployments_of(self, caller: Caller, models: Collection[str]) -> dict[str, Deployment]:
        """By the id of its model, the newest deployment of each that has one, in one query."""
        caller.require("models:read")
        rows = DeploymentRow.filter(model_id__in=_known(models), organization_id=caller.organization_id)
        return {row.model_id: row.to_domain() for row in await rows.order_by("created_at", "id")}

    async def retire(self, caller: Caller, id: str) -> Model:
        """
        Take a model out of service for good; its stage is free then. Retiring twice is retiring once.

        Raises:
            NotFound: No such model in the caller's organization.
        """
        caller.require("models:retire")
        async with self._database.transaction():
            row = await self._row(caller, id)
            active = [str(found) for found in await _active(id).values_list("id", flat=True)]
            if row.status != ModelStatus.RETIRED:
                now = self._clock.now()
                await _active(id).update(status="retired", updated_at=now)
                await ModelRow.filter(id=id).update(status=ModelStatus.RETIRED, stage=None, updated_at=now)
        for deployment_id in active:
            await self._stop_opening(deployment_id)
            await self._replicas.close_one(deployment_id)
            await self._tell(deployment_id)
        return (await self._row(caller, id)).to_domain()

    # Deployments -------------------------------------------------------------------------------------------------

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
        scaling = draft.auto_scaling
        if scaling is not None and scaling.min_replicas > scaling.max_replicas:
            raise ValidationFailed.field("auto_scaling.min_replicas", "must not be more than max_replicas")
        model = await self._row(caller, id)
        _refuse_retired(model)
        if model.inputs.get("task") == "energy":
            raise Conflict("A model of an energy answers no inputs; its parameters and its energy are the result.")
        await self._artifact(model.artifact_digest)
        backend = await self._backend(caller, model, draft.backend)
        config = {**draft.model_dump(mode="json"), "eta_seconds": OPENING_SECONDS}
        capped = _asked(draft) > self._settings.predictions.replicas
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
            row = await _active(id).first()
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
        await self._tell(row.id)
        await self._stop_opening(row.id)
        await self._replicas.close_one(row.id)
        task = self._open(row.id, model.artifact_digest, backend, _asked(draft))
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
            model = await ModelRow.get_or_none(id=row.model_id)
            if model is not None and row.id not in self._opening:
                self._open(row.id, model.artifact_digest, row.backend, int(row.config.get("replicas") or 1))

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
        model = await self._row(caller, id)
        _refuse_retired(model)
        deployment = await _active(id).first()
        if deployment is None or model.status == ModelStatus.TRAINED:
            raise Conflict(
                f"This model is not deployed. Deploy it first: POST /v1/models/{id}/deploy",
                details={"status": str(model.status)},
            )
        opening = self._opening.get(deployment.id)
        if opening is not None:
            await asyncio.wait({opening}, timeout=self._settings.predictions.deadline_seconds)
        if draft.options.backend is not None and draft.options.backend != deployment.backend:
            await self._backend(caller, model, draft.options.backend)
        else:
            await self._backends.refuse_tests(caller, deployment.backend)
        return await self._predictions.answer(caller, model, deployment, draft)

    # Inside ------------------------------------------------------------------------------------------------------

    async def _row(self, caller: Caller, id: str) -> ModelRow:
        row = await ModelRow.get_or_none(id=id, organization_id=caller.organization_id, deleted_at=None)
        if row is None:
            raise NotFound.of("model", id)
        return row

    async def _backend(self, caller: Caller, model: ModelRow, wanted: str | None) -> str:
        """The backend that answers: the wanted one, else the one that the model learned on."""
        job = await JobRow.get_or_none(id=model.training_job_id)
        trained_on = str(model.deployment.get("backend") or (job.backend if job is not None else "auto"))
        if job is None:
            # It came in an archive, with its circuit.
            kept, config = model.lineage["circuit"], model.lineage["config"]
        else:
            kept, config = job.circuit, job.config
        stored: dict[str, Any] = {key: kept[key] for key in ("n_qubits", "format", "gates") if key in kept}
        circuit = await asyncio.to_thread(unified.read, stored)
        organization = await settings_of(caller)
        shots, noise = config.get("shots"), Noise.of(config.get("noise"))
        name, _ = await self._backends.pick(
            organization, wanted or trained_on, caller.preferences, circuit, shots, noise
        )
        return name

    async def _artifact(self, digest: str) -> str:
        """
        Raises:
            ArtifactCorrupt: It is altered or lost.
        """
        try:
            return await self._blobs.path(digest)
        except NotFound as error:
            raise ArtifactCorrupt("The model's artifact is lost.", details={"digest": digest}) from error

    def _open(self, deployment_id: str, digest: str, backend: str, replicas: int) -> asyncio.Task[None]:
        task = asyncio.create_task(self._opened(deployment_id, digest, backend, replicas), name=deployment_id)
        self._opening[deployment_id] = task
        task.add_done_callback(lambda done: self._forget(deployment_id, done))
        return task

    async def _opened(self, deployment_id: str, digest: str, backend: str, replicas: int) -> None:
        try:
            path = await self._artifact(digest)
            running = await self._replicas.open(deployment_id, path, backend, self._backends.all_options(), replicas)
        except (QStoreError, OSError) as error:
            message = error.message if isinstance(error, QStoreError) else str(error)
            log.error("models.not_opened", deployment_id=deployment_id, error=message)
            await self._mark(deployment_id, "failed", ModelStatus.TRAINED, reason=message)
            return
        await self._mark(deployment_id, "deployed", ModelStatus.DEPLOYED, running=running)

    async def _mark(self, deployment_id: str, status: str, model_status: ModelStatus, **facts: Any) -> None:
        """Args: facts: `running` replicas, or the `reason` why there are none."""
        async with self._database.transaction():
            row = await DeploymentRow.get_or_none(id=deployment_id)
            if row is None or row.status == "retired":
                return
            now, changed = self._clock.now(), row.status != status
            asked = {key: value for key, value in row.config.items() if key not in ("running", "reason", "eta_seconds")}
            row.status, row.config, row.updated_at = status, {**asked, **facts}, now
            if "running" in facts:
                row.capped = row.capped or facts["running"] < int(asked.get("replicas") or 1)
            await row.save()
            model = await ModelRow.get(id=row.model_id)
            if model.status != ModelStatus.RETIRED:
                first = model.deployed_at or (now if status == "deployed" else None)
                await ModelRow.filter(id=model.id).update(
                    status=model_status,
                    deployment={**model.deployment, "capped": row.capped, **facts},
                    deployed_at=first,
                    updated_at=now,
                )
        await self._tell(deployment_id, news=changed)

    async def _tell(self, deployment_id: str, *, news: bool = False) -> None:
        """Publish how a deployment is, as its row says now; the write has committed."""
        row = await DeploymentRow.get_or_none(id=deployment_id)
        if row is not None:
            for event in told(row, self._clock.now(), news=news):
                await self._events.publish(event)

    async def _stop_opening(self, deployment_id: str) -> None:
        task = self._opening.get(deployment_id)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _forget(self, deployment_id: str, done: asyncio.Task[None]) -> None:
        if self._opening.get(deployment_id) is done:
            del self._opening[deployment_id]
        if not done.cancelled() and done.exception() is not None:
            log.error("models.opening_broke", deployment_id=deployment_id, error=repr(done.exception()))


def _active(model_id: str) -> Any:
    return DeploymentRow.filter(model_id=model_id, status__in=list(ACTIVE))


def _refuse_retired(model: ModelRow) -> None:
    if model.status == ModelStatus.RETIRED:
        raise Gone("This model is retired.", details={"id": model.id})


def _asked(draft: DeploymentDraft) -> int:
    """Replicas that have to run from the beginning."""
    scaling = draft.auto_scaling
    return max(draft.replicas, scaling.min_replicas) if scaling is not None and scaling.enabled else draft.replicas


def _known(wanted: Collection[str]) -> list[str]:
    """Those that can be ids at all."""
    return [id for id in wanted if ids.is_id("model", id)]
