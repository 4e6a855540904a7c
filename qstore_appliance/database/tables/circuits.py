"""Stored circuits, and the tags that they are listed by."""

from __future__ import annotations

from typing import Any

from tortoise import fields

from qstore_appliance.database.tables.row import Row
from qstore_appliance.domain.circuits import CircuitHead, CircuitSummary, StoredCircuit


class CircuitRow(Row):
    id = fields.CharField(max_length=40, primary_key=True)
    organization_id = fields.CharField(max_length=40)
    user_id = fields.CharField(max_length=40, db_index=True)
    name = fields.CharField(max_length=255)
    description = fields.TextField(null=True)
    n_qubits = fields.IntField()
    depth = fields.IntField()
    gate_count = fields.IntField()
    circuit_definition: dict[str, Any] = fields.JSONField()
    parameters: dict[str, Any] = fields.JSONField(default=dict)
    metadata: dict[str, Any] = fields.JSONField(default=dict)
    version = fields.IntField(default=1)
    created_at = fields.DatetimeField(auto_now_add=True)
    updated_at = fields.DatetimeField(auto_now=True)
    #: Deleted ones vanish from every answer at once and are kept for a day.
    deleted_at = fields.DatetimeField(null=True)

    class Meta:
        table = "circuits"
        indexes = (("organization_id", "created_at", "id"),)

    def to_domain(self) -> StoredCircuit:
        return StoredCircuit(
            id=self.id,
            organization_id=self.organization_id,
            user_id=self.user_id,
            name=self.name,
            description=self.description,
            n_qubits=self.n_qubits,
            depth=self.depth,
            gate_count=self.gate_count,
            parameters=self.parameters,
            circuit_definition=self.circuit_definition,
            metadata=self.metadata,
            version=self.version,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )

    def to_head(self) -> CircuitHead:
        return CircuitHead(
            id=self.id,
            user_id=self.user_id,
            name=self.name,
            description=self.description,
            n_qubits=self.n_qubits,
            depth=self.depth,
            gate_count=self.gate_count,
            metadata=self.metadata,
            version=self.version,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )

    def to_summary(self) -> CircuitSummary:
        return CircuitSummary(
            id=self.id,
            name=self.name,
            n_qubits=self.n_qubits,
            depth=self.depth,
            gate_count=self.gate_count,
            tags=list(self.metadata.get("tags", [])),
            version=self.version,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )


class CircuitVersionRow(Row):
    """What a circuit was until somebody changed its gates; the present version is in its own row."""

    id = fields.BigIntField(primary_key=True)
    circuit: fields.ForeignKeyRelation[CircuitRow] = fields.ForeignKeyField(
        "qstore.CircuitRow", related_name="version_rows", on_delete=fields.CASCADE
    )
    circuit_id: str
    version = fields.IntField()
    n_qubits = fields.IntField()
    depth = fields.IntField()
    gate_count = fields.IntField()
    circuit_definition: dict[str, Any] = fields.JSONField()
    parameters: dict[str, Any] = fields.JSONField()
    #: Who made the next version, and when.
    replaced_by = fields.CharField(max_length=40)
    replaced_at = fields.DatetimeField()

    class Meta:
        table = "circuit_versions"
        unique_together = (("circuit", "version"),)


class CircuitTagRow(Row):
    """One tag of one circuit: a list by tag reads this table's index, never the JSON (request path, c)."""

    id = fields.BigIntField(primary_key=True)
    organization_id = fields.CharField(max_length=40)
    tag = fields.CharField(max_length=100)
    circuit: fields.ForeignKeyRelation[CircuitRow] = fields.ForeignKeyField(
        "qstore.CircuitRow", related_name="tag_rows", on_delete=fields.CASCADE, db_index=True
    )
    circuit_id: str

    class Meta:
        table = "circuit_tags"
        unique_together = (("organization_id", "tag", "circuit"),)
