"""A trained model, its deployment, a prediction."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, Any

import msgspec
from pydantic import FailFast, Field, StringConstraints

from qstore_appliance.domain.drafts import Draft


class ModelStatus(enum.StrEnum):
    #: Trained and stored, not served.
    TRAINED = "trained"
    #: Its replicas are starting.
    DEPLOYING = "deploying"
    #: Answers predictions.
    DEPLOYED = "deployed"
    #: Taken out of service for good; predictions answer 410.
    RETIRED = "retired"


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """`capped`: this machine runs fewer replicas than were asked for."""

    id: str
    model_id: str
    organization_id: str
    endpoint: str
    backend: str
    config: dict[str, Any]
    status: str
    capped: bool
    created_at: datetime
    updated_at: datetime


class Model(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    organization_id: str
    user_id: str
    name: str
    version: str
    circuit_id: str
    training_job_id: str | None
    status: ModelStatus
    metrics: dict[str, Any]
    parameters: dict[str, Any]
    #: Feature count, class names, input scale and a few held-out examples, for forms and clients.
    inputs: dict[str, Any]
    deployment: dict[str, Any]
    artifact_digest: str
    artifact_bytes: int
    created_at: datetime
    deployed_at: datetime | None
    updated_at: datetime
    #: A `Stage` of the registry, None where it has none.
    stage: str | None = None
    notes: str | None = None
    tags: list[str] = []
    #: As `Lineage.of` reads it.
    lineage: dict[str, Any] = {}


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    One answered input: of a classification the class (`class_index` is `class` in JSON), of a regression the value. Where
    shots were drawn, with the standard error of the value, or of each probability.
    """

    class_index: int | None = msgspec.field(default=None, name="class")
    label: str | None = None
    confidence: float | None = None
    probabilities: list[float] | None = None
    value: float | None = None
    std_error: float | None = None
    std_errors: list[float] | None = None


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """`cost` in micro-dollars."""

    predictions: list[Answer]
    inference_time_ms: float
    cost: int
    backend: str


class AutoScalingDraft(Draft):
    enabled: bool = False
    min_replicas: int = Field(default=1, ge=1, le=1000)
    max_replicas: int = Field(default=1, ge=1, le=1000)
    target_qps: float = Field(default=100, gt=0, le=1e6)


class ResourcesDraft(Draft):
    cpu: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}(\.[0-9]{1,3}|m)?$")] | None = None
    memory: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}(Ki|Mi|Gi|K|M|G)?$")] | None = None


class DeploymentDraft(Draft):
    backend: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,50}$")] | None = None
    replicas: int = Field(default=1, ge=1, le=1000)
    auto_scaling: AutoScalingDraft | None = None
    resources: ResourcesDraft | None = None


class PredictOptions(Draft):
    backend: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,50}$")] | None = None
    shots: int | None = Field(default=None, ge=1, le=10_000_000)
    seed: int | None = Field(default=None, ge=0, le=2**53)


#: The first wrong number of a row is named: ten million wrong ones would be gigabytes of faults.
Row = Annotated[list[float], FailFast()]


class PredictDraft(Draft):
    """`inputs` are raw features, as in the data set that the model learned from."""

    inputs: list[Row] = Field(min_length=1, max_length=100_000)
    options: PredictOptions = Field(default_factory=PredictOptions)
