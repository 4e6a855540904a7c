"""Sweeps: groups of jobs that differ in some keys of their config. The jobs name their sweep."""

from __future__ import annotations

from typing import Any

from tortoise import fields

from qstore_appliance.database.tables.row import Row


class SweepRow(Row):
    id = fields.CharField(max_length=40, primary_key=True)
    organization_id = fields.CharField(max_length=40)
    user_id = fields.CharField(max_length=40)
    name = fields.CharField(max_length=255, null=True)
    #: Keys with the values that were asked for, in the order of the request.
    varied: dict[str, list[Any]] = fields.JSONField()
    task = fields.CharField(max_length=50)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "sweeps"
        indexes = (("organization_id", "created_at", "id"),)
