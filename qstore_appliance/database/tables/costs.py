"""The ledger: append-only, integer micro-dollars. Deleting a user or a job erases no spend, so no foreign keys."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model


class CostEventRow(Model):
    id = fields.CharField(max_length=40, primary_key=True)
    organization_id = fields.CharField(max_length=40)
    user_id = fields.CharField(max_length=40)
    event_type = fields.CharField(max_length=50)
    backend = fields.CharField(max_length=50)
    amount = fields.BigIntField()
    circuits = fields.BigIntField(default=0)
    shots = fields.BigIntField(default=0)
    job_id = fields.CharField(max_length=40, null=True, db_index=True)
    model_id = fields.CharField(max_length=40, null=True)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "cost_events"
        indexes = (("organization_id", "created_at"), ("user_id", "created_at"))


class BudgetRow(Model):
    """`monthly_limit` None: no limit."""

    organization_id = fields.CharField(max_length=40, primary_key=True)
    monthly_limit = fields.BigIntField(null=True)
    created_at = fields.DatetimeField(auto_now_add=True)
    updated_at = fields.DatetimeField(auto_now=True)

    class Meta:
        table = "budgets"
