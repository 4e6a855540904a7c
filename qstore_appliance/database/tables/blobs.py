"""Content-addressed bytes in the database, where several machines share it (Postgres)."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model


class BlobRow(Model):
    digest = fields.CharField(max_length=80, primary_key=True)
    content = fields.BinaryField()
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "blobs"
