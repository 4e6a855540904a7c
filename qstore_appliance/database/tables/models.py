"""Trained models, the tags that they are listed by, and their deployments."""

from __future__ import annotations

from typing import Any

import msgspec
from tortoise import fields

from qstore_appliance.database.tables.row import Row
from qstore_appliance.domain.models import Deployment, Model, ModelStatus, Rollout


class ModelRow(Row):
    id = fields.CharField(max_length=40, primary_key=True)
    organization_id = fields.CharField(max_length=40)
    user_id = fields.CharField(max_length=40, db_index=True)
    name = fields.CharField(max_length=255)
    version = fields.CharField(max_length=50)
    #: What versions sort by, see `domain/model_registry.py`.
    version_key = fields.CharField(max_length=500, default="", db_default="")
    circuit_id = fields.CharField(max_length=40, db_index=True)
    training_job_id = fields.CharField(max_length=40, null=True, unique=True)
    status = fields.CharField(max_length=50)
    metrics: dict[str, Any] = fields.JSONField(default=dict)
    parameters: dict[str, Any] = fields.JSONField(default=dict)
    inputs: dict[str, Any] = fields.JSONField(default=dict)
    deployment: dict[str, Any] = fields.JSONField(default=dict)
    artifact_digest = fields.CharField(max_length=80)
    artifact_bytes = fields.BigIntField()
    #: Each of a name's versions has another, or none; an index of the migrations sees to it.
    stage = fields.CharField(max_length=20, null=True)
    notes = fields.TextField(null=True)
    tags: list[str] = fields.JSONField(default=list, db_default=[])
    lineage: dict[str, Any] = fields.JSONField(default=dict, db_default={})
    created_at = fields.DatetimeField(auto_now_add=True)
    deployed_at = fields.DatetimeField(null=True)
    updated_at = fields.DatetimeField(auto_now=True)
    deleted_at = fields.DatetimeField(null=True)

    class Meta:
        table = "models"
        unique_together = (("organization_id", "name", "version"),)
        indexes = (
            ("organization_id", "created_at", "id"),
            ("organization_id", "status"),
            ("organization_id", "version_key", "id"),
        )

    def to_domain(self) -> Model:
        return Model(
            id=self.id,
            organization_id=self.organization_id,
            user_id=self.user_id,
            name=self.name,
            version=self.version,
            circuit_id=self.circuit_id,
            training_job_id=self.training_job_id,
            status=ModelStatus(self.status),
            metrics=self.metrics,
            parameters=self.parameters,
            inputs=self.inputs,
            deployment=self.deployment,
            artifact_digest=self.artifact_digest,
            artifact_bytes=self.artifact_bytes,
            created_at=self.created_at,
            deployed_at=self.deployed_at,
            updated_at=self.updated_at,
            stage=self.stage,
            notes=self.notes,
            tags=list(self.tags),
            lineage=self.lineage,
        )


class ModelTagRow(Row):
    """One tag of one model: a list by tag reads this table's index, never the JSON."""

    id = fields.BigIntField(primary_key=True)
    organization_id = fields.CharField(max_length=40)
    tag = fields.CharField(max_length=100)
    model: fields.ForeignKeyRelation[ModelRow] = fields.ForeignKeyField(
        "qstore.ModelRow", related_name="tag_rows", on_delete=fields.CASCADE, db_index=True
    )
    model_id: str

    class Meta:
        table = "model_tags"
        unique_together = (("organization_id", "tag", "model"),)


class DeploymentRow(Row):
    id = fields.CharField(max_length=40, primary_key=True)
    organization_id = fields.CharField(max_length=40)
    model: fields.ForeignKeyRelation[ModelRow] = fields.ForeignKeyField(
        "qstore.ModelRow", related_name="deployments", on_delete=fields.CASCADE, db_index=True
    )
    model_id: str
    endpoint = fields.CharField(max_length=255)
    backend = fields.CharField(max_length=50)
    config: dict[str, Any] = fields.JSONField()
    status = fields.CharField(max_length=50)
    capped = fields.BooleanField(default=False)
    created_at = fields.DatetimeField(auto_now_add=True)
    updated_at = fields.DatetimeField(auto_now=True)

    class Meta:
        table = "deployments"
        indexes = (("organization_id", "created_at"),)

    def to_domain(self) -> Deployment:
        return Deployment(
            id=self.id,
            model_id=self.model_id,
            organization_id=self.organization_id,
            endpoint=self.endpoint,
            backend=self.backend,
            config={key: value for key, value in self.config.items() if key != "rollout"},
            rollout=msgspec.convert(self.config.get("rollout") or {}, Rollout),
            status=self.status,
            capped=self.capped,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )
