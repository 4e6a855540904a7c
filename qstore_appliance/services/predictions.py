"""Answers of deployed models, and what they cost."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

import structlog

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.models import DeploymentRow, ModelRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.costs import CostEvent
from qstore_appliance.domain.models import Answer, PredictDraft, Prediction
from qstore_appliance.domain.ports import Replicas
from qstore_appliance.errors import QStoreError, ValidationFailed
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.costs import Costs
from qstore_appliance.settings import Settings

log = structlog.get_logger(__name__)

#: Free predictions are metered together, one row for so many seconds; those that cost, or count against a limit by the
#: hour, are saved before they are answered.
METER_SECONDS = 5.0


class _Meter(NamedTuple):
    organization_id: str
    user_id: str
    model_id: str
    backend: str


class Predictions:
    def __init__(
        self, database: Database, replicas: Replicas, backends: Backends, costs: Costs, settings: Settings
    ) -> None:
        self._database = database
        self._replicas = replicas
        self._backends = backends
        self._costs = costs
        self._settings = settings
        self._metered: dict[_Meter, tuple[int, int, float]] = {}
        self._saving: asyncio.Task[None] | None = None

    async def answer(
        self, caller: Caller, model: ModelRow, deployment: DeploymentRow, draft: PredictDraft
    ) -> Prediction:
        """
        Raises:
            ValidationFailed: Naming `inputs[i]`, or too many of them.
            RateLimited: The circuits of the hour of its backend are used up.
            BackendCannot, BackendUnavailable, NoCapacity, DeadlineExceeded: It cannot be answered now.
        """
        self._check(draft, int(model.inputs.get("n_features") or 0))
        options = draft.options
        await self._backends.require_circuits(options.backend or deployment.backend)
        began = asyncio.get_running_loop().time()
        found = await self._replicas.predict(
            deployment.id,
            draft.inputs,
            shots=options.shots,
            backend=options.backend or deployment.backend,
            seed=options.seed,
        )
        milliseconds = (asyncio.get_running_loop().time() - began) * 1e3
        backend = str(found["backend"] or deployment.backend)
        circuits, shots = int(found["circuits"]), int(found["shots"])
        cost = self._backends.price(backend, circuits, shots)
        meter = _Meter(caller.organization_id, caller.user_id, model.id, backend)
        if cost or self._backends.limits(backend).rate_limit_per_hour is not None:
            async with self._database.transaction():
                await self._charge(meter, circuits, shots, cost)
                await self._backends.ran(backend, circuits, float(found["duration_ms"]) / 1e3)
        else:
            self._count(meter, circuits, shots, float(found["duration_ms"]) / 1e3)
        return Prediction(
            predictions=_answers(found),
            inference_time_ms=round(milliseconds, 3),
            cost=cost,
            backend=backend,
        )

    async def close(self) -> None:
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.gather(self._saving, return_exceptions=True)
        await self._save()

    def _check(self, draft: PredictDraft, n_features: int) -> None:
        most = self._settings.predictions.max_inputs
        if len(draft.inputs) > most:
            raise ValidationFailed.field("inputs", f"at most {most} in one request, not {len(draft.inputs)}")
        wrong = [
            (f"inputs[{index}]", f"the model reads {n_features} numbers, not {len(row)}")
            for index, row in enumerate(draft.inputs)
            if n_features and len(row) != n_features
        ]
        if wrong:
            raise ValidationFailed.of(wrong[:20])

    def _count(self, meter: _Meter, circuits: int, shots: int, seconds: float) -> None:
        before = self._metered.get(meter, (0, 0, 0.0))
        self._metered[meter] = (before[0] + circuits, before[1] + shots, before[2] + seconds)
        if self._saving is None or self._saving.done():
            self._saving = asyncio.create_task(self._save_later(), name="predictions.meter")

    async def _save_later(self) -> None:
        await asyncio.sleep(METER_SECONDS)
        await self._save()

    async def _save(self) -> None:
        metered, self._metered = self._metered, {}
        if not metered:
            return
        try:
            async with self._database.transaction():
                for meter, (circuits, shots, _) in metered.items():
                    await self._charge(meter, circuits, shots, 0)
                # In one order: on Postgres two servers that count the same two backends would else wait for each other.
                for meter, (circuits, _, seconds) in sorted(metered.items(), key=lambda item: item[0].backend):
                    await self._backends.ran(meter.backend, circuits, seconds)
        except QStoreError as error:
            log.warning("predictions.not_metered", error=error.message)
            for meter, (circuits, shots, seconds) in metered.items():
                self._count(meter, circuits, shots, seconds)

    async def _charge(self, meter: _Meter, circuits: int, shots: int, amount: int) -> None:
        await self._costs.record(
            CostEvent(
                id=ids.new("cost"),
                organization_id=meter.organization_id,
                user_id=meter.user_id,
                event_type="prediction",
                backend=meter.backend,
                amount=amount,
                circuits=circuits,
                shots=shots,
                model_id=meter.model_id,
            )
        )


def _answers(found: Mapping[str, Any]) -> list[Answer]:
    errors = found.get("std_errors") or [None] * len(found["labels"] or found["values"])
    if found.get("values") is not None:
        return [Answer(value=value, std_error=error) for value, error in zip(found["values"], errors, strict=True)]
    rows = zip(found["labels"], found["class_indices"], found["probabilities"], errors, strict=True)
    return [
        Answer(
            class_index=index, label=label, confidence=max(probabilities), probabilities=probabilities, std_errors=error
        )
        for label, index, probabilities, error in rows
    ]
