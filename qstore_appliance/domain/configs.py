"""The `config` of a job: what is learned, or minimised, or sampled, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from qstore_appliance.domain.drafts import Draft


class FeaturesDraft(Draft):
    """What is not given follows from the circuit and its encoding: see `docs/api.md`."""

    method: Literal["pca", "resize", "none"] | None = None
    count: int | None = Field(default=None, ge=1, le=4096)
    scale: Literal["angle", "standard", "none"] | None = None


class DatasetDraft(Draft):
    type: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    train_size: int | None = Field(default=None, ge=1)
    val_size: int | None = Field(default=None, ge=0)
    classes: list[int | str] | None = Field(default=None, min_length=2, max_length=1000)
    #: The column that a regression learns; its label if there is none.
    target: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    features: FeaturesDraft = Field(default_factory=FeaturesDraft)


class EncodingDraft(Draft):
    """What goes in front of a circuit without `x_` symbols."""

    type: Literal["angle", "amplitude", "iqp", "none"] = "angle"
    #: Of `angle`; RY unless given.
    gate: Literal["RX", "RY", "RZ"] | None = None
    #: Of `iqp`; 1 unless given.
    repeats: int | None = Field(default=None, ge=1, le=10)

    @field_validator("gate", "repeats")
    @classmethod
    def _of_its_type(cls, value: Any, info: ValidationInfo) -> Any:
        owner = {"gate": "angle", "repeats": "iqp"}[str(info.field_name)]
        if value is not None and info.data.get("type", owner) != owner:
            raise ValueError(f"only the encoding {owner} takes it")
        return value


class ReadoutDraft(Draft):
    observables: (
        Literal["z", "z+zz"]
        | Annotated[
            list[Annotated[str, StringConstraints(min_length=2, max_length=200)]], Field(min_length=1, max_length=4096)
        ]
    ) = "z"
    head: Literal["linear", "none"] = "linear"


class EarlyStoppingDraft(Draft):
    patience: int = Field(default=5, ge=1, le=10_000)
    min_delta: float = Field(default=0.0, ge=0)
    restore_best: bool = True


class ScheduleDraft(Draft):
    """Epochs are meant. `every` and `factor` belong to `step`, `factor` to `exponential`."""

    type: Literal["cosine", "constant", "step", "exponential"]
    every: int | None = Field(default=None, ge=1, le=100_000)
    factor: float | None = Field(default=None, gt=0, le=1)
    warmup: int = Field(default=0, ge=0, le=100_000)

    @field_validator("every", "factor")
    @classmethod
    def _of_its_type(cls, value: Any, info: ValidationInfo) -> Any:
        owners = {"every": ("step",), "factor": ("step", "exponential")}[str(info.field_name)]
        if value is not None and info.data.get("type", owners[0]) not in owners:
            raise ValueError(f"belongs to the schedules {' and '.join(owners)} only")
        return value


class PauliTermDraft(Draft):
    pauli: Annotated[str, StringConstraints(min_length=1, max_length=400)]
    coeff: float


class MoleculeDraft(Draft):
    """A molecule of the table in `engine/molecules.py`; `bond_length` in angstrom, the best known if it is not given."""

    molecule: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    bond_length: float | None = Field(default=None, gt=0, le=1000)


class ChainDraft(Draft):
    """A chain of spins over all qubits of the circuit; `h` is 1 for ising and 0 for heisenberg unless given."""

    model: Literal["ising", "heisenberg"]
    j: float = 1.0
    h: float | None = None
    periodic: bool = False


def _kind_of_hamiltonian(value: Any) -> str | None:
    if isinstance(value, list):
        return "Terms"
    if isinstance(value, dict):
        return "Molecule" if "molecule" in value else "Chain"
    return "Molecule" if isinstance(value, MoleculeDraft) else "Chain" if isinstance(value, ChainDraft) else None


def _kind_of_text(value: Any) -> str:
    return "text" if isinstance(value, str) else "object"


# Told apart by their shape, so that a fault is named where it is and not once for each way to write it. The tags are no
# keys of a document: a fault's place is found by leaving them out.
HamiltonianDraft = Annotated[
    Annotated[list[PauliTermDraft], Field(min_length=1, max_length=4096), Tag("Terms")]
    | Annotated[MoleculeDraft, Tag("Molecule")]
    | Annotated[ChainDraft, Tag("Chain")],
    Discriminator(
        _kind_of_hamiltonian,
        custom_error_type="hamiltonian",
        custom_error_message="must be a list of Pauli terms, a molecule or a model",
    ),
]
AnySchedule = Annotated[
    Annotated[Literal["cosine", "constant", "step", "exponential"], Tag("text")]
    | Annotated[ScheduleDraft, Tag("object")],
    Discriminator(_kind_of_text),
]
ClassWeights = Annotated[
    Annotated[Literal["balanced"], Tag("text")]
    | Annotated[dict[str, Annotated[float, Field(gt=0, le=1e6)]], Field(max_length=1000), Tag("object")],
    Discriminator(_kind_of_text),
]


class ReadoutErrorDraft(Draft):
    """`p01` is the probability that 0 is read as 1, `p10` that 1 is read as 0."""

    p01: float = Field(default=0.0, ge=0, le=1)
    p10: float = Field(default=0.0, ge=0, le=1)


def _kind_of_number(value: Any) -> str:
    return "object" if isinstance(value, dict | ReadoutErrorDraft) else "number"


class NoiseDraft(Draft):
    """Probabilities of channels that act after every gate or on every measured bit; or a provider's model by name."""

    depolarizing: float | None = Field(default=None, ge=0, le=1)
    amplitude_damping: float | None = Field(default=None, ge=0, le=1)
    readout: (
        Annotated[
            Annotated[float, Field(ge=0, le=1), Tag("number")] | Annotated[ReadoutErrorDraft, Tag("object")],
            Discriminator(_kind_of_number),
        ]
        | None
    ) = None
    model: Annotated[str, StringConstraints(min_length=1, max_length=60)] | None = None

    @model_validator(mode="after")
    def _channels_or_a_model(self) -> NoiseDraft:
        channels = any(value is not None for value in (self.depolarizing, self.amplitude_damping, self.readout))
        if not channels and self.model is None:
            raise ValueError("name one of depolarizing, amplitude_damping and readout, or a model")
        if channels and self.model is not None:
            raise ValueError("a provider's model stands alone, without channels")
        return self


class HardwareDraft(Draft):
    nodes: Literal[1] = 1
    gpus: int = Field(default=0, ge=0, le=16)


#: Tasks that learn from data.
LEARNING = frozenset({"classification", "regression"})


class ConfigDraft(Draft):
    """`config` of a training job."""

    backend: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,50}$")] | None = None
    task: Literal["classification", "regression", "energy", "sampling"] = "classification"
    epochs: int = Field(default=20, ge=1, le=100_000)
    batch_size: int = Field(default=32, ge=1, le=100_000)
    learning_rate: float = Field(default=0.01, gt=0, le=100)
    optimizer: Literal["adam", "sgd", "rmsprop", "spsa", "natural", "lbfgs"] = "adam"
    momentum: float | None = Field(default=None, ge=0, lt=1)
    schedule: AnySchedule | None = None
    gradient: Literal["auto", "adjoint", "parameter_shift", "spsa"] = "auto"
    gradient_clip: float | None = Field(default=None, gt=0, le=1e9)
    class_weights: ClassWeights | None = None
    precision: Literal["single", "double"] = "single"
    shots: int | None = Field(default=None, ge=1, le=10_000_000)
    noise: NoiseDraft | None = None
    seed: int | None = Field(default=None, ge=0, le=2**53)
    dataset: DatasetDraft | None = Field(default=None, validate_default=True)
    hamiltonian: HamiltonianDraft | None = Field(default=None, validate_default=True)
    encoding: EncodingDraft | None = None
    readout: ReadoutDraft = Field(default_factory=ReadoutDraft)
    early_stopping: EarlyStoppingDraft | None = None
    initial_parameters: dict[str, float] | None = None
    hardware_config: HardwareDraft = Field(default_factory=HardwareDraft)

    @field_validator("dataset")
    @classmethod
    def _data_to_learn_from(cls, value: DatasetDraft | None, info: ValidationInfo) -> DatasetDraft | None:
        task = info.data.get("task")
        if value is None and task in LEARNING:
            raise ValueError(f"{task} learns from a data set; name one")
        if value is not None and task in ("energy", "sampling"):
            raise ValueError(f"{task} takes no data set")
        return value

    @field_validator("hamiltonian")
    @classmethod
    def _energy_of_something(cls, value: Any, info: ValidationInfo) -> Any:
        task = info.data.get("task")
        if value is None and task == "energy":
            raise ValueError("an energy needs one: Pauli terms, a molecule, or a model")
        if value is not None and task not in ("energy", None):
            raise ValueError(f"{task} takes no Hamiltonian")
        return value

    @model_validator(mode="before")
    @classmethod
    def _one_machine(cls, data: Any) -> Any:
        hardware = data.get("hardware_config") if isinstance(data, dict) else None
        nodes = hardware.get("nodes") if isinstance(hardware, dict) else None
        if type(nodes) is int and nodes > 1:
            raise ValueError("hardware_config.nodes: training over several nodes is not offered; use 1")
        return data


def subject(config: Mapping[str, Any]) -> str:
    """What a job's config is about, for lists and names: its data set, or its Hamiltonian."""
    dataset, hamiltonian = config.get("dataset"), config.get("hamiltonian")
    if dataset:
        return str(dataset.get("type", ""))
    if isinstance(hamiltonian, Mapping):
        return str(hamiltonian.get("molecule") or hamiltonian.get("model") or "hamiltonian")
    return "hamiltonian" if hamiltonian else ""
