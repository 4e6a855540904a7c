"""Tasks beside classification, from the draft to what the job shows: energies, regressions, samplings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from qstore_appliance.database.connection import Database
from qstore_appliance.database.tables.jobs import JobRow
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.jobs import Job, JobDraft, Status
from qstore_appliance.domain.listing import Page
from qstore_appliance.domain.models import DeploymentDraft, PredictDraft
from qstore_appliance.engine import artifact
from qstore_appliance.engine.training import Training
from qstore_appliance.errors import BackendCannot, Conflict, QStoreError, ValidationFailed
from qstore_appliance.settings import Settings
from tests.factories import SteppingClock
from tests.services.laboratory import GATES, Laboratory, field_of

H2 = {"molecule": "H2", "bond_length": 0.735}
#: Four qubits that learn eight angles and read nothing.
STATE: list[dict[str, Any]] = [
    {"type": "X", "targets": [0]},
    {"type": "X", "targets": [1]},
    *({"type": "RY", "targets": [q], "parameters": {"theta": f"theta_{q}"}} for q in range(4)),
    *({"type": "CNOT", "targets": [q, q + 1]} for q in range(3)),
    *({"type": "RY", "targets": [q], "parameters": {"theta": f"theta_{q + 4}"}} for q in range(4)),
]


@pytest_asyncio.fixture
async def laboratory(database: Database, settings: Settings, clock: SteppingClock) -> AsyncIterator[Laboratory]:
    found = Laboratory(database, settings, clock)
    yield found
    await found.close()


async def draft(laboratory: Laboratory, caller: Caller, gates: list[dict[str, Any]], **config: Any) -> JobDraft:
    circuit_id = await laboratory.circuit(caller, gates, 4)
    return JobDraft.model_validate({"circuit_id": circuit_id, "config": config})


async def seen_through(laboratory: Laboratory, caller: Caller, drafted: JobDraft) -> Job:
    """Submit, take, train in this process, and record what a worker would."""
    submitted = await laboratory.jobs.submit(caller, drafted)
    taken = await laboratory.runs.begin(submitted.job_id, "directory:host:1")
    assert taken is not None
    lease, plan = taken
    training = Training(plan)
    reports = list(training.epochs())
    if reports:
        await laboratory.runs.record_epochs(lease, reports)
    trained = training.finish()
    inputs = {}
    if trained.artifact is not None:
        model = artifact.read(trained.artifact)
        inputs = {"task": model.task, "n_features": model.features.n_inputs}
    await laboratory.runs.complete(lease, trained, inputs)
    return await laboratory.jobs.get(caller, submitted.job_id)


async def test_an_energy_is_minimised_without_a_data_set(laboratory: Laboratory) -> None:
    """The job shows its energies and health, its model keeps the angles, and nobody can deploy it."""
    caller = await laboratory.caller()
    drafted = await draft(
        laboratory, caller, STATE, task="energy", hamiltonian=H2, optimizer="lbfgs", epochs=25, seed=1
    )

    job = await seen_through(laboratory, caller, drafted)

    assert job.status == Status.COMPLETED
    assert "dataset" not in job.config
    assert job.metrics["energy"] < job.metrics["hartree_fock_energy"] + 1e-6
    assert job.metrics["exact_energy"] == pytest.approx(-1.137306, abs=1e-5)
    assert len(job.metrics["loss_history"]) == 25
    assert len(job.metrics["health"]["gradient_norm_history"]) == 25
    assert "training_accuracy" not in job.metrics
    assert job.progress.percentage == 100
    assert job.model_id is not None
    model = await laboratory.models.get(caller, job.model_id)
    assert model.name == "H2 ground state"
    assert len(model.parameters["theta"]) == 8
    (row,) = (await laboratory.jobs.listed(caller, Page())).items
    assert row.dataset == "H2"
    with pytest.raises(Conflict, match="answers no inputs"):
        await laboratory.models.deploy(caller, job.model_id, DeploymentDraft())


async def test_a_sampling_counts_and_leaves_no_model(laboratory: Laboratory) -> None:
    """Counts stand in the job's metrics; shots and the circuit are metered, and the job is done in one go."""
    caller = await laboratory.caller()
    values = {f"theta_{q}": 0.0 for q in range(8)}
    drafted = await draft(laboratory, caller, STATE, task="sampling", shots=500, initial_parameters=values)

    job = await seen_through(laboratory, caller, drafted)

    assert job.status == Status.COMPLETED
    assert job.metrics["counts"] == {"1000": 500}  # two ones, and CNOTs that carry their parity along
    assert job.model_id is None
    assert (job.resources.circuits_executed, job.resources.total_shots) == (1, 500)
    assert job.resources.backend_used == "native"
    assert job.progress.percentage == 100
    assert (await laboratory.model_registry.listed(caller, Page())).total == 0
    assert (await laboratory.jobs.logs(caller, job.id))[-1].message == "Completed: 1 outcomes."


async def test_a_regression_learns_a_column(laboratory: Laboratory) -> None:
    """Its scores stand beside those of ridge regression, and its model is called what it is."""
    caller = await laboratory.caller()
    dataset = {"type": "iris", "target": "petal width (cm)", "features": {"method": "pca"}}
    drafted = await laboratory.draft(caller, task="regression", dataset=dataset, learning_rate=0.1)

    job = await seen_through(laboratory, caller, drafted)

    assert job.metrics["r2"] == job.metrics["test_r2"]
    assert job.metrics["baseline"]["ridge"] > 0.5
    assert job.model_id is not None
    assert (await laboratory.models.get(caller, job.model_id)).name == "iris regressor"


NOISE: dict[str, Any] = {"depolarizing": 0.01, "readout": {"p01": 0.02, "p10": 0.05}}


async def test_a_job_with_noise_is_the_same_each_time(laboratory: Laboratory) -> None:
    """From the draft to the metrics on the backend that can: bit by bit for one seed, and the receipt says what noise."""
    caller = await laboratory.caller()
    asked = {"task": "energy", "hamiltonian": H2, "epochs": 2, "shots": 20, "seed": 4, "noise": NOISE}

    jobs = [await seen_through(laboratory, caller, await draft(laboratory, caller, STATE, **asked)) for _ in range(2)]

    first, again = jobs
    assert first.status == Status.COMPLETED
    assert first.config["noise"] == NOISE
    assert first.backend == "qsim"
    assert first.metrics["energy"] == again.metrics["energy"]
    assert first.metrics["energy_std_error"] > 0
    assert first.resources.total_shots == first.resources.circuits_executed * 20


async def test_a_noisy_model_is_deployed_where_its_noise_can_be_had(laboratory: Laboratory) -> None:
    """It answers under its noise: a backend without it is refused."""
    caller = await laboratory.caller()
    dataset = {"type": "iris", "train_size": 6, "val_size": 3, "features": {"method": "pca"}}
    drafted = await laboratory.draft(caller, dataset=dataset, epochs=1, shots=5, noise=NOISE)
    job = await seen_through(laboratory, caller, drafted)
    assert job.model_id is not None
    await laboratory.models.deploy(caller, job.model_id, DeploymentDraft())

    with pytest.raises(BackendCannot, match="only readout"):
        await laboratory.models.predict(
            caller, job.model_id, PredictDraft.model_validate({"inputs": [[0.0] * 4], "options": {"backend": "native"}})
        )


@pytest.mark.parametrize(
    ("config", "error", "says"),
    [
        ({"noise": NOISE}, ValidationFailed, "config.shots"),
        ({"noise": NOISE, "shots": 10, "gradient": "adjoint"}, BackendCannot, "without noise"),
        ({"noise": NOISE, "shots": 10, "optimizer": "lbfgs"}, ValidationFailed, "config.optimizer"),
        ({"noise": NOISE, "shots": 10, "backend": "native"}, BackendCannot, "only readout, not depolarizing"),
        ({"noise": {"model": "aria-1"}, "shots": 10}, BackendCannot, "No simulator can run this"),
    ],
)
async def test_noise_that_cannot_be_had_is_refused_at_submit(
    laboratory: Laboratory, config: dict[str, Any], error: type[QStoreError], says: str
) -> None:
    """With the field that has to change, or with what the backend has; no job is left behind."""
    caller = await laboratory.caller()
    drafted = await draft(laboratory, caller, STATE, task="energy", hamiltonian=H2, **config)

    with pytest.raises(error) as refused:
        await laboratory.jobs.submit(caller, drafted)

    assert says in f"{refused.value.message} {refused.value.details}"
    assert await JobRow.all().count() == 0


async def test_values_are_answered(laboratory: Laboratory) -> None:
    """A deployed regression's answers are values with their standard errors, and no classes."""
    caller = await laboratory.caller()
    model_id = await laboratory.trained_model(caller)
    await laboratory.models.deploy(caller, model_id, DeploymentDraft())

    async def values(deployment_id: str, inputs: Any, **options: Any) -> dict[str, Any]:
        empty: list[Any] = []
        numbers = {"values": [1.25, -3.0], "std_errors": [0.1, 0.2]}
        counted = {
            "circuits": 2,
            "shots": 200,
            "backend": None,
            "duration_ms": 1.0,
            "cpu_seconds": 0.0,
            "gpu_seconds": 0.0,
            "queue_ms": 0.0,
            "encode_ms": 0.1,
            "simulate_ms": 0.8,
            "read_out_ms": 0.1,
        }
        return {"labels": empty, "class_indices": empty, "probabilities": [empty, empty], **numbers, **counted}

    laboratory.replicas.predict = values  # type: ignore[method-assign]
    found = await laboratory.models.predict(caller, model_id, PredictDraft(inputs=[[0.0] * 4] * 2))

    assert [(answer.value, answer.std_error) for answer in found.predictions] == [(1.25, 0.1), (-3.0, 0.2)]
    assert found.predictions[0].label is None


async def test_warnings_are_lines_of_their_level(laboratory: Laboratory) -> None:
    """A weight that cannot be trained is said in the log, once, as a warning."""
    caller = await laboratory.caller()
    gates = [*STATE, {"type": "RZ", "targets": [3], "parameters": {"theta": "lost"}}]
    terms = [{"pauli": "Z0 Z3", "coeff": 1.0}, {"pauli": "Z1", "coeff": 0.5}]
    drafted = await draft(laboratory, caller, gates, task="energy", hamiltonian=terms, epochs=30, seed=0)

    job = await seen_through(laboratory, caller, drafted)

    warnings = await laboratory.jobs.logs(caller, job.id, level="WARNING")
    assert [line.level for line in warnings] == ["WARNING"]
    assert "lost" in warnings[0].message
    assert "lost" in job.metrics["health"]["dead_parameters"]


@pytest.mark.parametrize(
    ("gates", "config", "field"),
    [
        (GATES, {"task": "energy", "hamiltonian": H2}, "circuit_id"),
        (STATE[:2], {"task": "energy", "hamiltonian": H2}, "circuit_id"),
        (STATE, {"task": "energy", "hamiltonian": {"molecule": "LiH"}}, "config.hamiltonian"),
        (STATE, {"task": "energy", "hamiltonian": {"molecule": "He"}}, "config.hamiltonian.molecule"),
        (STATE, {"task": "energy", "hamiltonian": {**H2, "bond_length": 0.73}}, "config.hamiltonian.bond_length"),
        (STATE, {"task": "energy", "hamiltonian": [{"pauli": "Z9", "coeff": 1.0}]}, "config.hamiltonian"),
        (STATE, {"task": "energy", "hamiltonian": H2, "optimizer": "lbfgs", "shots": 10}, "config.optimizer"),
        (STATE, {"task": "energy", "hamiltonian": H2, "momentum": 0.5}, "config.momentum"),
        (STATE, {"task": "sampling", "shots": 10}, "config.initial_parameters"),
        (STATE, {"dataset": {"type": "iris"}, "optimizer": "lbfgs"}, "config.optimizer"),
        (STATE, {"task": "regression", "dataset": {"type": "iris"}}, "config.dataset.target"),
        (STATE, {"dataset": {"type": "iris", "target": "petal width (cm)"}}, "config.dataset.target"),
    ],
)
async def test_what_cannot_be_run_is_refused_at_submit(
    laboratory: Laboratory, gates: list[dict[str, Any]], config: dict[str, Any], field: str
) -> None:
    """With the field that has to change; no job is left behind."""
    caller = await laboratory.caller()

    with pytest.raises(ValidationFailed) as refused:
        await laboratory.jobs.submit(caller, await draft(laboratory, caller, gates, **config))

    assert field_of(refused.value) == field
    assert await JobRow.all().count() == 0


@pytest.mark.parametrize(
    "config",
    [
        {"task": "energy", "hamiltonian": H2, "optimizer": "natural"},
        {"task": "energy", "hamiltonian": H2, "optimizer": "lbfgs"},
        {"task": "energy", "hamiltonian": H2, "optimizer": "spsa", "shots": 50},
        {"task": "sampling", "shots": 100, "initial_parameters": {f"theta_{q}": 0.1 for q in range(8)}},
        {"task": "regression", "dataset": {"type": "digits"}, "encoding": {"type": "amplitude"}},
        {"dataset": {"type": "wine"}, "encoding": {"type": "iqp", "repeats": 2}},
    ],
)
async def test_every_task_can_be_estimated(laboratory: Laboratory, config: dict[str, Any]) -> None:
    """Time and memory come with bounds in order, whatever is to be run."""
    caller = await laboratory.caller()

    found = await laboratory.jobs.estimate(caller, await draft(laboratory, caller, STATE, **config))

    for interval in (found["time_seconds"], found["memory_bytes"]):
        assert 0 < interval["low"] <= interval["expected"] <= interval["high"]
