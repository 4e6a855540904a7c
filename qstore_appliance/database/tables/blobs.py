"""Content-addressed bytes in the database, where several machines share it (Postgres); in parts, so that size is free."""

from __future__ import annotations

from tortoise import fields

from qstore_appliance.database.tables.row import Row


class BlobRow(Row):
    digest = fields.CharField(max_length=80, primary_key=True)
    size = fields.BigIntField()
    #: When it was stored, or stored again: who stores it is about to refer to it.
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "blobs"


class BlobPartRow(Row):
    id = fields.BigIntField(primary_key=True)
    blob: fields.ForeignKeyRelation[BlobRow] = fields.ForeignKeyField(
        "qstore.BlobRow", related_name="parts", on_delete=fields.CASCADE
    )
    blob_id: str
    part = fields.IntField()
    content = fields.BinaryField()

    class Meta:
        table = "blob_parts"
        unique_together = (("blob", "part"),)
