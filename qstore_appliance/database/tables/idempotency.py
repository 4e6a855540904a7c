"""Answers kept under their `Idempotency-Key` for a day, per caller and route."""

from __future__ import annotations

from tortoise import fields

from qstore_appliance.database.tables.row import Row


class IdempotencyRow(Row):
    """`status` is None while the first request is in flight, 0 once it has done what was asked, and has no answer yet."""

    #: SHA-256 of caller, method, path and key.
    id = fields.CharField(max_length=64, primary_key=True)
    body_hash = fields.CharField(max_length=64)
    status = fields.IntField(null=True)
    content_type = fields.CharField(max_length=100, null=True)
    answer = fields.BinaryField(null=True)
    created_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "idempotency_keys"
