"""The services around jobs and models, on a test's database, with collaborators that only remember what they were told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qstore_appliance.blobs import FileBlobs
from qstore_appliance.database.blobs import DatabaseBlobs
from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.accounts import OrganizationRow, UserRow
from qstore_appliance.domain.accounts import Caller, Role
from qstore_appliance.domain.circuits import CircuitDraft
from qstore_appliance.domain.jobs import JobDraft, Lease, Submitted
from qstore_appliance.engine.plan import EpochReport, Plan, Trained
from qstore_appliance.errors import ValidationFailed
from qstore_appliance.events.memory import MemoryEvents
from qstore_appliance.services.backends import Backends
from qstore_appliance.services.budgets import Budgets
from qstore_appliance.services.capsules import Capsules
from qstore_appliance.services.circuits import Circuits
from qstore_appliance.services.costs import Costs
from qstore_appliance.services.datasets import Datasets
from qstore_appliance.services.jobs import Jobs
from qstore_appliance.services.model_registry import ModelRegistry
from qstore_appliance.services.models import Models
from qstore_appliance.services.runs import Runs
from qstore_appliance.services.signatures import Signatures
from qstore_appliance.services.storage import Storage
from qstore_appliance.services.sweeps import Sweeps
from qstore_appliance.services.top_ups import TopUps
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock, ThreadCalculator, make_caller

#: Two qubits that read two features each and learn two angles.
GATES: list[dict[str, Any]] = [
    {"type": "RY", "targets": [0], "parameters": {"theta": "x_0"}},
    {"type": "RY", "targets": [1], "parameters": {"theta": "x_1"}},
    {"type": "RY", "targets": [0], "parameters": {"theta": "theta_0"}},
    {"type": "RY", "targets": [1], "parameters": {"theta": "theta_1"}},
    {"type": "CNOT", "targets": [0, 1]},
]


class RecordingQueue:
    """A `Queue` that nobody takes from."""

    def __init__(self) -> None:
        self.woken: list[tuple[str, int]] = []
        self.stopped: list[str] = []

    async def wake(self, job_id: str, priority: int) -> None:
        self.woken.append((job_id, priority))

    def stop(self, job_id: str) -> None:
        self.stopped.append(job_id)

    async def ping(self) -> None:
        return None


class ScriptedReplicas:
    """`Replicas` that say "1" to everything, as many as there is room for."""

    def __init__(self, room: int = 1) -> None:
        self.room = room
        self.opened: dict[str, tuple[str, int]] = {}
        self.limits: dict[str, dict[str, object]] = {}
        self.running: set[str] = set()
        self.closed: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.refusal: Exception | None = None

    async def open(
        self,
        deployment_id: str,
        artifact_path: str,
        backend: str,
        options: Mapping[str, object],
        replicas: int,
        **limits: object,
    ) -> int:
        if self.refusal is not None:
            raise self.refusal
        running = min(replicas, self.room)
        self.opened[deployment_id] = (artifact_path, running)
        self.limits[deployment_id] = limits
        self.running.add(deployment_id)
        return running

    async def predict(
        self,
        deployment_id: str,
        inputs: Sequence[Sequence[float]],
        *,
        shots: int | None,
        backend: str | None,
        seed: int | None,
    ) -> dict[str, Any]:
        if self.refusal is not None:
            raise self.refusal
        self.asked.append({"deployment": deployment_id, "shots": shots, "backend": backend, "seed": seed})
        n = len(inputs)
        return {
            "labels": ["versicolor"] * n,
            "class_indices": [1] * n,
            "probabilities": [[0.1, 0.7, 0.2]] * n,
            "duration_ms": 1.5,
            "circuits": n,
            "shots": n * (shots or 0),
            "cpu_seconds": 0.001,
            "gpu_seconds": 0.0,
            "backend": backend,
            "queue_ms": 0.25,
            "encode_ms": 0.25,
            "simulate_ms": 0.5,
            "read_out_ms": 0.25,
        }

    async def close_one(self, deployment_id: str) -> None:
        self.closed.append(deployment_id)
        self.running.discard(deployment_id)

    def answers(self, deployment_id: str) -> bool:
        return deployment_id in self.running

    def state(self, deployment_id: str) -> list[dict[str, Any]]:
        return []


class Laboratory:
    """Everything of one installation that has to do with jobs."""

    def __init__(self, database: Database, settings: Settings, clock: SteppingClock) -> None:
        self.settings, self.clock, self.database = settings, clock, database
        self.queue, self.replicas, self.events = RecordingQueue(), ScriptedReplicas(), MemoryEvents()
        blobs = settings.data_dir / "blobs"
        self.blobs = DatabaseBlobs(database, blobs) if settings.is_postgres else FileBlobs(blobs)
        calculator = ThreadCalculator()
        self.circuits = Circuits(database, clock, calculator)
        self.datasets = Datasets(database, self.blobs, calculator, clock, settings)
        self.costs = Costs(database, clock)
        self.backends = Backends(database, calculator, settings, clock, self.costs)
        self.runs = Runs(database, self.blobs, self.events, self.backends, self.datasets, self.costs, clock, settings)
        self.reservations = self.runs.reservations
        self.budgets = Budgets(database, self.costs, clock)
        self.top_ups = TopUps(database, self.queue, self.events, self.reservations, self.backends, clock)
        self.jobs = Jobs(database, self.queue, self.backends, self.datasets, self.runs, self.events, clock, settings)
        self.sweeps = Sweeps(database, self.jobs, clock)
        self.model_registry = ModelRegistry(database, clock)
        self.signatures = Signatures(lambda: bytes(range(32)), settings.trusted_keys_dir)
        self.storage = Storage(database, settings)
        self.capsules = Capsules(database, self.blobs, calculator, self.circuits, self.signatures, self.storage, clock)
        self.models = Models(
            database, self.blobs, self.replicas, self.backends, self.costs, clock, settings, self.events
        )

    async def close(self) -> None:
        await self.models.close()
        await self.backends.close()

    async def caller(self, role: Role = Role.DEVELOPER, *, of: Caller | None = None, **settings: Any) -> Caller:
        """Somebody with an organization of their own, or `of` somebody else's; `settings` are the organization's."""
        caller = make_caller(role)
        if of is not None:
            caller = make_caller(role, organization_id=of.organization_id)
        else:
            await OrganizationRow.create(id=caller.organization_id, name="Lab", settings=settings)
        await UserRow.create(
            id=caller.user_id,
            email=f"{caller.user_id}@example.org",
            name="Ada",
            password_hash="-",
            organization_id=caller.organization_id,
            role=role.value,
        )
        return caller

    async def circuit(self, caller: Caller, gates: list[dict[str, Any]] | None = None, n_qubits: int = 2) -> str:
        draft = CircuitDraft(name="small", n_qubits=n_qubits, gates=gates or GATES)
        return (await self.circuits.create(caller, draft)).id

    async def submit(self, caller: Caller, **overrides: Any) -> Submitted:
        """A job on iris; keywords go into its config, `priority` and the like beside it."""
        return await self.jobs.submit(caller, await self.draft(caller, **overrides))

    async def draft(self, caller: Caller, **overrides: Any) -> JobDraft:
        beside = {
            key: overrides.pop(key) for key in ("priority", "budget_limit", "tags", "project") if key in overrides
        }
        circuit_id = overrides.pop("circuit_id", None) or await self.circuit(caller)
        config = {"epochs": 4, "dataset": {"type": "iris"}, **overrides}
        return JobDraft.model_validate({"circuit_id": circuit_id, "config": config, **beside})

    async def begun(self, caller: Caller, **overrides: Any) -> tuple[Lease, Plan]:
        """A job that somebody has just taken."""
        submitted = await self.submit(caller, **overrides)
        taken = await self.runs.begin(submitted.job_id, "directory:host:1")
        assert taken is not None
        return taken

    async def trained_model(self, caller: Caller) -> str:
        lease, _ = await self.begun(caller)
        await self.runs.record_epoch(lease, make_report())
        return await self.runs.complete(lease, make_trained(), INPUTS)


INPUTS = {"n_features": 4, "feature_names": ["a", "b", "c", "d"], "classes": ["setosa", "versicolor", "virginica"]}


def make_report(epoch: int = 1, **overrides: Any) -> EpochReport:
    values: dict[str, Any] = {
        "epoch": epoch,
        "total_epochs": 4,
        "loss": 1.0 / epoch,
        "accuracy": 0.5,
        "val_loss": 1.1 / epoch,
        "val_accuracy": 0.4,
        "seconds": 0.1,
        "circuits": 100,
        "shots": 0,
        "checkpoint": f"checkpoint {epoch}".encode(),
        "best_loss": 1.0 / epoch,
        "eta_seconds": 0.1 * (4 - epoch),
        "message": f"Epoch {epoch}/4 - loss: {1.0 / epoch:.3f}",
    }
    return EpochReport(**{**values, **overrides})


def make_trained(**overrides: Any) -> Trained:
    values: dict[str, Any] = {
        "artifact": b"an artifact",
        "metrics": {
            "accuracy": 0.9,
            "test_accuracy": 0.9,
            "training_accuracy": 0.95,
            "validation_accuracy": 0.92,
            "loss": 0.2,
            "scored_on": "test",
            "baseline": {"logistic_regression": 0.88, "majority": 0.33, "features": 2},
        },
        "parameters": {"theta": [0.1, 0.2]},
        "receipt": {"backend": "native", "seed": 7},
        "test_examples": [{"index": 3, "input": [1.0, 2.0, 3.0, 4.0], "label": "setosa"}],
        "circuits": 15,
        "shots": 0,
    }
    return Trained(**{**values, **overrides})


def field_of(error: ValidationFailed) -> str:
    return str(error.details["errors"][0]["field"])
