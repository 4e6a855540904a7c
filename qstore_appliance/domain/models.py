"""A trained model, its deployment, a prediction."""

from __future__ import annotations

import enum
import math
from datetime import datetime
from typing import Annotated, Any, Literal

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


class Canary(msgspec.Struct, frozen=True, kw_only=True):
    """A version that answers a share of the requests, from 0 to 1."""

    model_id: str
    share: float


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """
    Versions behind a deployment's address: `serves` answers, None for the address's own model; `previous` did before;
    `shadow` is asked the same, and what it says is only compared.
    """

    serves: str | None = None
    previous: str | None = None
    canary: Canary | None = None
    shadow: str | None = None

    def stored(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


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
    rollout: Rollout
    created_at: datetime
    updated_at: datetime


class Scaling(msgspec.Struct, frozen=True, kw_only=True):
    """Replicas by need: `target_qps` questions in a second are one replica's share."""

    least: int
    most: int
    target_qps: float


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
    shots were drawn, with the standard error of the value, or of each probability, and the interval that has the
    confidence, or the value, in 95 of 100 cases; with `"shots": "auto"` also how many were drawn, and whether they decided.
    """

    class_index: int | None = msgspec.field(default=None, name="class")
    label: str | None = None
    confidence: float | None = None
    probabilities: list[float] | None = None
    value: float | None = None
    std_error: float | None = None
    std_errors: list[float] | None = None
    confidence_interval: list[float] | None = None
    shots: int | None = None
    decided: bool | None = None


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where the milliseconds of an inference went: waiting for a replica, raw features into angles, circuits, expectations
    into answers. The rest is the way there and back.
    """

    queue: float
    encode: float
    simulate: float
    read_out: float


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """`cost` in micro-dollars; `model_id` is the version that answered."""

    model_id: str
    predictions: list[Answer]
    inference_time_ms: float
    timing_ms: Timing
    cost: int
    backend: str


class AutoScalingDraft(Draft):
    enabled: bool = False
    min_replicas: int = Field(default=1, ge=1, le=1000)
    max_replicas: int = Field(default=1, ge=1, le=1000)
    target_qps: float = Field(default=100, gt=0, le=1e6)


#: Bytes, as Kubernetes counts them.
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
#: A predictor that may have less loads no model.
LEAST_MEMORY = 16 * 2**20


class ResourcesDraft(Draft):
    cpu: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}(\.[0-9]{1,3}|m)?$")] | None = None
    memory: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}(Ki|Mi|Gi|K|M|G)?$")] | None = None

    @property
    def cores(self) -> int | None:
        """Whole cores that are enough; None where nothing was said."""
        if self.cpu is None:
            return None
        return max(1, math.ceil(int(self.cpu[:-1]) / 1000 if self.cpu.endswith("m") else float(self.cpu)))

    @property
    def memory_bytes(self) -> int | None:
        if self.memory is None:
            return None
        number = self.memory.rstrip("KMGi")
        return int(number) * UNITS[self.memory[len(number) :]]


class DeploymentDraft(Draft):
    backend: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,50}$")] | None = None
    replicas: int = Field(default=1, ge=1, le=1000)
    auto_scaling: AutoScalingDraft | None = None
    resources: ResourcesDraft | None = None

    @property
    def scaling(self) -> Scaling | None:
        asked = self.auto_scaling
        if asked is None or not asked.enabled:
            return None
        return Scaling(least=asked.min_replicas, most=asked.max_replicas, target_qps=asked.target_qps)

    @property
    def first(self) -> int:
        """Replicas that have to run from the beginning."""
        return max(self.replicas, self.scaling.least) if self.scaling is not None else self.replicas

    @property
    def most(self) -> int:
        """Replicas that there may ever be."""
        return max(self.first, self.scaling.most) if self.scaling is not None else self.replicas


ModelId = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class CanaryDraft(Draft):
    model_id: ModelId
    share: float = Field(gt=0, le=1)


class ShadowDraft(Draft):
    model_id: ModelId


class RolloutDraft(Draft):
    """What is not sent stays; null ends a canary or a shadow. `model_id` is the version that answers from now on."""

    model_id: ModelId | None = None
    canary: CanaryDraft | None = None
    shadow: ShadowDraft | None = None


class PredictOptions(Draft):
    backend: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,50}$")] | None = None
    shots: Annotated[int, Field(ge=1, le=10_000_000)] | Literal["auto"] | None = None
    seed: int | None = Field(default=None, ge=0, le=2**53)


#: The first wrong number of a row is named: ten million wrong ones would be gigabytes of faults.
Row = Annotated[list[float], FailFast()]


class PredictDraft(Draft):
    """`inputs` are raw features, as in the data set that the model learned from."""

    inputs: list[Row] = Field(min_length=1, max_length=100_000)
    options: PredictOptions = Field(default_factory=PredictOptions)
