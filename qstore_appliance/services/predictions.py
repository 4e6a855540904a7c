"""Answers of deployed models, and what they cost."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import structlog

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.database.tables.models import DeploymentRow, ModelRow
from qstore_appliance.domain import ids
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.costs import CostEvent, Metered
from qstore_appliance.domain.models import Answer, PredictDraft, Prediction, Timing
from qstore_appliance.domain.ports import Replicas
from qstore_appliance.errors import (
    InsufficientMemory,
    NoCapacity,
    QStoreError,
    ValidationFailed,
    WorkerCrash,
    WorkerOutOfMemory,
)
from qstore_appliance.services import choices
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.model_metrics import MetricsOfModels
from qstore_appliance.services.reservations import Reservations
from qstore_appliance.settings import Settings

log = structlog.get_logger(__name__)

#: Free predictions are metered together, one row for so many seconds; those that cost, or count against a limit by the
#: hour, are saved before they are answered.
METER_SECONDS = 5.0
#: Beyond its deadline a prediction is over within so long, and what was reserved for it is nobody's any more.
GRACE_SECONDS = 60.0

#: Standard errors on either side that hold the truth in 95 of 100 cases.
CONFIDENCE_95 = 1.96
#: Names of features in one fault.
MOST_NAMES = 5
#: Shots until the class is decided, and how many that may be.
AUTO = "auto"
MOST_SHOTS = 16_384


class _Meter(NamedTuple):
    organization_id: str
    user_id: str
    model_id: str
    backend: str


class Predictions:
    def __init__(
        self,
        database: Database,
        replicas: Replicas,
        backends: Backends,
        reservations: Reservations,
        settings: Settings,
        metrics: MetricsOfModels,
    ) -> None:
        self._database = database
        self._replicas = replicas
        self._backends = backends
        self._reservations = reservations
        self._settings = settings
        self._metrics = metrics
        self._metered: dict[_Meter, tuple[Metered, float]] = {}
        self._saving: asyncio.Task[None] | None = None

    async def answer(
        self, caller: Caller, model: ModelRow, deployment: DeploymentRow, draft: PredictDraft, key: str
    ) -> Prediction:
        """
        Ask, charge and count it.

        Args:
            model: The version that is asked.
            key: Of its replicas.

        Raises:
            ValidationFailed: Naming `inputs[i]`, or too many of them.
            RateLimited: The circuits of the hour of its backend are used up.
            BudgetExceeded: The month's budget has no room for it.
            InsufficientMemory: A replica has not enough for so many inputs.
            BackendCannot, BackendUnavailable, NoCapacity, DeadlineExceeded: It cannot be answered now.
        """
        try:
            found = await self._answer(caller, model, deployment, draft, key)
        except BaseException as error:
            self._metrics.failed(caller.organization_id, model.id, error)
            raise
        milliseconds, n_inputs = found.inference_time_ms, len(draft.inputs)
        self._metrics.answered(caller.organization_id, found.model_id, milliseconds, n_inputs, found.cost)
        return found

    async def _answer(
        self, caller: Caller, model: ModelRow, deployment: DeploymentRow, draft: PredictDraft, key: str
    ) -> Prediction:
        names = list(model.inputs.get("feature_names") or [])
        self._check(draft, int(model.inputs.get("n_features") or 0), names)
        options, chosen = draft.options, draft.options.backend or deployment.backend
        await self._backends.require_circuits(chosen)
        held = await self._hold(caller, model, chosen, len(draft.inputs), options.shots)
        began = asyncio.get_running_loop().time()
        try:
            found = await self._asked(key, draft, chosen)
        except BaseException:
            if held is not None:
                async with self._database.transaction():
                    await self._reservations.release(held)
            raise
        milliseconds = (asyncio.get_running_loop().time() - began) * 1e3
        backend = str(found["backend"] or deployment.backend)
        ran = Metered(
            circuits=int(found["circuits"]),
            shots=int(found["shots"]),
            cpu_microseconds=round(found["cpu_seconds"] * 1e6),
            gpu_microseconds=round(found["gpu_seconds"] * 1e6),
        )
        cost = self._backends.price_of(backend, ran)
        # Not always who was asked: another version may have taken over while the question waited.
        answering = str(found.get("version") or model.id)
        meter = _Meter(caller.organization_id, caller.user_id, answering, backend)
        if cost or held is not None or self._backends.limits(backend).rate_limit_per_hour is not None:
            async with self._database.transaction():
                event = _event(meter, ran, cost)
                if held is None:
                    await self._reservations.costs.record(event)
                else:
                    await self._reservations.settle(held, event)
                await self._backends.ran(backend, ran.circuits, float(found["duration_ms"]) / 1e3)
        else:
            self._count(meter, ran, float(found["duration_ms"]) / 1e3)
        return Prediction(
            model_id=answering,
            predictions=_answers(found),
            inference_time_ms=round(milliseconds, 3),
            timing_ms=Timing(
                queue=round(found["queue_ms"], 3),
                encode=round(found["encode_ms"], 3),
                simulate=round(found["simulate_ms"], 3),
                read_out=round(found["read_out_ms"], 3),
            ),
            cost=cost,
            backend=backend,
        )

    async def close(self) -> None:
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.gather(self._saving, return_exceptions=True)
        await self._save()

    async def _asked(self, deployment_id: str, draft: PredictDraft, backend: str) -> dict[str, Any]:
        """
        Raises: what the model says; InsufficientMemory, NoCapacity: where a replica died over it.
        """
        options = draft.options
        try:
            return await self._replicas.predict(
                deployment_id, draft.inputs, shots=options.shots, backend=backend, seed=options.seed
            )
        except WorkerOutOfMemory as error:
            raise InsufficientMemory(
                f"{len(draft.inputs)} inputs need more memory than a replica has. Ask fewer at a time, or deploy with "
                "more `resources.memory`."
            ) from error
        except WorkerCrash as error:
            raise NoCapacity(f"Two replicas died over it. {error.message}", retry_after=1.0) from error

    async def _hold(
        self, caller: Caller, model: ModelRow, backend: str, n_inputs: int, shots: int | str | None
    ) -> str | None:
        """
        Reserve what it will cost, a circuit for each input. What processor time costs is known only afterwards: a
        micro-dollar stands for it, so that nothing begins where nothing is left.

        Returns: the reservation, None where nothing is to be expected.
        """
        if shots == AUTO:
            shots = MOST_SHOTS
        if shots is None and self._backends.prices(backend).per_shot:
            _, config, _ = await learned(model)
            shots = config.get("shots") or 0
        amount = self._backends.price(backend, n_inputs, n_inputs * int(shots or 0))
        if not amount and not self._backends.costs_something(backend):
            return None
        id = ids.new("cost")
        async with self._database.transaction():
            seconds = self._settings.predictions.deadline_seconds + GRACE_SECONDS
            await self._reservations.hold(id, caller.organization_id, max(1, amount), seconds=seconds)
        return id

    def _check(self, draft: PredictDraft, n_features: int, names: Sequence[str]) -> None:
        most = self._settings.predictions.max_inputs
        if len(draft.inputs) > most:
            raise ValidationFailed.field("inputs", f"at most {most} in one request, not {len(draft.inputs)}")
        wrong = [
            (f"inputs[{index}]", f"the model reads {n_features} numbers, not {len(row)}{_missing(names, len(row))}")
            for index, row in enumerate(draft.inputs)
            if n_features and len(row) != n_features
        ]
        if wrong:
            raise ValidationFailed.of(wrong[:20])

    def _count(self, meter: _Meter, ran: Metered, seconds: float) -> None:
        before = self._metered.get(meter, (Metered(), 0.0))
        self._metered[meter] = (before[0] + ran, before[1] + seconds)
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
                for meter, (ran, _) in metered.items():
                    await self._reservations.costs.record(_event(meter, ran, 0))
                # In one order: on Postgres two servers that count the same two backends would else wait for each other.
                for meter, (ran, seconds) in sorted(metered.items(), key=lambda item: item[0].backend):
                    await self._backends.ran(meter.backend, ran.circuits, seconds)
        except QStoreError as error:
            log.warning("predictions.not_metered", error=error.message)
            for meter, (ran, seconds) in metered.items():
                self._count(meter, ran, seconds)


async def learned(model: ModelRow) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The circuit, the config and the backend that a model learned with: its job's, or those that it came in with."""
    job = await JobRow.get_or_none(id=model.training_job_id)
    if job is None:
        return model.lineage.get("circuit") or {}, model.lineage.get("config") or {}, choices.AUTO
    return job.circuit, job.config, job.backend


def _event(meter: _Meter, ran: Metered, amount: int) -> CostEvent:
    return CostEvent(
        id=ids.new("cost"),
        organization_id=meter.organization_id,
        user_id=meter.user_id,
        event_type="prediction",
        backend=meter.backend,
        amount=amount,
        circuits=ran.circuits,
        shots=ran.shots,
        cpu_microseconds=ran.cpu_microseconds,
        gpu_microseconds=ran.gpu_microseconds,
        model_id=meter.model_id,
    )


def _missing(names: Sequence[str], given: int) -> str:
    """What a row that is too short lacks, by name."""
    lacking = list(names[given:])
    if not lacking:
        return ""
    more = f" and {len(lacking) - MOST_NAMES} more" if len(lacking) > MOST_NAMES else ""
    return f": {', '.join(lacking[:MOST_NAMES])}{more} {'is' if len(lacking) == 1 else 'are'} missing"


def _answers(found: Mapping[str, Any]) -> list[Answer]:
    n = len(found["labels"] or found["values"])
    errors = found.get("std_errors") or [None] * n
    if found.get("values") is not None:
        return [
            Answer(value=value, std_error=error, confidence_interval=_interval(value, error))
            for value, error in zip(found["values"], errors, strict=True)
        ]
    shots, decided = found.get("shots_each") or [None] * n, found.get("decided") or [None] * n
    rows = zip(found["labels"], found["class_indices"], found["probabilities"], errors, shots, decided, strict=True)
    return [
        Answer(
            class_index=index,
            label=label,
            confidence=max(probabilities),
            probabilities=probabilities,
            std_errors=error,
            confidence_interval=None if error is None else _interval(probabilities[index], error[index], 0.0, 1.0),
            shots=drawn,
            decided=sure,
        )
        for label, index, probabilities, error, drawn, sure in rows
    ]


def _interval(value: float, error: float | None, low: float = -math.inf, high: float = math.inf) -> list[float] | None:
    if error is None:
        return None
    return [max(low, value - CONFIDENCE_95 * error), min(high, value + CONFIDENCE_95 * error)]
