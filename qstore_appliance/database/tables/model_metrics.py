"""What servers have counted of models in service, by the hour."""

from __future__ import annotations

from typing import Any

from tortoise import fields

from qstore_appliance.database.tables.row import Row


class ModelHourRow(Row):
    """
    Of one server: two that serve the same model write two rows, which whoever reads adds up. No foreign key: what was
    counted of a model that is deleted meanwhile must not keep the rest from being written.
    """

    id = fields.CharField(max_length=120, primary_key=True)
    organization_id = fields.CharField(max_length=40)
    model_id = fields.CharField(max_length=40)
    hour = fields.DatetimeField()
    requests = fields.BigIntField()
    errors = fields.BigIntField()
    inputs = fields.BigIntField()
    #: Micro-dollars.
    cost = fields.BigIntField()
    milliseconds = fields.FloatField()
    #: Answers by bucket of their latency (`domain/model_metrics.py`).
    buckets: dict[str, Any] = fields.JSONField()

    class Meta:
        table = "model_hours"
        indexes = (("model_id", "hour"), ("hour",))
