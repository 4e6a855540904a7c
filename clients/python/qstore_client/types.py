"""
What the server takes and answers: a dataclass for each answer and event, a `TypedDict` for each body.

Written by `generate` from the server's own description; not by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, TypedDict

AlertChannel = Literal["email", "slack", "webhook"]

InvitationStatus = Literal["accepted", "expired", "pending", "revoked"]

JobStatus = Literal["cancelled", "completed", "failed", "paused", "queued", "running"]

Kind = Literal["cookie", "token"]

LetterStatus = Literal["dead", "delivered", "pending"]

Method = Literal["authenticator", "password", "provider", "recovery_code"]

ModelStatus = Literal["deployed", "deploying", "retired", "trained"]

Priority = Literal["high", "low", "normal"]

Stage = Literal["production", "staging"]

Standing = Literal["own", "trusted", "unknown"]


class _AcceptDraft(TypedDict):
    token: str
    password: str


class AcceptDraft(_AcceptDraft, total=False):
    """
    `password`: the new account's, or of the account that the address has already, with its `code` where it has a
    second factor.
    """

    name: str | None
    code: str | None


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """`user_id` is a member of that organization from now on."""

    user_id: str
    email: str
    organization_id: str
    organization: str
    role: str


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """`key` is there once, in the answer that creates it; afterwards only its `prefix` is known."""

    id: str
    key: str | None
    prefix: str
    name: str
    scopes: list[str]
    environment: str
    rate_limit: int
    user_id: str
    created_at: datetime
    expires_at: datetime | None
    last_used: datetime | None


class _ApiKeyDraft(TypedDict):
    name: str
    scopes: list[str]


class ApiKeyDraft(_ApiKeyDraft, total=False):
    environment: Literal["live", "test", "dev"]
    rate_limit: int | None
    expires_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """`hash` covers the other fields and `previous`, the hash of the entry before it."""

    id: str
    seq: int
    time: datetime
    action: str
    actor: str
    user_id: str | None
    key_id: str | None
    address: str | None
    subject: str | None
    details: dict[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True, kw_only=True)
class AuditVerification:
    """`head` is the last entry's hash: who keeps it elsewhere can prove later that nothing was rewritten."""

    valid: bool
    entries: int
    head: str
    fault: str | None
    fault_seq: int | None


class AugmentationDraft(TypedDict):
    dataset_id: str
    transformations: list[dict[str, Any]]


class AutoScalingDraft(TypedDict, total=False):
    enabled: bool
    min_replicas: int
    max_replicas: int
    target_qps: float


@dataclass(frozen=True, kw_only=True)
class Backend:
    """The specification's row and entity in one; `reason` says why its status is not `available`."""

    id: str
    name: str
    type: str
    provider: str
    status: str
    reason: str | None
    queue_depth: int
    avg_latency_ms: float | None
    cost_per_circuit: float
    capabilities: Capabilities
    performance: Performance
    cost: BackendCost
    limits: dict[str, Any]
    maintenance_window: MaintenanceWindow | None


@dataclass(frozen=True, kw_only=True)
class BackendCost:
    """US dollars."""

    per_circuit: float
    per_shot: float
    minimum_charge: float
    per_cpu_second: float
    per_gpu_second: float


@dataclass(frozen=True, kw_only=True)
class BackendHealth:
    """`circuits_today` counts those of your organization; the rest is the whole installation's."""

    id: str
    status: str
    reason: str | None
    uptime: float | None
    queue: BackendQueue
    performance: BackendToday
    maintenance_window: MaintenanceWindow | None


@dataclass(frozen=True, kw_only=True)
class BackendQueue:
    """`avg_wait_time_sec` is from submit to start, over the last 30 days."""

    depth: int
    avg_wait_time_sec: float | None


@dataclass(frozen=True, kw_only=True)
class BackendToday:
    circuits_today: int
    avg_latency_ms: float | None
    throughput_circuits_per_sec: float | None


@dataclass(frozen=True, kw_only=True)
class BackendUpdate:
    """
    `backend.status`: a backend changed its status, to `starting`, `available`, `degraded`, `maintenance` or
    `unavailable`.

    What was not measured yet is null.
    """

    backend_id: str
    status: str
    queue_depth: int
    avg_latency_ms: float | None
    timestamp: datetime
    seq: int = 0


@dataclass(frozen=True, kw_only=True)
class Budget:
    """
    US dollars. `remaining` is the limit without what is spent; `reserved` is what live jobs may still cost, and a
    job is accepted where spend, reservations and its own fit the limit. All of the limit is null where there is
    none.
    """

    monthly_limit: float | None
    current_spend: float
    reserved: float
    remaining: float | None
    percentage_used: float | None
    alerts: list[BudgetAlert]
    projected_monthly_spend: float


@dataclass(frozen=True, kw_only=True)
class BudgetAlert:
    """`status` is `triggered` once it has fired this month."""

    threshold: int
    status: str
    action: str


class _BudgetAlertDraft(TypedDict):
    threshold: int
    action: Literal["email", "slack", "webhook", "pause_jobs", "pause_new_jobs"]


class BudgetAlertDraft(_BudgetAlertDraft, total=False):
    """What happens once spend reaches `threshold` percent of the limit; above 100 it is told of what got past it."""

    recipients: list[str] | None
    webhook: str | None


class _BudgetDraft(TypedDict):
    monthly_limit: float | None


class BudgetDraft(_BudgetDraft, total=False):
    """`PUT /v1/budget`. `monthly_limit` null: no limit. Alerts that are left out stay as they are."""

    alerts: list[BudgetAlertDraft] | None


@dataclass(frozen=True, kw_only=True)
class Canary:
    """A version that answers a share of the requests, from 0 to 1."""

    model_id: str
    share: float


class CanaryDraft(TypedDict):
    model_id: str
    share: float


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    max_qubits: int | None
    max_depth: int | None
    supported_gates: list[str]
    has_gpu: bool
    supports_shots: bool
    supports_exact: bool
    supports_noise: list[str]
    noise_models: list[str]


class _ChainDraft(TypedDict):
    model: Literal["ising", "heisenberg"]


class ChainDraft(_ChainDraft, total=False):
    """A chain of spins over all qubits of the circuit; `h` is 1 for ising and 0 for heisenberg unless given."""

    j: float
    h: float | None
    periodic: bool


@dataclass(frozen=True, kw_only=True)
class Circuit:
    """`circuit_definition` is `{"format": "unified", "gates": […]}`."""

    id: str
    user_id: str
    name: str
    description: str | None
    n_qubits: int
    depth: int
    gate_count: int
    parameters: dict[str, Any]
    circuit_definition: dict[str, Any]
    metadata: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class CircuitChange:
    """`removed` stand in the first circuit from `index_a` on, `added` in the second from `index_b` on."""

    index_a: int
    removed: list[dict[str, Any]]
    index_b: int
    added: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class CircuitDifference:
    """`removed`, `added` and `same` are numbers of gates; not `complete` where there are more than 1,000 changes."""

    changes: list[CircuitChange]
    removed: int
    added: int
    same: int
    complete: bool


class _CircuitDraft(TypedDict):
    name: str
    n_qubits: int
    gates: list[dict[str, Any]]


class CircuitDraft(_CircuitDraft, total=False):
    """`gates` in any of the four JSON spellings; the reader of `engine/formats/unified.py` judges them."""

    description: str | None
    parameters: dict[str, Any] | None
    metadata: dict[str, Any]


class _CircuitImport(TypedDict):
    name: str
    format: Literal["unified", "qstore4", "ionq", "ionq_native", "qasm2", "qasm3"]
    source: str | dict[str, Any]


class CircuitImport(_CircuitImport, total=False):
    """`source` is a program's text, or the object of a format that is JSON."""

    description: str | None
    parameters: dict[str, Any] | None
    metadata: dict[str, Any]


class CircuitPatch(TypedDict, total=False):
    """None is "not sent"; new gates make a new version."""

    name: str | None
    description: str | None
    n_qubits: int | None
    gates: list[dict[str, Any]] | None
    parameters: dict[str, Any] | None
    metadata: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class CircuitSizes:
    depth: int
    gate_count: int
    two_qubit_gates: int
    gates: dict[str, int]
    n_qubits: int
    symbols: int


@dataclass(frozen=True, kw_only=True)
class CircuitSummary:
    """A row of a list: no gates."""

    id: str
    name: str
    n_qubits: int
    depth: int
    gate_count: int
    tags: list[str]
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class CircuitVersion:
    """
    One of a circuit's versions, without its gates.

    Attributes:     user_id, created_at: Who made it and when; null where the version before it was not kept.
    """

    version: int
    n_qubits: int
    depth: int
    gate_count: int
    user_id: str | None
    created_at: datetime | None


class CompareDraft(TypedDict):
    """The ids of two models."""

    a: str
    b: str


@dataclass(frozen=True, kw_only=True)
class Compared:
    """`equivalent`, `overlap` and `counter_example` are the certificate's."""

    equivalent: bool | None
    overlap: float | None
    counter_example: CounterExample | None
    resources: ComparedSizes
    diff: CircuitDifference
    certificate: EquivalenceCertificate


@dataclass(frozen=True, kw_only=True)
class ComparedSizes:
    a: CircuitSizes
    b: CircuitSizes


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """
    Two models side by side. Scores say which model is better only where both were scored on the same samples:
    `comparable`, else `reasons` why not. `same_circuit` and `same_parameters` go by digests and values.
    """

    a: str
    b: str
    comparable: bool
    reasons: list[str]
    metrics: list[MetricPair]
    differences: list[Difference]
    same_circuit: bool
    same_parameters: bool


class ComparisonDraft(TypedDict):
    """`POST /v1/circuits/compare`: two circuits by id."""

    a: str
    b: str


class ConfigDraft(TypedDict, total=False):
    """`config` of a training job."""

    backend: str | None
    task: Literal["classification", "regression", "energy", "sampling"]
    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: Literal["adam", "sgd", "rmsprop", "spsa", "natural", "lbfgs"]
    momentum: float | None
    schedule: Literal["cosine", "constant", "step", "exponential"] | ScheduleDraft | None
    gradient: Literal["auto", "adjoint", "parameter_shift", "spsa"]
    gradient_clip: float | None
    class_weights: Literal["balanced"] | dict[str, float] | None
    precision: Literal["single", "double"]
    shots: int | None
    noise: NoiseDraft | None
    seed: int | None
    dataset: DatasetDraft | None
    hamiltonian: list[PauliTermDraft] | MoleculeDraft | ChainDraft | None
    encoding: EncodingDraft | None
    readout: ReadoutDraft
    early_stopping: EarlyStoppingDraft | None
    initial_parameters: dict[str, float] | None
    hardware_config: HardwareDraft


class ConfirmationDraft(TypedDict):
    code: str


class ContinueDraft(TypedDict, total=False):
    """How many further epochs; left out, what was left of the job, else as many again."""

    epochs: int | None


@dataclass(frozen=True, kw_only=True)
class CostUpdate:
    """`cost.updates` (event `cost.update`): the organization's spend this month, in US dollars."""

    current_spend: float
    budget_limit: float | None
    percentage_used: float | None
    timestamp: datetime
    seq: int = 0


@dataclass(frozen=True, kw_only=True)
class CounterExample:
    """
    A state that two circuits make different states of.

    Attributes:     parameters: Numbers for the symbols.     preparation: Gates that make the state of |0…0>; none
    is that state itself.     overlap: Of the two states that come out, in magnitude.
    """

    parameters: dict[str, float]
    preparation: list[dict[str, Any]]
    overlap: float


@dataclass(frozen=True, kw_only=True)
class Dataset:
    id: str
    name: str
    source: str
    n_samples: int
    n_features: int
    classes: list[str]
    digest: str | None
    user_id: str | None
    created_at: datetime | None


class _DatasetDraft(TypedDict):
    type: str


class DatasetDraft(_DatasetDraft, total=False):
    train_size: int | None
    val_size: int | None
    classes: list[int | str] | None
    target: str | None
    features: FeaturesDraft


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """
    `config` as it was asked for; `capped` where this machine runs fewer replicas than that. `serves` is the version
    that answers, `previous` the one that a rollback brings back.
    """

    id: str
    model_id: str
    endpoint: str
    backend: str
    status: str
    capped: bool
    config: dict[str, Any]
    replicas: list[dict[str, Any]]
    serves: str
    previous: str | None
    canary: Canary | None
    shadow: Shadow | None
    created_at: datetime
    updated_at: datetime


class DeploymentDraft(TypedDict, total=False):
    backend: str | None
    replicas: int
    auto_scaling: AutoScalingDraft | None
    resources: ResourcesDraft | None


@dataclass(frozen=True, kw_only=True)
class DeploymentStarted:
    """`replicas` really run; `capped` where that is fewer than were asked for."""

    deployment_id: str
    endpoint: str
    status: str
    eta_seconds: float
    capped: bool
    replicas: int


@dataclass(frozen=True, kw_only=True)
class DeploymentUpdate:
    """`deployment.status`: a deployment changed its status. `replicas` run now; `reason` says why there are none."""

    deployment_id: str
    model_id: str
    status: str
    replicas: int
    reason: str | None
    timestamp: datetime
    seq: int = 0


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What differs, by its path, such as `config.epochs`."""

    field: str
    a: Any
    b: Any


@dataclass(frozen=True, kw_only=True)
class Download:
    """`sha256` in hexadecimal."""

    name: str
    url: str
    size_bytes: int
    sha256: str


class EarlyStoppingDraft(TypedDict, total=False):
    patience: int
    min_delta: float
    restore_best: bool


class EncodingDraft(TypedDict, total=False):
    """What goes in front of a circuit without `x_` symbols."""

    type: Literal["angle", "amplitude", "iqp", "none"]
    gate: Literal["RX", "RY", "RZ"] | None
    repeats: int | None


@dataclass(frozen=True, kw_only=True)
class Ended:
    ended: int


@dataclass(frozen=True, kw_only=True)
class Enrolment:
    """Shown once. `uri` is what authenticators read; `qr` the same as an SVG picture."""

    secret: str
    uri: str
    qr: str


class EnrolmentDraft(TypedDict):
    password: str


@dataclass(frozen=True, kw_only=True)
class EquivalenceCertificate:
    """
    Attributes:     equivalent: The same up to a global phase; null where that was too much to compute.     method:
    `unitary` (whole matrices, up to 10 qubits), `random_states`, or `none`.     overlap: The least that was found,
    1 for circuits that do the same.     bindings: The random numbers that symbols had, set by set.     states: How
    many random states were looked at; 0 for whole matrices.
    """

    equivalent: bool | None
    method: str
    overlap: float | None
    bindings: list[dict[str, float]]
    states: int
    counter_example: CounterExample | None = None


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a job would take on this machine, and why it would be this backend; `cost` in US dollars."""

    time_seconds: Interval
    memory_bytes: Interval
    cost: Interval
    backend: str
    auto_backend: str
    backend_reason: str


@dataclass(frozen=True, kw_only=True)
class Execution:
    """
    Bit strings have qubit 0 on the left. `counts` is there with shots; `statevector` (pairs of real and imaginary
    part), `bloch` (x, y, z of each qubit) and `entanglement` (concurrence of each pair) are there where the run is
    exact and has at most 12 qubits. `cost` in US dollars.
    """

    backend: str
    n_qubits: int
    seed: int
    shots: int | None
    probabilities: dict[str, float]
    n_outcomes: int
    expectations: list[Expectation]
    duration_ms: float
    cost: float
    counts: dict[str, int] | None = None
    statevector: list[list[Any]] | None = None
    bloch: list[list[Any]] | None = None
    entanglement: list[Pair] | None = None


class ExecutionDraft(TypedDict, total=False):
    """`POST /v1/circuits/{id}/run`. `shots` null: exact. `backend` "auto" takes the fastest that can."""

    parameters: dict[str, float]
    backend: str
    shots: int | None
    observables: list[str]
    noise: dict[str, Any] | None
    seed: int | None


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """`std_error` is 0 where the value is exact."""

    observable: str
    value: float
    std_error: float


class FeaturesDraft(TypedDict, total=False):
    """What is not given follows from the circuit and its encoding: see `docs/api.md`."""

    method: Literal["pca", "resize", "none"] | None
    count: int | None
    scale: Literal["angle", "standard", "none"] | None


@dataclass(frozen=True, kw_only=True)
class GateCounts:
    """`two_qubit_gates` are those on two or three qubits, `gates` how many there are of each name."""

    depth: int
    gate_count: int
    two_qubit_gates: int
    gates: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class GraphQL:
    data: dict[str, Any] | None = None
    errors: list[GraphQLError] | None = None


class _GraphQLDraft(TypedDict):
    query: str


class GraphQLDraft(_GraphQLDraft, total=False):
    """`extensions` is what some clients add about themselves; it is not looked at."""

    variables: dict[str, Any] | None
    operationName: str | None
    extensions: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class GraphQLError:
    """`extensions` has `code` and `details` as REST's errors have them."""

    message: str
    extensions: dict[str, Any]
    path: list[str | int] | None = None
    locations: list[dict[str, int]] | None = None


class HardwareDraft(TypedDict, total=False):
    nodes: Literal[1]
    gpus: int


@dataclass(frozen=True, kw_only=True)
class Health:
    status: str


class _HubImport(TypedDict):
    dataset_name: str


class HubImport(_HubImport, total=False):
    """What is to be imported from a hub. This server fetches nothing, and answers what it has of that name."""

    dataset_config: str | None
    split_mapping: dict[str, str] | None


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """An archive that is whole and rightly signed: which model is in it, and whose signature it is."""

    signer: Signer
    format: int
    exported_at: datetime
    written_by: str
    name: str
    version: str
    task: str
    n_qubits: int
    n_gates: int
    classes: list[str]
    n_features: int
    metrics: dict[str, Any]
    receipt: dict[str, Any]
    artifact_digest: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Interval:
    low: float
    expected: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """
    Attributes:     invited_by: The user's id.     link: Only in the answer that creates it.     mailed: Whether the
    link was also mailed to them.
    """

    id: str
    email: str
    role: str
    status: InvitationStatus
    invited_by: str
    mailed: bool
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    link: str | None = None


class InvitationDraft(TypedDict):
    email: str
    role: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """
    The specification's status answer and entity in one.

    `reason` says why a job waits or how it ended, `error_code` as a code. `seq` counts its events: subscribe with
    it as `last_seq` and nothing is missed. Money in US dollars.
    """

    id: str
    user_id: str
    circuit_id: str
    status: JobStatus
    priority: Priority
    config: dict[str, Any]
    backend: str
    progress: Progress
    metrics: dict[str, Any]
    resources: Resources
    receipt: dict[str, Any]
    cost_so_far: float
    estimated_cost: float
    budget_limit: float | None
    reason: str | None
    error_code: str | None
    project: str | None
    tags: list[str]
    model_id: str | None
    continued_from: str | None
    replay_of: str | None
    sweep_id: str | None
    cancel_requested: bool
    pause_requested: bool
    seq: int
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    completed_at: datetime | None


class _JobDraft(TypedDict):
    circuit_id: str
    config: ConfigDraft


class JobDraft(_JobDraft, total=False):
    priority: Priority
    budget_limit: float | None
    project: str | None
    tags: list[str]


@dataclass(frozen=True, kw_only=True)
class JobLog:
    """`job.logs`: a line of a job's log; its number is that of the event."""

    job_id: str
    level: str
    message: str
    timestamp: datetime
    seq: int = 0


@dataclass(frozen=True, kw_only=True)
class JobMetrics:
    """`job.metrics`: the metrics of one finished epoch."""

    job_id: str
    epoch: int
    metrics: Metrics
    timestamp: datetime
    seq: int = 0


@dataclass(frozen=True, kw_only=True)
class JobProgress:
    """`job.progress`: a job changed its status or finished an epoch."""

    job_id: str
    status: str
    current_epoch: int
    total_epochs: int
    current_loss: float | None
    best_loss: float | None
    eta_seconds: float | None
    reason: str | None
    model_id: str | None
    timestamp: datetime
    seq: int = 0

    @property
    def epoch(self) -> int:
        return self.current_epoch

    @property
    def loss(self) -> float | None:
        return self.current_loss


@dataclass(frozen=True, kw_only=True)
class JobState:
    job_id: str
    status: JobStatus
    cost_incurred: float
    epochs_completed: int


@dataclass(frozen=True, kw_only=True)
class JobSummary:
    """A row of a list; `progress` is the percentage (specification, List Jobs)."""

    id: str
    status: JobStatus
    priority: Priority
    circuit_id: str
    backend: str
    dataset: str
    progress: int
    accuracy: float | None
    model_id: str | None
    reason: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Letter:
    """`id` is what receivers see as `X-QStore-Delivery`; the path of a `destination` is not shown."""

    id: str
    kind: AlertChannel
    event: str
    destination: str
    status: LetterStatus
    attempts: int
    next_attempt_at: datetime | None
    last_error: str | None
    created_at: datetime
    delivered_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """
    Where a model comes from. `circuit_version` is that of the stored circuit when the job was submitted, and
    `code_version` that of the appliance which trained; `receipt` and `config` are the job's. `imported` says, of a
    model that came in an archive, who signed it.
    """

    circuit_version: int | None
    circuit_digest: str | None
    dataset: str | None
    dataset_digest: str | None
    training_job_id: str | None
    continued_from: str | None
    code_version: str | None
    backend: str | None
    seed: int | None
    config: dict[str, Any]
    receipt: dict[str, Any]
    imported: dict[str, Any] | None


class LinkDraft(TypedDict):
    """`token`: what stands behind the `#` of the link."""

    token: str


@dataclass(frozen=True, kw_only=True)
class LogLine:
    seq: int
    timestamp: datetime
    level: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Logs:
    logs: list[LogLine]
    streaming: bool


@dataclass(frozen=True, kw_only=True)
class MaintenanceWindow:
    """The present maintenance window, or the next one."""

    start: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True)
class MaskedKey:
    """`key` is masked for ever: `qsk_live_***`."""

    id: str
    key: str
    name: str
    scopes: list[str]
    created_at: datetime
    last_used: datetime | None
    rate_limit: int


@dataclass(frozen=True, kw_only=True)
class Member:
    """
    Somebody of an organization, as the others of it see them.

    Attributes:     disabled: Kept out of this organization, or of the whole installation.     last_active: Here;
    what they do in other organizations is nobody's business.     created_at: When they came to this organization.
    """

    id: str
    email: str
    name: str
    role: str
    disabled: bool
    last_active: datetime | None
    created_at: datetime


class MemberPatch(TypedDict, total=False):
    """None is "not sent"."""

    role: str | None
    disabled: bool | None


@dataclass(frozen=True, kw_only=True)
class MetricPair:
    """One number of two models. `better` is `a` or `b`; null where they are equal, or more is not better or worse."""

    metric: str
    a: float | None
    b: float | None
    difference: float | None
    better: str | None


@dataclass(frozen=True, kw_only=True)
class Metrics:
    loss: float
    accuracy: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class Model:
    """
    `inputs` says what predictions take: raw features, as in the data set that the model learned from. `lineage`
    says where the model comes from.
    """

    id: str
    user_id: str
    name: str
    version: str
    stage: Stage | None
    notes: str | None
    tags: list[str]
    circuit_id: str
    training_job_id: str | None
    status: ModelStatus
    metrics: dict[str, Any]
    parameters: dict[str, Any]
    inputs: dict[str, Any]
    deployment: dict[str, Any] | None
    storage: Storage
    lineage: Lineage
    created_at: datetime
    deployed_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class ModelMetrics:
    """
    `days` are UTC days, which the lists go by; costs in US dollars. Latencies are of answers, null where there are
    none.
    """

    window: str
    since: datetime
    days: list[str]
    requests_per_day: list[int]
    cost_per_day: list[float]
    requests: int
    inputs: int
    avg_latency_ms: float | None
    p50_latency_ms: float | None
    p95_latency_ms: float | None
    p99_latency_ms: float | None
    error_rate: float


class ModelPatch(TypedDict, total=False):
    """None is "not sent"; `tags` are replaced as a whole."""

    name: str | None
    version: str | None
    notes: str | None
    tags: list[str] | None


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    id: str
    name: str
    version: str
    status: ModelStatus
    stage: Stage | None
    tags: list[str]
    circuit_id: str
    training_job_id: str | None
    metrics: dict[str, Any]
    created_at: datetime
    deployed_at: datetime | None


class _MoleculeDraft(TypedDict):
    molecule: str


class MoleculeDraft(_MoleculeDraft, total=False):
    """A molecule of the table in `engine/molecules.py`; `bond_length` in angstrom, the best known if it is not given."""

    bond_length: float | None


class NoiseDraft(TypedDict, total=False):
    """Probabilities of channels that act after every gate or on every measured bit; or a provider's model by name."""

    depolarizing: float | None
    amplitude_damping: float | None
    readout: float | ReadoutErrorDraft | None
    model: str | None


@dataclass(frozen=True, kw_only=True)
class Notification:
    """
    `notifications`: something that people of the organization want to know, in one sentence.

    `kind` is `job.completed`, `job.failed`, `deployment.deployed`, `deployment.failed` or `budget.alert`; `about`
    is the id of what it is about, of a budget the organization's.
    """

    kind: str
    about: str
    message: str
    timestamp: datetime
    seq: int = 0


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What whoever has the link is told before they accept."""

    organization: str
    email: str
    role: str
    expires_at: datetime


class OptimisationDraft(TypedDict, total=False):
    """`POST /v1/circuits/{id}/optimize`. Without `target_backend` any backend may run the result."""

    target_backend: str | None
    optimization_level: int


@dataclass(frozen=True, kw_only=True)
class Optimised:
    """
    Attributes:     gate_reduction: How many of a hundred gates are gone, such as "37.8%"; negative where a target
    needs more.     passes: What was applied, in its order.     refused: Passes that had no certificate, and so were
    not applied.
    """

    original_depth: int
    optimized_depth: int
    gate_reduction: str
    optimized_circuit_id: str
    before: GateCounts
    after: GateCounts
    passes: list[str]
    refused: list[str]
    certificate: EquivalenceCertificate


@dataclass(frozen=True, kw_only=True)
class Organization:
    id: str
    name: str
    plan: str
    members: int
    settings: OrganizationSettings
    storage: StorageUse
    created_at: datetime


class OrganizationPatch(TypedDict, total=False):
    name: str | None
    settings: SettingsPatch | None


@dataclass(frozen=True, kw_only=True)
class OrganizationRole:
    """
    A role as one organization has it.

    Attributes:     permissions: Patterns, `resource:action` or `resource:*`, in alphabetical order.     built_in:
    One of the four, which are the same everywhere and cannot be changed.     members: Who has it, those who are
    kept out included.     created_at: None where it is built in, as is `updated_at`.
    """

    name: str
    description: str
    permissions: list[str]
    built_in: bool
    members: int
    created_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class OrganizationSettings:
    max_concurrent_jobs: int = 10
    allowed_backends: list[str] | None = None
    enable_hardware: bool = False
    max_storage_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class OwnOrganization:
    """One that somebody belongs to, and as what; `current` is where their session acts."""

    id: str
    name: str
    role: str
    current: bool


@dataclass(frozen=True, kw_only=True)
class Pair:
    """How entangled two qubits are with each other, from 0 to 1."""

    qubits: list[Any]
    concurrence: float


@dataclass(frozen=True, kw_only=True)
class ParentArrays:
    """Rows `x`, and for each of them in `y` the index of its class, or the number that it is labelled with."""

    x: list[list[float]]
    y: list[float]


@dataclass(frozen=True, kw_only=True)
class ParentDataset:
    """A data set in that library's words. `splits` are the parts of a job that says nothing about them."""

    id: str
    name: str
    source: str
    description: str | None
    num_samples: int
    num_classes: int
    splits: list[str]
    metadata: dict[str, Any]


class PasswordChange(TypedDict):
    current_password: str
    password: str


class _PasswordGrant(TypedDict):
    grant_type: Literal["password"]
    email: str
    password: str


class PasswordGrant(_PasswordGrant, total=False):
    """`code`: of the second factor, where the user has one."""

    code: str | None


class PauliTermDraft(TypedDict):
    pauli: str
    coeff: float


@dataclass(frozen=True, kw_only=True)
class Performance:
    """
    Over the last 30 days, by everybody on this installation; None where nothing has been measured yet.

    `avg_latency_ms` is the mean wall time of one circuit, `throughput_circuits_per_sec` counts while circuits run,
    and `availability` is the share of probes that found the backend working.
    """

    avg_latency_ms: float | None
    throughput_circuits_per_sec: float | None
    queue_depth: int
    availability: float | None


class _PredictDraft(TypedDict):
    inputs: list[list[float]]


class PredictDraft(_PredictDraft, total=False):
    """`inputs` are raw features, as in the data set that the model learned from."""

    options: PredictOptions


class PredictOptions(TypedDict, total=False):
    backend: str | None
    shots: int | Literal["auto"] | None
    seed: int | None


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """
    One answered input: of a classification the class (`class_index` is `class` in JSON), of a regression the value.
    Where shots were drawn, with the standard error of the value, or of each probability, and the interval that has
    the confidence, or the value, in 95 of 100 cases; with `"shots": "auto"` also how many were drawn, and whether
    they decided.
    """

    class_: int | None = field(default=None, metadata={"wire": "class"})
    label: str | None = None
    confidence: float | None = None
    probabilities: list[float] | None = None
    value: float | None = None
    std_error: float | None = None
    std_errors: list[float] | None = None
    confidence_interval: list[float] | None = None
    shots: int | None = None
    decided: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """`cost` in US dollars; `model_id` is the version that answered, `timing_ms` says where `inference_time_ms` went."""

    model_id: str
    predictions: list[Prediction]
    inference_time_ms: float
    timing_ms: Timing
    cost: float
    backend: str

    @property
    def labels(self) -> list[str | None]:
        return [one.label for one in self.predictions]


@dataclass(frozen=True, kw_only=True)
class Profile:
    id: str
    email: str
    name: str
    organization_id: str
    role: str
    operator: bool
    scopes: list[str]
    api_keys: list[MaskedKey]
    preferences: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class ProfilePatch(TypedDict, total=False):
    """None is "not sent"."""

    name: str | None
    preferences: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Progress:
    current_epoch: int
    total_epochs: int
    percentage: int
    current_loss: float | None
    best_loss: float | None
    eta_seconds: float | None


class PromoteDraft(TypedDict):
    """`stage` null takes the label away."""

    stage: Stage | None


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """`checks` names every part with null, or with what is wrong with it."""

    status: str
    checks: dict[str, str | None]
    reasons: list[str]


class ReadoutDraft(TypedDict, total=False):
    observables: Literal["z", "z+zz"] | list[str]
    head: Literal["linear", "none"]


class ReadoutErrorDraft(TypedDict, total=False):
    """`p01` is the probability that 0 is read as 1, `p10` that 1 is read as 0."""

    p01: float
    p10: float


@dataclass(frozen=True, kw_only=True)
class RecoveryCodes:
    """Each works once, in place of a code; shown once."""

    recovery_codes: list[str]


class RefreshGrant(TypedDict):
    grant_type: Literal["refresh_token"]
    refresh_token: str


class RemovalDraft(TypedDict):
    password: str
    code: str


class Reset(TypedDict):
    """`token`: what stands behind the `#` of the link that was mailed."""

    token: str
    password: str


class ResetWish(TypedDict):
    email: str


@dataclass(frozen=True, kw_only=True)
class Resources:
    backend_used: str | None = None
    circuits_executed: int = 0
    total_shots: int = 0
    cpu_seconds: float = 0.0
    gpu_hours: float = 0.0


class ResourcesDraft(TypedDict, total=False):
    cpu: str | None
    memory: str | None


class _RoleDraft(TypedDict):
    name: str
    permissions: list[str]


class RoleDraft(_RoleDraft, total=False):
    description: str


class RolePatch(TypedDict, total=False):
    """None is "not sent"; `permissions` replaces all that it had."""

    description: str | None
    permissions: list[str] | None


class RolloutDraft(TypedDict, total=False):
    """What is not sent stays; null ends a canary or a shadow. `model_id` is the version that answers from now on."""

    model_id: str | None
    canary: CanaryDraft | None
    shadow: ShadowDraft | None


class _ScheduleDraft(TypedDict):
    type: Literal["cosine", "constant", "step", "exponential"]


class ScheduleDraft(_ScheduleDraft, total=False):
    """Epochs are meant. `every` and `factor` belong to `step`, `factor` to `exponential`."""

    every: int | None
    factor: float | None
    warmup: int


@dataclass(frozen=True, kw_only=True)
class SecondFactor:
    """What of it may be shown: never the secret."""

    enabled: bool
    since: datetime | None
    recovery_codes_left: int


@dataclass(frozen=True, kw_only=True)
class SentLetter:
    """A letter that is on its way; `GET /v1/outbox` says how it goes."""

    id: str
    kind: AlertChannel
    destination: str


@dataclass(frozen=True, kw_only=True)
class Session:
    """`current` is the one that asks."""

    id: str
    user_id: str
    kind: Kind
    method: Method
    address: str
    agent: str
    current: bool
    created_at: datetime
    last_used: datetime
    expires_at: datetime


class SettingsPatch(TypedDict, total=False):
    """
    What is not sent stays. `allowed_backends` null is every backend that is installed; `max_storage_bytes` null is
    what the installation has (`limits.organization_bytes`); hardware is off unless `enable_hardware` says
    otherwise.
    """

    max_concurrent_jobs: int | None
    allowed_backends: list[str] | None
    enable_hardware: bool | None
    max_storage_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Shadow:
    """`compared` inputs so far, on this server, of which it gave `agreed` the same class as was answered."""

    model_id: str
    compared: int
    agreed: int


class ShadowDraft(TypedDict):
    model_id: str


@dataclass(frozen=True, kw_only=True)
class Signer:
    """
    Whose an Ed25519 key is. `public_key` in base 64; `fingerprint` is what people read to each other; `name` that
    of the file among the trusted keys.
    """

    fingerprint: str
    public_key: str
    standing: Standing
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class Storage:
    """`artifact_url` is the digest of the stored artifact."""

    artifact_url: str
    size_mb: float


@dataclass(frozen=True, kw_only=True)
class StorageUse:
    """
    In bytes, `THING_BYTES` for each thing included.

    Attributes:     limit_bytes: None where there is no limit.     used_bytes: All of the following.
    datasets_bytes: Uploads, those included that were deleted and can still be restored.     models_bytes: What was
    trained.     checkpoints_bytes: The last ones of jobs, from which they go on.
    """

    limit_bytes: int | None
    used_bytes: int
    datasets_bytes: int
    models_bytes: int
    checkpoints_bytes: int


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """
    `auto_backend` is what `"backend": "auto"` would have taken; `backend_reason` says in one sentence why the job
    runs on `backend`. Money in US dollars.
    """

    job_id: str
    status: JobStatus
    estimated_start: datetime | None
    estimated_cost: float
    queue_position: int
    backend: str
    auto_backend: str
    backend_reason: str

    @property
    def id(self) -> str:
        return self.job_id


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """
    `best` has every job of the sweep, the best first by `metric`; `goal` says which way is better. `progress` is a
    percentage of all epochs. Money in US dollars.
    """

    id: str
    name: str | None
    user_id: str
    created_at: datetime
    n_jobs: int
    progress: int
    states: dict[str, int]
    varied: dict[str, list[Any]]
    metric: str | None
    goal: str
    best: list[Trial]
    cost_so_far: float
    estimated_cost: float


class _SweepDraft(TypedDict):
    circuit_id: str | list[str]
    config: dict[str, Any]


class SweepDraft(_SweepDraft, total=False):
    """
    As a job's, but a list in `config`, or of circuits, stands for one job for each of its values; several lists for
    each combination. `budget_limit` is that of each job.
    """

    name: str | None
    priority: Priority
    budget_limit: float | None
    project: str | None
    tags: list[str]


@dataclass(frozen=True, kw_only=True)
class SweepSummary:
    """`progress` is a percentage of all epochs; what has ended counts as done. `states` counts jobs."""

    id: str
    name: str | None
    user_id: str
    created_at: datetime
    n_jobs: int
    progress: int
    states: dict[str, int]
    varied: dict[str, list[Any]]


class SwitchDraft(TypedDict):
    organization_id: str


@dataclass(frozen=True, kw_only=True)
class Timing:
    """
    Where the milliseconds of an inference went: waiting for a replica, raw features into angles, circuits,
    expectations into answers. The rest is the way there and back.
    """

    queue: float
    encode: float
    simulate: float
    read_out: float


@dataclass(frozen=True, kw_only=True)
class Tokens:
    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int


class TopUpDraft(TypedDict):
    """`POST /v1/jobs/{id}/top-up`: the new limit, in US dollars."""

    budget_limit: float


class TransferDraft(TypedDict):
    """`user_id`: of the member who is to own the organization."""

    user_id: str


@dataclass(frozen=True, kw_only=True)
class Trial:
    """
    One job of a sweep. `score` is by the sweep's `metric`, null until there is one; `test_score` is of the test
    part and decides nothing.
    """

    job_id: str
    status: JobStatus
    parameters: dict[str, Any]
    progress: int
    score: float | None
    test_score: float | None
    model_id: str | None
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class Usage:
    """
    US dollars. Of the breakdowns by day, user and project the one that `group_by` names is there; days without
    usage are left out. What belongs to no project is under an empty name.
    """

    start_date: date
    end_date: date
    total_cost: float
    total_circuits: int
    total_shots: int
    total_cpu_seconds: float
    total_gpu_seconds: float
    breakdown_by_backend: dict[str, float]
    breakdown_by_day: list[UsageDay] | None = None
    breakdown_by_user: dict[str, float] | None = None
    breakdown_by_project: dict[str, float] | None = None


@dataclass(frozen=True, kw_only=True)
class UsageDay:
    """`backend_breakdown` is the day's cost by backend."""

    date: str
    cost: float
    circuits: int
    shots: int
    backend_breakdown: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class VersionDifference:
    """`a` and `b` are numbers of versions; `diff` is what to take out of `a`, and what to put there."""

    circuit_id: str
    a: int
    b: int
    diff: CircuitDifference


@dataclass(frozen=True, kw_only=True)
class WebhookSecret:
    """The key of the HMAC is this text, prefix included."""

    secret: str


@dataclass(frozen=True, kw_only=True)
class WholeCircuitVersion:
    """With its gates; `circuit_definition` is `{"format": "unified", "gates": […]}`."""

    version: int
    n_qubits: int
    depth: int
    gate_count: int
    user_id: str | None
    created_at: datetime | None
    circuit_id: str
    parameters: dict[str, Any]
    circuit_definition: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Worker:
    """
    `kind` is `server` or `worker`; `state` is `alive`, or `lost` where nothing was heard of it for 15 seconds.

    `memory_bytes` is what its jobs may use together, `jobs` are the ids of those that it runs.
    """

    id: str
    host: str
    pid: int
    kind: str
    state: str
    slots: int
    cores: int
    memory_bytes: int
    gpus: int
    backends: list[WorkerBackend]
    jobs: list[str]
    version: str
    started_at: datetime
    heartbeat_at: datetime


@dataclass(frozen=True, kw_only=True)
class WorkerBackend:
    """A backend on that machine; `reason` says why it does not work there."""

    name: str
    available: bool
    has_gpu: bool
    max_qubits: int | None
    reason: str | None
