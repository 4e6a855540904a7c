"""
Trained models: show, retire. Serving them is in `deployments.py`, their answers are in `predictions.py`, their versions and
stages in `model_registry.py`.
"""

from __future__ import annotations

from collections.abc import Collection

from qstore_appliance.database.tables.models import DeploymentRow, ModelRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.models import Deployment, Model, ModelStatus
from qstore_appliance.services.deployments import DEPLOYMENT_SORTS, Deployments
from qstore_appliance.services.openings import active

__all__ = ["DEPLOYMENT_SORTS", "Models"]


class Models(Deployments):
    """Collaborators as of `Deployments`, which these verbs stand beside."""

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
            served = [str(found) for found in await active(id).values_list("id", flat=True)]
            if row.status != ModelStatus.RETIRED:
                now = self._clock.now()
                await active(id).update(status="retired", updated_at=now)
                await ModelRow.filter(id=id).update(status=ModelStatus.RETIRED, stage=None, updated_at=now)
        await self.withdrawn(served)
        return (await self._row(caller, id)).to_domain()


def _known(wanted: Collection[str]) -> list[str]:
    """Those that can be ids at all."""
    return [id for id in wanted if ids.is_id("model", id)]
