"""The ledger: append-only, integer micro-dollars. Deleting a user or a job erases no spend, so no foreign keys."""

from __future__ import annotations

from typing import Any

from tortoise import fields

from qstore_appliance.database.tables.row import Row
from qstore_appliance.domain.costs import Metered


class CostEventRow(Row):
    id = fields.CharField(max_length=40, primary_key=True)
    organization_id = fields.CharField(max_length=40)
    user_id = fields.CharField(max_length=40)
    event_type = fields.CharField(max_length=50)
    backend = fields.CharField(max_length=50)
    amount = fields.BigIntField()
    circuits = fields.BigIntField(default=0)
    shots = fields.BigIntField(default=0)
    cpu_microseconds = fields.BigIntField(default=0, db_default=0)
    gpu_microseconds = fields.BigIntField(default=0, db_default=0)
    job_id = fields.CharField(max_length=40, null=True, db_index=True)
    model_id = fields.CharField(max_length=40, null=True)
    #: Of the job, written down here: deleting the job must not move its spend to another project.
    project = fields.CharField(max_length=255, null=True)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "cost_events"
        indexes = (("organization_id", "created_at"), ("user_id", "created_at"))


class BudgetRow(Row):
    """
    One organization's money. All that decides whether a job is accepted stands in this one row, so that one conditional
    update can decide it: databases look at other rows as they were when a statement began.
    """

    organization_id = fields.CharField(max_length=40, primary_key=True)
    #: None: no limit.
    monthly_limit = fields.BigIntField(null=True)
    #: The calendar month in UTC that `spent` is of, `2026-03`.
    month = fields.CharField(max_length=7, default="", db_default="")
    #: The sum of the month's events.
    spent = fields.BigIntField(default=0, db_default=0)
    #: The sum of the organization's reservations.
    reserved = fields.BigIntField(default=0, db_default=0)
    #: As `PUT /v1/budget` takes them.
    alerts: list[dict[str, Any]] = fields.JSONField(default=list, db_default=[])
    created_at = fields.DatetimeField(auto_now_add=True)
    updated_at = fields.DatetimeField(auto_now=True)

    class Meta:
        table = "budgets"


class ReservationRow(Row):
    """What a job may still cost, and what it has been charged; there as long as the job is live."""

    job_id = fields.CharField(max_length=40, primary_key=True)
    organization_id = fields.CharField(max_length=40, db_index=True)
    #: Micro-dollars that are kept for it.
    amount = fields.BigIntField()
    #: What its events in the ledger amount to.
    charged = fields.BigIntField(default=0, db_default=0)
    circuits = fields.BigIntField(default=0, db_default=0)
    shots = fields.BigIntField(default=0, db_default=0)
    cpu_microseconds = fields.BigIntField(default=0, db_default=0)
    gpu_microseconds = fields.BigIntField(default=0, db_default=0)
    #: What its next epoch will cost, as far as one knows.
    ahead = fields.BigIntField(default=0, db_default=0)
    #: Of a short reservation without a job: freed then, if whoever made it is gone.
    until = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "reservations"

    def metered(self) -> Metered:
        return Metered(
            circuits=self.circuits,
            shots=self.shots,
            cpu_microseconds=self.cpu_microseconds,
            gpu_microseconds=self.gpu_microseconds,
        )
