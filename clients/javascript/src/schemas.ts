/** What the server takes and answers. Written by `generate` from the server's own description; not by hand. */

/**
 * `password`: the new account's, or of the account that the address has already, with its `code` where it has a second
 * factor.
 */
export interface AcceptDraft {
  token: string;
  password: string;
  name?: string | null;
  code?: string | null;
}

/** `user_id` is a member of that organization from now on. */
export interface Accepted {
  user_id: string;
  email: string;
  organization_id: string;
  organization: string;
  role: string;
}

export type AlertChannel = "email" | "slack" | "webhook";

/** `key` is there once, in the answer that creates it; afterwards only its `prefix` is known. */
export interface ApiKey {
  id: string;
  key: string | null;
  prefix: string;
  name: string;
  scopes: string[];
  environment: string;
  rate_limit: number;
  user_id: string;
  created_at: string;
  expires_at: string | null;
  last_used: string | null;
}

export interface ApiKeyDraft {
  name: string;
  scopes: string[];
  environment?: "live" | "test" | "dev";
  rate_limit?: number | null;
  expires_at?: string | null;
}

/** `hash` covers the other fields and `previous`, the hash of the entry before it. */
export interface AuditEntry {
  id: string;
  seq: number;
  time: string;
  action: string;
  actor: string;
  user_id: string | null;
  key_id: string | null;
  address: string | null;
  subject: string | null;
  details: Record<string, any>;
  previous: string;
  hash: string;
}

/** `head` is the last entry's hash: who keeps it elsewhere can prove later that nothing was rewritten. */
export interface AuditVerification {
  valid: boolean;
  entries: number;
  head: string;
  fault: string | null;
  fault_seq: number | null;
}

export interface AugmentationDraft {
  dataset_id: string;
  transformations: (Record<string, any>)[];
}

export interface AutoScalingDraft {
  enabled?: boolean;
  min_replicas?: number;
  max_replicas?: number;
  target_qps?: number;
}

/** The specification's row and entity in one; `reason` says why its status is not `available`. */
export interface Backend {
  id: string;
  name: string;
  type: string;
  provider: string;
  status: string;
  reason: string | null;
  queue_depth: number;
  avg_latency_ms: number | null;
  cost_per_circuit: number;
  capabilities: Capabilities;
  performance: Performance;
  cost: BackendCost;
  limits: Record<string, any>;
  maintenance_window: MaintenanceWindow | null;
}

/** US dollars. */
export interface BackendCost {
  per_circuit: number;
  per_shot: number;
  minimum_charge: number;
  per_cpu_second: number;
  per_gpu_second: number;
}

/** `circuits_today` counts those of your organization; the rest is the whole installation's. */
export interface BackendHealth {
  id: string;
  status: string;
  reason: string | null;
  uptime: number | null;
  queue: BackendQueue;
  performance: BackendToday;
  maintenance_window: MaintenanceWindow | null;
}

/** `avg_wait_time_sec` is from submit to start, over the last 30 days. */
export interface BackendQueue {
  depth: number;
  avg_wait_time_sec: number | null;
}

export interface BackendToday {
  circuits_today: number;
  avg_latency_ms: number | null;
  throughput_circuits_per_sec: number | null;
}

/**
 * `backend.status`: a backend changed its status, to `starting`, `available`, `degraded`, `maintenance` or
 * `unavailable`.
 *
 * What was not measured yet is null.
 */
export interface BackendUpdate {
  backend_id: string;
  status: string;
  queue_depth: number;
  avg_latency_ms: number | null;
  timestamp: string;
  seq: number;
}

/**
 * US dollars. `remaining` is the limit without what is spent; `reserved` is what live jobs may still cost, and a job
 * is accepted where spend, reservations and its own fit the limit. All of the limit is null where there is none.
 */
export interface Budget {
  monthly_limit: number | null;
  current_spend: number;
  reserved: number;
  remaining: number | null;
  percentage_used: number | null;
  alerts: BudgetAlert[];
  projected_monthly_spend: number;
}

/** `status` is `triggered` once it has fired this month. */
export interface BudgetAlert {
  threshold: number;
  status: string;
  action: string;
}

/** What happens once spend reaches `threshold` percent of the limit; above 100 it is told of what got past it. */
export interface BudgetAlertDraft {
  threshold: number;
  action: "email" | "slack" | "webhook" | "pause_jobs" | "pause_new_jobs";
  recipients?: string[] | null;
  webhook?: string | null;
}

/** `PUT /v1/budget`. `monthly_limit` null: no limit. Alerts that are left out stay as they are. */
export interface BudgetDraft {
  monthly_limit: number | null;
  alerts?: BudgetAlertDraft[] | null;
}

/** A version that answers a share of the requests, from 0 to 1. */
export interface Canary {
  model_id: string;
  share: number;
}

export interface CanaryDraft {
  model_id: string;
  share: number;
}

export interface Capabilities {
  max_qubits: number | null;
  max_depth: number | null;
  supported_gates: string[];
  has_gpu: boolean;
  supports_shots: boolean;
  supports_exact: boolean;
  supports_noise: string[];
  noise_models: string[];
}

/** A chain of spins over all qubits of the circuit; `h` is 1 for ising and 0 for heisenberg unless given. */
export interface ChainDraft {
  model: "ising" | "heisenberg";
  j?: number;
  h?: number | null;
  periodic?: boolean;
}

/** `circuit_definition` is `{"format": "unified", "gates": […]}`. */
export interface Circuit {
  id: string;
  user_id: string;
  name: string;
  description: string | null;
  n_qubits: number;
  depth: number;
  gate_count: number;
  parameters: Record<string, any>;
  circuit_definition: Record<string, any>;
  metadata: Record<string, any>;
  version: number;
  created_at: string;
  updated_at: string;
}

/** `removed` stand in the first circuit from `index_a` on, `added` in the second from `index_b` on. */
export interface CircuitChange {
  index_a: number;
  removed: (Record<string, any>)[];
  index_b: number;
  added: (Record<string, any>)[];
}

/** `removed`, `added` and `same` are numbers of gates; not `complete` where there are more than 1,000 changes. */
export interface CircuitDifference {
  changes: CircuitChange[];
  removed: number;
  added: number;
  same: number;
  complete: boolean;
}

/** `gates` in any of the four JSON spellings; the reader of `engine/formats/unified.py` judges them. */
export interface CircuitDraft {
  name: string;
  n_qubits: number;
  gates: (Record<string, any>)[];
  description?: string | null;
  parameters?: Record<string, any> | null;
  metadata?: Record<string, any>;
}

/** `source` is a program's text, or the object of a format that is JSON. */
export interface CircuitImport {
  name: string;
  format: "unified" | "qstore4" | "ionq" | "ionq_native" | "qasm2" | "qasm3";
  source: string | Record<string, any>;
  description?: string | null;
  parameters?: Record<string, any> | null;
  metadata?: Record<string, any>;
}

/** None is "not sent"; new gates make a new version. */
export interface CircuitPatch {
  name?: string | null;
  description?: string | null;
  n_qubits?: number | null;
  gates?: (Record<string, any>)[] | null;
  parameters?: Record<string, any> | null;
  metadata?: Record<string, any> | null;
}

export interface CircuitSizes {
  depth: number;
  gate_count: number;
  two_qubit_gates: number;
  gates: Record<string, number>;
  n_qubits: number;
  symbols: number;
}

/** A row of a list: no gates. */
export interface CircuitSummary {
  id: string;
  name: string;
  n_qubits: number;
  depth: number;
  gate_count: number;
  tags: string[];
  version: number;
  created_at: string;
  updated_at: string;
}

/**
 * One of a circuit's versions, without its gates.
 *
 * Attributes:     user_id, created_at: Who made it and when; null where the version before it was not kept.
 */
export interface CircuitVersion {
  version: number;
  n_qubits: number;
  depth: number;
  gate_count: number;
  user_id: string | null;
  created_at: string | null;
}

/** The ids of two models. */
export interface CompareDraft {
  a: string;
  b: string;
}

/** `equivalent`, `overlap` and `counter_example` are the certificate's. */
export interface Compared {
  equivalent: boolean | null;
  overlap: number | null;
  counter_example: CounterExample | null;
  resources: ComparedSizes;
  diff: CircuitDifference;
  certificate: EquivalenceCertificate;
}

export interface ComparedSizes {
  a: CircuitSizes;
  b: CircuitSizes;
}

/**
 * Two models side by side. Scores say which model is better only where both were scored on the same samples:
 * `comparable`, else `reasons` why not. `same_circuit` and `same_parameters` go by digests and values.
 */
export interface Comparison {
  a: string;
  b: string;
  comparable: boolean;
  reasons: string[];
  metrics: MetricPair[];
  differences: Difference[];
  same_circuit: boolean;
  same_parameters: boolean;
}

/** `POST /v1/circuits/compare`: two circuits by id. */
export interface ComparisonDraft {
  a: string;
  b: string;
}

/** `config` of a training job. */
export interface ConfigDraft {
  backend?: string | null;
  task?: "classification" | "regression" | "energy" | "sampling";
  epochs?: number;
  batch_size?: number;
  learning_rate?: number;
  optimizer?: "adam" | "sgd" | "rmsprop" | "spsa" | "natural" | "lbfgs";
  momentum?: number | null;
  schedule?: "cosine" | "constant" | "step" | "exponential" | ScheduleDraft | null;
  gradient?: "auto" | "adjoint" | "parameter_shift" | "spsa";
  gradient_clip?: number | null;
  class_weights?: "balanced" | Record<string, number> | null;
  precision?: "single" | "double";
  shots?: number | null;
  noise?: NoiseDraft | null;
  seed?: number | null;
  dataset?: DatasetDraft | null;
  hamiltonian?: PauliTermDraft[] | MoleculeDraft | ChainDraft | null;
  encoding?: EncodingDraft | null;
  readout?: ReadoutDraft;
  early_stopping?: EarlyStoppingDraft | null;
  initial_parameters?: Record<string, number> | null;
  hardware_config?: HardwareDraft;
}

export interface ConfirmationDraft {
  code: string;
}

/** How many further epochs; left out, what was left of the job, else as many again. */
export interface ContinueDraft {
  epochs?: number | null;
}

/** `cost.updates` (event `cost.update`): the organization's spend this month, in US dollars. */
export interface CostUpdate {
  current_spend: number;
  budget_limit: number | null;
  percentage_used: number | null;
  timestamp: string;
  seq: number;
}

/**
 * A state that two circuits make different states of.
 *
 * Attributes:     parameters: Numbers for the symbols.     preparation: Gates that make the state of |0…0>; none is
 * that state itself.     overlap: Of the two states that come out, in magnitude.
 */
export interface CounterExample {
  parameters: Record<string, number>;
  preparation: (Record<string, any>)[];
  overlap: number;
}

export interface Dataset {
  id: string;
  name: string;
  source: string;
  n_samples: number;
  n_features: number;
  classes: string[];
  digest: string | null;
  user_id: string | null;
  created_at: string | null;
}

export interface DatasetDraft {
  type: string;
  train_size?: number | null;
  val_size?: number | null;
  classes?: (number | string)[] | null;
  target?: string | null;
  features?: FeaturesDraft;
}

/**
 * `config` as it was asked for; `capped` where this machine runs fewer replicas than that. `serves` is the version
 * that answers, `previous` the one that a rollback brings back.
 */
export interface Deployment {
  id: string;
  model_id: string;
  endpoint: string;
  backend: string;
  status: string;
  capped: boolean;
  config: Record<string, any>;
  replicas: (Record<string, any>)[];
  serves: string;
  previous: string | null;
  canary: Canary | null;
  shadow: Shadow | null;
  created_at: string;
  updated_at: string;
}

export interface DeploymentDraft {
  backend?: string | null;
  replicas?: number;
  auto_scaling?: AutoScalingDraft | null;
  resources?: ResourcesDraft | null;
}

/** `replicas` really run; `capped` where that is fewer than were asked for. */
export interface DeploymentStarted {
  deployment_id: string;
  endpoint: string;
  status: string;
  eta_seconds: number;
  capped: boolean;
  replicas: number;
}

/** `deployment.status`: a deployment changed its status. `replicas` run now; `reason` says why there are none. */
export interface DeploymentUpdate {
  deployment_id: string;
  model_id: string;
  status: string;
  replicas: number;
  reason: string | null;
  timestamp: string;
  seq: number;
}

/** What differs, by its path, such as `config.epochs`. */
export interface Difference {
  field: string;
  a: any;
  b: any;
}

/** `sha256` in hexadecimal. */
export interface Download {
  name: string;
  url: string;
  size_bytes: number;
  sha256: string;
}

export interface EarlyStoppingDraft {
  patience?: number;
  min_delta?: number;
  restore_best?: boolean;
}

/** What goes in front of a circuit without `x_` symbols. */
export interface EncodingDraft {
  type?: "angle" | "amplitude" | "iqp" | "none";
  gate?: "RX" | "RY" | "RZ" | null;
  repeats?: number | null;
}

export interface Ended {
  ended: number;
}

/** Shown once. `uri` is what authenticators read; `qr` the same as an SVG picture. */
export interface Enrolment {
  secret: string;
  uri: string;
  qr: string;
}

export interface EnrolmentDraft {
  password: string;
}

/**
 * Attributes:     equivalent: The same up to a global phase; null where that was too much to compute.     method:
 * `unitary` (whole matrices, up to 10 qubits), `random_states`, or `none`.     overlap: The least that was found, 1
 * for circuits that do the same.     bindings: The random numbers that symbols had, set by set.     states: How many
 * random states were looked at; 0 for whole matrices.
 */
export interface EquivalenceCertificate {
  equivalent: boolean | null;
  method: string;
  overlap: number | null;
  bindings: (Record<string, number>)[];
  states: number;
  counter_example: CounterExample | null;
}

/** What a job would take on this machine, and why it would be this backend; `cost` in US dollars. */
export interface Estimate {
  time_seconds: Interval;
  memory_bytes: Interval;
  cost: Interval;
  backend: string;
  auto_backend: string;
  backend_reason: string;
}

/**
 * Bit strings have qubit 0 on the left. `counts` is there with shots; `statevector` (pairs of real and imaginary
 * part), `bloch` (x, y, z of each qubit) and `entanglement` (concurrence of each pair) are there where the run is
 * exact and has at most 12 qubits. `cost` in US dollars.
 */
export interface Execution {
  backend: string;
  n_qubits: number;
  seed: number;
  shots: number | null;
  probabilities: Record<string, number>;
  n_outcomes: number;
  expectations: Expectation[];
  duration_ms: number;
  cost: number;
  counts: Record<string, number> | null;
  statevector: any[][] | null;
  bloch: any[][] | null;
  entanglement: Pair[] | null;
}

/** `POST /v1/circuits/{id}/run`. `shots` null: exact. `backend` "auto" takes the fastest that can. */
export interface ExecutionDraft {
  parameters?: Record<string, number>;
  backend?: string;
  shots?: number | null;
  observables?: string[];
  noise?: Record<string, any> | null;
  seed?: number | null;
}

/** `std_error` is 0 where the value is exact. */
export interface Expectation {
  observable: string;
  value: number;
  std_error: number;
}

/** What is not given follows from the circuit and its encoding: see `docs/api.md`. */
export interface FeaturesDraft {
  method?: "pca" | "resize" | "none" | null;
  count?: number | null;
  scale?: "angle" | "standard" | "none" | null;
}

/** `two_qubit_gates` are those on two or three qubits, `gates` how many there are of each name. */
export interface GateCounts {
  depth: number;
  gate_count: number;
  two_qubit_gates: number;
  gates: Record<string, number>;
}

export interface GraphQL {
  data: Record<string, any> | null;
  errors: GraphQLError[] | null;
}

/** `extensions` is what some clients add about themselves; it is not looked at. */
export interface GraphQLDraft {
  query: string;
  variables?: Record<string, any> | null;
  operationName?: string | null;
  extensions?: Record<string, any> | null;
}

/** `extensions` has `code` and `details` as REST's errors have them. */
export interface GraphQLError {
  message: string;
  extensions: Record<string, any>;
  path: (string | number)[] | null;
  locations: (Record<string, number>)[] | null;
}

export interface HardwareDraft {
  nodes?: 1;
  gpus?: number;
}

export interface Health {
  status: string;
}

/** What is to be imported from a hub. This server fetches nothing, and answers what it has of that name. */
export interface HubImport {
  dataset_name: string;
  dataset_config?: string | null;
  split_mapping?: Record<string, string> | null;
}

/** An archive that is whole and rightly signed: which model is in it, and whose signature it is. */
export interface Inspection {
  signer: Signer;
  format: number;
  exported_at: string;
  written_by: string;
  name: string;
  version: string;
  task: string;
  n_qubits: number;
  n_gates: number;
  classes: string[];
  n_features: number;
  metrics: Record<string, any>;
  receipt: Record<string, any>;
  artifact_digest: string;
  size_bytes: number;
}

export interface Interval {
  low: number;
  expected: number;
  high: number;
}

/**
 * Attributes:     invited_by: The user's id.     link: Only in the answer that creates it.     mailed: Whether the
 * link was also mailed to them.
 */
export interface Invitation {
  id: string;
  email: string;
  role: string;
  status: InvitationStatus;
  invited_by: string;
  mailed: boolean;
  created_at: string;
  expires_at: string;
  accepted_at: string | null;
  link: string | null;
}

export interface InvitationDraft {
  email: string;
  role: string;
}

export type InvitationStatus = "accepted" | "expired" | "pending" | "revoked";

/**
 * The specification's status answer and entity in one.
 *
 * `reason` says why a job waits or how it ended, `error_code` as a code. `seq` counts its events: subscribe with it as
 * `last_seq` and nothing is missed. Money in US dollars.
 */
export interface Job {
  id: string;
  user_id: string;
  circuit_id: string;
  status: JobStatus;
  priority: Priority;
  config: Record<string, any>;
  backend: string;
  progress: Progress;
  metrics: Record<string, any>;
  resources: Resources;
  receipt: Record<string, any>;
  cost_so_far: number;
  estimated_cost: number;
  budget_limit: number | null;
  reason: string | null;
  error_code: string | null;
  project: string | null;
  tags: string[];
  model_id: string | null;
  continued_from: string | null;
  replay_of: string | null;
  sweep_id: string | null;
  cancel_requested: boolean;
  pause_requested: boolean;
  seq: number;
  created_at: string;
  started_at: string | null;
  updated_at: string;
  completed_at: string | null;
}

export interface JobDraft {
  circuit_id: string;
  config: ConfigDraft;
  priority?: Priority;
  budget_limit?: number | null;
  project?: string | null;
  tags?: string[];
}

/** `job.logs`: a line of a job's log; its number is that of the event. */
export interface JobLog {
  job_id: string;
  level: string;
  message: string;
  timestamp: string;
  seq: number;
}

/** `job.metrics`: the metrics of one finished epoch. */
export interface JobMetrics {
  job_id: string;
  epoch: number;
  metrics: Metrics;
  timestamp: string;
  seq: number;
}

/** `job.progress`: a job changed its status or finished an epoch. */
export interface JobProgress {
  job_id: string;
  status: string;
  current_epoch: number;
  total_epochs: number;
  current_loss: number | null;
  best_loss: number | null;
  eta_seconds: number | null;
  reason: string | null;
  model_id: string | null;
  timestamp: string;
  seq: number;
}

export interface JobState {
  job_id: string;
  status: JobStatus;
  cost_incurred: number;
  epochs_completed: number;
}

export type JobStatus = "cancelled" | "completed" | "failed" | "paused" | "queued" | "running";

/** A row of a list; `progress` is the percentage (specification, List Jobs). */
export interface JobSummary {
  id: string;
  status: JobStatus;
  priority: Priority;
  circuit_id: string;
  backend: string;
  dataset: string;
  progress: number;
  accuracy: number | null;
  model_id: string | null;
  reason: string | null;
  created_at: string;
  started_at: string | null;
  completed_at: string | null;
}

export type Kind = "cookie" | "token";

/** `id` is what receivers see as `X-QStore-Delivery`; the path of a `destination` is not shown. */
export interface Letter {
  id: string;
  kind: AlertChannel;
  event: string;
  destination: string;
  status: LetterStatus;
  attempts: number;
  next_attempt_at: string | null;
  last_error: string | null;
  created_at: string;
  delivered_at: string | null;
}

export type LetterStatus = "dead" | "delivered" | "pending";

/**
 * Where a model comes from. `circuit_version` is that of the stored circuit when the job was submitted, and
 * `code_version` that of the appliance which trained; `receipt` and `config` are the job's. `imported` says, of a
 * model that came in an archive, who signed it.
 */
export interface Lineage {
  circuit_version: number | null;
  circuit_digest: string | null;
  dataset: string | null;
  dataset_digest: string | null;
  training_job_id: string | null;
  continued_from: string | null;
  code_version: string | null;
  backend: string | null;
  seed: number | null;
  config: Record<string, any>;
  receipt: Record<string, any>;
  imported: Record<string, any> | null;
}

/** `token`: what stands behind the `#` of the link. */
export interface LinkDraft {
  token: string;
}

export interface LogLine {
  seq: number;
  timestamp: string;
  level: string;
  message: string;
}

export interface Logs {
  logs: LogLine[];
  streaming: boolean;
}

/** The present maintenance window, or the next one. */
export interface MaintenanceWindow {
  start: string;
  end: string;
}

/** `key` is masked for ever: `qsk_live_***`. */
export interface MaskedKey {
  id: string;
  key: string;
  name: string;
  scopes: string[];
  created_at: string;
  last_used: string | null;
  rate_limit: number;
}

/**
 * Somebody of an organization, as the others of it see them.
 *
 * Attributes:     disabled: Kept out of this organization, or of the whole installation.     last_active: Here; what
 * they do in other organizations is nobody's business.     created_at: When they came to this organization.
 */
export interface Member {
  id: string;
  email: string;
  name: string;
  role: string;
  disabled: boolean;
  last_active: string | null;
  created_at: string;
}

/** None is "not sent". */
export interface MemberPatch {
  role?: string | null;
  disabled?: boolean | null;
}

/** How somebody proved who they are. */
export type Method = "authenticator" | "password" | "provider" | "recovery_code";

/** One number of two models. `better` is `a` or `b`; null where they are equal, or more is not better or worse. */
export interface MetricPair {
  metric: string;
  a: number | null;
  b: number | null;
  difference: number | null;
  better: string | null;
}

export interface Metrics {
  loss: number;
  accuracy: number | null;
  val_loss: number | null;
  val_accuracy: number | null;
}

/**
 * `inputs` says what predictions take: raw features, as in the data set that the model learned from. `lineage` says
 * where the model comes from.
 */
export interface Model {
  id: string;
  user_id: string;
  name: string;
  version: string;
  stage: Stage | null;
  notes: string | null;
  tags: string[];
  circuit_id: string;
  training_job_id: string | null;
  status: ModelStatus;
  metrics: Record<string, any>;
  parameters: Record<string, any>;
  inputs: Record<string, any>;
  deployment: Record<string, any> | null;
  storage: Storage;
  lineage: Lineage;
  created_at: string;
  deployed_at: string | null;
  updated_at: string;
}

/**
 * `days` are UTC days, which the lists go by; costs in US dollars. Latencies are of answers, null where there are
 * none.
 */
export interface ModelMetrics {
  window: string;
  since: string;
  days: string[];
  requests_per_day: number[];
  cost_per_day: number[];
  requests: number;
  inputs: number;
  avg_latency_ms: number | null;
  p50_latency_ms: number | null;
  p95_latency_ms: number | null;
  p99_latency_ms: number | null;
  error_rate: number;
}

/** None is "not sent"; `tags` are replaced as a whole. */
export interface ModelPatch {
  name?: string | null;
  version?: string | null;
  notes?: string | null;
  tags?: string[] | null;
}

export type ModelStatus = "deployed" | "deploying" | "retired" | "trained";

export interface ModelSummary {
  id: string;
  name: string;
  version: string;
  status: ModelStatus;
  stage: Stage | null;
  tags: string[];
  circuit_id: string;
  training_job_id: string | null;
  metrics: Record<string, any>;
  created_at: string;
  deployed_at: string | null;
}

/** A molecule of the table in `engine/molecules.py`; `bond_length` in angstrom, the best known if it is not given. */
export interface MoleculeDraft {
  molecule: string;
  bond_length?: number | null;
}

/** Probabilities of channels that act after every gate or on every measured bit; or a provider's model by name. */
export interface NoiseDraft {
  depolarizing?: number | null;
  amplitude_damping?: number | null;
  readout?: number | ReadoutErrorDraft | null;
  model?: string | null;
}

/**
 * `notifications`: something that people of the organization want to know, in one sentence.
 *
 * `kind` is `job.completed`, `job.failed`, `deployment.deployed`, `deployment.failed` or `budget.alert`; `about` is
 * the id of what it is about, of a budget the organization's.
 */
export interface Notification {
  kind: string;
  about: string;
  message: string;
  timestamp: string;
  seq: number;
}

/** What whoever has the link is told before they accept. */
export interface Offer {
  organization: string;
  email: string;
  role: string;
  expires_at: string;
}

/** `POST /v1/circuits/{id}/optimize`. Without `target_backend` any backend may run the result. */
export interface OptimisationDraft {
  target_backend?: string | null;
  optimization_level?: number;
}

/**
 * Attributes:     gate_reduction: How many of a hundred gates are gone, such as "37.8%"; negative where a target needs
 * more.     passes: What was applied, in its order.     refused: Passes that had no certificate, and so were not
 * applied.
 */
export interface Optimised {
  original_depth: number;
  optimized_depth: number;
  gate_reduction: string;
  optimized_circuit_id: string;
  before: GateCounts;
  after: GateCounts;
  passes: string[];
  refused: string[];
  certificate: EquivalenceCertificate;
}

export interface Organization {
  id: string;
  name: string;
  plan: string;
  members: number;
  settings: OrganizationSettings;
  storage: StorageUse;
  created_at: string;
}

export interface OrganizationPatch {
  name?: string | null;
  settings?: SettingsPatch | null;
}

/**
 * A role as one organization has it.
 *
 * Attributes:     permissions: Patterns, `resource:action` or `resource:*`, in alphabetical order.     built_in: One
 * of the four, which are the same everywhere and cannot be changed.     members: Who has it, those who are kept out
 * included.     created_at: None where it is built in, as is `updated_at`.
 */
export interface OrganizationRole {
  name: string;
  description: string;
  permissions: string[];
  built_in: boolean;
  members: number;
  created_at: string | null;
  updated_at: string | null;
}

export interface OrganizationSettings {
  max_concurrent_jobs: number;
  allowed_backends: string[] | null;
  enable_hardware: boolean;
  max_storage_bytes: number | null;
}

/** One that somebody belongs to, and as what; `current` is where their session acts. */
export interface OwnOrganization {
  id: string;
  name: string;
  role: string;
  current: boolean;
}

/** How entangled two qubits are with each other, from 0 to 1. */
export interface Pair {
  qubits: any[];
  concurrence: number;
}

/** Rows `x`, and for each of them in `y` the index of its class, or the number that it is labelled with. */
export interface ParentArrays {
  x: number[][];
  y: number[];
}

/** A data set in that library's words. `splits` are the parts of a job that says nothing about them. */
export interface ParentDataset {
  id: string;
  name: string;
  source: string;
  description: string | null;
  num_samples: number;
  num_classes: number;
  splits: string[];
  metadata: Record<string, any>;
}

export interface PasswordChange {
  current_password: string;
  password: string;
}

/** `code`: of the second factor, where the user has one. */
export interface PasswordGrant {
  grant_type: "password";
  email: string;
  password: string;
  code?: string | null;
}

export interface PauliTermDraft {
  pauli: string;
  coeff: number;
}

/**
 * Over the last 30 days, by everybody on this installation; None where nothing has been measured yet.
 *
 * `avg_latency_ms` is the mean wall time of one circuit, `throughput_circuits_per_sec` counts while circuits run, and
 * `availability` is the share of probes that found the backend working.
 */
export interface Performance {
  avg_latency_ms: number | null;
  throughput_circuits_per_sec: number | null;
  queue_depth: number;
  availability: number | null;
}

/** `inputs` are raw features, as in the data set that the model learned from. */
export interface PredictDraft {
  inputs: number[][];
  options?: PredictOptions;
}

export interface PredictOptions {
  backend?: string | null;
  shots?: number | "auto" | null;
  seed?: number | null;
}

/**
 * One answered input: of a classification the class (`class_index` is `class` in JSON), of a regression the value.
 * Where shots were drawn, with the standard error of the value, or of each probability, and the interval that has the
 * confidence, or the value, in 95 of 100 cases; with `"shots": "auto"` also how many were drawn, and whether they
 * decided.
 */
export interface Prediction {
  class: number | null;
  label: string | null;
  confidence: number | null;
  probabilities: number[] | null;
  value: number | null;
  std_error: number | null;
  std_errors: number[] | null;
  confidence_interval: number[] | null;
  shots: number | null;
  decided: boolean | null;
}

/** `cost` in US dollars; `model_id` is the version that answered, `timing_ms` says where `inference_time_ms` went. */
export interface Predictions {
  model_id: string;
  predictions: Prediction[];
  inference_time_ms: number;
  timing_ms: Timing;
  cost: number;
  backend: string;
}

export type Priority = "high" | "low" | "normal";

export interface Profile {
  id: string;
  email: string;
  name: string;
  organization_id: string;
  role: string;
  operator: boolean;
  scopes: string[];
  api_keys: MaskedKey[];
  preferences: Record<string, any>;
  created_at: string;
  updated_at: string;
}

/** None is "not sent". */
export interface ProfilePatch {
  name?: string | null;
  preferences?: Record<string, any> | null;
}

export interface Progress {
  current_epoch: number;
  total_epochs: number;
  percentage: number;
  current_loss: number | null;
  best_loss: number | null;
  eta_seconds: number | null;
}

/** `stage` null takes the label away. */
export interface PromoteDraft {
  stage: Stage | null;
}

/** `checks` names every part with null, or with what is wrong with it. */
export interface Readiness {
  status: string;
  checks: Record<string, string | null>;
  reasons: string[];
}

export interface ReadoutDraft {
  observables?: "z" | "z+zz" | string[];
  head?: "linear" | "none";
}

/** `p01` is the probability that 0 is read as 1, `p10` that 1 is read as 0. */
export interface ReadoutErrorDraft {
  p01?: number;
  p10?: number;
}

/** Each works once, in place of a code; shown once. */
export interface RecoveryCodes {
  recovery_codes: string[];
}

export interface RefreshGrant {
  grant_type: "refresh_token";
  refresh_token: string;
}

export interface RemovalDraft {
  password: string;
  code: string;
}

/** `token`: what stands behind the `#` of the link that was mailed. */
export interface Reset {
  token: string;
  password: string;
}

export interface ResetWish {
  email: string;
}

export interface Resources {
  backend_used: string | null;
  circuits_executed: number;
  total_shots: number;
  cpu_seconds: number;
  gpu_hours: number;
}

export interface ResourcesDraft {
  cpu?: string | null;
  memory?: string | null;
}

export interface RoleDraft {
  name: string;
  description?: string;
  permissions: string[];
}

/** None is "not sent"; `permissions` replaces all that it had. */
export interface RolePatch {
  description?: string | null;
  permissions?: string[] | null;
}

/** What is not sent stays; null ends a canary or a shadow. `model_id` is the version that answers from now on. */
export interface RolloutDraft {
  model_id?: string | null;
  canary?: CanaryDraft | null;
  shadow?: ShadowDraft | null;
}

/** Epochs are meant. `every` and `factor` belong to `step`, `factor` to `exponential`. */
export interface ScheduleDraft {
  type: "cosine" | "constant" | "step" | "exponential";
  every?: number | null;
  factor?: number | null;
  warmup?: number;
}

/** What of it may be shown: never the secret. */
export interface SecondFactor {
  enabled: boolean;
  since: string | null;
  recovery_codes_left: number;
}

/** A letter that is on its way; `GET /v1/outbox` says how it goes. */
export interface SentLetter {
  id: string;
  kind: AlertChannel;
  destination: string;
}

/** `current` is the one that asks. */
export interface Session {
  id: string;
  user_id: string;
  kind: Kind;
  method: Method;
  address: string;
  agent: string;
  current: boolean;
  created_at: string;
  last_used: string;
  expires_at: string;
}

/**
 * What is not sent stays. `allowed_backends` null is every backend that is installed; `max_storage_bytes` null is what
 * the installation has (`limits.organization_bytes`); hardware is off unless `enable_hardware` says otherwise.
 */
export interface SettingsPatch {
  max_concurrent_jobs?: number | null;
  allowed_backends?: string[] | null;
  enable_hardware?: boolean | null;
  max_storage_bytes?: number | null;
}

/** `compared` inputs so far, on this server, of which it gave `agreed` the same class as was answered. */
export interface Shadow {
  model_id: string;
  compared: number;
  agreed: number;
}

export interface ShadowDraft {
  model_id: string;
}

/**
 * Whose an Ed25519 key is. `public_key` in base 64; `fingerprint` is what people read to each other; `name` that of
 * the file among the trusted keys.
 */
export interface Signer {
  fingerprint: string;
  public_key: string;
  standing: Standing;
  name: string | null;
}

/** A label that one version of a name has at a time; whoever is promoted takes it from the one before. */
export type Stage = "production" | "staging";

/** What this installation makes of a key. */
export type Standing = "own" | "trusted" | "unknown";

/** `artifact_url` is the digest of the stored artifact. */
export interface Storage {
  artifact_url: string;
  size_mb: number;
}

/**
 * In bytes, `THING_BYTES` for each thing included.
 *
 * Attributes:     limit_bytes: None where there is no limit.     used_bytes: All of the following.     datasets_bytes:
 * Uploads, those included that were deleted and can still be restored.     models_bytes: What was trained.
 * checkpoints_bytes: The last ones of jobs, from which they go on.
 */
export interface StorageUse {
  limit_bytes: number | null;
  used_bytes: number;
  datasets_bytes: number;
  models_bytes: number;
  checkpoints_bytes: number;
}

/**
 * `auto_backend` is what `"backend": "auto"` would have taken; `backend_reason` says in one sentence why the job runs
 * on `backend`. Money in US dollars.
 */
export interface Submitted {
  job_id: string;
  status: JobStatus;
  estimated_start: string | null;
  estimated_cost: number;
  queue_position: number;
  backend: string;
  auto_backend: string;
  backend_reason: string;
}

/**
 * `best` has every job of the sweep, the best first by `metric`; `goal` says which way is better. `progress` is a
 * percentage of all epochs. Money in US dollars.
 */
export interface Sweep {
  id: string;
  name: string | null;
  user_id: string;
  created_at: string;
  n_jobs: number;
  progress: number;
  states: Record<string, number>;
  varied: Record<string, any[]>;
  metric: string | null;
  goal: string;
  best: Trial[];
  cost_so_far: number;
  estimated_cost: number;
}

/**
 * As a job's, but a list in `config`, or of circuits, stands for one job for each of its values; several lists for
 * each combination. `budget_limit` is that of each job.
 */
export interface SweepDraft {
  name?: string | null;
  circuit_id: string | string[];
  config: Record<string, any>;
  priority?: Priority;
  budget_limit?: number | null;
  project?: string | null;
  tags?: string[];
}

/** `progress` is a percentage of all epochs; what has ended counts as done. `states` counts jobs. */
export interface SweepSummary {
  id: string;
  name: string | null;
  user_id: string;
  created_at: string;
  n_jobs: number;
  progress: number;
  states: Record<string, number>;
  varied: Record<string, any[]>;
}

export interface SwitchDraft {
  organization_id: string;
}

/**
 * Where the milliseconds of an inference went: waiting for a replica, raw features into angles, circuits, expectations
 * into answers. The rest is the way there and back.
 */
export interface Timing {
  queue: number;
  encode: number;
  simulate: number;
  read_out: number;
}

export interface Tokens {
  access_token: string;
  refresh_token: string;
  token_type: string;
  expires_in: number;
}

/** `POST /v1/jobs/{id}/top-up`: the new limit, in US dollars. */
export interface TopUpDraft {
  budget_limit: number;
}

/** `user_id`: of the member who is to own the organization. */
export interface TransferDraft {
  user_id: string;
}

/**
 * One job of a sweep. `score` is by the sweep's `metric`, null until there is one; `test_score` is of the test part
 * and decides nothing.
 */
export interface Trial {
  job_id: string;
  status: JobStatus;
  parameters: Record<string, any>;
  progress: number;
  score: number | null;
  test_score: number | null;
  model_id: string | null;
  reason: string | null;
}

/**
 * US dollars. Of the breakdowns by day, user and project the one that `group_by` names is there; days without usage
 * are left out. What belongs to no project is under an empty name.
 */
export interface Usage {
  start_date: string;
  end_date: string;
  total_cost: number;
  total_circuits: number;
  total_shots: number;
  total_cpu_seconds: number;
  total_gpu_seconds: number;
  breakdown_by_backend: Record<string, number>;
  breakdown_by_day: UsageDay[] | null;
  breakdown_by_user: Record<string, number> | null;
  breakdown_by_project: Record<string, number> | null;
}

/** `backend_breakdown` is the day's cost by backend. */
export interface UsageDay {
  date: string;
  cost: number;
  circuits: number;
  shots: number;
  backend_breakdown: Record<string, number>;
}

/** `a` and `b` are numbers of versions; `diff` is what to take out of `a`, and what to put there. */
export interface VersionDifference {
  circuit_id: string;
  a: number;
  b: number;
  diff: CircuitDifference;
}

/** The key of the HMAC is this text, prefix included. */
export interface WebhookSecret {
  secret: string;
}

/** With its gates; `circuit_definition` is `{"format": "unified", "gates": […]}`. */
export interface WholeCircuitVersion {
  version: number;
  n_qubits: number;
  depth: number;
  gate_count: number;
  user_id: string | null;
  created_at: string | null;
  circuit_id: string;
  parameters: Record<string, any>;
  circuit_definition: Record<string, any>;
}

/**
 * `kind` is `server` or `worker`; `state` is `alive`, or `lost` where nothing was heard of it for 15 seconds.
 *
 * `memory_bytes` is what its jobs may use together, `jobs` are the ids of those that it runs.
 */
export interface Worker {
  id: string;
  host: string;
  pid: number;
  kind: string;
  state: string;
  slots: number;
  cores: number;
  memory_bytes: number;
  gpus: number;
  backends: WorkerBackend[];
  jobs: string[];
  version: string;
  started_at: string;
  heartbeat_at: string;
}

/** A backend on that machine; `reason` says why it does not work there. */
export interface WorkerBackend {
  name: string;
  available: boolean;
  has_gpu: boolean;
  max_qubits: number | null;
  reason: string | null;
}
