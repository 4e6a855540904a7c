"""Replicas of deployments are opened, and what came of it is written down and told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import structlog

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.models import DeploymentRow, ModelRow
from qstore_appliance.domain.events import DEPLOYMENT_STATUS, NOTIFICATIONS, DeploymentUpdate, Event, Notification
from qstore_appliance.domain.models import DeploymentDraft, ModelStatus, ResourcesDraft, Rollout
from qstore_appliance.domain.ports import BlobStore, Clock, EventBus, Replicas
from qstore_appliance.errors import ArtifactCorrupt, NotFound, QStoreError
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.costs import Costs
from qstore_appliance.services.model_metrics import MetricsOfModels
from qstore_appliance.services.predictions import Predictions
from qstore_appliance.services.reservations import Reservations
from qstore_appliance.settings import Settings

log = structlog.get_logger(__name__)

#: An answer waits so long for the first replica; then it says "deploying".
OPENING_SECONDS = 1.0
ACTIVE = ("deploying", "deployed", "failed")
#: Names of a deployment's other replicas, behind its id.
CANARY, SHADOW = "/canary", "/shadow"
#: What people are told without having asked.
_NEWS = {"deployed": "is deployed", "failed": "could not be deployed"}


class Kept(NamedTuple):
    """Of a deployment whose change may turn out to be impossible."""

    backend: str
    config: dict[str, Any]
    capped: bool


class Served(NamedTuple):
    """A deployment, and the models that may answer for it."""

    deployment: DeploymentRow
    model: ModelRow
    canary: ModelRow | None
    shadow: ModelRow | None
    share: float


class Openings:
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
        self._metrics = MetricsOfModels(database, clock)
        self._predictions = Predictions(
            database, replicas, backends, Reservations(costs, clock), settings, self._metrics
        )
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._served: dict[tuple[str, str], tuple[float, Served]] = {}
        self._rolling = asyncio.Lock()
        self._shadowing: set[asyncio.Task[None]] = set()
        self._agreement: dict[str, tuple[int, int]] = {}

    async def close(self) -> None:
        """Stop opening replicas, and save what predictions have cost."""
        tasks = [*self._opening.values(), *self._shadowing]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._predictions.close()
        await self._metrics.close()

    async def _artifact(self, digest: str) -> str:
        """
        Raises:
            ArtifactCorrupt: It is altered or lost.
        """
        try:
            return await self._blobs.path(digest)
        except NotFound as error:
            raise ArtifactCorrupt("The model's artifact is lost.", details={"digest": digest}) from error

    def _open(
        self, deployment_id: str, model: ModelRow, backend: str, draft: DeploymentDraft, before: Kept | None = None
    ) -> asyncio.Task[None]:
        work = self._opened(deployment_id, model, backend, draft, before)
        task = self._opening[deployment_id] = asyncio.create_task(work, name=deployment_id)
        task.add_done_callback(lambda done: self._forget(deployment_id, done))
        return task

    async def _opened(
        self, deployment_id: str, model: ModelRow, backend: str, draft: DeploymentDraft, before: Kept | None
    ) -> None:
        resources = draft.resources or ResourcesDraft()
        try:
            running = await self._replicas.open(
                deployment_id,
                await self._artifact(model.artifact_digest),
                backend,
                self._backends.all_options(),
                draft.first,
                memory_bytes=resources.memory_bytes,
                cores=resources.cores,
                scaling=draft.scaling,
                version=model.id,
            )
        except (QStoreError, OSError) as error:
            message = error.message if isinstance(error, QStoreError) else str(error)
            log.error("deployments.not_opened", deployment_id=deployment_id, error=message)
            if before is not None and self._replicas.answers(deployment_id):
                # What was there goes on, as it was.
                await self._mark(deployment_id, "deployed", ModelStatus.DEPLOYED, before=before, reason=message)
            else:
                await self._mark(deployment_id, "failed", ModelStatus.TRAINED, reason=message)
            return
        await self._mark(deployment_id, "deployed", ModelStatus.DEPLOYED, running=running)

    async def _mark(
        self,
        deployment_id: str,
        status: str,
        model_status: ModelStatus,
        before: Kept | None = None,
        **facts: Any,
    ) -> None:
        """
        Args:
            before: What holds again, for what was asked for could not be had.
            facts: `running` replicas, or the `reason` why there are none, or none of the new ones.
        """
        async with self._database.transaction():
            row = await DeploymentRow.get_or_none(id=deployment_id)
            if row is None or row.status == "retired":
                return
            now, changed = self._clock.now(), row.status != status
            config = row.config
            if before is not None:
                row.backend, row.capped, config = before.backend, before.capped, before.config
                facts = {"running": config.get("running", 1), **facts}
            asked = {key: value for key, value in config.items() if key not in ("running", "reason", "eta_seconds")}
            row.status, row.config, row.updated_at = status, {**asked, **facts}, now
            if "running" in facts:
                row.capped = row.capped or facts["running"] < asked_of(asked).first
            await row.save()
            model = await ModelRow.get(id=row.model_id)
            if model.status != ModelStatus.RETIRED:
                first = model.deployed_at or (now if status == "deployed" else None)
                await ModelRow.filter(id=model.id).update(
                    status=model_status,
                    deployment={
                        **model.deployment,
                        **asked_of(row.config).model_dump(mode="json"),
                        "backend": row.backend,
                        "capped": row.capped,
                        **facts,
                    },
                    deployed_at=first,
                    updated_at=now,
                )
        self._served.clear()
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
            log.error("deployments.opening_broke", deployment_id=deployment_id, error=repr(done.exception()))


def active(model_id: str) -> Any:
    """Deployments of a model that are not over."""
    return DeploymentRow.filter(model_id=model_id, status__in=list(ACTIVE))


def rollout_of(config: Mapping[str, Any]) -> Rollout:
    """The versions behind an address, out of a deployment's stored `config`."""
    return msgspec.convert(config.get("rollout") or {}, Rollout)


def asked_of(config: Mapping[str, Any]) -> DeploymentDraft:
    """What was asked for, out of a deployment's stored `config`."""
    return DeploymentDraft.model_validate({key: config[key] for key in DeploymentDraft.model_fields if key in config})


def told(row: DeploymentRow, now: datetime, *, news: bool) -> list[Event]:
    """
    The change itself, and a notification where somebody may be waiting for it.

    Args:
        news: It is one; a server that starts warms what was deployed before.
    """
    config = row.config or {}
    change = DeploymentUpdate(
        deployment_id=row.id,
        model_id=str(row.model_id),
        status=str(row.status),
        replicas=int(config.get("running") or 0) if row.status == "deployed" else 0,
        reason=config.get("reason"),
        timestamp=now,
    )
    organization = str(row.organization_id)
    events = [
        Event(organization_id=organization, channel=DEPLOYMENT_STATUS, subject=row.id, seq=0, data=change),
    ]
    if news and change.status in _NEWS:
        message = f"Model {change.model_id} {_NEWS[change.status]}{f': {change.reason}' if change.reason else '.'}"
        data = Notification(kind=f"deployment.{change.status}", about=row.id, message=message, timestamp=now)
        events.append(Event(organization_id=organization, channel=NOTIFICATIONS, subject="", seq=0, data=data))
    return events
