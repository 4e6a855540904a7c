"""Somebody at work in a real appliance: submits small jobs and watches them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from qstore_appliance.appliance import Appliance
from qstore_appliance.domain.accounts import Caller
from qstore_appliance.domain.circuits import CircuitDraft
from qstore_appliance.domain.jobs import TERMINAL, Job, JobDraft

EMAIL = "ada@example.org"
#: Enough epochs for a test to find the job at work, whatever the machine.
LONG = 100_000


def ansatz(n_qubits: int, layers: int = 1) -> list[dict[str, Any]]:
    """Features in, two angles a qubit, a ring of CNOTs; so many times."""
    gates: list[dict[str, Any]] = []
    for layer in range(layers):
        for qubit in range(n_qubits):
            gates.append({"type": "RY", "targets": [qubit], "parameters": {"theta": f"x_{qubit}"}})
            gates.append(
                {"type": "RY", "targets": [qubit], "parameters": {"theta": f"theta_{layer * n_qubits + qubit}"}}
            )
        gates += [{"type": "CNOT", "targets": [qubit, (qubit + 1) % n_qubits]} for qubit in range(n_qubits)]
    return gates


def small_artifact(folder: Path, epochs: int = 2) -> Path:
    """A file with a small model of irises, trained here."""
    from qstore_appliance.engine.plan import Plan
    from qstore_appliance.engine.training import Training

    config = {"epochs": epochs, "learning_rate": 0.1, "dataset": {"type": "iris"}}
    circuit = {"n_qubits": 4, "format": "unified", "gates": ansatz(4)}
    dataset = {"kind": "builtin", "name": "iris", "digest": None}
    training = Training(
        Plan(circuit=circuit, config=config, backend="native", backend_options={}, dataset=dataset, seed=1)
    )
    list(training.epochs())
    file = folder / "artifact.npz"
    file.write_bytes(training.finish().artifact)
    return file


class Bench:
    def __init__(self, appliance: Appliance, caller: Caller) -> None:
        self.appliance = appliance
        self.caller = caller

    @classmethod
    async def at(cls, appliance: Appliance) -> Bench:
        """The first owner, made where there is none yet."""
        if not await appliance.accounts.has_users():
            await appliance.accounts.create_owner(email=EMAIL, password="correct horse battery", organization="Lab")
        return cls(appliance, await appliance.accounts.caller_of(EMAIL))

    async def submit(self, n_qubits: int = 4, **config: Any) -> str:
        draft = CircuitDraft(name="bench", n_qubits=n_qubits, gates=ansatz(n_qubits))
        circuit = await self.appliance.circuits.create(self.caller, draft)
        values = {"epochs": 3, "dataset": {"type": "iris"}, "seed": 7, **config}
        job = JobDraft.model_validate({"circuit_id": circuit.id, "config": values})
        return (await self.appliance.jobs.submit(self.caller, job)).job_id

    async def job(self, job_id: str) -> Job:
        return await self.appliance.jobs.get(self.caller, job_id)

    async def ended(self, job_id: str, seconds: float = 300) -> Job:
        async with asyncio.timeout(seconds):
            while (job := await self.job(job_id)).status not in TERMINAL:
                await asyncio.sleep(0.02)
        return job

    async def trained(self, job_id: str, epochs: int = 1, seconds: float = 300) -> Job:
        """The job once it has finished so many epochs."""
        async with asyncio.timeout(seconds):
            while (job := await self.job(job_id)).progress.current_epoch < epochs:
                assert job.status not in TERMINAL, job.reason
                await asyncio.sleep(0.01)
        return job

    async def model(self) -> str:
        """The id of a small trained model."""
        job = await self.ended(await self.submit())
        assert job.model_id is not None, job.reason
        return job.model_id


def children_of(target: str) -> list[int]:
    """Processes of this test process that run this target."""
    from qstore_appliance.work import children

    return [child.pid for child in children.living() if child.target == target]
