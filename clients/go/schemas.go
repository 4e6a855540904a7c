// Code generated from the server's own description by clients/go/generate; DO NOT EDIT.

package qstore

import "time"

// AcceptDraft: `password`: the new account's, or of the account that the address has already, with its `code` where it
// has a second factor.
type AcceptDraft struct {
	Token    string  `json:"token"`
	Password string  `json:"password"`
	Name     *string `json:"name,omitempty"`
	Code     *string `json:"code,omitempty"`
}

// Accepted: `user_id` is a member of that organization from now on.
type Accepted struct {
	UserID         string `json:"user_id"`
	Email          string `json:"email"`
	OrganizationID string `json:"organization_id"`
	Organization   string `json:"organization"`
	Role           string `json:"role"`
}

type AlertChannel = string

// ApiKey: `key` is there once, in the answer that creates it; afterwards only its `prefix` is known.
type ApiKey struct {
	ID          string     `json:"id"`
	Key         *string    `json:"key"`
	Prefix      string     `json:"prefix"`
	Name        string     `json:"name"`
	Scopes      []string   `json:"scopes"`
	Environment string     `json:"environment"`
	RateLimit   int        `json:"rate_limit"`
	UserID      string     `json:"user_id"`
	CreatedAt   time.Time  `json:"created_at"`
	ExpiresAt   *time.Time `json:"expires_at"`
	LastUsed    *time.Time `json:"last_used"`
}

type ApiKeyDraft struct {
	Name        string     `json:"name"`
	Scopes      []string   `json:"scopes"`
	Environment *string    `json:"environment,omitempty"`
	RateLimit   *int       `json:"rate_limit,omitempty"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
}

// AuditEntry: `hash` covers the other fields and `previous`, the hash of the entry before it.
type AuditEntry struct {
	ID       string         `json:"id"`
	Seq      int            `json:"seq"`
	Time     time.Time      `json:"time"`
	Action   string         `json:"action"`
	Actor    string         `json:"actor"`
	UserID   *string        `json:"user_id"`
	KeyID    *string        `json:"key_id"`
	Address  *string        `json:"address"`
	Subject  *string        `json:"subject"`
	Details  map[string]any `json:"details"`
	Previous string         `json:"previous"`
	Hash     string         `json:"hash"`
}

// AuditVerification: `head` is the last entry's hash: who keeps it elsewhere can prove later that nothing was
// rewritten.
type AuditVerification struct {
	Valid    bool    `json:"valid"`
	Entries  int     `json:"entries"`
	Head     string  `json:"head"`
	Fault    *string `json:"fault"`
	FaultSeq *int    `json:"fault_seq"`
}

type AugmentationDraft struct {
	DatasetID       string           `json:"dataset_id"`
	Transformations []map[string]any `json:"transformations"`
}

type AutoScalingDraft struct {
	Enabled     *bool    `json:"enabled,omitempty"`
	MinReplicas *int     `json:"min_replicas,omitempty"`
	MaxReplicas *int     `json:"max_replicas,omitempty"`
	TargetQps   *float64 `json:"target_qps,omitempty"`
}

// Backend: The specification's row and entity in one; `reason` says why its status is not `available`.
type Backend struct {
	ID                string             `json:"id"`
	Name              string             `json:"name"`
	Type              string             `json:"type"`
	Provider          string             `json:"provider"`
	Status            string             `json:"status"`
	Reason            *string            `json:"reason"`
	QueueDepth        int                `json:"queue_depth"`
	AvgLatencyMs      *float64           `json:"avg_latency_ms"`
	CostPerCircuit    float64            `json:"cost_per_circuit"`
	Capabilities      Capabilities       `json:"capabilities"`
	Performance       Performance        `json:"performance"`
	Cost              BackendCost        `json:"cost"`
	Limits            map[string]any     `json:"limits"`
	MaintenanceWindow *MaintenanceWindow `json:"maintenance_window"`
}

// BackendCost: US dollars.
type BackendCost struct {
	PerCircuit    float64 `json:"per_circuit"`
	PerShot       float64 `json:"per_shot"`
	MinimumCharge float64 `json:"minimum_charge"`
	PerCPUSecond  float64 `json:"per_cpu_second"`
	PerGPUSecond  float64 `json:"per_gpu_second"`
}

// BackendHealth: `circuits_today` counts those of your organization; the rest is the whole installation's.
type BackendHealth struct {
	ID                string             `json:"id"`
	Status            string             `json:"status"`
	Reason            *string            `json:"reason"`
	Uptime            *float64           `json:"uptime"`
	Queue             BackendQueue       `json:"queue"`
	Performance       BackendToday       `json:"performance"`
	MaintenanceWindow *MaintenanceWindow `json:"maintenance_window"`
}

// BackendQueue: `avg_wait_time_sec` is from submit to start, over the last 30 days.
type BackendQueue struct {
	Depth          int      `json:"depth"`
	AvgWaitTimeSec *float64 `json:"avg_wait_time_sec"`
}

type BackendToday struct {
	CircuitsToday            int      `json:"circuits_today"`
	AvgLatencyMs             *float64 `json:"avg_latency_ms"`
	ThroughputCircuitsPerSec *float64 `json:"throughput_circuits_per_sec"`
}

// BackendUpdate: `backend.status`: a backend changed its status, to `starting`, `available`, `degraded`, `maintenance`
// or `unavailable`. What was not measured yet is null.
type BackendUpdate struct {
	BackendID    string    `json:"backend_id"`
	Status       string    `json:"status"`
	QueueDepth   int       `json:"queue_depth"`
	AvgLatencyMs *float64  `json:"avg_latency_ms"`
	Timestamp    time.Time `json:"timestamp"`
	Seq          int       `json:"seq"`
}

// Budget: US dollars. `remaining` is the limit without what is spent; `reserved` is what live jobs may still cost, and
// a job is accepted where spend, reservations and its own fit the limit. All of the limit is null where there is none.
type Budget struct {
	MonthlyLimit          *float64      `json:"monthly_limit"`
	CurrentSpend          float64       `json:"current_spend"`
	Reserved              float64       `json:"reserved"`
	Remaining             *float64      `json:"remaining"`
	PercentageUsed        *float64      `json:"percentage_used"`
	Alerts                []BudgetAlert `json:"alerts"`
	ProjectedMonthlySpend float64       `json:"projected_monthly_spend"`
}

// BudgetAlert: `status` is `triggered` once it has fired this month.
type BudgetAlert struct {
	Threshold int    `json:"threshold"`
	Status    string `json:"status"`
	Action    string `json:"action"`
}

// BudgetAlertDraft: What happens once spend reaches `threshold` percent of the limit; above 100 it is told of what got
// past it.
type BudgetAlertDraft struct {
	Threshold  int      `json:"threshold"`
	Action     string   `json:"action"`
	Recipients []string `json:"recipients,omitempty"`
	Webhook    *string  `json:"webhook,omitempty"`
}

// BudgetDraft: `PUT /v1/budget`. `monthly_limit` null: no limit. Alerts that are left out stay as they are.
type BudgetDraft struct {
	MonthlyLimit *float64           `json:"monthly_limit"`
	Alerts       []BudgetAlertDraft `json:"alerts,omitempty"`
}

// Canary: A version that answers a share of the requests, from 0 to 1.
type Canary struct {
	ModelID string  `json:"model_id"`
	Share   float64 `json:"share"`
}

type CanaryDraft struct {
	ModelID string  `json:"model_id"`
	Share   float64 `json:"share"`
}

type Capabilities struct {
	MaxQubits      *int     `json:"max_qubits"`
	MaxDepth       *int     `json:"max_depth"`
	SupportedGates []string `json:"supported_gates"`
	HasGPU         bool     `json:"has_gpu"`
	SupportsShots  bool     `json:"supports_shots"`
	SupportsExact  bool     `json:"supports_exact"`
	SupportsNoise  []string `json:"supports_noise"`
	NoiseModels    []string `json:"noise_models"`
}

// ChainDraft: A chain of spins over all qubits of the circuit; `h` is 1 for ising and 0 for heisenberg unless given.
type ChainDraft struct {
	Model    string   `json:"model"`
	J        *float64 `json:"j,omitempty"`
	H        *float64 `json:"h,omitempty"`
	Periodic *bool    `json:"periodic,omitempty"`
}

// Circuit: `circuit_definition` is `{"format": "unified", "gates": […]}`.
type Circuit struct {
	ID                string         `json:"id"`
	UserID            string         `json:"user_id"`
	Name              string         `json:"name"`
	Description       *string        `json:"description"`
	NQubits           int            `json:"n_qubits"`
	Depth             int            `json:"depth"`
	GateCount         int            `json:"gate_count"`
	Parameters        map[string]any `json:"parameters"`
	CircuitDefinition map[string]any `json:"circuit_definition"`
	Metadata          map[string]any `json:"metadata"`
	Version           int            `json:"version"`
	CreatedAt         time.Time      `json:"created_at"`
	UpdatedAt         time.Time      `json:"updated_at"`
}

// CircuitChange: `removed` stand in the first circuit from `index_a` on, `added` in the second from `index_b` on.
type CircuitChange struct {
	IndexA  int              `json:"index_a"`
	Removed []map[string]any `json:"removed"`
	IndexB  int              `json:"index_b"`
	Added   []map[string]any `json:"added"`
}

// CircuitDifference: `removed`, `added` and `same` are numbers of gates; not `complete` where there are more than
// 1,000 changes.
type CircuitDifference struct {
	Changes  []CircuitChange `json:"changes"`
	Removed  int             `json:"removed"`
	Added    int             `json:"added"`
	Same     int             `json:"same"`
	Complete bool            `json:"complete"`
}

// CircuitDraft: `gates` in any of the four JSON spellings; the reader of `engine/formats/unified.py` judges them.
type CircuitDraft struct {
	Name        string           `json:"name"`
	NQubits     int              `json:"n_qubits"`
	Gates       []map[string]any `json:"gates"`
	Description *string          `json:"description,omitempty"`
	Parameters  map[string]any   `json:"parameters,omitempty"`
	Metadata    map[string]any   `json:"metadata,omitempty"`
}

// CircuitImport: `source` is a program's text, or the object of a format that is JSON.
type CircuitImport struct {
	Name        string         `json:"name"`
	Format      string         `json:"format"`
	Source      any            `json:"source"`
	Description *string        `json:"description,omitempty"`
	Parameters  map[string]any `json:"parameters,omitempty"`
	Metadata    map[string]any `json:"metadata,omitempty"`
}

// CircuitPatch: None is "not sent"; new gates make a new version.
type CircuitPatch struct {
	Name        *string          `json:"name,omitempty"`
	Description *string          `json:"description,omitempty"`
	NQubits     *int             `json:"n_qubits,omitempty"`
	Gates       []map[string]any `json:"gates,omitempty"`
	Parameters  map[string]any   `json:"parameters,omitempty"`
	Metadata    map[string]any   `json:"metadata,omitempty"`
}

type CircuitSizes struct {
	Depth         int            `json:"depth"`
	GateCount     int            `json:"gate_count"`
	TwoQubitGates int            `json:"two_qubit_gates"`
	Gates         map[string]int `json:"gates"`
	NQubits       int            `json:"n_qubits"`
	Symbols       int            `json:"symbols"`
}

// CircuitSummary: A row of a list: no gates.
type CircuitSummary struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	NQubits   int       `json:"n_qubits"`
	Depth     int       `json:"depth"`
	GateCount int       `json:"gate_count"`
	Tags      []string  `json:"tags"`
	Version   int       `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// CircuitVersion: One of a circuit's versions, without its gates. Attributes:   user_id, created_at: Who made it and
// when; null where the version before it was not kept.
type CircuitVersion struct {
	Version   int        `json:"version"`
	NQubits   int        `json:"n_qubits"`
	Depth     int        `json:"depth"`
	GateCount int        `json:"gate_count"`
	UserID    *string    `json:"user_id"`
	CreatedAt *time.Time `json:"created_at"`
}

// CompareDraft: The ids of two models.
type CompareDraft struct {
	A string `json:"a"`
	B string `json:"b"`
}

// Compared: `equivalent`, `overlap` and `counter_example` are the certificate's.
type Compared struct {
	Equivalent     *bool                  `json:"equivalent"`
	Overlap        *float64               `json:"overlap"`
	CounterExample *CounterExample        `json:"counter_example"`
	Resources      ComparedSizes          `json:"resources"`
	Diff           CircuitDifference      `json:"diff"`
	Certificate    EquivalenceCertificate `json:"certificate"`
}

type ComparedSizes struct {
	A CircuitSizes `json:"a"`
	B CircuitSizes `json:"b"`
}

// Comparison: Two models side by side. Scores say which model is better only where both were scored on the same
// samples: `comparable`, else `reasons` why not. `same_circuit` and `same_parameters` go by digests and values.
type Comparison struct {
	A              string       `json:"a"`
	B              string       `json:"b"`
	Comparable     bool         `json:"comparable"`
	Reasons        []string     `json:"reasons"`
	Metrics        []MetricPair `json:"metrics"`
	Differences    []Difference `json:"differences"`
	SameCircuit    bool         `json:"same_circuit"`
	SameParameters bool         `json:"same_parameters"`
}

// ComparisonDraft: `POST /v1/circuits/compare`: two circuits by id.
type ComparisonDraft struct {
	A string `json:"a"`
	B string `json:"b"`
}

// ConfigDraft: `config` of a training job.
type ConfigDraft struct {
	Backend           *string             `json:"backend,omitempty"`
	Task              *string             `json:"task,omitempty"`
	Epochs            *int                `json:"epochs,omitempty"`
	BatchSize         *int                `json:"batch_size,omitempty"`
	LearningRate      *float64            `json:"learning_rate,omitempty"`
	Optimizer         *string             `json:"optimizer,omitempty"`
	Momentum          *float64            `json:"momentum,omitempty"`
	Schedule          any                 `json:"schedule,omitempty"`
	Gradient          *string             `json:"gradient,omitempty"`
	GradientClip      *float64            `json:"gradient_clip,omitempty"`
	ClassWeights      any                 `json:"class_weights,omitempty"`
	Precision         *string             `json:"precision,omitempty"`
	Shots             *int                `json:"shots,omitempty"`
	Noise             *NoiseDraft         `json:"noise,omitempty"`
	Seed              *int                `json:"seed,omitempty"`
	Dataset           *DatasetDraft       `json:"dataset,omitempty"`
	Hamiltonian       any                 `json:"hamiltonian,omitempty"`
	Encoding          *EncodingDraft      `json:"encoding,omitempty"`
	Readout           *ReadoutDraft       `json:"readout,omitempty"`
	EarlyStopping     *EarlyStoppingDraft `json:"early_stopping,omitempty"`
	InitialParameters map[string]float64  `json:"initial_parameters,omitempty"`
	HardwareConfig    *HardwareDraft      `json:"hardware_config,omitempty"`
}

type ConfirmationDraft struct {
	Code string `json:"code"`
}

// ContinueDraft: How many further epochs; left out, what was left of the job, else as many again.
type ContinueDraft struct {
	Epochs *int `json:"epochs,omitempty"`
}

// CostUpdate: `cost.updates` (event `cost.update`): the organization's spend this month, in US dollars.
type CostUpdate struct {
	CurrentSpend   float64   `json:"current_spend"`
	BudgetLimit    *float64  `json:"budget_limit"`
	PercentageUsed *float64  `json:"percentage_used"`
	Timestamp      time.Time `json:"timestamp"`
	Seq            int       `json:"seq"`
}

// CounterExample: A state that two circuits make different states of. Attributes:   parameters: Numbers for the
// symbols.   preparation: Gates that make the state of |0…0>; none is that state itself.   overlap: Of the two states
// that come out, in magnitude.
type CounterExample struct {
	Parameters  map[string]float64 `json:"parameters"`
	Preparation []map[string]any   `json:"preparation"`
	Overlap     float64            `json:"overlap"`
}

type Dataset struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Source    string     `json:"source"`
	NSamples  int        `json:"n_samples"`
	NFeatures int        `json:"n_features"`
	Classes   []string   `json:"classes"`
	Digest    *string    `json:"digest"`
	UserID    *string    `json:"user_id"`
	CreatedAt *time.Time `json:"created_at"`
}

type DatasetDraft struct {
	Type      string         `json:"type"`
	TrainSize *int           `json:"train_size,omitempty"`
	ValSize   *int           `json:"val_size,omitempty"`
	Classes   []any          `json:"classes,omitempty"`
	Target    *string        `json:"target,omitempty"`
	Features  *FeaturesDraft `json:"features,omitempty"`
}

// Deployment: `config` as it was asked for; `capped` where this machine runs fewer replicas than that. `serves` is the
// version that answers, `previous` the one that a rollback brings back.
type Deployment struct {
	ID        string           `json:"id"`
	ModelID   string           `json:"model_id"`
	Endpoint  string           `json:"endpoint"`
	Backend   string           `json:"backend"`
	Status    string           `json:"status"`
	Capped    bool             `json:"capped"`
	Config    map[string]any   `json:"config"`
	Replicas  []map[string]any `json:"replicas"`
	Serves    string           `json:"serves"`
	Previous  *string          `json:"previous"`
	Canary    *Canary          `json:"canary"`
	Shadow    *Shadow          `json:"shadow"`
	CreatedAt time.Time        `json:"created_at"`
	UpdatedAt time.Time        `json:"updated_at"`
}

type DeploymentDraft struct {
	Backend     *string           `json:"backend,omitempty"`
	Replicas    *int              `json:"replicas,omitempty"`
	AutoScaling *AutoScalingDraft `json:"auto_scaling,omitempty"`
	Resources   *ResourcesDraft   `json:"resources,omitempty"`
}

// DeploymentStarted: `replicas` really run; `capped` where that is fewer than were asked for.
type DeploymentStarted struct {
	DeploymentID string  `json:"deployment_id"`
	Endpoint     string  `json:"endpoint"`
	Status       string  `json:"status"`
	EtaSeconds   float64 `json:"eta_seconds"`
	Capped       bool    `json:"capped"`
	Replicas     int     `json:"replicas"`
}

// DeploymentUpdate: `deployment.status`: a deployment changed its status. `replicas` run now; `reason` says why there
// are none.
type DeploymentUpdate struct {
	DeploymentID string    `json:"deployment_id"`
	ModelID      string    `json:"model_id"`
	Status       string    `json:"status"`
	Replicas     int       `json:"replicas"`
	Reason       *string   `json:"reason"`
	Timestamp    time.Time `json:"timestamp"`
	Seq          int       `json:"seq"`
}

// Difference: What differs, by its path, such as `config.epochs`.
type Difference struct {
	Field string `json:"field"`
	A     any    `json:"a"`
	B     any    `json:"b"`
}

// Download: `sha256` in hexadecimal.
type Download struct {
	Name      string `json:"name"`
	URL       string `json:"url"`
	SizeBytes int    `json:"size_bytes"`
	Sha256    string `json:"sha256"`
}

type EarlyStoppingDraft struct {
	Patience    *int     `json:"patience,omitempty"`
	MinDelta    *float64 `json:"min_delta,omitempty"`
	RestoreBest *bool    `json:"restore_best,omitempty"`
}

// EncodingDraft: What goes in front of a circuit without `x_` symbols.
type EncodingDraft struct {
	Type    *string `json:"type,omitempty"`
	Gate    *string `json:"gate,omitempty"`
	Repeats *int    `json:"repeats,omitempty"`
}

type Ended struct {
	Ended int `json:"ended"`
}

// Enrolment: Shown once. `uri` is what authenticators read; `qr` the same as an SVG picture.
type Enrolment struct {
	Secret string `json:"secret"`
	URI    string `json:"uri"`
	QR     string `json:"qr"`
}

type EnrolmentDraft struct {
	Password string `json:"password"`
}

// EquivalenceCertificate: Attributes:   equivalent: The same up to a global phase; null where that was too much to
// compute.   method: `unitary` (whole matrices, up to 10 qubits), `random_states`, or `none`.   overlap: The least
// that was found, 1 for circuits that do the same.   bindings: The random numbers that symbols had, set by set.
// states: How many random states were looked at; 0 for whole matrices.
type EquivalenceCertificate struct {
	Equivalent     *bool                `json:"equivalent"`
	Method         string               `json:"method"`
	Overlap        *float64             `json:"overlap"`
	Bindings       []map[string]float64 `json:"bindings"`
	States         int                  `json:"states"`
	CounterExample *CounterExample      `json:"counter_example"`
}

// Estimate: What a job would take on this machine, and why it would be this backend; `cost` in US dollars.
type Estimate struct {
	TimeSeconds   Interval `json:"time_seconds"`
	MemoryBytes   Interval `json:"memory_bytes"`
	Cost          Interval `json:"cost"`
	Backend       string   `json:"backend"`
	AutoBackend   string   `json:"auto_backend"`
	BackendReason string   `json:"backend_reason"`
}

// Execution: Bit strings have qubit 0 on the left. `counts` is there with shots; `statevector` (pairs of real and
// imaginary part), `bloch` (x, y, z of each qubit) and `entanglement` (concurrence of each pair) are there where the
// run is exact and has at most 12 qubits. `cost` in US dollars.
type Execution struct {
	Backend       string             `json:"backend"`
	NQubits       int                `json:"n_qubits"`
	Seed          int                `json:"seed"`
	Shots         *int               `json:"shots"`
	Probabilities map[string]float64 `json:"probabilities"`
	NOutcomes     int                `json:"n_outcomes"`
	Expectations  []Expectation      `json:"expectations"`
	DurationMs    float64            `json:"duration_ms"`
	Cost          float64            `json:"cost"`
	Counts        map[string]int     `json:"counts"`
	Statevector   [][]any            `json:"statevector"`
	Bloch         [][]any            `json:"bloch"`
	Entanglement  []Pair             `json:"entanglement"`
}

// ExecutionDraft: `POST /v1/circuits/{id}/run`. `shots` null: exact. `backend` "auto" takes the fastest that can.
type ExecutionDraft struct {
	Parameters  map[string]float64 `json:"parameters,omitempty"`
	Backend     *string            `json:"backend,omitempty"`
	Shots       *int               `json:"shots,omitempty"`
	Observables []string           `json:"observables,omitempty"`
	Noise       map[string]any     `json:"noise,omitempty"`
	Seed        *int               `json:"seed,omitempty"`
}

// Expectation: `std_error` is 0 where the value is exact.
type Expectation struct {
	Observable string  `json:"observable"`
	Value      float64 `json:"value"`
	StdError   float64 `json:"std_error"`
}

// FeaturesDraft: What is not given follows from the circuit and its encoding: see `docs/api.md`.
type FeaturesDraft struct {
	Method *string `json:"method,omitempty"`
	Count  *int    `json:"count,omitempty"`
	Scale  *string `json:"scale,omitempty"`
}

// GateCounts: `two_qubit_gates` are those on two or three qubits, `gates` how many there are of each name.
type GateCounts struct {
	Depth         int            `json:"depth"`
	GateCount     int            `json:"gate_count"`
	TwoQubitGates int            `json:"two_qubit_gates"`
	Gates         map[string]int `json:"gates"`
}

type GraphQL struct {
	Data   map[string]any `json:"data"`
	Errors []GraphQLError `json:"errors"`
}

// GraphQLDraft: `extensions` is what some clients add about themselves; it is not looked at.
type GraphQLDraft struct {
	Query         string         `json:"query"`
	Variables     map[string]any `json:"variables,omitempty"`
	OperationName *string        `json:"operationName,omitempty"`
	Extensions    map[string]any `json:"extensions,omitempty"`
}

// GraphQLError: `extensions` has `code` and `details` as REST's errors have them.
type GraphQLError struct {
	Message    string           `json:"message"`
	Extensions map[string]any   `json:"extensions"`
	Path       []any            `json:"path"`
	Locations  []map[string]int `json:"locations"`
}

type HardwareDraft struct {
	Nodes *int `json:"nodes,omitempty"`
	Gpus  *int `json:"gpus,omitempty"`
}

type Health struct {
	Status string `json:"status"`
}

// HubImport: What is to be imported from a hub. This server fetches nothing, and answers what it has of that name.
type HubImport struct {
	DatasetName   string            `json:"dataset_name"`
	DatasetConfig *string           `json:"dataset_config,omitempty"`
	SplitMapping  map[string]string `json:"split_mapping,omitempty"`
}

// Inspection: An archive that is whole and rightly signed: which model is in it, and whose signature it is.
type Inspection struct {
	Signer         Signer         `json:"signer"`
	Format         int            `json:"format"`
	ExportedAt     time.Time      `json:"exported_at"`
	WrittenBy      string         `json:"written_by"`
	Name           string         `json:"name"`
	Version        string         `json:"version"`
	Task           string         `json:"task"`
	NQubits        int            `json:"n_qubits"`
	NGates         int            `json:"n_gates"`
	Classes        []string       `json:"classes"`
	NFeatures      int            `json:"n_features"`
	Metrics        map[string]any `json:"metrics"`
	Receipt        map[string]any `json:"receipt"`
	ArtifactDigest string         `json:"artifact_digest"`
	SizeBytes      int            `json:"size_bytes"`
}

type Interval struct {
	Low      float64 `json:"low"`
	Expected float64 `json:"expected"`
	High     float64 `json:"high"`
}

// Invitation: Attributes:   invited_by: The user's id.   link: Only in the answer that creates it.   mailed: Whether
// the link was also mailed to them.
type Invitation struct {
	ID         string           `json:"id"`
	Email      string           `json:"email"`
	Role       string           `json:"role"`
	Status     InvitationStatus `json:"status"`
	InvitedBy  string           `json:"invited_by"`
	Mailed     bool             `json:"mailed"`
	CreatedAt  time.Time        `json:"created_at"`
	ExpiresAt  time.Time        `json:"expires_at"`
	AcceptedAt *time.Time       `json:"accepted_at"`
	Link       *string          `json:"link"`
}

type InvitationDraft struct {
	Email string `json:"email"`
	Role  string `json:"role"`
}

type InvitationStatus = string

// Job: The specification's status answer and entity in one. `reason` says why a job waits or how it ended,
// `error_code` as a code. `seq` counts its events: subscribe with it as `last_seq` and nothing is missed. Money in US
// dollars.
type Job struct {
	ID              string         `json:"id"`
	UserID          string         `json:"user_id"`
	CircuitID       string         `json:"circuit_id"`
	Status          JobStatus      `json:"status"`
	Priority        Priority       `json:"priority"`
	Config          map[string]any `json:"config"`
	Backend         string         `json:"backend"`
	Progress        Progress       `json:"progress"`
	Metrics         map[string]any `json:"metrics"`
	Resources       Resources      `json:"resources"`
	Receipt         map[string]any `json:"receipt"`
	CostSoFar       float64        `json:"cost_so_far"`
	EstimatedCost   float64        `json:"estimated_cost"`
	BudgetLimit     *float64       `json:"budget_limit"`
	Reason          *string        `json:"reason"`
	ErrorCode       *string        `json:"error_code"`
	Project         *string        `json:"project"`
	Tags            []string       `json:"tags"`
	ModelID         *string        `json:"model_id"`
	ContinuedFrom   *string        `json:"continued_from"`
	ReplayOf        *string        `json:"replay_of"`
	SweepID         *string        `json:"sweep_id"`
	CancelRequested bool           `json:"cancel_requested"`
	PauseRequested  bool           `json:"pause_requested"`
	Seq             int            `json:"seq"`
	CreatedAt       time.Time      `json:"created_at"`
	StartedAt       *time.Time     `json:"started_at"`
	UpdatedAt       time.Time      `json:"updated_at"`
	CompletedAt     *time.Time     `json:"completed_at"`
}

type JobDraft struct {
	CircuitID   string      `json:"circuit_id"`
	Config      ConfigDraft `json:"config"`
	Priority    *Priority   `json:"priority,omitempty"`
	BudgetLimit *float64    `json:"budget_limit,omitempty"`
	Project     *string     `json:"project,omitempty"`
	Tags        []string    `json:"tags,omitempty"`
}

// JobLog: `job.logs`: a line of a job's log; its number is that of the event.
type JobLog struct {
	JobID     string    `json:"job_id"`
	Level     string    `json:"level"`
	Message   string    `json:"message"`
	Timestamp time.Time `json:"timestamp"`
	Seq       int       `json:"seq"`
}

// JobMetrics: `job.metrics`: the metrics of one finished epoch.
type JobMetrics struct {
	JobID     string    `json:"job_id"`
	Epoch     int       `json:"epoch"`
	Metrics   Metrics   `json:"metrics"`
	Timestamp time.Time `json:"timestamp"`
	Seq       int       `json:"seq"`
}

// JobProgress: `job.progress`: a job changed its status or finished an epoch.
type JobProgress struct {
	JobID        string    `json:"job_id"`
	Status       string    `json:"status"`
	CurrentEpoch int       `json:"current_epoch"`
	TotalEpochs  int       `json:"total_epochs"`
	CurrentLoss  *float64  `json:"current_loss"`
	BestLoss     *float64  `json:"best_loss"`
	EtaSeconds   *float64  `json:"eta_seconds"`
	Reason       *string   `json:"reason"`
	ModelID      *string   `json:"model_id"`
	Timestamp    time.Time `json:"timestamp"`
	Seq          int       `json:"seq"`
}

type JobState struct {
	JobID           string    `json:"job_id"`
	Status          JobStatus `json:"status"`
	CostIncurred    float64   `json:"cost_incurred"`
	EpochsCompleted int       `json:"epochs_completed"`
}

type JobStatus = string

// JobSummary: A row of a list; `progress` is the percentage (specification, List Jobs).
type JobSummary struct {
	ID          string     `json:"id"`
	Status      JobStatus  `json:"status"`
	Priority    Priority   `json:"priority"`
	CircuitID   string     `json:"circuit_id"`
	Backend     string     `json:"backend"`
	Dataset     string     `json:"dataset"`
	Progress    int        `json:"progress"`
	Accuracy    *float64   `json:"accuracy"`
	ModelID     *string    `json:"model_id"`
	Reason      *string    `json:"reason"`
	CreatedAt   time.Time  `json:"created_at"`
	StartedAt   *time.Time `json:"started_at"`
	CompletedAt *time.Time `json:"completed_at"`
}

type Kind = string

// Letter: `id` is what receivers see as `X-QStore-Delivery`; the path of a `destination` is not shown.
type Letter struct {
	ID            string       `json:"id"`
	Kind          AlertChannel `json:"kind"`
	Event         string       `json:"event"`
	Destination   string       `json:"destination"`
	Status        LetterStatus `json:"status"`
	Attempts      int          `json:"attempts"`
	NextAttemptAt *time.Time   `json:"next_attempt_at"`
	LastError     *string      `json:"last_error"`
	CreatedAt     time.Time    `json:"created_at"`
	DeliveredAt   *time.Time   `json:"delivered_at"`
}

type LetterStatus = string

// Lineage: Where a model comes from. `circuit_version` is that of the stored circuit when the job was submitted, and
// `code_version` that of the appliance which trained; `receipt` and `config` are the job's. `imported` says, of a
// model that came in an archive, who signed it.
type Lineage struct {
	CircuitVersion *int           `json:"circuit_version"`
	CircuitDigest  *string        `json:"circuit_digest"`
	Dataset        *string        `json:"dataset"`
	DatasetDigest  *string        `json:"dataset_digest"`
	TrainingJobID  *string        `json:"training_job_id"`
	ContinuedFrom  *string        `json:"continued_from"`
	CodeVersion    *string        `json:"code_version"`
	Backend        *string        `json:"backend"`
	Seed           *int           `json:"seed"`
	Config         map[string]any `json:"config"`
	Receipt        map[string]any `json:"receipt"`
	Imported       map[string]any `json:"imported"`
}

// LinkDraft: `token`: what stands behind the `#` of the link.
type LinkDraft struct {
	Token string `json:"token"`
}

type LogLine struct {
	Seq       int       `json:"seq"`
	Timestamp time.Time `json:"timestamp"`
	Level     string    `json:"level"`
	Message   string    `json:"message"`
}

type Logs struct {
	Logs      []LogLine `json:"logs"`
	Streaming bool      `json:"streaming"`
}

// MaintenanceWindow: The present maintenance window, or the next one.
type MaintenanceWindow struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// MaskedKey: `key` is masked for ever: `qsk_live_***`.
type MaskedKey struct {
	ID        string     `json:"id"`
	Key       string     `json:"key"`
	Name      string     `json:"name"`
	Scopes    []string   `json:"scopes"`
	CreatedAt time.Time  `json:"created_at"`
	LastUsed  *time.Time `json:"last_used"`
	RateLimit int        `json:"rate_limit"`
}

// Member: Somebody of an organization, as the others of it see them. Attributes:   disabled: Kept out of this
// organization, or of the whole installation.   last_active: Here; what they do in other organizations is nobody's
// business.   created_at: When they came to this organization.
type Member struct {
	ID         string     `json:"id"`
	Email      string     `json:"email"`
	Name       string     `json:"name"`
	Role       string     `json:"role"`
	Disabled   bool       `json:"disabled"`
	LastActive *time.Time `json:"last_active"`
	CreatedAt  time.Time  `json:"created_at"`
}

// MemberPatch: None is "not sent".
type MemberPatch struct {
	Role     *string `json:"role,omitempty"`
	Disabled *bool   `json:"disabled,omitempty"`
}

// Method: How somebody proved who they are.
type Method = string

// MetricPair: One number of two models. `better` is `a` or `b`; null where they are equal, or more is not better or
// worse.
type MetricPair struct {
	Metric     string   `json:"metric"`
	A          *float64 `json:"a"`
	B          *float64 `json:"b"`
	Difference *float64 `json:"difference"`
	Better     *string  `json:"better"`
}

type Metrics struct {
	Loss        float64  `json:"loss"`
	Accuracy    *float64 `json:"accuracy"`
	ValLoss     *float64 `json:"val_loss"`
	ValAccuracy *float64 `json:"val_accuracy"`
}

// Model: `inputs` says what predictions take: raw features, as in the data set that the model learned from. `lineage`
// says where the model comes from.
type Model struct {
	ID            string         `json:"id"`
	UserID        string         `json:"user_id"`
	Name          string         `json:"name"`
	Version       string         `json:"version"`
	Stage         *Stage         `json:"stage"`
	Notes         *string        `json:"notes"`
	Tags          []string       `json:"tags"`
	CircuitID     string         `json:"circuit_id"`
	TrainingJobID *string        `json:"training_job_id"`
	Status        ModelStatus    `json:"status"`
	Metrics       map[string]any `json:"metrics"`
	Parameters    map[string]any `json:"parameters"`
	Inputs        map[string]any `json:"inputs"`
	Deployment    map[string]any `json:"deployment"`
	Storage       Storage        `json:"storage"`
	Lineage       Lineage        `json:"lineage"`
	CreatedAt     time.Time      `json:"created_at"`
	DeployedAt    *time.Time     `json:"deployed_at"`
	UpdatedAt     time.Time      `json:"updated_at"`
}

// ModelMetrics: `days` are UTC days, which the lists go by; costs in US dollars. Latencies are of answers, null where
// there are none.
type ModelMetrics struct {
	Window         string    `json:"window"`
	Since          time.Time `json:"since"`
	Days           []string  `json:"days"`
	RequestsPerDay []int     `json:"requests_per_day"`
	CostPerDay     []float64 `json:"cost_per_day"`
	Requests       int       `json:"requests"`
	Inputs         int       `json:"inputs"`
	AvgLatencyMs   *float64  `json:"avg_latency_ms"`
	P50LatencyMs   *float64  `json:"p50_latency_ms"`
	P95LatencyMs   *float64  `json:"p95_latency_ms"`
	P99LatencyMs   *float64  `json:"p99_latency_ms"`
	ErrorRate      float64   `json:"error_rate"`
}

// ModelPatch: None is "not sent"; `tags` are replaced as a whole.
type ModelPatch struct {
	Name    *string  `json:"name,omitempty"`
	Version *string  `json:"version,omitempty"`
	Notes   *string  `json:"notes,omitempty"`
	Tags    []string `json:"tags,omitempty"`
}

type ModelStatus = string

type ModelSummary struct {
	ID            string         `json:"id"`
	Name          string         `json:"name"`
	Version       string         `json:"version"`
	Status        ModelStatus    `json:"status"`
	Stage         *Stage         `json:"stage"`
	Tags          []string       `json:"tags"`
	CircuitID     string         `json:"circuit_id"`
	TrainingJobID *string        `json:"training_job_id"`
	Metrics       map[string]any `json:"metrics"`
	CreatedAt     time.Time      `json:"created_at"`
	DeployedAt    *time.Time     `json:"deployed_at"`
}

// MoleculeDraft: A molecule of the table in `engine/molecules.py`; `bond_length` in angstrom, the best known if it is
// not given.
type MoleculeDraft struct {
	Molecule   string   `json:"molecule"`
	BondLength *float64 `json:"bond_length,omitempty"`
}

// NoiseDraft: Probabilities of channels that act after every gate or on every measured bit; or a provider's model by
// name.
type NoiseDraft struct {
	Depolarizing     *float64 `json:"depolarizing,omitempty"`
	AmplitudeDamping *float64 `json:"amplitude_damping,omitempty"`
	Readout          any      `json:"readout,omitempty"`
	Model            *string  `json:"model,omitempty"`
}

// Notification: `notifications`: something that people of the organization want to know, in one sentence. `kind` is
// `job.completed`, `job.failed`, `deployment.deployed`, `deployment.failed` or `budget.alert`; `about` is the id of
// what it is about, of a budget the organization's.
type Notification struct {
	Kind      string    `json:"kind"`
	About     string    `json:"about"`
	Message   string    `json:"message"`
	Timestamp time.Time `json:"timestamp"`
	Seq       int       `json:"seq"`
}

// Offer: What whoever has the link is told before they accept.
type Offer struct {
	Organization string    `json:"organization"`
	Email        string    `json:"email"`
	Role         string    `json:"role"`
	ExpiresAt    time.Time `json:"expires_at"`
}

// OptimisationDraft: `POST /v1/circuits/{id}/optimize`. Without `target_backend` any backend may run the result.
type OptimisationDraft struct {
	TargetBackend     *string `json:"target_backend,omitempty"`
	OptimizationLevel *int    `json:"optimization_level,omitempty"`
}

// Optimised: Attributes:   gate_reduction: How many of a hundred gates are gone, such as "37.8%"; negative where a
// target needs more.   passes: What was applied, in its order.   refused: Passes that had no certificate, and so were
// not applied.
type Optimised struct {
	OriginalDepth      int                    `json:"original_depth"`
	OptimizedDepth     int                    `json:"optimized_depth"`
	GateReduction      string                 `json:"gate_reduction"`
	OptimizedCircuitID string                 `json:"optimized_circuit_id"`
	Before             GateCounts             `json:"before"`
	After              GateCounts             `json:"after"`
	Passes             []string               `json:"passes"`
	Refused            []string               `json:"refused"`
	Certificate        EquivalenceCertificate `json:"certificate"`
}

type Organization struct {
	ID        string               `json:"id"`
	Name      string               `json:"name"`
	Plan      string               `json:"plan"`
	Members   int                  `json:"members"`
	Settings  OrganizationSettings `json:"settings"`
	Storage   StorageUse           `json:"storage"`
	CreatedAt time.Time            `json:"created_at"`
}

type OrganizationPatch struct {
	Name     *string        `json:"name,omitempty"`
	Settings *SettingsPatch `json:"settings,omitempty"`
}

// OrganizationRole: A role as one organization has it. Attributes:   permissions: Patterns, `resource:action` or
// `resource:*`, in alphabetical order.   built_in: One of the four, which are the same everywhere and cannot be
// changed.   members: Who has it, those who are kept out included.   created_at: None where it is built in, as is
// `updated_at`.
type OrganizationRole struct {
	Name        string     `json:"name"`
	Description string     `json:"description"`
	Permissions []string   `json:"permissions"`
	BuiltIn     bool       `json:"built_in"`
	Members     int        `json:"members"`
	CreatedAt   *time.Time `json:"created_at"`
	UpdatedAt   *time.Time `json:"updated_at"`
}

type OrganizationSettings struct {
	MaxConcurrentJobs int      `json:"max_concurrent_jobs"`
	AllowedBackends   []string `json:"allowed_backends"`
	EnableHardware    bool     `json:"enable_hardware"`
	MaxStorageBytes   *int     `json:"max_storage_bytes"`
}

// OwnOrganization: One that somebody belongs to, and as what; `current` is where their session acts.
type OwnOrganization struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Role    string `json:"role"`
	Current bool   `json:"current"`
}

// Pair: How entangled two qubits are with each other, from 0 to 1.
type Pair struct {
	Qubits      []any   `json:"qubits"`
	Concurrence float64 `json:"concurrence"`
}

// ParentArrays: Rows `x`, and for each of them in `y` the index of its class, or the number that it is labelled with.
type ParentArrays struct {
	X [][]float64 `json:"x"`
	Y []float64   `json:"y"`
}

// ParentDataset: A data set in that library's words. `splits` are the parts of a job that says nothing about them.
type ParentDataset struct {
	ID          string         `json:"id"`
	Name        string         `json:"name"`
	Source      string         `json:"source"`
	Description *string        `json:"description"`
	NumSamples  int            `json:"num_samples"`
	NumClasses  int            `json:"num_classes"`
	Splits      []string       `json:"splits"`
	Metadata    map[string]any `json:"metadata"`
}

type PasswordChange struct {
	CurrentPassword string `json:"current_password"`
	Password        string `json:"password"`
}

// PasswordGrant: `code`: of the second factor, where the user has one.
type PasswordGrant struct {
	GrantType string  `json:"grant_type"`
	Email     string  `json:"email"`
	Password  string  `json:"password"`
	Code      *string `json:"code,omitempty"`
}

type PauliTermDraft struct {
	Pauli string  `json:"pauli"`
	Coeff float64 `json:"coeff"`
}

// Performance: Over the last 30 days, by everybody on this installation; None where nothing has been measured yet.
// `avg_latency_ms` is the mean wall time of one circuit, `throughput_circuits_per_sec` counts while circuits run, and
// `availability` is the share of probes that found the backend working.
type Performance struct {
	AvgLatencyMs             *float64 `json:"avg_latency_ms"`
	ThroughputCircuitsPerSec *float64 `json:"throughput_circuits_per_sec"`
	QueueDepth               int      `json:"queue_depth"`
	Availability             *float64 `json:"availability"`
}

// PredictDraft: `inputs` are raw features, as in the data set that the model learned from.
type PredictDraft struct {
	Inputs  [][]float64     `json:"inputs"`
	Options *PredictOptions `json:"options,omitempty"`
}

type PredictOptions struct {
	Backend *string `json:"backend,omitempty"`
	Shots   any     `json:"shots,omitempty"`
	Seed    *int    `json:"seed,omitempty"`
}

// Prediction: One answered input: of a classification the class (`class_index` is `class` in JSON), of a regression
// the value. Where shots were drawn, with the standard error of the value, or of each probability, and the interval
// that has the confidence, or the value, in 95 of 100 cases; with `"shots": "auto"` also how many were drawn, and
// whether they decided.
type Prediction struct {
	Class              *int      `json:"class"`
	Label              *string   `json:"label"`
	Confidence         *float64  `json:"confidence"`
	Probabilities      []float64 `json:"probabilities"`
	Value              *float64  `json:"value"`
	StdError           *float64  `json:"std_error"`
	StdErrors          []float64 `json:"std_errors"`
	ConfidenceInterval []float64 `json:"confidence_interval"`
	Shots              *int      `json:"shots"`
	Decided            *bool     `json:"decided"`
}

// Predictions: `cost` in US dollars; `model_id` is the version that answered, `timing_ms` says where
// `inference_time_ms` went.
type Predictions struct {
	ModelID         string       `json:"model_id"`
	Predictions     []Prediction `json:"predictions"`
	InferenceTimeMs float64      `json:"inference_time_ms"`
	TimingMs        Timing       `json:"timing_ms"`
	Cost            float64      `json:"cost"`
	Backend         string       `json:"backend"`
}

type Priority = string

type Profile struct {
	ID             string         `json:"id"`
	Email          string         `json:"email"`
	Name           string         `json:"name"`
	OrganizationID string         `json:"organization_id"`
	Role           string         `json:"role"`
	Operator       bool           `json:"operator"`
	Scopes         []string       `json:"scopes"`
	APIKeys        []MaskedKey    `json:"api_keys"`
	Preferences    map[string]any `json:"preferences"`
	CreatedAt      time.Time      `json:"created_at"`
	UpdatedAt      time.Time      `json:"updated_at"`
}

// ProfilePatch: None is "not sent".
type ProfilePatch struct {
	Name        *string        `json:"name,omitempty"`
	Preferences map[string]any `json:"preferences,omitempty"`
}

type Progress struct {
	CurrentEpoch int      `json:"current_epoch"`
	TotalEpochs  int      `json:"total_epochs"`
	Percentage   int      `json:"percentage"`
	CurrentLoss  *float64 `json:"current_loss"`
	BestLoss     *float64 `json:"best_loss"`
	EtaSeconds   *float64 `json:"eta_seconds"`
}

// PromoteDraft: `stage` null takes the label away.
type PromoteDraft struct {
	Stage *Stage `json:"stage"`
}

// Readiness: `checks` names every part with null, or with what is wrong with it.
type Readiness struct {
	Status  string             `json:"status"`
	Checks  map[string]*string `json:"checks"`
	Reasons []string           `json:"reasons"`
}

type ReadoutDraft struct {
	Observables any     `json:"observables,omitempty"`
	Head        *string `json:"head,omitempty"`
}

// ReadoutErrorDraft: `p01` is the probability that 0 is read as 1, `p10` that 1 is read as 0.
type ReadoutErrorDraft struct {
	P01 *float64 `json:"p01,omitempty"`
	P10 *float64 `json:"p10,omitempty"`
}

// RecoveryCodes: Each works once, in place of a code; shown once.
type RecoveryCodes struct {
	RecoveryCodes []string `json:"recovery_codes"`
}

type RefreshGrant struct {
	GrantType    string `json:"grant_type"`
	RefreshToken string `json:"refresh_token"`
}

type RemovalDraft struct {
	Password string `json:"password"`
	Code     string `json:"code"`
}

// Reset: `token`: what stands behind the `#` of the link that was mailed.
type Reset struct {
	Token    string `json:"token"`
	Password string `json:"password"`
}

type ResetWish struct {
	Email string `json:"email"`
}

type Resources struct {
	BackendUsed      *string `json:"backend_used"`
	CircuitsExecuted int     `json:"circuits_executed"`
	TotalShots       int     `json:"total_shots"`
	CPUSeconds       float64 `json:"cpu_seconds"`
	GPUHours         float64 `json:"gpu_hours"`
}

type ResourcesDraft struct {
	CPU    *string `json:"cpu,omitempty"`
	Memory *string `json:"memory,omitempty"`
}

type RoleDraft struct {
	Name        string   `json:"name"`
	Description *string  `json:"description,omitempty"`
	Permissions []string `json:"permissions"`
}

// RolePatch: None is "not sent"; `permissions` replaces all that it had.
type RolePatch struct {
	Description *string  `json:"description,omitempty"`
	Permissions []string `json:"permissions,omitempty"`
}

// RolloutDraft: What is not sent stays; null ends a canary or a shadow. `model_id` is the version that answers from
// now on.
type RolloutDraft struct {
	ModelID *string      `json:"model_id,omitempty"`
	Canary  *CanaryDraft `json:"canary,omitempty"`
	Shadow  *ShadowDraft `json:"shadow,omitempty"`
}

// ScheduleDraft: Epochs are meant. `every` and `factor` belong to `step`, `factor` to `exponential`.
type ScheduleDraft struct {
	Type   string   `json:"type"`
	Every  *int     `json:"every,omitempty"`
	Factor *float64 `json:"factor,omitempty"`
	Warmup *int     `json:"warmup,omitempty"`
}

// SecondFactor: What of it may be shown: never the secret.
type SecondFactor struct {
	Enabled           bool       `json:"enabled"`
	Since             *time.Time `json:"since"`
	RecoveryCodesLeft int        `json:"recovery_codes_left"`
}

// SentLetter: A letter that is on its way; `GET /v1/outbox` says how it goes.
type SentLetter struct {
	ID          string       `json:"id"`
	Kind        AlertChannel `json:"kind"`
	Destination string       `json:"destination"`
}

// Session: `current` is the one that asks.
type Session struct {
	ID        string    `json:"id"`
	UserID    string    `json:"user_id"`
	Kind      Kind      `json:"kind"`
	Method    Method    `json:"method"`
	Address   string    `json:"address"`
	Agent     string    `json:"agent"`
	Current   bool      `json:"current"`
	CreatedAt time.Time `json:"created_at"`
	LastUsed  time.Time `json:"last_used"`
	ExpiresAt time.Time `json:"expires_at"`
}

// SettingsPatch: What is not sent stays. `allowed_backends` null is every backend that is installed;
// `max_storage_bytes` null is what the installation has (`limits.organization_bytes`); hardware is off unless
// `enable_hardware` says otherwise.
type SettingsPatch struct {
	MaxConcurrentJobs *int     `json:"max_concurrent_jobs,omitempty"`
	AllowedBackends   []string `json:"allowed_backends,omitempty"`
	EnableHardware    *bool    `json:"enable_hardware,omitempty"`
	MaxStorageBytes   *int     `json:"max_storage_bytes,omitempty"`
}

// Shadow: `compared` inputs so far, on this server, of which it gave `agreed` the same class as was answered.
type Shadow struct {
	ModelID  string `json:"model_id"`
	Compared int    `json:"compared"`
	Agreed   int    `json:"agreed"`
}

type ShadowDraft struct {
	ModelID string `json:"model_id"`
}

// Signer: Whose an Ed25519 key is. `public_key` in base 64; `fingerprint` is what people read to each other; `name`
// that of the file among the trusted keys.
type Signer struct {
	Fingerprint string   `json:"fingerprint"`
	PublicKey   string   `json:"public_key"`
	Standing    Standing `json:"standing"`
	Name        *string  `json:"name"`
}

// Stage: A label that one version of a name has at a time; whoever is promoted takes it from the one before.
type Stage = string

// Standing: What this installation makes of a key.
type Standing = string

// Storage: `artifact_url` is the digest of the stored artifact.
type Storage struct {
	ArtifactURL string  `json:"artifact_url"`
	SizeMb      float64 `json:"size_mb"`
}

// StorageUse: In bytes, `THING_BYTES` for each thing included. Attributes:   limit_bytes: None where there is no
// limit.   used_bytes: All of the following.   datasets_bytes: Uploads, those included that were deleted and can still
// be restored.   models_bytes: What was trained.   checkpoints_bytes: The last ones of jobs, from which they go on.
type StorageUse struct {
	LimitBytes       *int `json:"limit_bytes"`
	UsedBytes        int  `json:"used_bytes"`
	DatasetsBytes    int  `json:"datasets_bytes"`
	ModelsBytes      int  `json:"models_bytes"`
	CheckpointsBytes int  `json:"checkpoints_bytes"`
}

// Submitted: `auto_backend` is what `"backend": "auto"` would have taken; `backend_reason` says in one sentence why
// the job runs on `backend`. Money in US dollars.
type Submitted struct {
	JobID          string     `json:"job_id"`
	Status         JobStatus  `json:"status"`
	EstimatedStart *time.Time `json:"estimated_start"`
	EstimatedCost  float64    `json:"estimated_cost"`
	QueuePosition  int        `json:"queue_position"`
	Backend        string     `json:"backend"`
	AutoBackend    string     `json:"auto_backend"`
	BackendReason  string     `json:"backend_reason"`
}

// Sweep: `best` has every job of the sweep, the best first by `metric`; `goal` says which way is better. `progress` is
// a percentage of all epochs. Money in US dollars.
type Sweep struct {
	ID            string           `json:"id"`
	Name          *string          `json:"name"`
	UserID        string           `json:"user_id"`
	CreatedAt     time.Time        `json:"created_at"`
	NJobs         int              `json:"n_jobs"`
	Progress      int              `json:"progress"`
	States        map[string]int   `json:"states"`
	Varied        map[string][]any `json:"varied"`
	Metric        *string          `json:"metric"`
	Goal          string           `json:"goal"`
	Best          []Trial          `json:"best"`
	CostSoFar     float64          `json:"cost_so_far"`
	EstimatedCost float64          `json:"estimated_cost"`
}

// SweepDraft: As a job's, but a list in `config`, or of circuits, stands for one job for each of its values; several
// lists for each combination. `budget_limit` is that of each job.
type SweepDraft struct {
	Name        *string        `json:"name,omitempty"`
	CircuitID   any            `json:"circuit_id"`
	Config      map[string]any `json:"config"`
	Priority    *Priority      `json:"priority,omitempty"`
	BudgetLimit *float64       `json:"budget_limit,omitempty"`
	Project     *string        `json:"project,omitempty"`
	Tags        []string       `json:"tags,omitempty"`
}

// SweepSummary: `progress` is a percentage of all epochs; what has ended counts as done. `states` counts jobs.
type SweepSummary struct {
	ID        string           `json:"id"`
	Name      *string          `json:"name"`
	UserID    string           `json:"user_id"`
	CreatedAt time.Time        `json:"created_at"`
	NJobs     int              `json:"n_jobs"`
	Progress  int              `json:"progress"`
	States    map[string]int   `json:"states"`
	Varied    map[string][]any `json:"varied"`
}

type SwitchDraft struct {
	OrganizationID string `json:"organization_id"`
}

// Timing: Where the milliseconds of an inference went: waiting for a replica, raw features into angles, circuits,
// expectations into answers. The rest is the way there and back.
type Timing struct {
	Queue    float64 `json:"queue"`
	Encode   float64 `json:"encode"`
	Simulate float64 `json:"simulate"`
	ReadOut  float64 `json:"read_out"`
}

type Tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
}

// TopUpDraft: `POST /v1/jobs/{id}/top-up`: the new limit, in US dollars.
type TopUpDraft struct {
	BudgetLimit float64 `json:"budget_limit"`
}

// TransferDraft: `user_id`: of the member who is to own the organization.
type TransferDraft struct {
	UserID string `json:"user_id"`
}

// Trial: One job of a sweep. `score` is by the sweep's `metric`, null until there is one; `test_score` is of the test
// part and decides nothing.
type Trial struct {
	JobID      string         `json:"job_id"`
	Status     JobStatus      `json:"status"`
	Parameters map[string]any `json:"parameters"`
	Progress   int            `json:"progress"`
	Score      *float64       `json:"score"`
	TestScore  *float64       `json:"test_score"`
	ModelID    *string        `json:"model_id"`
	Reason     *string        `json:"reason"`
}

// Usage: US dollars. Of the breakdowns by day, user and project the one that `group_by` names is there; days without
// usage are left out. What belongs to no project is under an empty name.
type Usage struct {
	StartDate          string             `json:"start_date"`
	EndDate            string             `json:"end_date"`
	TotalCost          float64            `json:"total_cost"`
	TotalCircuits      int                `json:"total_circuits"`
	TotalShots         int                `json:"total_shots"`
	TotalCPUSeconds    float64            `json:"total_cpu_seconds"`
	TotalGPUSeconds    float64            `json:"total_gpu_seconds"`
	BreakdownByBackend map[string]float64 `json:"breakdown_by_backend"`
	BreakdownByDay     []UsageDay         `json:"breakdown_by_day"`
	BreakdownByUser    map[string]float64 `json:"breakdown_by_user"`
	BreakdownByProject map[string]float64 `json:"breakdown_by_project"`
}

// UsageDay: `backend_breakdown` is the day's cost by backend.
type UsageDay struct {
	Date             string             `json:"date"`
	Cost             float64            `json:"cost"`
	Circuits         int                `json:"circuits"`
	Shots            int                `json:"shots"`
	BackendBreakdown map[string]float64 `json:"backend_breakdown"`
}

// VersionDifference: `a` and `b` are numbers of versions; `diff` is what to take out of `a`, and what to put there.
type VersionDifference struct {
	CircuitID string            `json:"circuit_id"`
	A         int               `json:"a"`
	B         int               `json:"b"`
	Diff      CircuitDifference `json:"diff"`
}

// WebhookSecret: The key of the HMAC is this text, prefix included.
type WebhookSecret struct {
	Secret string `json:"secret"`
}

// WholeCircuitVersion: With its gates; `circuit_definition` is `{"format": "unified", "gates": […]}`.
type WholeCircuitVersion struct {
	Version           int            `json:"version"`
	NQubits           int            `json:"n_qubits"`
	Depth             int            `json:"depth"`
	GateCount         int            `json:"gate_count"`
	UserID            *string        `json:"user_id"`
	CreatedAt         *time.Time     `json:"created_at"`
	CircuitID         string         `json:"circuit_id"`
	Parameters        map[string]any `json:"parameters"`
	CircuitDefinition map[string]any `json:"circuit_definition"`
}

// Worker: `kind` is `server` or `worker`; `state` is `alive`, or `lost` where nothing was heard of it for 15 seconds.
// `memory_bytes` is what its jobs may use together, `jobs` are the ids of those that it runs.
type Worker struct {
	ID          string          `json:"id"`
	Host        string          `json:"host"`
	Pid         int             `json:"pid"`
	Kind        string          `json:"kind"`
	State       string          `json:"state"`
	Slots       int             `json:"slots"`
	Cores       int             `json:"cores"`
	MemoryBytes int             `json:"memory_bytes"`
	Gpus        int             `json:"gpus"`
	Backends    []WorkerBackend `json:"backends"`
	Jobs        []string        `json:"jobs"`
	Version     string          `json:"version"`
	StartedAt   time.Time       `json:"started_at"`
	HeartbeatAt time.Time       `json:"heartbeat_at"`
}

// WorkerBackend: A backend on that machine; `reason` says why it does not work there.
type WorkerBackend struct {
	Name      string  `json:"name"`
	Available bool    `json:"available"`
	HasGPU    bool    `json:"has_gpu"`
	MaxQubits *int    `json:"max_qubits"`
	Reason    *string `json:"reason"`
}
