"""Uploaded data sets; the built-in ones have no row, imported ones belong to the whole installation."""

from __future__ import annotations

from tortoise import fields

from qstore_appliance.database.tables.row import Row
from qstore_appliance.domain.datasets import Dataset


class DatasetRow(Row):
    id = fields.CharField(max_length=40, primary_key=True)
    #: None for what the operator imported (`qstore dataset import`).
    organization_id = fields.CharField(max_length=40, null=True)
    user_id = fields.CharField(max_length=40, null=True)
    name = fields.CharField(max_length=255)
    source = fields.CharField(max_length=20)
    n_samples = fields.IntField()
    n_features = fields.IntField()
    classes: list[str] = fields.JSONField()
    digest = fields.CharField(max_length=80)
    size_bytes = fields.BigIntField()
    created_at = fields.DatetimeField(auto_now_add=True)
    deleted_at = fields.DatetimeField(null=True)

    class Meta:
        table = "datasets"
        indexes = (("organization_id", "created_at", "id"),)

    def to_domain(self) -> Dataset:
        return Dataset(
            id=self.name if self.source == "imported" else self.id,
            name=self.name,
            source=self.source,
            n_samples=self.n_samples,
            n_features=self.n_features,
            classes=list(self.classes),
            digest=self.digest,
            organization_id=self.organization_id,
            user_id=self.user_id,
            created_at=self.created_at,
        )
