"""Circuit jobs of clients that speak IonQ's API; the row holds the circuits and, at the end, the answer."""

from __future__ import annotations

from typing import Any

from tortoise import fields

from qstore_appliance.database.tables.row import Row
from qstore_appliance.domain.circuit_jobs import CircuitJob, CircuitJobStatus


class CircuitJobRow(Row):
    #: A UUIDv7: the order of ids is the order of time.
    id = fields.CharField(max_length=36, primary_key=True)
    organization_id = fields.CharField(max_length=40)
    user_id = fields.CharField(max_length=40)
    type = fields.CharField(max_length=50)
    name = fields.CharField(max_length=255, null=True)
    target = fields.CharField(max_length=50)
    backend = fields.CharField(max_length=50)
    status = fields.CharField(max_length=20)
    input: dict[str, Any] = fields.JSONField()
    shots = fields.IntField()
    dry_run = fields.BooleanField(default=False)
    metadata: dict[str, Any] | None = fields.JSONField(null=True)
    settings: dict[str, Any] = fields.JSONField(default=dict)
    noise: dict[str, Any] | None = fields.JSONField(null=True)
    child_ids: list[str] = fields.JSONField(default=list)
    n_qubits = fields.IntField()
    n_circuits = fields.IntField()
    gates_1q = fields.IntField()
    gates_2q = fields.IntField()
    failure: dict[str, str] | None = fields.JSONField(null=True)
    #: The answer's JSON as it is sent.
    results = fields.BinaryField(null=True)
    estimated_cost = fields.BigIntField(default=0)
    cost = fields.BigIntField(default=0)
    #: Counts how often it was taken up; only the last taker's answer is saved.
    fence = fields.IntField(default=0)
    lease_until = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField()
    started_at = fields.DatetimeField(null=True)
    completed_at = fields.DatetimeField(null=True)

    class Meta:
        table = "circuit_jobs"
        indexes = (("organization_id", "id"), ("status", "organization_id", "id"))

    def to_domain(self) -> CircuitJob:
        return CircuitJob(
            id=self.id,
            organization_id=self.organization_id,
            user_id=self.user_id,
            type=self.type,
            name=self.name,
            target=self.target,
            backend=self.backend,
            status=CircuitJobStatus(self.status),
            shots=self.shots,
            dry_run=self.dry_run,
            metadata=self.metadata,
            settings=self.settings,
            noise=self.noise,
            child_ids=self.child_ids,
            n_qubits=self.n_qubits,
            n_circuits=self.n_circuits,
            gates_1q=self.gates_1q,
            gates_2q=self.gates_2q,
            failure=self.failure,
            estimated_cost=self.estimated_cost,
            cost=self.cost,
            created_at=self.created_at,
            started_at=self.started_at,
            completed_at=self.completed_at,
        )
