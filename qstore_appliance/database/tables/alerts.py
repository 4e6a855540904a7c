"""Alerts that have fired: the unique row decides that each does so once in a month."""

from __future__ import annotations

from tortoise import fields

from qstore_appliance.database.tables.row import Row


class FiredAlertRow(Row):
    """Gone again where the limit was raised so far that less than the threshold is spent."""

    id = fields.CharField(max_length=40, primary_key=True)
    organization_id = fields.CharField(max_length=40)
    #: `2026-11`, in UTC.
    month = fields.CharField(max_length=7)
    #: Percent of the monthly limit.
    threshold = fields.IntField()
    action = fields.CharField(max_length=20)
    #: Micro-dollars, when it fired.
    spend = fields.BigIntField()
    monthly_limit = fields.BigIntField()
    created_at = fields.DatetimeField()

    class Meta:
        table = "fired_alerts"
        unique_together = (("organization_id", "month", "threshold", "action"),)
        indexes = (("month", "action"),)
